"""Penalties: terms added to the loss.

A penalty is a scikit-learn estimator with plain parameters, called with a :class:`~sklearn_ae.base.Step`. It is added
to the loss of a sample, summed over its entries, as in the papers; training divides both by the number of entries. A
new one takes one class here and one line in ``PENALTIES``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_ae.base import CheckContext, Member, Step, member

__all__ = ["L1", "PENALTIES", "Contractive", "KLSparsity", "Orthogonal", "Penalty"]


class Penalty(Member):
    """Base class of the penalties.

    A subclass is called with a training step and returns a scalar. It is added to the loss of one sample, summed over
    its entries, as in the papers: training divides both by the number of entries. The step is in the network's
    coordinates, where data is centred and divided by the root mean square of all entries about their columns' means, so
    that predicting the columns' means has a squared error of 1 per entry on average. Columns whose output is a sigmoid,
    a softplus or a softmax are not scaled. ``docs/extending.md`` lists what a subclass may override and shows a custom
    penalty.
    """

    #: Whether rotating a linear code leaves the penalty unchanged, so that training does not determine the axes.
    rotation_invariant = False

    def __call__(self, step: Step) -> Tensor:
        """Return the penalty, a scalar, to be added to the summed loss of a sample."""
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

    def check(self, context: CheckContext) -> None:
        self._require("alpha", self.alpha > 0, "above 0")


class L1(Weighted):
    """Sparse codes: alpha times the mean over samples of ``sum_k |h_k| ||w_k||``, with w_k the decoder's k-th column.

    Multiplying by the norm of the column makes the penalty independent of how a component's scale is split between
    encoder and decoder [1]_. The columns are those of the decoder's affine part; for a custom network without one the
    norms are taken as 1.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight, above 0, relative to the loss of a sample summed over its entries.

    Notes
    -----
    Codes are exactly zero only if their activation allows it, as :class:`~sklearn_ae.codes.ReLU` does. The penalty
    determines the axes of the identity code: its components are ordered after training, not rotated.

    References
    ----------
    .. [1] Conerly, T. et al. (2024). Update on how we train SAEs. Transformer Circuits, April 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.penalties import L1
    >>> X = load_digits().data[:300]
    >>> plain = AutoencoderTransformer(16, code="relu", max_epochs=5, random_state=0).fit(X)
    >>> sparse = AutoencoderTransformer(16, code="relu", penalty=L1(1.0), max_epochs=5, random_state=0).fit(X)
    >>> bool((sparse.transform(X) == 0).mean() > (plain.transform(X) == 0).mean())
    True
    """

    def __init__(self, alpha: float = 0.1):
        super().__init__(alpha)

    def __call__(self, step: Step) -> Tensor:
        magnitudes = step.code.abs().mean(0)
        if step.decoder_matrix is not None:
            magnitudes = magnitudes * torch.linalg.vector_norm(step.decoder_matrix, dim=0)
        return self.alpha * magnitudes.sum()


class KLSparsity(Weighted):
    """Components with a given mean activation: alpha times ``sum_k KL(rho || mean over samples of h_k)`` [1]_.

    ``KL(rho || r)`` is rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)), in nats. It needs a code in [0, 1], such
    as :class:`~sklearn_ae.codes.Sigmoid`; others raise a ValueError.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight, above 0, relative to the loss of a sample summed over its entries.
    rho : float, default=0.05
        Target for the mean activation of each component, in (0, 1).

    Notes
    -----
    The mean is over the samples of a batch; in [1]_ it is over all training samples. Means are clipped to
    [1e-6, 1 - 1e-6].

    References
    ----------
    .. [1] Ng, A. (2011). Sparse autoencoder. CS294A lecture notes, Stanford.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.penalties import KLSparsity
    >>> X = load_digits().data[:300]
    >>> penalty = KLSparsity(10.0, rho=0.1)
    >>> model = AutoencoderTransformer(16, code="sigmoid", penalty=penalty, max_epochs=5, random_state=0).fit(X)
    >>> bool(model.transform(X).mean() < 0.3)  # 0.5 before training
    True
    """

    def __init__(self, alpha: float = 1.0, rho: float = 0.05):
        super().__init__(alpha)
        self.rho = rho

    def check(self, context: CheckContext) -> None:
        super().check(context)
        self._require("rho", 0 < self.rho < 1, "in (0, 1)")
        low, high = context.code_range
        if low < 0 or high > 1:
            raise ValueError(
                f"penalty={self!r} compares mean activations with rho and needs a code in (0, 1), but the code lies in "
                f"({low:g}, {high:g}): choose code='sigmoid', or the penalty L1."
            )

    def __call__(self, step: Step) -> Tensor:
        rate = step.code.mean(0).clamp(1e-6, 1 - 1e-6)
        on = self.rho * torch.log(self.rho / rate)
        off = (1 - self.rho) * torch.log((1 - self.rho) / (1 - rate))
        return self.alpha * (on + off).sum()


class Contractive(Weighted):
    """Codes that change little with the input: alpha times the mean over samples of ``||dh/dx||_F²`` [1]_.

    For an elementwise code of an affine map a = A x + b, as with ``hidden_layer_sizes=()``, it has the closed form
    ``sum_k (dh_k/da_k)² ||A_k||²``, with A_k the k-th row of A. For other encoders it is computed exactly with one
    backward pass per component, or estimated without bias from a few random projections of the code.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight, above 0, relative to the loss of a sample summed over its entries.
    n_projections : int or None, default=1
        Number of random projections for the estimate, at least 1, each a backward pass; None for the exact norm, which
        takes `n_components` backward passes. Ignored if the closed form applies.

    Notes
    -----
    In [1]_ the encoder is one layer and weights are tied. The estimate, for deeper ones, is the mean of
    ``||v' dh/dx||²`` over vectors v of independent random signs. If weights are not tied and the code is unbounded,
    training can evade the penalty by shrinking the encoder while the decoder grows: set
    ``module=TiedAutoencoder`` or `weight_decay`.

    The Jacobian is that of the code without noise and dropout, at the corrupted samples. The identity code is still
    rotated after training, as the norm does not depend on its axes.

    References
    ----------
    .. [1] Rifai, S. et al. (2011). Contractive auto-encoders: explicit invariance during feature extraction. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.penalties import Contractive
    >>> X = load_digits().data[:300]
    >>> noisy, shifts = X + np.random.default_rng(0).normal(scale=0.1, size=X.shape), []
    >>> for penalty in (None, Contractive(10.0)):
    ...     model = AutoencoderTransformer(8, code="tanh", penalty=penalty, max_epochs=5, random_state=0).fit(X)
    ...     shifts.append(np.square(model.transform(noisy) - model.transform(X)).sum())
    >>> bool(shifts[1] < shifts[0])
    True
    """

    rotation_invariant = True

    def __init__(self, alpha: float = 0.1, n_projections: int | None = 1):
        super().__init__(alpha)
        self.n_projections = n_projections

    def check(self, context: CheckContext) -> None:
        super().check(context)
        n = self.n_projections
        fits = n is None or (isinstance(n, (int, np.integer)) and n >= 1)
        self._require("n_projections", bool(fits), "an integer from 1, or None")

    def __call__(self, step: Step) -> Tensor:
        with torch.enable_grad():
            closed = step.encoder_matrix is not None
            squared = self._closed(step) if closed else self._from_projections(step)
        return self.alpha * squared / len(step.input)

    @staticmethod
    def _closed(step: Step) -> Tensor:
        """Return the squared norm, summed over samples, for an elementwise code of an affine pre-activation."""
        a = step.preactivation if step.preactivation.requires_grad else step.preactivation.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(step.activate(a).sum(), a, create_graph=True)  # (n, m), m >= k
        squares = step.encoder_matrix.square().sum(1)  # type: ignore[union-attr]
        return (slopes[:, : len(squares)].square() @ squares).sum()

    def _from_projections(self, step: Step) -> Tensor:
        """Return the squared norm, summed over samples, exactly or estimated from random projections."""
        x = step.input.detach().requires_grad_()
        code = step.encode(x)
        if self.n_projections is None or step.generator is None:
            directions = torch.eye(code.shape[1], dtype=x.dtype, device=x.device)[:, None].expand(-1, *code.shape)
            weight = 1.0
        else:
            # NOTE[DIFF]: Rifai et al. have one layer. E||v'J||² = ||J||_F² for v of independent signs.
            shape = (self.n_projections, *code.shape)
            u = torch.rand(shape, generator=step.generator, dtype=x.dtype, device=x.device)
            directions = torch.where(u < 0.5, -1.0, 1.0).to(x.dtype)
            weight = 1 / self.n_projections
        total = x.new_zeros(())
        for direction in directions:
            (gradient,) = torch.autograd.grad(code, x, direction, create_graph=True)
            total = total + gradient.square().sum()
        return total * weight


class Orthogonal(Weighted):
    """Components that point in different directions: alpha times sum_{i<j} cos²(w_i, w_j) over the decoder's columns.

    The columns are those of the decoder's affine part. A custom network without one raises a ValueError.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight, above 0, relative to the loss of a sample summed over its entries.

    Notes
    -----
    Soft orthogonality [1]_ penalises the distance of W'W from the identity matrix, including the norms of the columns;
    here the norms are free, as encoder and decoder can split the scale of a component arbitrarily. With hidden layers
    ``components_`` includes their contribution and need not be orthogonal. The identity code has orthonormal components
    without any penalty; with this one its components are ordered after training, not rotated.

    References
    ----------
    .. [1] Bansal, N., Chen, X. and Wang, Z. (2018). Can we gain more from orthogonality regularizations in training
       deep CNNs? NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import normalize
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.penalties import Orthogonal
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(
    ...     8, hidden_layer_sizes=(), code="relu", penalty=Orthogonal(10.0), max_epochs=5, random_state=0
    ... )
    >>> components = normalize(model.fit(X).components_)
    >>> np.allclose(components @ components.T, np.eye(8), atol=0.2)
    True
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__(alpha)

    def check(self, context: CheckContext) -> None:
        super().check(context)
        if not context.affine_path:
            raise ValueError(
                f"penalty={self!r} needs the columns of a decoder with an affine path, but the network passed as "
                "module has none: omit one of them, or derive the network from sklearn_ae.networks.AffineNetwork."
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
    """Return the penalties for a value of the estimator's parameter: None, a penalty, a short name or a list."""
    several: Sequence[Any] = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return tuple(member(one, PENALTIES, Penalty, f"penalty={value!r} contains ") for one in several)
