"""Out-of-core sources give the rows of the array; invalid ones raise an error before anything is fitted."""

from collections import deque

import dask.array as da
import dask.dataframe as dd
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sklearn
import torch
import zarr
from helpers import quick
from scipy import sparse

from sklearn_ae._data import out_of_core
from sklearn_ae._data.out_of_core import (
    ChunkedTable,
    IterableTable,
    OutOfCoreTable,
    ParquetTable,
    SlicedTable,
    in_memory_where_small,
    out_of_core_table,
)
from sklearn_ae._data.tables import DenseTable

D = 8
NAMES = [f"feature {i}" for i in range(D)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(out_of_core, "BLOCK_ENTRIES", 10 * D)


@pytest.fixture
def X(small) -> np.ndarray:
    return small.copy()


class ReiterableChunks:
    """Yields the same chunks on every pass and counts the passes."""

    def __init__(self, parts):
        self.parts = parts
        self.n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        yield from self.parts


def mapped(X, folder, mode="r", order="C"):
    path = folder / "X.npy"
    np.save(path, np.asarray(X, order=order))
    return np.load(path, mmap_mode=mode)


def hdf5(X, folder, **settings):
    with h5py.File(folder / "X.h5", "w") as file:
        file.create_dataset("X", data=X, **settings)
    return h5py.File(folder / "X.h5", "r")["X"]


def parquet(X, folder, rows_per_file=30, rows_per_group=20):
    for i in range(0, len(X), rows_per_file):
        table = pa.table({name: X[i : i + rows_per_file, j] for j, name in enumerate(NAMES)})
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(table, folder / "data" / f"{i:03}.parquet", row_group_size=rows_per_group)
    return ds.dataset(folder / "data")


def parts(X):
    return np.split(X, [7, 8, 8, 50])


SOURCES = {
    "memmap": mapped,
    "memmap, r+": lambda X, folder: mapped(X, folder, "r+"),
    "memmap, c": lambda X, folder: mapped(X, folder, "c"),
    "memmap, Fortran order": lambda X, folder: mapped(X, folder, order="F"),
    "view of a memmap": lambda X, folder: mapped(np.repeat(np.hstack([X, X]), 2, axis=0), folder)[::2, :D],
    "reversed memmap": lambda X, folder: mapped(X[::-1], folder)[::-1],
    "HDF5": hdf5,
    "HDF5, in chunks": lambda X, folder: hdf5(X, folder, chunks=(3, 5), compression="gzip"),
    "HDF5, in large chunks": lambda X, folder: hdf5(X, folder, chunks=(50, D)),
    "Zarr": lambda X, folder: zarr.create_array(folder / "X.zarr", data=X, chunks=(7, 3)),
    "list of arrays": lambda X, folder: parts(X),
    "tuple of arrays": lambda X, folder: tuple(parts(X)),
    "list of tensors": lambda X, folder: [torch.from_numpy(part) for part in parts(X)],
    "list of memmaps": lambda X, folder: [mapped(X, folder)[:50], mapped(X, folder)[50:]],
    "list of HDF5 datasets": lambda X, folder: [hdf5(X, folder)],
    "list of pandas frames": lambda X, folder: [pd.DataFrame(part, columns=NAMES) for part in parts(X)],
    "list of polars frames": lambda X, folder: [pl.DataFrame(part, schema=NAMES) for part in parts(X)],
    "list of Arrow tables": lambda X, folder: [pa.table(pd.DataFrame(part, columns=NAMES)) for part in parts(X)],
    "deque": lambda X, folder: deque(parts(X)),
    "iterable": lambda X, folder: ReiterableChunks(parts(X)),
    "iterable of frames": lambda X, folder: ReiterableChunks([pd.DataFrame(part, columns=NAMES) for part in parts(X)]),
    "DataLoader": lambda X, folder: torch.utils.data.DataLoader(
        torch.from_numpy(X), batch_size=13, generator=torch.Generator()
    ),
    "Parquet": parquet,
    "Arrow table in memory": lambda X, folder: ds.dataset(pa.table(pd.DataFrame(X, columns=NAMES))),
    "dask array": lambda X, folder: da.from_array(X, chunks=(33, 5)),
    "dask frame": lambda X, folder: dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=3),
}


def has_names(kind: str) -> bool:
    return any(word in kind for word in ("frame", "Arrow", "Parquet"))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_holds_the_rows_of_the_array(kind, dtype, X, tmp_path):
    X = X.astype(dtype)
    source = out_of_core_table(SOURCES[kind](X, tmp_path))
    assert isinstance(source, OutOfCoreTable)
    assert source.shape == X.shape
    assert source.dtype == dtype
    assert sum(source.lengths) == len(source) == len(X)
    np.testing.assert_array_equal(source.whole(), X)
    np.testing.assert_array_equal(np.concatenate([block for _, block in source.blocks()]), X)
    for rows, x in source.chunks():
        np.testing.assert_array_equal(x, X[rows])
        assert x.dtype == dtype
    order = np.random.default_rng(0).permutation(len(source.lengths)).tolist()
    starts = []
    for start, block in source.blocks(order):
        np.testing.assert_array_equal(block, X[start : start + len(block)])
        starts.append(start)
    in_order = range(len(source.lengths)) if isinstance(source, IterableTable) else order
    assert starts == [source.starts[i] for i in in_order]


@pytest.mark.parametrize("kind", SOURCES)
def test_columns_are_those_of_the_array(kind, X, tmp_path):
    table, source = DenseTable(X), out_of_core_table(SOURCES[kind](X, tmp_path))
    columns = source.columns()
    np.testing.assert_allclose(columns.mean, table.columns().mean, rtol=1e-14)
    np.testing.assert_array_equal(columns.low, X.min(axis=0))
    np.testing.assert_array_equal(columns.high, X.max(axis=0))
    assert columns.root_mean_square() == pytest.approx((X - X.mean(0)).std())


@pytest.mark.parametrize("kind", SOURCES)
def test_a_fit_to_a_small_source_equals_that_to_the_array(kind, X, tmp_path):
    """Small sources are loaded into memory, so the results are bitwise identical."""
    X = np.asfortranarray(X) if kind in ("memmap, Fortran order", "dask frame") else X  # sums depend on the order
    expected, source = quick(max_epochs=1).fit(X), SOURCES[kind](X, tmp_path)
    model = quick(max_epochs=1).fit(source)
    assert model.n_features_in_ == D
    np.testing.assert_array_equal(model.components_, expected.components_)
    assert hasattr(model, "feature_names_in_") == has_names(kind)
    if has_names(kind):
        assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(model.transform(source), expected.transform(X))


@pytest.mark.parametrize("kind", SOURCES)
def test_wrong_number_of_columns_raises_an_error(kind, X, tmp_path):
    named = has_names(kind)
    model = quick(max_epochs=0).fit(pd.DataFrame(X[:, :5], columns=NAMES[:5]) if named else X[:, :5])
    with pytest.raises(ValueError, match="names should match" if named else "X has 8 features, but .* is expecting 5"):
        model.transform(SOURCES[kind](X, tmp_path))


@pytest.mark.parametrize("kind", ["list of pandas frames", "iterable of frames", "Parquet", "dask frame"])
def test_wrong_feature_names_raise_an_error(kind, X, tmp_path):
    model = quick(max_epochs=0).fit(pd.DataFrame(X, columns=[name.upper() for name in NAMES]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(SOURCES[kind](X, tmp_path))


class TestMemoryMaps:
    @pytest.mark.parametrize("view", [lambda X: X, lambda X: X[1:, ::2]], ids=["whole", "view"])
    def test_changes_in_copy_on_write_mode_survive(self, view, X, tmp_path):
        """Only the pages in memory hold the changes: releasing them would bring back the rows of the file."""
        given = mapped(X, tmp_path, "c")
        given[:] = 7
        given[3, 2] = 9
        source = out_of_core_table(view(given))
        assert isinstance(source, SlicedTable)
        for _ in range(2):
            blocks = np.concatenate([block for _, block in source.blocks()])
            np.testing.assert_array_equal(blocks, view(given))
        assert (np.asarray(given) == 7).sum() == X.size - 1

    def test_changes_in_write_mode_are_seen_and_reach_the_file(self, X, tmp_path):
        given = mapped(X, tmp_path, "r+")
        given[5] = -1
        np.testing.assert_array_equal(np.concatenate([b for _, b in out_of_core_table(given).blocks()])[5], -1)
        given.flush()
        np.testing.assert_array_equal(np.load(tmp_path / "X.npy")[5], -1)

    def test_blocks_are_copies(self, X, tmp_path):
        given = mapped(X, tmp_path, "r+")
        for _, block in out_of_core_table(given).blocks():
            block[:] = 0
        np.testing.assert_array_equal(given, X)

    def test_results_are_not_memory_maps(self, X, tmp_path):
        assert out_of_core_table(mapped(X, tmp_path) + 0.0) is None
        chosen = mapped(X, tmp_path)[[3, 1]]
        np.testing.assert_array_equal(quick(max_epochs=0).fit(X).transform(chosen).shape, (2, 2))

    @pytest.mark.parametrize("dtype", ["bool", "int16", "uint8", ">f8", "float16"])
    def test_other_dtypes(self, dtype, X, tmp_path):
        X = (X > 5).astype(dtype)
        model = quick(max_epochs=1)
        model.fit(mapped(X, tmp_path))
        np.testing.assert_array_equal(model.components_, quick(max_epochs=1).fit(X).components_)


class TestBlocks:
    def test_blocks_are_whole_chunks_of_hdf5(self, X, tmp_path):
        assert out_of_core_table(hdf5(X, tmp_path, chunks=(4, D))).lengths == [8] * 10
        assert out_of_core_table(hdf5(X, tmp_path, chunks=(50, D))).lengths == [50, 30]

    def test_blocks_of_unchunked_hdf5_have_about_the_requested_number_of_entries(self, X, tmp_path):
        assert out_of_core_table(mapped(X, tmp_path)).lengths == [10] * 8

    def test_blocks_of_parquet_are_its_row_groups(self, X, tmp_path):
        assert out_of_core_table(parquet(X, tmp_path)).lengths == [20, 10, 20, 10, 20]

    @pytest.mark.parametrize("megabytes", [0, 1])
    def test_small_sources_are_loaded(self, megabytes, X):
        with sklearn.config_context(working_memory=megabytes):
            table = in_memory_where_small(out_of_core_table(parts(X)))
        assert isinstance(table, DenseTable if megabytes else ChunkedTable)

    def test_a_loaded_memory_map_is_not_copied(self, X, tmp_path):
        given = mapped(X, tmp_path)
        assert np.shares_memory(in_memory_where_small(out_of_core_table(given)).X, given)


class TestParquet:
    def dataset(self, folder, **columns):
        pq.write_table(pa.table(columns), folder / "one.parquet", row_group_size=2)
        return ds.dataset(folder / "one.parquet")

    def test_nulls_of_every_type_are_nan(self, tmp_path):
        columns = {
            "float": pa.array([1.5, None, 2.5], pa.float32()),
            "double": pa.array([None, 0.1, 0.2], pa.float64()),
            "int": pa.array([1, 2, None], pa.int64()),
            "small": pa.array([None, 2, 3], pa.uint8()),
            "bool": pa.array([True, None, False], pa.bool_()),
            "nothing": pa.array([None, None, None], pa.int32()),
        }
        nan = np.nan
        expected = np.array([[1.5, nan, 1, nan, 1, nan], [nan, 0.1, 2, 2, nan, nan], [2.5, 0.2, nan, 3, 0, nan]])
        source = out_of_core_table(self.dataset(tmp_path, **columns))
        assert isinstance(source, ParquetTable)
        assert source.dtype == np.float64
        np.testing.assert_array_equal(source.whole(), expected)

    def test_float32_stays_float32(self, tmp_path):
        columns = {"a": pa.array([1.0, 2.0, None], pa.float32()), "b": pa.array([1.0, 2.0, 3.0], pa.float32())}
        source = out_of_core_table(self.dataset(tmp_path, **columns))
        assert source.dtype == np.float32
        np.testing.assert_array_equal(source.whole(), np.array([[1, 1], [2, 2], [np.nan, 3]], np.float32))

    def test_non_numeric_columns_are_named(self, tmp_path):
        dataset = self.dataset(tmp_path, a=[1.0, 2.0], name=["x", "y"], when=pa.array([0, 1], pa.timestamp("s")))
        with pytest.raises(ValueError, match=r"not numeric: \['name', 'when'\]\. Drop them, or encode them"):
            quick().fit(dataset)

    def test_hive_partitions_are_columns(self, X, tmp_path):
        frame = pd.DataFrame(X, columns=NAMES).assign(year=np.where(np.arange(len(X)) % 2, 2024, 2025))
        pq.write_to_dataset(pa.table(frame), tmp_path / "data", partition_cols=["year"])
        source = out_of_core_table(ds.dataset(tmp_path / "data", partitioning="hive"))
        expected = frame.sort_values("year", kind="stable")[source.header.column_names]
        np.testing.assert_array_equal(source.whole(), expected.to_numpy())

    def test_files_with_columns_in_another_order(self, X, tmp_path):
        (tmp_path / "data").mkdir()
        for i, names in enumerate((NAMES, NAMES[::-1])):
            pq.write_table(pa.table(pd.DataFrame(X, columns=NAMES)[names]), tmp_path / "data" / f"{i}.parquet")
        np.testing.assert_array_equal(out_of_core_table(ds.dataset(tmp_path / "data")).whole(), np.vstack([X, X]))

    def test_a_column_absent_from_a_file_is_missing_there(self, X, tmp_path):
        (tmp_path / "data").mkdir()
        for i, names in enumerate((NAMES, NAMES[1:])):
            pq.write_table(pa.table(pd.DataFrame(X, columns=NAMES)[names]), tmp_path / "data" / f"{i}.parquet")
        whole = out_of_core_table(ds.dataset(tmp_path / "data")).whole()
        np.testing.assert_array_equal(whole[len(X) :, 1:], X[:, 1:])
        assert np.isnan(whole[len(X) :, 0]).all()

    def test_a_filtered_dataset_raises_an_error(self, X, tmp_path):
        with pytest.raises(ValueError, match="filter"):
            quick().fit(parquet(X, tmp_path).filter(ds.field(NAMES[0]) > 0))


class TestFrames:
    def test_missing_values_of_nullable_columns_are_nan(self):
        frame = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean")})
        whole = out_of_core_table([frame, pd.DataFrame({"a": [3], "b": [False]})]).whole()
        np.testing.assert_array_equal(whole, [[1, 1], [np.nan, np.nan], [3, 0]])

    def test_nulls_of_polars_are_nan(self):
        whole = out_of_core_table(
            [pl.DataFrame({"a": [1, 2], "b": [0.5, None]}), pl.DataFrame({"a": [None], "b": [1.0]})]
        )
        np.testing.assert_array_equal(whole.whole(), [[1, 0.5], [2, np.nan], [np.nan, 1]])

    @pytest.mark.parametrize("container", [list, ReiterableChunks])
    def test_columns_in_another_order_raise_an_error(self, container, X):
        frames = [pd.DataFrame(X, columns=NAMES), pd.DataFrame(X, columns=NAMES)[NAMES[::-1]]]
        with pytest.raises(ValueError, match=r"Chunk 1 of X has the columns .*feature 7.* but chunk 0 has"):
            quick().fit(container(frames))


class FewerChunks(ReiterableChunks):
    """Yields one chunk fewer on each pass."""

    def __iter__(self):
        self.n_passes += 1
        yield from self.parts[: len(self.parts) + 1 - self.n_passes]


class Floats(ReiterableChunks):
    """Yields integers on the first pass and other numbers later."""

    def __iter__(self):
        self.n_passes += 1
        yield from self.parts if self.n_passes == 1 else [part + 0.5 for part in self.parts]


INVALID = {
    "no chunks": lambda X: ReiterableChunks([]),
    "an empty list": lambda X: [],
    "generator": lambda X: (part for part in parts(X)),
    "iterator": lambda X: iter(parts(X)),
    "chunks with another width": lambda X: [X, X[:, :5]],
    "iterable with another width": lambda X: ReiterableChunks([X, X[:, :5]]),
    "chunks with one dimension": lambda X: [X, X[0]],
    "iterable of rows": lambda X: ReiterableChunks(list(X)),
    "iterable of lists": lambda X: ReiterableChunks(X.tolist()),
    "text": lambda X: "some text",
    "iterable of texts": lambda X: ReiterableChunks(["some", "text"]),
    "dictionary": lambda X: {"a": X},
    "set": lambda X: {1, 2},
    "chunks of text": lambda X: [X.astype(str), X.astype(str)],
    "frames with a column of text": lambda X: [pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})],
    "polars frames with a column of text": lambda X: [pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})],
    "complex chunks": lambda X: [X + 1j],
    "sparse chunks": lambda X: [sparse.csr_array(X), sparse.csr_array(X)],
    "iterable of sparse chunks": lambda X: ReiterableChunks([sparse.csr_array(X)]),
    "dense, then sparse": lambda X: [X, sparse.csr_array(X)],
    "no rows": lambda X: [X[:0], X[:0]],
    "a row": lambda X: [X[:0], X[:1]],
    "no columns": lambda X: [X[:, :0]],
    "fewer chunks the second time": lambda X: FewerChunks(parts(X)),
    "other numbers the second time": lambda X: Floats([np.ones((5, D), int)]),
    "NaN": lambda X: [X, np.full_like(X, np.nan)],
    "infinity": lambda X: [X, np.full_like(X, np.inf)],
}


@pytest.mark.parametrize("megabytes", [0, 1024])
@pytest.mark.parametrize("kind", INVALID)
def test_invalid_sources_raise_an_error_and_leave_the_estimator_unchanged(kind, megabytes, X):
    model = quick()
    with sklearn.config_context(working_memory=megabytes), pytest.raises((ValueError, TypeError)):
        model.fit(INVALID[kind](X))
    assert not [name for name in vars(model) if name.endswith("_") or name == "feature_names_in_"]
    fitted = quick(max_epochs=1).fit(X)
    before = vars(fitted).copy()
    with sklearn.config_context(working_memory=megabytes), pytest.raises((ValueError, TypeError)):
        fitted.fit(INVALID[kind](X))
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("generator", "generator, which yields its chunks only once: pass an iterable .* or pass it to partial_fit"),
        ("no chunks", "iterable that yields no chunk; it must yield arrays of shape"),
        ("chunks with another width", r"Block 1 of X has shape \(80, 5\), but \(80, 8\) was expected"),
        ("iterable of texts", "X holds str instead of dense chunks"),
        ("chunks of text", "X holds text in columns 0, 1, "),
        ("complex chunks", "type complex128, but only real numbers"),
        ("iterable of sparse chunks", r"chunks must be dense: join sparse ones with scipy\.sparse\.vstack"),
        ("sparse chunks", r"chunks must be dense: join sparse ones with scipy\.sparse\.vstack"),
        ("dense, then sparse", r"chunks must be dense: join sparse ones with scipy\.sparse\.vstack"),
        ("no rows", r"0 sample\(s\) .* a minimum of 2 is required"),
        ("no columns", r"0 feature\(s\) .* a minimum of 1 is required"),
        ("fewer chunks the second time", "yielded 5 chunks the first time and 4 now"),
        ("NaN", "contains NaN in columns 0, 1, .* missing='mask'"),
        ("infinity", "contains infinity in columns 0, 1"),
    ],
)
def test_messages_name_the_problem(kind, message, X):
    with sklearn.config_context(working_memory=0), pytest.raises(ValueError, match=message):
        quick().fit(INVALID[kind](X))


@pytest.mark.parametrize("make", [lambda X: X[0], lambda X: X[None]], ids=["one dimension", "three"])
@pytest.mark.parametrize("kind", ["memmap", "HDF5", "Zarr"])
def test_arrays_without_two_dimensions_raise_an_error(kind, make, X, tmp_path):
    made = make(X)
    given = {
        "memmap": mapped,
        "HDF5": hdf5,
        "Zarr": lambda X, folder: zarr.create_array(folder / "X.zarr", data=X),
    }[kind](made, tmp_path)
    with pytest.raises(ValueError, match=r"dim|2D array"):
        quick().fit(given)


IN_MEMORY = {
    "lists": lambda X: X.tolist(),
    "list of rows": list,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "torch": torch.from_numpy,
}


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_containers_in_memory_are_not_out_of_core_sources(kind, X):
    given = IN_MEMORY[kind](X)
    assert out_of_core_table(given) is None
    assert quick(max_epochs=0).fit(given).n_features_in_ == D
