"""With ``missing="mask"``, missing entries are excluded from the loss, the scores and the fitted attributes."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from helpers import quick, random_network
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._training.net import Objective
from sklearn_ae.base import Step, member
from sklearn_ae.codes import TopK
from sklearn_ae.losses import LOSSES, CrossEntropy, Mixed, Multinomial, SquaredError
from sklearn_ae.networks import TiedAutoencoder
from sklearn_ae.penalties import Contractive

N, D = 7, 6


def holes(X, fraction=0.2, seed=0) -> np.ndarray:
    """Return a copy of X with a fraction of its entries missing."""
    X = np.array(X)
    X[np.random.default_rng(seed).random(X.shape) < fraction] = np.nan
    return X


@pytest.fixture
def X(small) -> np.ndarray:
    return holes(small)


def masked(n_components=2, **params) -> AutoencoderTransformer:
    return quick(n_components, missing="mask", **params)


class TestLoss:
    """The loss of a step with a mask."""

    @staticmethod
    def step(loss, target=None, observed=None, columns=None):
        """Return a step with the output activation of the loss and a linear output that requires a gradient."""
        generator = torch.Generator().manual_seed(0)
        u = torch.randn(N, D, generator=generator, dtype=torch.float64)
        x = torch.rand(N, D, generator=generator, dtype=torch.float64)
        x = x / x.sum(1, keepdim=True) if isinstance(loss, CrossEntropy) else x
        u.requires_grad_()
        output = loss.output(loss.output_activations[0], D)(u)
        fields = dict.fromkeys(Step._fields)
        fields |= {"target": x if target is None else target, "linear_output": u, "output": output}
        return Step(**fields | {"progress": 1.0, "observed": observed})

    @pytest.fixture
    def observed(self) -> torch.Tensor:
        return torch.rand(N, D, generator=torch.Generator().manual_seed(1)) > 0.4

    @pytest.mark.parametrize("name", sorted(set(LOSSES) - {"cross_entropy", "multinomial"}))
    def test_masked_entries_count_as_deleted(self, name, observed):
        """Value and gradient are those of the mean over the observed entries, whatever the fill values."""
        loss = member(name, LOSSES)
        step = self.step(loss, observed=observed)
        value = loss.observed_mean(step)
        (gradient,) = torch.autograd.grad(value, step.linear_output)
        other = self.step(loss)
        expected = loss.entries(other)[observed].mean()
        (expected_gradient,) = torch.autograd.grad(expected, other.linear_output)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)
        assert (gradient[~observed] == 0).all()
        filled = self.step(loss, torch.where(observed, step.target, 0.3), observed)
        torch.testing.assert_close(loss.observed_mean(filled), value)

    @pytest.mark.parametrize("fill", [0.0, 0.3, 50.0])
    def test_masked_counts_of_a_multinomial_count_as_deleted(self, fill, observed):
        """Each sample is one of the counts that are observed, with their total."""
        observed[3] = False
        loss = Multinomial()
        u, x = (torch.rand(N, D, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in (2, 3))
        u.requires_grad_()
        output = loss.output("scaled_softmax", D).reconstruct(u, torch.where(observed, x, fill), observed)
        fields = dict.fromkeys(Step._fields) | {"linear_output": u, "output": output, "observed": observed}
        value = loss.observed_mean(Step(**fields | {"target": torch.where(observed, x, output.detach())}))
        total = 0.0
        for seen, own_u, own_x in zip(observed, u, x, strict=True):
            part = own_x[seen][None]
            shares = loss.output("scaled_softmax", int(seen.sum())).reconstruct(own_u[seen][None], part)
            total = total + (torch.xlogy(part, part / shares) - part + shares).sum()
        torch.testing.assert_close(value, total / observed.sum())
        for each, expected in zip(torch.autograd.grad(value, u), torch.autograd.grad(total, u), strict=True):
            torch.testing.assert_close(each, expected / observed.sum())
            assert each[~observed].abs().max() < 1e-15

    def test_incomplete_groups_are_left_out(self, observed):
        observed[[1, 4]] = True
        loss = CrossEntropy()
        step, other = self.step(loss, observed=observed), self.step(loss)
        whole = observed.all(dim=1)
        assert 2 <= whole.sum() < N
        value, expected = loss.observed_mean(step), loss.entries(other)[whole].mean()
        torch.testing.assert_close(value, expected)
        (gradient,) = torch.autograd.grad(value, step.linear_output)
        assert (gradient[~whole] == 0).all()
        assert (gradient[whole] != 0).all()

    def test_mixed_leaves_out_entries_and_groups(self, observed):
        loss = Mixed([("log_loss", [0, 5]), ("cross_entropy", [1, 2]), ("huber", [3])]).for_columns(D, None)
        step = self.step(loss, observed=observed)
        entries = loss.entries(self.step(loss))  # columns 0, 5, the group, 3, 4
        group = observed[:, [1, 2]].all(dim=1, keepdim=True)
        known = torch.cat([observed[:, [0, 5]], group, observed[:, [3]], observed[:, [4]]], dim=1)
        torch.testing.assert_close(loss.observed_mean(step), entries[known].mean())

    @pytest.mark.parametrize("name", LOSSES)
    def test_a_mask_that_hides_nothing_gives_the_plain_loss(self, name):
        loss = member(name, LOSSES).for_columns(D, None)
        step = self.step(loss, observed=torch.ones(N, D, dtype=torch.bool))
        torch.testing.assert_close(loss.observed_mean(step), loss(step))

    @pytest.mark.parametrize("name", LOSSES)
    def test_a_mask_that_hides_everything_gives_zero(self, name):
        loss = member(name, LOSSES).for_columns(D, None)
        step = self.step(loss, observed=torch.zeros(N, D, dtype=torch.bool))
        assert Objective(loss, [], D)(step) == 0
        (gradient,) = torch.autograd.grad(loss.observed_mean(step), step.linear_output)
        assert (gradient == 0).all()


def test_penalties_are_added_to_the_summed_loss_of_a_sample():
    module = random_network()
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    observed = torch.rand(9, 4, generator=torch.Generator().manual_seed(1)) < 0.6
    step, penalty = module.step(x, observed=observed), Contractive()
    squares = torch.where(observed, step.output - x, 0.0).square().sum(1)  # per sample
    expected = (squares.mean() + penalty(step)) / observed.sum(1).float().mean()
    torch.testing.assert_close(Objective(SquaredError(), [penalty], 4)(step), expected)


class TestFit:
    def test_the_mask_changes_no_bit_for_complete_data(self, small):
        with_mask, without = masked(corruption=None).fit(small), quick().fit(small)
        np.testing.assert_array_equal(with_mask.components_, without.components_)
        np.testing.assert_array_equal(with_mask.transform(small), without.transform(small))
        np.testing.assert_array_equal(with_mask.validation_scores_, without.validation_scores_)
        assert with_mask.score(small) == without.score(small)

    def test_the_mean_is_that_of_the_observed_entries(self, X):
        np.testing.assert_allclose(masked(max_epochs=0).fit(X).mean_, np.nanmean(X, axis=0), rtol=1e-14)

    def test_the_initialization_is_pca_of_the_filled_data(self, X):
        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        model = masked(max_epochs=0, early_stopping=False).fit(X)
        expected = quick(max_epochs=0, early_stopping=False).fit(filled)
        np.testing.assert_allclose(np.abs(model.components_ @ expected.components_.T), np.eye(2), atol=1e-5)

    def test_missing_entries_are_filled_with_the_mean(self, X):
        """Codes of samples with missing entries are those of the samples filled with the means."""
        model = masked().fit(X)
        filled = np.where(np.isnan(X), model.mean_, X)
        np.testing.assert_allclose(model.transform(X), model.transform(filled), atol=1e-12)

    def test_samples_without_observed_entries_have_no_influence(self, X):
        """They change neither the mean, the scale nor R², and are encoded like the mean."""
        empty = np.full((5, X.shape[1]), np.nan)
        model = masked(max_epochs=0, early_stopping=False).fit(X)
        longer = masked(max_epochs=0, early_stopping=False).fit(np.vstack([X, empty]))
        np.testing.assert_array_equal(longer.mean_, model.mean_)
        assert longer._scaling.scale == pytest.approx(model._scaling.scale)
        assert longer.score(np.vstack([X, empty])) == pytest.approx(longer.score(X))
        np.testing.assert_array_equal(longer.reconstruction_error(empty), 0)
        np.testing.assert_allclose(longer.transform(empty), longer.transform(np.tile(model.mean_, (5, 1))), atol=1e-12)

    def test_the_training_loss_is_the_mean_over_observed_entries(self, X):
        """With one batch and one epoch, the recorded loss is the mean over observed entries at the initialization."""
        settings = {"early_stopping": False, "batch_size": 1000, "max_epochs": 1, "output_activation": "identity"}
        settings["corruption"] = None
        start = masked(max_epochs=0, early_stopping=False).fit(X)
        model = masked(**settings).fit(X)
        errors = start.reconstruction_error(X, per_feature=True)
        expected = np.nanmean(errors) / start._scaling.scale**2
        assert model.loss_curve_[0] == pytest.approx(expected, rel=1e-4)

    def test_imputation_beats_column_means(self, digits):
        train, test = digits[:1000], digits[1000:1400]
        given = holes(test, seed=1)
        gaps = np.isnan(given)
        model = masked(16, max_epochs=15).fit(holes(train))
        error = np.square(model.impute(given) - test)[gaps].mean()
        assert error < 0.5 * np.square(np.nanmean(train, axis=0) - test)[gaps].mean()

    def test_training_improves_on_the_initialization(self, digits):
        given = holes(digits[:600])
        start, trained = (masked(8, max_epochs=n).fit(given) for n in (0, 10))
        assert trained.score(given) > start.score(given) + 0.05
        assert trained.best_epoch_ > 0

    def test_a_column_without_observed_entries_has_mean_zero(self, small):
        given = small.copy()
        given[:, 3] = np.nan
        model = masked().fit(given)
        assert model.mean_[3] == 0
        assert np.isfinite(model.components_).all()
        rest = np.delete(np.arange(8), 3)
        expected = quick(max_epochs=0).fit(small[:, rest])
        assert masked(max_epochs=0).fit(given).score(given) == pytest.approx(expected.score(small[:, rest]), abs=1e-5)

    def test_data_without_observed_entries_is_accepted(self):
        model = masked().fit(np.full((30, 4), np.nan))
        np.testing.assert_array_equal(model.transform(np.full((2, 4), np.nan)), model.transform(np.zeros((2, 4))))
        np.testing.assert_array_equal(model.impute(np.full((2, 4), np.nan)), 0)
        assert model.score(np.full((2, 4), np.nan)) == 1

    def test_the_same_seed_gives_the_same_bits(self, X):
        one, other = masked(corruption=0.2).fit(X), masked(corruption=0.2).fit(X)
        np.testing.assert_array_equal(one.components_, other.components_)

    def test_warm_start_and_partial_fit_continue_training(self, X):
        model = masked(warm_start=True, corruption=None).fit(X)
        before = model.score(X)
        assert model.fit(X).score(X) > before - 0.01
        assert model.partial_fit(X[:40]).n_iter_ == 4


class TestScores:
    def test_r2_is_computed_from_observed_entries(self, X):
        model = masked().fit(X)
        seen = ~np.isnan(X)
        filled = np.where(seen, X, model.mean_)
        error = np.square(X - model.inverse_transform(model.transform(filled)))[seen].sum()
        variance = np.square(X - model.mean_)[seen].sum()
        assert model.score(X) == pytest.approx(1 - error / variance)

    def test_errors_of_missing_entries_are_nan_and_not_summed(self, X):
        model = masked().fit(X)
        errors = model.reconstruction_error(X, per_feature=True)
        np.testing.assert_array_equal(np.isnan(errors), np.isnan(X))
        np.testing.assert_allclose(model.reconstruction_error(X), np.nansum(errors, axis=1))
        np.testing.assert_allclose(model.score_samples(X), -np.nansum(errors, axis=1))

    def test_reconstruction_curve_of_an_ordered_code(self, X):
        model = masked(3, ordered=True).fit(X)
        curve = model.reconstruction_curve(X)
        assert curve[-1] == pytest.approx(model.score(X))
        assert curve[1] == pytest.approx(model.truncate(2).score(X))
        np.testing.assert_allclose(model.truncate(2).impute(X)[~np.isnan(X)], X[~np.isnan(X)])

    def test_explained_variance_ratio_sums_to_r2(self, X):
        model = masked(hidden_layer_sizes=(), early_stopping=False).fit(X)
        assert model.explained_variance_ratio_.sum() == pytest.approx(model.score(X), abs=1e-5)

    def test_the_elbo_counts_only_observed_entries(self, X):
        """The deleted entries equal the fill values, so the code does not change."""
        model = masked(code="gaussian").fit(X)
        at_the_mean = np.tile(model.mean_, (4, 1))
        gaps = at_the_mean.copy()
        gaps[:, 2:] = np.nan
        whole, part, nothing = (model.elbo(rows, 0) for rows in (at_the_mean, gaps, np.full_like(gaps, np.nan)))
        assert np.isfinite([whole, part, nothing]).all()
        scale = model._scaling.scale
        generator = torch.Generator().manual_seed(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
        module = model._fitted_model.module64
        step = module.step(torch.zeros(4, 8, dtype=torch.float64), generator=generator, drop=False)
        nats = step.output.detach().numpy() ** 2 + np.log(np.pi) / 2 + np.log(scale)
        assert nothing - part == pytest.approx(nats[:, :2].sum(1).mean())
        assert part - whole == pytest.approx(nats[:, 2:].sum(1).mean())

    def test_the_elbo_of_discrete_data(self, digits):
        given = holes((digits[:200] > 8).astype(float))
        model = masked(code="gaussian", loss="log_loss").fit(given)
        assert np.isfinite(model.elbo(given, 0))
        assert model.elbo(np.full((3, 64), np.nan), 0) <= 0


class TestImpute:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_observed_entries_are_unchanged_and_missing_ones_are_filled(self, dtype, X):
        X = X.astype(dtype)
        before = X.copy()
        filled = masked().fit(X).impute(X)
        seen = ~np.isnan(X)
        assert filled.dtype == dtype
        np.testing.assert_array_equal(filled[seen], X[seen])
        assert np.isfinite(filled).all()
        np.testing.assert_array_equal(X, before)
        assert not np.shares_memory(filled, X)

    def test_missing_entries_are_filled_with_the_reconstruction(self, X):
        model = masked().fit(X)
        gaps = np.isnan(X)
        np.testing.assert_allclose(model.impute(X)[gaps], model.inverse_transform(model.transform(X))[gaps])

    def test_complete_samples_are_copied(self, small, X):
        filled = masked().fit(X).impute(small)
        np.testing.assert_array_equal(filled, small)
        assert not np.shares_memory(filled, small)

    def test_integers_become_float64(self, X):
        filled = masked().fit(X).impute(np.ones((3, 8), dtype=int))
        assert filled.dtype == np.float64
        np.testing.assert_array_equal(filled, 1)

    def test_samples_and_columns_without_observed_entries(self, X):
        X[:, 3] = np.nan
        X[5] = np.nan
        model = masked(output_activation="clip").fit(X)
        filled = model.impute(X)
        np.testing.assert_array_equal(filled[:, 3], 0)
        assert np.isfinite(filled).all()

    def test_clipped_outputs_stay_in_the_range_of_the_observed_entries(self, X):
        model = masked(output_activation="clip", max_epochs=5).fit(X)
        filled = model.impute(X)
        assert (filled >= np.nanmin(X, axis=0)).all()
        assert (filled <= np.nanmax(X, axis=0)).all()

    def test_feature_names_of_frames_are_checked(self, X):
        import pandas as pd

        frame = pd.DataFrame(X, columns=list("abcdefgh"))
        model = masked().fit(frame)
        np.testing.assert_array_equal(model.impute(frame)[~np.isnan(X)], X[~np.isnan(X)])
        with pytest.raises(ValueError, match="feature names should match"):
            model.impute(frame[list("hgfedcba")])

    def test_impute_requires_the_mask(self, small):
        assert hasattr(masked(), "impute")
        model = quick().fit(small)
        assert not hasattr(model, "impute")
        with pytest.raises(AttributeError, match="impute"):
            _ = model.impute

    def test_impute_requires_a_fit(self, X):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            masked().impute(X)

    def test_in_a_pipeline_after_a_scaler(self, X):
        pipeline = make_pipeline(StandardScaler(), masked()).fit(X)
        scaled = pipeline[:-1].transform(X)
        filled = pipeline[0].inverse_transform(pipeline[-1].impute(scaled))
        np.testing.assert_allclose(filled[~np.isnan(X)], X[~np.isnan(X)])


class TestInvalidInput:
    @pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "reconstruction_error"])
    def test_missing_entries_without_the_mask_raise_an_error_that_names_the_column(self, method, small):
        given = small.copy()
        given[3, 5] = np.nan
        model = quick()
        if "fit" not in method:
            model.fit(small)
        with pytest.raises(ValueError, match=r"contains NaN in column 5\. .* fit with missing='mask'"):
            getattr(model, method)(given)
        assert hasattr(model, "module_") == ("fit" not in method)

    @pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "reconstruction_error"])
    def test_infinity_with_the_mask_raises_an_error_that_names_the_column(self, method, X):
        given = X.copy()
        given[3, 5] = np.inf
        model = masked()
        if "fit" not in method:
            model.fit(X)
        with pytest.raises(ValueError, match=r"contains infinity in column 5\."):
            getattr(model, method)(given)

    def test_unknown_values_of_the_parameter_raise_an_error(self, X):
        with pytest.raises(ValueError, match="missing"):
            quick(missing="drop").fit(X)

    def test_the_range_of_a_loss_is_checked_on_the_observed_entries(self, X):
        with pytest.raises(ValueError, match="models data in"):
            masked(loss="log_loss").fit(X)

    @pytest.mark.parametrize("missing", ["error", "mask"])
    def test_the_allow_nan_tag_follows_the_parameter(self, missing):
        assert sklearn.utils.get_tags(quick(missing=missing)).input_tags.allow_nan == (missing == "mask")


VARIANTS = [
    {"code": "relu"},
    {"code": "sigmoid"},
    {"code": "tanh"},
    {"code": TopK(1)},
    {"code": "winner_take_all"},
    {"code": "gaussian"},
    {"penalty": "l1"},
    {"penalty": "kl_sparsity", "code": "sigmoid"},
    {"penalty": ["contractive", "orthogonal"]},
    {"penalty": Contractive(n_projections=None)},
    {"corruption": 0.3},
    {"corruption": "gaussian_noise"},
    {"corruption": "salt_and_pepper"},
    {"code_dropout": 0.5},
    {"ordered": True},
    {"n_components": "auto"},
    {"n_components": 0.5},
    {"module": TiedAutoencoder},
    {"init": "random"},
    {"output_activation": "clip"},
    {"early_stopping": False},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "log_loss"},
    {"loss": "poisson"},
    {"loss": "multinomial"},
    {"loss": "cross_entropy"},
    {"loss": Mixed([("multinomial", [3, 0, 5]), ("log_loss", [1, 4])])},
    {"loss": "squared_error", "output_activation": "sigmoid"},
    {"loss": Mixed([("log_loss", [0, 1]), ("cross_entropy", [2, 3, 4]), ("poisson", [5])])},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_all_variants_stay_finite(variant):
    rng = np.random.default_rng(0)
    X = rng.random((80, 3)) @ rng.random((3, 8))
    X /= X.sum(axis=1, keepdims=True)
    X[:, 6] = X[:, 7]
    X = holes(X)
    X[4] = np.nan
    model = masked(**{"n_components": 2} | variant).fit(X)
    found = (model.components_, model.transform(X), model.impute(X), model.loss_curve_, [model.score(X)])
    assert all(np.isfinite(each).all() for each in found)
    assert np.isfinite(model.partial_fit(X).loss_curve_).all()


class TestPartialFit:
    def test_the_range_of_a_column_first_observed_later_has_no_spurious_zero(self, small):
        """Clipped outputs show the range, which would begin at a spurious zero."""
        small = small + 100
        first = small.copy()
        first[:, 3] = np.nan
        model = masked(output_activation="clip").partial_fit(first)
        np.testing.assert_array_equal(model.inverse_transform(model.transform(small))[:, 3], 0)
        model.partial_fit(small)
        low, high, _ = model._column_range
        np.testing.assert_array_equal(low, small.min(axis=0))
        np.testing.assert_array_equal(high, small.max(axis=0))
        assert low[3] > 90
        model.partial_fit(first)
        np.testing.assert_array_equal(model._column_range.low, low)
        restored = pickle.loads(pickle.dumps(masked(output_activation="clip").partial_fit(first))).partial_fit(small)
        np.testing.assert_array_equal(restored._column_range.low, low)

    def test_the_range_grows_with_the_observed_entries(self, small):
        model = masked(output_activation="clip").partial_fit(small[:40])
        model.partial_fit(holes(small[40:]))
        np.testing.assert_array_equal(
            model._column_range.low, np.fmin(small[:40].min(0), np.nanmin(holes(small[40:]), axis=0))
        )

    def test_partial_fit_accepts_data_with_and_without_missing_entries_in_turn(self, small, X):
        model = masked().partial_fit(small)
        for given in (X, small, X[:1], np.full((1, 8), np.nan)):
            model.partial_fit(given)
            assert np.isfinite(model.loss_curve_).all()
        assert np.isfinite(model.score(X))


class TestOtherContainers:
    def test_sparse_data_with_missing_entries(self, digits):
        given = holes(digits[:500])
        settings = {"n_components": 8, "max_epochs": 3}
        dense, from_sparse = masked(**settings).fit(given), masked(**settings).fit(sparse.csr_array(given))
        assert from_sparse.score(sparse.csr_array(given)) == pytest.approx(dense.score(given), abs=0.01)
        np.testing.assert_allclose(from_sparse.mean_, dense.mean_, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            from_sparse.transform(given), from_sparse.transform(sparse.csr_array(given)), atol=1e-10
        )
        errors = from_sparse.reconstruction_error(sparse.csr_array(given), per_feature=True)
        np.testing.assert_array_equal(np.isnan(errors), np.isnan(given))
        with pytest.raises(TypeError, match=r"[Ss]parse"):
            from_sparse.impute(sparse.csr_array(given))

    def test_streams_with_missing_entries(self, digits):
        given = holes(digits[:600])
        settings = {"n_components": 8, "max_epochs": 5}
        loaded = masked(**settings).fit(given)
        with sklearn.config_context(working_memory=0):
            streamed = masked(**settings).fit(np.array_split(given, 5))
            score = streamed.score(np.array_split(given, 7))
        assert score == pytest.approx(streamed.score(given))
        assert score == pytest.approx(loaded.score(given), abs=0.02)
        np.testing.assert_allclose(streamed.mean_, loaded.mean_)


class TestPersistence:
    def test_pickling_keeps_the_mask(self, X):
        model = masked().fit(X)
        restored = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(restored.impute(X), model.impute(X))
        assert restored.score(X) == model.score(X)
        np.testing.assert_array_equal(restored.partial_fit(X).loss_curve_.shape, (4,))

    def test_cloning_keeps_the_parameter(self):
        assert clone(masked()).missing == "mask"
