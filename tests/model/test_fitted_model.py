"""``FittedModel`` computes what the network does: in chunks, in the precision of the input and in the data's units."""

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
    plain = Architecture(D, K, (5,), "silu", **made_of, code_dropout=0.5, rotation_invariant=True)
    module, generator = build(plain._replace(**changes)), torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    module.output.set_range(torch.full((D,), -1.0), torch.full((D,), 1.0))
    return module.eval()


@pytest.fixture(params=[{}, {"rotation_invariant": False, "code": "relu", "output_activation": "identity"}], ids=str)
def fitted_model(request, X) -> FittedModel:
    """Return a fitted model whose code map is set and whose output is clipped to a range or unlimited."""
    module, scaling = random_network(**request.param), Scaling(OFFSET, SCALE)
    module64 = in_float64(module)
    Z = torch.from_numpy((X - OFFSET) / SCALE)
    moments = CodeMoments(K, rotation_invariant=module64.code_map.__class__.__name__ == "RotationMap")
    add_moments(moments, module64, TrainingRows(Z), float(Z.square().sum()))
    canonicalize_(module64, moments, scaling)
    module.code_map.load_state_dict(module64.code_map.state_dict())
    return FittedModel(module, module64, scaling)


def codes_formula(fitted_model: FittedModel, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return fitted_model.module64.encode(torch.from_numpy((X - OFFSET) / SCALE)).numpy()


def data_formula(fitted_model: FittedModel, codes: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return OFFSET + SCALE * fitted_model.module64.decode(torch.from_numpy(codes)).numpy()


DTYPES = [
    (np.float64, np.float64, 1e-12),
    (np.float32, np.float32, 1e-4),
    (np.float16, np.float64, 1e-12),
    (np.int32, np.float64, 1e-12),
    (np.uint8, np.float64, 1e-12),
]


@pytest.mark.parametrize(("dtype", "expected_dtype", "atol"), DTYPES)
def test_codes_are_those_of_the_network(dtype, expected_dtype, atol, fitted_model, X):
    given = np.abs(X).astype(dtype)
    codes = fitted_model.encode(DenseTable(given))
    assert codes.dtype == expected_dtype
    rtol = 8 * np.finfo(expected_dtype).eps  # codes of up to 1,000 have a rounding of their own
    np.testing.assert_allclose(codes, codes_formula(fitted_model, given.astype(np.float64)), rtol=rtol, atol=atol)


@pytest.mark.parametrize(("dtype", "expected_dtype", "atol"), DTYPES)
def test_decoded_codes_are_data_within_the_range(dtype, expected_dtype, atol, fitted_model):
    codes = np.abs(3 * np.random.default_rng(1).normal(size=(23, K))).astype(dtype)
    decoded = fitted_model.decode(DenseTable(codes))
    assert decoded.dtype == expected_dtype
    np.testing.assert_allclose(decoded, data_formula(fitted_model, codes.astype(np.float64)), atol=100 * atol)
    if hasattr(fitted_model.module64.output, "low"):
        assert (np.abs(decoded - OFFSET) <= SCALE + 1e-5).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residuals_are_data_minus_reconstruction(dtype, fitted_model, X):
    given = X.astype(dtype)
    parts = list(fitted_model.residuals(DenseTable(given)))
    assert len(parts) > 1
    assert [i for rows, *_ in parts for i in range(len(X))[rows]] == list(range(len(X)))
    residual = np.concatenate([part[1] for part in parts])
    assert residual.dtype == np.float64
    atol = 1e-12 if dtype == np.float64 else 1e-5
    reconstructed = data_formula(fitted_model, codes_formula(fitted_model, given.astype(np.float64)))
    np.testing.assert_allclose(residual * SCALE, given - reconstructed, atol=10 * atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sample_has_the_same_code_alone_and_among_others(dtype, fitted_model, X):
    X = X.astype(dtype)
    alone = np.concatenate([fitted_model.encode(DenseTable(row[None])) for row in X])
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(fitted_model.encode(DenseTable(X)), alone, rtol=tolerance, atol=tolerance)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "negative strides": lambda X: X[::-1].copy()[::-1],
    "strided": lambda X: X.repeat(2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_and_writability_do_not_matter_and_input_is_unchanged(layout, fitted_model, X):
    codes = fitted_model.encode(DenseTable(X))
    for method, plain in (
        (lambda X: fitted_model.encode(DenseTable(X)), X),
        (lambda h: fitted_model.decode(DenseTable(h)), codes),
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
def test_nonfinite_entries_raise_an_error_that_names_the_column(values, message, dtype, fitted_model, X):
    X = X.astype(dtype)
    for place, value in values.items():
        X[place] = value
    with pytest.raises(ValueError, match=message):
        fitted_model.encode(DenseTable(X))
    with pytest.raises(ValueError, match=message):
        list(fitted_model.residuals(DenseTable(X)))


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


def test_in_float64_keeps_the_dtype_of_a_permutation():
    assert in_float64(random_network(rotation_invariant=False)).code_map.order.dtype == torch.int64


@pytest.mark.parametrize("rotation_invariant", [True, False])
def test_moments_in_chunks_are_those_of_code_and_error(rotation_invariant, X):
    module = in_float64(random_network(rotation_invariant=rotation_invariant))
    Z, mean = torch.from_numpy((X - OFFSET) / SCALE), np.arange(D) / 10
    moments, scaling = CodeMoments(K, rotation_invariant=rotation_invariant), Scaling(mean, unscaled=True)
    variance = scaling.variance(DenseTable(Z.numpy()).columns())
    add_moments(moments, module, TrainingRows(Z, scaling=scaling), variance)
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


def test_errors_about_the_mean_give_the_r2_of_scikit_learn(fitted_model, X):
    moved = Scaling(X.mean(0), SCALE)
    fitted_model = FittedModel(fitted_model.by_dtype[torch.float32][0], fitted_model.module64, moved)
    (error,), variance = fitted_model.errors(DenseTable(X))
    squares = sum(np.square(residual).sum() for _, residual in fitted_model.residuals(DenseTable(X)))
    assert error == pytest.approx(squares)
    expected = r2_score(
        X, fitted_model.decode(DenseTable(fitted_model.encode(DenseTable(X)))), multioutput="variance_weighted"
    )
    assert r_squared(error, variance) == pytest.approx(expected)


UNSCALED = np.array([True, False, False, True, False, False])
MIXED = Mixed([("log_loss", [0, 3]), ("squared_error", [1, 2, 4, 5])])


@pytest.fixture
def table(X) -> np.ndarray:
    """Return samples whose first and fourth columns are binary and unscaled."""
    return np.where(UNSCALED, X > OFFSET, X)


def partly_unscaled_model(code: str = "identity", **changes) -> FittedModel:
    module = random_network(code, MIXED, output_activation="by_columns", code_dropout=0.0, **changes)
    return FittedModel(module, in_float64(module), Scaling(np.where(UNSCALED, 0, OFFSET), SCALE, UNSCALED))


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_unscaled_columns_keep_their_own_units(dtype, atol, table):
    fitted_model, given = partly_unscaled_model(), table.astype(dtype)
    decoded = fitted_model.decode(DenseTable(fitted_model.encode(DenseTable(given))))
    assert ((decoded[:, UNSCALED] > 0) & (decoded[:, UNSCALED] < 1)).all()
    parts = list(fitted_model.residuals(DenseTable(given)))
    residual = np.concatenate([part[1] for part in parts])
    np.testing.assert_allclose(residual * SCALE, given - decoded, atol=10 * atol)


def test_moments_are_in_units_of_the_scale_if_some_columns_are_unscaled(table):
    fitted_model = partly_unscaled_model()
    moments = CodeMoments(K, rotation_invariant=True)
    scaling = Scaling(table.mean(0), SCALE, UNSCALED)
    fitted_model = FittedModel(fitted_model.by_dtype[torch.float32][0], fitted_model.module64, scaling)
    Z = scaling.transform(table, torch.float64)
    variance = scaling.variance(DenseTable(table).columns())
    add_moments(moments, fitted_model.module64, TrainingRows(Z, scaling=scaling), variance)
    error = np.square(table - fitted_model.decode(DenseTable(fitted_model.encode(DenseTable(table))))).sum()
    assert moments.errors[-1] * SCALE**2 == pytest.approx(error)
    assert moments.variance * SCALE**2 == pytest.approx(np.square(table - table.mean(0)).sum())


def draws(seed: int, n: int, n_each: int) -> np.ndarray:
    """Return standard normal numbers (n, K) as a generator gives them in chunks."""
    generator, sizes = torch.Generator().manual_seed(seed), [min(n_each, n - i) for i in range(0, n, n_each)]
    return np.concatenate([torch.empty(size, K).double().normal_(generator=generator).numpy() for size in sizes])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_elbo_is_the_likelihood_of_draws_minus_their_divergence(seed, table):
    """Numbers are normal with half the squared scale as variance, binaries Bernoulli, codes standard normal."""
    fitted_model = partly_unscaled_model("gaussian", rotation_invariant=False, hidden_layer_sizes=())
    with torch.no_grad():
        preactivation = fitted_model.module64.step(fitted_model.scaling.transform(table, torch.float64)).preactivation
    mean, deviation = preactivation[:, :K].numpy(), np.exp(preactivation[:, K:].clamp(max=4).numpy() / 2)
    codes = mean + deviation * draws(seed, len(table), 5)
    decoded = fitted_model.decode(DenseTable(codes))
    of_numbers = stats.norm.logpdf(table, decoded, SCALE * np.sqrt(0.5))[:, ~UNSCALED].sum(1)
    of_binaries = stats.bernoulli.logpmf(table[:, UNSCALED], decoded[:, UNSCALED]).sum(1)
    divergence = ((np.square(mean) + np.square(deviation) - 1) / 2 - np.log(deviation)).sum(1)
    bound = fitted_model.elbo(DenseTable(table), MIXED, seed)
    assert bound == pytest.approx((of_numbers + of_binaries - divergence).mean(), rel=1e-9)
    again, other = (fitted_model.elbo(DenseTable(table), MIXED, each) for each in (seed, seed + 2))
    assert again == bound != other
