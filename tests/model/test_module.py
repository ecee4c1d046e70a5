"""The module chains network, code and output; custom networks draw their weights when built, or are copied."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import binom
from sklearn.utils import check_random_state
from torch import nn

from sklearn_ae._model.code_maps import PermutationMap, RotationMap
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae.codes import CODES, Gaussian, Tanh, TopK
from sklearn_ae.losses import Mixed, SquaredError
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from sklearn_ae.outputs import OUTPUTS, ByColumns

D, K = 5, 3
PLAIN = Architecture(
    D,
    K,
    hidden_layer_sizes=(),
    activation="silu",
    code=CODES["identity"](),
    loss=SquaredError(),
    output_activation="identity",
    code_dropout=0.0,
    rotation_invariant=True,
)


def random_network(seed: int = 0, **changes) -> Autoencoder:
    """Return a module in float64 and evaluation mode with random weights."""
    generator = torch.Generator().manual_seed(seed)
    module = build(PLAIN._replace(**changes)).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def rows(n: int = 20, width: int = D, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def global_states() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(
    ("code", "formula"), [(CODES["identity"](), lambda a: a), (CODES["sigmoid"](), expit), (Tanh(), np.tanh)]
)
@pytest.mark.parametrize(("output", "activation"), [("identity", lambda u: u), ("sigmoid", expit)])
@pytest.mark.parametrize("tied", [False, True])
def test_forward_without_hidden_layers_is_the_formula(tied, output, activation, code, formula):
    module, x = random_network(module=TiedAutoencoder if tied else None, output_activation=output, code=code), rows()
    w = weights_of(module.network)
    A = w["encoder_affine.weight"]
    W, b = (A.T, w["bias"]) if tied else (w["decoder_affine.weight"], w["decoder_affine.bias"])
    h = formula(x.numpy() @ A.T + w["encoder_affine.bias"])
    with torch.no_grad():
        np.testing.assert_allclose(module(x).numpy(), activation(h @ W.T + b), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_the_formula_and_start_at_zero(tied):
    module = build(PLAIN._replace(module=TiedAutoencoder if tied else None))
    assert isinstance(module.network, TiedAutoencoder) is tied
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert n_parameters == (1 if tied else 2) * D * K + K + D
    assert all(parameter.requires_grad and not parameter.any() for parameter in module.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_layer_sizes": (4,), "code": CODES["sigmoid"]()},
        {"output_activation": "sigmoid"},
        {"module": TiedAutoencoder},
        {"code": Gaussian(), "hidden_layer_sizes": (4,)},
        {"loss": Mixed([("log_loss", [3]), ("cross_entropy", [0, 2]), ("squared_error", [1, 4])])},
    ],
)
def test_gradients_are_those_of_differences(changes):
    module = random_network(**changes)
    assert torch.autograd.gradcheck(module, rows(3).requires_grad_())


@pytest.mark.parametrize("code", CODES)
def test_a_step_holds_all_that_forward_computes(code):
    changes = {"hidden_layer_sizes": (4,), "output_activation": "sigmoid", "code": CODES[code]()}
    module, x = random_network(**changes), rows()
    step = module.step(x)
    assert step.target is step.input is x
    assert step.preactivation.shape == (20, 2 * K if code == "gaussian" else K)
    for given, expected in [
        (step.preactivation, module.network.encode(x)),
        (step.code, module.network_code(x)),
        (step.code, step.activate(step.preactivation)),
        (step.code, step.encode(x)),
        (step.linear_output, module.linear_output(step.code)),
        (step.linear_output, step.decode(step.code)),
        (step.output, torch.sigmoid(step.linear_output)),
        (step.output, module(x)),
    ]:
        torch.testing.assert_close(given, expected, rtol=0, atol=0)
    assert step.progress == 1
    assert step.generator is None


def test_a_step_keeps_a_corrupted_input_and_its_target_apart():
    module, x, clean = random_network(), rows(), rows(seed=2)
    step = module.step(x, clean, progress=0.25, generator=seeded())
    assert step.input is x
    assert step.target is clean
    torch.testing.assert_close(step.output, module(x), rtol=0, atol=0)
    assert step.progress == 0.25
    assert isinstance(step.generator, torch.Generator)


def test_a_code_is_annealed_only_with_a_generator():
    module, x = random_network(code=TopK(1, anneal=0.5)), rows(200)
    for progress, generator, most in [(0.0, seeded(), 3), (0.0, None, 1), (0.5, seeded(), 1), (1.0, seeded(), 1)]:
        step = module.step(x, progress=progress, generator=generator)
        assert (step.code > 0).sum(1).max() == most


@pytest.mark.parametrize(
    ("code", "hidden", "has_one"), [("tanh", (), True), ("tanh", (4,), False), ("top_k", (), True)]
)
def test_a_step_has_the_matrices_of_affine_halves(code, hidden, has_one):
    module = random_network(code=CODES[code](), hidden_layer_sizes=hidden)
    step = module.step(rows())
    assert torch.equal(step.decoder_matrix, module.network.decoder_affine.weight)
    assert (step.encoder_matrix is not None) is has_one
    if has_one:
        assert torch.equal(step.encoder_matrix, module.network.encoder_affine.weight)


def test_the_encoder_matrix_of_a_gaussian_code_is_that_of_its_means():
    module, x = random_network(code=Gaussian()), rows()
    matrix = module.step(x).encoder_matrix
    assert matrix.shape == (K, D)
    torch.testing.assert_close(module.network_code(x), x @ matrix.T + module.network.encoder_affine.bias[:K])


def invertible_map() -> RotationMap:
    code_map, generator = RotationMap(K).double(), seeded(3)
    code_map.matrix.copy_(torch.randn(K, K, generator=generator, dtype=torch.float64))
    code_map.inverse.copy_(torch.linalg.inv(code_map.matrix))
    code_map.centre.copy_(torch.randn(K, generator=generator, dtype=torch.float64))
    return code_map


def permuting_order() -> PermutationMap:
    code_order = PermutationMap(K)
    code_order.order.copy_(torch.tensor([2, 0, 1]))
    code_order.position.copy_(torch.tensor([1, 2, 0]))
    return code_order


def test_code_map_is_affine():
    code_map, h = invertible_map(), rows(width=K)
    torch.testing.assert_close(code_map(h), (h - code_map.centre) @ code_map.matrix.T)


def test_code_order_permutes_components():
    assert permuting_order()(torch.tensor([[10, 11, 12]])).tolist() == [[12, 10, 11]]


@pytest.mark.parametrize("code_map", [invertible_map(), permuting_order()], ids=["map", "order"])
def test_undo_inverts_the_map_and_reconstructions_do_not_depend_on_it(code_map):
    module, x = random_network(hidden_layer_sizes=(4,), output_activation="sigmoid"), rows()
    module.code_map = code_map
    with torch.no_grad():
        h = module.network_code(x)
        torch.testing.assert_close(module.encode(x), code_map(h), rtol=0, atol=0)
        torch.testing.assert_close(code_map.undo(code_map(h)), h)
        torch.testing.assert_close(code_map(code_map.undo(h)), h)
        torch.testing.assert_close(module.decode(module.encode(x)), module(x))


@pytest.mark.parametrize(("rotation_invariant", "cls"), [(True, RotationMap), (False, PermutationMap)])
def test_the_map_of_a_new_network_is_the_identity(rotation_invariant, cls):
    module, x = random_network(rotation_invariant=rotation_invariant), rows()
    assert isinstance(module.code_map, cls)
    with torch.no_grad():
        torch.testing.assert_close(module.encode(x), module.network_code(x), rtol=0, atol=0)
        torch.testing.assert_close(module.decode(rows(width=K)), module.linear_output(rows(width=K)), rtol=0, atol=0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_keeps_the_mean(rate):
    n = 4000
    module, x = random_network(code_dropout=rate), rows(n)
    kept_code = module.network_code(x)
    code = module.step(x, generator=seeded()).code
    dropped = code == 0
    torch.testing.assert_close(code[~dropped], kept_code[~dropped] / (1 - rate))
    low, high = binom.interval(1 - 1e-6, n, rate)
    per_component = dropped.sum(0)
    assert ((low <= per_component) & (per_component <= high)).all()
    joint = int((dropped[:, 0] & dropped[:, 1]).sum())
    low, high = binom.interval(1 - 1e-6, n, rate**2)
    assert low <= joint <= high


@pytest.mark.parametrize("changes", [{"code_dropout": 0.5}, {"code": Gaussian()}], ids=str)
def test_noise_is_drawn_only_with_a_generator(changes):
    module, x = random_network(**changes).train(), rows()
    assert module.noisy
    torch.testing.assert_close(module(x), module.linear_output(module.network_code(x)), rtol=0, atol=0)
    torch.testing.assert_close(module.step(x).code, module.network_code(x), rtol=0, atol=0)
    first, second = (module.step(x, generator=seeded(seed)).code for seed in (0, 1))
    assert not torch.equal(first, second)
    torch.testing.assert_close(module.step(x, generator=seeded()).code, first, rtol=0, atol=0)


@pytest.mark.parametrize("code", ["identity", "relu", "sigmoid", "tanh", "top_k", "winner_take_all"])
def test_without_dropout_no_random_number_is_drawn(code):
    generator = seeded()
    before = generator.get_state()
    module, x = random_network(code=CODES[code]()), rows()
    step = module.step(x, generator=generator)
    if not module.noisy:
        torch.testing.assert_close(step.output, module(x), rtol=0, atol=0)
    assert torch.equal(generator.get_state(), before)


def test_output_follows_the_linear_output_of_dropped_codes():
    module, x = random_network(code_dropout=0.5, output_activation="sigmoid"), rows()
    step = module.step(x, generator=seeded())
    torch.testing.assert_close(step.output, torch.sigmoid(module.linear_output(step.code)), rtol=0, atol=0)


@pytest.mark.parametrize("name", OUTPUTS)
def test_build_takes_names_classes_and_members(name):
    module = build(PLAIN._replace(hidden_layer_sizes=(4,), activation=nn.Softplus, code=Tanh(), output_activation=name))
    assert type(module.output) is OUTPUTS[name]
    assert isinstance(module.network.encoder_hidden[1], nn.Softplus)
    assert isinstance(module.code, Tanh)


def test_a_mixed_loss_gives_an_output_by_columns():
    loss = Mixed([("log_loss", [3, 1]), ("squared_error", [0, 2, 4])])
    module, x = random_network(loss=loss, output_activation="by_columns"), rows()
    assert isinstance(module.output, ByColumns)
    u = module.step(x).linear_output
    torch.testing.assert_close(module(x)[:, [1, 3]], torch.sigmoid(u[:, [1, 3]]), rtol=0, atol=0)
    torch.testing.assert_close(module(x)[:, [0, 2, 4]], u[:, [0, 2, 4]], rtol=0, atol=0)


class Halves(nn.Module):
    """Two linear layers with torch's own initialization."""

    def __init__(self, n_features: int, n_components: int, n_preactivations: int):
        super().__init__()
        self.encode = nn.Linear(n_features, n_preactivations)
        self.decode = nn.Linear(n_components, n_features)


class FixedHalves(Halves):
    """The same, without sizes in its signature."""

    def __init__(self, *, bias: float = 0.0):
        super().__init__(D, K, K)
        nn.init.constant_(self.encode.bias, bias)


@pytest.mark.parametrize("tied", [False, True])
def test_building_and_stepping_leave_global_generators_alone(tied):
    before = global_states()
    hidden = () if tied else (6, 4)
    module = build(
        PLAIN._replace(hidden_layer_sizes=hidden, module=TiedAutoencoder if tied else None, code_dropout=0.5)
    )
    module.train().step(rows().float(), generator=seeded()).output.sum().backward()
    assert global_states() == before


MODULES = {
    "class with sizes": Halves,
    "class without": FixedHalves,
    "function": lambda n_components, n_features: DenseAutoencoder(n_features, n_components, K, (4,), nn.Tanh),
    "partial": partial(ConvAutoencoder, image_shape=(5, 1), channels=(2, 3)),
    "instance": FixedHalves(bias=2.0).train(),
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_building_a_custom_network_leaves_global_generators_alone(module):
    before = global_states()
    built = build(PLAIN._replace(module=module), seed=3)
    assert global_states() == before
    assert not built.network.training
    assert built(rows().float()).shape == (20, D)


@pytest.mark.parametrize("module", [Halves, FixedHalves])
def test_the_seed_determines_the_weights_of_a_class(module):
    first, again, other = (weights_of(build(PLAIN._replace(module=module), seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["network.encode.weight"], other["network.encode.weight"])


def test_an_instance_is_copied_and_never_changed():
    instance = FixedHalves(bias=2.0).double().train()
    before = weights_of(instance)
    built = build(PLAIN._replace(module=instance))
    assert built.network is not instance
    assert {value.dtype for value in built.parameters()} == {torch.float32}
    for parameter in built.parameters():
        nn.init.zeros_(parameter)
    assert instance.training
    assert {value.dtype for value in instance.parameters()} == {torch.float64}
    assert all(np.array_equal(value, before[name]) for name, value in weights_of(instance).items())


def test_bound_arguments_are_kept():
    built = build(PLAIN._replace(module=partial(FixedHalves, bias=2.0)))
    np.testing.assert_array_equal(weights_of(built.network)["encode.bias"], 2)


def test_a_class_gets_the_width_of_the_preactivation():
    module = build(PLAIN._replace(module=Halves, code=Gaussian()))
    assert module.step(rows().float()).preactivation.shape == (20, 2 * K)
    assert module.network_code(rows().float()).shape == (20, K)


def test_a_custom_network_has_no_matrices_unless_it_is_affine():
    step = build(PLAIN._replace(module=Halves)).step(rows().float())
    assert step.encoder_matrix is step.decoder_matrix is None
    step = build(PLAIN._replace(module=MODULES["partial"])).step(rows().float())
    assert step.encoder_matrix is None
    assert step.decoder_matrix.shape == (D, K)


@pytest.mark.parametrize(
    ("sizes", "code", "message"),
    [
        ((D, K, K + 1), "identity", r"(?s)encode of module=.* must return 3 columns for .* returned shape \(2, 4\)"),
        ((D, K, K), "gaussian", r"(?s)encode of .* return 6 columns .* code=Gaussian\(\), but returned shape \(2, 3\)"),
    ],
)
def test_an_encoder_of_the_wrong_width_raises_an_error(sizes, code, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN._replace(module=Halves(*sizes), code=CODES[code]()))


def test_a_decoder_of_the_wrong_width_raises_an_error():
    network = Halves(D, K, K)
    network.decode = nn.Linear(K, D + 2)
    message = (
        r"(?s)decode of module=.* must return 5 columns for n_features=5, .* returned shape \(2, 7\) for two samples"
    )
    with pytest.raises(ValueError, match=message):
        build(PLAIN._replace(module=network))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((D + 1, K, K), r"(?s)encode of .* but raised RuntimeError"), ((D, K + 1, K), r"(?s)decode of .* but raised")],
)
def test_a_network_for_other_data_or_codes_raises_an_error(sizes, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN._replace(module=Halves(*sizes)))


class EncoderOnly(nn.Module):
    """A network with only an encoder."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(D, K)


@pytest.mark.parametrize(
    "value", [nn.Linear(D, K), EncoderOnly, lambda: "no module"], ids=["no encode", "no decode", "string"]
)
def test_objects_that_are_not_networks_raise_an_error(value):
    with pytest.raises(ValueError, match=r"must be a torch\.nn\.Module with encode and decode methods"):
        build(PLAIN._replace(module=value))
