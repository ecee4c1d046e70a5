"""Dask collections, block by block: lazily for what a fitted estimator computes, one at a time for what a fit reads.

Dask is imported where it is used: whoever passes one of its collections has it.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any, TypeVar

import numpy as np

__all__ = ["DaskBlocks", "is_dask", "numbers", "on_dask_collections"]

#: Methods that give a row, or a number, for each row.
LAZY = ("transform", "inverse_transform", "score_samples", "reconstruction_error")

Estimator = TypeVar("Estimator", bound=type)


def is_dask(X: Any) -> bool:
    """Return whether X is a collection of dask's."""
    return type(X).__module__.startswith("dask.")


class DaskBlocks:
    """The blocks of rows of a dask array or data frame, computed one by one, by the active scheduler or client.

    Where the numbers of rows are unknown, as in data frames, they are counted, which computes every block once:
    ``X.persist()`` first keeps the blocks on the workers where these have the memory.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        Columns in several chunks are joined.

    Attributes
    ----------
    header : ndarray or pandas.DataFrame of shape (0, n_features)
        No rows, but the columns, with names where X has them.
    dtype : numpy.dtype
        Of the entries.
    names : list or None
        Names of the columns of a data frame.
    n_features : int
        Number of columns.
    lengths : list of int
        Number of rows of each block.
    """

    def __init__(self, X: Any):
        X = _in_blocks_of_rows(X)
        self.header = _example(X)[:0]
        self.dtype = np.asarray(self.header).dtype
        self.names = None if _is_array(X) else list(X.columns)
        self.n_features = X.shape[1]
        self._X, self._blocks = X, _delayed_blocks(X)  # what workers keep of X, they keep as long as it is there
        known = _is_array(X) and not np.isnan(X.shape[0])
        self.lengths = list(X.chunks[0]) if known else self._counted()

    def read(self, i: int) -> np.ndarray:
        """Return block i."""
        return numbers(self._blocks[i].compute(), self.dtype)

    def _counted(self) -> list[int]:
        from dask.base import compute
        from dask.delayed import delayed

        return list(compute(*map(delayed(len), self._blocks)))


def on_dask_collections(cls: Estimator) -> Estimator:
    """Let methods of a fitted estimator take dask arrays and data frames, and give lazy ones for them.

    It decorates the class, not its methods, so as to come before scikit-learn's ``set_output``, which would compute.
    """
    for name in LAZY:
        setattr(cls, name, _lazily(getattr(cls, name)))
    cls._error_and_variance = _summed(cls._error_and_variance)  # type: ignore[attr-defined]
    return cls


def _lazily(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that gives a lazy collection of the same kind where it is given one of dask's."""

    @wraps(method)
    def of_any(self: Any, X: Any, **kwargs: Any) -> Any:
        if not is_dask(X):
            return method(self, X, **kwargs)
        X = _in_blocks_of_rows(X)
        like = np.asarray(method(self, _example(X), **kwargs))[:0]  # raises where the columns do not fit
        call = {"estimator": _frozen(self), "method": method.__name__, "like": like, "parameters": kwargs}
        if _is_array(X):
            chunks = (X.chunks[0], *((n,) for n in like.shape[1:]))
            axis = [] if like.ndim == 2 else [1]
            return X.map_blocks(_of_block, **call, chunks=chunks, drop_axis=axis, meta=like, dtype=like.dtype)
        columns = _columns(self, method.__name__) if like.ndim == 2 else None
        return X.map_partitions(_of_partition, **call, columns=columns, meta=_framed(like, columns, X._meta.index))

    return of_any


def _summed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that adds up what it gives for each block where it is given a dask collection."""

    @wraps(method)
    def of_any(self: Any, X: Any) -> Any:
        if not is_dask(X):
            return method(self, X)
        from dask.base import compute
        from dask.delayed import delayed

        X = _in_blocks_of_rows(X)
        like = np.zeros((0, len(method(self, _example(X)))))
        call = {"estimator": _frozen(self), "method": method.__name__, "like": like, "parameters": {}}
        parts = compute(*(delayed(_of_block)(block, **call) for block in _delayed_blocks(X)))
        return tuple(float(total) for total in np.concatenate([np.atleast_2d(part) for part in parts]).sum(axis=0))

    return of_any


def _of_block(block: Any, estimator: Any, method: str, like: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """Return what a method gives for a block; filtered collections may have some without rows."""
    return np.asarray(getattr(estimator, method)(numbers(block), **parameters)) if len(block) else like


def _of_partition(partition: Any, *, columns: list[Any] | None, **call: Any) -> Any:
    return _framed(_of_block(partition, **call), columns, partition.index)


def _framed(result: np.ndarray, columns: list[Any] | None, index: Any) -> Any:
    import pandas as pd  # type: ignore[import-untyped]

    return pd.Series(result, index=index) if columns is None else pd.DataFrame(result, index, columns)


def _columns(estimator: Any, name: str) -> list[Any]:
    """Return the names of the columns that a method gives."""
    if name == "transform":
        return list(estimator.get_feature_names_out())
    unnamed = (f"x{i}" for i in range(estimator.n_features_in_))
    return list(getattr(estimator, "feature_names_in_", unnamed))


def _frozen(estimator: Any) -> Any:
    """Return the estimator as it is now, for a graph that is computed later, once for all its tasks.

    Names were checked beforehand: blocks come without.
    """
    from dask.delayed import delayed

    frozen = deepcopy(estimator)
    vars(frozen).pop("feature_names_in_", None)
    return delayed(frozen, pure=True)


def numbers(block: Any, dtype: Any = None) -> np.ndarray:
    """Return a block as an array; missing values of a data frame's own kind are NaN."""
    if not hasattr(block, "iloc"):
        return np.asarray(block, dtype)
    kinds = {kind.kind for kind in block.dtypes}
    numeric = all(isinstance(kind, np.dtype) for kind in block.dtypes) and kinds <= set("biuf")
    if not numeric:
        return block.to_numpy(np.float64, na_value=np.nan)
    return block.to_numpy(np.result_type(np.bool_, *block.dtypes) if dtype is None else dtype)


def _example(X: Any) -> Any:
    """Return one row of zeros with the columns and the type of the entries of a collection."""
    empty = numbers(X._meta)
    zeros = np.zeros((1, X.shape[1]), empty.dtype)
    return zeros if _is_array(X) else _framed(zeros, list(X.columns), None)


def _is_array(X: Any) -> bool:
    return hasattr(X, "chunks")


def _delayed_blocks(X: Any) -> list[Any]:
    return list(np.ravel(X.to_delayed()))


def _in_blocks_of_rows(X: Any) -> Any:
    """Return a collection with all columns in each block, after checking that it has columns."""
    if getattr(X, "ndim", None) != 2 or not hasattr(X, "to_delayed"):
        raise ValueError(f"X is {X!r}, but a dask array or data frame with two dimensions is needed.")
    if _is_array(X) and np.isnan(X.shape[1]):
        raise ValueError("X has an unknown number of columns: call X.compute_chunk_sizes() first.")
    return X.rechunk({1: -1}) if _is_array(X) and X.numblocks[1] > 1 else X
