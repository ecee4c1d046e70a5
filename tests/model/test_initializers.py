"""Initializations: PCA's reconstruction before the first step, unit columns, He variances."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from helpers import Doubling
from scipy.stats import chi2
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from torch import nn

from sklearn_ae._data import arrays
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model import principal_axes as axes_module
from sklearn_ae._model.initializers import initialize_, pca_, random_, starts_as_pca, transpose_
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._model.principal_axes import principal_axes
from sklearn_ae.codes import CODES, Gaussian
from sklearn_ae.losses import Mixed, Multinomial, SquaredError
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder

INITIALIZERS = [pca_, transpose_, random_]
# n, d, rank, k
SHAPES = {
    "tall": (60, 8, 8, 3),
    "all axes": (30, 6, 6, 6),
    "wide": (12, 40, 12, 4),
    "tall, k > rank": (50, 10, 3, 5),
    "wide, k > rank": (12, 40, 3, 6),
    "k > n": (8, 20, 8, 15),
    "k > d": (30, 4, 4, 7),
    "wide, k > d": (3, 5, 3, 9),
    "one column": (20, 1, 1, 1),
    "two rows": (2, 5, 2, 1),
}
LANCZOS_SHAPES = {
    "tall": (60, 24, 24, 3),
    "wide": (24, 60, 24, 3),
    "tall, k > rank": (60, 40, 3, 6),
    "wide, k > rank": (40, 60, 3, 6),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_ENTRIES", 50)
    monkeypatch.setattr(axes_module, "CHUNK_ENTRIES", 50)


@pytest.fixture
def lanczos(monkeypatch):
    """Leave Lanczos iteration as the only way to compute the axes."""
    monkeypatch.setattr(axes_module, "DENSE_LIMIT", 4)
    for other in ("_mean_and_scatter", "_axes_by_gram"):
        monkeypatch.delattr(axes_module, other)


def data(n: int, d: int, rank: int) -> torch.Tensor:
    """Return samples that are not centred, of the given rank before centring, with distinct variances."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(n, rank)) * 1.5 ** -np.arange(rank)
    return torch.from_numpy(factors @ rng.normal(size=(rank, d)) + 0.3)


def network(d: int, k: int, code: str = "identity", **changes) -> Autoencoder:
    made_of = {"code": CODES[code](), "loss": SquaredError(), "output_activation": "identity"}
    plain = Architecture(d, k, (), "silu", **made_of, code_dropout=0.0, rotation_invariant=True)
    return build(plain._replace(**changes)).double().eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reconstruct(module: Autoencoder, X: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return module(X).numpy()


class WithoutAffinePath(nn.Module):
    """A network without an affine path."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 3), nn.Linear(3, 8)


def pca_reconstruction(X: torch.Tensor, k: int, rows=slice(None)) -> np.ndarray:
    """Return the reconstruction of all samples by PCA fitted to the given ones."""
    fitted_on = X[rows].numpy()
    pca = PCA(min(k, *fitted_on.shape), svd_solver="full").fit(fitted_on)
    return pca.inverse_transform(pca.transform(X.numpy()))


@pytest.mark.parametrize("changes", [{}, {"hidden_layer_sizes": (6, 5)}, {"module": TiedAutoencoder}], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_pca_initialization_reconstructs_as_pca(shape, changes):
    n, d, rank, k = SHAPES[shape]
    X, module = data(n, d, rank), network(d, k, **changes)
    pca_(module, TrainingRows(X), seeded())
    np.testing.assert_allclose(reconstruct(module, X), pca_reconstruction(X, k), atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_layer_sizes": (6, 5)},
        {"module": TiedAutoencoder},
        {"output_activation": "clip"},
        {"output_activation": "sigmoid"},
        {"code": "tanh"},
        {"code": "gaussian"},
        {"module": partial(DenseAutoencoder, n_preactivations=3, hidden_layer_sizes=(4,), activation=nn.Tanh)},
        {"module": partial(Doubling, n_preactivations=3, hidden_layer_sizes=(), activation=nn.Tanh)},
        {"module": WithoutAffinePath},
    ],
    ids=str,
)
@pytest.mark.parametrize("init", ["auto", "pca", "transpose", "random"])
def test_a_start_counts_as_pca_if_it_reconstructs_as_pca(changes, init):
    X, module = data(60, 8, 8), network(8, 3, **changes)
    counts = starts_as_pca(module, init)
    if init == "auto" or module.has_affine_path:
        initialize_(module, init, TrainingRows(X), seeded())
        same = np.allclose(reconstruct(module, X), pca_reconstruction(X, 3), atol=1e-9)
        assert counts == (same and changes.get("code") != "gaussian")  # whose codes have another scale
    else:
        assert not counts


@pytest.mark.usefixtures("lanczos")
@pytest.mark.parametrize("shape", LANCZOS_SHAPES)
def test_pca_initialization_of_large_data_reconstructs_as_pca(shape):
    n, d, rank, k = LANCZOS_SHAPES[shape]
    X, module = data(n, d, rank), network(d, k)
    pca_(module, TrainingRows(X), seeded())
    np.testing.assert_allclose(reconstruct(module, X), pca_reconstruction(X, k), atol=1e-9)


def assert_axes_are_those_of_rows(X: torch.Tensor, k: int):
    """Check that the axes are computed from the selected samples only."""
    rows, module = torch.arange(len(X))[::3].flip(0), network(X.shape[1], k)
    pca_(module, TrainingRows(X, rows), seeded())
    np.testing.assert_allclose(reconstruct(module, X), pca_reconstruction(X, k, rows), atol=1e-9)
    alone = network(X.shape[1], k)
    pca_(alone, TrainingRows(X[rows]), seeded())
    np.testing.assert_allclose(reconstruct(alone, X), reconstruct(module, X), atol=1e-9)


@pytest.mark.parametrize("shape", ["tall", "wide"])
def test_pca_initialization_on_some_samples_is_their_pca(shape):
    n, d, rank, _ = SHAPES[shape]
    assert_axes_are_those_of_rows(data(n, d, rank), k=2)


@pytest.mark.usefixtures("lanczos")
@pytest.mark.parametrize(("n", "d"), [(100, 24), (75, 90)])
def test_pca_initialization_of_large_data_on_some_samples_is_their_pca(n, d):
    assert_axes_are_those_of_rows(data(n, d, rank=20), k=2)


@pytest.mark.parametrize("initialize", INITIALIZERS[1:])
def test_other_initializations_depend_only_on_the_given_samples(initialize):
    X, rows = data(60, 8, 8), torch.arange(0, 60, 2)
    module, alone = network(8, 3, hidden_layer_sizes=(4,)), network(8, 3, hidden_layer_sizes=(4,))
    initialize(module, TrainingRows(X, rows), seeded())
    initialize(alone, TrainingRows(X[rows]), seeded())
    np.testing.assert_allclose(reconstruct(module, X), reconstruct(alone, X), atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_pca_initialization_in_float32_explains_as_much_as_pca(seven_data_sets, k):
    for name, data_set in seven_data_sets.items():
        X = data_set - data_set.mean(0)
        X = torch.from_numpy(X / X.std()).float()
        module = network(X.shape[1], k).float()
        pca_(module, TrainingRows(X), seeded())
        explained = 1 - np.square(X.numpy() - reconstruct(module, X)).sum() / X.square().sum()
        best = PCA(min(k, X.shape[1])).fit(data_set).explained_variance_ratio_.sum()
        assert float(explained) == pytest.approx(best, abs=1e-5), name


def assert_axes_are_orthonormal_and_ordered(n: int, d: int, rank: int, k: int):
    X = data(n, d, rank)
    mean, axes = principal_axes(TrainingRows(X), k, seeded())
    torch.testing.assert_close(mean, X.mean(0))
    assert axes.shape == (min(k, d), d)
    torch.testing.assert_close(axes @ axes.T, torch.eye(len(axes), dtype=torch.float64))
    variances = ((X - mean) @ axes.T).square().sum(0)
    assert (variances.diff() <= 1e-9 * variances[0]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_axes_are_orthonormal_and_ordered_by_variance(shape):
    assert_axes_are_orthonormal_and_ordered(*SHAPES[shape])


@pytest.mark.usefixtures("lanczos")
@pytest.mark.parametrize("shape", LANCZOS_SHAPES)
def test_axes_of_large_data_are_orthonormal_and_ordered_by_variance(shape):
    assert_axes_are_orthonormal_and_ordered(*LANCZOS_SHAPES[shape])


@pytest.mark.parametrize("initialize", [pca_, transpose_])
@pytest.mark.parametrize("shape", [(10, 4), (4, 10)])
def test_constant_data_is_its_own_reconstruction(initialize, shape):
    X, module = torch.full(shape, 7.0, dtype=torch.float64), network(shape[1], 3)
    initialize(module, TrainingRows(X), seeded())
    np.testing.assert_allclose(reconstruct(module, X), 7, rtol=1e-14)


def test_components_beyond_the_features_are_initialized_but_unused():
    X, module, tied = data(30, 4, 4), network(4, 7), network(4, 7, module=TiedAutoencoder)
    pca_(module, TrainingRows(X), seeded())
    pca_(tied, TrainingRows(X), seeded())
    assert not module.network.decoder_weight[:, 4:].any()
    assert module.network.encoder_affine.weight[4:].all()
    assert not tied.network.encoder_affine.weight[4:].any()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["auto", "pca", "transpose", "random"])
def test_initializers_are_found_by_name_and_auto_depends_on_the_code(name, code):
    X, by_name, itself = data(60, 8, 8), network(8, 3, code), network(8, 3, code)
    initialize_(by_name, name, TrainingRows(X, torch.arange(30)), seeded())
    by_its_name = {"pca": pca_, "transpose": transpose_, "random": random_}
    suits = "pca" if code in ("identity", "gaussian") else "transpose"
    by_its_name[suits if name == "auto" else name](itself, TrainingRows(X, torch.arange(30)), seeded())
    assert all(torch.equal(value, itself.state_dict()[key]) for key, value in by_name.state_dict().items())


def test_a_network_without_an_affine_path_keeps_its_weights():
    module = network(8, 3, module=WithoutAffinePath())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    initialize_(module, "auto", TrainingRows(data(60, 8, 8)), seeded())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    for name in ("pca", "transpose", "random"):
        with pytest.raises(
            ValueError, match=rf"init='{name}' needs the affine path .* is a WithoutAffinePath: leave init='auto'"
        ):
            initialize_(module, name, TrainingRows(data(60, 8, 8)), seeded())


@pytest.mark.parametrize("shape", ["tall", "all axes", "tall, k > rank", "k > d", "wide, k > d", "one column"])
@pytest.mark.parametrize("changes", [{}, {"hidden_layer_sizes": (6, 5)}, {"module": TiedAutoencoder}], ids=str)
def test_gaussian_code_starts_as_pca_whitened_unless_tied(shape, changes):
    n, d, rank, k = SHAPES[shape]
    X, module = data(n, d, rank), network(d, k, "gaussian", **changes)
    pca_(module, TrainingRows(X), seeded())
    np.testing.assert_allclose(reconstruct(module, X), pca_reconstruction(X, k), atol=1e-9)
    with torch.no_grad():
        preactivation = module.step(X).preactivation
    codes, log_variances = preactivation.chunk(2, dim=1)
    seen, variances = min(k, rank, n - 1), PCA(min(k, n, d)).fit(X).explained_variance_ * (n - 1) / n
    expected = variances[:seen] if "module" in changes else np.ones(seen)
    np.testing.assert_allclose(codes.numpy().var(axis=0)[:seen], expected, rtol=1e-9)
    of_posterior = 1 / (1 + 2 * variances[:seen])  # probabilistic PCA's with a noise variance of one half
    np.testing.assert_allclose(log_variances.exp().numpy()[:, :seen], np.tile(of_posterior, (n, 1)), rtol=1e-6)


@pytest.mark.parametrize("initialize", INITIALIZERS)
def test_the_divergence_of_a_new_gaussian_code_is_finite_for_constant_data(initialize):
    X, module = torch.full((10, 4), 7.0).double(), network(4, 3, "gaussian")
    initialize(module, TrainingRows(X), seeded())
    with torch.no_grad():
        assert torch.isfinite(Gaussian().divergence(module.step(X).preactivation)).all()


def test_convolutions_start_as_pca_and_end_in_zero():
    X, module = data(60, 35, 20), network(35, 3, module=ConvAutoencoder(35, 3, image_shape=(5, 7), channels=(4, 6)))
    pca_(module, TrainingRows(X), seeded())
    np.testing.assert_allclose(reconstruct(module, X), pca_reconstruction(X, 3), atol=1e-9)
    for hidden in (module.network.encoder_hidden, module.network.decoder_hidden):
        *inner, last = (layer for layer in hidden if isinstance(layer, (nn.Linear, nn.Conv2d)))
        assert len(inner) == 2
        assert all(layer.weight.all() and not layer.bias.any() for layer in inner)
        assert not last.weight.any()
        assert last.bias is None


def test_convolutions_start_at_random_with_he_variances():
    module = network(64, 3, module=ConvAutoencoder(64, 3, channels=(20, 30)))
    random_(module, TrainingRows(data(60, 64, 8)), seeded())
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    assert len(layers) == 8
    for layer in layers:
        assert_he(layer.weight.flatten(1))
        assert layer.bias is None or not layer.bias.any()


OF_COLUMNS = Mixed([("log_loss", [0, 5]), ("cross_entropy", [1, 2, 7]), ("poisson", [3]), ("squared_error", [4, 6])])


@pytest.mark.parametrize(
    "changes", [{"output_activation": "softplus"}, {"loss": OF_COLUMNS}], ids=["softplus", "mixed"]
)
def test_outputs_start_as_the_tangent_at_the_mean(changes):
    X, module = torch.sigmoid(data(60, 8, 8)), network(8, 3, **changes)
    pca_(module, TrainingRows(X), seeded())
    mean = X.mean(0)
    projected = torch.from_numpy(pca_reconstruction(X, 3)) - mean
    with torch.no_grad():
        initial = module.step(X).linear_output
    torch.testing.assert_close(initial, module.output.inverse(mean) + projected / module.output.slope(mean))


@pytest.mark.parametrize("shape", [(60, 8), (20, 8), (6, 30)])
@pytest.mark.parametrize("of_columns", [False, True])
def test_counts_start_as_the_principal_axes_of_what_the_encoder_receives(shape, of_columns):
    """In units of log-shares, whose projections are those of log1p."""
    X = torch.from_numpy(np.random.default_rng(0).poisson(3, size=shape).astype(np.float64))
    loss = Mixed([("multinomial", slice(0, 5))], remainder="poisson") if of_columns else Multinomial()
    output = "by_columns" if of_columns else "scaled_softmax"
    module = network(shape[1], 3, loss=loss.for_columns(shape[1], None), output_activation=output)
    module.output.set_mean(X.mean(0))
    initialize_(module, "auto", TrainingRows(X), seeded())
    received = module.output.encoder_input(X)
    mean = received.mean(0)
    projected = torch.from_numpy(pca_reconstruction(received, 3)) - mean
    with torch.no_grad():
        initial = module.step(X).linear_output
    torch.testing.assert_close(initial, module.output.inverse(mean) + projected / module.output.slope(mean))


@pytest.mark.parametrize("tied", [False, True])
def test_sigmoid_output_starts_as_the_tangent_at_the_mean(tied):
    X, module = (
        torch.sigmoid(data(60, 8, 8)),
        network(8, 3, output_activation="sigmoid", module=TiedAutoencoder if tied else None),
    )
    pca_(module, TrainingRows(X), seeded())
    mean = X.mean(0)
    slope = 1 if tied else 4  # a sigmoid's steepest slope is a quarter
    projected = torch.from_numpy(pca_reconstruction(X, 3)) - mean
    with torch.no_grad():
        torch.testing.assert_close(module.step(X).linear_output, torch.logit(mean) + slope * projected)


@pytest.mark.parametrize("initialize", [pca_, transpose_])
def test_sigmoid_output_starts_finite_if_pixels_never_change(initialize):
    X, module = torch.tensor([[0.0, 1.0, 0.2], [0.0, 1.0, 0.8]]).double(), network(3, 1, output_activation="sigmoid")
    initialize(module, TrainingRows(X), seeded())
    with torch.no_grad():
        at_mean = module(X.mean(0, keepdim=True))
    torch.testing.assert_close(at_mean, torch.tensor([[0.01, 0.99, 0.5]]).double())


@pytest.mark.parametrize("changes", [{}, {"hidden_layer_sizes": (6, 5)}, {"module": TiedAutoencoder}], ids=str)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("initialize", [pca_, transpose_])
def test_the_mean_is_encoded_as_zero_and_decoded_as_itself(initialize, code, changes):
    X, module = data(60, 8, 8), network(8, 3, code=code, **changes)
    initialize(module, TrainingRows(X), seeded())
    mean, no_signal = X.mean(0, keepdim=True), torch.zeros(1, module.code.n_preactivations(3)).double()
    with torch.no_grad():
        torch.testing.assert_close(module.network_code(mean), module.code(no_signal))
        torch.testing.assert_close(module(mean), mean)


@pytest.mark.parametrize("tied", [False, True])
def test_transpose_initialization_has_decoder_columns_of_unit_length(tied):
    module = network(8, 30, module=TiedAutoencoder if tied else None)
    transpose_(module, TrainingRows(data(60, 8, 8)), seeded())
    W = module.network.decoder_weight.detach()
    torch.testing.assert_close(torch.linalg.vector_norm(W, dim=0), torch.ones(30).double(), rtol=1e-6, atol=0)
    assert torch.equal(module.network.encoder_affine.weight, W.T)
    assert torch.linalg.matrix_rank(W) == 8


def assert_he(weight: torch.Tensor):
    """The sum of squares over the variance 2 / fan-in follows the chi-square distribution."""
    low, high = chi2.interval(1 - 1e-6, weight.numel())
    assert low < float(weight.detach().square().sum()) * weight.shape[1] / 2 < high


def test_random_initialization_has_he_variances_and_no_bias():
    module = network(50, 20, hidden_layer_sizes=(40, 30))
    random_(module, TrainingRows(data(60, 50, 50)), seeded())
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 8
    for layer in layers:
        assert_he(layer.weight)
        assert layer.bias is None or not layer.bias.any()
    assert len({layer.weight[0, 0].item() for layer in layers}) == 8


@pytest.mark.parametrize("initialize", [pca_, transpose_])
def test_hidden_paths_start_around_the_mean_and_end_in_zero(initialize):
    X, module = data(60, 50, 50), network(50, 20, hidden_layer_sizes=(40, 30))
    initialize(module, TrainingRows(X), seeded())
    for mlp in (module.network.encoder_hidden, module.network.decoder_hidden):
        assert_he(mlp[0].weight)
        assert_he(mlp[2].weight)
        assert not mlp[4].weight.any()
        assert not mlp[2].bias.any()
    with torch.no_grad():
        np.testing.assert_allclose(module.network.encoder_hidden[0](X.mean(0)).numpy(), 0, atol=1e-12)
    assert not module.network.decoder_hidden[0].bias.any()


def test_components_without_an_axis_have_he_variances():
    module = network(50, 90)
    pca_(module, TrainingRows(data(60, 50, 50)), seeded())
    assert_he(module.network.encoder_affine.weight[50:])


def state_after(initialize, X: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
    module = network(X.shape[1], 6, hidden_layer_sizes=(4,))
    initialize(module, TrainingRows(X), seeded(seed))
    return module.state_dict()


@pytest.mark.parametrize("initialize", INITIALIZERS)
def test_the_seed_determines_every_bit(initialize):
    X = data(12, 40, 3)
    first, again, other = (state_after(initialize, X, seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["network.encoder_affine.weight"], other["network.encoder_affine.weight"])
    assert not torch.equal(first["network.encoder_hidden.0.weight"], other["network.encoder_hidden.0.weight"])


def global_states() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())


@pytest.mark.parametrize("initialize", INITIALIZERS)
def test_global_generators_are_left_alone(initialize):
    before = global_states()
    state_after(initialize, data(12, 40, 3), 0)
    assert global_states() == before


@pytest.mark.usefixtures("lanczos")
def test_lanczos_leaves_global_generators_alone_and_repeats_its_bits():
    X, before = data(60, 40, 3), global_states()
    first, again = (principal_axes(TrainingRows(X), 6, seeded())[1] for _ in range(2))
    assert global_states() == before
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("initialize", "changes"),
    [
        (pca_, {"hidden_layer_sizes": (4,)}),
        (pca_, {"module": TiedAutoencoder}),
        (transpose_, {"hidden_layer_sizes": (4,)}),
        (transpose_, {"module": TiedAutoencoder}),
        (random_, {"hidden_layer_sizes": (4,)}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_initialization_overwrites_all_earlier_weights(initialize, changes):
    X, fresh, used = data(60, 8, 8), network(8, 10, **changes), network(8, 10, **changes)
    for parameter in used.parameters():
        nn.init.normal_(parameter, generator=seeded(5))
    for module in (fresh, used):
        initialize(module, TrainingRows(X), seeded())
    assert all(torch.equal(value, used.state_dict()[name]) for name, value in fresh.state_dict().items())


@pytest.mark.parametrize("initialize", INITIALIZERS)
def test_data_is_not_modified(initialize):
    X = data(60, 8, 8)
    before = X.clone()
    initialize(network(8, 3, hidden_layer_sizes=(4,)), TrainingRows(X, torch.arange(30)), seeded())
    assert torch.equal(X, before)


def test_wide_float32_data_keeps_its_small_axes():
    n, d, k = 200, 240, 60
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(size, 80)))[0] for size in (n, d))
    X = ((left - left.mean(0)) * np.r_[1, np.full(79, 1e-3)]) @ right.T
    best = PCA(k, svd_solver="full").fit(X).inverse_transform(PCA(k, svd_solver="full").fit_transform(X))
    X32 = torch.from_numpy(X / X.std()).float()
    module = network(d, k).float()
    pca_(module, TrainingRows(X32), seeded())
    with torch.no_grad():
        error = (X32 - module(X32)).square().sum().item() * X.var()
    assert error == pytest.approx(np.square(X - best).sum(), rel=0.02)


def test_lanczos_accepts_data_without_variance(lanczos):
    mean, axes = principal_axes(TrainingRows(torch.ones(40, 30)), 3, seeded())
    torch.testing.assert_close(mean, torch.ones(30).double())
    torch.testing.assert_close(axes @ axes.T, torch.eye(3).double())


def test_a_random_initialization_of_a_tied_network_has_no_bias():
    module = network(4, 2, module=TiedAutoencoder)
    nn.init.ones_(module.network.bias)
    random_(module, TrainingRows(torch.ones(3, 4)), seeded())
    assert not module.network.bias.any()
