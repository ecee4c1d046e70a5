"""Blocks of dask collections, computed one at a time.

Dask is imported when it is used: a user who passes one of its collections has it installed.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklearn_ae._data.numeric import check_numeric, two_dimensional

__all__ = [
    "DaskBlocks",
    "_delayed_blocks",
    "_example",
    "_framed",
    "_in_blocks_of_rows",
    "_is_array",
    "is_dask",
    "numbers",
]


def is_dask(X: Any) -> bool:
    """Return whether X is a dask collection."""
    return type(X).__module__.startswith("dask.")


class DaskBlocks:
    """The blocks of rows of a dask array or data frame, computed one by one, by the active scheduler or client.

    If the numbers of rows are unknown, as in data frames, they are counted, which computes every block once; call
    ``X.persist()`` first to keep the blocks on the workers, if these have the memory.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        Columns in several chunks are joined. Sparse blocks are made dense one by one.

    Attributes
    ----------
    header : ndarray or pandas.DataFrame of shape (0, n_features)
        The columns without rows, with names if X has them.
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
        self._X, self._blocks = X, _delayed_blocks(X)  # workers keep persisted blocks as long as X exists
        known = _is_array(X) and not np.isnan(X.shape[0])
        self.lengths = list(X.chunks[0]) if known else self._counted()

    def read(self, i: int) -> np.ndarray:
        """Return block i."""
        return numbers(self._blocks[i].compute(), self.dtype)

    def _counted(self) -> list[int]:
        from dask.base import compute
        from dask.delayed import delayed

        return list(compute(*map(delayed(_n_rows), self._blocks)))


def _n_rows(block: Any) -> int:
    return int(block.shape[0])


def _framed(result: np.ndarray, columns: list[Any] | None, index: Any) -> Any:
    import pandas as pd

    return pd.Series(result, index=index) if columns is None else pd.DataFrame(result, index, columns)


def numbers(block: Any, dtype: Any = None) -> np.ndarray:
    """Return a block of numbers as a dense array; missing values of a data frame become NaN."""
    check_numeric(block)
    block = block.toarray() if issparse(block) else block
    if not hasattr(block, "iloc"):
        array = np.asarray(block, dtype)
        return array.astype(np.float64) if array.dtype.kind == "O" else array
    kinds = {kind.kind for kind in block.dtypes}
    numeric = all(isinstance(kind, np.dtype) for kind in block.dtypes) and kinds <= set("biuf")
    if not numeric:
        return block.to_numpy(np.float64, na_value=np.nan)
    return block.to_numpy(np.result_type(np.bool_, *block.dtypes) if dtype is None else dtype)


def _example(X: Any) -> Any:
    """Return one row of zeros with the columns and the dtype of a collection."""
    empty = numbers(X._meta)
    zeros = np.zeros((1, X.shape[1]), empty.dtype)
    return zeros if _is_array(X) else _framed(zeros, list(X.columns), None)


def _is_array(X: Any) -> bool:
    return hasattr(X, "chunks")


def _delayed_blocks(X: Any) -> list[Any]:
    return list(np.ravel(X.to_delayed()))


def _in_blocks_of_rows(X: Any) -> Any:
    """Return a collection with all columns in each block, after checking that the columns are known."""
    if getattr(two_dimensional(X), "ndim", None) != 2 or not hasattr(X, "to_delayed"):
        raise ValueError(f"X must be a dask array or data frame with two dimensions, got {X!r}.")
    if _is_array(X) and np.isnan(X.shape[1]):
        raise ValueError("X has an unknown number of columns: call X.compute_chunk_sizes() first.")
    return X.rechunk({1: -1}) if _is_array(X) and X.numblocks[1] > 1 else X
