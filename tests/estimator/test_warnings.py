"""Warnings are raised if the user should do something, and only then."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.losses import Mixed
from sklearn_ae.networks import ConvAutoencoder


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
    model = quiet_fit(X, hidden_layer_sizes=(256,), max_epochs=15, lr_schedule="constant", lr=1e-3)
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


WIDE = [{}, {"ordered": True}, {"hidden_layer_sizes": ()}, {"module": ConvAutoencoder, "n_components": 6}]


@pytest.mark.parametrize("params", WIDE, ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_identity_code_wider_than_the_data_warns(method, params):
    params = {"n_components": 5, "random_state": 0, "max_epochs": 0} | params
    X = load_iris().data
    with pytest.warns(UserWarning, match=rf"n_components={params['n_components']} .* the 4 features") as caught:
        getattr(AutoencoderTransformer(**params), method)(X)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "params",
    [
        {"n_components": 4},
        {"code": "relu"},
        {"code": "top_k"},
        {"code": "gaussian"},
        {"code_dropout": 0.2},
        {"penalty": "contractive"},
        {"corruption": 0.2},
        {"missing": "mask"},
    ],
    ids=str,
)
def test_a_code_that_cannot_copy_the_data_is_quiet(params):
    quiet_fit(load_iris().data, **{"n_components": 5, "max_epochs": 0} | params)


@pytest.mark.parametrize(
    "as_target", [np.array, pd.DataFrame, csr_array, torch.tensor, list], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_a_target_of_the_shape_of_the_data_warns(method, as_target):
    X = load_iris().data
    with pytest.warns(UserWarning, match="y has the shape of X, but it is ignored: .* corruption=") as caught:
        getattr(AutoencoderTransformer(random_state=0, max_epochs=0), method)(X + 1, as_target(X))
    assert len(caught) == 1
    assert method == "fit_transform" or caught[0].filename == __file__


@pytest.mark.parametrize("target", [None, "X", "classes", "columns", "list", "ragged", "object"])
def test_other_targets_are_quiet(target):
    X, classes = load_iris(return_X_y=True)
    y = {None: None, "X": X, "classes": classes, "columns": X[:, :2], "list": list(classes)} | {
        "ragged": [[0.0] * (1 + i % 2) for i in range(len(X))],
        "object": object(),
    }
    y = y[target]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AutoencoderTransformer(random_state=0, max_epochs=0).fit(X, y).partial_fit(X, y)


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
