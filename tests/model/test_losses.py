"""Each loss equals its formula in float64, has its gradient, and defines the right log-likelihood."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import quick
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, huber, log_softmax, logit, softmax, xlogy
from sklearn import metrics
from sklearn.base import clone

from sklearn_ae.base import CheckContext, Step
from sklearn_ae.losses import (
    LOSSES,
    AbsoluteError,
    CrossEntropy,
    Huber,
    LogLoss,
    Loss,
    Mixed,
    Multinomial,
    Poisson,
    SquaredError,
)
from sklearn_ae.outputs import ScaledSoftmax

N_SAMPLES, N_FEATURES = 6, 4
LOSS_NAMES = sorted(LOSSES)
REALS = ["absolute_error", "huber", "squared_error"]


def softplus(u):
    return np.logaddexp(0, u)


def shares(u):
    return softmax(ScaledSoftmax.unit * u, axis=1)


def rates(t, u):
    return t.sum(axis=1, keepdims=True) * shares(u)


#: The loss of each entry of target t for the linear output u, under the first output activation.
FORMULAS = {
    "absolute_error": lambda t, u: np.abs(t - u),
    "cross_entropy": lambda t, u: -(t * log_softmax(u, axis=1)).sum(axis=1, keepdims=True),
    "huber": lambda t, u: huber(1.0, t - u),
    "log_loss": lambda t, u: -xlogy(t, expit(u)) - xlogy(1 - t, expit(-u)),
    "multinomial": lambda t, u: xlogy(t, t / rates(t, u)) - t + rates(t, u),
    "poisson": lambda t, u: xlogy(t, t / softplus(u)) - t + softplus(u),
    "squared_error": lambda t, u: (t - u) ** 2,
}
#: Its derivative in u, times the number of entries.
SLOPES = {
    "absolute_error": lambda t, u: np.sign(u - t),
    "cross_entropy": lambda t, u: softmax(u, axis=1) - t,
    "huber": lambda t, u: np.clip(u - t, -1, 1),
    "log_loss": lambda t, u: expit(u) - t,
    "multinomial": lambda t, u: ScaledSoftmax.unit * (rates(t, u) - t),
    "poisson": lambda t, u: (1 - t / softplus(u)) * expit(u),
    "squared_error": lambda t, u: 2 * (u - t),
}
#: The mean loss by scikit-learn, from target and output.
METRICS = {
    "absolute_error": lambda t, y: metrics.mean_absolute_error(t, y),
    "cross_entropy": lambda t, y: metrics.log_loss(t.argmax(axis=1), y, labels=range(N_FEATURES)),
    "huber": lambda t, y: metrics.mean_squared_error(t, y) / 2,
    "log_loss": lambda t, y: metrics.log_loss(t.ravel(), y.ravel()),
    "multinomial": lambda t, y: metrics.mean_poisson_deviance(t.ravel(), y.ravel()) / 2,
    "poisson": lambda t, y: metrics.mean_poisson_deviance(t.ravel(), y.ravel()) / 2,
    "squared_error": lambda t, y: metrics.mean_squared_error(t, y),
}


def targets_of(name) -> np.ndarray:
    rng = np.random.default_rng(1)
    if name == "log_loss":
        return rng.integers(0, 2, size=(N_SAMPLES, N_FEATURES)).astype(float)
    if name in ("multinomial", "poisson"):
        return rng.poisson(2, size=(N_SAMPLES, N_FEATURES)).astype(float)
    if name == "cross_entropy":
        return np.eye(N_FEATURES)[rng.integers(0, N_FEATURES, size=N_SAMPLES)]
    return rng.normal(scale=2, size=(N_SAMPLES, N_FEATURES))


@pytest.fixture
def linear_output() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=2, size=(N_SAMPLES, N_FEATURES))


def never(_):
    raise AssertionError("a loss depends on target and output alone")


def step_of(loss, target, linear_output, activation=None) -> Step:
    """Return a step with an output activation of the loss, by default the first, and NaN in all unused fields."""
    u = torch.as_tensor(linear_output, dtype=torch.float64)
    output = loss.output(activation or loss.output_activations[0], u.shape[1]).double()
    if activation == "clip":
        output.set_range(torch.full((u.shape[1],), -1.0), torch.full((u.shape[1],), 1.5))
    nothing = torch.full((len(u), 2), torch.nan, dtype=torch.float64)
    target = torch.as_tensor(target, dtype=torch.float64)
    return Step(
        target=target,
        input=torch.full_like(u, torch.nan),
        preactivation=nothing,
        code=nothing,
        linear_output=u,
        output=output.reconstruct(u, target),
        encode=never,
        decode=never,
        activate=never,
        encoder_matrix=None,
        decoder_matrix=None,
    )


def log_likelihood(loss, target, linear_output) -> np.ndarray:
    step = step_of(loss, target, linear_output)
    return -(loss.entries(step) + loss.log_partition(step.target)).numpy()


def test_every_loss_has_a_formula_here():
    assert set(LOSSES) == set(FORMULAS) == set(SLOPES) == set(METRICS)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_entries_are_those_of_the_formula(name, linear_output):
    loss, targets = LOSSES[name](), targets_of(name)
    entries = loss.entries(step_of(loss, targets, linear_output)).numpy()
    np.testing.assert_allclose(entries, FORMULAS[name](targets, linear_output), rtol=1e-12, atol=1e-15)
    assert entries.shape == (N_SAMPLES, loss.n_entries(N_FEATURES))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_loss_is_the_mean_of_its_entries(name, linear_output):
    loss = LOSSES[name]()
    step = step_of(loss, targets_of(name), linear_output)
    assert loss(step).ndim == 0
    assert float(loss(step)) == pytest.approx(float(loss.entries(step).mean()), rel=1e-14)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_loss_is_that_of_scikit_learn(name, linear_output):
    loss = Huber(1e3) if name == "huber" else LOSSES[name]()
    step = step_of(loss, targets_of(name), linear_output)
    expected = METRICS[name](step.target.numpy(), step.output.numpy())
    assert float(loss(step)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("activation", ["identity", "clip", "sigmoid"])
def test_squared_error_is_that_of_scikit_learn_on_every_output(activation, linear_output):
    step = step_of(SquaredError(), targets_of("squared_error"), linear_output, activation)
    expected = metrics.mean_squared_error(step.target, step.output)
    assert float(SquaredError()(step)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_gradient_is_that_of_the_formula(name, linear_output):
    loss, targets = LOSSES[name](), targets_of(name)
    u = torch.from_numpy(linear_output.copy()).requires_grad_()
    loss(step_of(loss, targets, u)).backward()
    expected = SLOPES[name](targets, linear_output) / (N_SAMPLES * loss.n_entries(N_FEATURES))
    np.testing.assert_allclose(u.grad.numpy(), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "activation"),
    [(name, activation) for name in LOSS_NAMES for activation in LOSSES[name].output_activations],
)
def test_gradient_is_that_of_differences_through_every_output(name, activation, linear_output):
    loss, targets = LOSSES[name](), targets_of(name)
    u = torch.from_numpy(linear_output).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: loss.entries(step_of(loss, targets, u, activation)), u)


@pytest.mark.parametrize("delta", [0.3, 1.0, 2.5])
def test_huber_bends_at_delta(delta, linear_output):
    targets = targets_of("huber")
    entries = Huber(delta).entries(step_of(Huber(delta), targets, linear_output)).numpy()
    np.testing.assert_allclose(entries, huber(delta, targets - linear_output), rtol=1e-13)


def test_log_loss_of_targets_between_is_cross_entropy(linear_output):
    fractions = np.random.default_rng(2).uniform(size=linear_output.shape)
    entries = LogLoss().entries(step_of(LogLoss(), fractions, linear_output)).numpy()
    np.testing.assert_allclose(entries, FORMULAS["log_loss"](fractions, linear_output), rtol=1e-12)


def test_cross_entropy_of_fractions_is_its_formula(linear_output):
    fractions = np.random.default_rng(2).dirichlet(np.ones(N_FEATURES), size=N_SAMPLES)
    entries = CrossEntropy().entries(step_of(CrossEntropy(), fractions, linear_output)).numpy()
    np.testing.assert_allclose(entries, FORMULAS["cross_entropy"](fractions, linear_output), rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "target", "best"),
    [
        (LogLoss(), np.array([[0.2, 0.7]]), logit([[0.2, 0.7]])),
        (Poisson(), np.array([[0.5, 3.0]]), np.log(np.expm1([[0.5, 3.0]]))),
        (CrossEntropy(), np.array([[0.2, 0.8]]), np.log([[0.2, 0.8]])),
        (Multinomial(), np.array([[2.0, 8.0]]), np.log([[0.2, 0.8]]) / ScaledSoftmax.unit),
        (Huber(), np.array([[-1.0, 2.0]]), np.array([[-1.0, 2.0]])),
    ],
)
def test_loss_is_minimal_if_the_output_is_the_target(loss, target, best):
    u = torch.from_numpy(best).requires_grad_()
    loss(step_of(loss, target, u)).backward()
    np.testing.assert_allclose(u.grad.numpy(), 0, atol=1e-15)


def test_poisson_deviance_is_zero_if_the_output_is_the_count():
    counts = np.array([[1.0, 2.0, 30.0]])
    np.testing.assert_allclose(Poisson().entries(step_of(Poisson(), counts, np.log(np.expm1(counts)))), 0, atol=1e-13)


@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_log_loss_is_exact_at_logits_that_saturate(target):
    step = step_of(LogLoss(), np.full((2, 1), target), [[1000.0], [-1000.0]])
    assert float(LogLoss()(step)) == 500.0


def test_cross_entropy_is_exact_at_logits_that_saturate():
    step = step_of(CrossEntropy(), [[0.0, 1.0]], [[1000.0, -1000.0]])
    assert float(CrossEntropy()(step)) == 2000.0


@pytest.mark.parametrize("u", [-25.0, -40.0, -1000.0])
def test_poisson_keeps_its_gradient_at_rates_that_vanish(u):
    """For these u softplus is the exponential: -x log(rate) is -x u."""
    linear_output = torch.tensor([[u]], dtype=torch.float64, requires_grad=True)
    loss = Poisson()(step_of(Poisson(), [[3.0]], linear_output))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(3 * np.log(3) - 3 * u - 3, rel=1e-9)
    assert float(linear_output.grad) == pytest.approx(-3, rel=1e-9)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_repeated_samples_do_not_change_the_mean(name, linear_output):
    loss, targets = LOSSES[name](), targets_of(name)
    once = loss(step_of(loss, targets, linear_output))
    twice = loss(step_of(loss, np.tile(targets, (2, 1)), np.tile(linear_output, (2, 1))))
    assert float(once) == pytest.approx(float(twice), rel=1e-14)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_loss_is_finite_at_the_ends_of_its_outputs_range(name, linear_output):
    loss = LOSSES[name]()
    for end in loss.output(loss.output_activations[0], N_FEATURES).data_range:
        target = np.full_like(linear_output, np.clip(end, -1e3, 1e3))
        assert np.isfinite(float(loss(step_of(loss, target, linear_output))))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_log_partition_has_the_shape_of_the_entries(name, linear_output):
    loss = LOSSES[name]()
    step = step_of(loss, targets_of(name), linear_output)
    assert loss.log_partition(step.target).shape == loss.entries(step).shape


@pytest.mark.parametrize(
    ("loss", "kinks"),
    [
        (SquaredError(), []),
        (AbsoluteError(), []),
        (Huber(0.3), [0.3]),
        (Huber(1.0), [1.0]),
        (Huber(4.0), [4.0]),
    ],
)
def test_densities_integrate_to_one(loss, kinks):
    mean = 0.7

    def density(x):
        return np.exp(log_likelihood(loss, [[x]], [[mean]])).item()

    cuts = sorted([-np.inf, mean, np.inf, *(mean + side * kink for kink in kinks for side in (-1, 1))])
    total = sum(quad(density, low, high, epsabs=1e-11)[0] for low, high in pairwise(cuts))
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("u", [-3.0, 0.5, 20.0])
def test_poisson_is_the_distribution_of_counts(u):
    counts = np.arange(120.0)[:, None]
    logs = log_likelihood(Poisson(), counts, np.full_like(counts, u))
    np.testing.assert_allclose(logs, stats.poisson.logpmf(counts, softplus(u)), rtol=1e-9, atol=1e-11)
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-12)


def test_multinomial_is_the_distribution_of_counts_of_a_total(linear_output):
    counts = np.array([[i, j, k, 5 - i - j - k] for i in range(6) for j in range(6 - i) for k in range(6 - i - j)])
    for row in linear_output:
        repeated = np.tile(row, (len(counts), 1))
        logs = log_likelihood(Multinomial(), counts, repeated).sum(axis=1)
        np.testing.assert_allclose(logs, stats.multinomial.logpmf(counts, 5, shares(repeated)), rtol=1e-10)
        assert np.exp(logs).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("total", [0.0, 1e-3, 4e6])
@pytest.mark.parametrize("u", [0.0, 1e4])
def test_multinomial_and_its_gradient_are_finite(total, u):
    """The shares are equal, or all but the first underflow; in a sample of zeros all rates are 0."""
    linear_output = torch.tensor([[u, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = Multinomial()(step_of(Multinomial(), [[0.0, 0.0, total]], linear_output))
    loss.backward()
    log_share = ScaledSoftmax.unit * u if u else np.log(3)
    assert float(loss.detach()) == pytest.approx(total * log_share / 3, rel=1e-9)
    gradient = ScaledSoftmax.unit * total * (np.array([1, 0, 0]) if u else np.full(3, 1 / 3)) / 3
    gradient[2] -= ScaledSoftmax.unit * total / 3
    np.testing.assert_allclose(linear_output.grad[0], gradient, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("total", [0, -1.0, np.nan, np.inf])
def test_multinomial_requires_a_total_above_zero(total):
    with pytest.raises(ValueError, match=r"Multinomial\(total=.*\): total must be None or a number above 0"):
        Multinomial(total).check(CheckContext(4, 2, (0.0, 1.0), False, True))


@pytest.mark.parametrize("u", [-3.0, 0.0, 8.0])
def test_probabilities_of_zero_and_one_sum_to_one(u):
    logs = log_likelihood(LogLoss(), [[0.0], [1.0]], [[u], [u]])
    np.testing.assert_allclose(logs, stats.bernoulli.logpmf([[0], [1]], expit(u)), rtol=1e-9)
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-15)


def test_probabilities_of_categories_sum_to_one(linear_output):
    for row in linear_output:
        logs = log_likelihood(CrossEntropy(), np.eye(N_FEATURES), np.tile(row, (N_FEATURES, 1)))
        np.testing.assert_allclose(logs[:, 0], log_softmax(row), rtol=1e-13)
        assert np.exp(logs).sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("delta", [0.0, -1.0, np.nan])
def test_huber_requires_a_delta_above_zero(delta):
    with pytest.raises(ValueError, match=r"Huber\(delta=.*\): delta must be above 0"):
        Huber(delta).check(CheckContext(4, 2, (0.0, 1.0), False, True))


def test_output_activations_of_losses():
    limited = ("identity", "clip", "sigmoid")
    assert {name: LOSSES[name].output_activations for name in REALS} == dict.fromkeys(REALS, limited)
    assert LogLoss.output_activations == ("sigmoid",)
    assert Poisson.output_activations == ("softplus",)
    assert CrossEntropy.output_activations == ("softmax",)
    assert Multinomial.output_activations == ("scaled_softmax",)
    assert [name for name in LOSS_NAMES if LOSSES[name].allows_auto_clip] == REALS


def test_a_loss_for_all_columns_alike_is_returned_by_for_columns():
    loss = Huber(2.0)
    assert loss.for_columns(5, None) is loss


def test_the_base_class_raises(linear_output):
    step = step_of(SquaredError(), linear_output, linear_output)
    with pytest.raises(NotImplementedError):
        Loss()(step)
    with pytest.raises(NotImplementedError, match="Loss does not define a log-likelihood"):
        Loss().log_partition(step.target)


def test_clones_are_equal_with_copies_of_their_parts():
    mixed = Mixed([(Huber(2.0), [0, 1])], remainder=Poisson())
    copy = clone(mixed)
    assert copy == mixed
    assert copy.losses[0][0] is not mixed.losses[0][0]
    assert copy.remainder is not mixed.remainder


# Columns: a number, a binary, a category of three, a count.
NAMES = np.array(["size", "sold", "red", "green", "blue", "visits"], dtype=object)
TABLE = np.array([[0.3, 1, 0, 1, 0, 4], [-1.2, 0, 1, 0, 0, 0], [2.0, 1, 0, 0, 1, 7]])
LINEAR = np.random.default_rng(3).normal(size=TABLE.shape)


@pytest.fixture
def mixed() -> Mixed:
    parts = [("cross_entropy", ["red", "green", "blue"]), (LogLoss(), 1), ("poisson", -1)]
    return Mixed(parts).for_columns(6, NAMES)


def test_mixed_entries_are_those_of_its_losses_and_a_group_counts_once(mixed):
    t, u = TABLE, LINEAR
    parts = [("cross_entropy", slice(2, 5)), ("log_loss", [1]), ("poisson", [5]), ("squared_error", [0])]
    expected = np.concatenate([FORMULAS[name](t[:, columns], u[:, columns]) for name, columns in parts], axis=1)
    step = step_of(mixed, TABLE, LINEAR)
    np.testing.assert_allclose(mixed.entries(step).numpy(), expected, rtol=1e-13)
    assert mixed.n_entries(6) == 4
    assert float(mixed(step)) == pytest.approx(expected.sum() / (3 * 4), rel=1e-14)


def test_mixed_gradient_is_that_of_differences(mixed):
    u = torch.from_numpy(LINEAR.copy()).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: mixed.entries(step_of(mixed, TABLE, u)), u)


def test_mixed_output_gives_each_column_the_activation_of_its_loss(mixed):
    step = step_of(mixed, TABLE, LINEAR)
    size, sold, colour, visits = LINEAR[:, [0]], LINEAR[:, [1]], LINEAR[:, 2:5], LINEAR[:, [5]]
    expected = np.concatenate([size, expit(sold), softmax(colour, axis=1), softplus(visits)], axis=1)
    np.testing.assert_allclose(step.output.numpy(), expected, rtol=1e-13)
    output = mixed.output("by_columns", 6)
    assert output.unscaled.tolist() == [False, True, True, True, True, True]
    assert output.data_range[0].tolist() == [-np.inf, 0, 0, 0, 0, 0]
    assert output.data_range[1].tolist() == [np.inf, 1, 1, 1, 1, np.inf]


def test_mixed_likelihood_is_the_product_of_its_parts(mixed):
    logs = log_likelihood(mixed, TABLE, LINEAR).sum(axis=1)
    expected = (
        stats.norm.logpdf(TABLE[:, 0], LINEAR[:, 0], np.sqrt(0.5))
        + stats.bernoulli.logpmf(TABLE[:, 1], expit(LINEAR[:, 1]))
        + log_softmax(LINEAR[:, 2:5], axis=1)[TABLE[:, 2:5] == 1]
        + stats.poisson.logpmf(TABLE[:, 5], softplus(LINEAR[:, 5]))
    )
    np.testing.assert_allclose(logs, expected, rtol=1e-12)


def test_mixed_of_one_loss_is_that_loss(linear_output):
    targets, loss = targets_of("squared_error"), Mixed().for_columns(N_FEATURES, None)
    step = step_of(loss, targets, linear_output)
    assert float(loss(step)) == pytest.approx(metrics.mean_squared_error(targets, linear_output), rel=1e-14)


@pytest.mark.parametrize(
    "columns",
    [
        ["red", "green", "blue"],
        ("red", "green", "blue"),
        NAMES[2:5],
        [2, 3, 4],
        (2, 3, 4),
        np.arange(2, 5),
        [-4, -3, -2],
        ["red", 3, -2],
        slice(2, 5),
        slice(-4, -1),
    ],
    ids=str,
)
def test_columns_by_name_index_and_slice_are_the_same(columns):
    parts = Mixed([("cross_entropy", columns)]).for_columns(6, NAMES)
    assert parts == Mixed([(CrossEntropy(), [2, 3, 4]), (SquaredError(), [0, 1, 5])])


@pytest.mark.parametrize(
    "column",
    ["sold", 1, -5, np.int64(1), ["sold"], [1], slice(1, 2)],
    ids=lambda column: f"{type(column).__name__} {column!r}",
)
def test_one_column_needs_no_list(column):
    assert Mixed([("log_loss", column)]).for_columns(6, NAMES).losses[0] == (LogLoss(), [1])


def test_for_columns_returns_a_plain_mixed_and_is_idempotent(mixed):
    assert type(mixed) is Mixed
    assert all(isinstance(loss, Loss) for loss, _ in mixed.losses)
    columns = [i for _, part in mixed.losses for i in part]
    assert all(type(i) is int for i in columns)
    assert sorted(columns) == list(range(6))
    assert mixed.for_columns(6, NAMES) == mixed == clone(mixed)


class ByName(SquaredError):
    """A squared error that keeps the names of its columns."""

    def __init__(self, names=()):
        self.names = names

    def for_columns(self, n_features, names):
        assert len(names) == n_features
        return ByName([str(name) for name in names])


def test_a_part_gets_the_names_of_its_own_columns():
    losses = Mixed([(ByName(), ["visits", "size"])], remainder=ByName()).for_columns(6, NAMES).losses
    assert [loss.names for loss, _ in losses] == [["visits", "size"], ["sold", "red", "green", "blue"]]


def test_for_columns_does_not_change_the_parameters():
    parts = [("log_loss", ["sold"])]
    loss = Mixed(parts, remainder="huber")
    loss.for_columns(6, NAMES)
    assert loss.get_params() == {"losses": [("log_loss", ["sold"])], "remainder": "huber"}
    assert loss.losses is parts


def test_remainder_has_all_other_columns():
    of_rest = Mixed([("log_loss", 1)], remainder=Huber(0.5)).for_columns(6, NAMES)
    assert of_rest.losses[1:] == [(Huber(0.5), [0, 2, 3, 4, 5])]
    of_none = Mixed([("huber", slice(None))], remainder="poisson").for_columns(6, NAMES)
    assert of_none.losses == [(Huber(), [0, 1, 2, 3, 4, 5])]


@pytest.mark.parametrize("none", [[], (), slice(6, None)], ids=repr)
def test_a_loss_of_no_columns_is_left_out(none):
    assert Mixed([("log_loss", none)]).for_columns(6, NAMES) == Mixed().for_columns(6, NAMES)
    assert Mixed([("log_loss", slice(None))]).for_columns(2, None).losses == [(LogLoss(), [0, 1])]


@pytest.mark.parametrize(
    ("losses", "names", "message"),
    [
        ([("log_loss", "cost")], NAMES, "Mixed names the column 'cost', but X has 6 columns and the names"),
        ([("log_loss", "sold")], None, "'sold', but X has 6 columns and no names: pass a DataFrame, or indices"),
        ([("log_loss", 6)], NAMES, "the column 6, but X has 6 columns"),
        ([("log_loss", [0, -7])], None, "the column -7, but X has 6 columns"),
        ([("log_loss", [1, "sold"])], NAMES, r"names columns \[1\] more than once"),
        ([("log_loss", [1, 2]), ("poisson", slice(2, None))], None, r"names columns \[2\] more than once"),
        (
            [("log_los", 1)],
            NAMES,
            "Mixed contains the loss 'log_los'; choose one of .*'squared_error'.* or an instance of Loss",
        ),
        ([(3, 1)], NAMES, "Mixed contains the loss 3; choose one of"),
        ([(Mixed(), 1)], NAMES, r"Mixed contains the loss Mixed\(\); list the losses of both"),
        ([("log_loss", 1.5)], NAMES, "the column 1.5"),
        ([("log_loss", None)], NAMES, "the column None"),
        ([("log_loss", np.arange(6) == 1)], NAMES, "the column (np.)?False"),
    ],
)
def test_mixed_rejects_losses_and_columns_it_cannot_assign(losses, names, message):
    with pytest.raises(ValueError, match=message):
        Mixed(losses).for_columns(6, names)


class OfObserved(SquaredError):
    output_activations = ("clip",)

    def entries(self, step):
        error = (step.output - step.target).abs()
        return error if step.observed is None else error * step.observed


def test_parts_of_mixed_receive_the_observed_entries_and_the_range_of_their_columns():
    X = np.sign(np.random.default_rng(0).normal(size=(40, 4)))
    loss = Mixed([(OfObserved(), [1, 3])])
    model = quick(2, loss=loss).fit(X)
    assert np.abs(model.inverse_transform(5 * model.transform(X))[:, [1, 3]]).max() < 1 + 1e-5
    X[0, 1] = np.nan
    quick(2, loss=loss, missing="mask").fit(X)


def test_mixed_rejects_an_unknown_remainder():
    with pytest.raises(ValueError, match=r"'huver'.*choose one of"):
        Mixed([("log_loss", 1)], remainder="huver").for_columns(6, NAMES)


def test_mixed_checks_its_parts():
    mixed = Mixed([(Huber(-1.0), 0)]).for_columns(2, None)
    with pytest.raises(ValueError, match=r"Huber\(delta=-1.0\): delta must be above 0"):
        mixed.check(CheckContext(2, 1, (0.0, 1.0), False, True))
