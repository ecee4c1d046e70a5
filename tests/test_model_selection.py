"""reconstruction_score: one figure for everything that reconstructs."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import NMF, PCA, FastICA, KernelPCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score


class Reconstructing(TransformerMixin, BaseEstimator):
    """Reconstruct everything as `reconstruct(X)`."""

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


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.gamma(2, size=(120, 3)) @ rng.random((3, 6)) + 0.2 * rng.random((120, 6))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_pca_scores_its_explained_variance_ratio(X, k):
    pca = PCA(k).fit(X)
    assert reconstruction_score(pca, X) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_baseline_is_the_mean_of_the_rows_scored(X):
    train, test = X[:60] + 5, X[60:]
    pca = PCA(2).fit(train)
    error = np.sum((test - pca.inverse_transform(pca.transform(test))) ** 2)
    expected = 1 - error / np.sum((test - test.mean(axis=0)) ** 2)
    assert reconstruction_score(pca, test) == pytest.approx(expected)
    mean = Reconstructing(lambda X: np.broadcast_to(X.mean(axis=0), X.shape))
    assert reconstruction_score(mean, test) == pytest.approx(0)


def test_columns_weigh_by_their_variance():
    X = np.column_stack([np.tile([-3.0, 3.0], 5), np.tile([-1.0, 1.0], 5)])
    first_only = Reconstructing(lambda X: X * [1, 0])
    assert reconstruction_score(first_only, X) == pytest.approx(9 / 10)


def test_pipeline_is_judged_in_the_units_of_its_input(X):
    X = X * [1, 1, 1, 1, 1, 100]
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    reconstruction = pipeline.inverse_transform(pipeline.transform(X))
    expected = r2_score(X, reconstruction, multioutput="variance_weighted")
    inside = reconstruction_score(pipeline[-1], pipeline[0].transform(X))
    assert reconstruction_score(pipeline, X) == pytest.approx(expected)
    assert abs(expected - inside) > 0.01


@pytest.mark.parametrize(
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
def test_scores_everything_that_inverts_better_than_the_mean(X, estimator):
    score = reconstruction_score(estimator.fit(X), X)
    assert isinstance(score, float)
    assert 0.3 < score < 1


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
def test_what_cannot_reconstruct_is_named(X, estimator, message):
    with pytest.raises(TypeError, match=message):
        reconstruction_score(estimator, X)


def test_unfitted_estimators_are_refused(X):
    with pytest.raises(NotFittedError):
        reconstruction_score(PCA(), X)


def test_kernel_pca_without_an_inverse_says_which_parameter(X):
    with pytest.raises(NotFittedError, match="fit_inverse_transform"):
        reconstruction_score(KernelPCA(2).fit(X), X)


def test_bad_data_is_refused(X):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        reconstruction_score(Reconstructing(lambda X: X), csr_array(X))
    with pytest.raises(ValueError, match="X contains NaN"):
        reconstruction_score(Reconstructing(lambda X: X), np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match="reconstruction contains NaN"):
        reconstruction_score(Reconstructing(lambda X: X * np.nan), X)
    with pytest.raises(ValueError, match=r"shape \(120, 5\) but X has shape \(120, 6\)"):
        reconstruction_score(Reconstructing(lambda X: X[:, 1:]), X)


def test_function_transformer_reconstructs_by_its_inverse(X):
    logarithm = FunctionTransformer(np.log1p, inverse_func=np.expm1)
    assert reconstruction_score(logarithm.fit(X), X) == pytest.approx(1)
