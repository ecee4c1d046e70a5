"""Squared errors, R² and moments of the code over samples."""

import sys

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.module import Autoencoder
from sklearn_ae.networks import skip_zero_branches

__all__ = ["CodeMoments", "add_moments", "r_squared", "squared_distances", "squared_errors"]


def r_squared(error: float, variance: float) -> float:
    """Return 1 - error / variance; without variance 1 if there is no error and else 0, as ``r2_score``.

    A variance below the smallest normal number counts as none.
    """
    return 1.0 - float(error) / float(variance) if variance >= sys.float_info.min else float(error == 0.0)


def squared_errors(
    module: Autoencoder,
    z: Tensor,
    code: Tensor,
    observed: Tensor | None,
    scaling: Scaling,
    *,
    of_prefixes: bool = False,
) -> Tensor:
    """Return the squared error of each sample of z, (n, 1), or for each prefix of the code (n, n_components).

    `code` is the network's for z. Errors cover observed entries alone, in units of the data's scale, in float64.
    """
    sizes = range(1, module.n_components + 1) if of_prefixes else (module.n_components,)
    errors = torch.empty(len(z), len(sizes), dtype=torch.float64, device=z.device)
    for column, size in enumerate(sizes):
        output = module.output.reconstruct(module.linear_output(code[:, :size]), z, observed)
        errors[:, column] = scaling.distances(z, output, observed).double().square()
    return errors


def squared_distances(z: Tensor, observed: Tensor | None, scaling: Scaling) -> Tensor:
    """Return the squared distance of each sample from the mean, (n,), in the units of :func:`squared_errors`."""
    return scaling.distances(z, scaling.mean_like(z), observed).double().square()


class CodeMoments:
    """Running moments of a network's code, with the error and variance of its reconstruction, in float64.

    The scatter is a matrix if the code may be rotated, and otherwise its diagonal. An ordered code has an error for
    each of its prefixes.
    """

    def __init__(self, n_components: int, *, rotation_invariant: bool, ordered: bool = False):
        self.rotation_invariant = rotation_invariant
        self.n_samples = 0
        self.mean = np.zeros(n_components)
        self.scatter = np.zeros((n_components, n_components) if rotation_invariant else n_components)
        self.errors = np.zeros(n_components if ordered else 1)
        self.variance = 0.0

    def update(self, code: Tensor, errors: np.ndarray) -> None:
        """Add codes (n, n_components) and the sum of the squared errors of their samples."""
        code = code.double()
        n, total = len(code), self.n_samples + len(code)
        mean = code.mean(0)
        shift = mean.cpu() - torch.tensor(self.mean)
        between = self._scatter_of(shift[None]) * (self.n_samples * n / total)
        self.scatter = self.scatter + self._scatter_of(code - mean) + between  # not in place: it may be read-only
        self.mean = self.mean + shift.numpy() * (n / total)
        self.n_samples = total
        self.errors = self.errors + errors

    def keep_(self, n_components: int) -> None:
        """Discard all but the first components of an ordered code."""
        self.mean, self.scatter, self.errors = (
            array[:n_components].copy() for array in (self.mean, self.scatter, self.errors)
        )

    def _scatter_of(self, centred: Tensor) -> np.ndarray:
        return (centred.T @ centred if self.rotation_invariant else centred.square().sum(0)).cpu().numpy()

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the code, or its diagonal, with n_samples - 1 degrees of freedom as in PCA."""
        return self.scatter / max(self.n_samples - 1, 1)

    @property
    def r2(self) -> float:
        """R² of the reconstruction over all samples seen."""
        return r_squared(self.errors[-1], self.variance)

    @property
    def gains(self) -> np.ndarray:
        """Gain in R² from each component of an ordered code, given those before it."""
        return np.diff([r_squared(error, self.variance) for error in self.errors], prepend=0.0)


@torch.no_grad()
def add_moments(
    moments: CodeMoments, module: Autoencoder, rows: TrainingRows, variance: float, axes: Tensor | None = None
) -> np.ndarray | None:
    """Add training samples, and the sum of their squared distances from the mean, to the moments of a module's code.

    The code is computed in the precision and on the device of the module. Given axes (m, n_features), return the
    covariances (n_components, m) of the code with the standardized scores on them; zeros for scores without variance.
    """
    weight, k = next(module.network.parameters()), module.n_components
    joint = None if axes is None else CodeMoments(k + len(axes), rotation_invariant=True)
    with skip_zero_branches(module.network):
        for chunk in rows.chunks():
            z, observed = rows.scaling.fill_missing(chunk.to(weight))
            code = module.network_code(z)
            errors = squared_errors(module, z, code, observed, rows.scaling, of_prefixes=module.ordered)
            moments.update(code, errors.sum(0).cpu().numpy())
            if axes is not None and joint is not None:
                joint.update(torch.cat([code, z @ axes.to(z).T], dim=1), np.zeros(1))
    moments.variance += variance
    if joint is None:
        return None
    deviations = np.sqrt(joint.covariance.diagonal()[k:])
    varies = deviations > 1e-6 * deviations.max()
    return joint.covariance[:k, k:] * np.where(varies, 1 / np.where(varies, deviations, 1.0), 0.0)
