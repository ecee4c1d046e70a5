"""Each code is its formula, entry by entry, and says truly whether it is linear."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone

from sklearn_ae.codes import CODES, Code

FORMULAS = {
    "identity": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": expit,
    "tanh": np.tanh,
}
CODE_NAMES = sorted(CODES)


@pytest.fixture
def preactivation() -> torch.Tensor:
    entries = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 3 * entries


def test_every_code_has_a_formula_here():
    assert set(CODES) == set(FORMULAS)


@pytest.mark.parametrize("name", CODE_NAMES)
def test_code_is_its_formula(name, preactivation):
    code = CODES[name]()(preactivation)
    np.testing.assert_allclose(code.numpy(), FORMULAS[name](preactivation.numpy()), rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", CODE_NAMES)
def test_gradient_is_that_of_the_formula(name, preactivation):
    assert torch.autograd.gradcheck(CODES[name](), preactivation.requires_grad_())


@pytest.mark.parametrize("name", CODE_NAMES)
def test_input_is_left_as_it_was(name, preactivation):
    before = preactivation.clone()
    CODES[name]()(preactivation)
    assert torch.equal(preactivation, before)


@pytest.mark.parametrize("name", CODE_NAMES)
def test_linear_codes_are_those_that_keep_sums_and_multiples(name, preactivation):
    code = CODES[name]()
    other = preactivation.flip(0)
    keeps = torch.allclose(code(preactivation - 2 * other), code(preactivation) - 2 * code(other))
    assert code.linear is keeps


@pytest.mark.parametrize("name", CODE_NAMES)
def test_members_are_estimators_with_plain_parameters(name):
    member = CODES[name]()
    assert isinstance(member, Code)
    copy = clone(member)
    assert type(copy) is type(member)
    assert copy.get_params() == member.get_params()


def test_the_base_class_is_no_code(preactivation):
    assert Code.linear is False
    with pytest.raises(NotImplementedError):
        Code()(preactivation)
