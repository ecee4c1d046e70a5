"""Traversals: the steps are decoded codes in which one component varies and the others are fixed."""

import numpy as np
import pandas as pd
import pytest
from display_helpers import assert_fits, assert_labels_are_apart, texts, tiles
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae.plotting import TraversalDisplay

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture(scope="module")
def pca(digits):
    return PCA(12).fit(digits)


def steps_of(display, estimator, base):
    """Decode every step of a display one by one."""
    decoded = []
    for component, values in zip(display.units, display.values, strict=True):
        for value in values:
            code = base.copy()
            code[component] = value
            decoded.append(estimator.inverse_transform(code[np.newaxis])[0])
    return np.reshape(decoded, (*display.values.shape, -1))


@pytest.mark.parametrize("row", [None, 3])
@pytest.mark.parametrize("model", [PCA(4), NMF(4, tol=1e-2), make_pipeline(StandardScaler(), PCA(4))])
def test_one_component_varies_while_the_others_are_fixed(digits, model, row):
    model.fit(digits)
    codes = model.transform(digits)
    display = TraversalDisplay.from_estimator(model, digits, units=[2, 0], n_steps=3, row=row, quantiles=(0.1, 0.8))
    assert_array_equal(display.units, [2, 0])
    low, high = np.quantile(codes[:, [2, 0]], [0.1, 0.8], axis=0)
    assert_allclose(display.values.T, [low, (low + high) / 2, high])
    base = codes.mean(axis=0) if row is None else codes[row]
    assert_allclose(display.decoded, steps_of(display, model, base))


def test_images_have_one_row_per_component(pca, digits):
    display = TraversalDisplay.from_estimator(pca, digits, units=[4, 1, 11], n_steps=5)
    assert_allclose(tiles(display, (8, 8), 5).reshape(display.decoded.shape), display.decoded)
    assert texts(display.ax_.yaxis) == ["4", "1", "11"]
    assert texts(display.ax_.xaxis) == ["0.05", "0.95"]
    assert display.ax_.get_ylabel() == "component"
    assert display.ax_.get_xlabel() == "quantile of the component"
    assert display.ax_.get_title() == "PCA"
    assert_fits(display.figure_)


def test_at_most_ten_components_are_drawn_by_default(pca, digits):
    assert_array_equal(TraversalDisplay.from_estimator(pca, digits).units, range(10))
    assert_array_equal(TraversalDisplay.from_estimator(PCA(3).fit(digits), digits).units, range(3))


@pytest.mark.parametrize(("n_components", "n_steps"), [(1, 2), (1, 7), (12, 2), (12, 20)])
def test_mosaics_of_any_shape_fit(pca, digits, n_components, n_steps):
    display = TraversalDisplay.from_estimator(pca, digits, units=range(n_components), n_steps=n_steps)
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.xaxis)
    assert_labels_are_apart(display.ax_.yaxis)


def test_features_that_are_not_pixels_are_a_heat_map_of_their_changes():
    cancer = load_breast_cancer(as_frame=True).data
    X = pd.DataFrame(StandardScaler().fit_transform(cancer), columns=cancer.columns)
    display = TraversalDisplay.from_estimator(PCA(6).fit(X), X, units=[5, 0], name="cancer")
    change = display.decoded[:, -1] - display.decoded[:, 0]
    assert_array_equal(display.im_.get_array(), change)
    assert display.im_.get_clim() == (-np.abs(change).max(), np.abs(change).max())
    assert texts(display.ax_.xaxis) == list(X.columns)
    assert texts(display.ax_.yaxis) == ["5", "0"]
    assert display.ax_.get_title() == "cancer"
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.xaxis)


def test_pipeline_decodes_to_its_input_features():
    iris = load_iris(as_frame=True).data
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(iris)
    display = TraversalDisplay.from_estimator(pipeline, iris)
    assert texts(display.ax_.xaxis) == list(iris.columns)
    assert iris.to_numpy().min() - 1 < np.min(display.decoded) < np.max(display.decoded) < iris.to_numpy().max() + 1
    images = TraversalDisplay.from_estimator(pipeline, iris, image_shape=(2, 2))
    assert tiles(images, (2, 2), 7).shape == (14, 2, 2)


def test_many_components_are_not_all_labelled():
    display = TraversalDisplay(np.zeros((90, 2, 3)), np.zeros((90, 2)), np.arange(10, 100)).plot()
    assert texts(display.ax_.yaxis)[:2] == ["10", "13"]
    assert_array_equal(display.ax_.get_yticks()[:2], [0, 3])
    assert_fits(display.figure_)


def test_components_without_effect_are_drawn():
    zeros = np.zeros((2, 3, 4))
    heat_map = TraversalDisplay(zeros, zeros[:, :, 0], [0, 1], feature_names=list("abcd")).plot()
    low, high = heat_map.im_.get_clim()
    assert -low == high > 0
    images = TraversalDisplay(zeros, zeros[:, :, 0], [0, 1]).plot()
    assert_array_equal(tiles(images, (2, 2), 3), np.zeros((6, 2, 2)))
    assert len(images.ax_.get_xticks()) == 0  # there are no quantiles to label


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": [12]}, r"units must be a list of integers from 0 to 11, got \[12\]"),
        ({"units": [-1]}, "units must be"),
        ({"units": 3}, "units must be"),
        ({"units": []}, "units must be"),
        ({"units": [0.5]}, "units must be"),
        ({"n_steps": 1}, "n_steps must be at least 2, .* got 1"),
        ({"row": 1797}, "row must be 0 to 1796, .* got 1797"),
        ({"row": -1}, "row must be"),
        ({"quantiles": (0.9, 0.1)}, r"0 <= first < last <= 1, got \(0.9, 0.1\)"),
        ({"quantiles": (0, 1.1)}, "quantiles must be"),
        ({"quantiles": (0.1, 0.5, 0.9)}, "quantiles must be"),
        ({"image_shape": (7, 9)}, r"height \* width = 64"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_rejected(pca, digits, settings, message):
    with pytest.raises(ValueError, match=message):
        TraversalDisplay.from_estimator(pca, digits, **settings)


def test_estimators_that_cannot_decode_are_rejected(digits):
    with pytest.raises(NotFittedError):
        TraversalDisplay.from_estimator(PCA(), digits)
    with pytest.raises(TypeError, match="KMeans has no inverse_transform: pass a fitted estimator"):
        TraversalDisplay.from_estimator(KMeans(2, n_init=1).fit(digits), digits)
    pipeline = make_pipeline(StandardScaler(), KMeans(2, n_init=1)).fit(digits)
    with pytest.raises(TypeError, match="Step 'kmeans' of the pipeline, KMeans, has no inverse_transform"):
        TraversalDisplay.from_estimator(pipeline, digits)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 4)), np.zeros((2, 3)), [0, 1]), r"decoded must have the shape .* got \(2, 4\)"),
        ((np.zeros((2, 1, 4)), np.zeros((2, 1)), [0, 1]), "two steps or more"),
        ((np.full((2, 3, 4), np.nan), np.zeros((2, 3)), [0, 1]), "decoded contains NaN"),
        ((np.zeros((2, 3, 4)), np.zeros((3, 2)), [0, 1]), r"= \(2, 3\) of decoded, got shape \(3, 2\)"),
        ((np.zeros((2, 3, 4)), np.zeros((2, 3)), [0]), r"each of the 2 components of decoded, got shape \(1,\)"),
    ],
    ids=["2D", "one step", "NaN", "values", "units"],
)
def test_arrays_that_do_not_agree_are_rejected(arrays, message):
    with pytest.raises(ValueError, match=message):
        TraversalDisplay(*arrays).plot()


def test_feature_names_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match="one name for each of the 4 features"):
        TraversalDisplay(np.zeros((2, 3, 4)), np.zeros((2, 3)), [0, 1], feature_names=["a"]).plot()
