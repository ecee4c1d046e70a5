"""Size curves, explained variance, codes and comparisons: the picture shows the data, and bad input raises an error."""

import numpy as np
import pandas as pd
import pytest
from display_helpers import assert_fits, assert_labels_are_apart, legend_texts, texts
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import CodeScatterDisplay, ComparisonDisplay, ScreeDisplay, SizeCurveDisplay

LONG_NAME = "AutoencoderTransformer with dropout 0.5 and three hidden layers"


pytestmark = pytest.mark.usefixtures("close_figures")


def styles(lines):
    """Return the combinations of marker and dashes, which distinguish lines without colour."""
    return {(line.get_marker(), line.get_linestyle()) for line in lines}


@pytest.mark.parametrize("whiten", [False, True])
def test_curve_of_pca_is_the_score_of_its_first_codes(digits, whiten):
    pca, X = PCA(10, whiten=whiten).fit(digits[:1000]), digits[1000:1100]
    assert (X.std(axis=0) == 0).any()  # features that reconstruction_score leaves out
    sizes, scores = SizeCurveDisplay.from_estimators({"PCA": pca}, X).curves["PCA"]
    assert_array_equal(sizes, range(1, 11))
    for size, score in zip(sizes, scores, strict=True):
        first = pca.transform(X) * (np.arange(10) < size)
        expected = r2_score(X, pca.inverse_transform(first), multioutput="variance_weighted")
        assert score == pytest.approx(expected)
        assert score == pytest.approx(reconstruction_score(PCA(size, svd_solver="full").fit(digits[:1000]), X))


def test_sequence_is_a_curve_by_size(digits):
    X = digits[:300]
    pcas = [PCA(k).fit(X) for k in (8, 2, 4)]
    pipelines = [make_pipeline(StandardScaler(with_std=False), clone(pca)).fit(X) for pca in pcas]
    display = SizeCurveDisplay.from_estimators({"PCA": pcas, "pipelines": pipelines}, X)
    scores = [reconstruction_score(pca, X) for pca in pcas]
    first, second = display.ax_.get_lines()
    assert_array_equal(first.get_xydata(), np.transpose([[2, 4, 8], np.array(scores)[[1, 2, 0]]]))
    assert_allclose(second.get_xydata(), first.get_xydata())
    assert legend_texts(display) == ["PCA", "pipelines"]
    assert len(styles([first, second])) == 2
    assert_fits(display.figure_)


def test_other_estimators_are_one_point(digits):
    X = digits[:200]
    models = {
        "NMF": NMF(4, tol=1e-2),
        "pipeline": make_pipeline(StandardScaler(), PCA(5)),
        "kernel": KernelPCA(6, fit_inverse_transform=True),  # no components_
        "autoencoder": quick(3),
    }
    display = SizeCurveDisplay.from_estimators({name: model.fit(X) for name, model in models.items()}, X)
    for (name, model), size in zip(models.items(), (4, 5, 6, 3), strict=True):
        assert_array_equal(display.curves[name], [[size], [reconstruction_score(model, X)]])


def test_curve_of_an_ordered_estimator_is_the_score_of_its_prefixes(digits):
    X = digits + np.random.default_rng(0).uniform(0, 0.1, digits.shape)  # no feature is constant
    autoencoder, X = quick(4, ordered=True).fit(X[:200]), X[200:300] + 1
    sizes, scores = SizeCurveDisplay.from_estimators({"ordered": autoencoder}, X).curves["ordered"]
    assert_array_equal(sizes, [1, 2, 3, 4])
    assert_allclose(scores, [reconstruction_score(autoencoder.truncate(k), X) for k in sizes], rtol=1e-6)
    assert (scores < autoencoder.reconstruction_curve(X) - 0.01).all()  # about the mean of the training data


@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        ([1, 64], ["1", "2", "4", "8", "16", "32", "64"]),
        ([3, 10], ["2", "4", "8", "16"]),
        ([8], ["4", "8", "16"]),
        ([5], ["4", "8"]),
        ([1], ["1", "2"]),
        ([500, 2000], ["256", "512", "1024", "2048"]),
    ],
    ids=str,
)
def test_sizes_are_labelled_at_powers_of_two(sizes, labels):
    displays = SizeCurveDisplay({"a": (sizes, sizes)}).plot(), ComparisonDisplay({"a": (sizes, sizes, None)}).plot()
    for display in displays:
        assert texts(display.ax_.xaxis) == labels
        assert display.ax_.get_xlabel() == "number of components"
        low, high = display.ax_.get_xlim()
        assert low < min(sizes)
        assert high > max(sizes)
        assert_fits(display.figure_)
        assert_labels_are_apart(display.ax_.xaxis)


def test_sizes_can_be_drawn_evenly():
    for display in (SizeCurveDisplay({"a": ([1, 9], [0, 1])}), ComparisonDisplay({"a": ([1, 9], [0, 1], None)})):
        assert display.plot(log_sizes=False).ax_.get_xscale() == "linear"
        assert display.plot().ax_.get_xscale() == "log"


def test_marks_on_dense_lines_are_thinned():
    sizes = np.arange(1, 65)
    dense, sparse = SizeCurveDisplay({"a": (sizes, sizes / 64), "b": ([1, 4], [0, 1])}).plot().ax_.get_lines()
    assert dense.get_markevery() is not None
    assert sparse.get_markevery() is None
    assert len(dense.get_xdata()) == 64


def test_chosen_sizes_are_marked_with_a_ring():
    curves = {"a": ([1, 2], [0.1, 0.2]), LONG_NAME: ([4, 2], [0.4, 0.3])}
    display = SizeCurveDisplay(curves).plot(chosen={LONG_NAME: 4, "a": 1})
    assert_array_equal(display.ax_.get_lines()[-1].get_xydata(), [[4, 0.4], [1, 0.1]])
    assert legend_texts(display)[-1] == "chosen"
    assert_fits(display.figure_)
    with pytest.raises(ValueError, match="chosen must map labels of curves to one of their sizes, got 4 for 'a'"):
        display.plot(chosen={"a": 4})
    with pytest.raises(ValueError, match="got 1 for 'b'"):
        display.plot(chosen={"b": 1})
    with pytest.raises(TypeError, match=r"chosen must be a dict .* got int"):
        display.plot(chosen=4)


def test_estimators_without_a_size_curve_are_rejected(digits):
    with pytest.raises(TypeError, match=r"estimators must be a dict .* got PCA"):
        SizeCurveDisplay.from_estimators(PCA(), digits)
    with pytest.raises(ValueError, match="curves is empty"):
        SizeCurveDisplay.from_estimators({}, digits)
    with pytest.raises(ValueError, match=r"estimators\['PCA'\] is empty"):
        SizeCurveDisplay.from_estimators({"PCA": []}, digits)
    for estimator in (PCA(), [PCA()]):
        with pytest.raises(NotFittedError):
            SizeCurveDisplay.from_estimators({"PCA": estimator}, digits)
    with pytest.raises(TypeError, match="KMeans has no inverse_transform"):
        SizeCurveDisplay.from_estimators({"KMeans": KMeans(2, n_init=1).fit(digits)}, digits)
    for estimator in (PCA(2), [PCA(2).fit(digits)], NMF(2, tol=1e-2), quick(2, ordered=True)):
        fitted = estimator if isinstance(estimator, list) else estimator.fit(digits)
        with pytest.raises(ValueError, match="All samples of X are the same"):
            SizeCurveDisplay.from_estimators({"constant": fitted}, np.ones((5, 64)))


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (([1, 2],), r"'a' must be \(sizes, scores\), got 1 parts"),
        (([1, 2], [0.5]), "of equal length, got {'sizes': 2, 'scores': 1}"),
        (([[1]], [[0.5]]), r"sizes of 'a' must be one-dimensional, got shape \(1, 1\)"),
        (([0, 1], [0, 1]), "sizes of 'a' must be numbers of components, at least 1, got 0"),
        (([np.nan, 1], [0, 1]), "at least 1, got nan"),
    ],
    ids=["parts", "lengths", "2D", "zero", "missing"],
)
def test_curves_that_do_not_agree_are_rejected(curve, message):
    with pytest.raises(ValueError, match=message):
        SizeCurveDisplay({"a": curve}).plot()


@pytest.mark.parametrize("fractions", [[0.5, 0.25, 0.125], [0.5, -0.1, 0.2], [0.9]], ids=str)
def test_bars_are_fractions_and_the_line_their_sums(fractions):
    display = ScreeDisplay(fractions, estimator_name=LONG_NAME).plot()
    assert_array_equal([bar.get_height() for bar in display.ax_.patches], fractions)
    line = display.ax_.get_lines()[0]
    assert_array_equal(line.get_xydata(), np.transpose([range(len(fractions)), np.cumsum(fractions)]))
    assert legend_texts(display) == ["per component", "cumulative"]
    assert display.ax_.get_xlabel() == "component"
    assert display.ax_.get_ylabel() == "fraction of variance explained"
    low, high = display.ax_.get_ylim()
    assert low <= min(0, *fractions)
    assert high > max(np.cumsum(fractions))
    assert_fits(display.figure_)


def test_fractions_of_an_estimator_are_its_attribute(digits):
    pca = PCA(5).fit(digits)
    y = np.arange(len(digits)) % 2
    pipeline = make_pipeline(StandardScaler(with_std=False), PCA(5), LogisticRegression()).fit(digits, y)
    for estimator in (pca, pipeline):
        display = ScreeDisplay.from_estimator(estimator)
        assert_allclose(display.explained_variance_ratio, pca.explained_variance_ratio_)
        assert display.ax_.get_title() == "PCA"
    assert ScreeDisplay.from_estimator(pca, name="digits").ax_.get_title() == "digits"


@pytest.mark.parametrize(
    ("params", "cumulative"),
    [({}, False), ({"code": "relu"}, False), ({"ordered": True}, True), ({"hidden_layer_sizes": ()}, True)],
)
@pytest.mark.parametrize("piped", [False, True])
def test_there_are_sums_only_where_prefixes_of_the_code_are_codes(digits, params, cumulative, piped):
    autoencoder = quick(3, **params)
    estimator = make_pipeline(StandardScaler(with_std=False), autoencoder) if piped else autoencoder
    display = ScreeDisplay.from_estimator(estimator.fit(digits[:300]))
    assert legend_texts(display) == ["per component", "cumulative"][: 1 + cumulative]
    heights = [bar.get_height() for bar in display.ax_.patches]
    assert_allclose(heights, autoencoder.explained_variance_ratio_)
    labels = [line.get_label() for line in display.ax_.get_lines()]
    assert ("cumulative" in labels) == cumulative


def test_fractions_that_cannot_be_drawn_are_rejected(digits):
    with pytest.raises(NotFittedError):
        ScreeDisplay.from_estimator(PCA())
    with pytest.raises(TypeError, match="NMF has no explained_variance_ratio_ to draw"):
        ScreeDisplay.from_estimator(NMF(2, tol=1e-1).fit(digits))
    for fractions in ([], [0.5, np.nan]):
        with pytest.raises(ValueError, match="explained_variance_ratio must have at least one entry, all finite, got"):
            ScreeDisplay(fractions).plot()
    with pytest.raises(ValueError, match="one-dimensional"):
        ScreeDisplay([[0.5]]).plot()


@pytest.mark.parametrize("kind", [str, int, bool, float])
def test_each_class_has_a_marker(kind):
    codes = np.random.default_rng(0).normal(size=(60, 3))
    y = (np.arange(60) % (2 if kind is bool else 5)).astype(kind)
    display = CodeScatterDisplay(codes, y, (2, 0)).plot()
    clouds = display.ax_.collections
    assert legend_texts(display) == [str(label) for label in np.unique(y)]
    for cloud, label in zip(clouds, np.unique(y), strict=True):
        assert_array_equal(cloud.get_offsets(), codes[y == label][:, [2, 0]])
    assert len({cloud.get_paths()[0].vertices.tobytes() for cloud in clouds}) == len(clouds)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("component 2", "component 0")
    assert_fits(display.figure_)


@pytest.mark.parametrize("y", [np.linspace(0, 1, 50), np.arange(50), np.tile([0.5, 1.5], 25)], ids=["1", "2", "3"])
def test_numbers_have_a_colorbar(y):
    codes = np.random.default_rng(0).normal(size=(50, 2))
    display = CodeScatterDisplay(codes, y).plot(cmap="gray")
    (cloud,) = display.ax_.collections
    assert_array_equal(cloud.get_array(), y)
    assert cloud.get_cmap().name == "gray"
    assert display.ax_.get_legend() is None
    assert len(display.ax_.child_axes) == 1
    assert_fits(display.figure_)


def test_codes_of_an_estimator_are_the_output_of_transform(digits):
    iris = load_iris(as_frame=True)
    pipeline = make_pipeline(StandardScaler(), PCA(3)).set_output(transform="pandas").fit(iris.data)
    display = CodeScatterDisplay.from_estimator(pipeline, iris.data, iris.target, units=(1, 2), name="iris")
    assert_array_equal(display.codes, pipeline.transform(iris.data))
    assert display.ax_.get_legend().get_title().get_text() == "target"
    assert display.ax_.get_title() == "iris"
    plain = CodeScatterDisplay.from_estimator(PCA(2).fit(digits), digits)
    assert plain.ax_.get_legend() is None
    assert plain.ax_.get_title() == "PCA"
    assert_array_equal(plain.ax_.collections[0].get_offsets(), plain.codes)


def test_codes_that_cannot_be_drawn_are_rejected(digits):
    with pytest.raises(NotFittedError):
        CodeScatterDisplay.from_estimator(PCA(), digits)
    with pytest.raises(TypeError, match="LogisticRegression has no transform"):
        CodeScatterDisplay.from_estimator(LogisticRegression().fit(np.eye(2), [0, 1]), np.eye(2))
    with pytest.raises(ValueError, match="codes must have at least two components, got one"):
        CodeScatterDisplay(digits[:, :1]).plot()
    with pytest.raises(ValueError, match=r"a list of integers from 0 to 2, got \(0, 3\)"):
        CodeScatterDisplay(digits[:, :3], units=(0, 3)).plot()
    with pytest.raises(ValueError, match=r"units must be two components, .* got \(0, 1, 2\)"):
        CodeScatterDisplay(digits[:, :3], units=(0, 1, 2)).plot()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CodeScatterDisplay(digits, [1, 2]).plot()
    with pytest.raises(ValueError, match="Unknown label type"):
        CodeScatterDisplay(np.eye(2), np.array([{}, {}], dtype=object)).plot()


@pytest.fixture
def frame():
    rows = [
        ("PCA", 8, 0.7, 0.02, 0.1),
        ("PCA", 2, 0.3, 0.01, 0.2),
        ("identity", None, 0.9, 0.03, 0.001),
        ("NMF", 4, 0.4, np.nan, 0.5),
        ("failed", 2, np.nan, np.nan, np.nan),
        ("PCA", 4, np.nan, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=["estimator", "n_components", "r2", "r2_se", "fit_seconds"])


def test_comparison_is_a_line_with_error_bars_for_each_estimator(frame):
    display = ComparisonDisplay.from_frame(frame)
    assert legend_texts(display) == ["PCA", "identity", "NMF"]
    pca, nmf = display.ax_.containers
    assert_array_equal(pca.lines[0].get_xydata(), [[2, 0.3], [8, 0.7]])
    bars = pca.lines[2][0].get_segments()
    assert_allclose(bars, [[[2, 0.29], [2, 0.31]], [[8, 0.68], [8, 0.72]]])
    assert_array_equal(nmf.lines[0].get_xydata(), [[4, 0.4]])
    assert nmf.lines[2] == ()  # no error is known
    assert display.ax_.get_ylabel() == "R²"
    assert_fits(display.figure_)


def test_estimator_without_a_size_is_a_horizontal_line_and_band(frame):
    display = ComparisonDisplay.from_frame(frame)
    (line,) = [line for line in display.ax_.get_lines() if line.get_label() == "identity"]
    assert_array_equal(line.get_ydata(), [0.9, 0.9])
    (band,) = display.ax_.patches
    assert_allclose(band.get_extents().transformed(display.ax_.transData.inverted()).intervaly, [0.87, 0.93])
    assert len(styles([line, *(container.lines[0] for container in display.ax_.containers)])) == 3


def test_comparison_without_any_size_has_no_x_ticks():
    display = ComparisonDisplay({"identity": (None, [0.9], None), LONG_NAME: ([None], [0.8], [0.1])}).plot()
    assert len(display.ax_.get_xticks()) == 0
    assert len(display.ax_.get_lines()) == 2
    assert_fits(display.figure_)


@pytest.mark.parametrize(
    ("metric", "label", "scale"),
    [
        ("r2", "R²", "linear"),
        ("probe", "score of a linear probe", "linear"),
        ("neighbours", "score of nearest neighbours", "linear"),
        ("stability", "stability of the components", "linear"),
        ("localisation", "localisation of the components", "linear"),
        ("redundancy", "redundancy of the components", "linear"),
        ("dead", "fraction of dead components", "linear"),
        ("fit_seconds", "time to fit (s)", "log"),
        ("transform_seconds", "time to transform (s)", "log"),
        ("n_parameters", "number of parameters", "log"),
        ("my score", "my score", "linear"),
    ],
)
def test_every_metric_has_a_label(metric, label, scale):
    frame = pd.DataFrame({"estimator": ["PCA", "PCA"], "n_components": [2, 4], metric: [3, 5]})
    ax = ComparisonDisplay.from_frame(frame, metric).ax_
    assert ax.get_ylabel() == label
    assert ax.get_yscale() == scale


def test_missing_sizes_may_have_any_type():
    for column in (pd.array([2, None], dtype="Int64"), [2.0, np.nan], np.array([2, None], dtype=object)):
        frame = pd.DataFrame({"estimator": ["PCA", "identity"], "n_components": column, "r2": [0.5, 1.0]})
        assert_array_equal(ComparisonDisplay.from_frame(frame).curves["PCA"][0], [2])
        assert np.isnan(ComparisonDisplay.from_frame(frame).curves["identity"][0]).all()


def test_frames_that_cannot_be_drawn_are_rejected(frame):
    with pytest.raises(TypeError, match="frame must be a pandas DataFrame, got dict"):
        ComparisonDisplay.from_frame({"estimator": []})
    with pytest.raises(ValueError, match=r"\['probe'\] not among \['estimator', 'n_components', 'r2'"):
        ComparisonDisplay.from_frame(frame, "probe")
    with pytest.raises(ValueError, match="'r2' of failed is missing at every size"):
        ComparisonDisplay.from_frame(frame[frame["estimator"] == "failed"])
    with pytest.raises(ValueError, match="curves is empty"):
        ComparisonDisplay.from_frame(frame[:0])
    with pytest.raises(TypeError, match=r"curves must be a dict .* got list"):
        ComparisonDisplay([]).plot()
    with pytest.raises(ValueError, match="means of 'a' must be one-dimensional"):
        ComparisonDisplay({"a": ([1], None, None)}).plot()
