"""Data is centred and scaled once, in float64, and loses no precision except to float32 rounding."""

import numpy as np
import pytest
import torch
from helpers import quick
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_ae._data import arrays
from sklearn_ae._data.arrays import row_slices
from sklearn_ae._data.columns import ColumnRange, check_range
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.split import Split, held_out_rows
from sklearn_ae._data.tables import DenseTable
from sklearn_ae._data.training_rows import TrainingRows, to_training_rows

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
#: (a, b) for a * X + b: huge and tiny values, and seconds since 1970.
MOVES = {"plain": (1, 0), "huge": (1e30, 0), "tiny": (1e-30, 0), "timestamps": (300, 1.7e9), "huge, far": (1e28, -1e30)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 50)


@pytest.fixture
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(101, 4)) * [1, 2, 0.1, 5] + [0, 1, 10, -3]


def range_of(low, high) -> ColumnRange:
    return ColumnRange(np.array(low), np.array(high), np.ones(len(low), dtype=bool))


def scaling_of(X: np.ndarray, unscaled=False) -> Scaling:
    return Scaling.of(DenseTable(X).columns(), unscaled)


@pytest.mark.parametrize(("n_rows", "width"), [(1, 1), (7, 10), (100, 7), (5, 49), (5, 51), (3, 1000), (50, 1)])
def test_chunks_cover_every_row_once_in_order(n_rows, width):
    covered = [i for rows in row_slices(n_rows, width) for i in range(n_rows)[rows]]
    assert covered == list(range(n_rows))
    sizes = [rows.stop - rows.start for rows in row_slices(n_rows, width)]
    assert all(size >= 1 and (size == 1 or size * width <= 50) for size in sizes)
    assert len(sizes) == -(-n_rows // max(1, 50 // width))


def test_chunks_of_narrow_data_have_few_rows(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ROWS", 7)
    assert [rows.stop - rows.start for rows in row_slices(20, 1)] == [7, 7, 6]


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("move", MOVES)
def test_shift_and_scale_do_not_change_the_input_of_the_network(move, dtype, X):
    """Compared in float64 with the data as given: what float32 input has already lost cannot be recovered."""
    a, b = MOVES[move]
    moved = (a * X + b).astype(dtype)
    exact = moved.astype(np.float64)
    exact = exact - exact.mean(0)
    exact /= np.sqrt(np.square(exact / np.abs(exact).max()).mean()) * np.abs(exact).max()
    scaling = scaling_of(moved)
    np.testing.assert_allclose(scaling.transform(moved, torch.float32), exact, atol=2e-6)
    if dtype == F64:
        np.testing.assert_allclose(scaling.transform(moved, torch.float64), exact, atol=1e-8 if b else 1e-13)


@pytest.mark.parametrize("move", MOVES)
def test_scaled_data_has_zero_mean_and_unit_root_mean_square(move, X):
    a, b = MOVES[move]
    moved = a * X + b
    scaling = scaling_of(moved)
    np.testing.assert_allclose(scaling.offset, moved.mean(0), rtol=1e-14, atol=1e-14 * a)
    assert scaling.scale == pytest.approx(a * scaling_of(X).scale, rel=1e-8)
    Z = scaling.transform(moved, torch.float64)
    assert Z.square().mean().item() == pytest.approx(1)
    np.testing.assert_allclose(scaling.transform_point(scaling.offset), 0)


@pytest.mark.parametrize("move", MOVES)
def test_a_round_trip_keeps_all_digits(move, X):
    a, b = MOVES[move]
    moved = a * X + b
    scaling = scaling_of(moved)
    back = scaling.inverse_transform(scaling.transform(moved, torch.float64))
    np.testing.assert_allclose(back, moved, rtol=1e-14, atol=1e-14 * a)
    training = scaling.transform(moved, torch.float32)
    np.testing.assert_allclose(scaling.inverse_transform(training.double()), moved, rtol=0, atol=1e-5 * a)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_inverse_transform_keeps_the_dtype(dtype):
    out = Scaling(np.array([1.0, -2.0]), 3.0).inverse_transform(torch.from_numpy(np.array([[0, 1], [2, -1]], dtype)))
    assert out.numpy().dtype == dtype
    np.testing.assert_array_equal(out, [[1, 1], [7, -5]])


def test_the_identity_scaling_copies_the_data():
    scaling, X = Scaling(np.zeros(2), 1.0), np.array([[0.25, 1.0]], np.float32)
    Z = scaling.transform(X, torch.float32)
    np.testing.assert_array_equal(Z, X)
    assert not np.shares_memory(Z.numpy(), X)
    np.testing.assert_array_equal(scaling.transform_point(np.array([0.5, 0.25])), [0.5, 0.25])


def test_transform_point_scales_a_single_point():
    scaling = Scaling(np.array([1.0, -2.0]), 4.0)
    np.testing.assert_array_equal(scaling.transform_point(np.array([3.0, -2.0])), [0.5, 0])


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, -1e30, 1.7e9 + 0.3])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_constant_data_is_scaled_to_zero(value, dtype):
    X = np.full((10, 3), value, dtype)
    scaling = scaling_of(X)
    assert scaling.scale == 1
    np.testing.assert_array_equal(scaling.transform(X, torch.float32), 0)


def strided(X: np.ndarray) -> np.ndarray:
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), 99, X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "strided": strided,
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
}
DTYPES = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", "longdouble", ">f8"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_tensor_is_the_same_for_every_dtype_and_layout(dtype, layout):
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, size=(23, 4))
    plain, given = values.astype(np.float64), LAYOUTS[layout](values.astype(dtype))
    before, scaling = given.copy(), scaling_of(given)
    Z = to_training_rows(DenseTable(given), scaling, torch.device("cpu")).data
    assert Z.dtype == torch.float32
    assert Z.is_contiguous()
    expected = (plain - plain.mean(0)) / (plain - plain.mean(0)).std()
    np.testing.assert_allclose(Z.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(given, before)
    assert not np.shares_memory(Z.numpy(), given)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16", "float32", "float64"])
def test_mean_is_that_of_numpy_in_float64(dtype):
    X = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 250, size=(301, 3)).astype(dtype)
    mean = DenseTable(X).columns().mean
    assert mean.dtype == np.float64
    np.testing.assert_allclose(mean, X.astype(np.float64).mean(0), rtol=1e-14)


NAMES = np.array([f"feature {i}" for i in range(4)], dtype=object)


@pytest.mark.parametrize(
    ("places", "names", "message"),
    [
        ({(3, 2): np.nan}, None, r"contains NaN in column 2\."),
        ({(100, 0): np.inf}, None, r"contains infinity in column 0\."),
        ({(0, 3): -np.inf, (1, 1): np.inf}, None, r"contains infinity in columns 1, 3\."),
        ({(3, 1): np.inf, (4, 1): -np.inf}, None, r"contains infinity in column 1\."),
        ({(3, 2): np.nan, (4, 1): np.inf}, None, r"contains NaN in column 2\."),
        ({(3, 2): np.nan, (4, 0): np.nan}, NAMES, r"contains NaN in columns 'feature 0', 'feature 2'\."),
        ({(0, 1): 1.7e308, (1, 1): 1.7e308}, None, r"too large for float64 arithmetic in column 1: "),
        ({(0, 1): -1.7e308, (1, 1): -1.7e308}, NAMES, r"too large for float64 arithmetic in column 'feature 1': "),
    ],
)
def test_nonfinite_entries_raise_an_error_that_names_the_column(places, names, message, X):
    for place, value in places.items():
        X[place] = value
    with pytest.raises(ValueError, match=message):
        DenseTable(X).columns(names)


@pytest.mark.parametrize(
    ("n_bad", "listed"), [(10, r"7, 8, 9\."), (11, r"7, 8, 9 and 1 more\."), (30, "7, 8, 9 and 20 more")]
)
def test_at_most_ten_columns_are_listed(n_bad, listed):
    X = np.zeros((2, 40))
    X[1, :n_bad] = np.nan
    with pytest.raises(ValueError, match=f"columns 0, 1, 2, 3, 4, 5, 6, {listed}"):
        DenseTable(X).columns()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (1.25, r"loss='log_loss' models data in \[0, 1\], but X has values from 0 to 1\.25 .*: in column 2\. Scale"),
        (-0.5, r"loss='log_loss' models data in \[0, 1\], but X has values from -0\.5 to 0 .*: in column 2\. Scale"),
    ],
)
def test_entries_out_of_range_raise_an_error_that_names_the_column(entry, message):
    X = np.zeros((30, 3))
    X[20, 2] = entry
    with pytest.raises(ValueError, match=message):
        check_range(DenseTable(X).columns().range, (0.0, 1.0), None, "loss='log_loss'")


def test_each_column_may_have_its_own_range():
    bounds = range_of([-9.0, 0, -1, 0], [9.0, 1, 5, 7])
    ends = torch.tensor([-torch.inf, 0, 0, 0]), torch.tensor([torch.inf, 1, 1, torch.inf])
    with pytest.raises(
        ValueError, match=r"models data in \[0, 1\], but X has values from -1 to 5 .* in column 'feature 2'\."
    ):
        check_range(bounds, ends, NAMES, "test")
    bounds.low[2], bounds.high[2] = 0, 1
    check_range(bounds, ends, NAMES, "test")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "float64"])
def test_the_ends_of_the_range_belong_to_it(dtype):
    X = np.array([[0, 1], [1, 0], [1, 1]], dtype)
    check_range(DenseTable(X).columns().range, (0.0, 1.0), None, "test")
    np.testing.assert_allclose(DenseTable(X).columns().mean, [2 / 3, 2 / 3], rtol=1e-15)


def test_rounding_beyond_the_ends_is_allowed():
    check_range(range_of([-1e-7], [1 + 1e-7]), (0.0, 1.0), None, "test")
    with pytest.raises(ValueError, match="models data"):
        check_range(range_of([0.0], [1 + 1e-5]), (0.0, 1.0), None, "test")


def test_data_scaled_to_its_range_is_accepted():
    X = MinMaxScaler().fit_transform(StandardScaler().fit_transform(load_wine().data))
    assert X.max() > 1  # by rounding
    model = quick(loss="log_loss").fit(X)
    assert np.isfinite(model.score(X))
    for loss in ("log_loss", "poisson"):
        model = quick(code="gaussian", loss=loss).fit(X - 1e-9)
        assert np.isfinite(model.loss_curve_).all()
        assert np.isfinite(model.elbo(X - 1e-9, random_state=0))


@pytest.mark.parametrize("value", [1e38, 3e38])
def test_large_float32_entries_do_not_overflow_their_sum(value):
    X = np.full((200, 2), value, np.float32)
    np.testing.assert_allclose(DenseTable(X).columns().mean, X[0], rtol=1e-12)


def fraction_formula(X: np.ndarray) -> float:
    """Count the entries that repeat a bound, without the two per varying column that define its bounds."""
    varying = [column for column in X.T if column.min() < column.max()]
    repeats = sum(int(np.isin(column, [column.min(), column.max()]).sum()) - 2 for column in varying)
    return repeats / sum(len(column) for column in varying) if varying else 0.0


BOUND_CASES = {
    "binary": np.random.default_rng(0).integers(0, 2, (50, 3)),
    "counts": np.random.default_rng(0).integers(0, 4, (50, 3)),
    "continuous": np.random.default_rng(0).normal(size=(50, 3)),
    "some constant": np.c_[np.ones(30), np.arange(30) // 2, np.zeros(30)],
    "all constant": np.ones((10, 2)),
    "two rows": np.array([[0.0, 1.0], [1.0, 1.0]]),
}


@pytest.mark.parametrize("case", BOUND_CASES)
def test_fraction_on_bounds_counts_repeats_of_the_extremes(case):
    X = BOUND_CASES[case]
    fraction = DenseTable(X).columns().fraction_on_bounds
    assert fraction == pytest.approx(fraction_formula(X))
    assert 0 <= fraction < 1
    known = {"binary": 48 / 50, "continuous": 0, "some constant": 2 / 30, "all constant": 0, "two rows": 0}
    assert fraction == pytest.approx(known.get(case, fraction))


def test_column_bounds_are_the_extremes(X):
    low, high, _ = DenseTable(X).columns().range
    np.testing.assert_array_equal(low, np.sort(X, axis=0)[0])
    np.testing.assert_array_equal(high, np.sort(X, axis=0)[-1])


@pytest.mark.parametrize(
    ("n", "fraction", "n_valid"), [(2, 0.1, 1), (10, 0.1, 1), (11, 0.1, 2), (150, 0.25, 38), (1000, 0.999, 999)]
)
def test_split_is_a_partition_with_the_fraction_rounded_up(n, fraction, n_valid):
    valid = held_out_rows(n, fraction, np.random.RandomState(0))
    assert len(valid) == n_valid
    assert set(valid) <= set(range(n))
    assert (np.diff(valid) > 0).all()
    rows = TrainingRows(torch.arange(n, dtype=torch.float32)[:, None])
    train, held_out = (torch.cat(list(part.chunks())).ravel().tolist() for part in Split(valid)(rows))
    assert held_out == valid.tolist()
    assert sorted([*train, *held_out]) == list(range(n))
    assert (np.diff(train) > 0).all()


@pytest.mark.parametrize("at_most", [1, 7, 500])
def test_the_number_of_held_out_samples_is_limited(at_most):
    valid = held_out_rows(1000, 0.1, np.random.RandomState(0), at_most)
    assert len(valid) == len(set(valid)) == min(at_most, 100)
    assert (np.diff(valid) > 0).all()


def test_split_follows_the_random_state_and_is_uniform():
    held_out = [held_out_rows(20, 0.2, np.random.RandomState(seed)) for seed in range(300)]
    np.testing.assert_array_equal(held_out[3], held_out_rows(20, 0.2, np.random.RandomState(3)))
    counts = np.bincount(np.concatenate(held_out), minlength=20)
    assert ((counts > 30) & (counts < 90)).all()  # 60 expected, standard deviation 7


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.1), (2, 0.6), (10, 0.95)])
def test_split_without_training_samples_raises_an_error(n, fraction):
    with pytest.raises(ValueError, match=rf"validation_fraction={fraction} leaves no training sample of the {n} given"):
        held_out_rows(n, fraction, np.random.RandomState(0))


def test_offsets_beyond_float32_do_not_warn():
    scaling = Scaling(np.array([1e60]), 1e59)
    np.testing.assert_allclose(scaling.transform(np.array([[2e60]]), torch.float64), [[10.0]])


UNSCALED = np.array([True, False, False, True])


@pytest.mark.parametrize("move", MOVES)
def test_unscaled_columns_are_unchanged_and_do_not_affect_the_others(move, X):
    a, b = MOVES[move]
    X[:, ~UNSCALED] = a * X[:, ~UNSCALED] + b
    scaling, alone = scaling_of(X, UNSCALED), scaling_of(X[:, ~UNSCALED])
    for dtype in (F32, F64):
        given = X.astype(dtype)
        Z = scaling.transform(given, torch.float64).numpy()
        np.testing.assert_array_equal(Z[:, UNSCALED], given[:, UNSCALED])
        np.testing.assert_allclose(
            Z[:, ~UNSCALED], alone.transform(given[:, ~UNSCALED], torch.float64).numpy(), rtol=1e-6
        )
    assert scaling.scale == pytest.approx(alone.scale, rel=1e-14)
    np.testing.assert_allclose(scaling.offset[~UNSCALED], alone.offset, rtol=1e-15)
    np.testing.assert_array_equal(scaling.column_scale, np.where(UNSCALED, 1, scaling.scale))
    np.testing.assert_allclose(scaling.column_weights * scaling.scale, scaling.column_scale)


@pytest.mark.parametrize("move", MOVES)
def test_a_round_trip_with_unscaled_columns_keeps_all_digits(move, X):
    a, b = MOVES[move]
    X[:, ~UNSCALED] = a * X[:, ~UNSCALED] + b
    scaling = scaling_of(X, UNSCALED)
    back = scaling.inverse_transform(scaling.transform(X, torch.float64)).numpy()
    assert back.dtype == F64
    np.testing.assert_allclose(back, X, rtol=1e-14, atol=1e-14 * a)
    single = X.astype(F32)
    back = scaling.inverse_transform(scaling.transform(single, torch.float32)).numpy()
    assert back.dtype == F32
    np.testing.assert_array_equal(back[:, UNSCALED], single[:, UNSCALED])
    np.testing.assert_allclose(back[:, ~UNSCALED], single[:, ~UNSCALED], rtol=1e-6, atol=1e-5 * a)
    np.testing.assert_allclose(scaling.transform_point(X[3]), scaling.transform(X[3:4], torch.float64)[0])


@pytest.mark.parametrize(
    ("unscaled", "expected"), [(True, True), (False, False), ([True] * 4, True), ([False] * 4, False)]
)
def test_no_mask_is_needed_if_all_or_no_columns_are_unscaled(unscaled, expected, X):
    scaling = scaling_of(X, unscaled)
    assert (scaling.unscaled == np.asarray(unscaled)).all()
    assert (scaling.scale == 1 and not scaling.offset.any()) is expected
    np.testing.assert_array_equal(scaling.transform(X, torch.float64) == torch.from_numpy(X), expected)
    assert scaling.column_weights == 1


def test_scale_is_one_if_the_scaled_columns_are_constant(X):
    X[:, ~UNSCALED] = 7.0
    scaling = scaling_of(X, UNSCALED)
    assert scaling.scale == 1
    np.testing.assert_array_equal(scaling.transform(X, torch.float64)[:, ~UNSCALED], 0)


@pytest.mark.parametrize("unscaled", [True, False])
def test_spread_is_the_root_mean_square_about_the_column_means_after_scaling(unscaled, X):
    scaling = scaling_of(X, unscaled)
    Z = scaling.transform(X, torch.float64)
    assert scaling.spread == pytest.approx((Z - Z.mean(0)).square().mean().sqrt().item())


@pytest.mark.parametrize("unscaled", [True, False, UNSCALED], ids=str)
def test_data_bounds_are_zero_mean_minimum_and_maximum_after_scaling(unscaled, X):
    scaling = scaling_of(X, unscaled)
    bounds = scaling.data_bounds(DenseTable(X).columns().range, torch.device("cpu"))
    zero, mean, *Z = scaling.transform(np.vstack([np.zeros(4), X.mean(axis=0), X]), torch.float32)
    low, high = torch.stack(Z).amin(0), torch.stack(Z).amax(0)
    for found, expected in [(bounds.zero, zero), (bounds.mean, mean), (bounds.low, low), (bounds.high, high)]:
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)
    assert bounds.spread == scaling.spread
    assert not bounds.fills_missing
    assert scaling.filling(True).data_bounds(DenseTable(X).columns().range, torch.device("cpu")).fills_missing
