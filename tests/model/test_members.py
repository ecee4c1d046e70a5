"""Codes, losses, penalties and corruptions are stateless estimators with plain parameters, equal if these are."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from torch import nn

from sklearn_ae._model.code_maps import PermutationMap
from sklearn_ae._model.module import Autoencoder
from sklearn_ae.base import CheckContext, DataBounds, Member, Step, member
from sklearn_ae.codes import CODES, Code, Gaussian, ReLU, TopK
from sklearn_ae.corruptions import CORRUPTIONS, Corruption, Masking, SaltAndPepper
from sklearn_ae.losses import LOSSES, Huber, Loss, Mixed, SquaredError
from sklearn_ae.networks import DenseAutoencoder
from sklearn_ae.outputs import Identity
from sklearn_ae.penalties import L1, PENALTIES, KLSparsity, Orthogonal, Penalty

AXES = {
    "code": (CODES, Code),
    "loss": (LOSSES, Loss),
    "penalty": (PENALTIES, Penalty),
    "corruption": (CORRUPTIONS, Corruption),
}
CLASSES = {f"{axis}-{name}": (cls, base) for axis, (registry, base) in AXES.items() for name, cls in registry.items()}
CLASSES["loss-mixed"] = Mixed, Loss
CONTEXT = CheckContext(n_features=5, n_components=4, code_range=(0.0, 1.0), tied_weights=False, affine_path=True)
PLAIN = (bool, float, int, str, tuple, type(None))


@pytest.fixture(params=sorted(CLASSES))
def cls(request) -> type[Member]:
    return CLASSES[request.param][0]


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def step_of(code, x) -> Step:
    generator = torch.Generator().manual_seed(1)
    network = DenseAutoencoder(5, 4, code.n_preactivations(4), (), nn.Identity)
    for weights in network.parameters():
        nn.init.normal_(weights, generator=generator)
    module = Autoencoder(network, 5, 4, code, Identity(5), PermutationMap(4)).double()
    return module.step(x, progress=0.2, generator=generator)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_members_are_estimators_of_their_axis(name):
    cls, base = CLASSES[name]
    assert issubclass(cls, base)
    assert issubclass(base, Member)
    assert issubclass(Member, BaseEstimator)


def test_parameters_are_plain_and_in_the_signature(cls):
    one, signature = cls(), inspect.signature(cls).parameters
    assert one.get_params() == {name: parameter.default for name, parameter in signature.items()}
    assert vars(one) == one.get_params()
    assert all(isinstance(value, PLAIN) for value in one.get_params().values())


def test_clones_and_unpickled_ones_are_equal(cls):
    one = cls()
    for copy in (clone(one), pickle.loads(pickle.dumps(one))):
        assert copy is not one
        assert copy == one
        assert hash(copy) == hash(one)


def test_members_with_another_parameter_are_unequal(cls):
    for name in cls().get_params():
        one = cls().set_params(**{name: "another"})
        assert getattr(one, name) == "another"
        assert one != cls()


def test_unknown_parameters_cannot_be_set(cls):
    with pytest.raises(ValueError, match="Invalid parameter 'gain'"):
        cls().set_params(gain=2)


def test_defaults_pass_their_own_check(cls):
    cls().check(CONTEXT)


def test_annealing_ends_before_training(cls):
    assert 0 <= cls().annealed_until < 1


def test_members_of_different_classes_are_unequal():
    assert Masking(0.1) != SaltAndPepper(0.1)
    assert L1(1.0) != Orthogonal(1.0)
    assert ReLU() != "relu"
    assert ReLU() != SquaredError()


def test_equal_members_have_equal_hashes():
    assert len({L1(0.1), L1(0.1), L1(0.2), TopK(3), TopK(k=3), TopK(k=0.3)}) == 4


@pytest.mark.parametrize("columns", [np.array([1, 2]), [1, 2], "sold", slice(1, 3)], ids=repr)
def test_members_that_contain_members_and_columns_are_compared(columns):
    one, same, other = (Mixed([(Huber(delta), columns)], remainder=Huber()) for delta in (2.0, 2.0, 3.0))
    assert one == same == clone(one)
    assert one != other
    assert one != Mixed([(Huber(2.0), [0])], remainder=Huber())
    assert one != Mixed([(Huber(2.0), np.array([0, 2]))], remainder=Huber())


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        (ReLU(), "ReLU()"),
        (TopK(3, anneal=0.5), "TopK(k=3)"),
        (Gaussian(weight=4.0), "Gaussian(weight=4.0)"),
        (KLSparsity(rho=0.1), "KLSparsity(rho=0.1)"),
        (Masking(0.4), "Masking(rate=0.4)"),
    ],
    ids=repr,
)
def test_repr_shows_parameters_other_than_defaults(one, shown):
    assert repr(one) == shown


@pytest.mark.parametrize("name", sorted(CODES))
def test_codes_hold_no_state(name, x):
    code = TopK(2) if name == "top_k" else CODES[name]()
    before = clone(code)
    step = step_of(code, x)
    for term in code.terms:
        term(step)
    assert vars(code) == vars(before)


@pytest.mark.parametrize("axis", ["loss", "penalty", "corruption"])
def test_other_members_hold_no_state(axis, x):
    step, bounds = step_of(CODES["sigmoid"](), x), DataBounds(x[0], x[3], x[1], x[2], 1.0)
    for cls in AXES[axis][0].values():
        one = cls()
        before = clone(one)
        if axis == "corruption":
            one(x, bounds, torch.Generator())
        else:
            one(step)
        assert vars(one) == vars(before)


@pytest.mark.parametrize("axis", sorted(AXES))
def test_a_short_name_gives_a_new_instance_with_defaults(axis):
    registry, _ = AXES[axis]
    for name, cls in registry.items():
        assert type(member(name, registry)) is cls
        assert member(name, registry) == cls()
        assert member(name, registry) is not member(name, registry)


def test_an_instance_is_returned_unchanged():
    one = Huber(3.0)
    assert member(one, LOSSES) is one


@pytest.mark.parametrize("axis", sorted(AXES))
def test_an_unknown_short_name_raises_an_error_that_lists_all(axis):
    registry, _ = AXES[axis]
    with pytest.raises(ValueError, match=rf"'nothing'.*'{min(registry)}'"):
        member("nothing", registry)


def test_an_error_names_the_parameter_and_its_value():
    with pytest.raises(ValueError, match=r"^Masking\(rate=2\): rate must be below 1\.$"):
        Masking(2)._require("rate", False, "below 1")
    Masking(2)._require("rate", True, "below 1")


def test_a_step_is_after_annealing_and_without_noise_by_default(x):
    step = step_of(CODES["relu"](), x)
    short = Step(*step[: len(step) - 3])
    assert (short.progress, short.generator, short.observed) == (1.0, None, None)
