"""The penalties: what is added to the loss.

A member is a scikit-learn estimator with plain parameters, called with a :class:`~sklearn_ae._axes.Step`. What it
returns stands beside the loss of a row, summed over its entries, as in the papers; training divides both by the number
of entries. A new one is one class here and one line in ``PENALTIES``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_ae._axes import Member, Setting, Step, member

__all__ = ["L1", "PENALTIES", "Contractive", "KLSparsity", "Orthogonal", "Penalty", "penalties_of"]


class Penalty(Member):
    """Base class of the penalties."""

    #: Whether a rotation of a linear code leaves the penalty as it is, so that training leaves the axes open.
    rotation_free = False

    def __call__(self, step: Step) -> Tensor:
        """Return the penalty, a scalar, beside the summed loss of a row."""
        raise NotImplementedError


class Weighted(Penalty):
    """A penalty with a weight.

    Parameters
    ----------
    alpha : float
        Weight, above 0.
    """

    def __init__(self, alpha: float):
        self.alpha = alpha

    def check(self, setting: Setting) -> None:
        self._require("alpha", self.alpha > 0, "above 0")


class L1(Weighted):
    """Sparse codes: alpha times the mean over rows of sum_k |h_k| ||w_k||, with w_k the k-th column of the decoder.

    The length of the column makes it independent of how a unit's size is shared between encoder and decoder [1]_. It
    is that of the decoder's affine part, or 1 where a network of the user's own has none.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight, above 0.

    References
    ----------
    .. [1] Conerly, T. et al. (2024). Update on how we train SAEs. Transformer Circuits, April 2024.
    """

    def __init__(self, alpha: float = 0.1):
        super().__init__(alpha)

    def __call__(self, step: Step) -> Tensor:
        sizes = step.code.abs().mean(0)
        if step.decoder_matrix is not None:
            sizes = sizes * torch.linalg.vector_norm(step.decoder_matrix, dim=0)
        return self.alpha * sizes.sum()


class KLSparsity(Weighted):
    """Units that are on at a given rate: alpha times sum_k KL(rho || mean over rows of h_k), for codes in (0, 1) [1]_.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight, above 0.
    rho : float, default=0.05
        Mean activation that each unit should have, in (0, 1).

    References
    ----------
    .. [1] Ng, A. (2011). Sparse autoencoder. CS294A lecture notes, Stanford.
    """

    def __init__(self, alpha: float = 1.0, rho: float = 0.05):
        super().__init__(alpha)
        self.rho = rho

    def check(self, setting: Setting) -> None:
        super().check(setting)
        self._require("rho", 0 < self.rho < 1, "in (0, 1)")
        low, high = setting.code_range
        if low < 0 or high > 1:
            raise ValueError(
                f"penalty={self!r} compares mean activations with a rate and needs a code in (0, 1), but the code lies "
                f"in ({low:g}, {high:g}): choose code='sigmoid', or the penalty L1."
            )

    def __call__(self, step: Step) -> Tensor:
        rate = step.code.mean(0).clamp(1e-6, 1 - 1e-6)
        on = self.rho * torch.log(self.rho / rate)
        off = (1 - self.rho) * torch.log((1 - self.rho) / (1 - rate))
        return self.alpha * (on + off).sum()


class Contractive(Weighted):
    """Codes that change little with the input: alpha times the mean over rows of ||dh/dx||_F², the encoder's Jacobian.

    For a code taken unit by unit from an affine map it is the closed form sum_k (dh_k/da_k)² ||a_k||² [1]_. For other
    encoders it is exact from one backward pass a unit, or an unbiased estimate from a few random projections of the
    code.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight, above 0.
    n_projections : int or None, default=1
        Projections of the estimate, at least 1; None for the exact norm. Without effect where the closed form holds.

    References
    ----------
    .. [1] Rifai, S. et al. (2011). Contractive auto-encoders: explicit invariance during feature extraction. ICML.
    """

    rotation_free = True

    def __init__(self, alpha: float = 0.1, n_projections: int | None = 1):
        super().__init__(alpha)
        self.n_projections = n_projections

    def check(self, setting: Setting) -> None:
        super().check(setting)
        n = self.n_projections
        self._require("n_projections", n is None or (n >= 1 and not isinstance(n, float)), "an integer from 1, or None")

    def __call__(self, step: Step) -> Tensor:
        with torch.enable_grad():
            closed = step.encoder_matrix is not None
            squared = self._closed(step) if closed else self._from_projections(step)
        return self.alpha * squared / len(step.input)

    @staticmethod
    def _closed(step: Step) -> Tensor:
        """Return the squared norm, summed over rows, where each unit depends on its own pre-activation alone."""
        a = step.preactivation if step.preactivation.requires_grad else step.preactivation.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(step.activate(a).sum(), a, create_graph=True)  # (n, k), or more columns
        squares = step.encoder_matrix.square().sum(1)  # type: ignore[union-attr]
        return (slopes[:, : len(squares)].square() @ squares).sum()

    def _from_projections(self, step: Step) -> Tensor:
        x = step.input.detach().requires_grad_()
        code = step.encode(x)
        if self.n_projections is None or step.generator is None:
            directions = torch.eye(code.shape[1], dtype=x.dtype, device=x.device)[:, None].expand(-1, *code.shape)
            share = 1.0
        else:
            # NOTE[DIFF]: Rifai et al. have one layer. E||v'J||² = ||J||_F² for v of independent signs.
            shape = (self.n_projections, *code.shape)
            u = torch.rand(shape, generator=step.generator, dtype=x.dtype, device=x.device)
            directions = torch.where(u < 0.5, -1.0, 1.0).to(x.dtype)
            share = 1 / self.n_projections
        total = x.new_zeros(())
        for direction in directions:
            (gradient,) = torch.autograd.grad(code, x, direction, create_graph=True)
            total = total + gradient.square().sum()
        return total * share


class Orthogonal(Weighted):
    """Components that point in different directions: alpha times sum_{i<j} cos²(w_i, w_j) over the decoder's columns.

    The columns are those of the decoder's affine part; their lengths are free.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight, above 0.
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__(alpha)

    def check(self, setting: Setting) -> None:
        super().check(setting)
        if not setting.affine_path:
            raise ValueError(
                f"penalty={self!r} needs the columns of a decoder with an affine path, but module= has none: leave the "
                "penalty or the module out, or derive the module from sklearn_ae.networks.AffineNetwork."
            )

    def __call__(self, step: Step) -> Tensor:
        columns = torch.nn.functional.normalize(step.decoder_matrix, dim=0)  # type: ignore[arg-type]
        cosines = columns.T @ columns
        return self.alpha / 2 * (cosines.square().sum() - cosines.diagonal().square().sum())


PENALTIES: dict[str, type[Penalty]] = {
    "contractive": Contractive,
    "kl_sparsity": KLSparsity,
    "l1": L1,
    "orthogonal": Orthogonal,
}


def penalties_of(value: Any) -> tuple[Penalty, ...]:
    """Return the penalties that a parameter's value stands for: None, a member, its short name, or a list of these."""
    if value is None:
        return ()
    several: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    penalties = tuple(member(one, PENALTIES) for one in several)
    for one in penalties:
        if not isinstance(one, Penalty):
            raise ValueError(f"penalty={value!r} has {one!r}; choose a Penalty or one of {sorted(PENALTIES)}.")
    return penalties
