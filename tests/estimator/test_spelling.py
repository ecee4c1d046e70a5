"""Near misses are accepted where they have one meaning; otherwise the message says what to pass."""

import os
import subprocess
import sys
from numbers import Real
from typing import ClassVar

import numpy as np
import pytest
import torch
from helpers import quick
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback, EpochTimer
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._training.optimizers import LearningRule
from sklearn_ae._utils.compat import Interval
from sklearn_ae.codes import Gaussian, TopK
from sklearn_ae.corruptions import Masking
from sklearn_ae.losses import Huber, SquaredError
from sklearn_ae.penalties import L1


@pytest.mark.parametrize(
    ("params", "advice"),
    [
        ({"loss": "mse"}, "Did you mean 'squared_error'?"),
        ({"loss": "mean-squared-error"}, "Did you mean 'squared_error'?"),
        ({"loss": "MAE"}, "Did you mean 'absolute_error'?"),
        ({"loss": "binary_crossentropy"}, "Did you mean 'log_loss'?"),
        ({"loss": "Huber"}, "Did you mean 'huber'?"),
        ({"loss": SquaredError}, "Pass an instance, such as SquaredError()"),
        ({"loss": Huber}, "Pass an instance, such as Huber()"),
        ({"optimizer": "Adam"}, "Did you mean 'adam'?"),
        ({"optimizer": "SGD"}, "Did you mean 'sgd'?"),
        ({"optimizer": "adam_w"}, "Did you mean 'adamw'?"),
        (
            {"optimizer": torch.optim.SGD([torch.zeros(1, requires_grad=True)])},
            "Pass the class, SGD, without arguments",
        ),
        ({"code": "vae"}, "Did you mean 'gaussian'?"),
        ({"code": "TopK"}, "Did you mean 'top_k'?"),
        ({"code": "winner-take-all"}, "Did you mean 'winner_take_all'?"),
        ({"code": TopK}, "Pass an instance, such as TopK()"),
        ({"code": Gaussian}, "Pass an instance, such as Gaussian()"),
        ({"activation": "swish"}, "Did you mean 'silu'?"),
        ({"activation": "LeakyReLU"}, "Did you mean 'leaky_relu'?"),
        ({"activation": nn.ReLU()}, "Pass the class, ReLU, without arguments"),
        ({"activation": nn.ELU(0.5)}, "Pass the class, ELU, without arguments"),
        ({"penalty": L1}, "Pass an instance, such as L1()"),
        ({"penalty": "l2"}, "For a penalty on the weights set weight_decay"),
        ({"corruption": Masking}, "Pass an instance, such as Masking()"),
        ({"corruption": "gaussian"}, "Did you mean 'gaussian_noise'?"),
        ({"lr_schedule": "cosine_annealing"}, "Did you mean 'cosine'?"),
        ({"precision": "bf16"}, "Did you mean 'bfloat16'?"),
        ({"init": "PCA"}, "Did you mean 'pca'?"),
        ({"validation_fraction": 0}, "To train on all samples set early_stopping=False"),
        ({"validation_fraction": 0.0}, "To train on all samples set early_stopping=False"),
        ({"lr": 0.0}, "To keep the initialization set max_epochs=0"),
    ],
)
def test_the_message_about_a_near_miss_says_what_to_pass(small, params, advice):
    for method in (quick(**params).fit, quick(**params).partial_fit):
        with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of Auto.* must be ") as error:
            method(small)
        assert str(error.value).endswith(f"instead. {advice}")


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "banana"},
        {"loss": nn.MSELoss()},
        {"code": nn.ReLU()},
        {"code": 3},
        {"lr": -1},
        {"validation_fraction": 2},
        {"tol": "a"},
    ],
)
def test_other_values_have_no_advice(small, params):
    with pytest.raises(ValueError, match=r"instead\.$"):
        quick(**params).fit(small)


class Tempered(AutoencoderTransformer):
    """A subclass with a parameter of its own."""

    _parameter_constraints: ClassVar = AutoencoderTransformer._parameter_constraints | {
        "gamma": [Interval(Real, 0, 1, closed="both")]
    }

    def __init__(self, gamma=0.5):
        super().__init__()
        self.gamma = gamma


def test_a_parameter_of_a_subclass_is_validated(small):
    with pytest.raises(ValueError, match="The 'gamma' parameter of Tempered must be"):
        Tempered(gamma=2).fit(small)


def test_messages_list_options_in_order():
    code = (
        "from sklearn_ae import AutoencoderTransformer\n"
        "for params in ({'loss': 3}, {'activation': 3}, {'optimizer': 3}, {'init': 3}, {'penalty': 3}):\n"
        "    try: AutoencoderTransformer(**params).fit([[1, 2], [3, 4]])\n"
        "    except ValueError as error: print(error)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(printed) == 1
    assert b"{'absolute_error', 'cross_entropy', 'huber'" in printed.pop()


@pytest.mark.parametrize("activation", ["elu", "leaky_relu"])
def test_an_activation_by_name_is_torchs(small, activation):
    given = {"elu": nn.ELU, "leaky_relu": nn.LeakyReLU}[activation]
    named, own = quick(activation=activation).fit(small), quick(activation=given).fit(small)
    assert any(isinstance(layer, given) for layer in named.module_.modules())
    assert_array_equal(named.transform(small), own.transform(small))


def test_variational_is_another_name_of_gaussian(small):
    named, other = (quick(code=code).fit(small).partial_fit(small) for code in ("variational", "gaussian"))
    assert hasattr(quick(code="variational"), "elbo")
    assert_array_equal(named.transform(small), other.transform(small))
    assert named.elbo(small, random_state=0) == other.elbo(small, random_state=0)
    assert named.sample(2, random_state=0).shape == (2, 8)


class Count(Callback):
    """Counts epochs."""

    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


@pytest.mark.parametrize("container", [None, "pair", list, tuple])
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_a_single_callback_needs_no_list(small, container, begin):
    count = Count()
    callbacks = {None: count, "pair": ("count", count), list: [count], tuple: (count,)}[container]
    getattr(quick(callbacks=callbacks), begin)(small)
    assert count.n_epochs == (3 if begin == "fit" else 1)


@pytest.mark.parametrize("callbacks", ["timer", 3, [3], ["timer"], ("timer", 3), [("timer", EpochTimer(), 1)]])
def test_what_is_no_callback_is_refused(small, callbacks):
    with pytest.raises((TypeError, ValueError), match="callbacks"):
        quick(callbacks=callbacks).fit(small)


@pytest.mark.parametrize("shape", [(20, 4, 4), (20, 2, 2, 3), (20, 3, 3)])
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, torch.from_numpy])
def test_images_that_are_not_rows_are_refused_with_the_way_to_flatten_them(shape, container):
    images = np.random.default_rng(0).normal(size=shape)
    fitted = quick().fit(images.reshape(20, -1))
    for method in (quick().fit, quick().partial_fit, fitted.transform, fitted.score):
        with pytest.raises(ValueError, match=r"one row, X\.reshape\(len\(X\), -1\)\."):
            method(container(images))


@pytest.mark.parametrize(
    ("method", "remedy"),
    [
        ("truncate", "fit with ordered=True"),
        ("reconstruction_curve", "fit with ordered=True"),
        ("impute", "fit with missing='mask'"),
        ("sample", "fit with code='gaussian'"),
        ("elbo", "fit with code='gaussian'"),
    ],
)
def test_a_method_of_another_configuration_says_how_to_get_it(small, method, remedy):
    for estimator in (quick(), quick().fit(small)):
        assert not hasattr(estimator, method)
        with pytest.raises(AttributeError, match=f"'AutoencoderTransformer' has no attribute '{method}': .*{remedy}"):
            getattr(estimator, method)


class Rates(Callback):
    """Records the rate of each step."""

    def initialize(self):
        self.rates = []
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])


def test_the_cosine_schedule_warms_up_and_falls_along_half_a_cosine(small):
    rates = Rates()
    settings = {"lr_schedule": "cosine", "lr": 1e-2, "batch_size": 10, "callbacks": rates, "early_stopping": False}
    model = AutoencoderTransformer(max_epochs=25, random_state=0, **settings).fit(small)
    n_steps, rates = len(rates.rates), np.array(rates.rates)
    assert n_steps == 25 * 8
    done = np.arange(n_steps) / n_steps
    expected = np.minimum(1, (done + 1 / n_steps) / LearningRule().warm_up) * (1 + np.cos(np.pi * done)) / 2
    np.testing.assert_allclose(rates / rates.max(), expected / expected.max(), rtol=1e-6)
    assert model.n_iter_ == 25
    linear = AutoencoderTransformer(max_epochs=25, random_state=0, **settings | {"lr_schedule": "linear"}).fit(small)
    assert not np.array_equal(linear.loss_curve_, model.loss_curve_)
    assert (
        AutoencoderTransformer(random_state=0, **settings).fit(small).n_iter_
        == linear.set_params(max_epochs="auto").fit(small).n_iter_
    )
