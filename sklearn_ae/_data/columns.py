"""Statistics of columns, and the errors and warnings that name columns."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ColumnStats",
    "ColumnVariation",
    "check_range",
    "check_scale",
    "column_list",
    "fraction_on_bounds",
    "warn_about_ranges",
]

#: Share of a range by which data may exceed it.
ROUNDING = 1e-6
#: Least scale of data, and the inverse of the greatest: far enough within the square roots of float64's range.
LEAST_SCALE = 1e-130

#: Ratio of the ranges of two columns from which on the narrow one hardly counts.
UNEQUAL_RANGES = 1e3


class ColumnStats(NamedTuple):
    """What the observed entries of each column are, all (n_features,); zeros where there is none."""

    mean: np.ndarray  # in float64
    low: np.ndarray
    high: np.ndarray
    n_observed: np.ndarray
    n_rows: int

    @property
    def gaps(self) -> bool:
        """Whether any entry is missing."""
        return bool(self.n_observed.min() < self.n_rows)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest entry of each column."""
        return self.low, self.high


class ColumnVariation(NamedTuple):
    """How the observed entries of each column lie between its bounds."""

    unit: float
    squares: np.ndarray  # (n_features,), summed about the mean, in squares of the unit
    n_observed: np.ndarray  # (n_features,)
    n_on_bounds: np.ndarray  # (n_features,), entries that are the least or the greatest

    def root_mean_square(self, columns: Any = slice(None)) -> float:
        """Return the root mean square of the entries of some columns, or all, about their columns' means."""
        return self.unit * float(np.sqrt(self.squares[columns].sum() / max(self.n_observed[columns].sum(), 1)))


def fraction_on_bounds(columns: ColumnStats, spread: ColumnVariation) -> float:
    """Return the share of entries that repeat their column's least or greatest entry; constant columns do not count."""
    varying = columns.low < columns.high
    if not varying.any():
        return 0.0
    repeats = spread.n_on_bounds[varying].sum() - 2 * varying.sum()
    return float(repeats / columns.n_observed[varying].sum())


def check_scale(scale: float) -> None:
    """Raise a ValueError where squares of data of such a scale, or their sums, leave the range of float64."""
    if not LEAST_SCALE <= scale <= 1 / LEAST_SCALE:
        raise ValueError(
            f"X varies on a scale of {scale:.3g}, and its squares leave the range of float64: the scale must be from "
            f"{LEAST_SCALE:g} to {1 / LEAST_SCALE:g}. Multiply X by a constant."
        )


def warn_about_ranges(columns: ColumnStats, unscaled: Any, names: np.ndarray | None) -> None:
    """Warn where columns that are measured by one scale have very different ranges; constant ones do not count."""
    ranges = columns.high - columns.low
    measured = np.flatnonzero((ranges > 0) & ~np.broadcast_to(np.asarray(unscaled), ranges.shape))
    if len(measured) == 0:
        return
    narrow, wide = measured[[ranges[measured].argmin(), ranges[measured].argmax()]]
    with np.errstate(over="ignore"):
        ratio = ranges[wide] / ranges[narrow]
    if ratio >= UNEQUAL_RANGES:
        warnings.warn(
            f"The columns' ranges differ by a factor of {ratio:.2g}: {ranges[narrow]:.2g} in "
            f"{column_list([narrow], names)} and {ranges[wide]:.2g} in {column_list([wide], names)}. The narrow ones "
            "hardly count in the error. Scale the columns, for example with sklearn.preprocessing.StandardScaler.",
            UserWarning,
            stacklevel=4,
        )


def check_range(
    bounds: tuple[np.ndarray, np.ndarray], data_range: tuple[Any, Any], names: np.ndarray | None, what: str
) -> None:
    """Raise a ValueError where the bounds of columns exceed a closed interval, or one for each; `what` asked for it.

    They may by the rounding of float32, in which training takes them: scaling to [0, 1] may end beside it.
    """
    low, high = bounds
    least, greatest = (np.broadcast_to(np.asarray(end, dtype=float), low.shape) for end in data_range)
    slack = ROUNDING * np.maximum(1, np.where(np.isfinite(greatest), np.abs(greatest), 0))
    outside = np.flatnonzero((low < least - slack) | (high > greatest + slack))
    if len(outside):
        i = outside[0]
        negative = "Negative values in data: " if (low < least).any() and (least >= 0).all() else ""
        raise ValueError(
            f"{negative}{what} models data in [{least[i]:g}, {greatest[i]:g}], but X has values from "
            f"{low[outside].min():g} to {high[outside].max():g} outside the range: in {column_list(outside, names)}. "
            "Scale the data, for example with sklearn.preprocessing.MinMaxScaler, or choose loss='squared_error' and "
            "another output_activation."
        )


def column_list(indices: Sequence[int] | np.ndarray, names: np.ndarray | None) -> str:
    """Return some columns in words, by name where they have names."""
    shown = ", ".join(repr(str(names[i])) if names is not None else str(i) for i in indices[:10])
    more = f" and {len(indices) - 10} more" if len(indices) > 10 else ""
    return f"column{'s' if len(indices) > 1 else ''} {shown}{more}"
