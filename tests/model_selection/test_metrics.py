"""reconstruction_score, reconstruction_error and component_quality: measures for every kind of decomposition."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN
from sklearn.decomposition import NMF, PCA, DictionaryLearning, FastICA, KernelPCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import component_quality, reconstruction_error, reconstruction_score
from sklearn_ae.preprocessing import FrameEncoder


class Reconstructing(TransformerMixin, BaseEstimator):
    """Reconstruct X as ``reconstruct(X)``."""

    def __init__(self, reconstruct):
        self.reconstruct = reconstruct

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return X

    def inverse_transform(self, X):
        return self.reconstruct(X)


class Decomposed(TransformerMixin, BaseEstimator):
    """A decomposition with the given components and X itself as the code."""

    def __init__(self, components):
        self.components_ = np.asarray(components)

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def quality_of(*components, X=None):
    return component_quality(Decomposed(components), X)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.gamma(2, size=(120, 3)) @ rng.random((3, 6)) + 0.2 * rng.random((120, 6))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_pca_scores_its_explained_variance_ratio(X, k):
    pca = PCA(k).fit(X)
    assert reconstruction_score(pca, X) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_baseline_is_the_mean_of_the_samples_scored(X):
    train, test = X[:60] + 5, X[60:]
    pca = PCA(2).fit(train)
    error = np.sum((test - pca.inverse_transform(pca.transform(test))) ** 2)
    expected = 1 - error / np.sum((test - test.mean(axis=0)) ** 2)
    assert reconstruction_score(pca, test) == pytest.approx(expected)
    mean = Reconstructing(lambda X: np.broadcast_to(X.mean(axis=0), X.shape))
    assert reconstruction_score(mean, test) == pytest.approx(0)


def test_features_are_weighted_by_their_variance():
    X = np.column_stack([np.tile([-3.0, 3.0], 5), np.tile([-1.0, 1.0], 5)])
    first_only = Reconstructing(lambda X: X * [1, 0])
    assert reconstruction_score(first_only, X) == pytest.approx(9 / 10)


def test_pipeline_is_scored_in_the_units_of_its_input(X):
    X = X * [1, 1, 1, 1, 1, 100]
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    reconstruction = pipeline.inverse_transform(pipeline.transform(X))
    expected = r2_score(X, reconstruction, multioutput="variance_weighted")
    inside = reconstruction_score(pipeline[-1], pipeline[0].transform(X))
    assert reconstruction_score(pipeline, X) == pytest.approx(expected)
    assert abs(expected - inside) > 0.01


EVERYTHING_THAT_INVERTS = pytest.mark.parametrize(
    "estimator",
    [
        PCA(2),
        FastICA(2, random_state=0),
        NMF(2, max_iter=2000),
        KernelPCA(2, kernel="rbf", fit_inverse_transform=True),
        make_pipeline(MinMaxScaler(), NMF(2, max_iter=2000)),
        make_pipeline(StandardScaler(), make_pipeline("passthrough", PCA(2))),
        AutoencoderTransformer(2, max_epochs=2, random_state=0),
        make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=2, random_state=0)),
    ],
    ids=lambda estimator: "-".join(type(step).__name__ for _, step in getattr(estimator, "steps", [("", estimator)])),
)


@EVERYTHING_THAT_INVERTS
def test_scores_everything_that_inverts_better_than_the_mean(X, estimator):
    score = reconstruction_score(estimator.fit(X), X)
    assert isinstance(score, float)
    assert 0.3 < score < 1


@EVERYTHING_THAT_INVERTS
@pytest.mark.parametrize("frame", [np.asarray, pd.DataFrame, pl.DataFrame], ids=["array", "pandas", "polars"])
def test_errors_are_in_the_units_of_the_input(X, estimator, frame):
    given = frame(X * 10)
    expected = (X * 10 - np.asarray(estimator.fit(given).inverse_transform(estimator.transform(given)))) ** 2
    errors = reconstruction_error(estimator, given, per_feature=True)
    assert type(errors) is np.ndarray
    assert errors.dtype == np.float64
    assert_allclose(errors, expected, rtol=1e-5, atol=1e-8)
    assert_allclose(reconstruction_error(estimator, given), errors.sum(axis=1))
    assert reconstruction_score(estimator, given) == pytest.approx(
        1 - errors.sum() / (len(X) * np.var(X * 10, 0).sum())
    )


@pytest.mark.parametrize(
    "estimator", [TruncatedSVD(2), make_pipeline(MaxAbsScaler(), NMF(2, max_iter=2000)), MaxAbsScaler()]
)
def test_errors_of_sparse_data_are_those_of_dense_data(X, estimator):
    X = np.where(X > 1.5, X, 0)
    estimator.fit(X)
    for per_feature in (False, True):
        errors = reconstruction_error(estimator, csr_array(X), per_feature=per_feature)
        assert_allclose(errors, reconstruction_error(estimator, X, per_feature=per_feature), atol=1e-10)


def test_errors_of_missing_entries_are_missing(X):
    given = np.where(X > 2, np.nan, X)
    model = AutoencoderTransformer(2, missing="mask", max_epochs=2, random_state=0)
    for estimator in (model, make_pipeline(StandardScaler(), model), Reconstructing(lambda X: np.nan_to_num(X) + 1)):
        errors = reconstruction_error(estimator.fit(given), given, per_feature=True)
        np.testing.assert_array_equal(np.isnan(errors), np.isnan(given))
        assert_allclose(reconstruction_error(estimator, given), np.nansum(errors, axis=1))
    assert_allclose(errors[~np.isnan(errors)], 1)


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_dataframes_score_as_arrays(X, frame, output):
    columns = [f"column {i}" for i in range(X.shape[1])]
    expected = reconstruction_score(make_pipeline(StandardScaler(), PCA(2)).fit(X), X)
    table = frame(dict(zip(columns, X.T, strict=True)))
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform=output).fit(table)
    assert reconstruction_score(pipeline, table) == pytest.approx(expected)
    framing = Reconstructing(lambda X: frame(np.asarray(X) * 0.5))
    halved = reconstruction_score(Reconstructing(lambda X: X * 0.5), X)
    assert reconstruction_score(framing, table) == pytest.approx(halved)


def test_constant_data_follows_r2_score():
    X = np.full((5, 3), 2.0)
    assert reconstruction_score(Reconstructing(lambda X: X), X) == 1
    assert reconstruction_score(Reconstructing(lambda X: X + 1), X) == 0


def test_float32_is_scored_in_float64():
    rng = np.random.default_rng(0)
    X = (1000 + rng.normal(size=(20000, 2))).astype(np.float32)
    reconstruction = X + rng.normal(scale=0.1, size=X.shape).astype(np.float32)
    exact = [X.astype(np.float64), reconstruction.astype(np.float64)]
    expected = r2_score(*exact, multioutput="variance_weighted")
    score = reconstruction_score(Reconstructing(lambda X: reconstruction), X)
    assert_allclose(score, expected, rtol=1e-13)


def test_one_grid_search_switches_kind_and_size(X):
    grid = {
        "decompose": [
            PCA(),
            NMF(max_iter=1000),
            AutoencoderTransformer(max_epochs=2, output_activation="identity", random_state=0),
        ],
        "decompose__n_components": [2, 3],
    }
    pipeline = Pipeline([("scale", MaxAbsScaler()), ("decompose", PCA())])
    search = GridSearchCV(pipeline, grid, scoring=reconstruction_score, cv=2, refit=True).fit(X)
    small, large = search.cv_results_["mean_test_score"].reshape(3, 2).T
    assert (small < large).all()
    assert search.best_params_["decompose__n_components"] == 3
    assert search.score(X) == reconstruction_score(search.best_estimator_, X)
    assert reconstruction_score(search, X) == search.score(X)


def test_is_a_scorer_with_and_without_y(X):
    expected = cross_val_score(PCA(2), X, scoring=reconstruction_score, cv=3)
    y = np.arange(len(X))
    assert_allclose(cross_val_score(PCA(2), X, y, scoring=reconstruction_score, cv=3), expected)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (TSNE(), "TSNE has no transform"),
        (LogisticRegression(), "LogisticRegression has no transform"),
        (FeatureUnion([("pca", PCA())]), "FeatureUnion has no inverse_transform"),
        (
            Pipeline([("keep", "passthrough"), ("pca", PCA()), ("model", LogisticRegression())]),
            "Step 'model' of the pipeline, LogisticRegression, has no transform",
        ),
        (
            Pipeline([("union", FeatureUnion([("pca", PCA())])), ("pca", PCA())]),
            "Step 'union' of the pipeline, FeatureUnion, has no inverse_transform",
        ),
    ],
    ids=["TSNE", "classifier", "FeatureUnion", "ends in a classifier", "inner step"],
)
def test_an_estimator_that_cannot_reconstruct_is_named(X, estimator, message):
    for measure in (reconstruction_score, reconstruction_error):
        with pytest.raises(TypeError, match=message):
            measure(estimator, X)


def test_unfitted_estimators_raise_an_error(X):
    with pytest.raises(NotFittedError):
        reconstruction_score(TruncatedSVD(), X)  # PCA of scikit-learn 1.6 raises an AttributeError


def test_kernel_pca_without_an_inverse_says_which_parameter(X):
    with pytest.raises(NotFittedError, match="fit_inverse_transform"):
        reconstruction_score(KernelPCA(2).fit(X), X)


def test_bad_data_raises_an_error(X):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        reconstruction_score(Reconstructing(lambda X: X), csr_array(X))
    with pytest.raises(ValueError, match="X contains NaN"):
        reconstruction_score(Reconstructing(lambda X: X), np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match="reconstruction contains NaN"):
        reconstruction_score(Reconstructing(lambda X: X * np.nan), X)
    with pytest.raises(ValueError, match=r"shape \(120, 5\) but X has shape \(120, 6\)"):
        reconstruction_score(Reconstructing(lambda X: X[:, 1:]), X)


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_of_categories_have_no_errors(container):
    X = container({"size": [1.0, 2.0, 3.0, 5.0], "colour": ["red", "blue", "red", "blue"]})
    pipeline = make_pipeline(FrameEncoder(), PCA(1)).fit(X)
    with pytest.raises(ValueError, match=r"errors require numbers.*: \S.*\(pipeline\[-1\], pipeline\[:-1\]"):
        reconstruction_error(pipeline, X)
    assert reconstruction_error(pipeline[-1], pipeline[:-1].transform(X)).shape == (4,)


def test_bad_reconstructions_have_no_errors(X):
    with pytest.raises(ValueError, match="reconstruction contains NaN"):
        reconstruction_error(Reconstructing(lambda X: X * np.nan), X)
    with pytest.raises(ValueError, match=r"shape \(120, 5\) but X has shape \(120, 6\)"):
        reconstruction_error(Reconstructing(lambda X: X[:, 1:]), X)


def test_function_transformer_reconstructs_by_its_inverse(X):
    logarithm = FunctionTransformer(np.log1p, inverse_func=np.expm1)
    assert reconstruction_score(logarithm.fit(X), X) == pytest.approx(1)


ONE, OTHER, ZERO = [3.0, 4.0, 0.0], [4.0, -3.0, 1.0], [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ([0, 0, -2, 0], 1),
        ([3, 3, 3, 3], 0),
        ([3, -3, 3, -3], 0),
        ([1, 1, 0, 0], 2 - np.sqrt(2)),
        ([3, 4, 0, 0], 2 - 7 / 5),
    ],
)
def test_localisation_is_hoyers_sparseness(component, expected):
    quality = quality_of(component)
    assert quality.localisation == pytest.approx(expected)
    assert 0 <= quality.localisation <= 1


def test_a_single_feature_is_local():
    quality = quality_of([2.0], [-3.0])
    assert (quality.localisation, quality.redundancy) == (1, 1)


def test_orthogonal_components_are_not_redundant():
    components = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0] * [[1], [5], [0.1], [2], [1], [-1]]
    assert quality_of(*components).redundancy == pytest.approx(0, abs=1e-14)


def test_repeated_components_are_redundant():
    quality = quality_of([1, 0, 0], [0, 1, 1], [0, -2, -2])
    assert_allclose(quality.redundancy_per_component, [0, 1, 1])
    assert quality.redundancy == pytest.approx(2 / 3)


def test_redundancy_is_the_largest_cosine_to_another():
    quality = quality_of([1, 0], [0, 1], [3, 4])
    assert_allclose(quality.redundancy_per_component, [3 / 5, 4 / 5, 4 / 5])


def test_scale_and_sign_do_not_matter():
    rng = np.random.default_rng(0)
    components = rng.normal(size=(5, 8))
    expected = quality_of(*components)
    for scale in (np.array([[1], [-1], [2], [-1e3], [1e-3]]), 1e-200, -1e200):
        quality = quality_of(*components * scale)
        assert quality.dead == 0
        assert_allclose(quality.localisation_per_component, expected.localisation_per_component)
        assert_allclose(quality.redundancy_per_component, expected.redundancy_per_component)


def test_order_does_not_matter():
    rng = np.random.default_rng(0)
    components, order = rng.normal(size=(5, 8)), rng.permutation(5)
    quality, expected = quality_of(*components[order][:, ::-1]), quality_of(*components)
    assert quality.localisation == pytest.approx(expected.localisation)
    assert_allclose(quality.redundancy_per_component, expected.redundancy_per_component[order])


def test_dead_components_are_left_out():
    quality, live = quality_of(ONE, ZERO, OTHER, np.multiply(ONE, 1e-8)), quality_of(ONE, OTHER)
    assert quality.dead == 0.5
    assert quality.is_dead.tolist() == [False, True, False, True]
    assert quality.localisation == live.localisation
    assert quality.redundancy == live.redundancy
    for name in ("localisation_per_component", "redundancy_per_component"):
        assert_allclose(quality[name], np.insert(live[name], [1, 2], np.nan))


def test_a_component_without_others_is_not_redundant():
    quality = quality_of(ZERO, ONE)
    assert quality.redundancy == 0
    assert_allclose(quality.redundancy_per_component, [np.nan, 0])


def test_if_all_are_dead_localisation_and_redundancy_are_nan():
    quality = quality_of(ZERO, ZERO)
    assert quality.dead == 1
    assert np.isnan([quality.localisation, quality.redundancy]).all()
    assert np.isnan([quality.localisation_per_component, quality.redundancy_per_component]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("output", [np.asarray, pd.DataFrame, pl.DataFrame], ids=["numpy", "pandas", "polars"])
def test_a_constant_code_is_dead(output, dtype):
    codes = np.random.default_rng(0).normal(size=(1000, 3)).astype(dtype)
    codes[:, 1] = 0.1
    assert quality_of(ONE, ONE, OTHER).redundancy_per_component[0] == pytest.approx(1)
    quality = quality_of(ONE, ONE, OTHER, X=output(codes))
    assert quality.is_dead.tolist() == [False, True, False]
    assert quality.redundancy == pytest.approx(quality_of(ONE, OTHER).redundancy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_codes_that_vary_by_rounding_are_dead(dtype):
    codes = np.full((10, 2), 0.1, dtype=dtype)
    codes[::2] = np.nextafter(codes[::2], dtype(1))
    assert quality_of(ONE, OTHER, X=codes).dead == 1


def test_weak_components_are_not_dead():
    codes = np.random.default_rng(0).normal(size=(10, 2)) * [1, 1e-5]
    assert quality_of(ONE, np.multiply(OTHER, 1e-6), X=codes).dead == 0


@pytest.mark.parametrize("given", [False, True], ids=["without X", "with X"])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(
    ("svd_solver", "dtype"),
    [
        ("full", np.float64),
        ("full", np.float32),
        ("randomized", np.float64),
        ("randomized", np.float32),
        ("covariance_eigh", np.float64),  # in float32 its smallest variances are too rough
    ],
)
def test_principal_axes_beyond_the_rank_are_dead(svd_solver, dtype, whiten, given):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(600, 5)) @ rng.normal(size=(5, 20)) + 3).astype(dtype)
    pca = PCA(20, svd_solver=svd_solver, whiten=whiten, random_state=0).fit(X)
    quality = component_quality(pca, X if given else None)
    assert quality.is_dead.tolist() == [False] * 5 + [True] * 15


def test_pixels_that_are_always_zero_make_as_many_components_dead(digits):
    n_constant = np.sum(np.ptp(digits, axis=0) == 0)
    assert n_constant == 3
    for X in (None, digits):
        assert component_quality(PCA().fit(digits), X).is_dead.sum() == n_constant


def test_data_can_add_dead_components_but_not_remove_them(X):
    pca = PCA().fit(X * [1, 1, 1, 1, 1, 0])
    assert component_quality(pca).is_dead.sum() == 1
    assert component_quality(pca, X).is_dead.sum() == 1  # though X varies along it
    on_a_line = pca.mean_ + np.outer(np.arange(9.0), pca.components_[2])
    assert component_quality(pca, on_a_line).is_dead.tolist() == [True, True, False, True, True, True]
    assert component_quality(pca, X[[0] * 5]).dead == 1


def test_results_are_float64_and_the_estimator_is_unchanged(X):
    pca = PCA(3).fit(X.astype(np.float32))
    before = pca.components_.copy()
    quality = component_quality(pca)
    assert before.dtype == np.float32
    assert_allclose(pca.components_, before, rtol=0)
    assert {type(quality[name]) for name in ("localisation", "redundancy", "dead")} == {float}
    assert quality.localisation_per_component.dtype == quality.redundancy_per_component.dtype == np.float64
    assert quality.is_dead.dtype == bool


@pytest.mark.parametrize(
    "estimator",
    [
        PCA(3),
        NMF(3, max_iter=2000),
        DictionaryLearning(3, max_iter=20, random_state=0),
        FastICA(3, random_state=0),
        AutoencoderTransformer(3, max_epochs=2, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_measures_every_decomposition_alone_and_in_pipelines(digits, estimator):
    X = digits[:300] / 16
    expected = component_quality(estimator.fit(X), X)
    assert expected.dead == 0
    assert 0 < expected.localisation < 1
    assert 0 <= expected.redundancy < 1
    step = FunctionTransformer(lambda X: X / 16).fit(X)
    for pipeline in (
        Pipeline([("scale", step), ("decompose", estimator)]),
        Pipeline([("scale", step), ("inner", make_pipeline("passthrough", estimator)), ("last", "passthrough")]),
    ):
        quality = component_quality(pipeline, 16 * X)
        for name in expected:
            assert_allclose(quality[name], expected[name], rtol=0)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (KernelPCA(2), "KernelPCA"),
        (make_pipeline(PCA(2), StandardScaler()), "StandardScaler"),
        (make_pipeline("passthrough"), "Pipeline"),
    ],
    ids=["KernelPCA", "ends in a scaler", "only passthrough"],
)
def test_an_estimator_without_components_is_named(X, estimator, name):
    with pytest.raises(TypeError, match=rf"^{name} has no components_\. Use"):
        component_quality(estimator.fit(X))


@pytest.mark.parametrize(
    "estimator", [PCA(), KernelPCA(), make_pipeline(StandardScaler(), PCA())], ids=["PCA", "KernelPCA", "pipeline"]
)
def test_unfitted_decompositions_raise_an_error(X, estimator):
    for rows in (None, X):
        with pytest.raises(NotFittedError):
            component_quality(estimator, rows)


def test_codes_that_cannot_be_matched_raise_an_error(X):
    cores = DBSCAN(eps=10).fit(X)  # its components_ are rows of X
    assert component_quality(cores).dead == 0
    with pytest.raises(TypeError, match=r"DBSCAN has no transform.*leave X out"):
        component_quality(cores, X)
    with pytest.raises(ValueError, match=r"returned 6 columns for 2 components.*leave X out"):
        quality_of(ONE, OTHER, X=X)
    with pytest.raises(ValueError, match="minimum of 2"):
        component_quality(PCA(2).fit(X), X[:1])
    with pytest.raises(ValueError, match="codes contains NaN"):
        quality_of(ONE, OTHER, X=[[1.0, np.nan], [1.0, 2.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_components_must_be_finite(bad):
    with pytest.raises(ValueError, match="components_ contains"):
        quality_of(ONE, [0.0, bad, 1.0])
