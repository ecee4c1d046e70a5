"""Statistics of columns, and the errors and warnings that name columns."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ColumnRange",
    "ColumnStats",
    "check_range",
    "check_scale",
    "closed_range",
    "column_list",
    "warn_about_ranges",
]

#: Fraction of a range by which data may exceed it.
ROUNDING = 1e-6
#: Minimum scale of data, and the inverse of the maximum: well within the square roots of float64's range.
LEAST_SCALE = 1e-130
#: Ratio of the ranges of two columns from which on a warning is given.
UNEQUAL_RANGES = 1e3


class ColumnStats(NamedTuple):
    """Statistics of the observed entries of each column, all (n_features,); zeros for columns without any."""

    mean: np.ndarray  # in float64
    low: np.ndarray
    high: np.ndarray
    n_observed: np.ndarray
    n_rows: int
    n_on_bounds: np.ndarray  # entries that are the least or the greatest
    squares: np.ndarray  # of the deviations from the mean, summed, in squares of the unit
    unit: np.ndarray  # in which no deviation exceeds 1, so that squares neither overflow nor vanish

    @property
    def gaps(self) -> bool:
        """Whether any entry is missing."""
        return bool(self.n_observed.min() < self.n_rows)

    @property
    def range(self) -> "ColumnRange":
        """The least and the greatest entry of each column."""
        return ColumnRange(self.low, self.high, self.n_observed > 0)

    def root_mean_square(self, columns: Any = slice(None)) -> float:
        """Return the root mean square of the entries of some columns about their columns' means."""
        unit = self.unit[columns]
        greatest = float(unit.max(initial=0)) or 1.0
        total = (self.squares[columns] * (unit / greatest) ** 2).sum()
        return greatest * float(np.sqrt(total / max(self.n_observed[columns].sum(), 1)))

    @property
    def fraction_on_bounds(self) -> float:
        """The fraction of entries that repeat their column's least or greatest one, without constant columns."""
        varying = self.low < self.high
        repeats = self.n_on_bounds[varying].sum() - 2 * varying.sum()
        return float(repeats / max(self.n_observed[varying].sum(), 1))


class ColumnRange(NamedTuple):
    """The least and the greatest observed entry of each column, all (n_features,); zeros for columns without any."""

    low: np.ndarray
    high: np.ndarray
    is_observed: np.ndarray  # bool, whether the column has an observed entry

    def union(self, other: "ColumnRange") -> "ColumnRange":
        """Return the range of the data of both."""
        both = self.is_observed & other.is_observed
        low, high = (
            np.where(both, widest(new, old), np.where(other.is_observed, new, old))
            for widest, new, old in ((np.minimum, other.low, self.low), (np.maximum, other.high, self.high))
        )
        return ColumnRange(low, high, self.is_observed | other.is_observed)


def check_scale(scale: float) -> None:
    """Raise a ValueError if squares of data of this scale, or their sums, leave the range of float64."""
    if not LEAST_SCALE <= scale <= 1 / LEAST_SCALE:
        raise ValueError(
            f"X varies on a scale of {scale:.3g}, and its squares leave the range of float64: the scale must be "
            f"between {LEAST_SCALE:g} and {1 / LEAST_SCALE:g}. Multiply X by a constant."
        )


def warn_about_ranges(columns: ColumnStats, unscaled: Any, names: np.ndarray | None) -> None:
    """Warn if the ranges of two scaled columns differ by a factor of 1,000 or more, constant columns aside."""
    ranges = columns.high - columns.low
    scaled = np.flatnonzero((ranges > 0) & ~np.broadcast_to(np.asarray(unscaled), ranges.shape))
    if len(scaled) == 0:
        return
    narrow, wide = scaled[[ranges[scaled].argmin(), ranges[scaled].argmax()]]
    with np.errstate(over="ignore"):
        ratio = ranges[wide] / ranges[narrow]
    if ratio >= UNEQUAL_RANGES:
        warnings.warn(
            f"The columns' ranges differ by a factor of {ratio:.2g}: {ranges[narrow]:.2g} in "
            f"{column_list([narrow], names)} and {ranges[wide]:.2g} in {column_list([wide], names)}. Columns with a "
            "small range contribute almost nothing to the error. Scale the columns, for example with "
            "sklearn.preprocessing.StandardScaler.",
            UserWarning,
            stacklevel=5,
        )


def closed_range(data_range: tuple[Any, Any], n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest entry (n_features,) that an interval, or one for each column, allows.

    Data may exceed it by the rounding of float32, the precision of training: scaled to [0, 1] it may end just outside.
    """
    least, greatest = (np.broadcast_to(np.asarray(end, dtype=float), n_features) for end in data_range)
    slack = ROUNDING * np.maximum(1, np.where(np.isfinite(greatest), np.abs(greatest), 0))
    return least - slack, greatest + slack


def check_range(columns: ColumnRange, data_range: tuple[Any, Any], names: np.ndarray | None, what: str) -> None:
    """Raise a ValueError if data exceeds a closed interval, or one for each column, that `what` requires."""
    low, high = columns.low, columns.high
    least, greatest = closed_range(data_range, len(low))
    outside = np.flatnonzero((low < least) | (high > greatest))
    least, greatest = (np.broadcast_to(np.asarray(end, dtype=float), low.shape) for end in data_range)
    if len(outside):
        i = outside[0]
        negative = "Negative values in data: " if (low < least).any() and (least >= 0).all() else ""
        raise ValueError(
            f"{negative}{what} models data in [{least[i]:g}, {greatest[i]:g}], but X has values from "
            f"{low[outside].min():g} to {high[outside].max():g} outside the range: in {column_list(outside, names)}. "
            "Scale the data, for example with sklearn.preprocessing.MinMaxScaler(clip=True), which limits new samples "
            "too, or choose loss='squared_error' and another output_activation."
        )


def column_list(indices: Sequence[int] | np.ndarray, names: np.ndarray | None) -> str:
    """Return a list of columns for a message, by name if they have names."""
    shown = ", ".join(repr(str(names[i])) if names is not None else str(i) for i in indices[:10])
    more = f" and {len(indices) - 10} more" if len(indices) > 10 else ""
    return f"column{'s' if len(indices) > 1 else ''} {shown}{more}"
