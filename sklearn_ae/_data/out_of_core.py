"""Out-of-core tables: data that may be larger than memory, read block by block."""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import gen_batches

from sklearn_ae._data.arrays import row_slices
from sklearn_ae._data.dask_blocks import DaskBlocks, is_dask, numbers
from sklearn_ae._data.numeric import check_numeric, column_names
from sklearn_ae._data.tables import DenseTable, Table

__all__ = [
    "ChunkedTable",
    "IterableTable",
    "OutOfCoreTable",
    "ParquetTable",
    "SlicedTable",
    "chunks_with_rows",
    "in_memory_where_small",
    "is_one_shot",
    "out_of_core_table",
]

#: Number of entries in a block of an array that is read by slices.
BLOCK_ENTRIES = 2**19
#: Maximum number of entries of the validation samples, which stay in memory.
HELD_OUT_ENTRIES = 2**26


class OutOfCoreTable(Table):
    """Blocks of rows that can be read in any order.

    Parameters
    ----------
    header : array-like of shape (0, n_features)
        An empty array, or an empty frame if columns have names.
    dtype : numpy.dtype
        Type of the entries; blocks of others are converted.
    lengths : list of int
        Numbers of rows of the blocks.
    """

    def __init__(self, header: Any, dtype: Any, lengths: list[int]):
        self.header = header
        self.dtype = np.dtype(dtype)
        self.lengths = lengths
        self.starts = list(accumulate(lengths, initial=0))
        self.shape = self.starts[-1], header.shape[1]
        self.most_held_out = max(1, HELD_OUT_ENTRIES // max(self.shape[1], 1))
        check_numeric(np.empty((0, self.shape[1]), self.dtype))
        if self.dtype.kind not in "biuf":
            raise ValueError(f"X holds entries of type {self.dtype}, but only real numbers can be used.")

    def read(self, i: int) -> np.ndarray:
        """Return block i, dense."""
        raise NotImplementedError

    def blocks(self, order: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first row of each block and the block, in the given order of blocks or in order."""
        for i in range(len(self.lengths)) if order is None else order:
            yield self.starts[i], self._checked(self.read(i), i)

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and the samples, in order."""
        for start, block in self.blocks():
            for rows in row_slices(*block.shape):
                yield slice(start + rows.start, start + rows.stop), block[rows]

    def whole(self) -> np.ndarray:
        """Return all rows as one array."""
        blocks = [block for _, block in self.blocks()]
        return np.concatenate(blocks) if blocks else np.empty(self.shape, self.dtype)

    def _checked(self, block: np.ndarray, i: int) -> np.ndarray:
        expected = self.lengths[i] if i < len(self.lengths) else 0, self.shape[1]
        if block.shape != expected:
            raise ValueError(
                f"Block {i} of X has shape {block.shape}, but {expected} was expected: all blocks must have the same "
                "columns, and the same rows each time that they are read."
            )
        return block.astype(self.dtype, casting="same_kind", copy=False)


class SlicedTable(OutOfCoreTable):
    """Anything with a shape, a dtype and slicing: ``numpy.memmap``, datasets of h5py, arrays of Zarr."""

    def __init__(self, X: Any):
        self.X = X
        n_rows, n_features = X.shape
        step = max(1, BLOCK_ENTRIES // max(n_features, 1))
        stored = getattr(X, "chunks", None)  # HDF5 and Zarr store and read these rows together
        if isinstance(stored, tuple) and isinstance(stored[0], int):
            step = max(1, round(step / stored[0])) * stored[0]
        self._slices = list(gen_batches(n_rows, step))
        lengths = [part.stop - part.start for part in self._slices]
        super().__init__(np.empty((0, n_features)), X.dtype, lengths)

    def read(self, i: int) -> np.ndarray:
        """Return a copy of block i; the pages of a memory map are released."""
        block = np.array(self.X[self._slices[i]])
        mapped = getattr(self.X, "_mmap", None)
        private = getattr(self.X, "mode", None) == "c"  # the pages may hold changes by the user
        if isinstance(mapped, mmap.mmap) and not private and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        return block

    def whole(self) -> np.ndarray:
        """Return all rows as one array; a memory map is returned without reading it."""
        return np.asarray(self.X) if isinstance(self.X, np.ndarray) else super().whole()


class ChunkedTable(OutOfCoreTable):
    """A sequence of two-dimensional chunks, each an array or a frame."""

    def __init__(self, parts: Sequence[Any]):
        self._parts = parts
        header, *_ = map(_header_of, parts)
        super().__init__(header, np.result_type(*map(_dtype_of, parts)), [len(part) for part in parts])

    def read(self, i: int) -> np.ndarray:
        """Return chunk i."""
        return _entries(self._parts[i], self.header, i)


class IterableTable(OutOfCoreTable):
    """An iterable that yields the same two-dimensional chunks each time that it is iterated, in one order."""

    def __init__(self, iterable: Iterable[Any]):
        self._iterable = iterable
        lengths, dtypes, header = [], set(), None
        for part in iterable:
            own = _header_of(part)
            header = own if header is None else header
            lengths.append(len(part))
            dtypes.add(_dtype_of(part))
        if header is None:
            raise ValueError(
                "X is an iterable that yields no chunk; it must yield arrays of shape (n_rows, n_features)."
            )
        super().__init__(header, np.result_type(*dtypes), lengths)

    def blocks(self, order: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first row of each chunk and the chunk, always in order."""
        n_parts = 0
        for i, part in enumerate(self._iterable):
            block, n_parts = self._checked(_entries(part, self.header, i), i), i + 1
            yield self.starts[i], block
        if n_parts < len(self.lengths):
            raise ValueError(
                f"X yielded {len(self.lengths)} chunks the first time and {n_parts} now; it must yield the same each "
                "time that it is iterated, as a list does."
            )


class ParquetTable(OutOfCoreTable):
    """A ``pyarrow.dataset.Dataset`` of numbers; row groups are its blocks, nulls are NaN."""

    def __init__(self, dataset: Any):
        self._schema = dataset.schema
        self._groups = [group for fragment in dataset.get_fragments() for group in _row_groups(fragment)]
        kinds = {str(field.type) for field in dataset.schema}
        others = [field.name for field in dataset.schema if not _is_number(field.type)]
        if others:
            raise ValueError(f"X has columns that are not numeric: {others[:10]}. Drop them, or encode them first.")
        dtype = np.float32 if kinds <= {"float", "halffloat"} else np.float64
        super().__init__(dataset.schema.empty_table(), dtype, [_n_rows(group) for group in self._groups])

    def read(self, i: int) -> np.ndarray:
        """Return row group i."""
        table = self._groups[i].to_table(schema=self._schema)
        block = np.empty(table.shape, dtype=self.dtype)
        for j, column in enumerate(table.columns):
            block[:, j] = column.to_numpy()
        return block


class DaskTable(OutOfCoreTable):
    """A dask array or data frame; its blocks are computed one by one."""

    def __init__(self, X: Any):
        self._blocks = DaskBlocks(X)
        super().__init__(self._blocks.header, self._blocks.dtype, self._blocks.lengths)

    def read(self, i: int) -> np.ndarray:
        """Return block i."""
        return self._blocks.read(i)


def out_of_core_table(X: Any) -> OutOfCoreTable | None:
    """Return X as an out-of-core table; None for anything else, which is left to scikit-learn's validation."""
    if is_one_shot(X):
        raise ValueError(
            f"X is a {type(X).__name__}, which yields its chunks only once: pass an iterable that can be iterated "
            "again, such as a list, or pass it to partial_fit."
        )
    if is_dask(X):
        return DaskTable(X)
    if type(X).__module__ == "pyarrow._dataset":
        return ParquetTable(X)
    if _is_sliced(X):
        return SlicedTable(X)
    if isinstance(X, (list, tuple)):
        return ChunkedTable(X) if len(X) and _is_two_dimensional(X[0]) else None
    return IterableTable(X) if _is_iterable_of_chunks(X) else None


def in_memory_where_small(table: OutOfCoreTable) -> Table:
    """Return a table in memory if its float32 copy is within scikit-learn's ``working_memory``."""
    n_bytes = 4 * table.shape[0] * table.shape[1]
    return table if n_bytes > get_config()["working_memory"] * 2**20 else DenseTable(table.whole())


def is_one_shot(X: Any) -> bool:
    """Return whether X is an iterator, which yields its chunks only once."""
    return isinstance(X, Iterator)


def chunks_with_rows(iterator: Iterator[Any]) -> Iterator[Any]:
    """Yield the chunks of an iterator, except for those without rows."""
    for chunk in iterator:
        shape = getattr(chunk, "shape", None)
        if not shape or shape[0] != 0:
            yield chunk


def _is_sliced(X: Any) -> bool:
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap) and X.ndim == 2
    in_memory = issparse(X) or any(hasattr(X, name) for name in ("__dlpack__", "__array_namespace__", "iloc"))
    return not in_memory and hasattr(X, "dtype") and hasattr(X, "__getitem__") and len(getattr(X, "shape", ())) == 2


def _is_two_dimensional(part: Any) -> bool:
    return len(getattr(part, "shape", ())) == 2


def _is_iterable_of_chunks(X: Any) -> bool:
    known = hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, (str, bytes, dict, set, frozenset))
    return isinstance(X, Iterable) and not known


def _header_of(part: Any) -> Any:
    """Return a chunk without rows; a frame keeps its names."""
    if issparse(part):
        raise ValueError(
            f"X holds a chunk of type {type(part).__name__}, but chunks must be dense: join sparse ones with "
            "scipy.sparse.vstack."
        )
    if not _is_two_dimensional(part):
        raise ValueError(f"X holds {type(part).__name__} instead of dense chunks of shape (n_rows, n_features).")
    return part[:0]


def _dtype_of(part: Any) -> np.dtype:
    dtype = getattr(part, "dtype", None)
    return dtype if isinstance(dtype, np.dtype) and dtype.kind != "O" else numbers(part).dtype


def _entries(part: Any, header: Any, i: int) -> np.ndarray:
    """Return chunk i as an array, after checking that its columns are those of the first chunk."""
    names, expected = column_names(part), column_names(header)
    if names and expected and names != expected:
        raise ValueError(
            f"Chunk {i} of X has the columns {names[:10]}, but chunk 0 has {expected[:10]}: all chunks must have the "
            "same columns in the same order."
        )
    return numbers(part)


def _row_groups(fragment: Any) -> list[Any]:
    """Return the row groups of a fragment of a data set, or the fragment if its format has none."""
    return fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]


def _n_rows(group: Any) -> int:
    """Return the number of rows of a row group, or of a fragment; ``count_rows`` counts those of the file."""
    parts = getattr(group, "row_groups", None)
    return group.count_rows() if parts is None else sum(part.num_rows for part in parts)


def _is_number(kind: Any) -> bool:
    return str(kind).startswith(("int", "uint", "float", "double", "half", "bool"))
