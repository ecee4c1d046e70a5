"""Canonical codes: equal to PCA's for linear networks, ordered for all, and without effect on reconstructions."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.utils.extmath import svd_flip
from torch import nn

from sklearn_ae._data.scaling import Scaling
from sklearn_ae._model.canonical import canonicalize_, decoder_jacobian, explained_variance
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._model.statistics import CodeMoments, r_squared
from sklearn_ae.codes import CODES
from sklearn_ae.losses import SquaredError
from sklearn_ae.networks import TiedAutoencoder

NETWORKS = {
    "linear": {},
    "k > d": {"n_features": 3, "n_components": 6},
    "hidden": {"hidden_layer_sizes": (7, 6)},
    "hidden, k > d": {"hidden_layer_sizes": (7,), "n_features": 3, "n_components": 6},
    "sigmoid output": {"hidden_layer_sizes": (7,), "output_activation": "sigmoid"},
    "tied": {"module": TiedAutoencoder},
}


def random_network(seed: int = 0, code: str = "identity", **changes) -> Autoencoder:
    """Return a network in float64 and evaluation mode with random weights."""
    made_of = {"code": CODES[code](), "loss": SquaredError(), "output_activation": "identity"}
    plain = Architecture(8, 4, (), "silu", **made_of, code_dropout=0.0, rotation_invariant=True)
    generator = torch.Generator().manual_seed(seed)
    module = build(plain._replace(**changes)).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return module.requires_grad_(False)


def samples_for(module: Autoencoder, n: int = 50, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1 + torch.randn(n, module.n_features, generator=generator, dtype=torch.float64)


def moments_of(module: Autoencoder, X: torch.Tensor, *, rotation_invariant: bool = True) -> CodeMoments:
    moments = CodeMoments(module.n_components, rotation_invariant=rotation_invariant)
    error, variance = (X - module(X)).square().sum(), (X - X.mean(0)).square().sum()
    moments.update(module.network_code(X), np.array([float(error)]))
    moments.variance = float(variance)
    return moments


def scaling_of(module: Autoencoder, scale: float, unscaled=False) -> Scaling:
    return Scaling(np.zeros(module.n_features), scale, unscaled)


def with_null_directions(module: Autoencoder, rank: int) -> Autoencoder:
    """Make the last components affect the decoder only by its hidden path, and only away from the mean code."""
    module.network.decoder_affine.weight[:, rank:] = 0
    module.network.decoder_hidden[0].bias.fill_(-3)  # relu is silent near the mean
    return module


def null_network() -> tuple[Autoencoder, torch.Tensor]:
    module = with_null_directions(random_network(hidden_layer_sizes=(30,), activation="relu"), rank=2)
    X = samples_for(module)
    module.network.encoder_affine.bias.sub_(module.network_code(X).mean(0))
    jacobian = decoder_jacobian(module, module.network_code(X).mean(0))
    assert torch.linalg.matrix_rank(jacobian) == 2
    h = module.network_code(X)
    without = torch.cat([h[:, :2], torch.zeros_like(h[:, 2:])], dim=1)
    assert (module.linear_output(h) - module.linear_output(without)).abs().max() > 0.1
    return module, X


@pytest.fixture(params=[*NETWORKS, "null directions"])
def canonical(request) -> tuple[Autoencoder, torch.Tensor, CodeMoments, float]:
    """Return a network with canonical codes, its data, moments and scale."""
    if request.param == "null directions":
        module, X = null_network()
    else:
        module = random_network(**NETWORKS[request.param])
        X = samples_for(module)
    moments = moments_of(module, X)
    canonicalize_(module, moments, scaling_of(module, 2.5))
    return module, X, moments, 2.5


def test_reconstructions_do_not_change(canonical):
    module, X, *_ = canonical
    torch.testing.assert_close(module.decode(module.encode(X)), module(X), rtol=0, atol=1e-10)
    unseen = samples_for(module, seed=2) * 3
    torch.testing.assert_close(module.decode(module.encode(unseen)), module(unseen), rtol=0, atol=1e-9)


def test_the_map_and_its_inverse_are_inverse(canonical):
    code_map = canonical[0].code_map
    k = len(code_map.centre)
    torch.testing.assert_close(code_map.matrix @ code_map.inverse, torch.eye(k).double(), rtol=0, atol=1e-10)


def test_codes_are_centred_and_uncorrelated(canonical):
    module, X, *_ = canonical
    codes = module.encode(X).numpy()
    np.testing.assert_allclose(codes.mean(0), 0, atol=1e-10)
    covariance = np.cov(codes, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(covariance.diagonal()), atol=1e-10 * covariance.max())


def test_components_are_orthonormal_within_the_rank_and_zero_beyond(canonical):
    module, _, moments, scale = canonical
    components = explained_variance(module, moments, scaling_of(module, scale)).components
    rank = np.linalg.matrix_rank(decoder_jacobian(module, torch.from_numpy(moments.mean)).numpy())
    expected = np.diag(np.arange(len(components)) < rank)
    np.testing.assert_allclose(components @ components.T, expected, atol=1e-10)


def test_variances_are_those_of_the_codes_and_ordered(canonical):
    module, X, moments, scale = canonical
    components, variance, ratio = explained_variance(module, moments, scaling_of(module, scale))
    of_codes = module.encode(X).numpy().var(axis=0, ddof=1)
    lengths = np.square(components).sum(axis=1)
    np.testing.assert_allclose(variance, of_codes * lengths, rtol=1e-9, atol=1e-12)
    assert (np.diff(of_codes[lengths < 0.5]) <= 1e-12).all()
    assert (np.diff(variance) <= 1e-12).all()
    assert (np.diff(ratio) <= 1e-12).all()


def test_signs_are_those_of_svd_flip(canonical):
    module, _, moments, scale = canonical
    components = explained_variance(module, moments, scaling_of(module, scale)).components
    components = components[np.linalg.norm(components, axis=1) > 0.5]
    flipped = svd_flip(np.ones((1, len(components))), components, u_based_decision=False)[1]
    np.testing.assert_array_equal(components, flipped)


def test_components_are_the_change_of_the_data_along_a_unit_of_code(canonical):
    module, _, moments, scale = canonical
    components = explained_variance(module, moments, scaling_of(module, scale)).components
    step = 1e-6
    origin = torch.zeros(len(components)).double()
    for k in range(len(components)):
        unit = torch.nn.functional.one_hot(torch.tensor(k), len(components)) * step
        ends = [module.linear_output(module.code_map.undo(origin + side * unit)) for side in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]).numpy() * scale / (2 * step), components[k], atol=1e-7)


def test_computing_the_map_again_does_not_change_it(canonical):
    module, _, moments, scale = canonical
    before = {name: value.clone() for name, value in module.code_map.state_dict().items()}
    canonicalize_(module, moments, scaling_of(module, scale))
    assert all(torch.equal(value, before[name]) for name, value in module.code_map.state_dict().items())


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(("n", "d", "k"), [(60, 8, 3), (60, 8, 8), (10, 30, 4)])
def test_a_linear_network_has_the_components_of_pca(n, d, k, scale):
    """The axes of its code are mixed by a random matrix and shifted."""
    rng = np.random.default_rng(0)
    X = scale * (5 + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)))
    pca = PCA(k, svd_solver="full").fit(X)
    module = random_network(n_features=d, n_components=k)
    mixing = torch.from_numpy(rng.normal(size=(k, k)))
    axes = torch.from_numpy(pca.components_)
    module.network.encoder_affine.weight.copy_(mixing @ axes)
    module.network.decoder_affine.weight.copy_(axes.T @ torch.linalg.inv(mixing))
    module.network.decoder_affine.bias.copy_(-module.network.decoder_weight @ module.network.encoder_affine.bias)
    Z = torch.from_numpy((X - pca.mean_) / scale)
    moments = moments_of(module, Z)
    canonicalize_(module, moments, scaling_of(module, scale))
    components, variance, ratio = explained_variance(module, moments, scaling_of(module, scale))
    np.testing.assert_allclose(components, pca.components_, atol=1e-9)
    np.testing.assert_allclose(variance, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ratio, pca.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(module.encode(Z).numpy(), pca.transform(X), rtol=0, atol=1e-9 * scale * d)


UNSCALED = np.array([False, True, False, False, True, False, True, False])


@pytest.mark.parametrize("rotation_invariant", [True, False])
@pytest.mark.parametrize("hidden", [(), (7,)])
def test_components_and_variances_are_in_the_datas_units_if_some_columns_are_unscaled(hidden, rotation_invariant):
    """Stretching the last layers of the decoder stretches its outputs in the data's units."""
    changes = {"hidden_layer_sizes": hidden, "rotation_invariant": rotation_invariant}
    module, stretched = random_network(**changes), random_network(**changes)
    for layer in [stretched.network.decoder_affine, *([stretched.network.decoder_hidden[-1]] if hidden else [])]:
        layer.weight.mul_(torch.from_numpy(np.where(UNSCALED, 1 / 2.5, 1.0))[:, None])
    X = samples_for(module)
    moments = moments_of(module, X, rotation_invariant=rotation_invariant)
    canonicalize_(module, moments, scaling_of(module, 2.5, unscaled=UNSCALED))
    canonicalize_(stretched, moments, scaling_of(stretched, 2.5))
    torch.testing.assert_close(module.encode(X), stretched.encode(X))
    found = explained_variance(module, moments, scaling_of(module, 2.5, unscaled=UNSCALED))
    for part, expected in zip(found, explained_variance(stretched, moments, scaling_of(stretched, 2.5)), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(module.decode(module.encode(X)), module(X))
    if rotation_invariant:
        np.testing.assert_allclose(found.components @ found.components.T, np.eye(4), atol=1e-10)


class WithoutAffinePath(nn.Module):
    """A network without an affine path, smooth in its decoder."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(8, 4)
        self.decode = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 8))


def test_codes_of_a_custom_network_are_canonical_too():
    module = random_network(module=WithoutAffinePath())
    X = samples_for(module)
    moments = moments_of(module, X)
    mean = torch.from_numpy(moments.mean)
    torch.testing.assert_close(decoder_jacobian(module, mean), torch.func.jacrev(module.linear_output)(mean).detach())
    before = module(X)
    canonicalize_(module, moments, scaling_of(module, 2.5))
    components, variance, _ = explained_variance(module, moments, scaling_of(module, 2.5))
    np.testing.assert_allclose(components @ components.T, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(np.cov(module.encode(X).numpy(), rowvar=False), np.diag(variance), atol=1e-8)
    torch.testing.assert_close(module.decode(module.encode(X)), before)


@pytest.mark.parametrize("part", ["encoder_affine.weight", "decoder_affine.weight"])
def test_a_half_with_zero_weights_leaves_the_map_finite_and_invertible(part):
    module = random_network()
    module.network.get_parameter(part).zero_()
    X = samples_for(module)
    moments = moments_of(module, X)
    canonicalize_(module, moments, scaling_of(module, 1.0))
    explained = explained_variance(module, moments, scaling_of(module, 1.0))
    assert all(np.isfinite(part).all() for part in explained)
    np.testing.assert_allclose(explained.ratio, 0, atol=1e-12)
    torch.testing.assert_close(module.decode(module.encode(X)), module(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden", [(), (7,)])
@pytest.mark.parametrize("code", [name for name in CODES if name != "identity"])
def test_components_of_other_codes_are_ordered_by_the_variance_they_explain(code, hidden):
    module = random_network(code=code, hidden_layer_sizes=hidden, rotation_invariant=False, n_components=6)
    X, scale = samples_for(module), 2.5
    moments = moments_of(module, X, rotation_invariant=False)
    canonicalize_(module, moments, scaling_of(module, scale))
    h, J = module.network_code(X).numpy(), decoder_jacobian(module, torch.from_numpy(moments.mean)).numpy()
    explained_by_component = np.array([h[:, i].var(ddof=1) * (J[:, i] ** 2).sum() for i in range(6)])
    order = np.argsort(-explained_by_component, kind="stable")
    assert (order != np.arange(6)).any()
    np.testing.assert_array_equal(module.encode(X).numpy(), h[:, order])
    torch.testing.assert_close(module.decode(module.encode(X)), module(X), rtol=0, atol=0)
    components, variance, _ = explained_variance(module, moments, scaling_of(module, scale))
    np.testing.assert_allclose(components, J.T[order] * scale, rtol=1e-12)
    np.testing.assert_allclose(variance, np.sort(explained_by_component)[::-1] * scale**2, rtol=1e-12)


def test_components_that_explain_equal_variance_keep_their_order():
    module = random_network(code="relu", rotation_invariant=False, n_components=100)
    module.network.decoder_affine.weight.zero_()
    canonicalize_(module, moments_of(module, samples_for(module), rotation_invariant=False), scaling_of(module, 1.0))
    assert module.code_map.order.tolist() == list(range(100))


@pytest.mark.parametrize("rotation_invariant", [False, True])
@pytest.mark.parametrize("error", [0.0, 1.5, 3.0, 4.5])
def test_ratios_sum_to_r2_and_are_never_negative(error, rotation_invariant):
    module = random_network(rotation_invariant=rotation_invariant)
    moments = moments_of(module, samples_for(module), rotation_invariant=rotation_invariant)
    moments.errors, moments.variance = np.array([error]), 3.0
    canonicalize_(module, moments, scaling_of(module, 1.0))
    _, variance, ratio = explained_variance(module, moments, scaling_of(module, 1.0))
    assert (ratio >= 0).all()
    assert ratio.sum() == pytest.approx(max(moments.r2, 0), abs=1e-14)
    np.testing.assert_allclose(ratio * variance.sum(), variance * ratio.sum(), atol=1e-14)


@pytest.mark.parametrize("changes", [{}, {"module": TiedAutoencoder}, {"hidden_layer_sizes": (7, 6)}], ids=str)
def test_jacobian_is_that_of_the_linear_output(changes):
    module, code = random_network(output_activation="sigmoid", **changes), torch.tensor([0.5, -1, 0, 2]).double()
    for parameter in module.parameters():
        parameter.requires_grad_()
    with torch.no_grad():
        jacobian = decoder_jacobian(module, code)
    assert not jacobian.requires_grad
    assert all(parameter.grad is None for parameter in module.parameters())
    torch.testing.assert_close(jacobian, torch.func.jacrev(module.linear_output)(code).detach())
    for k, step in enumerate(torch.eye(4).double() * 1e-6):
        with torch.no_grad():
            slope = (module.linear_output(code + step) - module.linear_output(code - step)) / 2e-6
        torch.testing.assert_close(jacobian[:, k], slope, rtol=0, atol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("sizes", [[100], [1, 99], [33, 33, 34], [1] * 100])
def test_moments_in_chunks_are_those_of_all_samples(sizes, offset):
    code = offset + np.random.default_rng(0).normal(size=(100, 3)) @ [[2, 0, 1], [0, 1, 0.5], [0, 0, 1]]
    full, diagonal = CodeMoments(3, rotation_invariant=True), CodeMoments(3, rotation_invariant=False)
    for i, part in enumerate(torch.from_numpy(code).split(sizes)):
        full.update(part, errors=np.array([float(i)]))
        diagonal.update(part, errors=np.array([float(i)]))
    full.variance = float(len(sizes))
    covariance = np.cov(code, rowvar=False)
    np.testing.assert_allclose(full.mean, code.mean(0), rtol=1e-12)
    np.testing.assert_allclose(full.covariance, covariance, rtol=1e-8)
    np.testing.assert_allclose(diagonal.covariance, covariance.diagonal(), rtol=1e-8)
    assert full.n_samples == 100
    assert full.r2 == pytest.approx(1 - (len(sizes) - 1) / 2)


def test_moments_are_in_float64_whatever_the_code():
    code = np.float32(1000) + np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    moments = CodeMoments(2, rotation_invariant=True)
    moments.update(torch.from_numpy(code), np.zeros(1))
    np.testing.assert_allclose(moments.covariance, np.cov(code.astype(np.float64), rowvar=False), rtol=1e-12)


def test_one_sample_has_no_covariance():
    moments = CodeMoments(2, rotation_invariant=True)
    moments.update(torch.tensor([[1.0, 2.0]]), np.zeros(1))
    np.testing.assert_array_equal(moments.covariance, np.zeros((2, 2)))
    np.testing.assert_array_equal(moments.mean, [1, 2])


@pytest.mark.parametrize(
    ("y", "predicted"),
    [
        ([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
        ([1.0, 2.0, 4.0], [9.0, -9.0, 3.0]),
        ([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]),
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]),
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.5]),
    ],
)
def test_r_squared_is_that_of_scikit_learn(y, predicted):
    y, predicted = np.array(y), np.array(predicted)
    error, variance = np.square(y - predicted).sum(), np.square(y - y.mean()).sum()
    assert r_squared(error, variance) == pytest.approx(r2_score(y, predicted), abs=1e-15)
