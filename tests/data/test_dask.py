"""Dask collections give the same results as data in memory, lazily and block by block; searches run on clusters."""

import re

import dask
import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from dask.callbacks import Callback
from helpers import quick
from scipy import sparse
from sklearn.model_selection import GridSearchCV

from sklearn_ae._data.dask_blocks import DaskBlocks, is_dask

NAMES = [f"column {i}" for i in range(8)]
METHODS = {"transform": {}, "score_samples": {}, "reconstruction_error": {"per_feature": True}}


@pytest.fixture(autouse=True)
def threads():
    """Compute in two threads, except in the tests with a cluster."""
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@pytest.fixture(scope="module")
def client():
    """Return the client of a cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(host="127.0.0.1", **settings) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def frame(small) -> pd.DataFrame:
    return pd.DataFrame(small, columns=NAMES, index=pd.date_range("2001-02-03", periods=len(small)))


class Count(Callback):
    """Counts the tasks that are computed."""

    n_tasks = 0

    def _pretask(self, key, dsk, state):
        self.n_tasks += 1


class TestArrays:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
    @pytest.mark.parametrize("name", METHODS)
    def test_blocks_give_the_results_of_the_whole_array(self, name, dtype, small):
        X = small.astype(dtype)
        method = getattr(quick().fit(X), name)
        expected = method(X, **METHODS[name])
        lazy = method(da.from_array(X, chunks=(30, 8)), **METHODS[name])
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype, lazy.chunks[0]) == (expected.shape, expected.dtype, (30, 30, 20))
        computed = lazy.compute()
        assert (computed.shape, computed.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(computed, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)

    def test_inverse_transform_keeps_the_chunks(self, small):
        autoencoder, X = quick().fit(small), da.from_array(small, chunks=(30, 8))
        back = autoencoder.inverse_transform(autoencoder.transform(X))
        assert back.chunks == X.chunks
        np.testing.assert_allclose(back, autoencoder.inverse_transform(autoencoder.transform(small)))

    def test_nothing_is_computed_before_compute_is_called(self, small):
        autoencoder, X = quick().fit(small), da.from_array(small, chunks=(30, 8))
        with Count() as count:
            codes = autoencoder.transform(X)
            autoencoder.inverse_transform(codes)
            autoencoder.score_samples(X[X[:, 0] > 5])
        assert count.n_tasks == 0
        with count:
            codes[:30].compute()
        assert 0 < count.n_tasks < 6  # of one block

    def test_chunks_of_columns_are_joined(self, small):
        autoencoder = quick().fit(small)
        codes = autoencoder.transform(da.from_array(small, chunks=(30, 3)))
        assert codes.chunks == ((30, 30, 20), (2,))
        np.testing.assert_allclose(codes, autoencoder.transform(small))

    @pytest.mark.parametrize("least", [5.0, 8.5])  # 8.5 leaves some blocks empty
    def test_chunks_may_have_unknown_lengths(self, least, small):
        autoencoder, X = quick().fit(small), da.from_array(small, chunks=(10, 8))
        kept = X[X[:, 0] > least]
        codes, errors = autoencoder.transform(kept), autoencoder.score_samples(kept)
        assert np.isnan(codes.shape[0])
        assert codes.shape[1] == 2
        np.testing.assert_allclose(codes.compute(), autoencoder.transform(small[small[:, 0] > least]))
        np.testing.assert_allclose(errors.compute(), autoencoder.score_samples(small[small[:, 0] > least]))

    def test_lazy_results_are_those_of_the_fit_that_created_them(self, small):
        autoencoder = quick().fit(small)
        expected = autoencoder.transform(small)
        lazy = autoencoder.transform(da.from_array(small, chunks=(30, 8)))
        autoencoder.fit(small[::-1] * 3)
        np.testing.assert_allclose(lazy.compute(), expected)

    def test_equal_computations_have_the_same_dask_name(self, small):
        autoencoder, X = quick().fit(small), da.from_array(small, chunks=(30, 8))
        assert autoencoder.transform(X).name == autoencoder.transform(X).name
        assert autoencoder.transform(X).name != quick(random_state=1).fit(small).transform(X).name

    def test_set_output_does_not_compute(self, small):
        autoencoder = quick().fit(small).set_output(transform="pandas")
        codes = autoencoder.transform(da.from_array(small, chunks=(30, 8)))
        assert isinstance(codes, da.Array)
        np.testing.assert_allclose(codes.compute(), autoencoder.transform(small))


class TestFrames:
    def test_codes_have_names_and_index(self, frame):
        autoencoder = quick().fit(frame)
        codes = autoencoder.transform(dd.from_pandas(frame, npartitions=3))
        assert isinstance(codes, dd.DataFrame)
        assert codes.npartitions == 3
        expected = pd.DataFrame(autoencoder.transform(frame), frame.index, list(autoencoder.get_feature_names_out()))
        pd.testing.assert_frame_equal(codes._meta, expected[:0], check_freq=False)
        pd.testing.assert_frame_equal(codes.compute(), expected, check_freq=False)

    def test_reconstructions_have_the_columns_of_the_frame(self, frame):
        autoencoder = quick().fit(frame)
        back = autoencoder.inverse_transform(autoencoder.transform(dd.from_pandas(frame, npartitions=3))).compute()
        expected = autoencoder.inverse_transform(autoencoder.transform(frame))
        pd.testing.assert_frame_equal(back, pd.DataFrame(expected, frame.index, NAMES), check_freq=False)

    def test_unnamed_columns_get_generated_names(self, small, frame):
        autoencoder = quick().fit(small)
        codes = dd.from_pandas(pd.DataFrame(autoencoder.transform(small), frame.index), npartitions=3)
        assert list(autoencoder.inverse_transform(codes).columns) == [f"x{i}" for i in range(8)]

    def test_scores_and_errors_keep_the_index(self, frame):
        autoencoder, X = quick().fit(frame), dd.from_pandas(frame, npartitions=3)
        scores, errors = autoencoder.score_samples(X), autoencoder.reconstruction_error(X, per_feature=True)
        expected = pd.Series(autoencoder.score_samples(frame), frame.index)
        pd.testing.assert_series_equal(scores.compute(), expected, check_freq=False)
        pd.testing.assert_series_equal(-errors.compute().sum(axis=1), expected, check_freq=False)
        assert list(errors.columns) == NAMES

    @pytest.mark.parametrize(
        ("dtype", "expected"), [("float32", "float32"), ("int16", "float64"), ("Float64", "float64")]
    )
    def test_dtypes_are_those_of_the_frame_in_memory(self, dtype, expected, frame):
        frame = frame.astype("int16" if dtype == "int16" else "float32").astype(dtype)
        autoencoder = quick().fit(frame)
        codes = autoencoder.transform(dd.from_pandas(frame, npartitions=3))
        assert set(codes.dtypes) == set(codes.compute().dtypes) == {np.dtype(expected)}
        np.testing.assert_allclose(codes.compute(), autoencoder.transform(frame), rtol=1e-4, atol=1e-5)

    def test_empty_partitions_stay_empty(self, frame):
        autoencoder, X = quick().fit(frame), dd.from_pandas(frame, npartitions=8)
        codes = autoencoder.transform(X[X["column 0"] > 8.5]).compute()
        np.testing.assert_allclose(codes, autoencoder.transform(frame[frame["column 0"] > 8.5]))


class TestScore:
    @pytest.mark.parametrize("columns", [8, 3])
    def test_r2_from_blocks_equals_that_of_the_whole_array(self, columns, small):
        autoencoder = quick().fit(small)
        score = autoencoder.score(da.from_array(small, chunks=(30, columns)))
        assert isinstance(score, float)
        assert score == pytest.approx(autoencoder.score(small), rel=1e-12)

    def test_blocks_may_be_empty(self, small):
        autoencoder, X = quick().fit(small), da.from_array(small, chunks=(10, 8))
        kept = small[:, 0] > 8.5
        assert autoencoder.score(X[X[:, 0] > 8.5]) == pytest.approx(autoencoder.score(small[kept]), rel=1e-12)

    def test_r2_of_a_frame_equals_that_in_memory(self, frame):
        autoencoder = quick().fit(frame)
        score = autoencoder.score(dd.from_pandas(frame, npartitions=3))
        assert score == pytest.approx(autoencoder.score(frame), rel=1e-12)


class TestInvalidInput:
    """Invalid input raises an error when the method is called, not when the result is computed."""

    @pytest.mark.parametrize("name", [*METHODS, "inverse_transform", "score"])
    def test_wrong_number_of_columns(self, name, small):
        X = da.from_array(small, chunks=(30, 8))[:, :5]
        with pytest.raises(ValueError, match=r"X has 5 (features|columns), but"):
            getattr(quick().fit(small), name)(X)

    def test_wrong_feature_names(self, frame):
        X = dd.from_pandas(frame.rename(columns={"column 3": "another"}), npartitions=3)
        with pytest.raises(ValueError, match="another"):
            quick().fit(frame).transform(X)

    @pytest.mark.parametrize("name", ["transform", "score"])
    def test_one_dimensional_collections(self, name, frame, small):
        autoencoder = quick().fit(small)
        for X in (da.from_array(small[:, 0]), dd.from_pandas(frame, npartitions=2)["column 1"]):
            with pytest.raises(ValueError, match="with two dimensions, got"):
                getattr(autoencoder, name)(X)

    def test_unknown_number_of_columns(self, small):
        X = da.from_array(small, chunks=(30, 8))
        with pytest.raises(ValueError, match="unknown number of columns"):
            quick().fit(small).transform(X[:, X[0] > 0])

    def test_computing_nonfinite_entries_raises_an_error_that_names_the_column(self, frame):
        autoencoder, X = quick().fit(frame), dd.from_pandas(frame, npartitions=3)
        codes = autoencoder.transform(X.where(X["column 4"] < 9.0))
        with pytest.raises(ValueError, match="NaN in column"):
            codes.compute()


@pytest.mark.parametrize(
    "make",
    [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_matrix],
    ids=["CSR matrix", "CSR array", "CSC array", "COO matrix"],
)
class TestSparseBlocks:
    """Dask arrays of sparse blocks give the results of the sparse matrix, and those of dense blocks."""

    @staticmethod
    def blocks(make, X, known=True):
        """Return an array of sparse blocks, of whose kind dask knows or not."""
        meta = {} if known else {"meta": np.empty((0, 0))}
        return da.from_array(X, chunks=(30, 8)).map_blocks(make, dtype=X.dtype, **meta)

    @pytest.fixture
    def X(self, small) -> np.ndarray:
        return np.where(small > 5, small, 0)

    @pytest.mark.parametrize("known", [True, False])
    def test_methods(self, known, make, X):
        model, given = quick().fit(X), self.blocks(make, X, known)
        for name, settings in METHODS.items():
            method = getattr(model, name)
            computed = method(given, **settings).compute()
            np.testing.assert_allclose(computed, method(make(X), **settings), rtol=1e-10, atol=1e-12)
        assert model.score(given) == pytest.approx(model.score(make(X)))

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize("megabytes", [0, 64])
    def test_fits(self, megabytes, known, make, X):
        dense = da.from_array(X, chunks=(30, 8))
        with sklearn.config_context(working_memory=megabytes):
            for name in ("fit", "partial_fit"):
                model = getattr(quick(), name)(self.blocks(make, X, known))
                np.testing.assert_array_equal(model.components_, getattr(quick(), name)(dense).components_)

    def test_lengths_may_be_unknown(self, make, X):
        given = self.blocks(make, X)
        given._chunks = ((np.nan,) * 3, (8,))
        np.testing.assert_allclose(quick().fit(given).mean_, X.mean(axis=0))


class TestBlocks:
    """Blocks that ``fit`` reads from a collection."""

    def test_an_array(self, small):
        blocks = DaskBlocks(da.from_array(small.astype(np.float32), chunks=(30, 3)))
        assert (blocks.lengths, blocks.n_features, blocks.names) == ([30, 30, 20], 8, None)
        assert (blocks.dtype, blocks.header.shape) == (np.float32, (0, 8))
        np.testing.assert_array_equal(blocks.read(2), small[60:].astype(np.float32))

    def test_unknown_lengths_are_counted(self, small):
        X = da.from_array(small, chunks=(10, 8))
        blocks = DaskBlocks(X[X[:, 0] > 8.5])
        assert 0 in blocks.lengths
        np.testing.assert_array_equal(
            np.concatenate([blocks.read(i) for i in range(len(blocks.lengths))]), small[small[:, 0] > 8.5]
        )
        assert [len(blocks.read(i)) for i in range(8)] == blocks.lengths

    def test_known_lengths_need_no_computation(self, small):
        with Count() as count:
            DaskBlocks(da.from_array(small, chunks=(30, 8)))
        assert count.n_tasks == 0

    def test_a_frame(self, frame):
        blocks = DaskBlocks(dd.from_pandas(frame, npartitions=3))
        assert (sum(blocks.lengths), blocks.n_features, blocks.names) == (80, 8, NAMES)
        assert list(blocks.header.columns) == NAMES
        np.testing.assert_array_equal(blocks.read(1), frame[blocks.lengths[0] :][: blocks.lengths[1]])

    def test_missing_values_of_a_frame_are_nan(self, frame):
        X = frame.astype("Float64")
        X.iloc[2, 3] = pd.NA
        block = DaskBlocks(dd.from_pandas(X, npartitions=3)).read(0)
        assert block.dtype == np.float64
        assert np.argwhere(np.isnan(block)).tolist() == [[2, 3]]


def test_only_dask_collections_are_recognized(small):
    assert not any(map(is_dask, (small, pd.DataFrame(small), [small], None)))


class TestCluster:
    def test_workers_transform(self, client, small, frame):
        autoencoder = quick().fit(small)
        codes = client.compute(autoencoder.transform(da.from_array(small, chunks=(30, 8)))).result()
        np.testing.assert_allclose(codes, autoencoder.transform(small))
        named = quick().fit(frame)
        scores = client.compute(named.score_samples(dd.from_pandas(frame, npartitions=3))).result()
        np.testing.assert_allclose(scores, named.score_samples(frame))

    def test_blocks_are_read_from_workers(self, client, small):
        with dask.config.set(scheduler=client):
            blocks = DaskBlocks(client.persist(da.from_array(small, chunks=(30, 8))))
            np.testing.assert_array_equal(blocks.read(1), small[30:60])

    def test_a_search_on_workers_gives_the_scores_of_a_local_one(self, client, small):
        grid = {"n_components": [1, 2, 3], "hidden_layer_sizes": [(), (6,)]}
        search = GridSearchCV(quick(max_epochs=2), grid, cv=3)
        local = search.fit(small).cv_results_
        with joblib.parallel_config("dask"):
            remote = search.fit(small).cv_results_
        for name in local:
            if re.match("split|mean_test|rank", name):
                np.testing.assert_array_equal(remote[name], local[name], err_msg=name)
