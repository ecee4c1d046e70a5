"""The learning rule: rates by fan-in, the schedule, the limit on the gradient, and what "auto" means."""

from math import ceil
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import load_digits, load_iris
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.training_rows import n_batches
from sklearn_ae._training.optimizers import LearningRule, parameter_groups

DIGITS = load_digits().data


class Steps(Callback):
    """Records the rates and the norm of the gradient of each step."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.rates, self.norms = [], []

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        self.rates.append([group["lr"] for group in net.optimizer_.param_groups])
        gradients = [weight.grad for weight in net.module_.parameters()]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))


def fitted(X: np.ndarray = DIGITS, k: int = 8, **params: Any) -> tuple[AutoencoderTransformer, Steps]:
    steps = Steps()
    return AutoencoderTransformer(k, random_state=0, callbacks=[steps], **params).fit(X), steps


def test_the_rate_of_a_matrix_falls_with_its_fan_in():
    weights = [torch.zeros(shape) for shape in [(5, 640), (5,), (640, 5), (7, 64), (3, 4, 10, 16), (5, 16)]]
    groups = parameter_groups(weights, lr=0.5, fan_in=64)
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    wide, narrow = 0.5 * 0.1**0.75, 0.5 * 4**0.75
    assert [rates[id(weight)] for weight in weights] == pytest.approx([wide, 8.0, 0.5 * 12.8**0.75, 0.5, wide, narrow])


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_trains_wide_layers_at_lower_rates(optimizer):
    model, _ = fitted(optimizer=optimizer, lr=0.01, lr_schedule="constant", max_epochs=1, hidden_layer_sizes=(256,))
    rates = {weight.shape: group["lr"] for group in model.net_.optimizer_.param_groups for weight in group["params"]}
    assert rates[8,] == 0.16
    assert rates[256, 8] == pytest.approx(0.01 * 8**0.75)
    assert rates[256, 64] == 0.01
    assert rates[64, 256] == rates[8, 256] == pytest.approx(0.01 * 4**-0.75)


@pytest.mark.parametrize("optimizer", ["sgd", torch.optim.AdamW])
def test_other_optimizers_have_one_rate(optimizer):
    model, _ = fitted(optimizer=optimizer, lr=0.01, lr_schedule="constant", max_epochs=1, hidden_layer_sizes=(256,))
    assert [group["lr"] for group in model.net_.optimizer_.param_groups] == [0.01]


def test_the_linear_schedule_rises_falls_to_zero_and_ends_at_the_last_epoch():
    model, steps = fitted(max_epochs=30, lr=0.02, tol=10.0)
    rates = np.max(steps.rates, axis=1) / LearningRule().greatest_ratio
    n_steps = len(rates)
    assert model.n_iter_ == 30
    assert n_steps == 30 * ceil(1617 / 128)
    peak = int(rates.argmax())
    warm_up = LearningRule().warm_up
    assert peak == pytest.approx(warm_up * n_steps, abs=1)
    assert rates[peak] == pytest.approx(0.02 * (1 - warm_up), rel=0.01)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] == pytest.approx(0.02 / n_steps, rel=0.01)


@pytest.mark.parametrize("params", [{"lr_schedule": "constant"}, {"n_iter_no_change": 3}])
def test_patience_belongs_to_the_constant_schedule_and_to_whoever_sets_it(params):
    model, _ = fitted(load_iris().data, 2, tol=10.0, max_epochs=40, **params)
    assert model.n_iter_ == params.get("n_iter_no_change", 20)


def test_gradients_are_limited():
    X = np.random.default_rng(0).standard_t(1.5, size=(500, 5))
    _, steps = fitted(X, 2, max_epochs=5)
    limit = LearningRule().gradient_norm
    assert max(steps.norms) == pytest.approx(limit, rel=1e-4)
    assert min(steps.norms) < limit


@pytest.mark.parametrize(("n_samples", "batch_size"), [(60, 32), (1437, 128), (2500, 256), (65, 64)])
def test_automatic_epochs_take_a_number_of_steps(n_samples, batch_size):
    rule = LearningRule()
    n_steps = rule.n_epochs(n_samples, batch_size) * n_batches(n_samples, batch_size)
    assert n_steps == pytest.approx(800, rel=0.05)


def test_automatic_epochs_grow_slowly_with_the_number_of_samples():
    rule = LearningRule()
    assert 16 <= rule.n_epochs(54_000, 256) <= 20
    assert 2 <= rule.n_epochs(900_000, 256) <= 5
    assert rule.n_epochs(10**9, 256) == 1
    assert LearningRule(growth=0.0).n_epochs(54_000, 256) == 4
    model, steps = fitted(load_iris().data, 2)
    assert len(steps.rates) == pytest.approx(800, rel=0.01)
    assert model.n_iter_ == len(steps.rates) / ceil(135 / 32)


def test_the_automatic_rate_suits_what_is_trained():
    rule = LearningRule()
    model, steps = fitted(max_epochs=20)
    assert model.net_.lr == rule.lr
    assert np.max(steps.rates) == pytest.approx((1 - rule.warm_up) * rule.greatest_ratio * rule.lr, rel=0.01)
    assert fitted(max_epochs=1, lr_schedule="constant")[0].net_.lr == rule.constant_lr
    assert model.set_params(warm_start=True).fit(DIGITS).net_.lr == rule.constant_lr
    assert AutoencoderTransformer(8).partial_fit(DIGITS).net_.lr == rule.constant_lr
    assert model.set_params(lr=0.5).partial_fit(DIGITS).net_.lr == 0.5


def test_a_warm_start_does_not_lose_what_was_gained():
    model = AutoencoderTransformer(8, random_state=0, warm_start=True).fit(DIGITS)
    before = model.score(DIGITS)
    first = model.set_params(max_epochs=3).fit(DIGITS).validation_scores_
    assert min(first[1:]) > first[0] - 0.02
    assert model.score(DIGITS) > before - 0.01


def test_tolerance_is_relative_to_the_objective():
    """A curve that PCA explains to R² 0.9997 is trained as long as the same curve in fewer digits."""
    t = np.linspace(-1, 1, 400)[:, None]
    bend = np.hstack([t, t**2 - 1 / 3, t**3 - 0.6 * t])
    smooth = bend * [1, 0.02, 0.02]
    settings = {"lr_schedule": "constant", "n_iter_no_change": 5, "tol": 1e-2, "hidden_layer_sizes": (32,)}
    model, _ = fitted(smooth, 1, **settings)
    assert model.validation_scores_[0] > 0.999
    assert model.n_iter_ > 10
    assert 1 - model.score(smooth) < 0.5 * (1 - model.validation_scores_[0])


def test_width_alone_changes_little():
    """Data whose columns are each repeated ten times reaches the R² of the data."""
    test = np.arange(len(DIGITS)) % 5 == 0
    wide = np.repeat(DIGITS, 10, axis=1)
    scores = [fitted(X[~test])[0].score(X[test]) for X in (DIGITS, wide)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


@pytest.mark.parametrize("other", [np.float32, sp.csr_array], ids=["float32", "CSR"])
def test_the_same_numbers_in_another_form_give_the_same_model(other):
    settings = {"max_epochs": 20, "random_state": 0, "output_activation": "identity"}
    model = AutoencoderTransformer(8, **settings).fit(DIGITS)
    same = AutoencoderTransformer(8, **settings).fit(other(DIGITS))
    assert model.best_epoch_ > 10
    assert np.abs(model.components_ - same.components_).max() < 1e-3
    assert model.score(DIGITS) == pytest.approx(same.score(DIGITS), abs=1e-4)
