"""Batches and chunks hold every row once, for arrays in memory, sparse matrices and out-of-core sources."""

import threading
import time

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from torch import Generator

from sklearn_ae._data import arrays, training_rows
from sklearn_ae._data.out_of_core import ChunkedTable, IterableTable
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.tables import DenseTable, SparseTable
from sklearn_ae._data.training_rows import SparseRows, StreamedRows, TrainingRows, prefetch, to_training_rows
from sklearn_ae._model import principal_axes as axes_module
from sklearn_ae._model.principal_axes import column_mean, principal_axes

CPU = torch.device("cpu")


def seeded(seed=0) -> Generator:
    return Generator().manual_seed(seed)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sklearn_ae reader"]


@pytest.fixture(autouse=True)
def no_reader_left():
    yield
    assert readers() == []


def scaling_of(X) -> Scaling:
    table = DenseTable(X)
    columns = table.columns(allow_nan=True)
    return Scaling.of(columns, fills_missing=columns.gaps)


def mostly_zeros(n=103, d=7) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(rng.random((n, d)) < 0.7, 0, rng.normal(size=(n, d)) * np.arange(1, d + 1))


class TestSparseRows:
    @pytest.fixture
    def pair(self, monkeypatch) -> tuple[TrainingRows, SparseRows]:
        monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 40)
        X = mostly_zeros()
        X[5:8] = 0
        scaling = scaling_of(X)
        tables = DenseTable(X), SparseTable(sparse.csr_array(X))
        dense, from_sparse = (to_training_rows(table, scaling, CPU) for table in tables)
        assert isinstance(from_sparse, SparseRows)
        assert type(dense) is TrainingRows
        return dense, from_sparse

    @pytest.mark.parametrize("index", [[], [6], [0, 102, 5, 5, 3], range(103)])
    def test_taken_rows_are_those_of_the_dense_data(self, pair, index):
        index = torch.tensor(list(index), dtype=torch.int64)
        dense, from_sparse = (rows.take(index) for rows in pair)
        torch.testing.assert_close(from_sparse, dense, atol=1e-6, rtol=0)
        assert from_sparse.dtype == torch.float32

    @pytest.mark.parametrize("part", [None, np.array([2, 4, 5, 6, 50, 99, 102])])
    def test_chunks_and_batches_are_those_of_the_dense_data(self, pair, part):
        dense, from_sparse = pair if part is None else (rows.select(part) for rows in pair)
        assert from_sparse.shape == dense.shape
        assert len(from_sparse) == len(dense)
        torch.testing.assert_close(
            torch.cat(list(from_sparse.chunks())), torch.cat(list(dense.chunks())), atol=1e-6, rtol=0
        )
        for generators in ((None, None), (seeded(), seeded())):
            pairs = zip(
                *(rows.batches(10, each) for rows, each in zip((from_sparse, dense), generators, strict=True)),
                strict=True,
            )
            for one, other in pairs:
                torch.testing.assert_close(one, other, atol=1e-6, rtol=0)

    def test_without_selects_the_other_rows(self, pair):
        left_out = np.array([0, 7, 50])
        for rows in pair:
            others = rows.without(left_out)
            assert len(others) == len(rows) - 3
            expected = np.delete(torch.cat(list(rows.chunks())).numpy(), left_out, axis=0)
            np.testing.assert_array_equal(torch.cat(list(others.chunks())), expected)

    def test_items_are_the_selected_rows(self, pair):
        for rows in pair:
            row, target = rows.select(np.array([3, 9]))[1]
            np.testing.assert_array_equal(row, torch.cat(list(rows.chunks()))[9])
            np.testing.assert_array_equal(row, target)

    def test_missing_entries_stay_missing(self):
        X = mostly_zeros()
        X[3, 4] = X[9, 0] = np.nan
        rows = to_training_rows(SparseTable(sparse.csr_array(X)), scaling_of(X), CPU)
        np.testing.assert_array_equal(torch.cat(list(rows.chunks())).isnan(), np.isnan(X))
        assert not torch.cat(list(rows.filled())).isnan().any()

    def test_partly_unscaled_columns(self):
        X = np.abs(mostly_zeros())
        table = DenseTable(X)
        columns = table.columns()
        unscaled = np.arange(7) % 2 == 0
        scaling = Scaling.of(columns, unscaled)
        dense, from_sparse = (
            to_training_rows(each, scaling, CPU) for each in (table, SparseTable(sparse.csr_array(X)))
        )
        torch.testing.assert_close(torch.cat(list(from_sparse.chunks())), dense.data, atol=1e-6, rtol=0)


LENGTHS = [13, 1, 0, 29, 40, 7, 33]
N = sum(LENGTHS)


def numbered(lengths=LENGTHS, kind=ChunkedTable):
    """Return a source whose rows begin with their row number."""
    X = np.column_stack([np.arange(sum(lengths)), np.random.default_rng(0).normal(size=(sum(lengths), 2))])
    return kind(np.split(X, np.cumsum(lengths)[:-1]))


def identity(d=3) -> Scaling:
    return Scaling(np.zeros(d), 1.0)


def numbers(batches) -> list[int]:
    return [int(i) for batch in batches for i in batch[:, 0]]


@pytest.mark.parametrize("kind", [ChunkedTable, IterableTable])
class TestStreamedRows:
    @pytest.fixture(autouse=True)
    def small_buffers(self, monkeypatch):
        monkeypatch.setattr(training_rows, "BUFFER_ENTRIES", 100)
        monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 30)

    @pytest.fixture
    def rows(self, kind) -> StreamedRows:
        return StreamedRows(numbered(kind=kind), identity(), CPU)

    @pytest.mark.parametrize("size", [1, 2, 3, 8, 50, N - 1, N, 1000])
    def test_an_epoch_contains_every_row_once(self, rows, size):
        for generator in (None, seeded()):
            batches = list(rows.batches(size, generator))
            assert sorted(numbers(batches)) == list(range(N))
            in_memory = TrainingRows(torch.zeros(N, 1)).batches(size)
            assert [len(batch) for batch in batches] == [len(batch) for batch in in_memory]

    def test_without_a_generator_rows_come_in_order(self, rows):
        assert numbers(rows.batches(8)) == numbers(rows.chunks()) == list(range(N))

    def test_batches_hold_the_entries(self, rows):
        expected = np.concatenate([block for _, block in rows.data.blocks()])
        for batch in rows.batches(8, seeded()):
            np.testing.assert_array_equal(batch, expected[batch[:, 0].int()].astype(np.float32))

    def test_held_out_rows_are_in_no_batch_and_make_up_the_selection(self, rows):
        valid = np.array([0, 12, 13, 14, 50, 51, *range(83, 90), N - 1])
        train = rows.without(valid)
        others = np.delete(np.arange(N), valid).tolist()
        assert len(train) == N - len(valid)
        assert train.shape == (len(others), 3)
        assert sorted(numbers(train.batches(8, seeded()))) == others
        assert numbers(train.chunks()) == others
        selected = rows.select(valid)
        assert type(selected) is TrainingRows
        assert numbers(selected.chunks()) == valid.tolist()

    def test_a_whole_block_may_be_held_out(self, rows):
        train = rows.without(np.arange(15, 45))
        assert sorted(numbers(train.batches(8, seeded()))) == [*range(15), *range(45, N)]

    def test_the_seed_determines_the_batches(self, rows):
        one, again, other = (numbers(rows.batches(8, seeded(seed))) for seed in (0, 0, 1))
        assert one == again
        assert one != other

    def test_each_epoch_has_a_different_order(self, rows):
        generator = seeded()
        assert numbers(rows.batches(8, generator)) != numbers(rows.batches(8, generator))

    def test_indexing_raises_an_error(self, rows):
        with pytest.raises(TypeError, match="iterate over batches"):
            rows[0]

    def test_stopping_early_ends_the_reader(self, rows):
        batches = rows.batches(8, seeded())
        next(batches)
        assert len(readers()) == 1
        batches.close()
        assert readers() == []


def test_batches_mix_blocks_of_a_sorted_source():
    """Ten blocks fill the buffer: a batch of 64 of 1,000 sorted rows should have rows from most of them."""
    rows = StreamedRows(numbered([100] * 10), identity(), CPU)
    for batch in list(rows.batches(64, seeded()))[:-1]:
        assert len(set((batch[:, 0] // 100).tolist())) >= 7


def test_blocks_are_read_in_random_order(monkeypatch):
    monkeypatch.setattr(training_rows, "BUFFER_ENTRIES", 1)
    rows = StreamedRows(numbered([10] * 20), identity(), CPU)
    blocks = [int(batch[0, 0]) // 10 for batch in rows.batches(10, seeded())]
    assert sorted(blocks) == list(range(20))
    assert blocks != sorted(blocks)


def test_time_is_linear_in_the_number_of_chunks(monkeypatch):
    """A pass over twice as many one-row chunks should take about twice as long, not four times."""
    seconds = []
    for n in (4000, 16000):
        rows = StreamedRows(ChunkedTable([np.zeros((1, 2))] * n), identity(2), CPU)
        start = time.perf_counter()
        assert sum(len(buffer) for buffer in rows._buffers(None, None)) == n
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < 10 * seconds[0]


class TestPrefetch:
    def test_order_is_kept(self):
        assert [int(item) for item in prefetch(torch.tensor(i) for i in range(100))] == list(range(100))

    def test_nothing_is_read_before_the_first_item_is_requested(self):
        prefetch(pytest.fail("read") for _ in range(1))

    def test_at_most_two_items_are_read_ahead(self):
        read = []

        def numbers():
            for i in range(50):
                read.append(i)
                yield torch.tensor(i)

        for n, _ in enumerate(prefetch(numbers())):
            time.sleep(0.001)
            assert len(read) <= n + 4  # one consumed, one in the queue, one waiting to enter it

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
    def test_an_exception_is_raised_in_the_consumer(self, kind):
        def broken():
            yield torch.zeros(1)
            raise kind("on the way")

        items = prefetch(broken())
        next(items)
        with pytest.raises(kind, match="on the way"):
            next(items)

    def test_stopping_early_ends_the_thread(self):
        items = prefetch(torch.tensor(i) for i in range(10**9))
        next(items)
        items.close()
        assert readers() == []

    def test_an_exception_in_the_consumer_ends_the_thread(self):
        def consume():
            for _ in prefetch(torch.tensor(i) for i in range(10**9)):
                raise RuntimeError("here")

        with pytest.raises(RuntimeError, match="here"):
            consume()

    def test_an_exception_after_the_consumer_stopped_is_ignored(self):
        def broken():
            yield torch.zeros(1)
            time.sleep(0.05)
            raise ValueError("too late")

        items = prefetch(broken())
        next(items)
        items.close()


def decaying(n=90, d=20) -> np.ndarray:
    """Return rows with halving singular values and a random offset per column."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(m, min(n, d))))[0] for m in (n, d))
    return 100 * (left * 0.5 ** np.arange(min(n, d))) @ right.T + rng.normal(size=d)


def as_numpy(tensors) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in tensors]


def rows_like(kind: str, X: np.ndarray) -> TrainingRows:
    scaling = Scaling(np.nanmean(X, axis=0), 2.0, fills_missing=kind == "gaps")
    if kind == "sparse":
        return to_training_rows(SparseTable(sparse.csr_array(X)), scaling, CPU)
    if kind == "streamed":
        return to_training_rows(ChunkedTable(np.array_split(X, 7)), scaling, CPU)
    return to_training_rows(DenseTable(X), scaling, CPU)


@pytest.mark.parametrize("shape", [(90, 20), (20, 90)])
@pytest.mark.parametrize("limit", [4096, 1])
@pytest.mark.parametrize("kind", ["dense", "sparse", "streamed", "gaps"])
def test_principal_axes_are_those_of_pca(kind, limit, shape, monkeypatch):
    """By dense eigenproblems and, with a limit of 1, by Lanczos iteration and random blocks."""
    used = []
    for name in ("_axes_by_lanczos", "_axes_by_krylov"):
        path = getattr(axes_module, name)
        monkeypatch.setattr(axes_module, name, lambda *args, n=name, p=path: used.append(n) or p(*args))
    monkeypatch.setattr(axes_module, "DENSE_LIMIT", limit)
    X = decaying(*shape)
    if kind == "gaps":
        X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    rows = rows_like(kind, X)
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    np.testing.assert_allclose(column_mean(rows), (filled.mean(0) - np.nanmean(X, axis=0)) / 2, atol=1e-6)
    mean, axes = as_numpy(principal_axes(rows, 3, seeded()))
    pca = PCA(3, svd_solver="full").fit(filled)
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(axes @ pca.components_.T), np.eye(3), atol=2e-4)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12 if used == ["_axes_by_krylov"] else 1e-6)
    if limit == 1:
        assert used == ["_axes_by_lanczos" if kind == "dense" else "_axes_by_krylov"]


def test_a_first_chunk_far_from_the_others_does_not_change_the_axes(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 200)
    X = np.r_[decaying(10) + 30, decaying(80)]
    mean, axes = as_numpy(principal_axes(TrainingRows(torch.from_numpy(X.astype(np.float32))), 3, seeded()))
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-6)
    np.testing.assert_allclose(np.abs(axes @ PCA(3).fit(X).components_.T), np.eye(3), atol=1e-4)


@pytest.mark.parametrize("entry", [3e20, -3e20])
@pytest.mark.parametrize("others", [1.0, np.nan])
def test_entries_whose_squares_overflow_float32_raise_an_error(entry, others):
    with pytest.raises(ValueError, match="too large for training in float32"):
        to_training_rows(DenseTable(np.array([[others, entry], [2.0, 0.0]])), Scaling(np.zeros(2), 2.0), CPU)


@pytest.mark.parametrize("kind", ["sparse", "streamed"])
def test_axes_beyond_the_rank_are_orthogonal_to_all_others(kind):
    X = decaying(5, 30)
    axes = principal_axes(rows_like(kind, X), 10, seeded())[1]
    axes = axes.numpy()
    assert axes.shape == (10, 30)
    np.testing.assert_allclose(axes @ axes.T, np.eye(10), atol=1e-6)
    centred = (X - X.mean(0)) / 2
    np.testing.assert_allclose(centred @ axes.T @ axes, centred, atol=1e-4)


@pytest.mark.parametrize("kind", ["sparse", "streamed"])
def test_axes_depend_only_on_the_selected_rows(kind):
    X = decaying()
    held_out = np.arange(0, 90, 4)
    rest = np.delete(X, held_out, axis=0)
    mean, axes = as_numpy(principal_axes(rows_like(kind, X).without(held_out), 3, seeded()))
    pca = PCA(3).fit(rest)
    np.testing.assert_allclose(2 * mean + X.mean(0), rest.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.abs(axes @ pca.components_.T), np.eye(3), atol=2e-4)


def test_missing_entries_are_filled_with_the_mean_and_marked():
    z, scaling = torch.tensor([[1.0, torch.nan], [torch.nan, 4.0]]), Scaling(np.array([7.0, 8.0]), unscaled=True)
    filled, observed = scaling.filling(True).fill_missing(z)
    assert filled.tolist() == [[1, 8], [7, 4]]
    assert observed.tolist() == [[True, False], [False, True]]
    same, nothing = scaling.fill_missing(z)
    assert same is z
    assert nothing is None
