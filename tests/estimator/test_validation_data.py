"""Validation data of the user's own, X_val: all of X trains, and X_val alone chooses the best epoch."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import quick
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score

NAMES = [f"column {i}" for i in range(8)]


@pytest.fixture(scope="module")
def X():
    return curved(0, 120)


@pytest.fixture(scope="module")
def X_val():
    return curved(1, 30)


def curved(seed: int, n_samples: int) -> np.ndarray:
    """Return samples of eight features near one curved surface of two dimensions."""
    rng, shape = np.random.default_rng(seed), np.random.default_rng(99)
    h = rng.normal(size=(n_samples, 2))
    return h @ shape.normal(size=(2, 8)) + np.square(h) @ shape.normal(size=(2, 8)) + 0.1 * rng.normal(size=(len(h), 8))


def same_fit(one: AutoencoderTransformer, other: AutoencoderTransformer, X: np.ndarray, **tolerance) -> None:
    assert_allclose(one.transform(X), other.transform(X), **tolerance)
    assert_allclose(one.validation_scores_, other.validation_scores_, **tolerance)


class SamplesSeen(Callback):
    """Counts the samples of the last epoch, by whether they train."""

    def on_epoch_begin(self, net, **kwargs):
        self.seen = {True: 0, False: 0}

    def on_batch_end(self, net, batch, training, **kwargs):
        self.seen[training] += len(batch[0])


@pytest.mark.parametrize("early_stopping", [True, "X_val"])
def test_all_samples_train_and_those_of_X_val_validate(X, X_val, early_stopping):
    watch = SamplesSeen()
    given = {"X_val": X_val} if early_stopping == "X_val" else {}
    quick(callbacks=[watch], validation_fraction=0.5).fit(X, **given)
    assert watch.seen == ({True: 120, False: 30} if given else {True: 60, False: 60})


def test_the_scores_are_those_of_X_val(X, X_val):
    model = quick(max_epochs=10).fit(X, X_val=X_val)
    assert len(model.validation_scores_) == 11
    assert_allclose(model.validation_scores_[model.best_epoch_], model.score(X_val), atol=1e-6)
    assert model.validation_scores_[model.best_epoch_] == model.validation_scores_.max() > model.validation_scores_[0]


def test_training_is_that_without_a_split(X, X_val):
    model, alone = quick().fit(X, X_val=X_val), quick(early_stopping=False).fit(X)
    assert_array_equal(model.loss_curve_, alone.loss_curve_)
    assert_allclose(model.mean_, X.mean(axis=0), rtol=1e-13)


def test_mean_scale_and_ranges_are_those_of_X(X, X_val):
    params = {"output_activation": "clip", "max_epochs": 0}
    model, far = quick(**params).fit(X, X_val=X_val), quick(**params).fit(X, X_val=100 * X_val)
    assert_array_equal(model.transform(X), far.transform(X))
    assert_array_equal(model.inverse_transform(np.full((1, 2), 1e6)), far.inverse_transform(np.full((1, 2), 1e6)))
    assert model.validation_scores_[0] != far.validation_scores_[0]


@pytest.mark.parametrize("n_components", [0.5, "auto"])
def test_X_val_selects_the_number_of_components(X, n_components):
    flat = X.mean(axis=0) + np.outer(np.linspace(-1, 1, 40), np.ones(8))  # a line, which one component cannot miss
    for X_val in (X, flat):
        model = quick(n_components, max_epochs=5).fit(X, X_val=X_val)
        curve = model.set_params(ordered=True).reconstruction_curve(X_val)
        if n_components == 0.5:
            assert curve[-1] >= 0.5 > max([0.0, *curve[:-1]])
    assert quick(0.5).fit(X, X_val=flat).n_components_ != quick(0.5).fit(X, X_val=X).n_components_


@pytest.mark.parametrize("kind", ["sparse", "frame", "float32", "list", "tensor", "chunks", "memory map", "dask"])
def test_X_val_may_be_whatever_X_may_be(X, X_val, kind, tmp_path):
    if kind == "memory map":
        np.save(tmp_path / "X_val.npy", X_val)
    make = {
        "sparse": csr_array,
        "frame": pd.DataFrame,
        "float32": lambda data: data.astype(np.float32),
        "list": np.ndarray.tolist,
        "tensor": torch.from_numpy,
        "chunks": lambda data: [data[:10], data[10:]],
        "memory map": lambda data: np.load(tmp_path / "X_val.npy", mmap_mode="r"),
        "dask": lambda data: pytest.importorskip("dask.array").from_array(data, chunks=(7, 8)),
    }
    expected = quick().fit(X, X_val=X_val)
    same_fit(quick().fit(X, X_val=make[kind](X_val)), expected, X, atol=1e-5)
    with config_context(working_memory=0):  # read block by block, where the kind allows it
        same_fit(quick().fit(X, X_val=make[kind](X_val)), expected, X, atol=1e-5)


@pytest.mark.parametrize("kind", ["sparse", "chunks"])
def test_X_of_any_kind_takes_X_val(X, X_val, kind):
    made = csr_array(X) if kind == "sparse" else [X[:50], X[50:]]
    watch = SamplesSeen()
    with config_context(working_memory=0):
        model = quick(callbacks=[watch]).fit(made, X_val=X_val)
    assert watch.seen == {True: 120, False: 30}
    assert_allclose(model.validation_scores_[model.best_epoch_], model.score(X_val), atol=1e-5)


def test_missing_entries_of_X_val_alone_are_left_out(X, X_val):
    gaps = X_val.copy()
    gaps[::3, 2] = np.nan
    model = quick(missing="mask").fit(X, X_val=gaps)
    assert_allclose(model.validation_scores_[model.best_epoch_], model.score(gaps), atol=1e-6)


def with_entry(X: np.ndarray, value: float) -> np.ndarray:
    changed = X.copy()
    changed[3, 4] = value
    return changed


REFUSED = {
    "missing": (lambda V: with_entry(V, np.nan), {}, "X_val cannot be used: .*contains NaN in column 4"),
    "infinite": (lambda V: with_entry(V, np.inf), {}, "X_val cannot be used: .*infinity in column 4"),
    "columns": (lambda V: V[:, :5], {}, "X_val cannot be used: X has 5 features, but .* is expecting 8"),
    "one dimension": (lambda V: V[0], {}, "X_val cannot be used: Expected 2D array"),
    "empty": (lambda V: V[:0], {}, "X_val cannot be used: Found array with 0 sample"),
    "text": (lambda V: [["a"] * 8], {}, "X_val cannot be used"),
    "generator": (lambda V: iter([V]), {}, "X_val cannot be used: X is a list_iterator"),
    "too large": (lambda V: 1e30 * V, {}, "X_val cannot be used: X has entries too large"),
    "range": (lambda V: 10 * V, {"loss": "poisson"}, "X_val cannot be used: .*models data in"),
    "names": (lambda V: pd.DataFrame(V).add_prefix("x"), {}, "X_val cannot be used: The feature names"),
    "no early stopping": (lambda V: V, {"early_stopping": False}, "X_val chooses .*set early_stopping=True"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_validate_raises_and_leaves_an_earlier_fit(X, X_val, case):
    make, params, message = REFUSED[case]
    given = pd.DataFrame(np.abs(X), columns=NAMES) if case == "names" else np.abs(X)
    model = quick().fit(given)
    before = model.transform(given)
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(given, X_val=make(X_val))
    assert_array_equal(model.transform(given), before)


def test_a_sparse_matrix_of_complex_numbers_raises_by_name(X, X_val):
    with pytest.raises(ValueError, match="X_val cannot be used: Complex data not supported"):
        quick().fit(X, X_val=csr_array(X_val + 1j))


def test_names_of_an_earlier_fit_do_not_bind_X_val(X, X_val):
    model = quick().fit(pd.DataFrame(X, columns=NAMES))
    assert not hasattr(model.fit(X, X_val=X_val), "feature_names_in_")


def test_fit_transform_passes_X_val(X, X_val):
    assert_array_equal(quick().fit_transform(X, X_val=X_val), quick().fit(X, X_val=X_val).transform(X))


def test_partial_fit_takes_no_X_val(X, X_val):
    with pytest.raises(TypeError, match="X_val"):
        quick().partial_fit(X, X_val=X_val)


def test_a_warm_start_validates_on_other_X_val(X, X_val):
    model = quick(warm_start=True).fit(X, X_val=X_val)
    reached = model.score(X[:20])
    assert_allclose(model.fit(X, X_val=X[:20]).validation_scores_[0], reached, atol=1e-6)


@pytest.mark.parametrize("last", [True, False])
def test_a_pipeline_transforms_X_val_as_X(X, X_val, last):
    scaler = StandardScaler().fit(X)
    expected = quick().fit(scaler.transform(X), X_val=scaler.transform(X_val))
    with config_context(enable_metadata_routing=True):
        steps = [("scale", StandardScaler()), ("ae", quick().set_fit_request(X_val=True))]
        steps += [] if last else [("again", StandardScaler())]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(X, X_val=X_val)
        codes = Pipeline(steps, transform_input=["X_val"]).fit_transform(X, X_val=X_val)
    same_fit(pipeline["ae"], expected, scaler.transform(X))
    assert_array_equal(codes, pipeline.transform(X))


def test_a_pipeline_passes_X_val_by_the_name_of_the_step(X, X_val):
    scaler = StandardScaler().fit(X)
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", quick())]).fit(X, ae__X_val=scaler.transform(X_val))
    same_fit(pipeline["ae"], quick().fit(scaler.transform(X), X_val=scaler.transform(X_val)), scaler.transform(X))


@pytest.mark.parametrize("routing", [False, True])
def test_a_grid_search_passes_X_val_to_all_fits(X, X_val, routing):
    with config_context(enable_metadata_routing=routing):
        model = quick().set_fit_request(X_val=True) if routing else quick()
        search = GridSearchCV(model, {"n_components": [1, 3]}, cv=KFold(3)).fit(X, X_val=X_val)
    same_fit(search.best_estimator_, quick(3).fit(X, X_val=X_val), X)
    train, test = next(KFold(3).split(X))
    assert search.cv_results_["split0_test_score"][1] == quick(3).fit(X[train], X_val=X_val).score(X[test])


def test_a_grid_search_over_a_pipeline_scales_X_val_in_each_fold(X, X_val):
    with config_context(enable_metadata_routing=True):
        steps = [("scale", StandardScaler()), ("ae", quick().set_fit_request(X_val=True))]
        pipeline = Pipeline(steps, transform_input=["X_val"])
        search = GridSearchCV(pipeline, {"ae__n_components": [3]}, cv=KFold(3), scoring=reconstruction_score).fit(
            X, X_val=X_val
        )
    train, test = next(KFold(3).split(X))
    scaler = StandardScaler().fit(X[train])
    expected = quick(3).fit(scaler.transform(X[train]), X_val=scaler.transform(X_val))
    score = reconstruction_score(Pipeline([("scale", scaler), ("ae", expected)]), X[test])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(score, abs=1e-12)
