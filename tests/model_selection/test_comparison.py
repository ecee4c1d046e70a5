"""compare_decompositions: one table whose measures equal those of a hand-written loop over the same folds."""

import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._metrics.components import directions_and_lengths, stability
from sklearn_ae.model_selection import compare_decompositions, component_quality, reconstruction_score
from sklearn_ae.model_selection._comparison import standard_error_of_mean

SECONDS = ["fit_seconds", "transform_seconds"]
COLUMNS = ["estimator", "n_components", "r2", "r2_se", *SECONDS, "n_parameters"]
COLUMNS += ["localisation", "redundancy", "dead", "stability"]
COLUMNS_WITH_Y = [*COLUMNS, "probe", "probe_se", "neighbours", "neighbours_se", "error"]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.gamma(2, size=(90, 3)) @ rng.random((3, 6)) + 0.2 * rng.random((90, 6))


@pytest.fixture(scope="module")
def numbers(X):
    return X[:, 0] - X[:, 1] ** 2


@pytest.fixture(scope="module")
def classes(numbers):
    return np.array(["low", "middle", "high"])[np.digitize(numbers, np.quantile(numbers, [0.3, 0.7]))]


def compare(estimators, X, y=None, **params):
    return compare_decompositions(estimators, X, y, **{"cv": 3, "random_state": 0, **params})


def measures(comparison):
    """Return the table without the seconds, by estimator and number of components."""
    return comparison.to_frame().drop(columns=SECONDS).set_index(["estimator", "n_components"]).sort_index()


class Crashing(PCA):
    """PCA that fails with one seed."""

    def __init__(self, n_components=None, *, bad_seed=None, random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.bad_seed = bad_seed

    def fit(self, X, y=None):
        if self.bad_seed in (None, self.random_state):
            raise RuntimeError("bad seed")
        return super().fit(X)


class Recording(TransformerMixin, BaseEstimator):
    """Record the arguments of ``fit``, and reconstruct everything."""

    given: list  # set by a test

    def __init__(self, inner=None, random_state=None):
        self.inner = inner
        self.random_state = random_state

    def fit(self, X, y=None):
        self.given.append((self.random_state, getattr(self.inner, "random_state", None), type(X), y))
        self.is_fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X)

    def inverse_transform(self, X):
        return X


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(Recording, "given", [], raising=False)
    return Recording.given


def every_third(y):
    """Return one split that holds out every third sample."""
    test = np.arange(0, len(y), 3)
    return [(np.setdiff1d(np.arange(len(y)), test), test)]


class TestMeasures:
    @pytest.mark.parametrize("make", [PCA, quick], ids=["PCA", "AutoencoderTransformer"])
    @pytest.mark.parametrize("kind", ["classes", "numbers"])
    def test_a_hand_written_loop_gives_the_same(self, X, make, kind, request):
        y = request.getfixturevalue(kind)
        comparison = compare({"one": make()}, X, y, n_components=[2, 3])
        scores = {2: [], 3: []}
        for seed, (train, test) in zip(comparison.seeds, KFold(3, shuffle=True, random_state=0).split(X), strict=True):
            for k, of_size in scores.items():
                model = make(k, random_state=seed).fit(X[train])
                codes, held_out = model.transform(X[train]), model.transform(X[test])
                scaler = StandardScaler().fit(codes)
                probe = LogisticRegression() if kind == "classes" else Ridge()
                neighbours = KNeighborsClassifier(5) if kind == "classes" else KNeighborsRegressor(5)
                probe.fit(scaler.transform(codes), y[train])
                quality = component_quality(model, X[train])
                of_size.append(
                    {
                        "r2": reconstruction_score(model, X[test]),
                        "probe": probe.score(scaler.transform(held_out), y[test]),
                        "neighbours": neighbours.fit(codes, y[train]).score(held_out, y[test]),
                        **{name: quality[name] for name in ("localisation", "redundancy", "dead")},
                    }
                )
        for row, of_size in zip(comparison.rows, scores.values(), strict=True):
            for name in of_size[0]:
                by_hand = [fold[name] for fold in of_size]
                of_row = [fold[name] for fold in comparison.folds if fold["n_components"] == row["n_components"]]
                assert_allclose(of_row, by_hand, rtol=1e-12, atol=1e-12)
                assert row[name] == pytest.approx(np.mean(by_hand))
                if f"{name}_se" in row:
                    assert row[f"{name}_se"] == pytest.approx(np.std(by_hand, ddof=1) / np.sqrt(3))

    def test_columns_are_complete_and_in_order(self, X, classes):
        comparison = compare([PCA(), quick()], X, classes, n_components=2)
        frame = comparison.to_frame()
        assert list(frame) == COLUMNS_WITH_Y
        assert list(compare([PCA()], X, n_components=2).to_frame()) == [*COLUMNS, "error"]
        assert frame["estimator"].tolist() == ["PCA", "AutoencoderTransformer"]
        assert not frame.isna().any(axis=None)
        assert (frame[SECONDS] > 0).all(axis=None)
        assert frame["error"].tolist() == ["", ""]

    def test_y_changes_no_other_measure(self, X, classes):
        estimators = [PCA(), quick()]
        with_y, without = (measures(compare(estimators, X, y, n_components=[1, 2])) for y in (classes, None))
        pd.testing.assert_frame_equal(with_y[without.columns], without)

    def test_order_of_estimators_does_not_matter(self, X, numbers):
        named = {"a": quick(), "b": NMF(max_iter=5000, init="random"), "c": make_pipeline(StandardScaler(), PCA())}
        forwards = measures(compare(named, X, numbers, n_components=[1, 2]))
        backwards = measures(compare(dict(reversed(named.items())), X, numbers, n_components=[2, 1]))
        pd.testing.assert_frame_equal(forwards, backwards)

    def test_two_processes_equal_one(self, X, classes):
        estimators = [quick(), PCA(), NMF(max_iter=5000, init="random")]
        one, two = (measures(compare(estimators, X, classes, n_components=2, n_jobs=n)) for n in (1, 2))
        pd.testing.assert_frame_equal(one, two)

    def test_estimators_are_not_changed(self, X):
        estimator = quick(2, random_state=7)
        compare([estimator], X, n_components=3)
        assert not hasattr(estimator, "module_")
        assert (estimator.n_components, estimator.random_state) == (2, 7)

    def test_a_generator_advances_and_an_int_does_not(self, X):
        generator = np.random.RandomState(0)
        seeds = [compare([PCA(2)], X, random_state=state).seeds for state in (generator, generator, 0, 0)]
        assert seeds[0] != seeds[1]
        assert seeds[2] == seeds[3]

    def test_y_of_estimators_that_learn_from_it(self, X, numbers):
        (with_y,), (without,) = (compare([PLSRegression(2)], X, y).rows for y in (numbers, None))
        assert 0 < with_y["r2"] < 1
        assert "y" in without["error"]


class TestParameters:
    def test_weights_of_the_network_are_counted(self, X):
        (row,) = compare([quick(2, hidden_layer_sizes=(5,))], X).rows
        affine, hidden = 6 * 2 + 2 + 2 * 6 + 6, (6 * 5 + 5 + 5 * 2) + (2 * 5 + 5 + 5 * 6)
        assert row["n_parameters"] == affine + hidden

    def test_components_and_means_are_counted(self, X):
        named = {"pca": PCA(2), "nmf": NMF(2, max_iter=5000), "kernel": KernelPCA(2, fit_inverse_transform=True)}
        named["steps"] = make_pipeline(StandardScaler(), "passthrough", make_pipeline(MinMaxScaler(), PCA(2)))
        named["no mean"] = make_pipeline(StandardScaler(with_mean=False, with_std=False), PCA(2))
        counts = {row["estimator"]: row["n_parameters"] for row in compare(named, X).rows}
        assert counts == {"pca": 18, "nmf": 12, "kernel": 0, "steps": 24, "no mean": 18}


class TestStability:
    def test_a_search_of_all_matches_gives_the_same(self):
        rng = np.random.default_rng(0)
        components = [rng.normal(size=(4, 7)) for _ in range(3)]
        unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in components]
        by_hand = [
            max(np.mean(np.abs(np.sum(unit[i] * unit[j][list(order)], axis=1))) for order in permutations(range(4)))
            for i, j in [(0, 1), (0, 2), (1, 2)]
        ]
        assert stability(components) == pytest.approx(np.mean(by_hand))

    def test_order_sign_and_length_do_not_matter(self):
        components = np.random.default_rng(0).normal(size=(4, 7))
        same = -components[[2, 0, 3, 1]] * [[1], [1e200], [1e-200], [3]]
        assert stability([components, same]) == pytest.approx(1)
        assert stability([components, same]) <= 1

    def test_zeros_match_nothing(self):
        assert stability([np.eye(2), np.diag([1.0, 0.0])]) == 0.5
        directions, lengths = directions_and_lengths(np.diag([0.0, -4.0]))
        assert_array_equal(directions, [[0, 0], [0, -1]])
        assert_array_equal(lengths, [0, 4])

    def test_the_smaller_set_of_components_is_matched(self):
        assert stability([np.eye(3), np.eye(3)[[2]]]) == 1

    @pytest.mark.parametrize(
        "components",
        [[np.eye(2)], [np.eye(2), None], [None, None], [np.eye(2), np.eye(3)]],
        ids=["one fold", "failed fold", "no components", "other features"],
    )
    def test_components_without_a_match_give_nan(self, components):
        assert np.isnan(stability(components))

    def test_clear_axes_are_stable(self):
        X = np.random.default_rng(0).normal(size=(300, 5)) * [100, 30, 10, 3, 1]
        (row,) = compare([PCA(4)], X).rows
        assert row["stability"] > 0.99


class TestSizes:
    def test_the_last_step_of_a_pipeline_that_has_n_components_gets_it(self, X):
        steps = [("first", PCA(5)), ("second", make_pipeline(StandardScaler(), PCA(4))), ("last", "passthrough")]
        comparison = compare({"steps": Pipeline(steps)}, X, n_components=[1, 3])
        assert [row["n_components"] for row in comparison.rows] == [1, 3]
        assert [row["n_parameters"] for row in comparison.rows] == [36 + 5 + 5 * k + 5 for k in (1, 3)]

    def test_without_n_components_the_columns_of_the_codes_count(self, X):
        named = {"a number": PCA(3), "all": PCA(), "a fraction": PCA(0.9), "no parameter": MinMaxScaler()}
        rows = compare(named, X).rows
        assert [row["n_components"] for row in rows[:2] + rows[3:]] == [3, 6, 6]
        sizes = [fold["n_components"] for fold in compare([PCA(0.9)], X).folds]
        assert rows[2]["n_components"] == np.mean(sizes)

    def test_sizes_that_differ_between_folds_are_averaged(self):
        X = np.random.default_rng(0).normal(size=(40, 8))
        comparison = compare([PCA(0.7)], X, cv=4)
        sizes = [fold["n_components"] for fold in comparison.folds]
        assert len(set(sizes)) > 1
        assert comparison.rows[0]["n_components"] == np.mean(sizes)
        assert "PCA" in repr(comparison)

    def test_numpy_sizes_are_sizes(self, X):
        assert [row["n_components"] for row in compare([PCA()], X, n_components=np.array([1, 2])).rows] == [1, 2]

    @pytest.mark.parametrize("bad", [0, 1.5, "ab", [], [2, 2], [2, None], [2, -1]])
    def test_bad_sizes_raise_an_error(self, X, bad):
        with pytest.raises(ValueError, match=r"n_components must be an integer of at least 1.*got"):
            compare([PCA()], X, n_components=bad)

    def test_an_estimator_without_n_components_is_named(self, X):
        for estimator in (MinMaxScaler(), make_pipeline("passthrough", MinMaxScaler())):
            with pytest.raises(ValueError, match="scaler has no parameter n_components to set"):
                compare({"PCA": PCA(), "scaler": estimator}, X, n_components=2)


class TestFolds:
    @pytest.mark.parametrize("cv", [4, None])
    def test_an_int_is_shuffled_folds(self, X, classes, cv):
        comparison = compare([PCA(2)], X, classes, cv=cv, random_state=3)
        expected = KFold(cv or 5, shuffle=True, random_state=3).split(X)
        for (train, test), (expected_train, expected_test) in zip(comparison.splits, expected, strict=True):
            assert_array_equal(train, expected_train)
            assert_array_equal(test, expected_test)

    def test_splitters_and_splits_are_used_unchanged(self, X, classes):
        splitter = StratifiedKFold(3)
        by_splitter, by_splits = (
            compare([PCA(2)], X, classes, cv=cv) for cv in (splitter, list(splitter.split(X, classes)))
        )
        pd.testing.assert_frame_equal(measures(by_splitter), measures(by_splits))
        assert_array_equal(by_splitter.splits[0][1], next(splitter.split(X, classes))[1])

    def test_one_fold_has_neither_standard_errors_nor_stability(self, X, classes):
        (row,) = compare([PCA(2)], X, classes, cv=[(np.arange(60), np.arange(60, 90))]).rows
        assert np.isnan([row["r2_se"], row["probe_se"], row["neighbours_se"], row["stability"]]).all()
        assert 0 < row["r2"] < 1
        assert np.isnan(standard_error_of_mean([0.5]))

    def test_each_fold_has_a_seed_that_all_estimators_share(self, X, recorded):
        nested = {"a": Recording(PCA(random_state=1), random_state=2), "b": make_pipeline(Recording(NMF()))}
        comparison = compare(nested, X)
        assert len(set(comparison.seeds)) == 3
        assert [seeds for *seeds, _, _ in recorded] == [[seed, seed] for seed in comparison.seeds] * 2

    def test_a_fold_with_one_held_out_sample_raises_an_error(self, X):
        with pytest.raises(ValueError, match="R² needs at least two held-out samples, but fold 0 has 1"):
            compare([PCA(2)], X, cv=len(X))

    def test_training_samples_of_one_class_raise_an_error(self, X):
        y = np.arange(90) < 30
        with pytest.raises(ValueError, match="All training samples of fold 1 have the same y"):
            compare([PCA(2)], X, y, cv=[(np.arange(40), np.arange(40, 90)), (np.arange(40, 90), np.arange(40))])


class TestInput:
    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
    def test_data_frames_are_passed_on(self, X, classes, frame, recorded):
        columns = [f"column {i}" for i in range(X.shape[1])]
        table = frame(dict(zip(columns, X.T, strict=True)))
        estimators = [make_pipeline(StandardScaler(), PCA()), quick()]
        expected = measures(compare(estimators, X, classes, n_components=2))
        of_table = measures(compare(estimators, table, pd.Series(classes), n_components=2))
        pd.testing.assert_frame_equal(of_table, expected)
        compare([Recording()], table)
        assert {kind for *_, kind, _ in recorded} == {frame}

    @pytest.mark.parametrize("output", ["pandas", "polars"])
    def test_codes_may_be_data_frames(self, X, classes, output):
        estimators = [PCA(2), quick()]
        expected = measures(compare(estimators, X, classes))
        framing = [estimator.set_output(transform=output) for estimator in estimators]
        pd.testing.assert_frame_equal(measures(compare(framing, X, classes)), expected)

    def test_lists_are_data(self, X, numbers):
        expected = measures(compare([PCA(2)], X, numbers))
        pd.testing.assert_frame_equal(measures(compare([PCA(2)], X.tolist(), numbers.tolist())), expected)

    def test_whole_numbers_are_classes_until_they_are_standardised(self, X, numbers):
        counts = np.round(numbers).clip(-10)
        scaled = (counts - counts.mean()) / counts.std()
        (of_counts,), (of_scaled,) = (compare([PCA(3)], X, y, cv=every_third(y)).rows for y in (counts, scaled))
        assert of_counts["neighbours"] != pytest.approx(of_scaled["neighbours"])
        model = KNeighborsRegressor(5)
        train, test = every_third(counts)[0]
        pca = PCA(3).fit(X[train])
        expected = model.fit(pca.transform(X[train]), counts[train]).score(pca.transform(X[test]), counts[test])
        assert of_scaled["neighbours"] == pytest.approx(expected)

    def test_names_are_those_of_the_classes(self, X):
        estimators = [PCA(1), NMF(1), PCA(2), make_pipeline(PCA(1))]
        assert [row["estimator"] for row in compare(estimators, X).rows] == ["PCA 1", "NMF", "PCA 2", "Pipeline"]

    @pytest.mark.parametrize(
        ("estimators", "error", "message"),
        [
            ([], ValueError, "no estimators to compare"),
            ({}, ValueError, "no estimators to compare"),
            (PCA(), TypeError, "must be a dict or a sequence of estimators"),
            (make_pipeline(PCA(), PCA()), TypeError, "must be a dict or a sequence of estimators"),
            ("PCA", TypeError, "must be a dict or a sequence of estimators"),
            (None, TypeError, "must be a dict or a sequence of estimators"),
            ({1: PCA()}, TypeError, "names of estimators must be str"),
            ([PCA], TypeError, "instance"),
            ([3], TypeError, "does not seem to be a scikit-learn estimator"),
        ],
        ids=["empty", "empty dict", "one", "one pipeline", "str", "None", "names", "class", "number"],
    )
    def test_bad_estimators_raise_an_error(self, X, estimators, error, message):
        with pytest.raises(error, match=message):
            compare(estimators, X)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (csr_array, TypeError, "[Ss]parse"),
            (lambda X: np.where(X > 2, np.nan, X), ValueError, "X contains NaN"),
            (lambda X: X[:, 0], ValueError, "2D"),
            (lambda X: X[:1], ValueError, "minimum of 2"),
            (lambda X: X[:2], ValueError, "n_splits=3"),
        ],
        ids=["sparse", "NaN", "one-dimensional", "one sample", "fewer samples than folds"],
    )
    def test_bad_data_raises_an_error(self, X, change, error, message):
        with pytest.raises(error, match=message):
            compare([PCA(2)], change(X))

    def test_bad_targets_raise_an_error(self, X, numbers):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            compare([PCA(2)], X, numbers[:-1])
        with pytest.raises(ValueError, match="y contains NaN"):
            compare([PCA(2)], X, np.where(numbers > numbers.mean(), np.nan, numbers))
        with pytest.raises(ValueError, match="1d array"):
            compare([PCA(2)], X, np.column_stack([numbers, numbers]))
        with pytest.raises(ValueError, match="classes or numbers"):
            compare([PCA(2)], X, np.array([{i} for i in range(90)], dtype=object))


class TestErrors:
    def test_the_others_continue(self, X, classes):
        seeds = compare([PCA(2)], X).seeds
        named = {"before": PCA(2), "crash": Crashing(2, bad_seed=seeds[1]), "after": quick()}
        comparison = compare(named, X, classes)
        before, crash, after = comparison.rows
        assert crash.pop("error") == "RuntimeError: bad seed"
        assert (crash.pop("estimator"), np.isnan(crash.pop("n_components"))) == ("crash", True)
        assert np.isnan(list(crash.values())).all()
        for row in (before, after):
            assert row["error"] == ""
            assert 0 < row["r2"] < 1
        of_crash = [fold for fold in comparison.folds if fold["estimator"] == "crash"]
        assert [fold["error"] != "" for fold in of_crash] == [False, True, False]
        assert np.isnan([fold["r2"] for fold in of_crash]).tolist() == [False, True, False]

    def test_failed_rows_have_the_n_components_asked_for(self, X):
        rows = compare([Crashing(), PCA()], X, n_components=[1, 2]).rows
        assert [row["n_components"] for row in rows] == [1, 2, 1, 2]

    @pytest.mark.parametrize(
        ("estimator", "message"),
        [
            (TSNE(), "TypeError: TSNE has no transform"),
            (FeatureUnion([("pca", PCA(2))]), "TypeError: FeatureUnion has no inverse_transform"),
            (KernelPCA(2), "NotFittedError: The fit_inverse_transform parameter"),
            (PCA(20), "ValueError: n_components=20 must be between 0 and"),
            (PCA("best"), "InvalidParameterError: The 'n_components' parameter of PCA"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseEstimator) else None,
    )
    def test_an_estimator_that_cannot_reconstruct_has_the_error_in_its_row(self, X, estimator, message):
        failed, fine = compare({"failed": estimator, "fine": PCA(2)}, X).rows
        assert failed["error"].startswith(message)
        assert fine["error"] == ""

    def test_an_interrupt_ends_the_comparison(self, X, monkeypatch):
        def interrupt(self, X, y=None):
            raise KeyboardInterrupt

        monkeypatch.setattr(Crashing, "fit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compare([PCA(2), Crashing()], X)

    def test_without_components_their_measures_are_missing(self, X):
        (row,) = compare([KernelPCA(2, fit_inverse_transform=True)], X).rows
        assert np.isnan([row[name] for name in ("localisation", "redundancy", "dead", "stability")]).all()
        assert np.isfinite([row["r2"], row["r2_se"]]).all()
        assert row["error"] == ""


class TestWarnings:
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_each_row_warns_once(self, X, n_jobs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = compare({"hasty": NMF(max_iter=1), "PCA": PCA()}, X, n_components=[1, 2], n_jobs=n_jobs).rows
        assert [warning.category for warning in caught] == [ConvergenceWarning] * 2
        for k, warning in enumerate(caught, start=1):
            assert str(warning.message).startswith(f"hasty, n_components={k}, 3 of 3 folds: Maximum number of iter")
            assert warning.filename == __file__
        assert [row["error"] for row in rows] == [""] * 4

    def test_warning_filters_apply(self, X):
        hasty = {"hasty": NMF(2, max_iter=1)}
        assert (
            compare(hasty, X).rows[0]["error"].startswith("ConvergenceWarning: Maximum number")
        )  # by the filter of pytest
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("ignore", "Maximum number of iterations")
            assert compare(hasty, X).rows[0]["error"] == ""
        assert caught == []


@pytest.fixture(scope="module")
def comparison(X, classes):
    named = {"<PCA> & more": PCA(), "crash": Crashing()}
    return compare(named, X, classes, n_components=[2, 3])


class TestTable:
    def test_text_is_aligned(self, comparison):
        head, *lines = repr(comparison).splitlines()
        assert head.split() == [name for name in COLUMNS_WITH_Y if not name.endswith("_se")]
        first = comparison.rows[0]
        assert lines[0].startswith("<PCA> & more")
        assert f"{first['r2']:.3f} ± {first['r2_se']:.3f}" in lines[0]
        assert f"{first['n_parameters']}  " in lines[0]
        assert lines[2].split() == ["crash", "2", "RuntimeError:", "bad", "seed"]
        end = head.index("localisation") + len("localisation")
        assert {line[:end].split()[-1] for line in lines[:2]} == {
            f"{r['localisation']:.3f}" for r in comparison.rows[:2]
        }

    def test_without_errors_there_is_no_error_column(self, X):
        text = repr(compare([quick(hidden_layer_sizes=(500,))], X))
        assert "error" not in text
        n_parameters = 32 + (7 * 500 + 500 * 2) + (3 * 500 + 500 * 6)
        assert f" {n_parameters:,} " in text

    def test_long_errors_are_cut(self, X, monkeypatch):
        def fail(self, X, y=None):
            raise ValueError("word\n" * 100)

        monkeypatch.setattr(Crashing, "fit", fail)
        comparison = compare([Crashing()], X)
        assert len(comparison.rows[0]["error"]) > 400
        assert len(repr(comparison).splitlines()) == 2
        assert repr(comparison).endswith("word ...")

    def test_html_is_escaped(self, comparison):
        text = comparison._repr_html_()
        assert "&lt;PCA&gt; &amp; more" in text
        assert "<PCA>" not in text
        assert text.count("<tr>") == 5
        assert text.count("<th>") == text.count("<td>") / 4 == len(repr(comparison).splitlines()[0].split())

    def test_plot_draws_a_column(self, comparison):
        import matplotlib.pyplot as plt

        _, ax = plt.subplots()
        display = comparison.plot("probe", ax=ax, log_sizes=False)
        assert display.ax_ is ax
        assert ax.get_ylabel() == "score of a linear probe"
        sizes, means, errors = display.curves["<PCA> & more"]
        assert_array_equal(sizes, [2, 3])
        assert_array_equal(means, [row["probe"] for row in comparison.rows[:2]])
        assert_array_equal(errors, [row["probe_se"] for row in comparison.rows[:2]])
        plt.close("all")
        comparison.plot()
        assert len(plt.get_fignums()) == 1
        plt.close("all")


def test_a_real_comparison_prefers_the_autoencoder(digits):
    named = {"autoencoder": AutoencoderTransformer(max_epochs=20), "PCA": PCA()}
    ours, linear = compare(named, digits[:600], n_components=4).rows
    assert ours["r2"] - 3 * ours["r2_se"] > linear["r2"] + 3 * linear["r2_se"]
