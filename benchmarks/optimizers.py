"""Optimizers for comparison that torch lacks, or lacks for some weights."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """torch's Muon for matrices, with the step lengths of AdamW (Liu et al., 2025), and AdamW for everything else."""

    def __init__(self, params: Iterable[Any], lr: float):
        super().__init__(params, {"lr": lr})
        weights = [p for group in self.param_groups for p in group["params"]]
        self.parts = [
            Muon([p for p in weights if p.ndim == 2], lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            AdamW([p for p in weights if p.ndim != 2], lr=lr, weight_decay=0.0, fused=True),
        ]

    def step(self, closure: Any = None) -> Any:
        loss = closure()
        for part in self.parts:
            part.step()
        return loss


class SOAP(Optimizer):
    """Adam in the eigenbases of Shampoo's factors (Vyas et al., 2024); sides above `largest` keep their own axes."""

    def __init__(self, params: Iterable[Any], lr: float, every: int = 10, largest: int = 256):
        super().__init__(params, {"lr": lr})
        self.every = every
        self.largest = largest

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._step_of(p, self.state[p], group["lr"])
        return loss

    def _step_of(self, p: Tensor, state: dict[str, Any], lr: float) -> None:
        gradient = p.grad
        assert gradient is not None
        if not state:
            state["t"], state["m"], state["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
            sides = p.shape if p.ndim == 2 else ()
            state["factors"] = [torch.zeros(n, n) if n <= self.largest else None for n in sides]
            state["bases"] = [None] * len(sides)
        state["t"] += 1
        t = state["t"]
        for side, factor in enumerate(state["factors"]):
            if factor is not None:
                factor.lerp_(gradient @ gradient.T if side == 0 else gradient.T @ gradient, 0.05)
        if t == 1 or t % self.every == 0:
            self._turn(state)
        state["m"].lerp_(gradient, 0.05)
        turned = _into(state["bases"], gradient)
        state["v"].lerp_(turned.square(), 0.05)
        step = _into(state["bases"], state["m"]) / (1 - 0.95**t)
        step /= (state["v"] / (1 - 0.95**t)).sqrt_().add_(1e-8)
        p.sub_(_out_of(state["bases"], step), alpha=lr)

    def _turn(self, state: dict[str, Any]) -> None:
        for side, factor in enumerate(state["factors"]):
            if factor is not None:
                before = state["bases"][side]
                state["bases"][side] = (
                    torch.linalg.eigh(factor)[1] if before is None else torch.linalg.qr(factor @ before)[0]
                )


def _into(bases: list[Any], x: Tensor) -> Tensor:
    for side, basis in enumerate(bases):
        if basis is not None:
            x = basis.T @ x if side == 0 else x @ basis
    return x


def _out_of(bases: list[Any], x: Tensor) -> Tensor:
    for side, basis in enumerate(bases):
        if basis is not None:
            x = basis @ x if side == 0 else x @ basis.T
    return x


class WholeLBFGS(LBFGS):
    """torch's L-BFGS with a line search, for batches of all rows."""

    def __init__(self, params: Iterable[Any], lr: float):
        super().__init__(params, lr=lr, line_search_fn="strong_wolfe", history_size=20)
