"""What the columns of data hold, and the centred and scaled coordinates that the network works in."""

import warnings
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.random import sample_without_replacement
from torch import Tensor

from sklearn_ae.base import Frame

__all__ = [
    "Columns",
    "Coordinates",
    "Spread",
    "as_tensor",
    "check_range",
    "check_scale",
    "chunks",
    "column_list",
    "floats",
    "held_out_rows",
    "in_scale",
    "observe",
    "share_on_bounds",
    "warn_of_ranges",
]

#: A chunk's entries, and its rows: hidden layers are wider than narrow data.
CHUNK_ENTRIES, CHUNK_ROWS = 2**19, 2**13
#: Share of a range by which data may exceed it.
ROUNDING = 1e-6
#: Least scale of data, and the inverse of the greatest: far enough within the square roots of float64's range.
LEAST_SCALE = 1e-130
#: Greatest entry in the network's coordinates, or length of its weights: the squares of many fit into float32.
GREATEST_ENTRY = 1e15
#: Ratio of the ranges of two columns from which on the narrow one hardly counts.
UNEQUAL_RANGES = 1e3


def chunks(n_rows: int, width: int) -> Iterator[slice]:
    """Yield slices over rows, few enough of them that a chunk stays in the cache."""
    step = max(1, min(CHUNK_ENTRIES // width, CHUNK_ROWS))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


class Columns(NamedTuple):
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


class Spread(NamedTuple):
    """How the observed entries of each column lie between its bounds."""

    unit: float
    squares: np.ndarray  # (n_features,), summed about the mean, in squares of the unit
    n_observed: np.ndarray  # (n_features,)
    n_on_bounds: np.ndarray  # (n_features,), entries that are the least or the greatest

    def root_mean_square(self, columns: Any = slice(None)) -> float:
        """Return the root mean square of the entries of some columns, or all, about their columns' means."""
        return self.unit * float(np.sqrt(self.squares[columns].sum() / max(self.n_observed[columns].sum(), 1)))


def share_on_bounds(columns: Columns, spread: Spread) -> float:
    """Return the share of entries that repeat their column's least or greatest entry; constant columns do not count."""
    varying = columns.low < columns.high
    if not varying.any():
        return 0.0
    repeats = spread.n_on_bounds[varying].sum() - 2 * varying.sum()
    return float(repeats / columns.n_observed[varying].sum())


class Coordinates:
    """Where the network's coordinates lie in the data's: x = offset + scale * z, or x = z in raw columns.

    Parameters
    ----------
    offset : ndarray of shape (n_features,), float64
        Zero in raw columns.
    scale : float
        Of the other columns.
    raw : ndarray of shape (n_features,), bool, or None
        The raw columns where some are and some are not, else None.
    spread : float
        Root mean square of all entries about their columns' means, in the network's coordinates.
    """

    def __init__(self, offset: np.ndarray, scale: float, raw: np.ndarray | None = None, spread: float = 1.0):
        self.offset = offset
        self.scale = scale
        self.raw = raw
        self.spread = spread
        #: Width of the network's unit in each column of the data, and the same in units of `scale`.
        self.widths: Any = scale if raw is None else np.where(raw, 1.0, scale)
        self.relative_widths: Any = 1.0 if raw is None else np.where(raw, 1 / scale, 1.0)
        self._offset = as_tensor(offset)
        self._widths = torch.as_tensor(self.widths, dtype=torch.float64)
        self._high = self._offset.float()
        low = (self._offset - self._high).float()
        self._low = low if low.abs().max() > torch.finfo(torch.float32).eps / 4 * scale else None

    @classmethod
    def of(cls, mean: np.ndarray, spread: Spread, raw: Any) -> "Coordinates":
        """Centre columns that are not raw at their means and divide them by their overall root mean square.

        Where that is zero, by 1. `raw` is a bool for all columns, or an array of one for each.
        """
        raw = np.broadcast_to(np.asarray(raw), mean.shape)
        if raw.all():
            return cls(np.zeros_like(mean), 1.0, spread=spread.root_mean_square())
        if not raw.any():
            return cls(mean, spread.root_mean_square() or 1.0)
        return cls(np.where(raw, 0.0, mean), spread.root_mean_square(~raw) or 1.0, raw)

    def to_network(self, X: np.ndarray | Tensor, dtype: torch.dtype) -> Tensor:
        """Return a new tensor; data other than float32 is centred in float64 before it is rounded."""
        x = floats(X)
        if x.dtype == torch.float32:
            Z = x - self._high.to(x.device)
            if self._low is not None:
                Z -= self._low.to(x.device)
        else:
            Z = x - self._offset.to(x.device)
        if self.raw is not None:
            Z /= self._widths.to(x.device)
        elif self.scale != 1.0:
            Z /= self.scale
        return Z.to(dtype)

    def of_point(self, x: np.ndarray) -> np.ndarray:
        """Return the network's coordinates, in float64, of one point (n_features,)."""
        return (x - self.offset) / self.widths

    def to_data(self, Z: Tensor) -> Tensor:
        """Return a new tensor in the data's coordinates."""
        if self.raw is not None:
            return torch.addcmul(self._offset.to(Z), Z, self._widths.to(Z))
        return torch.add(self._offset.to(Z), Z, alpha=self.scale)

    def relative_widths_like(self, Z: Tensor) -> Tensor | None:
        """Return `relative_widths` on the device and in the precision of Z; None where columns do not differ."""
        return None if self.raw is None else torch.from_numpy(self.relative_widths).to(Z)

    def frame(self, bounds: tuple[np.ndarray, np.ndarray], device: torch.device) -> Frame:
        """Return the landmarks of data with the given bounds of its columns."""
        points = (np.zeros_like(self.offset), *bounds)
        zero, low, high = (torch.from_numpy(self.of_point(point)).to(device, torch.float32) for point in points)
        return Frame(zero, low, high, self.spread)


def in_scale(difference: Tensor, relative_widths: Tensor | None) -> Tensor:
    """Return differences of points in the network's coordinates in units of the scale; the tensor itself for None."""
    return difference if relative_widths is None else difference * relative_widths


def observe(z: Tensor, fill: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return rows with missing entries filled, and which are observed; the rows and None where `fill` is None.

    Missing entries are NaN; `fill` (n_features,) stands for them.
    """
    if fill is None:
        return z, None
    observed = ~z.isnan()
    return torch.where(observed, z, fill.to(z)), observed


def held_out_rows(
    n_samples: int, validation_fraction: float, random_state: Any, at_most: int | None = None
) -> np.ndarray:
    """Return the sorted indices of validation rows, ceil(fraction * n_samples) unless that is too many."""
    n_valid = ceil(validation_fraction * n_samples)
    if n_valid >= n_samples:
        raise ValueError(
            f"validation_fraction={validation_fraction!r} leaves no training row of the {n_samples} given; "
            "lower it, give more rows, or set early_stopping=False."
        )
    if at_most is None:
        return np.sort(random_state.permutation(n_samples)[:n_valid])
    return np.sort(sample_without_replacement(n_samples, min(n_valid, at_most), random_state=random_state))


def check_scale(scale: float) -> None:
    """Raise a ValueError where squares of data of such a scale, or their sums, leave the range of float64."""
    if not LEAST_SCALE <= scale <= 1 / LEAST_SCALE:
        raise ValueError(
            f"X varies on a scale of {scale:.3g}, and its squares leave the range of float64: the scale must be from "
            f"{LEAST_SCALE:g} to {1 / LEAST_SCALE:g}. Multiply X by a constant."
        )


def warn_of_ranges(columns: Columns, raw: Any, names: np.ndarray | None) -> None:
    """Warn where columns that are measured by one scale have very different ranges; constant ones do not count."""
    ranges = columns.high - columns.low
    measured = np.flatnonzero((ranges > 0) & ~np.broadcast_to(np.asarray(raw), ranges.shape))
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


def as_tensor(X: np.ndarray) -> Tensor:
    """Return X as a tensor that shares its memory where torch can and may write there."""
    return torch.from_numpy(X if X.flags.c_contiguous and X.flags.writeable else X.copy(order="C"))


def floats(X: np.ndarray | Tensor) -> Tensor:
    """Return numbers of any type as a tensor, in float32 where they are that, otherwise in float64.

    It shares the memory of X where it can; a tensor, which is in one of these, stays.
    """
    if isinstance(X, Tensor):
        return X
    return as_tensor(X if X.dtype == np.float32 else X.astype(np.float64, copy=False))


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
