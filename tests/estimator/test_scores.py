"""Scores, errors and ELBOs are in the data's units, whatever the loss, and do not depend on shift and scale."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import quick
from scipy import sparse
from scipy.stats import multivariate_normal, norm
from sklearn.decomposition import PCA

from sklearn_ae._data.split import held_out_rows
from sklearn_ae.codes import CODES, Gaussian, TopK, WinnerTakeAll
from sklearn_ae.losses import LOSSES, Mixed
from sklearn_ae.model_selection import reconstruction_score


@pytest.fixture(scope="module")
def table(small):
    """Return a binary, two numbers, three one-hot columns and a number, with a loss for them."""
    binary, kind = small[:, :1] > 5, np.eye(3)[np.digitize(small[:, 1], [4, 6])]
    loss = Mixed([("log_loss", 0), ("cross_entropy", [3, 4, 5]), ("huber", 6)])
    return np.hstack([binary, 30 * small[:, 2:4], kind, 30 * small[:, 4:5]]), loss


@pytest.fixture(scope="module")
def fractions() -> np.ndarray:
    """Return 40 samples of three features that every loss models."""
    return np.random.default_rng(0).dirichlet(np.ones(3), size=40)


class TestScores:
    @pytest.mark.parametrize(("n_components", "rate"), [(80, 0.006), (80, 0.01), (120, 0.006)])
    def test_a_negative_score_of_codes_denser_than_in_training_has_a_warning(self, small, n_components, rate):
        code = WinnerTakeAll(rate)
        autoencoder = quick(n_components, code=code, max_epochs=30, batch_size=60, early_stopping=False).fit(small[:60])
        with pytest.warns(UserWarning, match="use TopK to reconstruct") as caught:
            assert autoencoder.score(small[60:]) < 0
        assert caught[0].filename == __file__

    @pytest.mark.parametrize("code", [WinnerTakeAll(0.5), TopK(2), "relu"])
    def test_other_scores_have_no_warning(self, small, code):
        autoencoder = quick(5, code=code, max_epochs=20).fit(small[:60])
        assert autoencoder.score(small[60:]) > 0
        assert np.isfinite(autoencoder.score(small[60:] + 1000 * np.random.default_rng(0).normal(size=8)))

    def test_score_is_r2_about_the_training_mean(self, small):
        autoencoder = quick().fit(small[:60])
        reconstruction = autoencoder.inverse_transform(autoencoder.transform(small[60:]))
        error = ((small[60:] - reconstruction) ** 2).sum()
        assert autoencoder.score(small[60:]) == pytest.approx(
            1 - error / ((small[60:] - autoencoder.mean_) ** 2).sum(), abs=1e-9
        )

    @pytest.mark.parametrize("params", [{}, {"output_activation": "clip"}, {"code": "sigmoid"}])
    def test_errors_are_those_of_the_reconstruction(self, small, params):
        autoencoder = quick(**params).fit(small)
        squared = (small - autoencoder.inverse_transform(autoencoder.transform(small))) ** 2
        np.testing.assert_allclose(autoencoder.reconstruction_error(small, per_feature=True), squared, atol=1e-8)
        np.testing.assert_allclose(autoencoder.reconstruction_error(small), squared.sum(axis=1))
        np.testing.assert_array_equal(autoencoder.score_samples(small), -autoencoder.reconstruction_error(small))

    def test_constant_data_scores_as_r2_score_does(self):
        X = np.full((20, 3), 7.0)
        autoencoder = quick().fit(X)
        assert autoencoder.score(X) == 1.0
        np.testing.assert_array_equal(autoencoder.explained_variance_ratio_, 0)

    def test_log_loss_reconstructs_binary_data(self, digits):
        X = (digits > 8).astype(float)
        autoencoder = quick(10, loss="log_loss", max_epochs=10).fit(X)
        reconstruction = autoencoder.inverse_transform(autoencoder.transform(X))
        assert 0 <= reconstruction.min() <= reconstruction.max() <= 1
        assert autoencoder.score(X) > reconstruction_score(PCA(10).fit(X), X)

    @pytest.mark.parametrize(("scale", "shift"), [(1e30, 0.0), (1e-30, 0.0), (3.0, 1e3), (0.5, -1e3)])
    def test_shift_and_scale_change_nothing(self, small, scale, shift):
        expected = quick().fit(small).score(small)
        X = scale * small + shift
        autoencoder = quick().fit(X)
        assert autoencoder.score(X) == pytest.approx(expected, abs=1e-4)
        assert np.isfinite(autoencoder.transform(X)).all()
        np.testing.assert_allclose(
            np.linalg.norm(autoencoder.inverse_transform(autoencoder.transform(X)) - X) / abs(scale),
            np.sqrt((1 - expected) * ((small - small.mean(axis=0)) ** 2).sum()),
            rtol=0.05,
        )

    @pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
    @pytest.mark.parametrize("output_activation", ["identity", "clip"])
    @pytest.mark.parametrize("code", ["identity", "gaussian"])
    def test_shift_and_scale_change_nothing_whatever_the_loss(self, small, loss, output_activation, code):
        params = {"loss": loss, "output_activation": output_activation, "code": code, "max_epochs": 5}
        X = small - small.mean(axis=0)
        expected, scaled = quick(**params).fit(X), quick(**params).fit(2.0**90 * X)
        np.testing.assert_array_equal(scaled.validation_scores_, expected.validation_scores_)
        np.testing.assert_array_equal(scaled.loss_curve_, expected.loss_curve_)
        assert scaled.score(2.0**90 * X) == expected.score(X)
        moved = quick(**params).fit(3.0 * X - 7.0)
        np.testing.assert_allclose(moved.validation_scores_, expected.validation_scores_, atol=1e-3)
        assert moved.score(3.0 * X - 7.0) == pytest.approx(expected.score(X), abs=1e-3)

    def test_shift_and_scale_of_the_numbers_of_a_table_change_nothing(self, table):
        X, loss = table
        expected = quick(loss=loss).fit(X)
        X = X * np.where(expected._scaling.unscaled, 1, 2.0**20)
        scaled = quick(loss=loss).fit(X)
        np.testing.assert_array_equal(scaled.loss_curve_, expected.loss_curve_)

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("code", ["identity", "relu"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_score_is_r2_in_the_datas_units_whatever_the_loss(self, small, loss, code, dtype):
        X = np.abs(small) / np.abs(small).sum(axis=1, keepdims=True)
        self.assert_scores_are_of_the_reconstruction(quick(loss=loss, code=code).fit(X), X.astype(dtype))

    @pytest.mark.parametrize("code", ["identity", "tanh", "gaussian"])
    @pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_score_of_a_table_weighs_all_columns_in_their_own_units(self, table, code, hidden_layer_sizes, dtype):
        X, loss = table
        autoencoder = quick(loss=loss, code=code, hidden_layer_sizes=hidden_layer_sizes).fit(X)
        self.assert_scores_are_of_the_reconstruction(autoencoder, X.astype(dtype))
        reconstruction = autoencoder.inverse_transform(autoencoder.transform(X))
        assert ((reconstruction[:, [0, 3, 4, 5]] > 0) & (reconstruction[:, [0, 3, 4, 5]] < 1)).all()
        np.testing.assert_allclose(reconstruction[:, 3:6].sum(axis=1), 1)

    @staticmethod
    def assert_scores_are_of_the_reconstruction(autoencoder, X):
        exact = X.astype(np.float64)
        error = (exact - autoencoder.inverse_transform(autoencoder.transform(X))) ** 2
        expected = 1 - error.sum() / ((exact - autoencoder.mean_) ** 2).sum()
        tolerance = 1e-9 if X.dtype == np.float64 else 1e-4
        assert autoencoder.score(X) == pytest.approx(expected, abs=tolerance)
        found = autoencoder.reconstruction_error(X, per_feature=True)
        np.testing.assert_allclose(found, error, atol=tolerance * error.max() + 1e-12)
        assert autoencoder.explained_variance_ratio_.sum() == pytest.approx(max(expected, 0), abs=1e-4)

    def test_validation_scores_of_a_table_are_in_the_datas_units(self, table):
        X, loss = table
        start = quick(loss=loss, max_epochs=0).fit(X)
        (score,) = start.validation_scores_
        valid = held_out_rows(len(X), 0.1, np.random.RandomState(0))
        assert score == pytest.approx(start.score(X[valid]), abs=1e-5)

    def test_components_of_a_table_are_in_the_datas_units(self, table):
        X, loss = table
        autoencoder = quick(loss=loss, hidden_layer_sizes=()).fit(X)
        numbers = [1, 2, 6]
        decoded = autoencoder.inverse_transform(np.eye(2)) - autoencoder.inverse_transform(np.zeros((1, 2)))
        np.testing.assert_allclose(autoencoder.components_[:, numbers], decoded[:, numbers], rtol=1e-6)
        np.testing.assert_allclose(autoencoder.components_ @ autoencoder.components_.T, np.eye(2), atol=1e-9)

    def test_timestamps_keep_their_digits(self, small):
        seconds = 1.7e9 + small[:, :1]
        X = np.hstack([small, seconds])
        autoencoder = quick(3, max_epochs=0).fit(X)
        errors = autoencoder.reconstruction_error(X, per_feature=True)
        assert errors[:, -1].mean() == pytest.approx(errors[:, 0].mean(), rel=0.01)


NAMES = np.array(["a", "b", "c"])
RANGES = {  # the settings of a fit to fractions that sum to 1, the value out of its range, and the range
    "counts": ({"loss": "poisson"}, -1.0, r"\[0, inf\]"),
    "shares of counts": ({"loss": "multinomial"}, -1.0, r"\[0, inf\]"),
    "binaries": ({"loss": "log_loss"}, 1.5, r"\[0, 1\]"),
    "fractions": ({"loss": "cross_entropy"}, -0.01, r"\[0, 1\]"),
    "a sigmoid": ({"output_activation": "sigmoid"}, 2.0, r"\[0, 1\]"),
    "columns of their own": ({"loss": Mixed([("poisson", "b")])}, -3.0, r"\[0, inf\]"),
}
WAYS_IN = {
    "array": np.asarray,
    "float32": np.float32,
    "tensor": torch.tensor,
    "CSR": sparse.csr_array,
    "frame": lambda X: pd.DataFrame(X, columns=NAMES),
    "chunks": lambda X: [X[:7], X[7:]],
}
OF_ROWS = ["transform", "score", "score_samples", "reconstruction_error", "reconstruction_curve", "elbo", "impute"]


@pytest.mark.parametrize("kind", RANGES)
class TestRangeOfTheLoss:
    """New data that the loss cannot model raises an error in every method, as in ``fit``."""

    @pytest.fixture
    def model(self, kind, fractions):
        settings = {"ordered": True, "code": "gaussian", "missing": "mask"} | RANGES[kind][0]
        return quick(2, **settings).fit(pd.DataFrame(fractions, columns=NAMES))

    @pytest.mark.parametrize("way", WAYS_IN)
    @pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # of arrays
    def test_every_method_names_the_column(self, way, kind, model, fractions):
        _, value, bounds = RANGES[kind]
        X = fractions.copy()
        X[3, 0], X[11, 1] = np.nan, value
        given = WAYS_IN[way](X)
        for name in OF_ROWS if way in ("array", "float32", "tensor", "frame") else OF_ROWS[:-1]:
            message = rf"output_activation='\w+' models data in {bounds}, .* outside the range: in column 'b'\."
            with pytest.raises(ValueError, match=message):
                getattr(model, name)(given)

    def test_rounding_beyond_the_range_is_allowed(self, kind, model, fractions):
        X = fractions.astype(np.float32)
        X[11] = [0, 1 + 1e-7, -1e-7]
        frame = pd.DataFrame(X, columns=NAMES)
        assert np.isfinite(model.transform(frame)).all()
        assert np.isfinite(model.score_samples(frame)).all()


def test_the_range_is_that_of_the_fit_not_of_later_parameters(fractions):
    model = quick(2, loss="poisson").fit(fractions)
    with pytest.raises(ValueError, match=r"loss=Poisson\(\) .* in column 0\."):
        model.set_params(loss="squared_error").transform(-fractions[:, [0, 1, 2]] * [1, 0, 0])


def test_other_losses_have_no_range(fractions):
    for loss in ("squared_error", "absolute_error", "huber", Mixed([("poisson", 0)])):
        X = fractions.copy()
        model = quick(2, loss=loss).fit(X)
        X[3, 1:] = [-5, 7]
        assert np.isfinite(model.transform(X)).all()


class TestVariational:
    @pytest.mark.parametrize("code", CODES)
    def test_only_a_gaussian_code_has_elbo_and_sample(self, code):
        for estimator in (quick(code=code), quick(code=CODES[code]())):
            assert hasattr(estimator, "sample") is hasattr(estimator, "elbo") is (code == "gaussian")
        assert not hasattr(quick(code="nonsense"), "sample")

    def test_samples_are_decoded_normal_numbers(self, small):
        autoencoder = quick(3, code="gaussian", output_activation="clip").fit(small)
        samples = autoencoder.sample(500, random_state=4)
        assert samples.dtype == np.float64
        assert samples.shape == (500, 8)
        normal = np.random.RandomState(4).standard_normal((500, 3))
        np.testing.assert_array_equal(samples, autoencoder.inverse_transform(normal))
        np.testing.assert_array_equal(samples, autoencoder.sample(500, random_state=np.random.RandomState(4)))
        assert not np.array_equal(samples, autoencoder.sample(500, random_state=5))
        assert ((samples >= small.min(axis=0)) & (samples <= small.max(axis=0))).all()
        assert autoencoder.sample().shape == (1, 8)

    def test_the_elbo_is_its_formula(self, small):
        """The variance of an entry is half the squared scale."""
        autoencoder = quick(3, code="gaussian", hidden_layer_sizes=()).fit(small)
        network, scaling = autoencoder.module_.network, autoencoder._scaling
        A, a = (part.detach().numpy().astype(float) for part in network.encoder_affine.parameters())
        W, b = (part.detach().numpy().astype(float) for part in network.decoder_affine.parameters())
        pre = (small - scaling.offset) / scaling.scale @ A.T + a
        mean, variance = pre[:, :3], np.exp(pre[:, 3:])
        generator = torch.Generator().manual_seed(int(np.random.RandomState(0).randint(np.iinfo(np.int32).max)))
        noise = torch.empty(80, 3).double().normal_(generator=generator).numpy()
        decoded = scaling.offset + scaling.scale * ((mean + np.sqrt(variance) * noise) @ W.T + b)
        of_data = norm.logpdf(small, decoded, scaling.scale * np.sqrt(0.5)).sum(axis=1)
        divergence = (mean**2 + variance - 1 - np.log(variance)).sum(axis=1) / 2
        bound = autoencoder.elbo(small, random_state=0)
        assert bound == pytest.approx((of_data - divergence).mean(), rel=1e-9)
        assert autoencoder.elbo(small, random_state=0) == bound != autoencoder.elbo(small, random_state=1)

    def test_a_linear_variational_autoencoder_ends_at_probabilistic_pca(self, small):
        """The ELBO of Lucas et al. (2019): at the optimum it is the likelihood of the best model with that noise."""
        training = {"early_stopping": False, "max_epochs": 150, "n_iter_no_change": 150, "lr": 1e-2}
        autoencoder = quick(2, code="gaussian", hidden_layer_sizes=(), **training).fit(small)
        noise = autoencoder._scaling.scale**2 / 2 * np.eye(8)
        variances, axes = np.linalg.eigh(np.cov(small, rowvar=False, bias=True))
        best = axes[:, -2:] * np.sqrt(np.maximum(variances[-2:] - noise[0, 0], 0))
        likelihood = multivariate_normal(small.mean(axis=0), best @ best.T + noise).logpdf(small).mean()
        centre, columns = autoencoder.inverse_transform(np.zeros((1, 2)))[0], autoencoder.components_.T
        own = multivariate_normal(centre, columns @ columns.T + noise).logpdf(small).mean()
        assert likelihood - 0.01 < own <= likelihood + 1e-9
        bounds = [autoencoder.elbo(small, random_state=seed) for seed in range(100)]
        assert np.mean(bounds) == pytest.approx(own, abs=5 * np.std(bounds) / 10 + 0.01)
        start = quick(2, code="gaussian", hidden_layer_sizes=(), max_epochs=0).fit(small)
        assert np.mean(bounds) > np.mean([start.elbo(small, random_state=seed) for seed in range(100)])

    def test_the_elbo_applies_no_dropout(self, small):
        autoencoder = quick(3, code="gaussian", code_dropout=0.5).fit(small)
        bound = autoencoder.elbo(small, random_state=0)
        for module in (autoencoder.module_, autoencoder._fitted_model.module64):
            module.code_dropout = 0.0
        assert autoencoder.elbo(small, random_state=0) == bound

    def test_the_elbo_is_that_of_a_density_in_the_datas_units(self, small):
        X = small - small.mean(axis=0)
        bound = quick(code="gaussian").fit(X).elbo(X, random_state=0)
        scaled = quick(code="gaussian").fit(1024 * X).elbo(1024 * X, random_state=0)
        assert scaled == pytest.approx(bound - 8 * np.log(1024))

    @pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": ()}, {"code": Gaussian(5)}, {"loss": "huber"}])
    @pytest.mark.parametrize("distance", [-1e4, -100, 100, 1e4])
    def test_the_elbo_of_samples_far_away_is_of_the_order_of_their_error(self, small, params, distance):
        autoencoder = quick(3, **{"code": "gaussian", "max_epochs": 30} | params).fit(small)
        far = small + distance * small.std()
        squares = ((far - small.mean(axis=0)) ** 2).sum(axis=1).mean() / autoencoder._scaling.scale**2
        assert -3 * squares < autoencoder.elbo(far, random_state=0) < 0

    @pytest.mark.parametrize(("dtype", "entry"), [(np.float32, 3e38), (np.float64, 1e200), (np.float64, -1e300)])
    def test_only_float32_data_is_to_be_passed_in_float64(self, small, dtype, entry):
        autoencoder = quick(3, code="gaussian").fit(small)
        far = np.full((2, 8), entry, dtype)
        for method in (autoencoder.elbo, autoencoder.score, autoencoder.score_samples):
            with pytest.raises(ValueError, match="too large for") as error:
                method(far)
            assert ("Pass float64" in str(error.value)) == (dtype == np.float32)
        if dtype == np.float32:
            assert np.isfinite(autoencoder.elbo(far.astype(float)))

    @pytest.mark.parametrize("loss", LOSSES)
    def test_every_loss_has_an_elbo_and_samples_in_its_range(self, small, loss):
        X = np.abs(small) / np.abs(small).sum(axis=1, keepdims=True)
        autoencoder = quick(code="gaussian", loss=loss).fit(X)
        assert np.isfinite(autoencoder.elbo(X, random_state=0))
        low, high = autoencoder.module_.output.data_range
        samples = autoencoder.sample(50, random_state=0)
        assert ((samples >= low) & (samples <= high)).all()
