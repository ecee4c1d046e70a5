"""Fits that keep their start: they say so, and PCA that is kept is PCA of all samples."""

import pickle
import warnings

import numpy as np
import pytest
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer

K = 4
RUINOUS = {"lr": 10.0, "max_epochs": 2}
NOTHING_GAINED = "Training for 2 epochs did not improve on"


@pytest.fixture(scope="module")
def wide():
    """Return 60 samples of 400 nonnegative features, half of them zero, with distinct variances."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(60, 8)) * 1.5 ** -np.arange(8)) @ rng.normal(size=(8, 400)) + 0.1 * rng.normal(size=(60, 400))
    return np.maximum(X, 0)


def fit_that_gains_nothing(X, given=None, message=NOTHING_GAINED, **params) -> AutoencoderTransformer:
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model = quick(K, **RUINOUS | params).fit(X, X_val=given)
    assert [one.filename for one in caught] == [__file__]
    assert (model.best_epoch_, model.n_iter_) == (0, 2)
    return model


def assert_is_pca(model: AutoencoderTransformer, X: np.ndarray, given=None, tolerance=1e-6) -> None:
    """Check that a fit is PCA of X, on X and on what it was given, up to signs and clipping."""
    pca, given = PCA(K, svd_solver="full").fit(X), X if given is None else given
    signs = np.sign((model.components_ * pca.components_).sum(axis=1))
    assert_allclose(signs[:, None] * model.components_, pca.components_, atol=tolerance)
    assert_allclose(model.mean_, pca.mean_, atol=tolerance)
    assert_allclose(model.explained_variance_, pca.explained_variance_, rtol=tolerance)
    codes = model.transform(given)
    largest = np.abs(X).max()
    assert_allclose(codes * signs, pca.transform(X), atol=tolerance * largest)
    expected = pca.inverse_transform(pca.transform(X))
    if model.module_.output.bounded:
        expected = expected.clip(X.min(axis=0), X.max(axis=0))
    else:
        assert_allclose(model.explained_variance_ratio_, pca.explained_variance_ratio_, atol=tolerance)
    assert_allclose(model.inverse_transform(codes), expected, atol=tolerance * largest)


@pytest.mark.parametrize("output", ["identity", "clip"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "float32", "stream"])
def test_pca_that_is_kept_is_pca_of_all_samples(wide, kind, output):
    X = wide.astype(np.float32) if kind == "float32" else wide
    given = {"sparse": csr_array(X), "stream": [X[:25], X[25:]]}.get(kind, X)
    with config_context(working_memory=0):
        model = fit_that_gains_nothing(given, message="the result is PCA of X", output_activation=output)
    assert_is_pca(model, X.astype(np.float64), X.astype(np.float64))
    assert_allclose(model.transform(X), model.transform(X.astype(np.float64)), atol=1e-4)


@pytest.mark.parametrize("params", [{}, {"early_stopping": False}, {"hidden_layer_sizes": ()}], ids=str)
def test_nothing_trained_is_pca_of_all_samples_without_a_warning(wide, digits, params):
    for X in (wide, wide.T, digits):
        assert_is_pca(quick(K, max_epochs=0, output_activation="identity", **params).fit(X), X)


def test_pca_that_is_kept_is_computed_in_float64(digits):
    """Axes and moments in float32 miss these bounds: close eigenvalues magnify their rounding."""
    noise = np.random.default_rng(0).normal(size=(100, 400))
    for X in (digits, noise):
        model = quick(8, max_epochs=0, output_activation="identity").fit(X)
        pca = PCA(8, svd_solver="full").fit(X)
        codes, expected = model.transform(X), pca.transform(X)
        assert_allclose(np.abs(codes), np.abs(expected), atol=5e-7 * np.abs(expected).max())
        assert_allclose(model.inverse_transform(codes), pca.inverse_transform(expected), atol=5e-7 * X.std())


def test_with_X_val_all_samples_of_X_make_up_pca(wide):
    assert_is_pca(fit_that_gains_nothing(wide[:50], given=wide[50:]), wide[:50])


def test_the_validation_score_is_that_of_pca_without_the_validation_samples(wide):
    model = fit_that_gains_nothing(wide, output_activation="identity", validation_fraction=0.5)
    assert model.validation_scores_[0] < model.score(wide)


def test_missing_entries_are_those_of_pca_after_imputation(wide):
    X = wide.copy()
    X[::7, 5:9] = np.nan
    model = quick(K, missing="mask", max_epochs=0, output_activation="identity").fit(X)
    pca = PCA(K, svd_solver="full").fit(SimpleImputer().fit_transform(X))
    assert_allclose(np.abs(model.components_), np.abs(pca.components_), atol=1e-6)


def test_the_size_is_selected_on_samples_that_pca_has_not_seen(digits):
    model = quick(0.85, max_epochs=0, output_activation="identity", validation_fraction=0.3).fit(digits[:100])
    curve = model.reconstruction_curve(digits[:100])
    assert curve[-1] > 0.85 + 0.02  # of samples that PCA has seen


@pytest.mark.parametrize("init", ["random", "transpose"])
def test_another_start_that_is_kept_stays_as_it_was(wide, init):
    lr = {"random": 1e-30, "transpose": 10.0}[init]  # random weights are easily improved on
    model = fit_that_gains_nothing(wide, message="the initialization, which is kept", init=init, lr=lr)
    start = quick(K, init=init, max_epochs=0).fit(wide)
    assert_array_equal(model.transform(wide), start.transform(wide))


@pytest.mark.parametrize("params", [{"code": "tanh", "init": "pca"}, {"loss": "poisson"}], ids=lambda p: str([*p]))
def test_a_start_near_pca_is_not_called_pca(wide, params):
    fit_that_gains_nothing(wide, message="the initialization, which is kept", **params)


def test_a_warm_start_that_is_kept_is_the_previous_fit(wide):
    model = quick(K, lr=1e-4, lr_schedule="linear", warm_start=True).fit(wide)
    before = model.score(wide)
    with pytest.warns(ConvergenceWarning, match="the weights of the previous fit, which are kept"):
        model.set_params(**RUINOUS).fit(wide)
    assert model.score(wide) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize(
    ("params", "remedies"),
    [
        ({}, r"a lower lr, such as 1; more samples, or smaller hidden_layer_sizes, weight_decay or a corruption\.$"),
        (
            {"hidden_layer_sizes": (), "output_activation": "clip"},
            r"hidden_layer_sizes, as without .* PCA's; a lower lr, such as 1; more samples\.$",
        ),
    ],
)
def test_the_warning_names_remedies_in_order(wide, params, remedies):
    fit_that_gains_nothing(wide, message=remedies, **params)


def test_a_linear_autoencoder_that_stays_pca_is_quiet(wide):
    model = quick(K, hidden_layer_sizes=(), output_activation="identity", **RUINOUS).fit(wide)
    assert model.best_epoch_ == 0
    assert_is_pca(model, wide)


def test_where_pca_explains_nearly_all_fewer_components_are_a_remedy(wide):
    flat = PCA(K).fit(wide)
    X = flat.inverse_transform(flat.transform(wide))
    fit_that_gains_nothing(X, message="fewer components, as the initialization already explains 1 of the variance")


class CtrlC(Callback):
    def __init__(self, after):
        self.after = after

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) > self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [0, 1])
def test_an_interrupted_fit_says_so_only_after_an_epoch(wide, after):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = quick(K, **RUINOUS, callbacks=[CtrlC(after)]).fit(wide)
    expected = ["Training was interrupted", "Training for 1 epoch did not improve"][: after + 1]
    assert [str(one.message)[: len(text)] for one, text in zip(caught, expected, strict=True)] == expected
    assert_is_pca(model, wide)


def test_partial_fit_is_quiet(wide):
    quick(K, lr=1e-2).partial_fit(wide)


def test_a_kept_start_survives_a_pickle_and_training_on(wide):
    model = fit_that_gains_nothing(wide)
    restored = pickle.loads(pickle.dumps(model))
    assert_array_equal(restored.transform(wide), model.transform(wide))
    assert restored.set_params(lr=1e-3).partial_fit(wide).best_epoch_ == 3


def test_pca_without_error_is_kept_in_silence(digits):
    X = digits[:200, 2:6]
    model = quick(4, lr=10.0, max_epochs=8, hidden_layer_sizes=(8,)).fit(X)  # a warning is an error
    assert model.best_epoch_ == 0
    assert model.score(X) == pytest.approx(1.0)
