"""Training rows in the network's coordinates: a tensor, a sparse matrix, or blocks read ahead of training."""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from sklearn_ae._data.arrays import fill_missing, row_slices
from sklearn_ae._data.out_of_core import OutOfCoreTable
from sklearn_ae._data.scaling import GREATEST_ENTRY, Scaling
from sklearn_ae._data.tables import SparseTable, Table
from sklearn_ae._utils.threads import one_thread

__all__ = ["SparseRows", "StreamedRows", "TrainingRows", "prefetch", "to_training_rows"]

#: Entries of the rows that a stream shuffles at a time.
BUFFER_ENTRIES = 2**23
#: A sparse matrix has many columns: chunks of it have so many times the entries of others.
WIDER_CHUNKS = 4


class TrainingRows(Dataset[Any]):
    """Rows of a tensor, by index; each is its own target.

    Parameters
    ----------
    data : Tensor of shape (n_samples, n_features)
        NaN where an entry is missing.
    index : Tensor or None, default=None
        The rows of `data` meant; None for all.
    fill : Tensor of shape (n_features,) or None, default=None
        What stands for missing entries; None where there are none.
    """

    def __init__(self, data: Any, index: Tensor | None = None, fill: Tensor | None = None):
        self.data = data
        self.index = index
        self.fill = fill

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.data.device

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self), self.data.shape[1]

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
        return type(self)(self.data, torch.from_numpy(index).to(self.device), self.fill)

    def without(self, index: np.ndarray) -> "TrainingRows":
        """Return all rows of the data but some."""
        return self.select(np.delete(np.arange(self.data.shape[0]), index))

    def batches(self, size: int, generator: Generator | None = None) -> Iterator[Tensor]:
        """Yield batches, the last of which may be shorter; shuffled where a generator is given."""
        index = torch.arange(len(self), device=self.device) if self.index is None else self.index
        if generator is not None:
            index = index[torch.randperm(len(index), generator=generator, device=self.device)]
        for batch in index.split(size):
            yield self.take(batch)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the rows in order, in chunks that are small beside them."""
        for rows in row_slices(*self.shape):
            yield self.data[rows] if self.index is None else self.take(self.index[rows])

    def filled(self) -> Iterator[Tensor]:
        """Yield the same chunks, with missing entries filled."""
        for z in self.chunks():
            yield fill_missing(z, self.fill)[0]


class SparseRows(TrainingRows):
    """Rows of a CSR matrix that holds the data divided by the coordinates' widths; each batch is made dense.

    Parameters
    ----------
    data : scipy.sparse matrix or array of shape (n_samples, n_features)
        In CSR format and float32.
    background : Tensor of shape (n_features,)
        What to add in each row: where the data's zero lies in the network's coordinates.
    """

    def __init__(self, data: Any, background: Tensor, index: Tensor | None = None, fill: Tensor | None = None):
        super().__init__(data, index, fill)
        self.background = background

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.background.device

    def take(self, index: Tensor) -> Tensor:
        """Return rows of the data, dense."""
        part = self.data[index.cpu().numpy()]
        z = self.background.repeat(len(index), 1)
        positions = np.repeat(np.arange(len(index)) * part.shape[1], np.diff(part.indptr)) + part.indices
        z.view(-1)[torch.from_numpy(positions).to(z.device)] += torch.from_numpy(part.data).to(z)
        return z

    def select(self, index: np.ndarray) -> "TrainingRows":
        """Return some of all rows of the data."""
        return SparseRows(self.data, self.background, torch.from_numpy(index).to(self.device), self.fill)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the rows in order, in dense chunks."""
        index = torch.arange(len(self)) if self.index is None else self.index
        for rows in row_slices(len(self), -(-self.shape[1] // WIDER_CHUNKS)):
            yield self.take(index[rows])

    def matrix(self) -> Any:
        """Return the rows of the matrix, without the background."""
        return self.data if self.index is None else self.data[self.index.cpu().numpy()]


class StreamedRows(TrainingRows):
    """Rows of a source, read block by block in a thread of their own, ahead of training.

    A pass reads blocks in random order, as many at a time as fill a buffer, whose rows it shuffles.

    Parameters
    ----------
    source : Source
        The rows in the data's coordinates.
    coordinates : Coordinates
        Those of the network.
    device : torch.device
        Where batches are to be.
    held_out : ndarray of int or None, default=None
        Sorted indices of rows to leave out.
    """

    def __init__(
        self,
        source: OutOfCoreTable,
        coordinates: Scaling,
        device: torch.device,
        held_out: np.ndarray | None = None,
        fill: Tensor | None = None,
    ):
        super().__init__(source, fill=fill)
        self.coordinates = coordinates
        self.held_out = np.empty(0, dtype=np.int64) if held_out is None else held_out
        self._device = device

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self._device

    def __len__(self) -> int:
        return self.data.shape[0] - len(self.held_out)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        raise TypeError("Rows of a stream have no index: iterate over batches.")

    def select(self, index: np.ndarray) -> TrainingRows:
        """Return some of all rows, in memory."""
        parts = [torch.empty(0, self.data.shape[1])]
        for rows, x in self.data.chunks():
            first, last = np.searchsorted(index, (rows.start, rows.stop))
            if first < last:
                parts.append(self._to_network(x[index[first:last] - rows.start]))
        return TrainingRows(torch.cat(parts).to(self.device), fill=self.fill)

    def without(self, index: np.ndarray) -> TrainingRows:
        """Return all rows but some."""
        return StreamedRows(self.data, self.coordinates, self.device, index, self.fill)

    def batches(self, size: int, generator: Generator | None = None) -> Iterator[Tensor]:
        """Yield batches, the last of which may be shorter; shuffled by blocks where a generator is given."""
        order = seed = None
        if generator is not None:
            order = torch.randperm(len(self.data.lengths), generator=generator, device=generator.device).tolist()
            seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        for batch in _in_batches(prefetch(self._buffers(order, seed)), size):
            yield batch.to(self.device)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the rows in order, in chunks that are small beside them."""
        for buffer in prefetch(self._blocks(None)):
            for rows in row_slices(*buffer.shape):
                yield buffer[rows].to(self.device)

    def _buffers(self, order: list[int] | None, seed: int | None) -> Iterator[Tensor]:
        """Yield rows in buffers, those of each shuffled where a seed is given."""
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
        """Yield the blocks of the source in the network's coordinates, without the rows that are held out."""
        for start, block in self.data.blocks(order):
            first, last = np.searchsorted(self.held_out, (start, start + len(block)))
            if first < last:
                block = np.delete(block, self.held_out[first:last] - start, axis=0)
            yield self._to_network(block)

    def _to_network(self, x: np.ndarray) -> Tensor:
        z = torch.empty(x.shape)
        for rows in row_slices(*x.shape):
            z[rows] = in_float32(self.coordinates, x[rows])
        return z


def in_float32(coordinates: Scaling, x: np.ndarray) -> Tensor:
    """Return rows in the network's coordinates, after checking that float32 can hold their squares."""
    z = coordinates.transform(x, torch.float32)
    least, greatest = z.aminmax()  # NaN where entries are missing
    if not max(greatest, -least) <= GREATEST_ENTRY and (z.abs() > GREATEST_ENTRY).any():
        raise ValueError(
            f"X has entries too large for training in float32: over {GREATEST_ENTRY:g} times the scale, "
            f"{coordinates.scale:g}, that they are divided by. Leave these out, or divide X by a constant."
        )
    return z


def _in_batches(buffers: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Yield the rows of buffers in batches, the last of which may be shorter."""
    batch = torch.empty(0)
    for buffer in buffers:
        for part in buffer.tensor_split([*range(size - len(batch), len(buffer), size)]):
            batch = torch.cat([batch, part]) if len(batch) else part
            if len(batch) == size:
                yield batch
                batch = batch[:0]
        batch = batch.clone()  # a view would keep the buffer
    if len(batch):
        yield batch


def _shuffled(parts: list[Tensor], generator: Generator | None) -> Tensor:
    """Join parts, and shuffle their rows where a generator is given; the list is emptied, to free memory on the way."""
    n_rows = sum(map(len, parts))
    places = torch.arange(n_rows) if generator is None else torch.randperm(n_rows, generator=generator)
    rows = torch.empty(n_rows, parts[0].shape[1])
    while parts:
        part = parts.pop()
        places, here = places.tensor_split([len(places) - len(part)])
        rows[here] = part
    return rows


def prefetch(buffers: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield what an iterator gives, which runs one item ahead in a thread of its own."""
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


def to_training_rows(
    table: Table, coordinates: Scaling, device: torch.device, fill: Tensor | None = None
) -> TrainingRows:
    """Return the rows of a table in the network's coordinates; a dense one in memory becomes one float32 tensor."""
    if isinstance(table, OutOfCoreTable):
        return StreamedRows(table, coordinates, device, fill=fill)
    if isinstance(table, SparseTable):
        X = table.X.astype(np.float64)
        X.data /= np.broadcast_to(coordinates.column_scale, X.shape[1])[X.indices]
        background = torch.from_numpy(coordinates.transform_point(np.zeros(X.shape[1]))).to(device, torch.float32)
        return SparseRows(X.astype(np.float32), background, fill=fill)
    Z = torch.empty(table.shape, dtype=torch.float32)
    for rows, x in table.chunks():
        Z[rows] = in_float32(coordinates, x)
    return TrainingRows(Z.to(device), fill=fill)
