"""Tables: the user's data, dense, sparse or a tensor, and the statistics of its columns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from torch import Tensor

from sklearn_ae._data.arrays import as_tensor, row_slices, to_float_tensor
from sklearn_ae._data.columns import LEAST_SCALE, ColumnStats, column_list

__all__ = ["DenseTable", "SparseTable", "Table", "TensorTable"]


class Table:
    """Samples that can be read in order, in small chunks.

    A subclass has the attributes below and yields chunks.

    Parameters
    ----------
    shape : tuple of int
        Numbers of samples and features.
    dtype : numpy.dtype
        Type of the entries.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    #: Maximum number of samples that may be held out for validation, None for no limit.
    most_held_out: int | None = None
    #: Device of results as tensors, None for arrays.
    device: torch.device | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows, and the samples as a dense array."""
        raise NotImplementedError

    def parts(self) -> Iterator[tuple[slice, Any]]:
        """Yield slices of rows, and the samples as a dense array, or as a tensor if results should be tensors."""
        yield from self.chunks()

    def columns(self, names: np.ndarray | None = None, *, allow_nan: bool = False) -> ColumnStats:
        """Return statistics of the columns in one pass, after checking that entries are finite, or NaN if allowed.

        Raises
        ------
        ValueError
            If an entry is infinite, or NaN without `allow_nan`; the message names the columns.
        """
        running = _RunningStats(self.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            for _, x in self.chunks():
                running.add(x, ~np.isnan(x) if allow_nan and np.isnan(x.sum()) else None)
            finite = np.isfinite(running.total) & np.isfinite(running.width)
        if not finite.all():
            self._raise_nonfinite(~finite, names, allow_nan)
        return running.columns(len(self))

    def _raise_nonfinite(self, suspects: np.ndarray, names: np.ndarray | None, allow_nan: bool) -> None:
        nan, infinite = np.zeros(self.shape[1], dtype=bool), np.zeros(self.shape[1], dtype=bool)
        n_incomplete = 0
        for _, x in self.chunks():
            missing = np.isnan(x)
            nan |= missing.any(axis=0)
            n_incomplete += int(missing.any(axis=1).sum())
            infinite |= np.isinf(x).any(axis=0)
        if nan.any() and not allow_nan:
            _raise_missing(nan, n_incomplete, len(self), names)
        _raise_unusable(infinite, suspects, names)


class DenseTable(Table):
    """A dense array in memory."""

    def __init__(self, X: np.ndarray):
        self.X = X
        self.shape: Any = X.shape
        self.dtype = X.dtype

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and views of the samples."""
        for rows in row_slices(*self.shape):
            yield rows, self.X[rows]


class TensorTable(Table):
    """A tensor, on any device."""

    def __init__(self, X: torch.Tensor):
        if X.ndim != 2 or X.layout != torch.strided or X.is_complex():
            raise ValueError(
                "X must be a dense tensor of real numbers with two dimensions, (n_samples, n_features), got a "
                f"{X.layout} tensor of {X.dtype} with {X.ndim} dimension(s)."
                + (" Make each sample, such as an image, one row: X.flatten(1)." if X.ndim > 2 else "")
            )
        self.X = X.detach() if X.dtype in (torch.float32, torch.float64) else X.detach().double()
        self.shape: Any = tuple(X.shape)
        self.dtype = np.dtype(np.float32 if X.dtype == torch.float32 else np.float64)
        self.device = X.device
        self.header = np.empty((0, X.shape[1]))

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and the samples on the CPU."""
        for rows, x in self.parts():
            yield rows, x.cpu().numpy()

    def parts(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield slices of rows and views of the samples."""
        for rows in row_slices(*self.shape):
            yield rows, self.X[rows]


class SparseTable(Table):
    """A matrix in CSR format; only its chunks are made dense."""

    def __init__(self, X: Any):
        self.X = X if X.has_canonical_format else _summed(X)
        self.shape: Any = X.shape
        self.dtype = X.dtype

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and dense copies of the samples."""
        for rows in row_slices(*self.shape):
            yield rows, self.X[rows].toarray()

    def columns(self, names: np.ndarray | None = None, *, allow_nan: bool = False) -> ColumnStats:
        """Return mean and range of the columns, from the stored entries; see :meth:`Table.columns`."""
        X = self.X.astype(np.float64)
        nan, infinite = np.isnan(X.data), np.isinf(X.data)
        if nan.any() and not allow_nan:
            rows = np.repeat(np.arange(len(self)), np.diff(X.indptr))
            _raise_missing(self._columns_with(nan), len(np.unique(rows[nan])), len(self), names)
        if infinite.any():
            _raise_unusable(self._columns_with(infinite), infinite[:0], names, "X.data")
        n_observed = len(self) - np.bincount(X.indices[nan], minlength=self.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = min_max_axis(X, axis=0, ignore_nan=True)
            width, on_bounds = np.where(n_observed > 0, high - low, 0.0), self._count_on_bounds(X, low, high)
            unit = _or_one(np.where(width > 0, width, np.abs(high)))
            X.data /= unit[X.indices]
            mean, variance = mean_variance_axis(X, axis=0)
            mean = np.clip(mean * unit, low, high)  # that of a constant is exact
        if np.isinf(width).any():
            _raise_unusable(infinite[:0], np.isinf(width), names)
        squares = variance * n_observed
        return _zero_if_unobserved(ColumnStats(mean, low, high, n_observed, len(self), on_bounds, squares, width))

    def _columns_with(self, stored: np.ndarray) -> np.ndarray:
        return np.bincount(self.X.indices[stored], minlength=self.shape[1]) > 0

    def _count_on_bounds(self, X: Any, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        on_bounds = X.indices[(X.data == low[X.indices]) | (X.data == high[X.indices])]
        n_stored, n_on_bounds = (np.bincount(indices, minlength=self.shape[1]) for indices in (X.indices, on_bounds))
        return n_on_bounds + np.where((low == 0) | (high == 0), len(self) - n_stored, 0)


class _RunningStats:
    """Statistics of columns over the chunks added so far, each of which is read once, while it is in the cache.

    Squares are summed about the mean of the chunks so far, and from them follow those about the mean of each chunk and
    between the means of chunks: about zero, data far from zero would lose its digits (Chan et al., 1983).
    """

    def __init__(self, d: int):
        self.origin: Any = None
        self.total, self.squares, self.width = np.zeros((3, d))
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)
        self.n_observed, self.n_low, self.n_high = np.zeros((3, d), dtype=np.int64)

    def add(self, x: np.ndarray, observed: np.ndarray | None) -> None:
        """Add a chunk, of which the given entries are observed, or all."""
        if self.origin is None:
            self.origin = _first_observed(x, observed)
        t = to_float_tensor(x)
        n = np.full(x.shape[1], len(x)) if observed is None else observed.sum(axis=0)
        n_both, n_or_one = self.n_observed + n, np.maximum(n, 1)
        low, high = self._add_range(x, t, observed)
        width = np.where(n_both > 0, high - low, 0.0)
        unit, centre = _or_one(width), self._centre(t, n_or_one, observed)
        deviations = t.to(torch.float64, copy=True).sub_(as_tensor(centre))
        sums = _sums(deviations, observed)
        about_centre = _squares(deviations, unit, observed) - (sums / unit) ** 2 / n_or_one
        shift = centre - self.origin + sums / n_or_one - self.total / np.maximum(self.n_observed, 1)
        self.squares = (
            self.squares * (self.width / unit) ** 2
            + np.maximum(about_centre, 0.0)
            + (shift / unit) ** 2 * (self.n_observed * n / np.maximum(n_both, 1))
        )
        self.total += sums + n * (centre - self.origin)
        self.n_observed, self.low, self.high, self.width = n_both, low, high, width

    def _add_range(self, x: np.ndarray, t: Tensor, observed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the range of the columns with those of a chunk, and count the entries on its ends."""
        least, greatest = _range(x, t, observed)
        low, high = np.fmin(self.low, least), np.fmax(self.high, greatest)
        self.n_low = self.n_low * (self.low == low) + _count_equal(t, least, least == low)
        self.n_high = self.n_high * (self.high == high) + _count_equal(t, greatest, greatest == high)
        return low, high

    def _centre(self, t: Tensor, n: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
        """Return the mean of the chunks so far, of this one in columns without any entry so far."""
        mean = self.origin + self.total / np.maximum(self.n_observed, 1)
        if (self.n_observed > 0).all():
            return mean
        own = self.origin + _sums(t.to(torch.float64) - as_tensor(self.origin), observed) / n
        return np.where(self.n_observed > 0, mean, own)

    def columns(self, n_rows: int) -> ColumnStats:
        """Return the statistics of all chunks."""
        mean = self.origin + self.total / np.maximum(self.n_observed, 1)
        n_on_bounds = self.n_low + np.where(self.low < self.high, self.n_high, 0)
        return _zero_if_unobserved(
            ColumnStats(mean, self.low, self.high, self.n_observed, n_rows, n_on_bounds, self.squares, self.width)
        )


def _raise_missing(nan: np.ndarray, n_incomplete: int, n_rows: int, names: np.ndarray | None) -> None:
    """Raise the ValueError for columns with NaN."""
    raise ValueError(
        f"Input X contains NaN in {column_list(np.flatnonzero(nan), names)}. Values are missing in {n_incomplete} of "
        f"{n_rows} samples. AutoencoderTransformer does not accept missing values with missing='error': fit with "
        "missing='mask' to leave them out, or drop or fill them first, for example with sklearn.impute.SimpleImputer. "
        "See docs/guide/missing.md."
    )


def _raise_unusable(infinite: np.ndarray, suspects: np.ndarray, names: np.ndarray | None, entries: str = "X") -> None:
    """Raise the ValueError for columns with infinity, or with sums that overflow."""
    if infinite.any():
        raise ValueError(
            f"Input X contains infinity in {column_list(np.flatnonzero(infinite), names)}. AutoencoderTransformer does "
            "not accept infinite values: drop these samples, or replace them by finite values or by NaN, for missing "
            f"ones, with {entries}[numpy.isinf({entries})] = numpy.nan."
        )
    raise ValueError(
        f"Input X is too large for float64 arithmetic in {column_list(np.flatnonzero(suspects), names)}: the sum of a "
        "column overflows. Divide the data by a constant."
    )


def _first_observed(x: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Return the first observed entry of each column, or 0 without one: sums about it lose no digits.

    The mean of a constant is exact.
    """
    if observed is None:
        return x[0].astype(np.float64)
    return np.where(observed.any(axis=0), x[observed.argmax(axis=0), np.arange(x.shape[1])], 0).astype(np.float64)


def _squares(deviations: Tensor, unit: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Return the sums of squares of each column in squares of its unit, and overwrite the deviations."""
    if (unit < LEAST_SCALE).any() or (unit > 1 / LEAST_SCALE).any():
        return _sums(deviations.div_(as_tensor(unit)).square_(), observed)
    return _sums(deviations.square_(), observed) / unit**2


def _sums(x: Tensor, observed: np.ndarray | None) -> np.ndarray:
    return (x.sum(0) if observed is None else x.nansum(0)).numpy()


def _range(x: np.ndarray, t: Tensor, observed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest observed entry of each column; t is x as a tensor."""
    if observed is None:
        return t.amin(0).numpy(), t.amax(0).numpy()
    return np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)


def _count_equal(t: Tensor, values: np.ndarray, occur: np.ndarray) -> np.ndarray:
    """Return how many entries of each column equal its value, 0 for columns in which that does not occur."""
    if not occur.any():
        return np.zeros(len(values), dtype=np.int64)
    if 4 * occur.sum() < len(occur):  # in data without repeats a new chunk has few extremes
        counts = np.zeros(len(values), dtype=np.int64)
        chosen = np.flatnonzero(occur)
        counts[chosen] = _count_equal(t[:, as_tensor(chosen)], values[chosen], occur[chosen])
        return counts
    equal = torch.eq(t, as_tensor(values), out=torch.empty_like(t))  # in floats, whose sums are several times as fast
    return equal.sum(0).numpy().astype(np.int64) * occur


def _or_one(width: np.ndarray) -> np.ndarray:
    return np.where(width > 0, width, 1.0)


def _zero_if_unobserved(columns: ColumnStats) -> ColumnStats:
    seen = columns.n_observed > 0
    mean, low, high = (np.where(seen, each, 0.0) for each in (columns.mean, columns.low, columns.high))
    squares = np.where(seen, columns.squares, 0.0)
    return columns._replace(mean=mean, low=low, high=high, squares=squares)


def _summed(X: Any) -> Any:
    X = X.copy()
    X.sum_duplicates()
    return X
