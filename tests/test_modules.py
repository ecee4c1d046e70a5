"""The networks are their formulas, and draw from no generator but the one they are given."""

import pickle
from math import sqrt

import numpy as np
import pytest
import torch
from scipy.special import erf, expit
from scipy.stats import binom
from sklearn.utils import check_random_state
from torch import nn

from sklearn_ae.codes import Tanh
from sklearn_ae.modules import (
    ACTIVATIONS,
    Architecture,
    Autoencoder,
    Clip,
    CodeMap,
    CodeOrder,
    Linear,
    TiedAutoencoder,
    build,
)

D, K = 5, 3
FORMULAS = {
    "gelu": lambda x: x * (1 + erf(x / sqrt(2))) / 2,
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}
PLAIN = Architecture(D, K, (), "silu", "identity", "identity", dropout=0.0, tied_weights=False, rotation_free=True)


def random_network(seed: int = 0, **changes) -> Autoencoder:
    """Return a network in float64 and for inference, all its weights drawn."""
    generator = torch.Generator().manual_seed(seed)
    module = build(PLAIN._replace(**changes)).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def rows(n: int = 20, width: int = D, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def global_states() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())


def weights_of(module: Autoencoder) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def perceptron_formula(x, w, name, activation):
    """Return what the layers w[name + ".0.weight"], w[name + ".2.weight"], ... make of x."""
    i = 0
    while f"{name}.{i}.bias" in w:
        x = activation(x @ w[f"{name}.{i}.weight"].T + w[f"{name}.{i}.bias"])
        i += 2
    return x @ w[f"{name}.{i}.weight"].T


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(4,), (6, 4)])
def test_halves_are_affine_plus_perceptron(hidden, activation):
    module, x, h = random_network(hidden_layer_sizes=hidden, activation=activation), rows(), rows(width=K)
    w, f = weights_of(module), FORMULAS[activation]
    code = x.numpy() @ w["encoder_affine.weight"].T + w["encoder_affine.bias"]
    code += perceptron_formula(x.numpy(), w, "encoder_hidden", f)
    output = h.numpy() @ w["decoder_affine.weight"].T + w["decoder_affine.bias"]
    output += perceptron_formula(h.numpy(), w, "decoder_hidden", f)
    with torch.no_grad():
        np.testing.assert_allclose(module.network_code(x).numpy(), code, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(module.linear_output(h).numpy(), output, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("code", "formula"), [("identity", lambda a: a), ("sigmoid", expit), (Tanh(), np.tanh)])
@pytest.mark.parametrize(("output", "activation"), [("identity", lambda u: u), ("sigmoid", expit)])
@pytest.mark.parametrize("tied", [False, True])
def test_forward_without_hidden_layers_is_the_formula(tied, output, activation, code, formula):
    module, x = random_network(tied_weights=tied, output_activation=output, code=code), rows()
    w = weights_of(module)
    A = w["encoder_affine.weight"]
    W, b = (A.T, w["bias"]) if tied else (w["decoder_affine.weight"], w["decoder_affine.bias"])
    h = formula(x.numpy() @ A.T + w["encoder_affine.bias"])
    with torch.no_grad():
        np.testing.assert_allclose(module(x).numpy(), activation(h @ W.T + b), rtol=1e-12, atol=1e-13)


def test_hidden_widths_are_mirrored_and_last_layers_have_no_bias():
    module = build(PLAIN._replace(hidden_layer_sizes=(7, 4)))
    shapes = {name: tuple(value.shape) for name, value in module.named_parameters() if "hidden" in name}
    assert shapes == {
        "encoder_hidden.0.weight": (7, D),
        "encoder_hidden.0.bias": (7,),
        "encoder_hidden.2.weight": (4, 7),
        "encoder_hidden.2.bias": (4,),
        "encoder_hidden.4.weight": (K, 4),
        "decoder_hidden.0.weight": (4, K),
        "decoder_hidden.0.bias": (4,),
        "decoder_hidden.2.weight": (7, 4),
        "decoder_hidden.2.bias": (7,),
        "decoder_hidden.4.weight": (D, 7),
    }


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_the_formula_and_start_at_zero(tied):
    module = build(PLAIN._replace(tied_weights=tied))
    assert isinstance(module, TiedAutoencoder) is tied
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert n_parameters == (1 if tied else 2) * D * K + K + D
    assert all(parameter.requires_grad and not parameter.any() for parameter in module.parameters())


def test_tied_gradient_is_that_of_both_uses():
    module, x = random_network(tied_weights=True), rows()
    module(x).square().sum().backward()
    A = module.encoder_affine.weight.detach()
    uses = [A.clone().requires_grad_(), A.clone().requires_grad_()]
    h = x @ uses[0].T + module.encoder_affine.bias.detach()
    (h @ uses[1] + module.bias.detach()).square().sum().backward()
    torch.testing.assert_close(module.encoder_affine.weight.grad, uses[0].grad + uses[1].grad)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_layer_sizes": (4,), "code": "sigmoid"},
        {"output_activation": "sigmoid"},
        {"tied_weights": True},
    ],
)
def test_network_is_differentiable_as_it_computes(changes):
    module = random_network(**changes)
    assert torch.autograd.gradcheck(module, rows(3).requires_grad_())


def test_a_step_holds_all_that_forward_computes():
    module, x = random_network(hidden_layer_sizes=(4,), output_activation="sigmoid", code="tanh"), rows()
    step = module.step(x)
    assert step.target is x
    torch.testing.assert_close(step.code, module.network_code(x), rtol=0, atol=0)
    torch.testing.assert_close(step.linear_output, module.linear_output(step.code), rtol=0, atol=0)
    torch.testing.assert_close(step.output, torch.sigmoid(step.linear_output), rtol=0, atol=0)
    torch.testing.assert_close(step.output, module(x), rtol=0, atol=0)


def clip_to(low: list[float], high: list[float]) -> Clip:
    clip = Clip(len(low)).double()
    clip.set_range(torch.tensor(low).double(), torch.tensor(high).double())
    return clip


def test_clip_is_hard_in_inference_and_leaks_its_slope_in_training():
    clip = clip_to([0, -1], [2, 1])
    x = torch.tensor([[-1.0, 3.0], [0.5, -0.5], [2.0, 1.0], [4.0, -3.0]], dtype=torch.float64, requires_grad=True)
    expected = torch.tensor([[0, 1], [0.5, -0.5], [2, 1], [2, -1]], dtype=torch.float64)
    torch.testing.assert_close(clip.eval()(x), expected, rtol=0, atol=0)
    y = clip.train()(x)
    excess = x - expected
    torch.testing.assert_close(y, expected + 0.02 * excess, rtol=1e-14, atol=0)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 0.02 + 0.98 * (excess == 0).double(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("training", [False, True])
def test_clip_without_a_range_is_the_identity(training):
    x = 1e30 * rows()
    torch.testing.assert_close(Clip(D).train(training)(x), x, rtol=0, atol=0)


def test_projection_onto_a_range_that_holds_the_data_never_adds_error():
    x, noise = rows(200), rows(200, seed=2)
    clip = clip_to(x.amin(0).tolist(), x.amax(0).tolist()).eval()
    assert ((x - clip(x + noise)).abs() <= noise.abs() + 1e-15).all()


def invertible_map() -> CodeMap:
    code_map, generator = CodeMap(K).double(), torch.Generator().manual_seed(3)
    code_map.matrix.copy_(torch.randn(K, K, generator=generator, dtype=torch.float64))
    code_map.inverse.copy_(torch.linalg.inv(code_map.matrix))
    code_map.centre.copy_(torch.randn(K, generator=generator, dtype=torch.float64))
    return code_map


def permuting_order() -> CodeOrder:
    code_order = CodeOrder(K)
    code_order.order.copy_(torch.tensor([2, 0, 1]))
    code_order.position.copy_(torch.tensor([1, 2, 0]))
    return code_order


def test_code_map_is_affine():
    code_map, h = invertible_map(), rows(width=K)
    torch.testing.assert_close(code_map(h), (h - code_map.centre) @ code_map.matrix.T)


def test_code_order_takes_units_in_order():
    assert permuting_order()(torch.tensor([[10, 11, 12]])).tolist() == [[12, 10, 11]]


@pytest.mark.parametrize("code_map", [invertible_map(), permuting_order()], ids=["map", "order"])
def test_undo_inverts_and_reconstruction_does_not_see_the_map(code_map):
    module, x = random_network(hidden_layer_sizes=(4,), output_activation="sigmoid"), rows()
    module.code_map = code_map
    with torch.no_grad():
        h = module.network_code(x)
        torch.testing.assert_close(module.encode(x), code_map(h), rtol=0, atol=0)
        torch.testing.assert_close(code_map.undo(code_map(h)), h)
        torch.testing.assert_close(code_map(code_map.undo(h)), h)
        torch.testing.assert_close(module.decode(module.encode(x)), module(x))


@pytest.mark.parametrize(("rotation_free", "cls"), [(True, CodeMap), (False, CodeOrder)])
def test_the_map_of_a_new_network_is_the_identity(rotation_free, cls):
    module, x = random_network(rotation_free=rotation_free), rows()
    assert isinstance(module.code_map, cls)
    with torch.no_grad():
        torch.testing.assert_close(module.encode(x), module.network_code(x), rtol=0, atol=0)
        torch.testing.assert_close(module.decode(rows(width=K)), module.linear_output(rows(width=K)), rtol=0, atol=0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_keeps_the_mean(rate):
    n = 4000
    module, x = random_network(dropout=rate), rows(n)
    kept_code = module.network_code(x)
    code = module.step(x, torch.Generator().manual_seed(0)).code
    dropped = code == 0
    torch.testing.assert_close(code[~dropped], kept_code[~dropped] / (1 - rate))
    low, high = binom.interval(1 - 1e-6, n, rate)
    per_unit = dropped.sum(0)
    assert ((low <= per_unit) & (per_unit <= high)).all()
    joint = int((dropped[:, 0] & dropped[:, 1]).sum())
    low, high = binom.interval(1 - 1e-6, n, rate**2)
    assert low <= joint <= high


def test_noise_is_drawn_only_where_a_generator_is_given():
    module, x = random_network(dropout=0.5).train(), rows()
    torch.testing.assert_close(module(x), module.linear_output(module.network_code(x)), rtol=0, atol=0)
    first, second = (module.step(x, torch.Generator().manual_seed(seed)).code for seed in (0, 1))
    assert not torch.equal(first, second)
    torch.testing.assert_close(module.step(x, torch.Generator().manual_seed(0)).code, first, rtol=0, atol=0)


def test_without_dropout_no_number_is_drawn():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    module, x = random_network(), rows()
    torch.testing.assert_close(module.step(x, generator).output, module(x), rtol=0, atol=0)
    assert torch.equal(generator.get_state(), before)


def test_output_follows_the_linear_output_of_dropped_codes():
    module, x = random_network(dropout=0.5, output_activation="sigmoid"), rows()
    step = module.step(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(step.output, torch.sigmoid(module.linear_output(step.code)), rtol=0, atol=0)


@pytest.mark.parametrize("tied", [False, True])
def test_building_and_stepping_leave_global_generators_alone(tied):
    before = global_states()
    hidden = () if tied else (6, 4)
    module = build(PLAIN._replace(hidden_layer_sizes=hidden, tied_weights=tied, dropout=0.5))
    module.train().step(rows().float(), torch.Generator().manual_seed(0)).output.sum().backward()
    Linear(3, 4).reset_parameters()
    assert global_states() == before


@pytest.mark.parametrize(("name", "cls"), [("identity", nn.Identity), ("clip", Clip), ("sigmoid", nn.Sigmoid)])
def test_build_takes_names_classes_and_members(name, cls):
    module = build(PLAIN._replace(hidden_layer_sizes=(4,), activation=nn.Softplus, code=Tanh(), output_activation=name))
    assert isinstance(module.output, cls)
    assert isinstance(module.encoder_hidden[1], nn.Softplus)
    assert isinstance(module.code, Tanh)
