"""Each penalty equals its formula, has its gradient in the weights, and works in training and in validation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from sklearn_ae._model.code_maps import PermutationMap
from sklearn_ae._model.module import Autoencoder
from sklearn_ae.base import CheckContext
from sklearn_ae.codes import CODES, TopK
from sklearn_ae.losses import SquaredError
from sklearn_ae.networks import DenseAutoencoder, TiedAutoencoder
from sklearn_ae.outputs import Identity
from sklearn_ae.penalties import L1, PENALTIES, Contractive, KLSparsity, Orthogonal, Penalty, penalties_of

D, K, N = 5, 4, 6
CODE_NAMES = sorted(CODES)


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def code_of(name):
    return TopK(2) if name == "top_k" else CODES[name]()


def module_of(code, hidden=(), tied=False, activation=nn.SiLU) -> Autoencoder:
    """Return an autoencoder in float64 with random weights."""
    sizes = D, K, code.n_preactivations(K)
    network = TiedAutoencoder(*sizes) if tied else DenseAutoencoder(*sizes, hidden, activation)
    for i, weights in enumerate(network.parameters()):
        nn.init.normal_(weights, std=0.6, generator=generator(i))
    return Autoencoder(network, D, K, code, Identity(D), PermutationMap(K)).double()


def jacobians(module, X) -> torch.Tensor:
    """Return dh/dx (n, k, d) of the code without noise, by autograd, sample by sample."""
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda x: module.network_code(x[None])[0], row) for row in X]
    )


def mean_squared_norm(module, X) -> float:
    return float(jacobians(module, X).square().sum(dim=(1, 2)).mean())


def context(code_range=(0.0, 1.0), affine_path=True) -> CheckContext:
    return CheckContext(D, K, code_range, False, affine_path)


@pytest.fixture
def X() -> torch.Tensor:
    return torch.randn(N, D, generator=generator(9), dtype=torch.float64)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", CODE_NAMES)
def test_l1_is_its_formula(name, tied, X):
    step = module_of(code_of(name), tied=tied).step(X, generator=generator())
    h, W = step.code.detach().numpy(), step.decoder_matrix.detach().numpy()
    expected = 0.3 * (np.abs(h) * np.linalg.norm(W, axis=0)).sum(axis=1).mean()
    assert float(L1(0.3)(step).detach()) == pytest.approx(expected, rel=1e-13)


def test_l1_without_a_decoder_matrix_takes_norms_as_one(X):
    step = module_of(CODES["tanh"]()).step(X)._replace(decoder_matrix=None)
    expected = 0.3 * np.abs(step.code.detach().numpy()).sum(axis=1).mean()
    assert float(L1(0.3)(step).detach()) == pytest.approx(expected, rel=1e-13)


def test_l1_does_not_depend_on_how_encoder_and_decoder_split_the_scale(X):
    module = module_of(CODES["relu"]())
    before = float(L1()(module.step(X)).detach())
    sizes = torch.tensor([0.1, 1.0, 3.0, 20.0], dtype=torch.float64)
    with torch.no_grad():
        module.network.encoder_affine.weight.mul_(sizes[:, None])
        module.network.encoder_affine.bias.mul_(sizes)
        module.network.decoder_affine.weight.div_(sizes)
    assert float(L1()(module.step(X)).detach()) == pytest.approx(before, rel=1e-13)


def test_kl_sparsity_is_its_formula(X):
    step = module_of(CODES["sigmoid"]()).step(X)
    rate, rho = step.code.detach().numpy().mean(axis=0), 0.2
    divergences = rho * np.log(rho / rate) + (1 - rho) * np.log((1 - rho) / (1 - rate))
    assert float(KLSparsity(0.7, rho)(step).detach()) == pytest.approx(0.7 * divergences.sum(), rel=1e-12)


def test_kl_sparsity_is_zero_if_mean_activations_are_rho(X):
    step = module_of(CODES["sigmoid"]()).step(X)
    on_and_off = torch.tensor([0.1, 0.3, 0.2, 0.2, 0.0, 0.4], dtype=torch.float64)[:, None].expand(N, K)
    assert float(KLSparsity(rho=0.2)(step._replace(code=on_and_off))) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kl_sparsity_is_finite_for_codes_of_zeros_or_ones(value, X):
    step = module_of(CODES["sigmoid"]()).step(X)
    assert np.isfinite(float(KLSparsity()(step._replace(code=torch.full_like(step.code, value)))))


@pytest.mark.parametrize("tied", [False, True])
def test_orthogonal_is_the_sum_of_squared_cosines(tied, X):
    step = module_of(CODES["tanh"](), tied=tied).step(X)
    W = step.decoder_matrix.detach().numpy()
    cosines = [
        W[:, i] @ W[:, j] / np.linalg.norm(W[:, i]) / np.linalg.norm(W[:, j]) for i in range(K) for j in range(i)
    ]
    assert float(Orthogonal(0.4)(step).detach()) == pytest.approx(0.4 * np.square(cosines).sum(), rel=1e-13)


def test_orthogonal_is_zero_for_right_angles_and_one_per_parallel_pair(X):
    step, sizes = module_of(CODES["tanh"]()).step(X), torch.tensor([0.01, 1.0, -7.0, 100.0], dtype=torch.float64)
    orthogonal = torch.linalg.qr(torch.randn(D, K, generator=generator(), dtype=torch.float64))[0]
    assert float(Orthogonal()(step._replace(decoder_matrix=orthogonal * sizes))) == pytest.approx(0, abs=1e-14)
    parallel = orthogonal[:, :1] * sizes
    assert float(Orthogonal()(step._replace(decoder_matrix=parallel))) == pytest.approx(K * (K - 1) / 2, rel=1e-13)


@pytest.mark.parametrize("penalty", [L1(), Orthogonal()], ids=repr)
def test_columns_of_zeros_have_finite_gradients(penalty, X):
    module = module_of(CODES["tanh"]())
    with torch.no_grad():
        module.network.decoder_affine.weight[:, 2:] = 0
    value = penalty(module.step(X))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(module.network.decoder_affine.weight.grad).all()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", CODE_NAMES)
def test_contractive_in_closed_form_is_the_norm_of_the_jacobian(name, tied, X):
    module = module_of(code_of(name), tied=tied)
    step = module.step(X, generator=generator())
    assert step.encoder_matrix is not None
    value = float(Contractive(0.3)(step).detach())
    assert value == pytest.approx(0.3 * mean_squared_norm(module, X), rel=1e-12)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6)])
@pytest.mark.parametrize("name", CODE_NAMES)
def test_contractive_without_projections_is_the_norm_of_the_jacobian(name, hidden, X):
    module = module_of(code_of(name), hidden)
    step = module.step(X, generator=generator())._replace(encoder_matrix=None)
    value = float(Contractive(0.3, n_projections=None)(step).detach())
    assert value == pytest.approx(0.3 * mean_squared_norm(module, X), rel=1e-12)


@pytest.mark.parametrize("n_projections", [1, 3])
@pytest.mark.parametrize("name", ["gaussian", "tanh", "top_k"])
def test_the_estimate_of_contractive_is_unbiased(name, n_projections, X):
    """The bound is 4 standard errors."""
    module, penalty, draws = module_of(code_of(name), (7,)), Contractive(1.0, n_projections), 1000
    step = module.step(X, generator=generator(1))
    values = np.array([float(penalty(step).detach()) for _ in range(draws)])
    assert values.std() > 0
    assert abs(values.mean() - mean_squared_norm(module, X)) < 4 * values.std() / draws**0.5


def test_more_projections_vary_less(X):
    step = module_of(CODES["tanh"](), (7,)).step(X, generator=generator(1))
    few, many = ([float(Contractive(1.0, n)(step).detach()) for _ in range(400)] for n in (1, 8))
    assert np.var(many) / np.var(few) == pytest.approx(1 / 8, rel=0.4)


def test_contractive_is_that_of_the_corrupted_input(X):
    module = module_of(CODES["tanh"](), (7,))
    step = module.step(X + 1, X, generator=generator())
    value = float(Contractive(1.0, None)(step).detach())
    assert value == pytest.approx(mean_squared_norm(module, X + 1), rel=1e-12)


def test_projections_come_only_from_the_generator(X):
    module, before = module_of(CODES["tanh"](), (7,)), torch.get_rng_state()
    first, again, other = (float(Contractive()(module.step(X, generator=generator(s))).detach()) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_contractive_draws_nothing_and_is_exact(X):
    module, before = module_of(CODES["tanh"](), (7,)), torch.get_rng_state()
    value = float(Contractive(1.0)(module.step(X)).detach())
    assert value == pytest.approx(mean_squared_norm(module, X), rel=1e-12)
    assert torch.equal(torch.get_rng_state(), before)


class Penalised(nn.Module):
    """The penalty of a step as a function of the weights, with the same noise in each call."""

    def __init__(self, module, penalty):
        super().__init__()
        self.module = module
        self.penalty = penalty

    def forward(self, X):
        return self.penalty(self.module.step(X, generator=generator(4)))


@pytest.mark.parametrize(
    ("penalty", "name", "hidden"),
    [
        (L1(), "tanh", ()),
        (L1(), "gaussian", (3,)),
        (KLSparsity(), "sigmoid", (3,)),
        (Orthogonal(), "identity", ()),
        (Contractive(), "identity", ()),
        (Contractive(), "tanh", ()),
        (Contractive(), "top_k", ()),
        (Contractive(), "gaussian", ()),
        (Contractive(), "tanh", (3,)),
        (Contractive(n_projections=2), "gaussian", (3,)),
        (Contractive(n_projections=None), "sigmoid", (3,)),
    ],
    ids=repr,
)
def test_gradient_in_the_weights_is_that_of_differences(penalty, name, hidden, X):
    penalised = Penalised(module_of(code_of(name), hidden), penalty)
    names, weights = zip(*penalised.named_parameters(), strict=True)

    def value(*weights):
        return functional_call(penalised, dict(zip(names, weights, strict=True)), (X,))

    assert torch.autograd.gradcheck(value, weights)


@pytest.mark.parametrize(
    "penalty", [L1(), KLSparsity(), Orthogonal(), Contractive(), Contractive(n_projections=None)], ids=repr
)
@pytest.mark.parametrize("hidden", [(), (7,)])
def test_validation_gets_the_value_that_training_gets(penalty, hidden, X):
    module = module_of(CODES["sigmoid"](), hidden)
    trained = penalty(module.step(X, generator=generator()))
    assert trained.requires_grad
    assert trained.ndim == 0
    module.requires_grad_(False)
    with torch.no_grad():
        validated = penalty(module.step(X, generator=generator()))
    assert float(validated.detach()) == float(trained.detach())


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_repeated_samples_do_not_change_the_penalty(name, X):
    module, penalty = module_of(CODES["sigmoid"]()), PENALTIES[name]()
    once, twice = (float(penalty(module.step(rows)).detach()) for rows in (X, torch.cat([X, X])))
    assert once == pytest.approx(twice, rel=1e-13)


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_alpha_is_a_factor(name, X):
    step = module_of(CODES["sigmoid"]()).step(X)
    one, three = (float(PENALTIES[name](alpha=alpha)(step).detach()) for alpha in (1.0, 3.0))
    assert three == pytest.approx(3 * one, rel=1e-14)


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_rotation_invariant_is_whether_rotating_a_linear_code_keeps_the_penalty(name, X):
    module, penalty = module_of(CODES["identity"]()), PENALTIES[name]()
    rotation = torch.linalg.qr(torch.randn(K, K, generator=generator(2), dtype=torch.float64))[0]
    before = float(penalty(module.step(X)).detach())
    network = module.network
    with torch.no_grad():
        network.encoder_affine.weight.copy_(rotation @ network.encoder_affine.weight)
        network.encoder_affine.bias.copy_(rotation @ network.encoder_affine.bias)
        network.decoder_affine.weight.copy_(network.decoder_affine.weight @ rotation.T)
    after = float(penalty(module.step(X)).detach())
    assert penalty.rotation_invariant is (after == pytest.approx(before, rel=1e-9))


@pytest.mark.parametrize("alpha", [0, -1.0, np.nan])
@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_alpha_must_be_above_zero(name, alpha):
    with pytest.raises(ValueError, match=rf"{PENALTIES[name].__name__}\(alpha={alpha}\): alpha must be above 0"):
        PENALTIES[name](alpha=alpha).check(context())


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.5, np.nan])
def test_rho_must_be_between_zero_and_one(rho):
    with pytest.raises(ValueError, match=rf"KLSparsity\(rho={rho}\): rho must be in \(0, 1\)"):
        KLSparsity(rho=rho).check(context())


@pytest.mark.parametrize("n_projections", [0, -2, 1.5])
def test_n_projections_must_be_an_integer_from_one_or_none(n_projections):
    with pytest.raises(ValueError, match=r"Contractive\(n_projections=.*\): n_projections must be .* or None"):
        Contractive(n_projections=n_projections).check(context())


@pytest.mark.parametrize("n_projections", [1, 5, None, np.int64(2)])
def test_n_projections_may_be_an_integer_from_one_or_none(n_projections):
    Contractive(n_projections=n_projections).check(context())


@pytest.mark.parametrize("name", CODE_NAMES)
def test_kl_sparsity_needs_a_code_between_zero_and_one(name):
    needed = context(CODES[name].value_range)
    if name == "sigmoid":
        KLSparsity().check(needed)
    else:
        with pytest.raises(ValueError, match=r"penalty=KLSparsity\(\) .* but the code lies in \(.*\): choose"):
            KLSparsity().check(needed)


def test_orthogonal_needs_a_decoder_with_an_affine_path():
    Orthogonal().check(context())
    with pytest.raises(
        ValueError, match=r"penalty=Orthogonal\(\) needs .* affine path, but the network .* module has none"
    ):
        Orthogonal().check(context(affine_path=False))


@pytest.mark.parametrize("penalty", [L1(), KLSparsity(), Contractive()], ids=repr)
def test_other_penalties_need_no_affine_path(penalty):
    penalty.check(context(affine_path=False))


def test_penalties_may_be_names_instances_or_lists_of_these():
    l1 = L1(0.5)
    assert penalties_of(None) == penalties_of([]) == penalties_of(()) == ()
    assert penalties_of("contractive") == (Contractive(),)
    assert penalties_of(l1) == (l1,)
    assert penalties_of([l1, "orthogonal"]) == penalties_of((l1, "orthogonal")) == (l1, Orthogonal())
    assert penalties_of([l1])[0] is l1


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("l2", "'l2'"),
        (["l1", "l2"], "'l2'"),
        ([L1(), 0.1], "0.1"),
        ([None], "None"),
        ([L1], "class"),
        ([SquaredError()], r"SquaredError\(\)"),
        ([["l1"]], r"\['l1'\]"),
    ],
)
def test_other_values_raise_an_error_that_names_them(value, named):
    with pytest.raises(ValueError, match=rf"^penalty=.* contains .*{named}.*'contractive'.* or an instance of Penalty"):
        penalties_of(value)


def test_the_base_class_raises(X):
    with pytest.raises(NotImplementedError):
        Penalty()(module_of(CODES["tanh"]()).step(X))
