"""Optimizers, learning-rate schedules, precisions and the average of the weights."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from inspect import signature, unwrap
from math import cos, exp, pi
from typing import Any, NamedTuple

import torch
from skorch.callbacks import Callback
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sklearn_ae._data.training_rows import n_batches
from sklearn_ae._model.module import Autoencoder

__all__ = [
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "LearningRule",
    "WeightAverage",
    "limit_norm_",
    "mixed_precision",
    "optimizer_settings",
    "parameter_groups",
    "rule",
    "takes_weight_decay",
]


class LearningRule(NamedTuple):
    """The constants of training: what ``"auto"`` means, and what no parameter sets.

    ``benchmarks/bench_rules.py`` chose them.
    """

    #: ``lr="auto"`` under a schedule that lowers it.
    lr: float = 1e-2
    #: ``lr="auto"`` under the constant schedule, and where training continues from earlier weights.
    constant_lr: float = 1.5e-3
    #: Fan-in of a matrix that is trained at `lr` itself.
    fan_in: float = 64
    #: Power of 1 / fan-in to which other rates are in proportion.
    fan_in_power: float = 0.75
    #: Greatest rate as a multiple of `lr`, that of narrow matrices and of biases.
    greatest_ratio: float = 16
    #: Fraction of the steps in which the rate of the linear schedule rises.
    warm_up: float = 0.2
    #: Adam's epsilon, above the gradients that rounding leaves in the encoder of a PCA start.
    eps: float = 1e-5
    #: Greatest norm of the gradient of all weights; longer gradients are shortened to it.
    gradient_norm: float = 1.0
    #: Greatest number of steps that the average of the weights spans; 0 for no average.
    average_window: int = 400
    #: Number of steps of ``max_epochs="auto"`` under a schedule that lowers the rate, for up to 2,500 samples.
    n_steps: int = 800
    #: Power of the number of samples by which the number of steps grows from there on.
    growth: float = 0.5
    #: ``max_epochs="auto"`` under the constant schedule.
    max_epochs: int = 200
    #: ``n_iter_no_change="auto"`` under the constant schedule.
    patience: int = 20

    def n_epochs(self, n_samples: int, batch_size: int) -> int:
        """Return the number of epochs that take about the number of steps for these samples."""
        n_steps = self.n_steps * max(1.0, n_samples / 2500) ** self.growth
        return max(1, round(n_steps / n_batches(n_samples, batch_size)))


_RULE = LearningRule()


def rule() -> LearningRule:
    """Return the learning rule."""
    return _RULE


def _without_compiler(optimizer: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return an optimizer's class for training that is not compiled.

    torch marks methods of optimizers for its compiler, and imports the compiler when they are first called. That takes
    longer than many fits.
    """
    methods: dict[str, Any] = {name: unwrap(getattr(optimizer, name)) for name in ("add_param_group", "zero_grad")}
    methods["step"] = torch.no_grad()(unwrap(optimizer.step))
    return type(optimizer.__name__, (optimizer,), methods | {"__module__": __name__})


Adam, AdamW, SGD = map(_without_compiler, (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD))

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}
#: Precisions of the products of the network's layers in training.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def optimizer_settings(optimizer: str | type[torch.optim.Optimizer], weight_decay: float) -> dict[str, Any]:
    """Return the net's arguments for an optimizer given by name, which the learning rule governs, or by class.

    Raises
    ------
    ValueError
        If the class takes no weight decay, and it is not 0.
    """
    if not isinstance(optimizer, str):
        if weight_decay and not takes_weight_decay(optimizer):
            raise ValueError(
                f"weight_decay={weight_decay!r}, but optimizer={optimizer.__name__} takes no weight_decay. Set "
                "weight_decay=0, or choose an optimizer that takes it, such as 'adamw'."
            )
        decay = {"optimizer__weight_decay": weight_decay} if weight_decay else {}
        return {"optimizer": optimizer, **decay}
    settings = {"optimizer": OPTIMIZERS[optimizer], "optimizer__weight_decay": weight_decay, "optimizer__fused": True}
    settings |= {"gradient_norm": rule().gradient_norm}
    if optimizer == "sgd":
        return settings | {"optimizer__momentum": 0.9, "optimizer__nesterov": True}
    return settings | {"optimizer__eps": rule().eps, "fan_in": rule().fan_in}


def takes_weight_decay(optimizer: type[torch.optim.Optimizer]) -> bool:
    """Return whether an optimizer's class can be called with `weight_decay`."""
    parameters = signature(optimizer).parameters.values()
    return any(p.name == "weight_decay" or p.kind is p.VAR_KEYWORD for p in parameters)


def mixed_precision(precision: str, device: str | torch.device) -> AbstractContextManager[Any]:
    """Return a context in which the products of the layers have a precision."""
    return nullcontext() if precision == "float32" else torch.autocast(torch.device(device).type, PRECISIONS[precision])


def parameter_groups(weights: Iterable[Tensor], lr: float, fan_in: float) -> list[dict[str, Any]]:
    """Return the weights in groups with a rate each: `lr` for matrices of this fan-in, less for a greater one.

    Adam changes each weight by about the rate, and an output of a layer by the sum over its inputs. The maximal update
    parametrisation (Yang et al. 2022, arXiv:2203.03466) has 1 / fan-in, for inputs that change alike.
    """
    groups: dict[float, list[Tensor]] = {}
    for weight in weights:
        n_inputs = weight[0].numel() if weight.ndim > 1 else 1
        ratio = min(rule().greatest_ratio, (fan_in / n_inputs) ** rule().fan_in_power)
        groups.setdefault(ratio, []).append(weight)
    return [{"params": group, "lr": ratio * lr} for ratio, group in groups.items()]


def limit_norm_(gradients: list[Tensor], longest: float) -> None:
    """Shorten gradients in place if the norm of all together is greater than `longest`.

    The result is that of ``torch.nn.utils.clip_grad_norm_``, which takes two to three times as long for small networks.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (longest / (norm + 1e-6)).clamp_(max=1.0))


class WeightAverage:
    """Exponential moving average of a module's weights over the last steps.

    It spans a tenth of the steps so far, at most `window`: with a fixed span the average lags behind at first.
    """

    every = 4

    def __init__(self, module: Autoencoder, window: int):
        self.module = deepcopy(module).eval().requires_grad_(False)
        self.window = window
        self.n_steps = self.n_steps_taken = 0
        self._present = [parameter.detach() for parameter in module.parameters()]
        self._averages = list(self.module.parameters())
        self._buffers = list(zip(self.module.network.buffers(), module.network.buffers(), strict=True))

    def count_step(self) -> None:
        """Count a step of the module, and update the average every few steps."""
        self.n_steps += 1
        if self.n_steps - self.n_steps_taken == self.every:
            self.take()

    def take(self) -> None:
        """Update the average with the module's weights, weighted by the steps since the last update."""
        n_new = self.n_steps - self.n_steps_taken
        if n_new:
            blend = get_ema_multi_avg_fn(exp(-n_new / min(self.window, self.n_steps / 10)))
            blend(self._averages, self._present, None)
            for average, present in self._buffers:
                average.copy_(present)
            self.n_steps_taken = self.n_steps


class LinearSchedule(Callback):
    """Learning rate that rises over the first steps, then falls linearly to zero at the end of training."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Note the initial rate."""
        for group in net.optimizer_.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def remaining(self, progress: float) -> float:
        """Return the fraction of the rate that is left, before the warm-up counts."""
        return 1 - progress

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the rate of a step."""
        if training:
            fraction = min(1.0, (net.progress_ + 1 / net.n_steps_) / rule().warm_up) * self.remaining(net.progress_)
            for group in net.optimizer_.param_groups:
                group["lr"] = fraction * group["initial_lr"]


class CosineSchedule(LinearSchedule):
    """Learning rate that rises over the first steps, then falls along half a cosine (Loshchilov and Hutter, 2017)."""

    def remaining(self, progress: float) -> float:
        """Return the fraction of the rate that is left, before the warm-up counts."""
        return (1 + cos(pi * progress)) / 2


SCHEDULES: dict[str, list[Callable[[], Callback]]] = {
    "constant": [],
    "cosine": [CosineSchedule],
    "linear": [LinearSchedule],
}
