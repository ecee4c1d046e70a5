"""How many units of an ordered code are enough: ``n_components`` as a share of the variance or ``"auto"``."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.arrays import fill_missing
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import row_errors

__all__ = ["is_selected_by_fit", "max_units", "smallest_sufficient", "standard_error"]

#: Units of the ordered code that a size is chosen from, at most.
MAX_UNITS = 128


def is_selected_by_fit(n_components: Any) -> bool:
    """Return whether the number of units is a share or "auto" and not the number itself."""
    return not isinstance(n_components, Integral)


def max_units(n_components: Any, n_samples: int, n_features: int) -> int:
    """Return the number of units to train, of which ``fit`` may keep fewer."""
    return min(n_samples, n_features, MAX_UNITS) if is_selected_by_fit(n_components) else int(n_components)


def smallest_sufficient(
    n_components: float | str,
    module: Autoencoder,
    rows: TrainingRows,
    what: str,
    mean: Tensor,
    column_weights: Tensor | None,
) -> int:
    """Return the fewest units of an ordered code that are enough on some rows, which `what` names in messages.

    For a share that is the R² to reach, for "auto" the R² that is within one standard error of the best.
    """
    errors, variances = errors_and_variances(module, rows, mean, column_weights)
    total = variances.sum()
    if total == 0:
        return 1
    scores = 1 - errors.sum(0) / total  # (k,)
    if n_components == "auto":
        best = int(scores.argmax())
        least = scores[best] - standard_error(errors[:, best], variances)
    else:
        least = float(n_components)
    enough = np.flatnonzero(scores >= least)
    if len(enough) == 0:
        warnings.warn(
            f"n_components={n_components!r} asks for an R² of {n_components:g} on the {what} rows, but all "
            f"{len(scores)} units reach {scores[-1]:.4g}: all are kept. Train longer, or ask for less.",
            stacklevel=4,
        )
        return len(scores)
    return int(enough[0]) + 1


@torch.no_grad()
def errors_and_variances(
    module: Autoencoder, rows: TrainingRows, mean: Tensor, column_weights: Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared error of each row for each prefix (n, k), and its squared distance from the mean (n,)."""
    parts = [
        row_errors(module, z, module.network_code(z), observed, mean, column_weights, of_prefixes=True)
        for z, observed in (fill_missing(chunk, rows.fill) for chunk in rows.chunks())
    ]
    errors, variances = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
    return errors, variances


def standard_error(errors: np.ndarray, variances: np.ndarray) -> float:
    """Return the standard error of R², a ratio of two means over rows, to first order in their deviations."""
    deviations = errors - errors.sum() / variances.sum() * variances
    return float(deviations.std(ddof=1) / (np.sqrt(len(errors)) * variances.mean())) if len(errors) > 1 else 0.0
