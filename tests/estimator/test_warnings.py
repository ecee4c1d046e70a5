"""Warnings are raised if the user should do something, and only then."""

import re
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


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("sizes", "encoder", "code"),
    [((64, 8, 64), (64,), 8), ([9, 5, 2, 5, 9], (9, 5), 2), (np.array([30, 10, 20]), (30,), 10)],
)
def test_layers_that_narrow_and_widen_again_are_mirrored_with_a_warning(digits, sizes, encoder, code, begin):
    advice = f"pass hidden_layer_sizes={encoder} and n_components={code}."
    model = AutoencoderTransformer(hidden_layer_sizes=sizes, max_epochs=0, random_state=0)
    with pytest.warns(UserWarning, match=re.escape(advice)) as caught:
        getattr(model, begin)(digits[:40])
    assert [one.filename for one in caught] == [__file__]
    widths = [layer.out_features for layer in model.module_.network.decoder_hidden if hasattr(layer, "out_features")]
    assert widths[:-1] == list(sizes)[::-1]


@pytest.mark.parametrize("sizes", [(), (8,), 8, (64, 32), (8, 64), (8, 64, 8), (16, 16, 16), "auto"])
def test_layers_that_do_not_narrow_and_widen_are_quiet(digits, sizes):
    quiet_fit(digits[:40], hidden_layer_sizes=sizes, max_epochs=0)
