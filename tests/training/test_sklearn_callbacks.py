"""scikit-learn's callbacks see a fit and each of its epochs."""

import numpy as np
import pytest
import sklearn
from helpers import quick
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")


class Recorder:
    """Records its calls, and asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.seen, self.fitted = [], []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        assert X is not None
        self.seen.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(("end", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
        return len(self.fitted) == self.stop_after


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 5)) ** 3


def test_a_fit_is_a_task_and_each_epoch_a_subtask(X):
    recorder = Recorder()
    model = quick().set_callbacks(recorder).fit(X)
    epochs = [(what, "epoch", i) for i in range(3) for what in ("begin", "end")]
    assert recorder.seen == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    assert model.n_iter_ == 3


def test_callbacks_do_not_change_the_fit(X):
    watched, plain = quick().set_callbacks(Recorder()).fit(X), quick().fit(X)
    np.testing.assert_array_equal(watched.transform(X), plain.transform(X))
    assert watched.score(X) == plain.score(X)


@pytest.mark.parametrize("params", [{}, {"n_components": 0.5}, {"code_dropout": 0.3, "early_stopping": False}])
def test_the_fitted_estimator_of_an_epoch_is_that_of_a_fit_that_ends_there(X, params):
    recorder = Recorder()
    model = quick(lr_schedule="constant", **params).set_callbacks(recorder)
    model.fit(X)
    for n_epochs, fitted in enumerate(recorder.fitted, start=1):
        expected = quick(lr_schedule="constant", **params | {"max_epochs": n_epochs}).fit(X)
        np.testing.assert_array_equal(fitted.transform(X), expected.transform(X))
        assert fitted.n_iter_ == n_epochs
    np.testing.assert_array_equal(recorder.fitted[-1].transform(X), model.transform(X))


def test_a_callback_can_stop_training(X):
    recorder = Recorder(stop_after=2)
    model = quick(max_epochs=50).set_callbacks(recorder).fit(X)
    assert model.n_iter_ == 2
    assert recorder.seen[-2:] == [("end", "fit", 0), "teardown"]


def test_a_second_fit_of_another_size_is_reported_too(X):
    recorder = Recorder()
    model = quick().fit(X).set_callbacks(recorder)
    model.set_params(n_components=3).fit(X)
    assert recorder.fitted[0].transform(X).shape == (60, 3)


def test_a_failed_fit_is_torn_down_and_leaves_nothing(X):
    recorder = Recorder()
    model = quick().set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.where(X[0, 0] == X, np.inf, X))
    assert recorder.seen == ["setup", ("begin", "fit", 0), "teardown"]
    assert vars(model) == before


def test_the_net_keeps_neither_data_nor_estimator(X):
    model = quick().set_callbacks(Recorder()).fit(X)
    assert all(getattr(each, "tasks", None) is None for _, each in model.net_.callbacks_)


def r2(estimator, X, y):
    return {"r2": estimator.score(X)}


def scores_of(monitor):
    return [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]


def test_scoring_monitor_logs_the_score_of_each_epoch(X):
    monitor = callback.ScoringMonitor(scoring=r2)
    model = quick().set_callbacks(monitor).fit(X)
    scores = scores_of(monitor)
    assert len(scores) == 3
    assert scores[-1] == model.score(X)


def test_progress_and_scores_of_a_pipeline_and_a_search(X, capsys):
    y = (X[:, 0] > 0).astype(int)
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", quick()), ("classify", LogisticRegression())])
    pipeline.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "AutoencoderTransformer" in capsys.readouterr().out

    monitor = callback.ScoringMonitor(scoring=r2)
    pipeline.set_callbacks().named_steps["reduce"].set_callbacks(monitor)
    search = GridSearchCV(clone(pipeline), {"reduce__n_components": [1, 2]}, cv=2)
    search.fit(X, y)
    assert len(scores_of(monitor)) == (2 * 2 + 1) * 3


def test_without_scikit_learns_support_the_version_is_named(monkeypatch):
    import builtins
    import importlib

    from sklearn_ae._utils import compat

    find = builtins.__import__

    def without_callbacks(name, *args, **kwargs):
        if name == "sklearn.callback":
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_callbacks)
    try:
        importlib.reload(compat)
        with pytest.raises(NotImplementedError, match=f"scikit-learn 1.9.*{sklearn.__version__}.*callbacks="):
            compat.CallbackSupportMixin().set_callbacks(Recorder())
    finally:
        monkeypatch.undo()
        importlib.reload(compat)
