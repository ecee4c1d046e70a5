"""Order, axes and signs of the units of a trained code, and the variance that each explains.

Training leaves the units of a code without an order and, where the code is linear, without axes of their own. What is
found here is kept beside the network (:class:`~sklearn_ae.modules.CodeMap` or ``CodeOrder``) and changes no
reconstruction.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklearn_ae.modules import Autoencoder, CodeMap, CodeOrder, CodeScale

__all__ = [
    "CodeMoments",
    "ExplainedVariance",
    "canonicalize_",
    "decoder_jacobian",
    "explained_variance",
    "r_squared",
]

#: Directions in which the decoder is less sensitive than this, relative to the most sensitive one, count as null.
RELATIVE_RANK = 1e-4


class CodeMoments:
    """Running moments of a network's code, with the error and variance of its reconstruction, in float64.

    The scatter is a matrix where the code may be rotated; otherwise its diagonal is all that is needed. Of an ordered
    code there is an error for each of its prefixes.
    """

    def __init__(self, n_components: int, *, rotation_free: bool, ordered: bool = False):
        self.rotation_free = rotation_free
        self.n_samples = 0
        self.mean = np.zeros(n_components)
        self.scatter = np.zeros((n_components, n_components) if rotation_free else n_components)
        self.errors = np.zeros(n_components if ordered else 1)
        self.variance = 0.0

    def update(self, code: np.ndarray, errors: np.ndarray, variance: float) -> None:
        """Add the rows of a code (n, n_components), their summed squared errors and their summed variance."""
        code = code.astype(np.float64)
        n, total = len(code), self.n_samples + len(code)
        mean = code.mean(axis=0)
        shift = mean - self.mean
        between = self._scatter_of(shift[None]) * (self.n_samples * n / total)
        self.scatter = self.scatter + self._scatter_of(code - mean) + between  # not in place: it may be read-only
        self.mean = self.mean + shift * (n / total)
        self.n_samples = total
        self.errors = self.errors + errors
        self.variance += variance

    def keep_(self, n_components: int) -> None:
        """Forget all but the first units of an ordered code."""
        self.mean, self.scatter, self.errors = (
            array[:n_components].copy() for array in (self.mean, self.scatter, self.errors)
        )

    def _scatter_of(self, centred: np.ndarray) -> np.ndarray:
        return centred.T @ centred if self.rotation_free else np.square(centred).sum(axis=0)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the code, or its diagonal, with n_samples - 1 degrees of freedom as in PCA."""
        return self.scatter / max(self.n_samples - 1, 1)

    @property
    def r2(self) -> float:
        """R² of the reconstruction over all rows seen."""
        return r_squared(self.errors[-1], self.variance)

    @property
    def gains(self) -> np.ndarray:
        """What each unit of an ordered code adds to the R² of the units before it."""
        return np.diff([r_squared(error, self.variance) for error in self.errors], prepend=0.0)


def r_squared(error: float, variance: float) -> float:
    """Return 1 - error / variance; without variance, 1 where there is no error and else 0, as ``r2_score``."""
    return 1.0 - error / variance if variance else float(error == 0.0)


class ExplainedVariance(NamedTuple):
    """What the units of a canonical code explain, in the units of the data, in float64."""

    components: np.ndarray  # (n_components, n_features)
    variance: np.ndarray  # (n_components,)
    ratio: np.ndarray  # (n_components,)


def decoder_jacobian(module: Autoencoder, code: Tensor) -> Tensor:
    """Return the Jacobian (n_features, n_components) of the linear output at a network code (n_components,)."""
    if module.has_affine_decoder and module.decoder_matrix is not None:
        return module.decoder_matrix.detach()
    directions = torch.eye(len(code), dtype=code.dtype, device=code.device)
    repeated = code.expand(len(code), -1)  # row i is differentiated along unit vector i
    with torch.enable_grad():
        return torch.autograd.functional.jvp(module.linear_output, repeated, directions)[1].T


def _jacobian_in_scale(module: Autoencoder, code: Tensor, relative_widths: Any) -> Tensor:
    return decoder_jacobian(module, code) * torch.as_tensor(relative_widths).reshape(-1, 1)


def canonicalize_(module: Autoencoder, moments: CodeMoments, scale: float, relative_widths: Any = 1.0) -> None:
    """Set the code map of a module in float64 from the moments of its code.

    A ``CodeMap`` makes codes uncorrelated and the decoder's Jacobian at the mean code orthonormal, both ordered by
    explained variance, in units of the data, `scale` times those of the network, times `relative_widths` where columns
    (n_features,) differ; signs are those of scikit-learn's ``svd_flip``. A ``CodeOrder`` orders units by explained
    variance. A ``CodeScale`` makes the columns of the Jacobian as long, and gives them these signs, where the code is
    linear, and leaves other codes.
    """
    mean, covariance = torch.from_numpy(moments.mean), torch.from_numpy(moments.covariance)
    jacobian = _jacobian_in_scale(module, mean, relative_widths)
    if isinstance(module.code_map, CodeMap):
        matrix, inverse = _axes(covariance, jacobian)
        module.code_map.matrix.copy_(matrix * scale)
        module.code_map.inverse.copy_(inverse / scale)
        module.code_map.centre.copy_(mean)
    elif isinstance(module.code_map, CodeOrder):
        order = torch.argsort(covariance * jacobian.square().sum(0), descending=True, stable=True)
        module.code_map.order.copy_(order)
        module.code_map.position.copy_(torch.argsort(order))
    elif isinstance(module.code_map, CodeScale) and module.code.linear:
        lengths = torch.linalg.vector_norm(jacobian, dim=0)
        module.code_map.scale.copy_(torch.where(lengths > 0, lengths, 1.0) * _signs(jacobian) * scale)


def _axes(covariance: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    """Return the map onto the canonical axes and its inverse, both (k, k).

    Directions to which the decoder is insensitive come last, cleared of what the others predict of them, so that the
    map stays invertible and nothing that a nonlinear decoder may use is lost.
    """
    values, vectors = torch.linalg.eigh(jacobian.T @ jacobian)
    values, vectors = values.flip(0).clamp_min(0).sqrt(), vectors.flip(1)
    rank = int((values > values[0] * RELATIVE_RANK).sum())
    stretch = values[:rank]
    seen, null = vectors[:, :rank] * stretch, vectors[:, rank:]  # (k, r), (k, k - r)

    variances, rotation = torch.linalg.eigh(seen.T @ covariance @ seen)
    rotation, variances = rotation.flip(1), variances.flip(0)
    to_axes = (seen @ rotation).T  # (r, k)
    from_axes = vectors[:, :rank] / stretch @ rotation  # (k, r)
    signs = _signs(jacobian @ from_axes)
    to_axes, from_axes = to_axes * signs[:, None], from_axes * signs

    weights = torch.where(variances > variances[:1] * 1e-12, 1 / variances, 0.0)
    predicted = (null.T @ covariance @ to_axes.T) * weights  # (k - r, r)
    to_null = null.T - predicted @ to_axes
    turn = torch.linalg.eigh(to_null @ covariance @ to_null.T)[1].flip(1)
    matrix = torch.cat([to_axes, turn.T @ to_null])
    inverse = torch.cat([from_axes + null @ predicted, null @ turn], dim=1)
    return matrix, inverse


def _signs(columns: Tensor) -> Tensor:
    """Return the sign of the largest entry of each column, 1 for a column of zeros."""
    largest = columns.gather(0, columns.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(columns)


def explained_variance(
    module: Autoencoder, moments: CodeMoments, scale: float, relative_widths: Any = 1.0
) -> ExplainedVariance:
    """Return components, explained variance and its ratio for the canonical code of a module in float64.

    The variance of a unit is Var(h_k) times the squared length of the k-th column of the decoder's Jacobian at the mean
    code. The R² of the reconstruction is shared out in proportion to it; the units of an ordered code have what they
    add to the R² of those before. `scale` and `relative_widths` are as in :func:`canonicalize_`.
    """
    covariance = torch.from_numpy(moments.covariance)
    jacobian = _jacobian_in_scale(module, torch.from_numpy(moments.mean), relative_widths)  # (d, k)
    if isinstance(module.code_map, CodeMap):
        matrix = module.code_map.matrix / scale
        variance = (matrix @ covariance @ matrix.T).diagonal()
        columns = jacobian @ (module.code_map.inverse * scale)
        components = columns.T
    elif isinstance(module.code_map, CodeScale):
        variance, columns = covariance, jacobian
        components = (jacobian / module.code_map.scale * scale).T
    else:
        variance = covariance[module.code_map.order]
        columns = jacobian[:, module.code_map.order]
        components = columns.T * scale
    variance = variance.clamp_min(0) * columns.square().sum(0)
    total = variance.sum()
    shares = variance / total if total > 0 else torch.zeros_like(variance)
    ratio = moments.gains if module.ordered else shares.numpy() * max(moments.r2, 0.0)
    return ExplainedVariance(components.numpy(), (variance * scale * scale).numpy(), ratio)
