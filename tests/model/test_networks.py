"""Networks compute their formulas and start at zero; convolutions start as PCA; custom networks are trained."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from math import sqrt

import numpy as np
import pytest
import torch
from helpers import Doubling
from scipy.special import erf, expit
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.networks import (
    ACTIVATIONS,
    AffineNetwork,
    ConvAutoencoder,
    DenseAutoencoder,
    Linear,
    TiedAutoencoder,
    skip_zero_branches,
)

D, K, M = 5, 3, 6
FORMULAS = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + erf(x / sqrt(2))) / 2,
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}


def drawn(network: AffineNetwork, seed: int = 0) -> AffineNetwork:
    """Return the network in float64 with random weights."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.double().parameters():
        nn.init.normal_(parameter, generator=generator)
    return network


def rows(n: int = 20, width: int = D, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(weights_of(one).values(), weights_of(other).values(), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def global_states() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())


def perceptron_formula(x, w, name, activation):
    """Apply the layers w[name + ".0.weight"], w[name + ".2.weight"], ... to x."""
    i = 0
    while f"{name}.{i}.bias" in w:
        x = activation(x @ w[f"{name}.{i}.weight"].T + w[f"{name}.{i}.bias"])
        i += 2
    return x @ w[f"{name}.{i}.weight"].T


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(4,), (6, 4)])
def test_halves_are_affine_plus_perceptron(hidden, activation):
    network, x, h = drawn(DenseAutoencoder(D, K, M, hidden, ACTIVATIONS[activation])), rows(), rows(width=K)
    w, f = weights_of(network), FORMULAS[activation]
    preactivation = x.numpy() @ w["encoder_affine.weight"].T + w["encoder_affine.bias"]
    preactivation += perceptron_formula(x.numpy(), w, "encoder_hidden", f)
    output = h.numpy() @ w["decoder_affine.weight"].T + w["decoder_affine.bias"]
    output += perceptron_formula(h.numpy(), w, "decoder_hidden", f)
    with torch.no_grad():
        np.testing.assert_allclose(network.encode(x).numpy(), preactivation, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(network.decode(h).numpy(), output, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_without_hidden_layers_both_halves_are_affine(tied):
    network = drawn(TiedAutoencoder(D, K, M) if tied else DenseAutoencoder(D, K, M, (), nn.Tanh))
    w, x, h = weights_of(network), rows(), rows(width=K)
    A = w["encoder_affine.weight"]
    W, b = (A[:K].T, w["bias"]) if tied else (w["decoder_affine.weight"], w["decoder_affine.bias"])
    with torch.no_grad():
        preactivation = x.numpy() @ A.T + w["encoder_affine.bias"]
        np.testing.assert_allclose(network.encode(x).numpy(), preactivation, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(network.decode(h).numpy(), h.numpy() @ W.T + b, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(network.decoder_weight.detach(), W)
    assert (network.decoder_parameter is None) is tied


def test_hidden_widths_are_mirrored_and_last_layers_have_no_bias():
    network = DenseAutoencoder(D, K, M, (7, 4), nn.SiLU)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters() if "hidden" in name}
    assert shapes == {
        "encoder_hidden.0.weight": (7, D),
        "encoder_hidden.0.bias": (7,),
        "encoder_hidden.2.weight": (4, 7),
        "encoder_hidden.2.bias": (4,),
        "encoder_hidden.4.weight": (M, 4),
        "decoder_hidden.0.weight": (4, K),
        "decoder_hidden.0.bias": (4,),
        "decoder_hidden.2.weight": (7, 4),
        "decoder_hidden.2.bias": (7,),
        "decoder_hidden.4.weight": (D, 7),
    }


def test_tied_gradient_is_that_of_both_uses():
    network, x = drawn(TiedAutoencoder(D, K, K)), rows()
    network.decode(network.encode(x)).square().sum().backward()
    A = network.encoder_affine.weight.detach()
    uses = [A.clone().requires_grad_(), A.clone().requires_grad_()]
    h = x @ uses[0].T + network.encoder_affine.bias.detach()
    (h @ uses[1] + network.bias.detach()).square().sum().backward()
    torch.testing.assert_close(network.encoder_affine.weight.grad, uses[0].grad + uses[1].grad)


NETWORKS = {
    "dense": lambda: DenseAutoencoder(D, K, M, (6, 4), nn.SiLU),
    "affine": lambda: DenseAutoencoder(D, K, M, (), nn.SiLU),
    "tied": lambda: TiedAutoencoder(D, K, M),
    "convolutional": lambda: ConvAutoencoder(D, K, M, image_shape=(1, 5)),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_built_of_zeros_and_leave_global_generators_alone(make):
    before = global_states()
    network = make()
    Linear(3, 4).reset_parameters()
    network.decode(network.encode(rows().float())[:, :K]).sum().backward()
    assert global_states() == before
    assert all(parameter.requires_grad and not parameter.any() for parameter in network.parameters())


def counted(network: AffineNetwork) -> list[nn.Module]:
    """Return a list to which each part of the network is appended when it is called."""
    called: list[nn.Module] = []
    for part in (network.encoder_hidden, network.decoder_hidden):
        part.register_forward_hook(lambda part, *_: called.append(part))
    return called


class TestWithoutZeroParts:
    """Parts that are the zero function are skipped, all others are called, and afterwards all parts are back."""

    @pytest.mark.parametrize(
        "zero", [(), ("encoder_hidden",), ("decoder_hidden",), ("encoder_hidden", "decoder_hidden")]
    )
    def test_results_are_the_same(self, zero):
        network = drawn(NETWORKS["dense"]())
        for name in zero:
            nn.init.zeros_(getattr(network, name)[-1].weight)
        called, x, h = counted(network), rows(), rows(width=K)
        whole = [network.encode(x), network.decode(h)]
        names, parts = list(network.state_dict()), list(called)
        called.clear()
        with skip_zero_branches(network):
            assert all(torch.equal(*pair) for pair in zip(whole, [network.encode(x), network.decode(h)], strict=True))
        assert called == [part for part in parts if part not in [getattr(network, name) for name in zero]]
        assert [network.encoder_hidden, network.decoder_hidden] == parts
        assert list(network.state_dict()) == names

    def test_parts_without_a_linear_last_layer_are_called(self):
        f, g = nn.Sequential(Linear(D, M), nn.Sigmoid()), nn.Sequential(Linear(K, D, bias=False), nn.Softplus())
        network = AffineNetwork(D, K, M, f, g)
        called = counted(network)
        with skip_zero_branches(network):
            network.decode(network.encode(rows().float())[:, :K])
        assert called == [f, g]

    def test_custom_networks_are_called_unchanged(self):
        class CustomAutoencoder(DenseAutoencoder):
            def encode(self, x):
                return super().encode(x) + self.encoder_hidden[0](x).sum()

        custom, foreign = CustomAutoencoder(D, K, M, (6,), nn.SiLU), nn.Linear(D, K)
        with skip_zero_branches(custom), skip_zero_branches(foreign):
            assert custom.encode(rows().float()).shape == (20, M)
            assert foreign(rows().float()).shape == (20, K)

    def test_an_error_leaves_the_network_complete(self):
        network = NETWORKS["dense"]()
        with pytest.raises(KeyError), skip_zero_branches(network):
            raise KeyError
        assert len(network.encoder_hidden) == len(network.decoder_hidden) == 5


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((5, 7), (4,)),
        ((5, 7), (3, 4)),
        ((8, 8), (2, 3, 4)),
        ((1, 9), (2, 3)),
        ((28, 3), (2,) * 6),
        ((4, 5, 3), (4,)),
        ((5, 2, 2), (2, 3)),
    ],
)
def test_convolutions_take_images_of_any_shape(shape, channels):
    width = np.prod(shape)
    network = drawn(ConvAutoencoder(width, K, image_shape=shape, channels=channels))
    x, h = rows(width=width, n=4), rows(width=K, n=4)
    assert network.encode(x).shape == (4, K)
    assert network.decode(h).shape == x.shape
    assert torch.autograd.gradcheck(lambda x: network.decode(network.encode(x)), x[:1].requires_grad_(), fast_mode=True)


def test_convolutions_take_squares_by_themselves_and_any_width_of_preactivation():
    network = drawn(ConvAutoencoder(36, K, M))
    assert network.encode(rows(width=36)).shape == (20, M)
    plain = drawn(ConvAutoencoder(36, K, M, image_shape=(6, 6), channels=(16, 32)))
    assert same_bits(network, plain)


def test_convolutions_see_only_neighbours():
    network, x = drawn(ConvAutoencoder(64, K, channels=(2,))), rows(1, width=64).requires_grad_()
    features = network.encoder_hidden[:3](x)  # (1, 2, 4, 4)
    (gradient,) = torch.autograd.grad(features[0, :, 0, 0].sum(), x)
    assert gradient.reshape(8, 8).nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_a_single_channel_can_be_given():
    plain, single = (drawn(ConvAutoencoder(12, K, image_shape=shape)) for shape in ((3, 4), (3, 4, 1)))
    assert same_bits(plain, single)
    assert torch.equal(plain.encode(rows(width=12)), single.encode(rows(width=12)))


def test_convolutions_see_all_channels_of_a_pixel_and_its_neighbours():
    """The channels of a pixel are next to each other, as in image files."""
    network = drawn(ConvAutoencoder(4 * 6 * 3, K, image_shape=(4, 6, 3), channels=(2,)))
    x = rows(1, width=4 * 6 * 3).requires_grad_()
    features = network.encoder_hidden[:-2](x)  # (1, 2, 2, 3)
    (gradient,) = torch.autograd.grad(features[0, :, 0, 0].sum(), x)
    seen = gradient.reshape(4, 6, 3).ne(0)
    assert seen[:2, :2].all()
    assert seen.sum() == 2 * 2 * 3
    f, image = network.encoder_hidden, x.reshape(1, 4, 6, 3).movedim(3, 1)
    torch.testing.assert_close(f(x), f[2:](image))
    g, h = network.decoder_hidden, rows(1, width=K)
    torch.testing.assert_close(g(h).reshape(4, 6, 3), g[:-2](h)[0].movedim(0, 2))


@pytest.mark.parametrize(
    ("n_features", "image_shape"),
    [(64, (8, 7)), (35, None), (64, (5, 7)), (64, (8, 8, 3)), (64, (64,)), (64, (2, 2, 4, 4)), (64, (-8, -8))],
)
def test_an_image_of_another_size_raises_an_error(n_features, image_shape):
    message = (
        rf"was given {n_features} features, which do not form a [-\dx ]+ image: pass image_shape=\(height, width\)"
    )
    with pytest.raises(ValueError, match=message):
        ConvAutoencoder(n_features, K, image_shape=image_shape)


def fitted(X, n_components=2, **params) -> AutoencoderTransformer:
    """Return a fitted estimator that trains quickly."""
    return AutoencoderTransformer(n_components, **{"max_epochs": 3, "random_state": 0, **params}).fit(X)


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(80, 3)) @ generator.normal(size=(3, D)) + 0.1 * generator.normal(size=(80, D)) + 5


@pytest.mark.parametrize("image_shape", [(8, 8), (4, 16), None, (4, 4, 4)])
@pytest.mark.parametrize("k", [1, 10])
def test_a_convolutional_autoencoder_starts_as_pca(k, image_shape, digits):
    network = partial(ConvAutoencoder, image_shape=image_shape, channels=(4, 6))
    start = {"max_epochs": 0, "early_stopping": False, "output_activation": "identity"}
    autoencoder, pca = fitted(digits, k, module=network, **start), PCA(k).fit(digits)
    np.testing.assert_allclose(autoencoder.transform(digits), pca.transform(digits), atol=1e-3)
    reconstruction = autoencoder.inverse_transform(autoencoder.transform(digits))
    np.testing.assert_allclose(reconstruction, pca.inverse_transform(pca.transform(digits)), atol=1e-4)


def test_a_convolutional_autoencoder_learns_more_than_pca(digits):
    autoencoder = fitted(digits, 5, module=partial(ConvAutoencoder, channels=(8,)), max_epochs=15)
    assert autoencoder.score(digits) > PCA(5).fit(digits).explained_variance_ratio_.sum() + 0.03


def test_convolutions_continue_after_a_load_with_partial_fit(digits):
    autoencoder = pickle.loads(pickle.dumps(fitted(digits[:200], 2, module=ConvAutoencoder, max_epochs=1)))
    assert np.isfinite(autoencoder.partial_fit(digits[200:400]).transform(digits)).all()
    assert autoencoder.n_iter_ == 2


class CustomNetwork(nn.Module):
    """A custom network with torch's initialization."""

    def __init__(self, n_features: int, n_components: int, n_preactivations: int, width: int = 8):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_preactivations))
        self.decode = nn.Sequential(nn.Linear(n_components, width), nn.ReLU(), nn.Linear(width, n_features))


class CustomNetworkOfFive(CustomNetwork):
    """The same for five features, without sizes in its signature."""

    def __init__(self):
        super().__init__(D, 2, 2)


def network_of_five() -> CustomNetworkOfFive:
    """Return an instance whose weights are the same in every process."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CustomNetworkOfFive()


CUSTOM_NETWORKS = {
    "class with sizes": CustomNetwork,
    "class without": CustomNetworkOfFive,
    "instance": network_of_five(),
    "partial": partial(CustomNetwork, width=9),
    "affine": partial(DenseAutoencoder, hidden_layer_sizes=(4,), activation=nn.Tanh),
    "convolutional": partial(ConvAutoencoder, image_shape=(5, 1), channels=(3,)),
}


@pytest.mark.parametrize("module", CUSTOM_NETWORKS.values(), ids=CUSTOM_NETWORKS)
def test_a_custom_network_is_trained_and_the_seed_determines_the_result(module, small):
    before = global_states()
    autoencoder = fitted(small, module=module, max_epochs=20, lr=0.00125)
    codes = autoencoder.transform(small)
    restored = pickle.loads(pickle.dumps(autoencoder))
    again = fitted(small, module=module, max_epochs=20, lr=0.00125)
    other = fitted(small, module=module, max_epochs=20, lr=0.00125, random_state=1)
    assert global_states() == before
    assert autoencoder.validation_scores_[autoencoder.best_epoch_] >= autoencoder.validation_scores_[0]
    assert autoencoder.score(small) > 0.2
    np.testing.assert_array_equal(again.transform(small), codes)
    np.testing.assert_array_equal(restored.transform(small), codes)
    np.testing.assert_array_equal(clone(autoencoder).fit(small).transform(small), codes)
    assert not np.array_equal(other.transform(small), codes)
    np.testing.assert_allclose(np.cov(codes, rowvar=False), np.diag(autoencoder.explained_variance_), atol=1e-4)


def test_a_default_dtype_of_float64_changes_nothing_for_an_instance(small):
    instance = CustomNetworkOfFive()
    expected = fitted(small, module=instance).transform(small)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(fitted(small, module=instance).transform(small), expected)
        assert np.isfinite(fitted(small, module=CustomNetwork).transform(small)).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_that_draw_the_weights_of_a_class_do_not_interfere(small):
    def start(seed):
        model = fitted(small, module=partial(CustomNetwork, width=20_000), max_epochs=0, random_state=seed)
        return model.transform(small)

    before, expected = global_states(), [start(seed) for seed in range(6)]
    for _ in range(5):
        with ThreadPoolExecutor(6) as threads:
            np.testing.assert_array_equal(list(threads.map(start, range(6))), expected)
    assert global_states() == before


def test_an_instance_is_not_changed_and_each_fit_starts_from_it(small):
    instance = CustomNetworkOfFive().double().train()
    before = weights_of(instance)
    first, second = (fitted(small, module=instance, random_state=seed, max_epochs=0) for seed in (0, 1))
    fitted(small, module=instance, warm_start=True).fit(small)
    assert instance.training
    assert all(np.array_equal(value, before[name]) for name, value in weights_of(instance).items())
    assert same_bits(first.module_.network, second.module_.network)
    assert first.module is instance
    np.testing.assert_array_equal(
        first.module_.network.encode[0].weight.detach(), before["encode.0.weight"].astype("f")
    )


def test_a_function_that_returns_one_network_each_time_is_as_an_instance(small):
    network = CustomNetworkOfFive()
    before = weights_of(network)
    model = fitted(small, module=lambda: network)
    assert all(np.array_equal(value, before[name]) for name, value in weights_of(network).items())
    X = small.astype(np.float32)
    np.testing.assert_array_equal(deepcopy(model).transform(X), model.transform(X))


def test_components_are_those_of_an_overridden_decoder(small):
    network = partial(Doubling, hidden_layer_sizes=(), activation=nn.Tanh)
    model = fitted(small, module=network)
    basis = np.eye(len(model.components_))
    expected = model.inverse_transform(basis) - model.inverse_transform(0 * basis)
    np.testing.assert_allclose(model.components_, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:R² is -.* with code=WinnerTakeAll:UserWarning")  # R² below 0 is one case
@pytest.mark.parametrize("code", ["top_k", "winner_take_all", "gaussian", "sigmoid"])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_loss"])
def test_a_custom_network_works_with_every_code_and_loss(loss, code, small):
    X = expit(small - 5)
    autoencoder = fitted(X, module=CustomNetwork, code=code, loss=loss)
    assert autoencoder.transform(X).shape == (80, 2)
    assert autoencoder.explained_variance_ratio_.sum() == pytest.approx(max(autoencoder.score(X), 0), abs=1e-5)


@pytest.mark.parametrize("init", ["pca", "transpose", "random"])
def test_a_named_initialization_needs_an_affine_path(init, small):
    with pytest.raises(ValueError, match=f"init='{init}' needs the affine path .*, but module= is a CustomNetwork"):
        fitted(small, module=CustomNetwork, init=init)
    by_module = fitted(small, module=CUSTOM_NETWORKS["affine"], init=init)
    by_sizes = fitted(small, hidden_layer_sizes=(4,), activation="tanh", init=init)
    np.testing.assert_array_equal(by_module.transform(small), by_sizes.transform(small))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"module": CustomNetworkOfFive(), "n_components": 3},
            r"(?s)encode of module=CustomNetwork.* must return 3 columns .* \(2, 2\)",
        ),
        (
            {"module": CustomNetworkOfFive, "code": "gaussian"},
            r"encode of module=.* must return 4 columns .* \(2, 2\) for two",
        ),
        ({"module": lambda: 3}, "must be a torch.nn.Module with encode and decode methods"),
        ({"module": "dense"}, "The 'module' parameter"),
        ({"module": ConvAutoencoder}, "5 features, which do not form a 2 x 2 image"),
        ({"module": CustomNetwork, "penalty": "orthogonal"}, "needs the columns of a decoder with an affine path"),
        ({"module": CustomNetwork, "init": "pca"}, "needs the affine path"),
    ],
)
def test_an_error_leaves_nothing_half_fitted(params, message, small):
    autoencoder = AutoencoderTransformer(**{"n_components": 2, "max_epochs": 1, **params})
    for method in (autoencoder.fit, autoencoder.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(small)
        assert set(vars(autoencoder)) == set(autoencoder.get_params(deep=False))
