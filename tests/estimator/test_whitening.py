"""As for PCA, whiten=True gives codes of variance 1, and n_components=None keeps all components."""

import io
import pickle
from copy import deepcopy

import dask.array as da
import numpy as np
import pytest
import torch
from helpers import quick
from sklearn.decomposition import PCA
from skops import io as skops_io

from sklearn_ae.codes import CODES, Code, Gaussian, Tanh, TopK
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder

SCALABLE = ["identity", "relu", "top_k", "winner_take_all"]
FITS = {
    "default": {},
    "linear": {"hidden_layer_sizes": ()},
    "tied": {"module": TiedAutoencoder},
    "dropout": {"code_dropout": 0.2},
    "penalty": {"penalty": "l1"},
    "ordered": {"ordered": True},
    "selected": {"n_components": 0.8},
    "relu": {"code": "relu"},
    "top k": {"code": TopK(2)},
    "winner": {"code": "winner_take_all"},
    "ordered relu": {"code": "relu", "ordered": True},
    "missing": {"missing": "mask"},
    "all": {"n_components": None},
    "module": {"module": ConvAutoencoder},
}


def both(X, **params):
    """Return the same fit without and with whitening."""
    made = [quick(**{"n_components": 4} | params, whiten=whiten) for whiten in (False, True)]
    return [model.fit(X) for model in made]


@pytest.fixture
def X(small):
    return np.c_[small, small[:, :1] ** 2]


@pytest.mark.parametrize("params", FITS.values(), ids=FITS)
@pytest.mark.parametrize("factor", [1.0, 1e-100, 1e100])
def test_codes_have_variance_one_and_all_else_is_the_same(params, factor, X):
    X = factor * X
    plain, white = both(X, **params)
    codes, deviations = plain.transform(X), plain.transform(X).std(axis=0, ddof=1)
    varies = deviations > 1e-6 * deviations.max()
    np.testing.assert_allclose(white.transform(X)[:, varies].std(axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(white.transform(X)[:, varies] * deviations[varies], codes[:, varies], rtol=1e-3)
    assert (white.transform(X)[:, ~varies].std(axis=0) <= 1e-6).all()
    np.testing.assert_allclose(white.inverse_transform(white.transform(X)), plain.inverse_transform(codes), rtol=1e-9)
    assert white.score(X) == plain.score(X)
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_", "loss_curve_"):
        np.testing.assert_array_equal(getattr(white, name), getattr(plain, name))


@pytest.mark.parametrize("n_components", [3, None])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e5])
@pytest.mark.parametrize("n", [80, 5])
def test_a_linear_fit_is_pca_with_the_same_parameters(n_components, scale, n, X):
    X = scale * X[:n]
    start = {"hidden_layer_sizes": (), "max_epochs": 0, "output_activation": "identity"}
    model, pca = quick(n_components, whiten=True, **start).fit(X), PCA(n_components, whiten=True).fit(X)
    assert model.n_components_ == pca.n_components_
    k = pca.n_components_ - (n == 5 and n_components is None)  # the last axis of five samples is arbitrary
    np.testing.assert_allclose(np.abs(model.transform(X)[:, :k]), np.abs(pca.transform(X)[:, :k]), atol=1e-3)
    np.testing.assert_allclose(np.abs(model.components_[:k]), np.abs(pca.components_[:k]), atol=1e-3)
    reconstructions = [each.inverse_transform(each.transform(X)) for each in (model, pca)]
    np.testing.assert_allclose(*reconstructions, atol=1e-5 * np.abs(X).max())


@pytest.mark.parametrize(("shape", "expected"), [((40, 6), 6), ((5, 9), 5), ((2, 3), 2), ((200, 150), 150)])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_none_keeps_all_components(shape, expected, method):
    X = np.random.default_rng(0).normal(size=shape)
    model = getattr(quick(None, max_epochs=1), method)(X)
    assert model.n_components_ == expected
    assert model.transform(X).shape == (shape[0], expected)
    assert model.partial_fit(X).n_components_ == expected


@pytest.mark.parametrize("code", [*(name for name in CODES if name not in SCALABLE), Tanh(), Gaussian(2.0)], ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_codes_that_fix_the_scale_of_their_components_are_refused_by_name(code, method, small):
    model = quick(code=code, whiten=True)
    with pytest.raises(ValueError, match=r"whiten=True .* code=.* fixes their scale"):
        getattr(model, method)(small)
    assert not hasattr(model, "module_")


def test_a_custom_code_is_refused_unless_it_says_that_its_scale_is_free(small):
    class Cubic(Code):
        def __call__(self, a):
            return a**3

    with pytest.raises(ValueError, match="fixes their scale"):
        quick(code=Cubic(), whiten=True).fit(small)
    Cubic.has_free_scale = True
    assert quick(code=Cubic(), whiten=True).fit_transform(small).std(axis=0, ddof=1) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("code", SCALABLE)
def test_codes_that_are_not_negative_stay_so(code, X):
    plain, white = both(X, code=code)
    np.testing.assert_array_equal(np.sign(white.transform(X)), np.sign(plain.transform(X)))


def test_truncation_keeps_the_first_components(X):
    model = quick(4, ordered=True, whiten=True).fit(X)
    smaller = model.truncate(2)
    np.testing.assert_array_equal(smaller.transform(X), model.transform(X)[:, :2])
    assert smaller.score(X) == pytest.approx(model.reconstruction_curve(X)[1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(smaller)).transform(X), smaller.transform(X))


def by_skops(model):
    file = io.BytesIO()
    skops_io.dump(model, file)
    file.seek(0)
    return skops_io.load(file, trusted=["sklearn_ae._autoencoder.AutoencoderTransformer"])


@pytest.mark.parametrize("through", [lambda model: pickle.loads(pickle.dumps(model)), deepcopy, by_skops])
@pytest.mark.parametrize("params", [{}, {"ordered": True}, {"code": "relu"}, {"n_components": "auto"}], ids=str)
def test_a_whitened_fit_is_saved_and_loaded(params, through, X):
    model = quick(whiten=True, **params).fit(X)
    loaded = through(model)
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(loaded.transform(X.astype(dtype)), model.transform(X.astype(dtype)))
        codes = model.transform(X.astype(dtype))
        np.testing.assert_array_equal(loaded.inverse_transform(codes), model.inverse_transform(codes))


def test_blocks_tensors_and_partial_fits_are_whitened_too(X):
    model = quick(3, whiten=True, lr=1e-9).partial_fit(X)
    codes = model.transform(X)
    np.testing.assert_allclose(codes.std(axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(model.transform(da.from_array(X, chunks=(30, 9))).compute(), codes)
    np.testing.assert_array_equal(model.transform(torch.tensor(X)), codes)
    np.testing.assert_allclose(model.partial_fit(3 * X).transform(X), codes, atol=1e-4)  # the map is that of the first


@pytest.mark.parametrize(
    "X", [np.ones((20, 3)), np.eye(20)[:, :3] * [1, 0, 0], np.ones((2, 3))], ids=["ones", "one", "two"]
)
def test_components_without_variance_stay_finite(X):
    model = quick(3, whiten=True).fit(X)
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), X, atol=0.2)
