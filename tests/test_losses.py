"""Each loss is its formula in float64, with the gradient of that formula."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, xlogy
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_squared_error

from sklearn_ae.losses import LOSSES, LogLoss, Loss, SquaredError, Step

LOSS_NAMES = sorted(LOSSES)


def step_of(target, linear_output, output=None) -> Step:
    """Return a step whose code no loss may need and whose output, unless given, is a sigmoid's."""
    target, linear_output = torch.as_tensor(target), torch.as_tensor(linear_output)
    code = torch.full((len(target), 2), torch.nan, dtype=torch.float64)
    return Step(target, code, linear_output, torch.sigmoid(linear_output) if output is None else output)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3, size=(6, 4))


@pytest.fixture
def targets() -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(6, 4))


def test_squared_error_is_that_of_scikit_learn_on_outputs(logits, targets):
    loss = SquaredError()(step_of(targets, logits))
    assert float(loss) == pytest.approx(mean_squared_error(targets, expit(logits)), rel=1e-14)


def test_log_loss_is_that_of_scikit_learn(logits, targets):
    binary = np.round(targets)
    loss = LogLoss()(step_of(binary, logits))
    assert float(loss) == pytest.approx(log_loss(binary.ravel(), expit(logits).ravel()), rel=1e-13)


def test_log_loss_of_targets_between_is_cross_entropy(logits, targets):
    p = expit(logits)
    cross_entropy = -(xlogy(targets, p) + xlogy(1 - targets, 1 - p)).mean()
    assert float(LogLoss()(step_of(targets, logits))) == pytest.approx(cross_entropy, rel=1e-13)


def test_log_loss_is_least_where_the_sigmoid_gives_the_target(targets):
    best = torch.from_numpy(logit(targets)).requires_grad_()
    LogLoss()(step_of(targets, best)).backward()
    np.testing.assert_allclose(best.grad.numpy(), 0, atol=1e-16)


@pytest.mark.parametrize(("target", "expected"), [(0.0, 500.0), (0.5, 500.0), (1.0, 500.0)])
def test_log_loss_is_exact_at_logits_that_saturate(target, expected):
    logits = torch.tensor([[1000.0], [-1000.0]], dtype=torch.float64)
    targets = torch.full((2, 1), target, dtype=torch.float64)
    assert float(LogLoss()(step_of(targets, logits))) == expected


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("squared_error", lambda t, u: 2 * (expit(u) - t) * expit(u) * (1 - expit(u)) / t.size),
        ("log_loss", lambda t, u: (expit(u) - t) / t.size),
    ],
)
def test_gradient_is_that_of_the_formula(name, gradient, logits, targets):
    linear_output = torch.from_numpy(logits.copy()).requires_grad_()
    loss = LOSSES[name]()
    loss(step_of(targets, linear_output)).backward()
    np.testing.assert_allclose(linear_output.grad.numpy(), gradient(targets, logits), rtol=1e-12, atol=1e-16)
    assert torch.autograd.gradcheck(lambda u: loss(step_of(targets, u)), linear_output)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_rows_twice_leave_the_mean(name, logits, targets):
    loss = LOSSES[name]()
    once, twice = loss(step_of(targets, logits)), loss(step_of(np.tile(targets, (2, 1)), np.tile(logits, (2, 1))))
    assert once.ndim == 0
    assert float(once) == pytest.approx(float(twice), rel=1e-14)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_members_are_estimators_with_plain_parameters(name):
    member = LOSSES[name]()
    assert isinstance(member, Loss)
    copy = clone(member)
    assert type(copy) is type(member)
    assert copy.get_params() == member.get_params()


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_loss_is_finite_on_its_own_range_under_its_first_output(name, logits):
    """The output that "auto" takes admits every target in the range, its ends included."""
    loss = LOSSES[name]
    low, high = loss.data_range or (-1e3, 1e3)
    linear_output = torch.from_numpy(logits)
    output = {"identity": linear_output, "sigmoid": torch.sigmoid(linear_output)}[loss.output_activations[0]]
    for end in (low, high):
        assert np.isfinite(float(loss()(step_of(np.full_like(logits, end), logits, output))))


def test_what_losses_say_of_data_and_outputs():
    assert SquaredError.data_range is None
    assert LogLoss.data_range == (0.0, 1.0)
    assert SquaredError.output_activations == ("identity", "clip", "sigmoid")
    assert LogLoss.output_activations == ("sigmoid",)
    assert (SquaredError.bounds_help, LogLoss.bounds_help) == (True, False)


def test_the_base_class_is_no_loss(logits, targets):
    with pytest.raises(NotImplementedError):
        Loss()(step_of(targets, logits))
