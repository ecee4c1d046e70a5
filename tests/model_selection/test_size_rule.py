"""one_standard_error: the smallest number of components as good as the best within the noise of the splits."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from sklearn_ae import model_selection
from sklearn_ae.model_selection import one_standard_error


def results(sizes, scores, **more):
    """Return the cv_results_ of a search, with one row of scores per candidate; sizes of None lack the parameter."""
    scores = np.asarray(scores, dtype=float)
    params = [{} if size is None else {"k": size} for size in sizes]
    splits = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
    return {"params": params, "mean_test_score": scores.mean(axis=1), **splits, **more}


def around(mean, error=0.0):
    """Return four scores with a mean and a standard error."""
    return mean + error * np.sqrt(3) * np.array([-1, -1, 1, 1])


choose = one_standard_error("k")


class TestRule:
    def test_scores_have_the_error_asked_for(self):
        scores = around(0.7, 0.02)
        assert np.std(scores, ddof=1) / np.sqrt(4) == pytest.approx(0.02)
        assert scores.mean() == pytest.approx(0.7)

    def test_the_smallest_within_the_error_of_the_best_is_chosen(self):
        scores = [around(0.5), around(0.79), around(0.785, 0.5), around(0.8, 0.0101), around(0.6)]
        assert choose(results([1, 2, 4, 8, 16], scores)) == 1

    def test_the_error_is_that_of_the_best(self):
        scores = [around(0.79, 0.5), around(0.8, 0.005)]
        assert choose(results([1, 2], scores)) == 1
        scores = [around(0.79, 0.0), around(0.8, 0.015)]
        assert choose(results([1, 2], scores)) == 0

    def test_without_noise_the_best_is_chosen(self):
        assert choose(results([1, 2, 4], [around(0.1), around(0.3), around(0.2)])) == 1

    @pytest.mark.parametrize("scale", [1.0, -1e6, 1e-6])
    def test_differences_of_rounding_count_as_none(self, scale):
        best = scale * (1 - np.copysign(1e-9, scale))
        scores = [around(best - abs(scale) * gap) for gap in (0.1, 1e-9, 2e-9, 0.0)]
        assert choose(results([1, 2, 4, 8], scores)) == 1
        scores = [around(best - abs(scale) * gap) for gap in (0.1, 1e-5, 0.0)]
        assert choose(results([1, 2, 4], scores)) == 2

    def test_order_of_the_grid_does_not_matter(self):
        sizes, scores = np.array([1, 2, 4, 8]), np.array([around(m, 0.02) for m in (0.5, 0.7, 0.71, 0.69)])
        for order in (np.arange(4), np.arange(4)[::-1], np.array([2, 0, 3, 1])):
            assert sizes[order][choose(results(sizes[order], scores[order]))] == 2

    def test_of_the_same_size_the_best_is_chosen(self):
        scores = [around(0.795), around(0.798), around(0.796), around(0.8, 0.01)]
        assert choose(results([2, 2, 2, 4], scores)) == 1

    def test_all_alike_gives_the_smallest(self):
        assert choose(results([8, 2, 4], [around(-1.0)] * 3)) == 1

    def test_sizes_may_be_fractions(self):
        assert choose(results([0.9, 0.5, 2], [around(0.8, 0.1)] * 3)) == 1

    def test_index_is_an_int(self):
        assert type(choose(results([1, 2], [around(0.1), around(0.3)]))) is int


class TestCandidates:
    def test_nan_is_ignored(self):
        nan = np.full(4, np.nan)
        some_nan = np.array([1, 1, np.nan, 1])
        assert choose(results([1, 2, 3, 4], [nan, some_nan, around(0.3), around(0.2)])) == 2

    def test_candidates_without_the_parameter_are_ignored(self):
        assert choose(results([None, 4, 2], [around(0.99), around(0.5, 0.1), around(0.45)])) == 2

    def test_all_nan_is_an_error(self):
        with pytest.raises(ValueError, match="All candidates that have the parameter 'k' have a score of NaN"):
            choose(results([1, 2, None], [np.full(4, np.nan)] * 2 + [around(0.5)]))

    def test_an_unknown_parameter_is_an_error(self):
        with pytest.raises(ValueError, match="No candidate of the search has the parameter 'n_components'"):
            one_standard_error("n_components")(results([1], [around(0.5)]))

    @pytest.mark.parametrize("bad", [None, "mle", (128, 64)])
    def test_sizes_that_are_not_numbers_are_an_error(self, bad):
        cv_results = results([1, 2], [around(0.5)] * 2)
        cv_results["params"][1]["k"] = bad
        with pytest.raises(ValueError, match="The values of 'k' must be numbers, got"):
            choose(cv_results)

    def test_several_metrics_are_an_error(self):
        cv_results = results([1], [around(0.5)])
        cv_results["mean_test_r2"] = cv_results.pop("mean_test_score")
        with pytest.raises(ValueError, match="needs a search with a single metric"):
            choose(cv_results)

    def test_one_split_is_an_error(self):
        with pytest.raises(ValueError, match="at least two splits"):
            choose(results([1, 2], [[0.5], [0.6]]))

    def test_training_scores_do_not_matter(self):
        cv_results = results([1, 2], [around(0.79), around(0.8, 0.015)], split0_train_score=[5, 5])
        assert choose(cv_results) == 0


@pytest.fixture(scope="module")
def data():
    """Return samples of four classes that two of ten features separate."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 4
    X = np.zeros((240, 10))
    X[:, :2] = 4 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[y]
    return X + rng.normal(size=X.shape), y


class TestSearch:
    @pytest.fixture
    def search(self):
        pipeline = Pipeline([("decompose", PCA(random_state=0)), ("classify", KNeighborsClassifier())])
        name = "decompose__n_components"
        return GridSearchCV(pipeline, {name: [8, 1, 4, 2]}, refit=one_standard_error(name))

    def test_finds_the_two_directions_that_matter(self, data, search):
        search.fit(*data)
        assert search.best_params_ == {"decompose__n_components": 2}
        assert search.best_estimator_["decompose"].n_components_ == 2
        assert search.score(*data) > 0.95
        assert not hasattr(search, "best_score_")

    def test_grids_without_the_size_are_ignored(self, data, search):
        search.set_params(param_grid=[search.param_grid, {"decompose": ["passthrough"]}])
        assert search.fit(*data).best_params_ == {"decompose__n_components": 2}

    def test_can_be_pickled_and_cloned(self, data, search):
        restored = pickle.loads(pickle.dumps(clone(search)))
        assert restored.fit(*data).best_index_ == search.fit(*data).best_index_
        assert pickle.loads(pickle.dumps(search)).refit(search.cv_results_) == search.best_index_

    def test_several_metrics_raise_an_error(self, data, search):
        search.set_params(scoring=["accuracy", "balanced_accuracy"])
        with pytest.raises(ValueError, match="single metric"):
            search.fit(*data)


def test_all_is_sorted_and_complete():
    assert sorted(model_selection.__all__) == model_selection.__all__
    assert all(hasattr(model_selection, name) for name in model_selection.__all__)
