"""Column statistics computed from chunks or stored entries equal NumPy's for the whole array."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import quick
from scipy import sparse
from sklearn.impute import SimpleImputer

from sklearn_ae._data import arrays
from sklearn_ae._data.tables import DenseTable, SparseTable


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 50)


def many_zeros(fraction_missing=0.0, seed=0) -> np.ndarray:
    """Return 101 rows of 6 columns: mostly zeros, no zeros, not positive, all zeros, constant, few distinct values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(101, 6)) * [1, 2, 1, 0, 0, 1] + [0, 9, 0, 0, 0.1, 0]
    X[:, 2] = -np.abs(X[:, 2])
    X[:, 5] = rng.integers(0, 3, 101) * 0.1
    X[rng.random(X.shape) < [0.8, 0, 0.5, 0, 0, 0]] = 0
    X[rng.random(X.shape) < fraction_missing] = np.nan
    return X


def csr_table(X) -> SparseTable:
    return SparseTable(sparse.csr_array(X))


def with_explicit_zeros(X) -> SparseTable:
    """Return a table whose matrix stores every entry."""
    n, d = X.shape
    matrix = sparse.csr_array((X.ravel().copy(), np.tile(np.arange(d), n), np.arange(0, n * d + 1, d)), shape=X.shape)
    assert matrix.nnz == X.size
    return SparseTable(matrix)


def with_duplicates(X) -> SparseTable:
    """Return a table whose matrix stores every entry as two halves, in random order."""
    order = np.random.default_rng(1).permutation(2 * X.size)
    rows, columns = (np.tile(each.ravel(), 2)[order] for each in np.indices(X.shape))
    by_row = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(X)))])
    halves = np.tile(X.ravel() / 2, 2)[order][by_row]
    return SparseTable(sparse.csr_array((halves, columns[by_row], indptr), shape=X.shape))


TABLES = {
    "dense": DenseTable,
    "Fortran order": lambda X: DenseTable(np.asfortranarray(X)),
    "CSR matrix": lambda X: SparseTable(sparse.csr_matrix(X)),
    "CSR array": csr_table,
    "64-bit indices": lambda X: SparseTable(_with_long_indices(sparse.csr_array(X))),
    "explicit zeros": with_explicit_zeros,
    "duplicates": with_duplicates,
}


def _with_long_indices(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


@pytest.mark.parametrize("fraction_missing", [0.0, 0.3])
@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_column_statistics_are_those_of_numpy(make, fraction_missing):
    X = many_zeros(fraction_missing)
    columns = make(X).columns(allow_nan=fraction_missing > 0)
    np.testing.assert_allclose(columns.mean, np.nanmean(X, axis=0), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(columns.low, np.nanmin(X, axis=0))
    np.testing.assert_array_equal(columns.high, np.nanmax(X, axis=0))
    np.testing.assert_array_equal(columns.n_observed, (~np.isnan(X)).sum(axis=0))
    assert columns.n_rows == len(X)
    assert columns.gaps == (fraction_missing > 0)
    assert columns.mean[4] == 0.1  # the mean of a constant is exact


@pytest.mark.parametrize("fraction_missing", [0.0, 0.3])
@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_variation_is_that_of_numpy(make, fraction_missing):
    X = many_zeros(fraction_missing)
    columns = make(X).columns(allow_nan=True)
    deviations = X - np.nanmean(X, axis=0)
    assert (np.nanmax(np.abs(deviations), axis=0) <= columns.unit + 1e-15).all()
    np.testing.assert_allclose(
        columns.squares * columns.unit**2, np.nansum(deviations**2, axis=0), rtol=1e-12, atol=1e-20
    )
    assert columns.root_mean_square() == pytest.approx(np.sqrt(np.nanmean(deviations**2)))
    assert columns.root_mean_square([1, 2]) == pytest.approx(np.sqrt(np.nanmean(deviations[:, 1:3] ** 2)))
    least, greatest = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    on_bounds = np.logical_or(least == X, greatest == X).sum(axis=0)
    np.testing.assert_array_equal(columns.n_on_bounds, on_bounds)
    varying = [0, 1, 2, 5]
    fraction = (on_bounds[varying].sum() - 8) / columns.n_observed[varying].sum()
    assert columns.fraction_on_bounds == pytest.approx(fraction)


def test_float32_far_from_zero_loses_no_precision():
    X = np.random.default_rng(0).normal([1e5, -3e4, 0], size=(5000, 3)).astype(np.float32)
    X[:, 2] = 0.1
    columns = DenseTable(X).columns()
    np.testing.assert_allclose(columns.mean, X.mean(axis=0, dtype=np.float64), rtol=1e-15)
    assert columns.mean[2] == columns.low[2] == columns.high[2] == np.float32(0.1)
    np.testing.assert_array_equal(columns.n_on_bounds[2], 5000)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_chunks_are_the_rows_in_order(make):
    X = many_zeros()
    table, start = make(X), 0
    for rows, x in table.chunks():
        assert rows.start == start
        np.testing.assert_array_equal(x, X[rows])
        assert x.size <= 50
        start = rows.stop
    assert start == len(table) == len(X)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "uint64", "float32", "float64"])
@pytest.mark.parametrize("make", [DenseTable, csr_table])
def test_statistics_of_every_dtype_are_computed_in_float64(make, dtype):
    X = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, size=(57, 4)).astype(dtype)
    X[::3] = 0
    table, exact = make(X), DenseTable(X.astype(np.float64))
    assert table.dtype == np.dtype(dtype)
    columns, expected = table.columns(), exact.columns()
    for name in ("low", "high", "n_observed"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(expected, name))
    np.testing.assert_allclose(columns.mean, expected.mean, rtol=1e-14)
    squares, expected_squares = (each.squares * each.unit**2 for each in (columns, expected))
    np.testing.assert_allclose(squares, expected_squares, rtol=1e-12)


@pytest.mark.parametrize("given", ["duplicates", "explicit zeros", "float32", "integers", "canonical"])
def test_the_matrix_passed_is_not_modified(given):
    table = {
        "duplicates": with_duplicates,
        "explicit zeros": with_explicit_zeros,
        "float32": lambda X: SparseTable(sparse.csr_array(X.astype(np.float32))),
        "integers": lambda X: SparseTable(sparse.csr_array(X.astype(int))),
        "canonical": csr_table,
    }
    X = many_zeros()
    seen = []
    original = SparseTable.__init__

    def recording(self, matrix):
        seen.append((matrix, matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()))
        original(self, matrix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SparseTable, "__init__", recording)
        made = table[given](X)
    made.columns()
    list(made.chunks())
    matrix, *before = seen[0]
    for now, then in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(now, then)
        assert now.dtype == then.dtype


@pytest.mark.parametrize("make", [DenseTable, csr_table, with_explicit_zeros])
def test_statistics_of_columns_without_observed_entries_are_zero(make):
    X = many_zeros()
    X[:, [1, 3]] = np.nan
    table = make(X)
    columns = table.columns(allow_nan=True)
    for each in (columns.mean, columns.low, columns.high, columns.n_observed):
        np.testing.assert_array_equal(each[[1, 3]], 0)
    np.testing.assert_array_equal(columns.squares[[1, 3]], 0)
    np.testing.assert_array_equal(columns.n_on_bounds[[1, 3]], 0)
    rest = [0, 2, 4, 5]
    assert columns.root_mean_square() == pytest.approx(np.sqrt(((X - X.mean(0))[:, rest] ** 2).mean()))


@pytest.mark.parametrize("make", [DenseTable, csr_table])
def test_statistics_of_a_table_without_observed_entries_are_zero(make):
    table = make(np.full((30, 3), np.nan))
    columns = table.columns(allow_nan=True)
    np.testing.assert_array_equal(columns.mean, 0)
    assert columns.root_mean_square() == 0
    assert columns.fraction_on_bounds == 0


@pytest.mark.parametrize("make", [DenseTable, csr_table])
@pytest.mark.parametrize(
    ("bad", "allow_nan", "message"),
    [
        ({(3, 2): np.nan}, False, r"contains NaN in column 'c'\. .* in 1 of 101 samples\. .* missing='mask'"),
        ({(3, 2): np.nan, (3, 4): np.nan, (9, 2): np.nan}, False, r"'c', 'e'\. .* in 2 of 101 .*guide/missing\.md"),
        ({(3, 2): np.inf}, False, r"contains infinity in column 'c'\. (?!.*missing='mask')"),
        ({(3, 2): -np.inf, (9, 0): np.nan}, True, r"contains infinity in column 'c'\."),
        ({(90, 0): np.inf, (91, 0): -np.inf, (3, 4): np.inf}, True, r"contains infinity in columns 'a', 'e'\."),
        ({(3, 2): np.inf, (9, 0): np.nan, (9, 2): np.nan}, False, r"contains NaN in columns 'a', 'c'\."),
        ({(3, 2): 1.7e308, (4, 2): -1.7e308}, True, r"too large for float64 arithmetic in column 'c'"),
    ],
)
def test_invalid_entries_raise_an_error_that_names_the_columns(make, bad, allow_nan, message):
    X = many_zeros()
    for at, value in bad.items():
        X[at] = value
    with pytest.raises(ValueError, match=message):
        make(X).columns(np.array(list("abcdef")), allow_nan=allow_nan)


@pytest.mark.parametrize("make", [np.array, sparse.csr_array, pd.DataFrame], ids=["array", "CSR", "frame"])
@pytest.mark.parametrize("values", [[np.inf], [-np.inf], [np.inf, -np.inf, np.inf]], ids=str)
def test_the_advice_for_infinity_works(values, make):
    given = many_zeros()
    given[range(len(values)), 1] = values
    X = make(given)
    with pytest.raises(ValueError, match=r"contains infinity in column 1\..* replace them by .*NaN") as raised:
        quick(1).fit(X)
    exec(re.search(r"with (X.* = numpy.nan)", str(raised.value))[1], {"numpy": np, "X": X})
    quick(1, missing="mask").fit(X)
    quick(1).fit(SimpleImputer().fit_transform(X))


@pytest.mark.parametrize("factor", [1e300, 1e150, 1e-150, 1e-300])
@pytest.mark.parametrize("make", [DenseTable, csr_table])
def test_huge_and_tiny_values_neither_overflow_nor_vanish(make, factor):
    X = many_zeros(0.2)
    plain, moved = make(X), make(X * factor)
    columns = moved.columns(allow_nan=True)
    expected = plain.columns(allow_nan=True)
    np.testing.assert_allclose(columns.mean, expected.mean * factor, rtol=1e-12)
    assert columns.root_mean_square() == pytest.approx(expected.root_mean_square() * factor, rel=1e-12)
    np.testing.assert_array_equal(columns.n_on_bounds, expected.n_on_bounds)


@pytest.mark.parametrize("make", [DenseTable, csr_table])
def test_a_large_offset_costs_no_precision(make):
    """Seconds since 1970: the variance is 18 orders of magnitude below the squares."""
    X = 1.7e9 + np.random.default_rng(0).normal(size=(101, 3))
    table = make(X)
    rms = table.columns().root_mean_square()
    assert rms == pytest.approx((X - X.mean(0)).std(), rel=1e-6)


def test_missing_entries_do_not_warn():
    X = many_zeros(0.5)
    X[:, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (DenseTable, csr_table):
            table = make(X)
            table.columns(allow_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_means_that_drift_from_chunk_to_chunk_cost_no_precision(dtype):
    """Sorted timestamps, a step, a value that appears late and one of 1e30: no chunk has the statistics of all."""
    rng = np.random.default_rng(0)
    X = np.c_[
        1.7e9 + np.arange(101) * 3600, np.repeat([0, 1e6], [8, 93]) + rng.random(101), np.zeros(101), rng.random(101)
    ]
    X[-1, 2], X[50, 3] = 1e-3, 1e30
    X = X.astype(dtype)
    columns, exact = DenseTable(X).columns(), X.astype(np.longdouble)
    np.testing.assert_allclose(columns.mean, exact.mean(axis=0).astype(float), rtol=1e-14)
    squares = ((exact - exact.mean(axis=0)) ** 2).sum(axis=0).astype(float)
    np.testing.assert_allclose(columns.squares * columns.unit**2, squares, rtol=1e-12)
    np.testing.assert_array_equal(columns.n_on_bounds, ((X.min(0) == X) | (X.max(0) == X)).sum(axis=0))
