"""What the corruption of a fit does to data of different kinds."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from helpers import quick, same_bits
from scipy import sparse

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.corruptions import Masking
from sklearn_ae.losses import Mixed

#: Columns of different kinds, and whether zero is their minimum or maximum.
KINDS = {"around 60": False, "counts": True, "negative": False, "at most 0": True, "both signs": False}
CONSTANTS = {"constant": False, "zeros": True}
ZERO_IS_A_BOUND = np.array([*KINDS.values(), *CONSTANTS.values()])


@pytest.fixture
def table() -> np.ndarray:
    """Return samples with a column of each kind, counts as small as the others, and constant columns last."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, size=(80, 2))
    columns = [60 + rng.normal(size=80), counts[:, 0], -3 - rng.random(80), -counts[:, 1], rng.normal(size=80)]
    return np.column_stack([*columns, np.full(80, 7.0), np.zeros(80)])


def masked_values(model) -> np.ndarray:
    """Return what the masking of a fitted estimator sets the entries of each column to, in the data's coordinates."""
    bounds = model.net_.data_bounds
    mean = bounds.mean[None]
    masked = Masking(0.5)(torch.full((64, mean.shape[1]), torch.inf), bounds, torch.Generator().manual_seed(0))
    assert (masked.isinf().any(dim=0) & ~masked.isinf().all(dim=0)).all()
    return model._scaling.inverse_transform(masked.amin(dim=0)[None].double())[0].numpy()


CONTAINERS = {"dense": np.asarray, "CSR": sparse.csr_array, "CSC": sparse.csc_array, "float32": np.float32}


class TestMasking:
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
    def test_entries_become_zero_only_where_zero_is_a_bound(self, container, method, table):
        model = getattr(quick(corruption=0.3), method)(container(table))
        expected = np.where(ZERO_IS_A_BOUND, 0, table.mean(axis=0))
        np.testing.assert_allclose(masked_values(model), expected, atol=1e-5)

    def test_entries_of_sources_become_zero_only_where_zero_is_a_bound(self, table):
        with sklearn.config_context(working_memory=0):
            model = quick(corruption=0.3).fit(np.array_split(table, 4))
        np.testing.assert_allclose(masked_values(model), np.where(ZERO_IS_A_BOUND, 0, table.mean(axis=0)), atol=1e-5)

    def test_entries_become_the_mean_where_missing_entries_do(self, table):
        for given in (table, np.where(np.random.default_rng(0).random(table.shape) < 0.2, np.nan, table)):
            model = quick(corruption=0.3, missing="mask").fit(given)
            np.testing.assert_allclose(masked_values(model), np.nanmean(given, axis=0), atol=1e-5)

    def test_unscaled_columns_follow_the_same_rule(self, table):
        table[:, 5] = 0.3 + 0.4 * np.random.default_rng(1).random(80)  # probabilities, never 0 or 1
        model = quick(corruption=0.3, loss=Mixed([("poisson", 1), ("log_loss", [5, 6])])).fit(table)
        expected = np.where(ZERO_IS_A_BOUND, 0, table.mean(axis=0))
        bounds = model.net_.data_bounds
        assert bounds.zero[5] == 0  # which the network works on without centring
        np.testing.assert_allclose(masked_values(model), expected, atol=1e-5)

    def test_later_samples_may_take_zero_from_the_bounds(self, table):
        model = quick(corruption=0.3).partial_fit(table).partial_fit(table - 1)
        assert masked_values(model)[1] == pytest.approx(table[:, 1].mean(), abs=1e-5)

    def test_shifted_data_is_masked_alike(self, small):
        """Zero is a bound of no column before or after, so that a shift changes nothing but rounding."""
        near, far = (quick(corruption=0.3, max_epochs=5).fit(X) for X in (small, small + 60))
        np.testing.assert_allclose(far.components_, near.components_, atol=1e-3)
        np.testing.assert_allclose(far.validation_scores_, near.validation_scores_, atol=1e-4)

    @pytest.mark.filterwarnings("ignore:Training for 60 epochs did not improve")  # PCA explains all without masking
    def test_windows_around_60_are_reconstructed(self):
        """Zeros instead of means would be outliers, and R² 0.03."""
        t = np.arange(20) + np.random.default_rng(0).random((300, 1)) * 20
        windows = 60 + np.sin(t / 3)
        plain, masking = (quick(4, corruption=rate, max_epochs=60).fit(windows).score(windows) for rate in (None, 0.2))
        assert plain > 0.9999
        assert masking > 0.99


def same_fit(one, other) -> bool:
    """Return whether two fits had the same losses and gave the same weights, in all bits."""
    losses = np.array_equal(one.loss_curve_, other.loss_curve_)
    return losses and same_bits(one.module_.state_dict(), other.module_.state_dict())


class TestAuto:
    def test_it_is_the_default(self):
        assert AutoencoderTransformer().corruption == "auto"
        assert repr(AutoencoderTransformer(corruption=None)) == "AutoencoderTransformer(corruption=None)"

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_it_is_none_if_missing_entries_raise_an_error(self, method, small):
        model, without = (getattr(quick(**params), method)(small) for params in ({}, {"corruption": None}))
        assert model.net_.corruption is None
        assert same_fit(model, without)

    @pytest.mark.parametrize("gaps", [True, False])
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_it_masks_entries_if_missing_ones_are_masked(self, method, gaps, small):
        """Also if the training data has none: later data may."""
        X = np.where(np.random.default_rng(0).random(small.shape) < 0.2, np.nan, small) if gaps else small
        model, masking, without = (
            getattr(quick(missing="mask", **params), method)(X)
            for params in ({}, {"corruption": 0.3}, {"corruption": None})
        )
        assert model.net_.corruption == Masking(0.3)
        assert same_fit(model, masking)
        assert not same_fit(model, without)

    @pytest.mark.parametrize("is_loaded", [False, True])
    def test_partial_fit_follows_a_change_of_the_parameters(self, is_loaded, small):
        model = quick(missing="mask").partial_fit(small)
        model = pickle.loads(pickle.dumps(model)) if is_loaded else model
        assert model.partial_fit(small).net_.corruption == Masking(0.3)
        assert model.set_params(corruption=None).partial_fit(small).net_.corruption is None
        assert model.set_params(corruption=0.1).partial_fit(small).net_.corruption == Masking(0.1)
        assert model.set_params(corruption="auto").partial_fit(small).net_.corruption == Masking(0.3)

    def test_partial_fit_after_fit_masks_entries(self, small):
        assert quick(missing="mask").fit(small).partial_fit(small).net_.corruption == Masking(0.3)

    def test_it_imputes_better_than_no_corruption(self, digits):
        gaps = np.random.default_rng(0).random(digits.shape) < 0.3
        given = np.where(gaps, np.nan, digits)
        by_default, without = (
            quick(16, missing="mask", max_epochs=15, **params).fit(given[:1000]).impute(given[1000:])
            for params in ({}, {"corruption": None})
        )
        errors = [np.square(filled - digits[1000:])[gaps[1000:]].mean() for filled in (by_default, without)]
        assert errors[0] < 0.9 * errors[1]
