"""Order, axes and signs of the units of a trained code, and the variance that each explains.

Training leaves the units of a code without an order and, where the code is linear, without axes of their own. What is
found here is kept beside the network (:class:`~sklearn_ae.modules.RotationMap` or ``PermutationMap``) and changes no
reconstruction.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._model.code_maps import PermutationMap, RotationMap, ScaleMap, _axes, _signs
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import CodeMoments

__all__ = ["ExplainedVariance", "canonicalize_", "decoder_jacobian", "explained_variance"]


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


def _jacobian_in_scale(module: Autoencoder, code: Tensor, column_weights: Any) -> Tensor:
    return decoder_jacobian(module, code) * torch.as_tensor(column_weights).reshape(-1, 1)


def canonicalize_(module: Autoencoder, moments: CodeMoments, scale: float, column_weights: Any = 1.0) -> None:
    """Set the code map of a module in float64 from the moments of its code.

    A ``RotationMap`` makes codes uncorrelated and the decoder's Jacobian at the mean code orthonormal, both ordered by
    explained variance, in units of the data, `scale` times those of the network, times `column_weights` where columns
    (n_features,) differ; signs are those of scikit-learn's ``svd_flip``. A ``PermutationMap`` orders units by explained
    variance. A ``ScaleMap`` makes the columns of the Jacobian as long, and gives them these signs, where the code is
    linear, and leaves other codes.
    """
    mean, covariance = torch.from_numpy(moments.mean), torch.from_numpy(moments.covariance)
    jacobian = _jacobian_in_scale(module, mean, column_weights)
    if isinstance(module.code_map, RotationMap):
        matrix, inverse = _axes(covariance, jacobian)
        module.code_map.matrix.copy_(matrix * scale)
        module.code_map.inverse.copy_(inverse / scale)
        module.code_map.centre.copy_(mean)
    elif isinstance(module.code_map, PermutationMap):
        order = torch.argsort(covariance * jacobian.square().sum(0), descending=True, stable=True)
        module.code_map.order.copy_(order)
        module.code_map.position.copy_(torch.argsort(order))
    elif isinstance(module.code_map, ScaleMap) and module.code.linear:
        lengths = torch.linalg.vector_norm(jacobian, dim=0)
        module.code_map.scale.copy_(torch.where(lengths > 0, lengths, 1.0) * _signs(jacobian) * scale)


def explained_variance(
    module: Autoencoder, moments: CodeMoments, scale: float, column_weights: Any = 1.0
) -> ExplainedVariance:
    """Return components, explained variance and its ratio for the canonical code of a module in float64.

    The variance of a unit is Var(h_k) times the squared length of the k-th column of the decoder's Jacobian at the mean
    code. The R² of the reconstruction is shared out in proportion to it; the units of an ordered code have what they
    add to the R² of those before. `scale` and `column_weights` are as in :func:`canonicalize_`.
    """
    covariance = torch.from_numpy(moments.covariance)
    jacobian = _jacobian_in_scale(module, torch.from_numpy(moments.mean), column_weights)  # (d, k)
    if isinstance(module.code_map, RotationMap):
        matrix = module.code_map.matrix / scale
        variance = (matrix @ covariance @ matrix.T).diagonal()
        columns = jacobian @ (module.code_map.inverse * scale)
        components = columns.T
    elif isinstance(module.code_map, ScaleMap):
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
