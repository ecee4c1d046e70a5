"""Features as colours, grey images, lines over an axis and heat maps, in each display that draws whole samples."""

import re
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from display_helpers import assert_fits, assert_labels_are_apart, legend_texts, texts, tiles
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sklearn_ae.plotting import ComponentsDisplay, ReconstructionDisplay, TraversalDisplay

pytestmark = pytest.mark.usefixtures("close_figures")

DRAW = {
    "components": lambda X, pca, **settings: ComponentsDisplay.from_estimator(pca, **settings),
    "reconstructions": lambda X, pca, **settings: ReconstructionDisplay.from_estimator(pca, X, **settings),
    "traversal": lambda X, pca, **settings: TraversalDisplay.from_estimator(pca, X, **settings),
}
WAVELENGTHS = [400.0, 401.5, 403, 420, 430, 431]


@pytest.fixture(params=DRAW, scope="module")
def draw(request):
    """Return a function that fits PCA and draws one of the displays."""

    def fit_and_draw(X, n_components=2, **settings):
        return DRAW[request.param](X, PCA(n_components).fit(X), **settings)

    return fit_and_draw


def data(n_features, n=12):
    return np.random.default_rng(0).uniform(size=(n, n_features))


def kind_of(display):
    if display.lines_ is not None:
        assert display.im_ is None
        return "line"
    return "heatmap" if display.ax_.get_aspect() == "auto" else "image"


def row_height_of(display):
    """Return how far rows of lines are apart, in the unit of the data, as the y axis says."""
    return float(re.search(r"\(rows (.*) apart\)", display.ax_.get_ylabel())[1])


def heights_of(display):
    return np.array([[line.get_ydata() for line in row] for row in display.lines_])


@pytest.mark.parametrize(
    ("X", "settings", "kind"),
    [
        (data(4), {}, "image"),
        (data(6), {}, "heatmap"),
        (data(6), {"image_shape": (2, 3)}, "image"),
        (data(6), {"image_shape": (1, 2, 3)}, "image"),
        (data(4), {"feature_axis": [1, 2, 3, 4]}, "line"),
        (data(4), {"feature_axis": [1, 2, 3, 4], "image_shape": (2, 2)}, "image"),
        (data(4), {"kind": "line"}, "line"),
        (data(4), {"kind": "heatmap"}, "heatmap"),
        (data(6), {"kind": "heatmap", "feature_axis": WAVELENGTHS}, "heatmap"),
        (data(4), {"kind": "image", "feature_axis": [1, 2, 3, 4]}, "image"),
        (pd.DataFrame(data(4)), {}, "image"),
        (pd.DataFrame(data(6)), {}, "heatmap"),
        (pd.DataFrame(data(4), columns=["a", "b", "c", "d"]), {}, "heatmap"),
        (pd.DataFrame(data(4), columns=["1.5", "2", "2.5", "1e1"]), {}, "line"),
        (pd.DataFrame(data(4), columns=["4", "3", "2", "1"]), {}, "line"),
        (pd.DataFrame(data(4), columns=["1", "3", "2", "4"]), {}, "heatmap"),
        (pd.DataFrame(data(1), columns=["1"]), {"n_components": 1}, "heatmap"),
        (pl.DataFrame(data(4), schema=["1", "2", "3", "4"]), {}, "line"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(getattr(value, "columns", np.shape(value) or value)),
)
def test_the_kind_of_picture_suits_the_features(draw, X, settings, kind):
    display = draw(X, **settings)
    assert kind_of(display) == kind
    assert_fits(display.figure_)


@pytest.mark.parametrize("columns", [WAVELENGTHS, [0, 1, 2, 3, 5, 6]])
@pytest.mark.parametrize("display", [DRAW["reconstructions"], DRAW["traversal"]], ids=["reconstructions", "traversal"])
def test_numbers_as_names_of_columns_are_an_axis(display, columns):
    """scikit-learn takes only text as names of features, so the names are those of X."""
    X = pd.DataFrame(data(6), columns=pd.Index(columns, name="wavelength (nm)"))
    drawn = display(X, PCA(2).fit(X))
    assert_array_equal(drawn.lines_[0, 0].get_xdata(), columns)
    assert drawn.ax_.get_xlabel() == "wavelength (nm)"


@pytest.mark.parametrize(
    ("axis", "label"),
    [
        (WAVELENGTHS, "feature"),
        (WAVELENGTHS[::-1], "feature"),
        (np.arange(6), "feature"),
        (pd.Series(WAVELENGTHS, name="wavelength (nm)"), "wavelength (nm)"),
        (pd.Index(WAVELENGTHS, name="nm"), "nm"),
        (pl.Series("seconds", WAVELENGTHS), "seconds"),
        (pl.Series(WAVELENGTHS), "feature"),
    ],
    ids=["list", "decreasing", "integers", "Series", "Index", "polars", "polars without a name"],
)
@pytest.mark.parametrize("kind", ["line", "heatmap"])
def test_the_axis_is_drawn_with_its_name(draw, axis, label, kind):
    display = draw(data(6), feature_axis=axis, kind=kind)
    assert display.ax_.get_xlabel() == label
    low, high = display.ax_.get_xlim()
    if kind == "line":
        assert_array_equal(display.lines_[0, 0].get_xdata(), axis)
        assert (low, high) == (axis[0], axis[5])  # from left to right as the columns
    else:
        display.figure_.canvas.draw()
        labels = {
            int(tick): float(label)
            for tick, label in zip(display.ax_.get_xticks(), texts(display.ax_.xaxis), strict=True)
            if low <= tick <= high
        }
        assert len(labels) >= 2
        assert labels == {column: axis[column] for column in labels}
    assert_fits(display.figure_)
    assert_labels_are_apart(display.ax_.xaxis)


def test_components_are_lines_around_zero():
    X = data(6)
    pca = PCA(3).fit(X)
    display = ComponentsDisplay.from_estimator(pca, feature_axis=WAVELENGTHS)
    weights = 2.1 * (np.arange(3)[:, np.newaxis] - heights_of(display)[:, 0])
    assert_allclose(weights, pca.components_ / np.abs(pca.components_).max(axis=1, keepdims=True))
    assert texts(display.ax_.yaxis) == ["0", "1", "2"]
    assert display.ax_.get_ylabel() == "component"
    display = ComponentsDisplay.from_estimator(pca, feature_axis=WAVELENGTHS, scale_each=False)
    weights = row_height_of(display) * (np.arange(3)[:, np.newaxis] - heights_of(display)[:, 0])
    assert_allclose(weights, pca.components_)


@pytest.mark.parametrize("shift", [0, 1e4])
def test_each_row_has_a_sample_and_its_reconstructions(shift):
    X = data(6) + shift * np.arange(12)[:, np.newaxis]
    reconstructions = {"PCA": X + 0.1, "a label of more words than fit on one line": -X}
    display = ReconstructionDisplay.from_reconstructions(X, reconstructions, n_samples=3, feature_axis=WAVELENGTHS)
    heights = heights_of(display)
    curves = np.stack([X[:3], X[:3] + 0.1, -X[:3]], axis=1)
    changes = -np.diff(heights, axis=1) * row_height_of(display)
    assert_allclose(changes, np.diff(curves, axis=1), rtol=1e-4, atol=1e-4)
    assert (heights[:-1].max(axis=(1, 2)) < heights[1:].min(axis=(1, 2))).all()
    assert legend_texts(display)[0] == "original"
    assert legend_texts(display)[1].startswith("PCA\nR² ")
    assert len({line.get_linestyle() + line.get_color() for line in display.lines_[0]}) == 3
    assert_fits(display.figure_)
    legend, axes = display.ax_.get_legend().get_window_extent(), display.ax_.get_window_extent()
    assert not legend.overlaps(axes)


def test_each_row_has_the_steps_of_a_component():
    X = data(6)
    display = TraversalDisplay.from_estimator(PCA(3).fit(X), X, units=[2, 0], n_steps=4, feature_axis=WAVELENGTHS)
    heights = heights_of(display)
    changes = -np.diff(heights, axis=1) * row_height_of(display)
    assert_allclose(changes, np.diff(display.decoded, axis=1), atol=1e-8)
    assert (heights[:-1].max(axis=(1, 2)) < heights[1:].min(axis=(1, 2))).all()
    assert texts(display.ax_.yaxis) == ["2", "0"]
    (bar,) = display.ax_.child_axes
    assert texts(bar.yaxis) == ["0.05", "0.95"]
    assert bar.get_ylabel() == "quantile of the component"
    assert len({tuple(line.get_color()) for line in display.lines_[0]}) == 4
    without = TraversalDisplay(display.decoded, display.values, [2, 0], feature_axis=WAVELENGTHS).plot(cmap="gray")
    assert texts(without.ax_.child_axes[0].yaxis) == ["first", "last"]
    assert np.ptp([line.get_color()[:3] for line in without.lines_[0]], axis=1).max() == 0


@pytest.mark.parametrize(("n_components", "n_samples"), [(1, 1), (6, 50)])
def test_any_number_of_lines_fits(n_components, n_samples):
    X, axis = data(6, n=60), pd.Series(WAVELENGTHS, name="a long name of the axis, with its unit")
    pca = PCA(n_components).fit(X)
    for display in (
        ComponentsDisplay.from_estimator(pca, feature_axis=axis),
        ReconstructionDisplay.from_estimator(pca, X, n_samples=n_samples, feature_axis=axis),
        TraversalDisplay.from_estimator(pca, X, feature_axis=axis),
    ):
        assert_fits(display.figure_)
        assert_labels_are_apart(display.ax_.yaxis)


def test_lines_of_named_features_have_their_names():
    names = ["alcohol", "ash", "hue"]
    display = ComponentsDisplay.from_components(np.eye(3), feature_names=names, kind="line")
    assert texts(display.ax_.xaxis) == names
    assert_array_equal(display.lines_[0, 0].get_xdata(), range(3))


@pytest.mark.parametrize(
    "display",
    [
        ComponentsDisplay(np.zeros((2, 4))),
        ReconstructionDisplay(np.ones((2, 4)), {"same": np.ones((2, 4))}),
        TraversalDisplay(np.ones((1, 3, 4)), np.zeros((1, 3)), [0]),
    ],
    ids=DRAW,
)
def test_constant_lines_are_drawn(display):
    heights = heights_of(display.plot(kind="line"))
    assert_array_equal(heights, np.broadcast_to(np.arange(len(heights))[:, None, None], heights.shape))
    assert_fits(display.figure_)


@pytest.mark.parametrize(("scale_each", "divisors"), [(True, [2, 8]), (False, [8, 8])])
def test_grey_is_zero_in_components_in_colour(scale_each, divisors):
    components = np.array([[0, 1, 2, 0, -1, -2], [8, 0, 0, -4, 0, 0]], dtype=float)
    display = ComponentsDisplay.from_components(components, image_shape=(1, 2, 3), scale_each=scale_each)
    colors = 0.5 + 0.5 * components / np.transpose([divisors])
    assert_allclose(tiles(display, (1, 2, 3), 2).reshape(2, 6), colors)
    (key,) = display.ax_.child_axes
    assert texts(key.xaxis) == ["R", "G", "B"]
    limit = 1 if scale_each else 8
    assert texts(key.yaxis) == [f"-{limit}", "0", f"{limit}"]
    opposite = ComponentsDisplay.from_components(-components, image_shape=(1, 2, 3), scale_each=scale_each)
    assert_allclose(tiles(opposite, (1, 2, 3), 2), 1 - tiles(display, (1, 2, 3), 2))
    assert_fits(display.figure_)


@pytest.mark.parametrize(
    ("scale", "shift", "low", "high"),
    [(1, 0, 0, 1), (255, 0, 0, 255), (0.5, 0, 0, 1), (1, -0.5, None, None), (16, 0, None, None), (1e3, 0, None, None)],
)
def test_colours_of_samples_are_in_the_range_of_the_data(scale, shift, low, high):
    X = scale * (data(12, n=5) + shift)
    outside = X + np.where(np.arange(12) % 2, -2, 2) * scale
    low, high = (X.min(), X.max()) if low is None else (low, high)
    display = ReconstructionDisplay.from_reconstructions(X, {"outside": outside}, image_shape=(2, 2, 3))
    drawn = tiles(display, (2, 2, 3), 5).reshape(2, 5, 12)
    assert_allclose(drawn[0], (X - low) / (high - low))
    assert_array_equal(drawn[1], np.broadcast_to(np.arange(12) % 2 == 0, (5, 12)))
    steps = X[np.newaxis]
    traversal = TraversalDisplay(steps, np.zeros((1, 5)), [0], image_shape=(2, 2, 3)).plot()
    assert_allclose(tiles(traversal, (2, 2, 3), 5).reshape(5, 12), drawn[0])


def test_one_channel_is_grey(draw):
    X = data(12)
    one, none = (draw(X, image_shape=shape) for shape in ((3, 4, 1), (3, 4)))
    assert_array_equal(one.im_.get_array(), none.im_.get_array())
    assert one.im_.get_cmap() == none.im_.get_cmap()


def test_samples_without_an_axis_are_a_heat_map_in_which_each_feature_has_its_range():
    X = np.array([[0, 100, 5], [1, 300, 5], [4, 200, 5]], dtype=float)
    frame, shifted = pd.DataFrame(X, columns=["a", "b", "c"]), X + np.array([1, 50, 20])
    display = ReconstructionDisplay.from_reconstructions(frame, {"shifted": shifted})
    original, reconstruction = tiles(display, (3, 3), 1)
    assert_allclose(original, [[0, 0, 0], [0.25, 1, 0], [1, 0.5, 0]])
    assert_allclose(reconstruction - original, np.broadcast_to([0.25, 0.25, 0.1], (3, 3)))
    assert display.im_.get_clim() == (0, 1)
    assert texts(display.ax_.xaxis) == ["a", "b", "c"]
    assert texts(display.ax_.yaxis)[0] == "original"
    assert_fits(display.figure_)


def test_samples_with_an_axis_are_a_heat_map_in_one_unit():
    X = data(6)
    display = ReconstructionDisplay.from_reconstructions(X, {"same": X}, feature_axis=WAVELENGTHS, kind="heatmap")
    assert_array_equal(tiles(display, (10, 6), 1), [X[:10], X[:10]])
    assert display.im_.get_clim() == (X[:10].min(), X[:10].max())


def test_plot_draws_another_kind_again(draw):
    display = draw(data(4))
    assert [kind_of(display.plot(kind=kind)) for kind in ("line", "heatmap", "image")] == ["line", "heatmap", "image"]


@pytest.mark.parametrize(
    ("n_features", "settings", "message"),
    [
        (6, {"kind": "lines"}, "kind must be one of 'auto', 'image', 'line', 'heatmap', got 'lines'"),
        (6, {"kind": "image"}, r"kind='image' needs image_shape=.*: 6 features do not form a square"),
        (6, {"feature_axis": [1, 2, 3]}, r"one number for each of the 6 features, got shape \(3,\)"),
        (3, {"feature_axis": [1, 3, 2]}, r"increasing or decreasing order, .* got \[1 3 2\]"),
        (3, {"feature_axis": [1, 1, 2]}, "increasing or decreasing order"),
        (3, {"feature_axis": [1, np.nan, 2]}, "finite numbers"),
        (3, {"feature_axis": ["red", "green", "blue"]}, "finite numbers"),
        (3, {"feature_axis": pd.date_range("2020", periods=3)}, "datetime64.* pass dates as the seconds"),
        (12, {"image_shape": (3, 1, 4)}, r"channels is 3 for red, green and blue or 1 for grey, got \(3, 1, 4\)"),
        (12, {"image_shape": (2, 2, 4)}, "got"),
        (12, {"image_shape": (12,)}, r"height \* width = 12"),
        (12, {"image_shape": (4, 4, 3)}, r"height \* width \* channels = 12"),
        (12, {"image_shape": (-2, -2, 3)}, r"height \* width = 12"),
    ],
    ids=str,
)
def test_features_that_do_not_fit_raise_an_error(draw, n_features, settings, message):
    with pytest.raises(ValueError, match=message):
        draw(data(n_features), **settings)


def test_lines_without_matplotlib_name_the_extra_to_install(draw, monkeypatch):
    display = draw(data(4))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-ae\[plot\]"'):
        display.plot(kind="line")
