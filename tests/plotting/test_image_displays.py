"""Displays: the picture shows the data, everything fits into the figure, and bad input raises an error."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from display_helpers import assert_fits, assert_labels_are_apart, legend_texts, texts, tiles
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import (
    CodeScatterDisplay,
    ComparisonDisplay,
    ComponentsDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ScreeDisplay,
    SizeCurveDisplay,
    TraversalDisplay,
)

LONG_NAME = "AutoencoderTransformer with dropout 0.5 and three hidden layers"
CURVES = {"validation_scores": [0.4, 0.6, 0.8, 0.7], "best_epoch": 2}


pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture(scope="module")
def pca(digits):
    return PCA(64).fit(digits)


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer(as_frame=True).data


@pytest.mark.parametrize(("n", "n_columns"), [(1, 1), (2, 2), (7, 4), (8, 4), (10, 5), (64, 8)])
def test_images_are_components_each_on_its_own_scale(pca, n, n_columns):
    display = ComponentsDisplay.from_estimator(pca, n_components=n)
    drawn = tiles(display, (8, 8), n_columns)
    expected = pca.components_[:n]
    expected = expected / np.abs(expected).max(axis=1, keepdims=True)
    assert_allclose(drawn[:n].reshape(n, 64), expected)
    assert np.isnan(drawn[n:]).all()
    assert display.im_.get_clim() == (-1, 1)
    assert display.ax_.get_title() == "PCA"
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.yaxis)


def test_rows_are_labelled_with_their_components(pca):
    display = ComponentsDisplay.from_estimator(pca, n_components=7)
    assert texts(display.ax_.yaxis) == ["0–3", "4–6"]
    assert display.ax_.get_ylabel() == "component"


def test_common_scale_is_centred_at_zero(pca):
    display = ComponentsDisplay.from_estimator(pca, n_components=4, scale_each=False)
    largest = np.abs(pca.components_[:4]).max()
    assert display.im_.get_clim() == (-largest, largest)
    assert_allclose(tiles(display, (8, 8), 2).reshape(4, 64), pca.components_[:4])


@pytest.mark.parametrize("scale_each", [True, False])
def test_components_of_zeros_are_drawn_as_zeros(scale_each):
    display = ComponentsDisplay(np.zeros((2, 9))).plot(scale_each=scale_each)
    assert_array_equal(tiles(display, (3, 3), 2), np.zeros((2, 3, 3)))
    low, high = display.im_.get_clim()
    assert -low == high > 0


def test_image_shape_can_be_given():
    components = np.arange(24.0).reshape(2, 12)
    display = ComponentsDisplay.from_components(components, image_shape=(3, 4), scale_each=False)
    assert_array_equal(tiles(display, (3, 4), 2), components.reshape(2, 3, 4))


def test_features_that_do_not_form_a_square_are_a_heat_map():
    components = np.arange(-6.0, 6).reshape(2, 6)
    display = ComponentsDisplay.from_components(components, name="six", scale_each=False)
    assert_array_equal(display.im_.get_array(), components)
    assert display.ax_.get_xlabel() == "feature"
    assert display.ax_.get_title() == "six"


def test_named_features_are_a_heat_map_even_if_square():
    iris = load_iris(as_frame=True).data
    display = ComponentsDisplay.from_estimator(PCA(2).fit(iris))
    assert display.im_.get_array().shape == (2, 4)
    assert texts(display.ax_.xaxis) == list(iris.columns)
    assert_fits(display.figure_)
    images = ComponentsDisplay.from_estimator(PCA(2).fit(iris), image_shape=(2, 2))
    assert tiles(images, (2, 2), 2).shape == (2, 2, 2)


def test_pipeline_draws_its_last_components_with_their_feature_names(cancer):
    y = np.arange(len(cancer)) % 2
    pipeline = make_pipeline(StandardScaler(), PCA(8), LogisticRegression()).fit(cancer, y)
    display = ComponentsDisplay.from_estimator(pipeline)
    assert_array_equal(display.components, pipeline[1].components_)
    assert texts(display.ax_.xaxis) == list(cancer.columns)
    assert display.ax_.get_title() == "PCA"
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.xaxis)


def test_pipeline_without_feature_names_draws_without(cancer):
    pipeline = make_pipeline(FunctionTransformer(np.asarray), PCA(2)).fit(cancer)
    assert ComponentsDisplay.from_estimator(pipeline).feature_names is None
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(cancer.to_numpy())
    assert ComponentsDisplay.from_estimator(pipeline).feature_names is None


def test_many_features_and_components_are_not_all_labelled():
    names = [f"feature {i}" for i in range(200)]
    components = np.random.default_rng(0).normal(size=(50, 200))
    display = ComponentsDisplay.from_components(components, feature_names=names)
    assert len(display.ax_.get_xticks()) < 20
    assert len(display.ax_.get_yticks()) < 20
    assert_fits(display.figure_)


def test_displays_share_a_figure_with_others(pca, digits):
    figure, axes = plt.subplots(3, 3, figsize=(18, 12), layout="constrained")
    displays = [
        ComponentsDisplay.from_estimator(pca, n_components=10, ax=axes[0, 0]),
        ComponentsDisplay.from_components(pca.components_[:5, :30], ax=axes[0, 1]),
        ReconstructionDisplay.from_estimator(pca, digits, n_samples=5, ax=axes[0, 2]),
        LossCurveDisplay.from_curves([0.5, 0.3, 0.2], **CURVES, ax=axes[1, 0]),
        TraversalDisplay.from_estimator(pca, digits, ax=axes[1, 1]),
        SizeCurveDisplay.from_estimators({LONG_NAME: pca}, digits, ax=axes[1, 2]),
        ScreeDisplay.from_estimator(pca, ax=axes[2, 0]),
        CodeScatterDisplay.from_estimator(pca, digits, digits[:, 20], ax=axes[2, 1]),
        ComparisonDisplay({LONG_NAME: ([2, 4], [0.5, 0.6], [0.1, 0.1])}, "fit_seconds").plot(axes[2, 2]),
    ]
    for display, ax in zip(displays, axes.flat, strict=True):
        assert display.ax_ is display.axes_[0] is ax
        assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert_fits(figure)


def test_colorbar_can_be_left_out(pca):
    with_bar, without = (
        ComponentsDisplay.from_estimator(pca, n_components=4, colorbar=colorbar) for colorbar in (True, False)
    )
    assert len(with_bar.ax_.child_axes) == 1
    assert without.ax_.child_axes == []


def test_plot_draws_again_in_a_new_figure(pca):
    display = ComponentsDisplay.from_estimator(pca, n_components=4)
    first = display.figure_
    assert display.plot(cmap="gray") is display
    assert display.figure_ is not first
    assert display.im_.get_cmap().name == "gray"


def test_components_that_cannot_be_drawn_are_rejected(pca, digits):
    with pytest.raises(NotFittedError):
        ComponentsDisplay.from_estimator(PCA())
    with pytest.raises(TypeError, match="KMeans has no components_ to draw"):
        ComponentsDisplay.from_estimator(KMeans(2, n_init=1).fit(digits))
    with pytest.raises(TypeError, match="Pipeline has no components_ to draw"):
        ComponentsDisplay.from_estimator(make_pipeline(StandardScaler()).fit(digits))
    for n_components in (0, 65):
        with pytest.raises(ValueError, match=f"must be 1 to 64, .* PCA, got {n_components}"):
            ComponentsDisplay.from_estimator(pca, n_components=n_components)
    for image_shape in ((8, 9), (-8, -8), (4, 4, 4)):
        with pytest.raises(ValueError, match=r"height \* width = 64"):
            ComponentsDisplay.from_estimator(pca, image_shape=image_shape)
    with pytest.raises(ValueError, match="one name for each of the 3 features"):
        ComponentsDisplay.from_components(np.eye(3), feature_names=["a"])
    with pytest.raises(ValueError, match="components contains NaN"):
        ComponentsDisplay.from_components([[np.nan]])


def test_reconstructions_are_below_the_originals(digits):
    estimators = {"two": PCA(2).fit(digits), "NMF": NMF(4, tol=1e-2).fit(digits)}
    display = ReconstructionDisplay.from_estimators(estimators, digits, n_samples=5)
    drawn = tiles(display, (8, 8), 5).reshape(3, 5, 64)
    assert_array_equal(drawn[0], digits[:5])
    for row, estimator in zip(drawn[1:], estimators.values(), strict=True):
        assert_allclose(row, estimator.inverse_transform(estimator.transform(digits[:5])))
    assert display.im_.get_clim() == (digits[:5].min(), digits[:5].max())


def test_labels_have_the_score_of_all_samples(digits):
    pca = PCA(2).fit(digits)
    display = ReconstructionDisplay.from_estimator(pca, digits, n_samples=3)
    score = reconstruction_score(pca, digits)
    assert display.scores == {"PCA": pytest.approx(score)}
    assert texts(display.ax_.yaxis) == ["original", f"PCA\nR² {score:.3f}"]


def test_single_sample_has_no_score(digits):
    display = ReconstructionDisplay.from_estimator(PCA(2).fit(digits), digits[:1], name="one")
    assert texts(display.ax_.yaxis) == ["original", "one"]


@pytest.mark.parametrize("n_samples", [1, 3, 10, 20])
def test_long_names_fit_beside_any_number_of_images(digits, n_samples):
    reconstructions = {"PCA": digits, LONG_NAME: digits, "NMF": digits}
    display = ReconstructionDisplay.from_reconstructions(digits, reconstructions, n_samples=n_samples)
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.yaxis)


def test_fewer_samples_than_requested_are_all_drawn(digits):
    display = ReconstructionDisplay.from_reconstructions(digits[:4], {}, n_samples=10)
    assert tiles(display, (8, 8), 4).shape == (4, 8, 8)


def test_reconstructions_take_dataframes_and_image_shapes(cancer):
    pipeline = make_pipeline(StandardScaler(), PCA(5)).set_output(transform="pandas").fit(cancer)
    display = ReconstructionDisplay.from_estimator(pipeline, cancer, n_samples=4, image_shape=(3, 10))
    assert_array_equal(tiles(display, (3, 10), 4)[:4].reshape(4, 30), cancer[:4])
    assert_fits(display.figure_)


def test_constant_images_are_drawn():
    X = np.zeros((3, 4))
    display = ReconstructionDisplay.from_reconstructions(X, {"same": X})
    assert_array_equal(tiles(display, (2, 2), 3), np.zeros((6, 2, 2)))


def test_reconstructions_that_cannot_be_drawn_are_rejected(digits, pca):
    with pytest.raises(NotFittedError):
        ReconstructionDisplay.from_estimator(PCA(), digits)
    with pytest.raises(TypeError, match="KMeans has no inverse_transform"):
        ReconstructionDisplay.from_estimator(KMeans(2, n_init=1).fit(digits), digits)
    with pytest.raises(TypeError, match=r"estimators must be a dict .* got list"):
        ReconstructionDisplay.from_estimators([pca], digits)
    with pytest.raises(TypeError, match=r"reconstructions must be a dict .* got ndarray"):
        ReconstructionDisplay.from_reconstructions(digits, digits)
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        ReconstructionDisplay.from_estimator(pca, digits, n_samples=0)
    with pytest.raises(ValueError, match=r"'half' has shape \(1797, 32\) but X has"):
        ReconstructionDisplay.from_reconstructions(digits, {"half": digits[:, :32]})
    with pytest.raises(ValueError, match="image_shape must be"):
        ReconstructionDisplay.from_estimator(pca, digits, image_shape=(7, 9))


def test_curves_are_drawn_by_epoch():
    display = LossCurveDisplay.from_curves([0.5, 0.3, 0.2], **CURVES, name=LONG_NAME)
    loss, best = display.axes_[0].get_lines()
    (score,) = display.axes_[1].get_lines()
    assert_array_equal(loss.get_xydata(), [[1, 0.5], [2, 0.3], [3, 0.2]])
    assert_array_equal(score.get_xydata(), [[0, 0.4], [1, 0.6], [2, 0.8], [3, 0.7]])
    assert_array_equal(best.get_xdata(), [2, 2])
    assert legend_texts(display) == ["training loss", "validation R²", "best epoch (2)"]
    assert len({line.get_linestyle() for line in (loss, best, score)}) == 3  # without colour
    assert_fits(display.figure_)


def test_title_is_above_the_legend():
    display = LossCurveDisplay.from_curves([0.5, 0.3], name="title")
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    title = display.ax_.title.get_window_extent(renderer)
    assert not title.overlaps(display.ax_.get_legend().get_window_extent(renderer))


def test_without_validation_there_is_one_axes():
    display = LossCurveDisplay.from_curves([0.5, 0.3])
    assert display.axes_.shape == (1,)
    assert_fits(display.figure_)


def test_scores_without_that_before_training_start_at_epoch_1():
    display = LossCurveDisplay.from_curves([0.5, 0.3, 0.2], validation_scores=[0.1, 0.2, 0.3])
    (line,) = display.axes_[1].lines
    assert line.get_xdata().tolist() == [1, 2, 3]
    X = np.random.default_rng(0).normal(size=(40, 3))
    LossCurveDisplay.from_estimator(MLPRegressor(max_iter=201, early_stopping=True, random_state=0).fit(X, X))


def test_untrained_estimator_shows_its_initial_score():
    display = LossCurveDisplay.from_curves([], validation_scores=[0.5], best_epoch=0)
    assert_array_equal(display.axes_[1].get_lines()[0].get_xydata(), [[0, 0.5]])
    low, high = display.ax_.get_xlim()
    assert [tick for tick in display.ax_.get_xticks() if low < tick < high] == [0]
    assert_fits(display.figure_)


def test_curves_of_an_estimator_are_its_attributes(digits):
    net = MLPRegressor(hidden_layer_sizes=2, tol=1e6, n_iter_no_change=2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), net.fit(digits, digits))
    for estimator in (net, pipeline):
        display = LossCurveDisplay.from_estimator(estimator)
        assert_array_equal(display.loss_curve, net.loss_curve_)
        assert display.validation_scores is None
        assert display.ax_.get_title() == "MLPRegressor"


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({"loss_curve": []}, "Nothing to draw"),
        ({"loss_curve": [[1.0]]}, r"one-dimensional, got shape \(1, 1\)"),
        ({"loss_curve": [1.0], "validation_scores": [1.0, 1.0, 1.0]}, "expected 1 or 2, got 3"),
        ({"loss_curve": [], "validation_scores": []}, "expected 1 or 1, got 0"),
        ({"loss_curve": [1.0], "best_epoch": 2}, "best_epoch must be 0 to 1"),
    ],
    ids=["nothing", "2D", "lengths", "no scores", "best epoch"],
)
def test_curves_that_do_not_agree_are_rejected(curves, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay.from_curves(**curves)


def test_estimators_without_a_curve_are_rejected(pca):
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(AutoencoderTransformer())
    with pytest.raises(TypeError, match="PCA has no loss_curve_ to draw"):
        LossCurveDisplay.from_estimator(pca)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_every_display_draws_an_autoencoder(digits, early_stopping):
    autoencoder = AutoencoderTransformer(3, max_epochs=2, early_stopping=early_stopping, random_state=0).fit(
        digits[:200]
    )
    components = ComponentsDisplay.from_estimator(autoencoder)
    assert_array_equal(components.components, autoencoder.components_)
    reconstruction = ReconstructionDisplay.from_estimator(autoencoder, digits[:20])
    assert list(reconstruction.scores) == ["AutoencoderTransformer"]
    training = LossCurveDisplay.from_estimator(autoencoder)
    assert len(training.axes_) == 1 + early_stopping
    assert training.best_epoch == autoencoder.best_epoch_
    traversal = TraversalDisplay.from_estimator(autoencoder, digits[:200], units=[2])
    assert traversal.decoded.shape == (1, 7, 64)
    sizes = SizeCurveDisplay.from_estimators({"one": autoencoder}, digits[:200])
    assert_array_equal(sizes.curves["one"], [[3], [reconstruction_score(autoencoder, digits[:200])]])
    scree = ScreeDisplay.from_estimator(autoencoder)
    assert_array_equal(scree.explained_variance_ratio, autoencoder.explained_variance_ratio_)
    codes = CodeScatterDisplay.from_estimator(autoencoder, digits[:200])
    assert_allclose(codes.codes, autoencoder.transform(digits[:200]))


def test_error_without_matplotlib_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (
        ComponentsDisplay(np.eye(4)),
        ReconstructionDisplay(np.eye(4), {}),
        TraversalDisplay(np.zeros((1, 2, 4)), [[0, 1]], [0]),
        LossCurveDisplay([1.0]),
        SizeCurveDisplay({"PCA": ([1], [0.5])}),
        ScreeDisplay([0.5]),
        CodeScatterDisplay(np.eye(2)),
        ComparisonDisplay({"PCA": ([1], [0.5], None)}),
    ):
        with pytest.raises(ImportError, match=r'Display draws .* pip install "sklearn-ae\[plot\]"'):
            display.plot()


def test_data_given_as_lists_and_frames_is_drawn():
    frame = pd.DataFrame(np.eye(4))
    display = ReconstructionDisplay.from_reconstructions(frame, {"list": frame.to_numpy().tolist()})
    assert display.scores == {"list": 1.0}
