"""The split into training and validation samples."""

from math import ceil
from typing import Any

import numpy as np
from sklearn.utils.random import sample_without_replacement

from sklearn_ae._data.training_rows import TrainingRows

__all__ = ["SeparateRows", "Split", "held_out_rows"]


def held_out_rows(
    n_samples: int, validation_fraction: float, random_state: Any, at_most: int | None = None
) -> np.ndarray:
    """Return the sorted indices of the validation samples: ceil(fraction * n_samples) of them, or `at_most`."""
    n_valid = ceil(validation_fraction * n_samples)
    if n_valid >= n_samples:
        raise ValueError(
            f"validation_fraction={validation_fraction!r} leaves no training sample of the {n_samples} given; "
            "lower it, pass more samples, or set early_stopping=False."
        )
    if at_most is None:
        return np.sort(random_state.permutation(n_samples)[:n_valid])
    return np.sort(sample_without_replacement(n_samples, min(n_valid, at_most), random_state=random_state))


class Split:
    """A split that holds out the given validation samples, as skorch's ``train_split``."""

    def __init__(self, valid: np.ndarray):
        self.valid = valid
        self._parts: tuple[TrainingRows, TrainingRows] | None = None

    def __call__(self, dataset: TrainingRows, y: Any = None) -> tuple[TrainingRows, TrainingRows]:
        if self._parts is None:  # reads the validation samples of a stream
            self._parts = dataset.without(self.valid), dataset.select(self.valid)
        return self._parts


class SeparateRows:
    """A split that validates on the given samples and trains on all others, as skorch's ``train_split``."""

    def __init__(self, rows: TrainingRows):
        self.rows = rows

    def __call__(self, dataset: TrainingRows, y: Any = None) -> tuple[TrainingRows, TrainingRows]:
        return dataset, self.rows
