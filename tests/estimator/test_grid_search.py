"""scikit-learn's searches, curves and compositions work with the autoencoder."""

import numpy as np
import pandas as pd
import pytest
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_ae.model_selection import one_standard_error, reconstruction_score

HIDDEN = {"hidden_layer_sizes": [(), (4,), (8,), (16,)]}


@pytest.fixture(scope="module")
def y(small):
    return (small[:, 0] > np.median(small[:, 0])).astype(int)


def halving(estimator, **params):
    """Return a search in which half of the candidates continue with twice the epochs, up to four."""
    return HalvingGridSearchCV(
        estimator, HIDDEN, **{"resource": "max_epochs", "max_resources": 4, "factor": 2, "cv": 2, **params}
    )


class TestHalving:
    def test_the_last_round_has_the_greatest_number_of_epochs(self, small):
        search = halving(quick(early_stopping=False)).fit(small)
        assert search.n_resources_ == [1, 2, 4]
        assert search.n_candidates_ == [4, 2, 1]
        assert search.best_params_["max_epochs"] == search.best_estimator_.n_iter_ == 4
        assert search.best_params_["hidden_layer_sizes"] in HIDDEN["hidden_layer_sizes"]

    def test_the_first_round_can_have_more_epochs(self, small):
        search = halving(quick(), min_resources=2).fit(small)
        assert search.n_resources_ == [2, 4]
        assert search.n_candidates_ == [4, 2]

    def test_the_greatest_number_of_epochs_must_be_given(self, small):
        with pytest.raises(ValueError, match="max_resources='auto'"):
            halving(quick(), max_resources="auto").fit(small)

    def test_the_better_half_continues(self, small):
        results = pd.DataFrame(halving(quick(init="random"), cv=KFold(2)).fit(small).cv_results_)
        first, second = (results[results["iter"] == i] for i in (0, 1))
        best = first.nlargest(2, "mean_test_score")["param_hidden_layer_sizes"]
        assert sorted(second["param_hidden_layer_sizes"]) == sorted(best)

    def test_a_fit_that_stops_early_uses_fewer_epochs_than_it_may(self, small):
        never_better = quick(early_stopping=True, n_iter_no_change=1, tol=1.0)
        search = halving(never_better, min_resources=2).fit(small)
        assert search.n_resources_ == [2, 4]
        assert search.best_estimator_.max_epochs == 4
        assert search.best_estimator_.n_iter_ == 1

    def test_a_random_search_halves_too(self, small):
        settings = {"resource": "max_epochs", "min_resources": 2, "max_resources": 4, "factor": 2, "cv": 2}
        search = HalvingRandomSearchCV(quick(), HIDDEN, n_candidates=4, random_state=0, **settings).fit(small)
        assert search.n_resources_ == [2, 4]

    def test_a_step_of_a_pipeline_halves(self, small):
        search = HalvingGridSearchCV(
            Pipeline([("scale", StandardScaler()), ("decompose", quick())]),
            {"decompose__n_components": [1, 3]},
            resource="decompose__max_epochs",
            max_resources=4,
            factor=2,
            cv=2,
            scoring=reconstruction_score,
        ).fit(small)
        assert search.n_resources_ == [2, 4]
        assert search.best_params_ == {"decompose__n_components": 3, "decompose__max_epochs": 4}


class TestScoresAndCurves:
    def test_cross_val_score_equals_a_loop(self, small):
        scores = cross_val_score(quick(3), small, cv=3)
        for score, (train, test) in zip(scores, KFold(3).split(small), strict=True):
            assert score == quick(3).fit(small[train]).score(small[test])

    def test_several_scorers_at_once(self, small):
        scoring = {"score": lambda model, X, y=None: model.score(X), "r2": reconstruction_score}
        scores = cross_validate(quick(3), small, cv=3, scoring=scoring, return_estimator=True)
        assert_allclose(scores["test_score"], scores["test_r2"], atol=0.05)  # they are relative to different means
        assert all(estimator.n_components_ == 3 for estimator in scores["estimator"])

    def test_learning_curve_grows_with_the_samples(self, small):
        sizes, _, held_out = learning_curve(
            quick(3), small, None, train_sizes=[10, 50], cv=KFold(3, shuffle=True, random_state=0)
        )
        assert_array_equal(sizes, [10, 50])
        few, many = held_out.mean(axis=1)
        assert few < many

    def test_validation_curve_grows_with_the_components(self, small):
        _, held_out = validation_curve(quick(), small, None, param_name="n_components", param_range=[1, 2, 3], cv=3)
        one, two, three = held_out.mean(axis=1)
        assert one < two < three


class TestCompositions:
    def test_feature_union_stacks_codes(self, small):
        union = FeatureUnion([("pca", PCA(2)), ("ae", quick(3))]).fit(small)
        codes = union.transform(small)
        assert_array_equal(codes, np.hstack([PCA(2).fit(small).transform(small), quick(3).fit(small).transform(small)]))
        names = [f"pca__pca{i}" for i in range(2)] + [f"ae__autoencodertransformer{i}" for i in range(3)]
        assert union.get_feature_names_out().tolist() == names

    def test_column_transformer_codes_some_columns(self, small):
        table = pd.DataFrame(small[:, :6]).add_prefix("x").assign(kind=["a", "b"] * 40)
        numbers = [f"x{i}" for i in range(6)]
        columns = ColumnTransformer([("ae", quick(2), numbers), ("kind", OneHotEncoder(sparse_output=False), ["kind"])])
        out = columns.set_output(transform="pandas").fit_transform(table)
        assert list(out) == [
            "ae__autoencodertransformer0",
            "ae__autoencodertransformer1",
            "kind__kind_a",
            "kind__kind_b",
        ]
        assert_array_equal(out.iloc[:, :2], quick(2).fit(table[numbers]).transform(table[numbers]))
        assert columns.named_transformers_["ae"].feature_names_in_.tolist() == numbers

    def test_a_classifier_on_codes_chooses_their_number(self, small, y):
        pipeline = Pipeline([("scale", StandardScaler()), ("decompose", quick()), ("classify", LogisticRegression())])
        search = GridSearchCV(pipeline, {"decompose__n_components": [1, 2, 4]}, cv=3).fit(small, y)
        assert search.best_estimator_["decompose"].n_components_ == search.best_params_["decompose__n_components"]
        assert search.best_score_ > 0.7
        assert search.predict(small).shape == y.shape

    def test_by_one_standard_error_the_number_is_no_greater(self, small, y):
        pipeline, name = make_pipeline(quick(), LogisticRegression()), "autoencodertransformer__n_components"
        best, small_enough = (
            GridSearchCV(pipeline, {name: [1, 2, 4, 6]}, cv=4, refit=refit).fit(small, y)
            for refit in (True, one_standard_error(name))
        )
        assert small_enough.best_params_[name] <= best.best_params_[name]
        assert small_enough.best_estimator_[0].n_components_ == small_enough.best_params_[name]
