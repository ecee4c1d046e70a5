"""Errors, R² and moments of the code over samples."""

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.arrays import fill_missing
from sklearn_ae._data.scaling import weight_columns
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.module import Autoencoder
from sklearn_ae.networks import skip_zero_branches

__all__ = ["CodeMoments", "add_moments", "r_squared", "row_errors"]


class CodeMoments:
    """Running moments of a network's code, with the error and variance of its reconstruction, in float64.

    The scatter is a matrix where the code may be rotated; otherwise its diagonal is all that is needed. Of an ordered
    code there is an error for each of its prefixes.
    """

    def __init__(self, n_components: int, *, rotation_invariant: bool, ordered: bool = False):
        self.rotation_invariant = rotation_invariant
        self.n_samples = 0
        self.mean = np.zeros(n_components)
        self.scatter = np.zeros((n_components, n_components) if rotation_invariant else n_components)
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
        return centred.T @ centred if self.rotation_invariant else np.square(centred).sum(axis=0)

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


def row_errors(
    module: Autoencoder,
    z: Tensor,
    code: Tensor,
    observed: Tensor | None,
    mean: Tensor,
    column_weights: Tensor | None,
    *,
    of_prefixes: bool,
) -> tuple[Tensor, Tensor]:
    """Return the squared error of each row of z, (n, 1), and its squared distance from the mean, (n,).

    With `of_prefixes` there is an error for each prefix of the code, (n, n_components). `code` is the network's for z.
    Errors and distances count observed entries alone, and are in units of the data's scale.
    """

    def squares(difference: Tensor) -> Tensor:
        known = difference if observed is None else difference * observed
        return torch.linalg.vector_norm(weight_columns(known, column_weights), dim=1).double().square()

    sizes = range(1, module.n_components + 1) if of_prefixes else (module.n_components,)
    errors = torch.empty(len(z), len(sizes), dtype=torch.float64, device=z.device)
    for column, size in enumerate(sizes):
        errors[:, column] = squares(z - module.output(module.linear_output(code[:, :size])))
    return errors, squares(z - mean)


@torch.no_grad()
def add_moments(
    moments: CodeMoments, module: Autoencoder, rows: TrainingRows, mean: Tensor, column_weights: Tensor | None
) -> None:
    """Add training rows to the moments of a module's code.

    Error and variance, the latter about the mean, are in units of the data's scale.
    """
    with skip_zero_branches(module.network):
        for chunk in rows.chunks():
            z, observed = fill_missing(chunk, rows.fill)
            code = module.network_code(z)
            errors, variances = row_errors(module, z, code, observed, mean, column_weights, of_prefixes=module.ordered)
            moments.update(code.cpu().numpy(), errors.sum(0).cpu().numpy(), float(variances.sum()))
