"""Training samples in the network's coordinates: a tensor, a sparse matrix, or blocks prefetched from disk."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from sklearn_ae._data.arrays import row_slices
from sklearn_ae._data.out_of_core import OutOfCoreTable
from sklearn_ae._data.scaling import GREATEST_ENTRY, Scaling
from sklearn_ae._data.tables import SparseTable, Table
from sklearn_ae._utils.threads import one_thread

__all__ = [
    "MappedRows",
    "SparseRows",
    "StreamedRows",
    "TrainingRows",
    "n_batches",
    "prefetch",
    "to_training_rows",
]

#: Number of entries that a stream shuffles at a time.
BUFFER_ENTRIES = 2**23
#: Number of columns above which chunks of a sparse matrix have more entries, and the factor.
MANY_COLUMNS, LARGER_CHUNKS = 4096, 4


class TrainingRows(Dataset[Any]):
    """Samples of a tensor, by index; each is its own target.

    Parameters
    ----------
    data : Tensor of shape (n_samples, n_features)
        NaN where an entry is missing.
    index : Tensor or None, default=None
        Rows of `data` that belong to the samples; None for all.
    scaling : Scaling or None, default=None
        How missing entries are filled and errors measured; None for centred data without missing entries.
    """

    def __init__(self, data: Any, index: Tensor | None = None, scaling: Scaling | None = None):
        self.data = data
        self.index = index
        self.scaling = Scaling(np.zeros(data.shape[1])) if scaling is None else scaling

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self.data.device

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and features."""
        return len(self), self.data.shape[1]

    @property
    def has_missing(self) -> bool:
        """Whether entries may be missing."""
        return self.scaling.fills_missing

    def __len__(self) -> int:
        return self.data.shape[0] if self.index is None else len(self.index)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        row = self.take(torch.as_tensor([i], device=self.device) if self.index is None else self.index[i : i + 1])[0]
        return row, row

    def take(self, index: Tensor) -> Tensor:
        """Return rows of the data."""
        return self.data.index_select(0, index)

    def select(self, index: np.ndarray) -> "TrainingRows":
        """Return some of all rows of the data."""
        return type(self)(self.data, torch.from_numpy(index).to(self.device), self.scaling)

    def without(self, index: np.ndarray) -> "TrainingRows":
        """Return all rows of the data except some."""
        return self.select(np.delete(np.arange(self.data.shape[0]), index))

    def batches(self, size: int, generator: Generator | None = None) -> Iterator[Tensor]:
        """Yield batches, the last of which may be shorter or have one sample more; shuffled if a generator is given."""
        index = torch.arange(len(self), device=self.device) if self.index is None else self.index
        if generator is not None:
            index = index[torch.randperm(len(index), generator=generator, device=self.device)]
        first = 0
        while first < len(index):
            last = first + batch_length(len(index) - first, size)
            yield self.take(index[first:last])
            first = last

    def chunks(self) -> Iterator[Tensor]:
        """Yield the samples in order, in small chunks."""
        for rows in row_slices(*self.shape):
            yield self.data[rows] if self.index is None else self.take(self.index[rows])

    def filled(self) -> Iterator[Tensor]:
        """Yield the same chunks with missing entries filled."""
        for z in self.chunks():
            yield self.scaling.fill_missing(z)[0]


class MappedRows(TrainingRows):
    """A function of samples with missing entries filled, computed chunk by chunk, in order.

    Parameters
    ----------
    rows : TrainingRows
        The samples.
    function : callable
        From samples (n, n_features) to a tensor of the same shape.
    """

    def __init__(self, rows: TrainingRows, function: Callable[[Tensor], Tensor]):
        super().__init__(None, scaling=rows.scaling.filling(False))
        self.rows = rows
        self.function = function

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self.rows.device

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and features."""
        return self.rows.shape

    def __len__(self) -> int:
        return len(self.rows)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the function of the samples in order, in small chunks."""
        for z in self.rows.filled():
            yield self.function(z)


class SparseRows(TrainingRows):
    """Samples of a CSR matrix, whose stored entries are in the network's coordinates; each batch is made dense.

    Parameters
    ----------
    data : scipy.sparse matrix or array of shape (n_samples, n_features)
        In CSR format and float32.
    background : Tensor of shape (n_features,)
        The data's zero in the network's coordinates, the entries that are not stored.
    """

    def __init__(self, data: Any, background: Tensor, index: Tensor | None = None, scaling: Scaling | None = None):
        super().__init__(data, index, scaling)
        self.background = background

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self.background.device

    def take(self, index: Tensor) -> Tensor:
        """Return rows of the data, dense."""
        part = self.data[index.cpu().numpy()]
        z = self.background.repeat(len(index), 1)
        positions = np.repeat(np.arange(len(index)) * part.shape[1], np.diff(part.indptr)) + part.indices
        z.view(-1)[torch.from_numpy(positions).to(z.device)] = torch.from_numpy(part.data).to(z)
        return z

    def select(self, index: np.ndarray) -> "TrainingRows":
        """Return some of all rows of the data."""
        return SparseRows(self.data, self.background, torch.from_numpy(index).to(self.device), self.scaling)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the samples in order, in dense chunks."""
        index = torch.arange(len(self)) if self.index is None else self.index
        n_columns = self.shape[1] if self.shape[1] <= MANY_COLUMNS else -(-self.shape[1] // LARGER_CHUNKS)
        for rows in row_slices(len(self), n_columns):  # those of dense data, so that sums round in the same way
            yield self.take(index[rows])

    def matrix(self) -> tuple[Any, Tensor]:
        """Return the samples as a sparse matrix of differences from a point, and the point (n_features,).

        The point is the data's zero, but the network's zero in columns without zeros, which may be far from it.
        """
        matrix = self.data.copy() if self.index is None else self.data[self.index.cpu().numpy()]
        origin = torch.where(_has_zeros(matrix).to(self.device), self.background, 0.0)
        matrix.data -= origin.cpu().numpy()[matrix.indices]
        return matrix, origin


class StreamedRows(TrainingRows):
    """Samples of an out-of-core table, which a background thread reads block by block, ahead of training.

    A pass reads blocks in random order, as many at a time as fill a buffer, whose rows it shuffles.

    Parameters
    ----------
    table : OutOfCoreTable
        The samples in the data's coordinates.
    scaling : Scaling
        The map to the network's coordinates.
    device : torch.device
        Device of the batches.
    held_out : ndarray of int or None, default=None
        Sorted indices of rows to leave out.
    """

    def __init__(
        self,
        table: OutOfCoreTable,
        scaling: Scaling,
        device: torch.device,
        held_out: np.ndarray | None = None,
    ):
        super().__init__(table, scaling=scaling)
        self.held_out = np.empty(0, dtype=np.int64) if held_out is None else held_out
        self._device = device

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self._device

    def __len__(self) -> int:
        return self.data.shape[0] - len(self.held_out)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        raise TypeError("Samples of a stream have no index: iterate over batches.")

    def select(self, index: np.ndarray) -> TrainingRows:
        """Return some of all rows, in memory."""
        parts = [torch.empty(0, self.data.shape[1])]
        for rows, x in self.data.chunks():
            first, last = np.searchsorted(index, (rows.start, rows.stop))
            if first < last:
                parts.append(self._to_network(x[index[first:last] - rows.start]))
        return TrainingRows(torch.cat(parts).to(self.device), scaling=self.scaling)

    def without(self, index: np.ndarray) -> TrainingRows:
        """Return all rows except some."""
        return StreamedRows(self.data, self.scaling, self.device, index)

    def batches(self, size: int, generator: Generator | None = None) -> Iterator[Tensor]:
        """Yield the batches of :meth:`TrainingRows.batches`; shuffled by blocks if a generator is given."""
        order = seed = None
        if generator is not None:
            order = torch.randperm(len(self.data.lengths), generator=generator, device=generator.device).tolist()
            seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        for batch in _in_batches(prefetch(self._buffers(order, seed)), size, len(self)):
            yield batch.to(self.device)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the samples in order, in small chunks."""
        for buffer in prefetch(self._blocks(None)):
            for rows in row_slices(*buffer.shape):
                yield buffer[rows].to(self.device)

    def _buffers(self, order: list[int] | None, seed: int | None) -> Iterator[Tensor]:
        """Yield samples in buffers, each shuffled if a seed is given."""
        generator = None if seed is None else Generator().manual_seed(seed)
        parts: list[Tensor] = []
        n_entries = 0
        for block in self._blocks(order):
            parts.append(block)
            n_entries += block.numel()
            if n_entries >= BUFFER_ENTRIES:
                yield _shuffled(parts, generator)
                parts, n_entries = [], 0
        if parts:
            yield _shuffled(parts, generator)

    def _blocks(self, order: list[int] | None) -> Iterator[Tensor]:
        """Yield the blocks of the table in the network's coordinates, without the rows that are held out."""
        for start, block in self.data.blocks(order):
            first, last = np.searchsorted(self.held_out, (start, start + len(block)))
            if first < last:
                block = np.delete(block, self.held_out[first:last] - start, axis=0)
            yield self._to_network(block)

    def _to_network(self, x: np.ndarray) -> Tensor:
        z = torch.empty(x.shape)
        for rows in row_slices(*x.shape):
            z[rows] = in_float32(self.scaling, x[rows])
        return z


def in_float32(scaling: Scaling, x: np.ndarray) -> Tensor:
    """Return rows in the network's coordinates, after checking that float32 can hold their squares."""
    z = scaling.transform(x, torch.float32)
    _check_entries(z, scaling)
    return z


def _check_entries(z: Tensor, scaling: Scaling) -> None:
    """Raise a ValueError if float32 cannot hold the squares of entries in the network's coordinates."""
    least, greatest = z.aminmax() if len(z) else (0.0, 0.0)  # NaN where entries are missing
    if not max(greatest, -least) <= GREATEST_ENTRY and (z.abs() > GREATEST_ENTRY).any():
        raise ValueError(
            f"X has entries too large for training in float32: over {GREATEST_ENTRY:g} times the scale, "
            f"{scaling.scale:g}, that they are divided by. Drop these samples, or divide X by a constant."
        )


def _has_zeros(matrix: Any) -> Tensor:
    """Return which columns of a sparse matrix have entries that are not stored."""
    return torch.from_numpy(np.bincount(matrix.indices, minlength=matrix.shape[1]) < matrix.shape[0])


def batch_length(n_left: int, size: int) -> int:
    """Return the length of the next batch of `n_left` samples: `size`, or all if only one would be left over.

    Statistics over a batch, as in a layer ``BatchNorm1d``, need two samples.
    """
    return size + 1 if size > 1 and n_left == size + 1 else size


def n_batches(n_samples: int, size: int) -> int:
    """Return the number of batches of a pass over samples."""
    return -(-n_samples // size) - (n_samples > size > 1 and n_samples % size == 1)


def _in_batches(buffers: Iterator[Tensor], size: int, n_left: int) -> Iterator[Tensor]:
    """Yield the samples of buffers, of which there are `n_left`, in batches."""
    batch = torch.empty(0)
    for buffer in buffers:
        while len(buffer):
            length = batch_length(n_left, size)
            part, buffer = buffer.tensor_split([length - len(batch)])
            batch = torch.cat([batch, part]) if len(batch) else part
            if len(batch) == length:
                yield batch
                n_left -= length
                batch = batch[:0]
        batch = batch.clone()  # a view would keep the buffer
    if len(batch):
        yield batch


def _shuffled(parts: list[Tensor], generator: Generator | None) -> Tensor:
    """Join parts, shuffled if a generator is given; the list is emptied to free memory on the way."""
    n_rows = sum(map(len, parts))
    places = torch.arange(n_rows) if generator is None else torch.randperm(n_rows, generator=generator)
    rows = torch.empty(n_rows, parts[0].shape[1])
    while parts:
        part = parts.pop()
        places, here = places.tensor_split([len(places) - len(part)])
        rows[here] = part
    return rows


def prefetch(buffers: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield the items of an iterator that runs one item ahead in a background thread."""
    queue: SimpleQueue[Any] = SimpleQueue()
    may_read = Semaphore(1)
    wanted = True

    def read() -> None:
        with one_thread():  # the cores are for training
            while may_read.acquire() and wanted:
                queue.put(next(buffers, None))

    def read_to_the_end() -> None:
        try:
            read()
        except BaseException as error:  # raised again where it is awaited
            queue.put(error)

    reader = Thread(target=read_to_the_end, name="sklearn_ae reader", daemon=True)
    reader.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            may_read.release()
            yield item
            del item
    finally:
        wanted = False
        may_read.release()
        reader.join()


def to_training_rows(table: Table, scaling: Scaling, device: torch.device) -> TrainingRows:
    """Return the samples of a table in the network's coordinates; a dense table becomes one float32 tensor."""
    if isinstance(table, OutOfCoreTable):
        return StreamedRows(table, scaling, device)
    if isinstance(table, SparseTable):
        X = table.X.astype(np.float64)
        X.data -= np.broadcast_to(scaling.offset, X.shape[1])[X.indices]  # before rounding, as for dense data
        X.data /= np.broadcast_to(scaling.column_scale, X.shape[1])[X.indices]
        background = torch.from_numpy(scaling.transform_point(np.zeros(X.shape[1]))).to(device, torch.float32)
        with np.errstate(over="ignore"):  # which raises an error
            X = X.astype(np.float32)
        for entries in (torch.from_numpy(X.data), background[_has_zeros(X).to(device)]):
            _check_entries(entries, scaling)
        return SparseRows(X, background, scaling=scaling)
    Z = torch.empty(table.shape, dtype=torch.float32)
    for rows, x in table.chunks():
        Z[rows] = in_float32(scaling, x)
    return TrainingRows(Z.to(device), scaling=scaling)
