"""Selection of the number of components: ``n_components`` as a fraction of the variance or ``"auto"``."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import torch

from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import r_squared, squared_distances, squared_errors

__all__ = ["is_selected_by_fit", "max_units", "smallest_sufficient", "units_of_an_exact_start"]

#: Maximum number of components of the ordered code that a size is selected from.
MAX_UNITS = 128
#: Maximum error of a reconstruction that counts as exact, relative to the variance.
ROUNDING = float(np.finfo(np.float32).eps)


def is_selected_by_fit(n_components: Any) -> bool:
    """Return whether ``fit`` selects the number of components, which is given as a fraction or "auto"."""
    return n_components is not None and not isinstance(n_components, Integral)


def max_units(n_components: Any, n_samples: int, n_features: int) -> int:
    """Return the number of components to train, of which ``fit`` may keep fewer."""
    if n_components is None:
        return min(n_samples, n_features)
    return min(n_samples, n_features, MAX_UNITS) if is_selected_by_fit(n_components) else int(n_components)


def units_of_an_exact_start(module: Autoencoder, rows: TrainingRows) -> int:
    """Return the number of components from which on an initialized module reconstructs exactly; if none, of all.

    PCA of data of exact rank has such a number: further components could only fit rounding and the noise of training.
    """
    errors, variances = errors_and_variances(module, rows, of_prefixes=False)
    least = variances.sum() * ROUNDING
    if errors.sum() > least:
        return module.n_components
    return int(np.argmax(errors_and_variances(module, rows)[0].sum(0) <= least)) + 1


def smallest_sufficient(
    n_components: float | str, module: Autoencoder, rows: TrainingRows, what: str, at_most: int
) -> int:
    """Return the smallest sufficient number of components of an ordered code on some samples, `what` in messages.

    A fraction is the R² to reach; "auto" requires an R² within one standard error of the best. Components after the
    first `at_most` are not considered.
    """
    errors, variances = errors_and_variances(module, rows)
    errors, total = errors[:, :at_most], variances.sum()
    if total == 0:
        return 1
    scores = np.array([r_squared(error, total) for error in errors.sum(0)])  # (k,)
    if n_components == "auto":
        best = int(scores.argmax())
        least = scores[best] - standard_error_of_r2(errors[:, best], variances)
    else:
        least = float(n_components)
    enough = np.flatnonzero(scores >= least)
    if len(enough) == 0:
        warnings.warn(
            f"n_components={n_components!r} requires an R² of {n_components:g} on the {what} samples, but all "
            f"{len(scores)} components reach {scores[-1]:.4g}: all are kept. Train longer, or lower n_components.",
            stacklevel=6,
        )
        return len(scores)
    return int(enough[0]) + 1


@torch.no_grad()
def errors_and_variances(
    module: Autoencoder, rows: TrainingRows, *, of_prefixes: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared errors of samples by prefix of the code, (n, k), and squared distances from the mean, (n,).

    Without `of_prefixes` errors are those of the whole code, (n, 1).
    """
    parts = [
        (
            squared_errors(module, z, module.network_code(z), observed, rows.scaling, of_prefixes=of_prefixes),
            squared_distances(z, observed, rows.scaling),
        )
        for z, observed in map(rows.scaling.fill_missing, rows.chunks())
    ]
    errors, variances = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
    return errors, variances


def standard_error_of_r2(errors: np.ndarray, variances: np.ndarray) -> float:
    """Return the standard error of R², a ratio of two means over samples, to first order in their deviations."""
    deviations = errors - errors.sum() / variances.sum() * variances
    return float(deviations.std(ddof=1) / (np.sqrt(len(errors)) * variances.mean())) if len(errors) > 1 else 0.0
