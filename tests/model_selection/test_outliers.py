"""Outliers by reconstruction errors: the interface of detectors, what offsets mean, Pipelines inside and around."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import quick
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from skops import io as skops_io

from sklearn_ae.model_selection import reconstruction_error
from sklearn_ae.outliers import ReconstructionDetector
from sklearn_ae.preprocessing import FrameEncoder

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
OURS = ["sklearn_ae._autoencoder.AutoencoderTransformer", "sklearn_ae.outliers.ReconstructionDetector"]


@pytest.fixture(scope="module")
def outliers(small) -> np.ndarray:
    """Return samples with the features of `small` in another order."""
    return small[:20, ::-1]


@pytest.mark.parametrize("contamination", ["auto", 0.1])
@pytest.mark.parametrize(
    "estimator",
    [
        PCA(1),
        make_pipeline(StandardScaler(), PCA(1)),
        quick(1),
        pytest.param(quick(1, missing="mask"), marks=pytest.mark.slow),
        make_pipeline(StandardScaler(), quick(1)),
    ],
    ids=["pca", "pipeline of pca", "autoencoder", "masked", "pipeline"],
)
def test_the_checks_of_scikit_learn_pass(estimator, contamination, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else scikit-learn skips the check of array API input
    logs = check_estimator(ReconstructionDetector(estimator, contamination=contamination, cv=2))
    assert len(logs) > 40
    assert {log["status"] for log in logs} == {"passed"}


@pytest.mark.parametrize("estimator", [PCA(3), quick(3)], ids=["pca", "autoencoder"])
def test_finds_samples_of_another_kind(estimator, small, outliers):
    detector = ReconstructionDetector(estimator).fit(small)
    assert (detector.predict(small) == 1).mean() > 0.9
    assert (detector.predict(outliers) == -1).all()
    assert_array_equal(detector.score_samples(outliers), -reconstruction_error(detector.estimator_, outliers))
    assert_array_equal(detector.decision_function(small), detector.score_samples(small) - detector.offset_)
    assert_array_equal(detector.predict(small), np.where(detector.decision_function(small) >= 0, 1, -1))
    assert_array_equal(clone(detector).fit_predict(small), detector.predict(small))


@pytest.mark.parametrize("contamination", [0.05, 0.25, 0.5])
def test_a_fraction_is_that_of_the_training_data(contamination, small):
    detector = ReconstructionDetector(PCA(3), contamination=contamination)
    assert (detector.fit_predict(small) == -1).mean() == contamination


@pytest.mark.parametrize(("cv", "splitter"), [(4, KFold(4)), (ShuffleSplit(1, random_state=0),) * 2])
def test_auto_is_the_fence_of_a_boxplot_of_held_out_distances(cv, splitter, small):
    detector = ReconstructionDetector(PCA(3), cv=cv).fit(small)
    errors = [reconstruction_error(PCA(3).fit(small[i]), small[j]) for i, j in splitter.split(small)]
    lower, upper = np.quantile(np.sqrt(np.concatenate(errors)), [0.25, 0.75])
    assert np.sqrt(-detector.offset_) == pytest.approx(upper + 1.5 * (upper - lower))


def test_auto_holds_for_new_samples_where_errors_of_training_data_are_too_small():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(60, 40)), rng.normal(size=(2000, 40))
    detector = ReconstructionDetector(PCA(20)).fit(X)
    assert (detector.predict(new) == -1).mean() < 0.05
    distances = np.sqrt(reconstruction_error(detector.estimator_, X))
    lower, upper = np.quantile(distances, [0.25, 0.75])
    in_training = -((upper + 1.5 * (upper - lower)) ** 2)
    assert (detector.score_samples(new) < in_training).mean() > 0.5


def test_a_pipeline_inside_scores_as_one_around_it(small):
    scales = 10.0 ** np.arange(8)
    inside = ReconstructionDetector(make_pipeline(StandardScaler(), "passthrough", PCA(2)), contamination=0.1)
    around = make_pipeline(StandardScaler(), ReconstructionDetector(PCA(2), contamination=0.1))
    for X in (small, small * scales):
        scores = inside.fit(X).score_samples(X)
        np.testing.assert_allclose(around.fit(X).score_samples(X), scores)
        assert_array_equal(around.predict(X), inside.predict(X))
        assert_array_equal(around.fit_predict(X), around.predict(X))
    by_feature = inside.reconstruction_error(small * scales, per_feature=True)
    np.testing.assert_allclose(by_feature, reconstruction_error(inside.estimator_, small * scales, per_feature=True))
    np.testing.assert_allclose((by_feature / inside.estimator_[0].var_).sum(axis=1), -scores)
    np.testing.assert_allclose(reconstruction_error(inside, small * scales), by_feature.sum(axis=1))


def test_pipelines_nest_and_may_end_in_nothing(small):
    flat = ReconstructionDetector(make_pipeline(StandardScaler(), PCA(2))).fit(small)
    nested = make_pipeline(StandardScaler(), make_pipeline("passthrough", PCA(2), "passthrough"), None)
    assert_array_equal(ReconstructionDetector(nested).fit(small).score_samples(small), flat.score_samples(small))


@pytest.mark.parametrize("library", FRAMES)
def test_frames_are_taken_and_their_names_checked(library, small, outliers):
    names = list("abcdefgh")
    frame, other = (FRAMES[library](dict(zip(names, X.T, strict=True))) for X in (small, outliers))
    pipeline = make_pipeline(StandardScaler(), quick(3)).set_output(transform=library)
    for estimator in (PCA(3), quick(3), pipeline):
        detector = ReconstructionDetector(estimator).fit(frame)
        assert detector.feature_names_in_.tolist() == names
        assert detector.n_features_in_ == 8
        assert_array_equal(detector.predict(other), clone(detector).fit(small).predict(outliers))
        with pytest.raises(ValueError, match="feature names"):
            detector.predict(other[names[::-1]])
        assert not hasattr(detector.fit(small), "feature_names_in_")


@pytest.mark.parametrize("library", FRAMES)
def test_frames_of_categories_with_gaps_are_scored_by_their_encoded_columns(library):
    columns = {"size": [1.0, 2.0, None, 5.0] * 10, "colour": ["red", "blue", "red", None] * 10}
    frame = FRAMES[library](columns)
    encoder = FrameEncoder()
    model = quick(1, loss=encoder.fit(frame).loss(), missing="mask")
    detector = ReconstructionDetector(make_pipeline(encoder, model)).fit(frame)
    around = make_pipeline(encoder, ReconstructionDetector(model)).fit(frame)
    assert np.isfinite(detector.score_samples(frame)).all()
    assert_array_equal(around.predict(frame), detector.predict(frame))


def test_a_sample_with_gaps_is_scored_by_the_mean_of_what_is_observed(small):
    given = small.copy()
    given[::2, :6] = np.nan
    given[1, :] = np.nan
    detector = ReconstructionDetector(quick(missing="mask")).fit(given)
    errors = detector.reconstruction_error(given[2:], per_feature=True)
    np.testing.assert_allclose(detector.score_samples(given)[2:], -8 * np.nanmean(errors, axis=1))
    assert detector.score_samples(given)[1] == 0


def test_sparse_data_scores_as_dense_data(small):
    X = np.where(small > 5, small, 0)
    for estimator in (TruncatedSVD(2), quick()):
        sparse = ReconstructionDetector(estimator).fit(csr_array(X))
        dense = ReconstructionDetector(estimator).fit(X)
        np.testing.assert_allclose(sparse.decision_function(csr_array(X)), dense.decision_function(X), rtol=1e-5)


@pytest.mark.parametrize("model", [PCA(3), make_pipeline(StandardScaler(), PCA(3)), quick(3)], ids=str)
def test_a_fitted_model_is_only_given_its_offset(model, small, outliers):
    model = clone(model).fit(small[:40])
    detector = ReconstructionDetector(FrozenEstimator(model), cv=2).fit(small[40:])
    assert detector.estimator_.estimator is model
    expected = ReconstructionDetector(model).fit(small[:40]).score_samples(small)
    np.testing.assert_allclose(detector.score_samples(small), expected)
    lower, upper = np.quantile(np.sqrt(-expected[40:]), [0.25, 0.75])
    assert np.sqrt(-detector.offset_) == pytest.approx(upper + 1.5 * (upper - lower))
    assert (detector.predict(outliers) == -1).all()


def test_validation_data_reaches_every_fit(small):
    detector = ReconstructionDetector(quick(), cv=3).fit(small[:60], X_val=small[60:])
    expected = quick().fit(small[:60], X_val=small[60:])
    assert_array_equal(detector.score_samples(small), expected.score_samples(small))
    assert_array_equal(clone(detector).fit_predict(small[:60], X_val=small[60:]), detector.predict(small[:60]))


@pytest.mark.parametrize("estimator", [PCA(3), quick(3)], ids=["pca", "autoencoder"])
def test_saved_detectors_predict_the_same(estimator, small, outliers):
    detector = ReconstructionDetector(make_pipeline(StandardScaler(), estimator)).fit(small)
    data = skops_io.dumps(detector)
    trusted = skops_io.get_untrusted_types(data=data)
    assert set(trusted) <= set(OURS)
    for loaded in (pickle.loads(pickle.dumps(detector)), skops_io.loads(data, trusted=trusted)):
        assert_array_equal(loaded.decision_function(outliers), detector.decision_function(outliers))


def test_a_decomposition_without_inverse_is_named(small):
    one_way = RandomTreesEmbedding()
    for estimator in (one_way, make_pipeline(StandardScaler(), one_way)):
        detector = ReconstructionDetector(estimator)
        with pytest.raises(TypeError, match="RandomTreesEmbedding has no inverse_transform, so it cannot reconstruct"):
            detector.fit(small)
        assert not hasattr(detector, "estimator_")


@pytest.mark.parametrize(
    "parameters", [{"contamination": 0}, {"contamination": 0.6}, {"contamination": "0.1"}, {"cv": 1}]
)
def test_bad_parameters_are_named(parameters, small):
    detector = ReconstructionDetector(PCA(2)).set_params(**parameters)
    with pytest.raises(ValueError, match=re.escape(next(iter(parameters))) + "|n_splits=1"):
        detector.fit(small)
    assert not hasattr(detector, "offset_")


@pytest.mark.parametrize("method", ["predict", "decision_function", "score_samples", "reconstruction_error"])
def test_unfitted_detectors_raise_an_error(method, small):
    with pytest.raises(NotFittedError):
        getattr(ReconstructionDetector(PCA()), method)(small)


def test_parameters_of_fit_are_split_like_the_samples_but_for_x_val(small):
    class Recording(PCA):
        def fit(self, X, y=None, sample_weight=None, X_val=None, flag=None):
            seen.append((len(X), len(sample_weight), len(X_val), flag))
            return super().fit(X)

    seen: list = []
    n = len(small)
    ReconstructionDetector(Recording(1), cv=2).fit(small, sample_weight=list(range(n)), X_val=small, flag="a" * n)
    assert seen == [(n, n, n, "a" * n)] + 2 * [(n // 2, n // 2, n, "a" * n)]


def test_a_pipeline_without_a_step_that_reconstructs_is_named(small):
    with pytest.raises(TypeError, match="has no step that reconstructs"):
        ReconstructionDetector(Pipeline([("nothing", "passthrough")])).fit(small)
