"""Ordered codes: prefixes are codes themselves, sizes are chosen from one fit, truncation needs no refit."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from torch import Generator, nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.split import held_out_rows
from sklearn_ae._estimator.size_selection import standard_error_of_r2
from sklearn_ae._model.module import prefixes
from sklearn_ae.codes import CODES, TopK
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder

X = load_digits().data[:300]


@pytest.fixture(scope="module")
def ordered() -> AutoencoderTransformer:
    return AutoencoderTransformer(10, ordered=True, max_epochs=30, random_state=0).fit(X)


def custom_network(n_features, n_components):
    network = nn.Module()
    network.encode, network.decode = nn.Linear(n_features, n_components), nn.Linear(n_components, n_features)
    return network


VARIANTS = {
    **{name: {"code": name} for name in CODES},
    "top k of all": {"code": TopK(3, k_transform=6, aux=0.1)},
    "tied": {"module": TiedAutoencoder},
    "dropout": {"code_dropout": 0.3},
    "denoising": {"corruption": 0.3},
    "contractive": {"penalty": "contractive", "hidden_layer_sizes": ()},
    "orthogonal": {"penalty": ["orthogonal", "l1"]},
    "sigmoid, sparse": {"code": "sigmoid", "penalty": "kl_sparsity"},
    "convolutions": {"module": partial(ConvAutoencoder, image_shape=(8, 8), channels=(2,))},
    "custom network": {"module": custom_network},
}


@pytest.mark.parametrize(("name", "dtype"), [("identity", np.float32), *((name, np.float64) for name in VARIANTS)])
def test_truncating_keeps_the_first_components_and_the_curve_has_its_score(name, dtype):
    data = X[:100].astype(dtype)
    model = quick(6, ordered=True, **VARIANTS[name]).fit(data)
    codes, curve = model.transform(data), model.reconstruction_curve(data)
    assert curve.shape == (6,)
    for k in (1, 3, 6):
        smaller = model.truncate(k)
        assert_array_equal(smaller.transform(data), codes[:, :k])
        assert smaller.score(data) == pytest.approx(curve[k - 1], abs=1e-6)
        assert smaller.n_components_ == k
        assert smaller.components_.shape == (k, 64)
        again = pickle.loads(pickle.dumps(smaller))
        assert_array_equal(again.inverse_transform(codes[:, :k]), smaller.inverse_transform(codes[:, :k]))
        again.partial_fit(data)
        assert np.isfinite(again.score(data))
    assert_array_equal(model.transform(data), codes)


def test_setting_the_other_components_to_zero_equals_truncation(ordered):
    codes = ordered.transform(X)
    shortened = np.where(np.arange(10) < 4, codes, 0)
    assert_allclose(
        ordered.inverse_transform(shortened), ordered.truncate(4).inverse_transform(codes[:, :4]), rtol=1e-9, atol=1e-9
    )


def test_truncation_gives_an_independent_fitted_estimator(ordered):
    smaller = ordered.truncate(4)
    assert smaller.n_components == smaller.truncate(4).n_components == 4
    assert list(smaller.get_feature_names_out()) == [f"autoencodertransformer{i}" for i in range(4)]
    assert clone(smaller).get_params() == ordered.get_params() | {"n_components": 4}
    assert_array_equal(smaller.truncate(2).transform(X), ordered.truncate(2).transform(X))
    assert smaller.explained_variance_ratio_ == pytest.approx(ordered.explained_variance_ratio_[:4])
    before = [parameter.detach().clone() for parameter in ordered.module_.parameters()]
    smaller.partial_fit(X)
    for parameter, value in zip(ordered.module_.parameters(), before, strict=True):
        assert_array_equal(parameter.detach(), value)


def test_samples_and_elbo_of_a_truncated_variational_code():
    fractions = X / 16
    model = quick(6, code="gaussian", ordered=True, loss="log_loss", max_epochs=20).fit(fractions)
    smaller = model.truncate(2)
    assert smaller.sample(3, random_state=0).shape == (3, 64)
    assert smaller.elbo(fractions, random_state=0) > -64 * np.log(2)  # the likelihood of a coin toss per pixel


def test_every_prefix_beats_pca():
    pca = PCA(10).fit(X)
    linear = np.cumsum(pca.explained_variance_ratio_)
    model = AutoencoderTransformer(10, ordered=True, random_state=0).fit(X)
    assert (model.reconstruction_curve(X)[1:] > linear[1:]).all()


def test_prefixes_beat_those_of_an_ordinary_code(ordered):
    ordinary = AutoencoderTransformer(10, max_epochs=30, random_state=0).fit(X)
    codes = ordinary.transform(X)
    for k in (1, 2, 4, 6):
        cut = ordinary.inverse_transform(np.where(np.arange(10) < k, codes, 0))
        score = 1 - ((X - cut) ** 2).sum() / ((X - ordinary.mean_) ** 2).sum()
        assert ordered.reconstruction_curve(X)[k - 1] > score + 0.02


def test_ratios_are_gains_in_training_r2(ordered):
    curve = ordered.reconstruction_curve(X)
    assert_allclose(np.cumsum(ordered.explained_variance_ratio_), curve, atol=1e-6)
    assert ordered.explained_variance_ratio_.sum() == pytest.approx(ordered.score(X), abs=1e-6)


def test_a_linear_ordered_code_starts_as_pca_with_its_axes_signs_and_scale():
    model = AutoencoderTransformer(
        5, ordered=True, hidden_layer_sizes=(), output_activation="identity", early_stopping=False, max_epochs=0
    ).fit(X)
    pca = PCA(5).fit(X)
    assert_allclose(model.components_, pca.components_, atol=1e-4)
    assert_allclose(model.transform(X), pca.transform(X), atol=1e-3)
    assert_allclose(model.explained_variance_ratio_, pca.explained_variance_ratio_, atol=1e-6)


def test_prefixes_are_drawn_uniformly():
    h = prefixes(torch.ones(40_000, 4), Generator().manual_seed(0))
    lengths = h.sum(1).int()
    assert (h[:, 1:] <= h[:, :-1]).all()
    assert set(lengths.tolist()) == {1, 2, 3, 4}
    counts = np.bincount(lengths)[1:]
    assert_allclose(counts, 10_000, atol=5 * np.sqrt(40_000 * 0.25 * 0.75))


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("wanted", [0.5, 0.8])
def test_a_fraction_keeps_the_fewest_components_that_reach_it(wanted, early_stopping):
    model = quick(wanted, max_epochs=20, early_stopping=early_stopping).fit(X)
    whole = quick(64, ordered=True, max_epochs=20, early_stopping=early_stopping).fit(X)
    rows = X if not early_stopping else validation_samples(whole)
    curve = whole.reconstruction_curve(rows)
    k = model.n_components_
    assert curve[k - 1] >= wanted > curve[k - 2]
    assert_array_equal(model.transform(X), whole.transform(X)[:, :k])
    assert model.components_.shape == (k, 64)
    assert model.n_components == wanted


def validation_samples(model) -> np.ndarray:
    return X[held_out_rows(len(X), model.validation_fraction, check_random_state(model.random_state))]


def test_auto_keeps_the_fewest_within_one_standard_error_of_the_best():
    model = quick("auto", max_epochs=20).fit(X)
    whole = quick(64, ordered=True, max_epochs=20).fit(X)
    rows = validation_samples(whole)
    curve = whole.reconstruction_curve(rows)
    best = int(curve.argmax()) + 1
    errors = whole.truncate(best).reconstruction_error(rows)
    variances = ((rows - whole.mean_) ** 2).sum(axis=1)
    least = curve.max() - standard_error_of_r2(errors, variances)
    assert model.n_components_ == np.flatnonzero(curve >= least)[0] + 1 < best


def of_rank(rank: int, n_features: int) -> np.ndarray:
    """Return data that `rank` components reconstruct up to rounding."""
    rng = np.random.default_rng(rank)
    return rng.normal(size=(300, rank)) @ rng.uniform(0.5, 1.5, size=(rank, n_features))


CHANGES = {
    "float32": lambda X: X.astype(np.float32),
    "scale": lambda X: 1e6 * X,
    "shift": lambda X: X + 1000,
    "samples": lambda X: X[:150],
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hidden_layer_sizes", ["auto", ()])
@pytest.mark.parametrize(("rank", "n_features"), [(1, 10), (3, 20), (5, 30)])
def test_data_of_exact_rank_gets_as_many_components(rank, n_features, hidden_layer_sizes, seed):
    data = of_rank(rank, n_features)
    settings = {"hidden_layer_sizes": hidden_layer_sizes, "max_epochs": 20, "random_state": seed}
    assert AutoencoderTransformer("auto", **settings).fit(data).n_components_ == rank
    assert AutoencoderTransformer("auto", **settings).partial_fit(data).n_components_ == rank


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_data_of_exact_rank_is_recognized_in_any_precision_scale_and_place(change):
    assert quick("auto", max_epochs=20).fit(change(of_rank(3, 20))).n_components_ == 3


def test_noise_above_rounding_is_no_exact_rank():
    data = of_rank(3, 20) + 0.5 * np.random.default_rng(0).normal(size=(300, 20))
    assert quick(0.999, max_epochs=0).fit(data).n_components_ == 20


def test_the_standard_error_is_that_of_the_bootstrap():
    rng = np.random.default_rng(0)
    variances = rng.gamma(3.0, size=400)
    errors = variances * rng.uniform(0, 0.5, size=400)
    draws = rng.integers(400, size=(4000, 400))
    scores = 1 - errors[draws].sum(axis=1) / variances[draws].sum(axis=1)
    assert standard_error_of_r2(errors, variances) == pytest.approx(scores.std(), rel=0.05)


def test_an_unreachable_fraction_keeps_all_components_and_warns():
    with pytest.warns(
        UserWarning, match=r"R² of 0\.999 on the validation samples, but all 60 components reach 0\.\d+"
    ) as caught:
        model = quick(0.999).fit(np.random.default_rng(0).normal(size=(60, 150)))
    assert {one.filename for one in caught} == {__file__}
    assert model.n_components_ == 60


def test_there_are_no_more_components_than_samples_features_or_128():
    noise = np.random.default_rng(0).normal(size=(140, 150))
    for n_rows, n_columns, most in ((20, 30, 20), (140, 150, 128)):
        with pytest.warns(UserWarning, match="all are kept"):
            model = quick(0.999, max_epochs=0).fit(noise[:n_rows, :n_columns])
        assert model.n_components_ == most
    assert quick(0.9999, max_epochs=0).fit(noise[:, :20]).n_components_ == 20


def test_constant_data_needs_one_component():
    assert quick("auto").fit(np.ones((20, 3))).n_components_ == 1


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_partial_fit_keeps_the_number_of_components_that_was_chosen(begin):
    model = getattr(quick(0.5, max_epochs=20), begin)(X)
    k = model.n_components_
    assert 1 < k < 64
    assert model.partial_fit(X[:100]).transform(X).shape == (300, k)


def test_the_first_partial_fit_chooses_the_number_of_components():
    model, whole = quick(0.5).partial_fit(X), quick(64, ordered=True).partial_fit(X)
    curve = whole.reconstruction_curve(X)
    assert curve[model.n_components_ - 1] >= 0.5 > curve[model.n_components_ - 2]


@pytest.mark.parametrize("n_components", [0, 11, 2.0, 0.5, "auto", None])
def test_truncating_to_an_invalid_size_raises_an_error(ordered, n_components):
    with pytest.raises(ValueError, match=r"must be an integer from 1 to 10"):
        ordered.truncate(n_components)


@pytest.mark.parametrize("n_components", [0.0, 1.0, -1, "all", 2.0])
def test_invalid_n_components_raise_an_error(n_components):
    with pytest.raises(ValueError, match="n_components"):
        quick(n_components).fit(X)


def test_an_ordinary_code_has_no_prefixes():
    model = quick(2)
    assert not hasattr(model, "truncate")
    assert not hasattr(model, "reconstruction_curve")
    with pytest.raises(NotFittedError):
        quick(2, ordered=True).truncate(1)
