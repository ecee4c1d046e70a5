"""In chunks and in the precision of the input, inference computes what the network does in the data's coordinates."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import r2_score
from torch import nn

from sklearn_ae._data import arrays
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.tables import DenseTable
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.canonical import canonicalize_
from sklearn_ae._model.fitted_model import FittedModel, in_float64
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._model.statistics import CodeMoments, add_moments, r_squared
from sklearn_ae.codes import CODES
from sklearn_ae.losses import LOSSES, Mixed

D, K = 6, 3
OFFSET, SCALE = np.arange(D) * 10.0 - 20, 2.5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 5 * D + 1)


@pytest.fixture
def X() -> np.ndarray:
    return OFFSET + SCALE * np.random.default_rng(0).normal(size=(23, D))


def random_network(code: str = "identity", loss=None, **changes) -> Autoencoder:
    made_of = {"code": CODES[code](), "loss": loss or LOSSES["squared_error"](), "output_activation": "clip"}
    plain = Architecture(D, K, (5,), "silu", **made_of, dropout=0.5, tied_weights=False, rotation_invariant=True)
    module, generator = build(plain._replace(**changes)), torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    module.output.set_range(torch.full((D,), -1.0), torch.full((D,), 1.0))
    return module.eval()


@pytest.fixture(params=[{}, {"rotation_invariant": False, "code": "relu", "output_activation": "identity"}], ids=str)
def inference(request, X) -> FittedModel:
    """Return the inference of a network whose code map is set and whose output is limited."""
    module, coordinates = random_network(**request.param), Scaling(OFFSET, SCALE)
    module64 = in_float64(module)
    Z = torch.from_numpy((X - OFFSET) / SCALE)
    moments = CodeMoments(K, rotation_invariant=module64.code_map.__class__.__name__ == "RotationMap")
    add_moments(moments, module64, TrainingRows(Z))
    canonicalize_(module64, moments, coordinates)
    module.code_map.load_state_dict(module64.code_map.state_dict())
    return FittedModel(module, module64, coordinates)


def codes_formula(inference: FittedModel, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return inference.module64.encode(torch.from_numpy((X - OFFSET) / SCALE)).numpy()


def data_formula(inference: FittedModel, codes: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return OFFSET + SCALE * inference.module64.decode(torch.from_numpy(codes)).numpy()


DTYPES = [
    (np.float64, np.float64, 1e-12),
    (np.float32, np.float32, 1e-4),
    (np.float16, np.float64, 1e-12),
    (np.int32, np.float64, 1e-12),
    (np.uint8, np.float64, 1e-12),
]


@pytest.mark.parametrize(("dtype", "expected_dtype", "atol"), DTYPES)
def test_codes_are_those_of_the_network(dtype, expected_dtype, atol, inference, X):
    given = np.abs(X).astype(dtype)
    codes = inference.encode(DenseTable(given))
    assert codes.dtype == expected_dtype
    np.testing.assert_allclose(codes, codes_formula(inference, given.astype(np.float64)), atol=atol)


@pytest.mark.parametrize(("dtype", "expected_dtype", "atol"), DTYPES)
def test_decoded_codes_are_data_within_the_range(dtype, expected_dtype, atol, inference):
    codes = np.abs(3 * np.random.default_rng(1).normal(size=(23, K))).astype(dtype)
    decoded = inference.decode(DenseTable(codes))
    assert decoded.dtype == expected_dtype
    np.testing.assert_allclose(decoded, data_formula(inference, codes.astype(np.float64)), atol=100 * atol)
    if hasattr(inference.module64.output, "low"):
        assert (np.abs(decoded - OFFSET) <= SCALE + 1e-5).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residuals_are_data_less_reconstruction(dtype, inference, X):
    given = X.astype(dtype)
    parts = list(inference.residuals(DenseTable(given)))
    assert len(parts) > 1
    assert [i for rows, *_ in parts for i in range(len(X))[rows]] == list(range(len(X)))
    residual = np.concatenate([part[1] for part in parts])
    assert residual.dtype == np.float64
    atol = 1e-12 if dtype == np.float64 else 1e-5
    reconstructed = data_formula(inference, codes_formula(inference, given.astype(np.float64)))
    np.testing.assert_allclose(residual * SCALE, given - reconstructed, atol=10 * atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_has_the_same_code_alone_and_among_others(dtype, inference, X):
    X = X.astype(dtype)
    alone = np.concatenate([inference.encode(DenseTable(row[None])) for row in X])
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(inference.encode(DenseTable(X)), alone, rtol=tolerance, atol=tolerance)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "negative strides": lambda X: X[::-1].copy()[::-1],
    "strided": lambda X: X.repeat(2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_and_writability_do_not_matter_and_input_stays(layout, inference, X):
    codes = inference.encode(DenseTable(X))
    for method, plain in (
        (lambda X: inference.encode(DenseTable(X)), X),
        (lambda h: inference.decode(DenseTable(h)), codes),
    ):
        given = LAYOUTS[layout](plain)
        given.flags.writeable = False
        np.testing.assert_allclose(method(given), method(plain), atol=1e-12)
        np.testing.assert_array_equal(given, plain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({(20, 2): np.nan}, "contains NaN in column 2"),
        ({(7, 0): np.inf, (9, 4): -np.inf}, "contains infinity in columns 0, 4"),
        ({(7, 1): np.inf, (8, 1): -np.inf}, "contains infinity in column 1"),
    ],
)
def test_entries_that_are_not_finite_are_refused_by_column(values, message, dtype, inference, X):
    X = X.astype(dtype)
    for place, value in values.items():
        X[place] = value
    with pytest.raises(ValueError, match=message):
        inference.encode(DenseTable(X))
    with pytest.raises(ValueError, match=message):
        list(inference.residuals(DenseTable(X)))


def test_in_float64_is_a_copy_with_the_same_weights():
    module = random_network().train()
    module64 = in_float64(module)
    assert module.training
    assert not module64.training
    for (name, value), (name64, value64) in zip(
        module.state_dict().items(), module64.state_dict().items(), strict=True
    ):
        assert name == name64
        assert (value.dtype, value64.dtype) == (torch.float32, torch.float64)
        assert torch.equal(value.double(), value64)
        assert value.data_ptr() != value64.data_ptr()


def test_in_float64_leaves_a_permutation_whole():
    assert in_float64(random_network(rotation_invariant=False)).code_map.order.dtype == torch.int64


@pytest.mark.parametrize("rotation_invariant", [True, False])
def test_moments_in_chunks_are_those_of_code_and_error(rotation_invariant, X):
    module = in_float64(random_network(rotation_invariant=rotation_invariant))
    Z, mean = torch.from_numpy((X - OFFSET) / SCALE), np.arange(D) / 10
    moments = CodeMoments(K, rotation_invariant=rotation_invariant)
    add_moments(moments, module, TrainingRows(Z, scaling=Scaling(mean, unscaled=True)))
    with torch.no_grad():
        code, output = module.network_code(Z).numpy(), module(Z).numpy()
    covariance = np.cov(code, rowvar=False)
    np.testing.assert_allclose(moments.mean, code.mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        moments.covariance, covariance if rotation_invariant else covariance.diagonal(), rtol=1e-10
    )
    assert moments.errors[-1] == pytest.approx(np.square(Z.numpy() - output).sum())
    assert moments.variance == pytest.approx(np.square(Z.numpy() - mean).sum())
    assert moments.n_samples == len(X)


def test_errors_about_the_mean_give_the_r2_of_scikit_learn(inference, X):
    moved = Scaling(X.mean(0), SCALE)
    inference = FittedModel(inference.by_dtype[torch.float32][0], inference.module64, moved)
    (error,), variance = inference.errors(DenseTable(X))
    squares = sum(np.square(residual).sum() for _, residual in inference.residuals(DenseTable(X)))
    assert error == pytest.approx(squares)
    expected = r2_score(
        X, inference.decode(DenseTable(inference.encode(DenseTable(X)))), multioutput="variance_weighted"
    )
    assert r_squared(error, variance) == pytest.approx(expected)


RAW = np.array([True, False, False, True, False, False])
MIXED = Mixed([("log_loss", [0, 3]), ("squared_error", [1, 2, 4, 5])])


@pytest.fixture
def table(X) -> np.ndarray:
    """Return rows whose first and fourth columns are binary and raw."""
    return np.where(RAW, X > OFFSET, X)


def in_mixed_coordinates(code: str = "identity", **changes) -> FittedModel:
    module = random_network(code, MIXED, output_activation="by_columns", dropout=0.0, **changes)
    return FittedModel(module, in_float64(module), Scaling(np.where(RAW, 0, OFFSET), SCALE, RAW))


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_raw_columns_are_residual_and_decoded_in_their_own_units(dtype, atol, table):
    inference, given = in_mixed_coordinates(), table.astype(dtype)
    decoded = inference.decode(DenseTable(inference.encode(DenseTable(given))))
    assert ((decoded[:, RAW] > 0) & (decoded[:, RAW] < 1)).all()
    parts = list(inference.residuals(DenseTable(given)))
    residual = np.concatenate([part[1] for part in parts])
    np.testing.assert_allclose(residual * SCALE, given - decoded, atol=10 * atol)


def test_moments_are_in_units_of_the_scale_where_widths_differ(table):
    inference = in_mixed_coordinates()
    moments = CodeMoments(K, rotation_invariant=True)
    coordinates = Scaling(table.mean(0), SCALE, RAW)
    inference = FittedModel(inference.by_dtype[torch.float32][0], inference.module64, coordinates)
    Z = coordinates.transform(table, torch.float64)
    add_moments(moments, inference.module64, TrainingRows(Z, scaling=coordinates))
    error = np.square(table - inference.decode(DenseTable(inference.encode(DenseTable(table))))).sum()
    assert moments.errors[-1] * SCALE**2 == pytest.approx(error)
    assert moments.variance * SCALE**2 == pytest.approx(np.square(table - table.mean(0)).sum())


def draws(seed: int, n: int, n_each: int) -> np.ndarray:
    """Return standard normal numbers (n, K) as a generator gives them in chunks."""
    generator, sizes = torch.Generator().manual_seed(seed), [min(n_each, n - i) for i in range(0, n, n_each)]
    return np.concatenate([torch.empty(size, K).double().normal_(generator=generator).numpy() for size in sizes])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bound_is_the_likelihood_of_draws_less_their_divergence(seed, table):
    """Numbers are normal with half the squared scale for a variance, binaries Bernoulli, codes standard normal."""
    inference = in_mixed_coordinates("gaussian", rotation_invariant=False, hidden_layer_sizes=())
    with torch.no_grad():
        preactivation = inference.module64.step(inference.scaling.transform(table, torch.float64)).preactivation
    mean, deviation = preactivation[:, :K].numpy(), np.exp(preactivation[:, K:].numpy() / 2)
    codes = mean + deviation * draws(seed, len(table), 5)
    decoded = inference.decode(DenseTable(codes))
    of_numbers = stats.norm.logpdf(table, decoded, SCALE * np.sqrt(0.5))[:, ~RAW].sum(1)
    of_binaries = stats.bernoulli.logpmf(table[:, RAW], decoded[:, RAW]).sum(1)
    divergence = ((np.square(mean) + np.square(deviation) - 1) / 2 - np.log(deviation)).sum(1)
    bound = inference.elbo(DenseTable(table), MIXED, seed)
    assert bound == pytest.approx((of_numbers + of_binaries - divergence).mean(), rel=1e-9)
    assert inference.elbo(DenseTable(table), MIXED, seed) == bound != inference.elbo(DenseTable(table), MIXED, seed + 2)
