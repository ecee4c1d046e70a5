"""Each code equals its formula, in training and afterwards, and its class attributes are true."""

from math import ceil

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.distributions import Normal, kl_divergence

from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._model.code_maps import PermutationMap
from sklearn_ae._model.initializers import pca_
from sklearn_ae._model.module import Autoencoder
from sklearn_ae.base import CheckContext
from sklearn_ae.codes import CODES, Code, Gaussian, TopK, WinnerTakeAll
from sklearn_ae.networks import DenseAutoencoder, TiedAutoencoder
from sklearn_ae.outputs import Identity as IdentityOutput

CODE_NAMES = sorted(CODES)
N_SAMPLES, N_COMPONENTS = 40, 20


def kept(a, k) -> np.ndarray:
    """Return a with zeros in place of negative entries and of all but the k largest of each row."""
    kth = np.sort(a, axis=1)[:, [-k]]
    return np.where(a >= kth, np.maximum(a, 0), 0)


#: The code when transforming, in numpy.
FORMULAS = {
    "gaussian": lambda a: a[:, :N_COMPONENTS],
    "identity": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": expit,
    "tanh": np.tanh,
    "top_k": lambda a: kept(a, 2),
    "winner_take_all": lambda a: np.maximum(a, 0),
}
#: The code at the end of training, if it differs.
FORMULAS_IN_TRAINING = {
    "top_k": lambda a: kept(a, 2),
    "winner_take_all": lambda a: kept(a.T, 2).T,
}


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def context(n_components=N_COMPONENTS) -> CheckContext:
    return CheckContext(50, n_components, (-np.inf, np.inf), False, True)


def preactivation_of(code) -> torch.Tensor:
    shape = N_SAMPLES, code.n_preactivations(N_COMPONENTS)
    return 2 * torch.randn(shape, generator=generator(), dtype=torch.float64)


@pytest.fixture(params=CODE_NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def code(name) -> Code:
    return CODES[name]()


@pytest.fixture
def a(code) -> torch.Tensor:
    return preactivation_of(code)


@pytest.fixture
def positive() -> torch.Tensor:
    """Return pre-activations that are positive and distinct."""
    return torch.rand(N_SAMPLES, N_COMPONENTS, generator=generator(), dtype=torch.float64) + 0.1


def test_every_code_has_a_formula_here():
    assert set(CODES) == set(FORMULAS)


def test_code_is_its_formula(name, code, a):
    np.testing.assert_allclose(code(a).numpy(), FORMULAS[name](a.numpy()), rtol=1e-14, atol=0)
    assert code(a).shape == (N_SAMPLES, N_COMPONENTS)


def test_code_in_training_is_its_formula(name, code, a):
    noise = torch.empty(N_SAMPLES, N_COMPONENTS, dtype=torch.float64).normal_(generator=generator(3)).numpy()
    formulas = FORMULAS | FORMULAS_IN_TRAINING
    formulas["gaussian"] = lambda a: a[:, :N_COMPONENTS] + np.exp(np.minimum(a[:, N_COMPONENTS:], 4) / 2) * noise
    trained = code.in_training(a, 1.0, generator(3)).numpy()
    np.testing.assert_allclose(trained, formulas[name](a.numpy()), rtol=1e-13, atol=0)


def test_deterministic_is_whether_training_gives_the_same_code_as_transforming(name, code, a):
    same = all(torch.equal(code.in_training(a, progress, generator()), code(a)) for progress in (0.0, 0.3, 1.0))
    assert code.deterministic is same


def test_gradient_is_that_of_differences(code, a):
    a = a[:5].requires_grad_()
    assert torch.autograd.gradcheck(code, a)
    assert torch.autograd.gradcheck(lambda a: code.in_training(a, 0.2, generator()), a)


def test_input_is_not_changed(code, a):
    before = a.clone()
    code(a)
    code.in_training(a, 0.2, generator())
    assert torch.equal(a, before)


def test_transforming_twice_gives_the_same_bits(code, a):
    assert torch.equal(code(a), code(a))


def test_training_draws_from_its_generator_alone(code, a):
    before = torch.get_rng_state()
    first, again = (code.in_training(a, 0.2, generator(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_values_are_in_their_range(code, a):
    low, high = code.value_range
    for h in (code(100 * a), code.in_training(100 * a, 0.2, generator())):
        assert low <= float(h.min()) <= float(h.max()) <= high


def test_only_the_identity_is_linear(name, code):
    assert code.linear is (name == "identity")


def test_linear_codes_keep_sums_and_multiples():
    code = CODES["identity"]()
    a = preactivation_of(code)
    assert torch.allclose(code(a - 2 * a.flip(0)), code(a) - 2 * code(a.flip(0)))


def test_elementwise_codes_have_no_slopes_across_components(code, a):
    jacobian = torch.autograd.functional.jacobian(lambda row: code(row[None])[0], a[0])  # (k, m)
    across = jacobian.clone()
    across.diagonal().zero_()
    assert code.elementwise is bool((across == 0).all())


def test_the_number_of_preactivations_is_n_components_except_for_the_gaussian(name, code):
    assert code.n_preactivations(7) == (14 if name == "gaussian" else 7)


def test_the_base_class_raises():
    with pytest.raises(NotImplementedError):
        Code()(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("k", "n_kept"),
    [(1, 1), (3, 3), (N_COMPONENTS, N_COMPONENTS), (0.1, 2), (0.11, 3), (0.01, 1), (0.95, 19), (0.35, 7), (0.15, 3)],
)
def test_top_k_keeps_k_components_or_a_fraction_rounded_up(k, n_kept, positive):
    code = TopK(k)
    code.check(context())
    for h in (code(positive), code.in_training(positive, 1.0, generator())):
        assert ((h > 0).sum(dim=1) == n_kept).all()
        np.testing.assert_array_equal(h, kept(positive.numpy(), n_kept))


@pytest.mark.parametrize(
    ("fraction", "n_components", "n_kept"),
    [
        (0.07, 100, 7),
        (np.float32(0.07), 100, 7),
        (0.55, 100, 55),
        (0.29, 100, 29),
        (np.float32(0.1), 1000, 100),
        (1e-12, 100, 1),
    ],
)
def test_a_fraction_of_whole_components_is_not_rounded_up(fraction, n_components, n_kept):
    a = torch.rand(3, n_components, generator=generator(), dtype=torch.float64)
    assert ((TopK(fraction)(a) > 0).sum(dim=1) == n_kept).all()
    assert ((WinnerTakeAll(fraction).in_training(a.T, 1.0, generator()) > 0).sum(dim=0) == n_kept).all()


def test_top_k_keeps_exactly_k_of_equal_entries():
    a = torch.ones(3, 10, dtype=torch.float64)
    assert ((TopK(4)(a) > 0).sum(dim=1) == 4).all()


def test_top_k_keeps_no_negative_values():
    a = torch.tensor([[-1.0, 2.0, -3.0, -0.5]], dtype=torch.float64)
    assert TopK(3)(a).tolist() == [[0, 2, 0, 0]]


@pytest.mark.parametrize(
    ("k_transform", "n_kept"), [(None, 3), (1, 1), (6, 6), (N_COMPONENTS, N_COMPONENTS), (0.5, 10), (0.51, 11)]
)
def test_k_transform_applies_only_when_transforming(k_transform, n_kept, positive):
    code = TopK(3, k_transform=k_transform)
    code.check(context())
    assert ((code(positive) > 0).sum(dim=1) == n_kept).all()
    assert ((code.in_training(positive, 1.0, generator()) > 0).sum(dim=1) == 3).all()


@pytest.mark.parametrize("anneal", [0.5, 0.8])
@pytest.mark.parametrize(
    ("k", "fraction", "n_kept"),
    [(4, 0, 16), (4, 0.5, 10), (4, 0.99, 4), (4, 1, 4), (4, 1.2, 4), (2, 0.5, 5), (8, 0, 20)],
)
def test_annealing_lowers_the_number_kept_from_four_times_k_to_k(k, fraction, n_kept, anneal, positive):
    code = TopK(k, anneal=anneal)
    h = code.in_training(positive, fraction * anneal, generator())
    assert ((h > 0).sum(dim=1) == n_kept).all()
    assert code.annealed_until == anneal


def test_without_annealing_k_is_k_from_the_start(positive):
    code = TopK(2, anneal=0.0)
    code.check(context())
    assert ((code.in_training(positive, 0.0, generator()) > 0).sum(dim=1) == 2).all()


def module_of(code, n_components=N_COMPONENTS, n_features=8, network=None) -> Autoencoder:
    """Return an autoencoder in float64 with random weights, or with the weights of a network."""
    if network is None:
        network = DenseAutoencoder(n_features, n_components, code.n_preactivations(n_components), (), torch.nn.Identity)
        for weights in network.parameters():
            torch.nn.init.normal_(weights, generator=generator(1))
    output = IdentityOutput(n_features)
    return Autoencoder(network, n_features, n_components, code, output, PermutationMap(n_components)).double()


@pytest.fixture
def data() -> torch.Tensor:
    mixing = torch.randn(8, 8, generator=generator(6), dtype=torch.float64)
    return torch.randn(200, 8, generator=generator(7), dtype=torch.float64) @ mixing + 3


def test_unused_components_reconstruct_the_residual(data):
    code = TopK(1, aux=0.25)
    step = module_of(code).step(data[:4], progress=1.0, generator=generator())
    used = (step.code > 0).any(dim=0).numpy()
    assert 0 < used.sum() < N_COMPONENTS
    spare = kept(np.where(used, -np.inf, step.preactivation.detach().numpy()), 2)
    missing = (step.target - step.output).detach().numpy()
    left = missing - spare @ step.decoder_matrix.detach().numpy().T
    expected = 0.25 * (left**2).sum(axis=1).mean()
    assert code.terms == (code.unused_units,)
    assert float(code.unused_units(step).detach()) == pytest.approx(expected, rel=1e-12)


def test_the_loss_of_unused_components_trains_only_these(data):
    code = TopK(1, aux=0.25)
    module = module_of(code)
    step = module.step(data[:4], progress=1.0, generator=generator())
    used = (step.code > 0).any(dim=0)
    code.unused_units(step).backward()
    encoder, decoder = module.network.encoder_affine, module.network.decoder_affine
    assert (encoder.weight.grad[used] == 0).all()
    assert (encoder.bias.grad[used] == 0).all()
    assert (decoder.weight.grad[:, used] == 0).all()
    assert (decoder.bias.grad == 0).all()
    assert (encoder.weight.grad[~used] != 0).any()
    assert (decoder.weight.grad[:, ~used] != 0).any()


def test_if_all_components_are_used_the_residual_remains(data):
    code = TopK(N_COMPONENTS, aux=0.5)
    step = module_of(code).step(data, generator=generator())
    expected = 0.5 * (step.target - step.output).square().sum(dim=1).mean()
    assert float(code.unused_units(step)) == pytest.approx(float(expected.detach()), rel=1e-14)


def test_with_aux_zero_unused_components_have_no_term():
    assert TopK(aux=0.0).terms == ()
    assert [name for name in CODE_NAMES if CODES[name]().terms] == ["gaussian"]


@pytest.mark.parametrize("rate", [0.05, 0.06, 0.5, 1.0])
def test_each_component_keeps_its_largest_samples(rate, positive):
    code = WinnerTakeAll(rate)
    code.check(context())
    h = code.in_training(positive, 1.0, generator())
    assert ((h > 0).sum(dim=0) == ceil(rate * N_SAMPLES)).all()
    np.testing.assert_array_equal(h.T, kept(positive.numpy().T, ceil(rate * N_SAMPLES)))
    assert torch.equal(code(positive), positive)


def test_winners_of_a_single_sample_are_its_positive_components():
    a = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    assert torch.equal(WinnerTakeAll().in_training(a, 0.0, generator()), torch.relu(a))


def test_divergence_is_its_closed_form():
    a = preactivation_of(Gaussian())
    assert a[:, N_COMPONENTS:].max() > 4
    a[:, N_COMPONENTS:].clamp_(max=4)
    mean, log_variance = a.numpy()[:, :N_COMPONENTS], a.numpy()[:, N_COMPONENTS:]
    closed = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1)
    code, prior = Normal(a[:, :N_COMPONENTS], torch.exp(a[:, N_COMPONENTS:] / 2)), Normal(0.0, 1.0)
    divergence = Gaussian().divergence(a).numpy()
    np.testing.assert_allclose(divergence, closed, rtol=1e-13)
    np.testing.assert_allclose(divergence, kl_divergence(code, prior).sum(dim=1).numpy(), rtol=1e-13)
    assert Gaussian().divergence(torch.zeros(1, 6, dtype=torch.float64)).item() == 0


@pytest.mark.parametrize("log_variance", [5.0, 100.0, 1e300])
def test_the_log_variance_is_at_most_4(log_variance):
    limited, beyond = torch.tensor([[[1.0, -2.0, 4.0, 4.0]], [[1.0, -2.0, log_variance, log_variance]]]).double()
    assert torch.equal(Gaussian().divergence(beyond), Gaussian().divergence(limited))
    drawn = [Gaussian().in_training(a, 1.0, generator()) for a in (beyond, limited)]
    assert torch.equal(*drawn)


def test_draws_have_the_mean_and_deviation_of_the_code():
    """Bounds are 4.5 standard errors."""
    n, means, deviations = 100_000, torch.tensor([-1.0, 0.0, 5.0]), torch.tensor([0.1, 1.0, 3.0])
    a = torch.cat([means, 2 * deviations.log()]).double().expand(n, -1)
    h = Gaussian().in_training(a, 1.0, generator(11))
    assert ((h.mean(dim=0) - means).abs() < 4.5 * deviations / n**0.5).all()
    assert ((h.std(dim=0) / deviations - 1).abs() < 4.5 / (2 * n) ** 0.5).all()
    correlations = torch.corrcoef(h.T) - torch.eye(3)
    assert (correlations.abs() < 4.5 / n**0.5).all()


@pytest.mark.parametrize(
    ("warm_up", "progress", "fraction"), [(0.4, 0.0, 0), (0.4, 0.1, 0.25), (0.4, 0.4, 1), (0.4, 1.0, 1), (0.0, 0.0, 1)]
)
def test_the_weight_of_the_divergence_warms_up(warm_up, progress, fraction, data):
    code = Gaussian(weight=3.0, warm_up=warm_up)
    code.check(context())
    step = module_of(code).step(data, progress=progress, generator=generator())
    (term,) = code.terms
    expected = 3 * fraction * code.divergence(step.preactivation).mean()
    assert float(term(step).detach()) == pytest.approx(float(expected.detach()), rel=1e-14)
    assert code.annealed_until == warm_up


def test_codes_are_drawn_from_the_prior():
    drawn = Gaussian().draw(5, 3, np.random.RandomState(4))
    np.testing.assert_array_equal(drawn, np.random.RandomState(4).standard_normal((5, 3)))


def initialized_by_pca(code, data, n_components, rank=8) -> tuple[Autoencoder, torch.Tensor]:
    """Return an autoencoder initialized as PCA, and data of the given rank."""
    X = data.clone()
    X[:, rank:] = X[:, :1]
    network = DenseAutoencoder(8, n_components, code.n_preactivations(n_components), (), torch.nn.Identity).double()
    module = module_of(code, n_components, network=network)
    pca_(module, TrainingRows(X), generator())
    return module, X


@pytest.mark.parametrize(
    ("n_components", "rank", "n_varying"), [(1, 8, 1), (3, 8, 3), (8, 8, 8), (5, 4, 4), (10, 8, 10)]
)
def test_a_pca_initialization_is_whitened_and_reconstructs_the_same(n_components, rank, n_varying, data):
    gaussian, X = initialized_by_pca(Gaussian(), data, n_components, rank)
    linear, _ = initialized_by_pca(CODES["identity"](), data, n_components, rank)
    with torch.no_grad():
        code, scores = gaussian.network_code(X), linear.network_code(X)
        np.testing.assert_allclose(gaussian(X), linear(X), atol=1e-10)
    np.testing.assert_allclose(code.mean(dim=0), 0, atol=1e-10)
    np.testing.assert_allclose(code.var(dim=0, correction=0), np.arange(n_components) < n_varying, atol=1e-8)
    assert torch.corrcoef(torch.cat([code[:, :1], scores[:, :1]], dim=1).T).abs().min() > 1 - 1e-10


def test_a_pca_initialization_has_the_posterior_of_probabilistic_pca(data):
    """With a noise variance of one half, half the squared error's: 1 / (1 + 2 variance)."""
    module, X = initialized_by_pca(Gaussian(), data, 3)
    variances = np.linalg.eigvalsh(np.cov(X.numpy().T, bias=True))[::-1][:3]
    with torch.no_grad():
        log_variance = module.network.encode(X)[:, 3:].numpy()
    np.testing.assert_allclose(log_variance, np.broadcast_to(-np.log1p(2 * variances), (200, 3)), rtol=1e-9)


def test_a_tied_initialization_keeps_the_axes_of_pca(data):
    module = module_of(Gaussian(), 3, network=TiedAutoencoder(8, 3, 6).double())
    pca_(module, TrainingRows(data), generator())
    linear, _ = initialized_by_pca(CODES["identity"](), data, 3)
    with torch.no_grad():
        np.testing.assert_allclose(module(data), linear(data), atol=1e-10)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (TopK(k=0), r"TopK\(k=0\): k must be an integer from 1 to n_components=20, or a float in \(0, 1\)"),
        (TopK(k=21), r"TopK\(k=21\): k must"),
        (TopK(k=1.0), r"TopK\(k=1.0\): k must"),
        (TopK(k=0.0), r"TopK\(k=0.0\): k must"),
        (TopK(k=None), r"TopK\(k=None\): k must"),
        (TopK(k_transform=0), r"TopK\(k_transform=0\): k_transform must"),
        (TopK(k_transform=1.5), r"TopK\(k_transform=1.5\): k_transform must"),
        (TopK(anneal=1.0), r"TopK\(anneal=1.0\): anneal must be in \[0, 1\)"),
        (TopK(anneal=-0.1), r"TopK\(anneal=-0.1\): anneal must"),
        (TopK(aux=-1.0), r"TopK\(aux=-1.0\): aux must be at least 0"),
        (WinnerTakeAll(rate=0.0), r"WinnerTakeAll\(rate=0.0\): rate must be in \(0, 1\]"),
        (WinnerTakeAll(rate=1.1), r"WinnerTakeAll\(rate=1.1\): rate must"),
        (Gaussian(weight=0.0), r"Gaussian\(weight=0.0\): weight must be above 0"),
        (Gaussian(warm_up=1.0), r"Gaussian\(warm_up=1.0\): warm_up must be in \[0, 1\)"),
        (Gaussian(weight=np.nan), r"Gaussian\(weight=nan\): weight must"),
    ],
    ids=repr,
)
def test_check_names_the_parameter_that_is_out_of_range(code, message):
    with pytest.raises(ValueError, match=message):
        code.check(context())
