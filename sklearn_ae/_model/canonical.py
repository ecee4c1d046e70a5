"""The canonical code of a trained network: its order, axes and signs, and the variance that each component explains."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.scaling import Scaling
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import CodeMoments

__all__ = ["ExplainedVariance", "canonicalize_", "decoder_jacobian", "explained_variance"]


class ExplainedVariance(NamedTuple):
    """The components of a canonical code and the variance that each explains, in the data's units, in float64."""

    components: np.ndarray  # (n_components, n_features)
    variance: np.ndarray  # (n_components,)
    ratio: np.ndarray  # (n_components,)


def canonicalize_(
    module: Autoencoder, moments: CodeMoments, scaling: Scaling, scores: np.ndarray | None = None
) -> None:
    """Set the code map of a module in float64 from the moments of its code.

    Signs are those of the initial principal axes if the covariances of the code with their scores are given.
    """
    mean, covariance = torch.from_numpy(moments.mean), torch.from_numpy(moments.covariance)
    of_scores = None if scores is None else torch.from_numpy(scores)
    module.code_map.fit_(_scaled_jacobian(module, mean, scaling), mean, covariance, scaling.scale, of_scores)


def explained_variance(module: Autoencoder, moments: CodeMoments, scaling: Scaling) -> ExplainedVariance:
    """Return components, explained variance and its ratio for the canonical code of a module in float64.

    The variance of component k is Var(h_k) times the squared length of the k-th column of the decoder's Jacobian at the
    mean code. The R² of the reconstruction is apportioned to them in proportion; the components of an ordered code get
    what they add to the R² of those before.
    """
    jacobian = _scaled_jacobian(module, torch.from_numpy(moments.mean), scaling)  # (d, k)
    components, variance = module.code_map.explain(jacobian, torch.from_numpy(moments.covariance), scaling.scale)
    total = variance.sum()
    fractions = variance / total if total > 0 else torch.zeros_like(variance)
    ratio = moments.gains if module.ordered else fractions.numpy() * max(moments.r2, 0.0)
    return ExplainedVariance(components.numpy(), (variance * scaling.scale * scaling.scale).numpy(), ratio)


def decoder_jacobian(module: Autoencoder, code: Tensor) -> Tensor:
    """Return the Jacobian (n_features, n_components) of the linear output at a network code (n_components,)."""
    if module.has_affine_decoder and module.decoder_matrix is not None:
        return module.decoder_matrix.detach()
    directions = torch.eye(len(code), dtype=code.dtype, device=code.device)
    repeated = code.expand(len(code), -1)  # row i is differentiated along unit vector i
    with torch.enable_grad():
        return torch.autograd.functional.jvp(module.linear_output, repeated, directions)[1].T


def _scaled_jacobian(module: Autoencoder, code: Tensor, scaling: Scaling) -> Tensor:
    """Return the decoder's Jacobian with all columns of the data in units of the scale."""
    return decoder_jacobian(module, code) * torch.as_tensor(scaling.column_weights).reshape(-1, 1)
