"""Counts as shares of the total of each sample: ``loss="multinomial"``."""

import numpy as np
import pytest
import sklearn
from helpers import quick
from scipy import sparse
from sklearn.metrics import mean_poisson_deviance
from sklearn.utils.estimator_checks import check_dict_unchanged

from sklearn_ae.losses import Mixed, Multinomial


def drawn(n_samples=120, n_features=12, seed=0) -> np.ndarray:
    """Return counts of three topics, with totals that differ twentyfold, and a sample without counts."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(3, 0.3), n_samples) @ rng.dirichlet(np.full(n_features, 0.5), 3)
    X = rng.poisson(np.geomspace(20, 400, n_samples)[:, None] * shares).astype(float)
    X[7] = 0
    return X


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return drawn()


@pytest.fixture(scope="module")
def totals(X) -> np.ndarray:
    return X.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def model(X):
    return quick(3, loss=Multinomial(total=1.0)).fit(X)


def shares_of(model, X) -> np.ndarray:
    decoded = model.inverse_transform(model.transform(X))
    return decoded / decoded.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("total", [None, 1.0, 10_000])
def test_codes_are_decoded_with_the_mean_or_the_given_total(total, X, model):
    other = quick(3, loss=Multinomial(total=total)).fit(X)
    decoded = other.inverse_transform(other.transform(X))
    np.testing.assert_allclose(decoded.sum(axis=1), X.sum(axis=1).mean() if total is None else total, rtol=1e-6)
    np.testing.assert_allclose(shares_of(other, X), shares_of(model, X), rtol=1e-6)


def test_scores_and_errors_are_those_of_counts_with_the_totals_of_the_samples(X, totals, model):
    expected = (X - totals * shares_of(model, X)) ** 2
    np.testing.assert_allclose(model.reconstruction_error(X, per_feature=True), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.score_samples(X), -expected.sum(axis=1), rtol=1e-6)
    assert model.score(X) == pytest.approx(1 - expected.sum() / ((X - X.mean(axis=0)) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("params", [{}, {"code": "gaussian"}, {"ordered": True}, {"corruption": 0.2}], ids=str)
def test_validation_scores_are_those_of_the_samples_with_their_totals(params, X):
    """The epoch that is kept has the score of the fitted model."""
    fitted = quick(3, loss="multinomial", **params).fit(X[10:], X_val=X[:10])
    found = fitted.validation_scores_[fitted.best_epoch_]
    errors, about_mean = fitted.reconstruction_error(X[:10]).sum(), ((X[:10] - fitted.mean_) ** 2).sum()
    assert found == pytest.approx(1 - errors / about_mean, abs=1e-4)


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_codes_are_those_of_the_shares(factor, X, model):
    np.testing.assert_allclose(model.transform(factor * X), model.transform(X), atol=1e-10)


def test_samples_of_zeros_have_a_finite_code_and_no_error(X, model):
    nothing = np.zeros((3, 12))
    assert np.isfinite(model.transform(nothing)).all()
    np.testing.assert_array_equal(model.reconstruction_error(nothing), 0)
    of_zeros = quick(2, loss="multinomial").fit(nothing)
    assert np.isfinite(of_zeros.transform(X)).all()
    assert np.isfinite(of_zeros.loss_curve_).all()


def test_the_initialization_is_better_than_mean_shares_and_training_better_still(X):
    """The deviance of training rows with their own totals; few epochs, at the default rate."""
    X = np.delete(X, 7, axis=0)
    totals = X.sum(axis=1, keepdims=True)
    deviances = [
        mean_poisson_deviance(X.ravel(), (totals * shares).ravel())
        for shares in (
            np.tile(X.sum(axis=0) / X.sum(), (len(X), 1)),
            shares_of(quick(3, loss="multinomial", max_epochs=0).fit(X), X),
            shares_of(quick(3, loss="multinomial", max_epochs=20).fit(X), X),
        )
    ]
    assert deviances[1] < 0.8 * deviances[0]
    assert deviances[2] < 0.8 * deviances[1]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(120, 12), (30, 60)])
def test_sparse_and_streamed_counts_are_fitted_as_dense_ones(dtype, shape):
    X = drawn(*shape).astype(dtype)
    settings = {"loss": "multinomial", "max_epochs": 1, "early_stopping": False}
    dense = quick(3, **settings).fit(X)
    with sklearn.config_context(working_memory=0):
        streamed = quick(3, **settings | {"max_epochs": 0}).fit(np.array_split(X, 4))
    at_start = quick(3, **settings | {"max_epochs": 0}).fit(X)
    np.testing.assert_allclose(streamed.transform(X), at_start.transform(X), rtol=1e-3, atol=1e-3)
    given = sparse.csr_array(X)
    from_sparse = quick(3, **settings).fit(given)
    np.testing.assert_allclose(from_sparse.transform(given), dense.transform(X), rtol=1e-3, atol=1e-3)
    assert from_sparse.score(given) == pytest.approx(dense.score(X), abs=1e-4)


@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_imputed_counts_have_the_totals_of_their_samples(factor, X):
    given = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    given[9] = np.nan
    model = quick(3, loss="multinomial", missing="mask").fit(given)
    changed = given.copy()
    changed[20] *= factor
    shares = shares_of(model, changed)
    seen = ~np.isnan(changed)
    totals = np.nansum(changed, axis=1) / np.maximum(np.sum(shares * seen, axis=1), 1e-12)
    totals[9] = np.nansum(model.mean_)
    filled = model.impute(changed)
    np.testing.assert_array_equal(filled[seen], changed[seen])
    np.testing.assert_allclose(filled[~seen], (totals[:, None] * shares)[~seen], rtol=1e-5)
    errors = model.reconstruction_error(changed, per_feature=True)
    np.testing.assert_allclose(errors[seen], np.square(changed - totals[:, None] * shares)[seen], rtol=1e-4, atol=1e-6)


def test_groups_of_columns_have_totals_of_their_own(X):
    numbers = np.random.default_rng(2).normal(size=(len(X), 2))
    table = np.c_[X[:, :5], numbers, X[:, 5:]]
    loss = Mixed([("multinomial", slice(0, 5)), (Multinomial(total=3.0), slice(7, 14))])
    model = quick(3, loss=loss).fit(table)
    decoded = model.inverse_transform(model.transform(table))
    np.testing.assert_allclose(decoded[:, :5].sum(axis=1), X[:, :5].sum(axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(decoded[:, 7:].sum(axis=1), 3, rtol=1e-5)
    expected = X[:, :5].sum(axis=1, keepdims=True) * decoded[:, :5] / decoded[:, :5].sum(axis=1, keepdims=True)
    errors = model.reconstruction_error(table, per_feature=True)
    np.testing.assert_allclose(errors[:, :5], (X[:, :5] - expected) ** 2, rtol=1e-4, atol=1e-6)


def test_samples_drawn_from_the_prior_have_the_total(X):
    model = quick(3, loss=Multinomial(total=50.0), code="gaussian").fit(X)
    np.testing.assert_allclose(model.sample(5, random_state=0).sum(axis=1), 50, rtol=1e-6)
    assert np.isfinite(model.elbo(X, random_state=0))


@pytest.mark.parametrize("penalty", ["contractive", "l1", "orthogonal"])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (6,)])
def test_penalties_see_what_the_encoder_receives(penalty, hidden_layer_sizes, X):
    model = quick(3, loss="multinomial", penalty=penalty, hidden_layer_sizes=hidden_layer_sizes).fit(X)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("early", [True, False])
def test_a_warm_start_and_partial_fit_keep_the_mean_total(early, X):
    model = quick(3, loss="multinomial", warm_start=True, early_stopping=early).fit(X)
    before = shares_of(model, X)
    model.set_params(max_epochs=0).fit(3 * X)
    np.testing.assert_allclose(shares_of(model, X), before, rtol=1e-5)
    model.partial_fit(5 * X)
    decoded = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(decoded.sum(axis=1), X.sum(axis=1).mean(), rtol=1e-5)


@pytest.mark.parametrize(("total", "error"), [(0, ValueError), (-2.0, ValueError), ("mean", TypeError)])
@pytest.mark.parametrize("in_columns", [False, True])
def test_totals_that_cannot_be_raise_an_error(total, error, in_columns, X):
    loss = Multinomial(total=total)
    with pytest.raises(error, match=r"Multinomial\(total="):
        quick(3, loss=Mixed([(loss, slice(0, 4))]) if in_columns else loss).fit(X)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "cross_entropy"])
def test_other_losses_have_no_shares_of_totals(loss, X):
    with pytest.raises(ValueError, match="output_activation='scaled_softmax' does not fit loss="):
        quick(3, loss=loss, output_activation="scaled_softmax").fit(X)


def test_methods_leave_the_estimator_unchanged():
    check_dict_unchanged("counts", quick(2, loss="multinomial"))
