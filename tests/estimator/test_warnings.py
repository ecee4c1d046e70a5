"""Warnings are raised if the user should do something, and only then."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.losses import Mixed


def quiet_fit(X, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return AutoencoderTransformer(random_state=0, **params).fit(X)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:300]


def test_training_cut_short_by_max_epochs_warns(digits):
    with pytest.warns(
        ConvergenceWarning, match="Training stopped at max_epochs=4 while it was still improving"
    ) as caught:
        AutoencoderTransformer(random_state=0, max_epochs=4, lr_schedule="constant").fit(digits)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("params", [{"max_epochs": 0}, {"max_epochs": 4}, {}, {"lr_schedule": "constant"}])
def test_training_that_ended_as_planned_is_quiet(digits, params):
    model = quiet_fit(digits, **params)
    assert params.get("lr_schedule") != "constant" or model.n_iter_ < 200


def test_training_that_stopped_improving_long_before_its_end_is_quiet():
    X = np.random.default_rng(0).normal(size=(60, 5))
    model = quiet_fit(X, hidden_layer_sizes=(256,), max_epochs=15, lr_schedule="constant", lr=6e-3)
    assert model.best_epoch_ < 0.9 * model.n_iter_ == 13.5


def test_columns_of_very_different_ranges_are_named():
    X = pd.DataFrame({"small": [0.001, 0.002, 0.0015] * 9, "large": [1.0, 2.0, 3.0] * 9, "constant": [5.0] * 27})
    with pytest.warns(UserWarning, match=r"'small' and 2 in column 'large'.*StandardScaler") as caught:
        AutoencoderTransformer(1, random_state=0, max_epochs=0).fit(X)
    assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize("kind", ["below the threshold", "sparse", "unscaled"])
def test_ranges_that_do_not_matter_do_not_warn(kind):
    X = load_iris().data
    X = X * ([1, 1, 1, 300] if kind == "below the threshold" else [1, 1, 1, 3000])
    if kind == "unscaled":
        X = np.column_stack([X[:, 3], X[:, 0] > 5])
    loss = Mixed([("log_loss", [1])]) if kind == "unscaled" else "squared_error"
    quiet_fit(csr_array(X) if kind == "sparse" else X, loss=loss, max_epochs=0)
