"""Tables: the user's data, dense, sparse or a tensor, and the statistics of its columns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from sklearn_ae._data.arrays import as_tensor, row_slices, to_float_tensor
from sklearn_ae._data.columns import ColumnStats, ColumnVariation, column_list

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
    #: Greatest number of samples that may be held out for validation, None for any.
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
        """Return mean and range of the columns, after checking that entries are finite, or NaN if allowed.

        Raises
        ------
        ValueError
            If an entry is infinite, or NaN without `allow_nan`; the message names the columns.
        """
        d = self.shape[1]
        origin: Any = None
        total, n_observed = np.zeros(d), np.zeros(d, dtype=np.int64)
        low, high = np.full(d, np.inf), np.full(d, -np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            for _, x in self.chunks():
                observed = ~np.isnan(x) if allow_nan and np.isnan(x.sum()) else None
                origin = _summation_origin(x, observed) if origin is None else origin
                sums, least, greatest = _sums_and_range(x, origin, observed)
                total += sums
                n_observed += len(x) if observed is None else observed.sum(axis=0)
                low, high = np.fmin(low, least), np.fmax(high, greatest)
            finite = np.isfinite(total) & np.isfinite(np.where(n_observed > 0, high - low, 0.0))
        if not finite.all():
            self._raise_nonfinite(~finite, names, allow_nan)
        mean = origin + total / np.maximum(n_observed, 1)
        return _observed_columns(mean, low, high, n_observed, len(self))

    def variation(self, columns: ColumnStats) -> ColumnVariation:
        """Return the variation of the entries about the mean and between the ends of the range of their columns."""
        unit, (low, high) = _overflow_guard(columns), map(as_tensor, (columns.low, columns.high))
        squares, between = np.zeros(self.shape[1]), np.zeros(self.shape[1], dtype=np.int64)
        for _, x in self.chunks():
            t = to_float_tensor(x)
            deviations = t.to(torch.float64, copy=True).sub_(as_tensor(columns.mean)).div_(unit).square_()
            sums = deviations.sum(0)
            squares += (sums if torch.isfinite(sums).all() else deviations.nansum(0)).numpy()
            between += ((t > low.to(t)) & (t < high.to(t))).sum(0, dtype=torch.int32).numpy()
        return ColumnVariation(unit, squares, columns.n_observed, columns.n_observed - between)

    def _raise_nonfinite(self, suspects: np.ndarray, names: np.ndarray | None, allow_nan: bool) -> None:
        nan, infinite = np.zeros(self.shape[1], dtype=bool), np.zeros(self.shape[1], dtype=bool)
        for _, x in self.chunks():
            nan |= np.isnan(x).any(axis=0)
            infinite |= np.isinf(x).any(axis=0)
        _raise_unusable(nan & (not allow_nan), infinite, suspects, names)


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
                f"X is a {X.layout} tensor of {X.dtype} with {X.ndim} dimension(s), but a dense one of real numbers "
                "with two, (n_samples, n_features), is needed."
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
        if infinite.any() or (nan.any() and not allow_nan):
            flags = (np.bincount(X.indices[flag], minlength=self.shape[1]) > 0 for flag in (nan, infinite))
            _raise_unusable(next(flags) & (not allow_nan), next(flags), np.zeros(self.shape[1], dtype=bool), names)
        n_observed = len(self) - np.bincount(X.indices[nan], minlength=self.shape[1])
        unit = float(np.abs(X.data[~nan]).max(initial=0)) or 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = min_max_axis(X, axis=0, ignore_nan=True)
            too_large = np.isinf(high - low)
            X.data /= unit
            mean = np.clip(mean_variance_axis(X, axis=0)[0] * unit, low, high)  # that of a constant is exact
        if too_large.any():
            _raise_unusable(infinite[:0], infinite[:0], too_large, names)
        return _observed_columns(mean, low, high, n_observed, len(self))

    def variation(self, columns: ColumnStats) -> ColumnVariation:
        """Return the variation of the entries, from the stored ones; see :meth:`Table.variation`."""
        X, unit = self.X.astype(np.float64), _overflow_guard(columns)
        low, high = (bound[X.indices] for bound in (columns.low, columns.high))
        n_stored = np.bincount(X.indices, minlength=self.shape[1])
        on_bounds = np.bincount(X.indices[(X.data == low) | (X.data == high)], minlength=self.shape[1])
        on_bounds += np.where((columns.low == 0) | (columns.high == 0), len(self) - n_stored, 0)
        X.data /= unit
        with np.errstate(invalid="ignore"):
            variances = np.where(columns.n_observed > 0, mean_variance_axis(X, axis=0)[1], 0.0)
        return ColumnVariation(unit, variances * columns.n_observed, columns.n_observed, on_bounds)


def _raise_unusable(nan: np.ndarray, infinite: np.ndarray, suspects: np.ndarray, names: np.ndarray | None) -> None:
    """Raise the ValueError for columns with NaN, with infinity, or with sums that overflow."""
    imputation = "drop or fill them first, for example with sklearn.impute.SimpleImputer"
    if nan.any():
        raise ValueError(
            f"Input X contains NaN in {column_list(np.flatnonzero(nan), names)}. AutoencoderTransformer does not "
            f"accept missing values with missing='error': set missing='mask' to leave them out, or {imputation}."
        )
    if infinite.any():
        raise ValueError(
            f"Input X contains infinity in {column_list(np.flatnonzero(infinite), names)}. AutoencoderTransformer does "
            f"not accept infinite values: {imputation}."
        )
    raise ValueError(
        f"Input X is too large for float64 arithmetic in {column_list(np.flatnonzero(suspects), names)}: the sum of a "
        "column overflows. Divide the data by a constant."
    )


def _summation_origin(x: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Return a point about which sums in float64 lose no digits, so that the mean of a constant is exact.

    It is zero for float32, which has few digits, otherwise the first observed entry of each column, or 0 without one.
    """
    if x.dtype == np.float32:
        return np.zeros(x.shape[1])
    if observed is None:
        return x[0].astype(np.float64)
    return np.where(observed.any(axis=0), x[observed.argmax(axis=0), np.arange(x.shape[1])], 0).astype(np.float64)


def _sums_and_range(x: np.ndarray, origin: np.ndarray, observed: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Return the sum, about an origin, and the range of the observed entries of each column."""
    if observed is None:
        t = to_float_tensor(x)
        centred = t if t.dtype == torch.float32 else t - as_tensor(origin)
        return centred.sum(0, dtype=torch.float64).numpy(), t.amin(0).numpy(), t.amax(0).numpy()
    sums = np.where(observed, np.subtract(x, origin, dtype=np.float64), 0).sum(axis=0)
    return sums, np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)


def _observed_columns(
    mean: np.ndarray, low: np.ndarray, high: np.ndarray, n_observed: np.ndarray, n_rows: int
) -> ColumnStats:
    seen = n_observed > 0
    mean, low, high = (np.where(seen, each, 0.0) for each in (mean, low, high))
    return ColumnStats(mean, low, high, n_observed, n_rows)


def _overflow_guard(columns: ColumnStats) -> float:
    """Return a unit in which no deviation from the mean exceeds 1."""
    return float(np.maximum(columns.high - columns.mean, columns.mean - columns.low).max(initial=0)) or 1.0


def _summed(X: Any) -> Any:
    X = X.copy()
    X.sum_duplicates()
    return X
