"""A sparse matrix gives the results of the equivalent dense array, of which only batches are ever created."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import quick
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.losses import Mixed

FORMATS = {
    "CSR matrix": sparse.csr_matrix,
    "CSR array": sparse.csr_array,
    "CSC array": sparse.csc_array,
    "COO matrix": sparse.coo_matrix,
    "LIL array": sparse.lil_array,
}


@pytest.fixture(scope="module")
def X(digits) -> np.ndarray:
    return digits[:500].copy()


@pytest.fixture(scope="module")
def dense(X) -> AutoencoderTransformer:
    return quick(8).fit(X)


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_a_fit_equals_that_to_the_dense_array(make, X, dense):
    model = quick(8).fit(make(X))
    assert model.score(X) == pytest.approx(dense.score(X), abs=0.01)
    np.testing.assert_allclose(model.mean_, dense.mean_, rtol=1e-12)
    assert model._architecture.output_activation == dense._architecture.output_activation == "clip"
    np.testing.assert_allclose(model.validation_scores_, dense.validation_scores_, atol=0.01)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_every_dtype(dtype, X):
    given = (X > 8 if dtype is bool else X).astype(dtype)
    from_sparse = quick(8).fit(sparse.csr_array(given))
    assert from_sparse.score(given) == pytest.approx(quick(8).fit(given).score(given), abs=0.01)
    codes = from_sparse.transform(sparse.csr_array(given))
    assert codes.dtype == (np.float32 if dtype is np.float32 else np.float64)
    np.testing.assert_allclose(codes, from_sparse.transform(given), atol=1e-4 if dtype is np.float32 else 1e-10)


def test_indices_may_have_64_bits(X, dense):
    given = sparse.csr_array(X)
    given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    np.testing.assert_allclose(dense.transform(given), dense.transform(X), atol=1e-10)
    np.testing.assert_array_equal(quick(8).fit(given).components_, quick(8).fit(sparse.csr_array(X)).components_)


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array])
def test_the_initialization_is_pca(make, X):
    model = quick(8, max_epochs=0, early_stopping=False, output_activation="identity").fit(make(X))
    pca = PCA(8).fit(X)
    np.testing.assert_allclose(np.abs(model.components_ @ pca.components_.T), np.eye(8), atol=1e-4)
    assert model.score(X) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-4)
    np.testing.assert_allclose(model.explained_variance_ratio_, pca.explained_variance_ratio_, atol=1e-4)


def test_the_initialization_for_a_wide_matrix_is_pca():
    """More columns than rows, and too many for the dense eigenproblem."""
    rng = np.random.default_rng(0)
    given = sparse.random(300, 6000, density=0.002, random_state=rng)
    given = sparse.csr_array(
        given + sparse.csr_array(rng.random((300, 1)) < 0.5) @ sparse.csr_array(rng.random((1, 6000)) < 0.02)
    )
    settings = {"max_epochs": 0, "early_stopping": False, "hidden_layer_sizes": (), "output_activation": "identity"}
    model = quick(2, **settings).fit(given)
    pca = PCA(2, svd_solver="full").fit(given.toarray())
    assert model.score(given) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-4)


class TestFitted:
    """A fitted estimator gives the same results for the matrix as for the array."""

    @pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
    def test_transform_and_scores(self, make, X, dense):
        given = make(X)
        np.testing.assert_allclose(dense.transform(given), dense.transform(X), atol=1e-12)
        assert dense.score(given) == pytest.approx(dense.score(X), rel=1e-12)
        np.testing.assert_allclose(dense.score_samples(given), dense.score_samples(X), rtol=1e-10)
        errors = dense.reconstruction_error(given, per_feature=True)
        np.testing.assert_allclose(errors, dense.reconstruction_error(X, per_feature=True), atol=1e-9)

    def test_reconstruction_curve_of_an_ordered_code(self, X):
        model = quick(4, ordered=True).fit(sparse.csr_array(X))
        curve = model.reconstruction_curve(sparse.csr_array(X))
        np.testing.assert_allclose(curve, model.reconstruction_curve(X))
        assert curve[-1] == pytest.approx(quick(4, ordered=True).fit(X).score(X), abs=0.01)

    def test_elbo(self, X):
        model = quick(4, code="gaussian").fit(sparse.csr_array(X))
        assert model.elbo(sparse.csr_array(X), 0) == pytest.approx(model.elbo(X, 0))

    def test_partial_fit(self, X):
        from_sparse, full = quick(8), quick(8)
        for part in (X[:300], X[300:]):
            from_sparse.partial_fit(sparse.csr_array(part))
            full.partial_fit(part)
        assert from_sparse.score(X) == pytest.approx(full.score(X), abs=0.01)
        np.testing.assert_allclose(from_sparse._column_range, full._column_range)

    @pytest.mark.parametrize("method", ["fit", "transform", "score"])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nonfinite_entries_raise_an_error_that_names_the_column(self, method, value, X):
        model = quick(2, max_epochs=1).fit(X)
        given = sparse.lil_array(X)
        given[3, 5] = value
        with pytest.raises(ValueError, match=r"contains (NaN|infinity) in column 5\."):
            getattr(model, method)(given)

    def test_wrong_number_of_columns_raises_an_error(self, X, dense):
        with pytest.raises(ValueError, match="63 features"):
            dense.transform(sparse.csr_array(X[:, 1:]))

    def test_the_sparse_tag_is_set(self):
        assert sklearn.utils.get_tags(quick()).input_tags.sparse


OFFSETS = {
    "seconds since 1970": 1.7e9 + np.arange(300.0) % 60,
    "days since year 0": 739_000 + np.arange(300) % 60 / 16,
    "pressures around -1e8": -1e8 - np.arange(300.0) % 7,
}
IN_SPARSE_COLUMNS = {
    "CSR": lambda X: sparse.csr_array(X),
    "int64 CSR": lambda X: sparse.csr_array((16 * X).astype(np.int64)),
    "CSC": lambda X: sparse.csc_matrix(X),
    "frame": lambda X: pd.DataFrame.sparse.from_spmatrix(sparse.csc_matrix(X)).add_prefix("x"),
    "frame of int64": lambda X: pd.DataFrame.sparse.from_spmatrix(sparse.csc_matrix((16 * X).astype(int))),
}


@pytest.mark.parametrize("offset", OFFSETS)
class TestColumnsFarFromZero:
    """A one-hot block and a column whose values float32 cannot distinguish: entries are centred before rounding."""

    @staticmethod
    def data(offset) -> np.ndarray:
        return np.c_[np.eye(6)[np.random.default_rng(0).integers(0, 6, 300)], OFFSETS[offset]]

    @staticmethod
    def assert_same(model, given, expected, dense):
        np.testing.assert_allclose(model.explained_variance_, expected.explained_variance_, rtol=0.01)
        assert model.score(given) == pytest.approx(expected.score(dense), abs=1e-3)
        codes = model.transform(given)
        assert np.isfinite(codes).all()
        np.testing.assert_allclose(np.abs(codes), np.abs(expected.transform(dense)), atol=0.02 * np.abs(codes).max())
        errors = ((model.inverse_transform(codes) - dense) ** 2).sum(axis=1)
        np.testing.assert_allclose(errors, model.reconstruction_error(given), rtol=1e-3, atol=1e-3 * errors.max())

    @pytest.mark.parametrize("missing", ["error", "mask"])
    @pytest.mark.parametrize("container", IN_SPARSE_COLUMNS)
    def test_a_fit_equals_that_to_the_dense_array(self, container, missing, offset):
        X = self.data(offset)
        given = IN_SPARSE_COLUMNS[container](X)
        dense = 16 * X if "int64" in container else X
        settings = {"missing": missing, "hidden_layer_sizes": (), "max_epochs": 0}
        self.assert_same(quick(3, **settings).fit(given), given, quick(3, **settings).fit(dense), dense)

    def test_partial_fit(self, offset):
        X = self.data(offset)
        from_sparse, full = quick(3), quick(3)
        for part in (slice(0, 100), slice(100, 200), slice(200, 300)):
            from_sparse.partial_fit(sparse.csr_array(X[part]))
            full.partial_fit(X[part])
        self.assert_same(from_sparse, sparse.csr_array(X), full, X)

    def test_axes_of_many_columns(self, offset):
        """Too many for the dense eigenproblem."""
        rng = np.random.default_rng(0)
        X = np.zeros((200, 4200))
        X[:, -3:] = 1000 * OFFSETS[offset][0] + rng.normal(size=(200, 2)) @ rng.normal(size=(2, 3))
        X[np.arange(200), rng.integers(0, 50, 200)] = 0.1
        model = quick(3, max_epochs=0, early_stopping=False, hidden_layer_sizes=()).fit(sparse.csr_array(X))
        pca = PCA(3, svd_solver="full").fit(X)
        np.testing.assert_allclose(np.abs(model.components_[:2] @ pca.components_[:2].T), np.eye(2), atol=1e-3)
        assert model.score(sparse.csr_array(X)) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-3)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_constants_far_outside_the_range_of_float32(make):
    X = np.c_[np.random.default_rng(0).normal(size=(60, 3)), np.full(60, 1e300)]
    model = quick(2, max_epochs=0).fit(make(X))
    assert model.score(make(X)) == pytest.approx(PCA(2).fit(X[:, :3]).explained_variance_ratio_.sum(), abs=0.05)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(make(X)))[:, 3], 1e300)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("entries", [{(3, 2): 1e30}, {(0, 0): -1e20, (5, 3): 1e25}, {(3, 2): 1e300}], ids=str)
def test_entries_too_large_for_the_scale_of_earlier_calls_raise_an_error(make, entries):
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = quick(2).partial_fit(make(X))
    codes = model.transform(X)
    later = X.copy()
    for at, value in entries.items():
        later[at] = value
    with pytest.raises(ValueError, match="entries too large for training in float32"):
        model.partial_fit(make(later))
    np.testing.assert_array_equal(model.transform(X), codes)


def test_zeros_too_far_from_the_mean_of_earlier_calls_raise_an_error():
    X = np.c_[np.random.default_rng(0).normal(size=(60, 3)), np.full(60, 1e20)]
    model = quick(2).partial_fit(sparse.csr_array(X))
    X[7, 3] = 0
    with pytest.raises(ValueError, match="entries too large for training in float32"):
        model.partial_fit(sparse.csr_array(X))


LOSSES = {
    "log_loss": lambda X: (X > 8).astype(float),
    "poisson": lambda X: X,
    "multinomial": lambda X: X,
    "cross_entropy": lambda X: X / X.sum(axis=1, keepdims=True),
    "absolute_error": lambda X: X,
    "mixed": lambda X: X / 16,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, X):
    given = LOSSES[name](X)
    loss = Mixed([("log_loss", slice(0, 30))]) if name == "mixed" else name
    from_sparse, full = (quick(4, loss=loss).fit(each) for each in (sparse.csr_array(given), given))
    assert from_sparse.score(given) == pytest.approx(full.score(given), abs=0.01)
    np.testing.assert_allclose(from_sparse.loss_curve_, full.loss_curve_, rtol=0.02)


def test_rows_and_columns_of_zeros(X):
    given = X.copy()
    given[10:20] = 0
    from_sparse = quick(4).fit(sparse.csr_array(given))
    assert from_sparse.score(given) == pytest.approx(quick(4).fit(given).score(given), abs=0.01)
    nothing = sparse.csr_array((50, 7))
    np.testing.assert_array_equal(quick(2).fit(nothing).inverse_transform(np.zeros((1, 2))), 0)


def test_explicit_zeros_are_zeros_and_duplicates_are_summed(X, dense):
    doubled = sparse.coo_array(X)
    rows, columns = (np.concatenate([each, each]) for each in (doubled.row, doubled.col))
    halves = np.concatenate([doubled.data, doubled.data]) / 2
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(X)))])
    given = sparse.csr_array((halves[order], columns[order], indptr), shape=X.shape)
    assert given.nnz == 2 * doubled.nnz
    np.testing.assert_allclose(dense.transform(given), dense.transform(X), atol=1e-12)
    assert quick(8).fit(given).score(X) == pytest.approx(dense.score(X), abs=0.01)
    assert given.nnz == 2 * doubled.nnz


def test_in_a_pipeline_after_another_decomposition(X):
    pipeline = make_pipeline(TruncatedSVD(20, random_state=0), quick(4)).fit(sparse.csr_array(X))
    assert pipeline.transform(sparse.csr_array(X)).shape == (500, 4)


@pytest.mark.parametrize("settings", [{}, {"missing": "mask"}, {"ordered": True}, {"early_stopping": False}], ids=str)
def test_the_matrix_is_never_made_dense_as_a_whole(settings, monkeypatch):
    """Of 3,000 rows, no more than one chunk is dense at a time, during and after a fit."""

    def limited(dense):
        def toarray(self, *args, **kwargs):
            assert np.prod(self.shape) <= 2**19
            return dense(self, *args, **kwargs)

        return toarray

    given = sparse.csr_array(sparse.random(3000, 1000, density=0.01, random_state=0))
    if settings.get("missing") == "mask":
        given.data[::7] = np.nan
    for kind in (sparse.csr_array, sparse.csc_array, sparse.coo_array):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, limited(getattr(kind, name)))
    model = quick(2, max_epochs=1, hidden_layer_sizes=(), **settings).fit(given)
    assert model.transform(given).shape == (3000, 2)
    assert np.isfinite(model.score(given))
    model.partial_fit(given)


MEMORY = """
import numpy as np
from scipy import sparse
from sklearn_ae import AutoencoderTransformer

def kib(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

X = sparse.random_array((20_000, 5_000), density=0.001, format="csr", rng=np.random.default_rng(0))
model = AutoencoderTransformer(4, hidden_layer_sizes=(), max_epochs=1, random_state=0)
model.fit(X[:2000])
open("/proc/self/clear_refs", "w").write("5")
before = kib("VmRSS")
model.fit(X).transform(X)
print((kib("VmHWM") - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory is Linux's")
def test_memory_stays_far_below_that_of_the_dense_array():
    """The dense array of the same dtype takes 800 MB."""
    result = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    assert float(result.stdout) < 200
