"""AutoencoderTransformer starts as PCA, improves on it, has canonical codes and is reproducible."""

import contextlib
import copy
import io
import pickle
import threading
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import quick, same_bits
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import LambdaLR

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.split import held_out_rows
from sklearn_ae._training.optimizers import LearningRule
from sklearn_ae.codes import CODES
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.networks import TiedAutoencoder

NAMES = ["digits", "wine", "cancer", "diabetes", "iris", "swiss roll", "S curve"]


def linear(n_components, n_rows, seed=0, **params):
    """Return a linear autoencoder, initialized at random: 2,000 steps, learning rate falling linearly from 4e-3."""
    epochs = -(-2000 // -(-n_rows // 64))
    decay = LRScheduler(LambdaLR, lr_lambda=lambda epoch: 1 - epoch / epochs)
    return AutoencoderTransformer(
        n_components,
        hidden_layer_sizes=(),
        init="random",
        output_activation="identity",
        early_stopping=False,
        lr=4e-3,
        batch_size=64,
        max_epochs=epochs,
        n_iter_no_change=epochs,
        callbacks=[decay],
        random_state=seed,
        **params,
    )


class TestPCA:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("hidden_layer_sizes", [(), (128,), (32, 16)])
    def test_the_initialization_is_pca(self, seven_data_sets, name, hidden_layer_sizes):
        X = seven_data_sets[name]
        for k in (1, 2, min(5, X.shape[1])):
            start = quick(k, hidden_layer_sizes=hidden_layer_sizes, max_epochs=0, early_stopping=False)
            pca = PCA(k).fit(X)
            expected = reconstruction_score(pca, X)
            start.set_params(output_activation="identity").fit(X)
            assert start.score(X) == pytest.approx(expected, abs=1e-5)
            np.testing.assert_allclose(
                start.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-3, atol=1e-6
            )
            assert start.set_params(output_activation="clip").fit(X).score(X) >= expected - 1e-6

    def test_transform_after_initialization_is_pcas(self, digits):
        start = quick(5, max_epochs=0, early_stopping=False, output_activation="identity").fit(digits)
        pca = PCA(5).fit(digits)
        np.testing.assert_allclose(start.transform(digits), pca.transform(digits), atol=1e-3)
        np.testing.assert_allclose(start.components_, pca.components_, atol=1e-4)
        np.testing.assert_allclose(start.mean_, pca.mean_)
        np.testing.assert_allclose(start.explained_variance_, pca.explained_variance_, rtol=1e-4)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_linear_autoencoder_ends_at_pca(self, seven_data_sets, name):
        X = seven_data_sets[name]
        pca = PCA(2).fit(X)
        autoencoder = linear(2, len(X)).fit(X)
        assert autoencoder.score(X) == pytest.approx(reconstruction_score(pca, X), abs=0.002)
        np.testing.assert_allclose(autoencoder.explained_variance_ratio_, pca.explained_variance_ratio_, atol=0.02)
        cosines = np.abs((autoencoder.components_ * pca.components_).sum(axis=1))
        gap = -np.diff(pca.explained_variance_ratio_)[0]
        if gap > 0.02:
            np.testing.assert_allclose(cosines, 1, atol=0.02)

    def test_two_seeds_of_a_linear_autoencoder_agree(self, digits):
        first, second = (linear(3, len(digits), seed).fit(digits).components_ for seed in (0, 1))
        np.testing.assert_allclose(first, second, atol=0.02)

    def test_no_worse_than_the_initialization_on_the_validation_set(self, seven_data_sets):
        for name in ("iris", "wine", "diabetes"):
            X = seven_data_sets[name]
            autoencoder = quick(2, max_epochs=30).fit(X)
            scores, best = autoencoder.validation_scores_, autoencoder.best_epoch_
            held_out = X[held_out_rows(len(X), autoencoder.validation_fraction, np.random.RandomState(0))]
            assert autoencoder.score(held_out) == pytest.approx(scores[best], abs=1e-5)
            assert scores[best] >= scores[0]

    def test_better_than_pca_on_digits(self, digits):
        train, test = train_test_split(digits, test_size=0.2, random_state=0)
        assert AutoencoderTransformer(10, random_state=0).fit(train).score(test) >= 0.87

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    def test_the_default_is_no_worse_than_pca_on_held_out_samples(self, seven_data_sets, name):
        X = seven_data_sets[name]
        gains = []
        for seed in range(5):
            train, test = train_test_split(X, test_size=0.2, random_state=seed)
            autoencoder = AutoencoderTransformer(random_state=seed).fit(train)
            gains.append(reconstruction_score(autoencoder, test) - reconstruction_score(PCA(2).fit(train), test))
        assert np.mean(gains) >= -0.005


class TestCodes:
    @pytest.mark.parametrize("code", CODES)
    @pytest.mark.parametrize("tied", [False, True])
    def test_components_are_decoded_unit_vectors(self, small, code, tied):
        autoencoder = quick(
            3, hidden_layer_sizes=(), code=code, module=TiedAutoencoder if tied else None, output_activation="identity"
        ).fit(small)
        decoded = autoencoder.inverse_transform(np.eye(3)) - autoencoder.inverse_transform(np.zeros((1, 3)))
        np.testing.assert_allclose(autoencoder.components_, decoded, atol=1e-5)

    @pytest.mark.parametrize("code", CODES)
    @pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_the_code_map_changes_no_reconstruction(self, small, code, hidden_layer_sizes, dropout):
        autoencoder = quick(5, code=code, hidden_layer_sizes=hidden_layer_sizes, code_dropout=dropout).fit(small)
        z = autoencoder._scaling.transform(small, torch.float32)
        with torch.no_grad():
            plain = autoencoder.module_(z).numpy()
            mapped = autoencoder.module_.decode(autoencoder.module_.encode(z)).numpy()
        np.testing.assert_allclose(mapped, plain, atol=1e-5)

    def test_identity_codes_are_uncorrelated_and_ordered(self, digits):
        autoencoder = quick(6).fit(digits)
        covariance = np.cov(autoencoder.transform(digits), rowvar=False)
        variances = np.diag(covariance)
        assert np.abs(covariance - np.diag(variances)).max() < 1e-3 * variances.max()
        assert (np.diff(variances) < 0).all()
        np.testing.assert_allclose(variances, autoencoder.explained_variance_, rtol=1e-3)
        np.testing.assert_allclose(autoencoder.components_ @ autoencoder.components_.T, np.eye(6), atol=1e-10)

    @pytest.mark.parametrize("begin", ["fit", "partial_fit"])
    @pytest.mark.parametrize("params", [{}, {"ordered": True}, {"loss": "huber"}])
    @pytest.mark.parametrize(("name", "k"), [("wine", 2), ("cancer", 3), ("digits", 4)])
    def test_codes_correlate_positively_with_the_principal_axis_that_they_follow(
        self, seven_data_sets, name, k, params, begin
    ):
        X = seven_data_sets[name][:300]
        scores = PCA(k).fit_transform(X)
        for seed in range(3):
            autoencoder = AutoencoderTransformer(k, max_epochs=5, early_stopping=False, random_state=seed, **params)
            codes = getattr(autoencoder, begin)(X).transform(X)
            correlations = np.corrcoef(codes.T, scores.T)[:k, k:]
            followed = np.abs(correlations).argmax(axis=1)
            strengths = np.sort(np.abs(correlations), axis=1)
            clear = strengths[:, -1] > strengths[:, -2] + 0.2
            assert clear.any()
            assert (correlations[range(k), followed] > 0)[clear].all()

    @pytest.mark.parametrize("code", CODES)
    def test_explained_variance_ratio_sums_to_r2(self, digits, code):
        autoencoder = quick(6, code=code).fit(digits)
        ratio = autoencoder.explained_variance_ratio_
        assert (ratio >= 0).all()
        assert (np.diff(ratio) <= 1e-12).all()
        assert ratio.sum() == pytest.approx(autoencoder.score(digits), abs=1e-5)

    def test_components_beyond_the_rank_are_zero(self):
        X = np.random.default_rng(0).normal(size=(40, 3))
        with pytest.warns(UserWarning, match="n_components=5 is more than the 3 features"):
            autoencoder = quick(5, output_activation="identity", max_epochs=2).fit(X)
        assert autoencoder.components_.shape == (5, 3)
        np.testing.assert_allclose(autoencoder.components_[3:], 0, atol=1e-6)
        assert autoencoder.score(X) > 0.999

    def test_a_clipped_output_stays_in_the_range_of_the_data(self, digits):
        autoencoder = quick(8).fit(digits)
        reconstruction = autoencoder.inverse_transform(autoencoder.transform(digits))
        assert reconstruction.min() >= 0
        assert reconstruction.max() <= 16

    def test_dropout_is_off_when_transforming(self, small):
        autoencoder = quick(3, code_dropout=0.5).fit(small)
        np.testing.assert_array_equal(autoencoder.transform(small), autoencoder.transform(small))


PRINCIPAL = ("components_", "mean_", "explained_variance_", "explained_variance_ratio_")
CONTAINERS = {
    "array": np.asarray,
    "frame": pd.DataFrame,
    "polars": pl.DataFrame,
    "csr": csr_array,
    "tensor": torch.from_numpy,
    "arrays": lambda X: [X[:50], X[50:]],
}


class TestInput:
    @pytest.mark.parametrize(
        ("container", "dtype"),
        [
            *((name, dtype) for name in CONTAINERS for dtype in (np.float32, np.float64, np.uint8)),
            *(("array", dtype) for dtype in (np.float16, np.int64)),
        ],
    )
    def test_fitted_attributes_have_the_dtype_of_pcas(self, container, dtype):
        convert, X = CONTAINERS[container], np.random.default_rng(0).integers(0, 9, size=(80, 6)).astype(dtype)
        pca = PCA(2).fit(X)
        fitted = quick().fit(convert(X))
        for estimator in (fitted, quick().partial_fit(convert(X))):
            assert [getattr(estimator, name).dtype for name in PRINCIPAL] == [pca.mean_.dtype] * 4
        for estimator in (pickle.loads(pickle.dumps(fitted)), fitted.partial_fit(convert(X.astype(np.float64)))):
            assert [getattr(estimator, name).dtype for name in PRINCIPAL] == [pca.mean_.dtype] * 4

    @pytest.mark.parametrize("container", ["array", "csr", "tensor"])
    @pytest.mark.parametrize("params", [{}, {"code": "relu"}, {"ordered": True}])
    def test_fitted_attributes_of_float32_are_those_of_float64(self, small, container, params):
        convert, given = CONTAINERS[container], small.astype(np.float32)
        single, double = (quick(**params).fit(convert(X)) for X in (given, given.astype(np.float64)))
        pairs = [(single, double)]
        if params.get("ordered"):
            pairs.append((single.truncate(1), double.truncate(1)))
        for one, other in pairs:
            for name in PRINCIPAL:
                assert getattr(one, name).dtype == np.float32
                assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    def test_variances_outside_the_range_of_float32_are_float64(self, small, scale):
        given = (small * scale).astype(np.float32)
        single, double = (quick().fit(X) for X in (given, given.astype(np.float64)))
        assert single.components_.dtype == single.mean_.dtype == np.float32
        assert_allclose(single.explained_variance_, double.explained_variance_, rtol=1e-5)
        assert np.isfinite(single.explained_variance_).all()
        assert (single.explained_variance_ > 0).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.float16])
    def test_output_dtypes_are_those_of_pca(self, dtype):
        X = np.random.default_rng(0).integers(0, 9, size=(40, 5)).astype(dtype)
        autoencoder, pca = quick().fit(X), PCA(2).fit(X)
        codes = autoencoder.transform(X)
        assert codes.dtype == pca.transform(X).dtype
        assert autoencoder.inverse_transform(codes).dtype == codes.dtype
        expected = quick().fit(X.astype(np.float64)).transform(X.astype(np.float64))
        np.testing.assert_allclose(codes, expected, atol=1e-4)

    @pytest.mark.parametrize(
        "layout",
        [
            np.asfortranarray,
            lambda X: np.repeat(X, 2, axis=0)[::2],
            lambda X: X[::-1][::-1],
            lambda X: np.ascontiguousarray(X[::-1])[::-1],
            lambda X: np.lib.stride_tricks.as_strided(X, X.shape, X.strides, writeable=False),
        ],
        ids=["Fortran", "strided", "contiguous", "negative strides", "read-only"],
    )
    def test_layout_does_not_matter(self, small, layout):
        X = layout(small.copy())
        before = X.copy()
        autoencoder = quick().fit(X)
        expected = quick().fit(small)
        np.testing.assert_allclose(autoencoder.transform(X), expected.transform(small), rtol=1e-6)
        codes = expected.transform(small)
        np.testing.assert_allclose(autoencoder.inverse_transform(layout(codes)), expected.inverse_transform(codes))
        np.testing.assert_array_equal(X, before)

    @pytest.mark.parametrize(
        "X",
        [
            np.eye(20)[:, :1],
            np.ones((20, 4)),
            np.tile([[1.0, 2.0, 3.0]], (10, 1)),
            np.hstack([np.random.default_rng(0).normal(size=(30, 2)), np.ones((30, 2))]),
            np.random.default_rng(0).normal(size=(4, 50)),
            np.random.default_rng(0).normal(size=(30, 4)) > 0,
        ],
        ids=["one column", "constant", "duplicates", "constant columns", "wide", "bool"],
    )
    @pytest.mark.parametrize("n_components", [1, 7])
    def test_odd_shapes_work(self, X, n_components):
        too_many = n_components > X.shape[1]
        with pytest.warns(UserWarning, match="n_components=7 is more than") if too_many else contextlib.nullcontext():
            autoencoder = quick(n_components).fit(X)
        codes = autoencoder.transform(X)
        assert codes.shape == (len(X), n_components)
        assert np.isfinite(codes).all()
        assert np.isfinite(autoencoder.inverse_transform(codes)).all()
        assert np.isfinite(autoencoder.explained_variance_ratio_).all()

    @pytest.mark.parametrize("library", [pd, pl])
    def test_frames(self, small, library):
        frame = library.DataFrame(dict(zip("abcdefgh", small.T, strict=True)))
        autoencoder = quick().fit(frame)
        np.testing.assert_allclose(autoencoder.transform(frame), quick().fit(small).transform(small), rtol=1e-6)
        assert list(autoencoder.feature_names_in_) == list("abcdefgh")
        assert list(autoencoder.get_feature_names_out()) == ["autoencodertransformer0", "autoencodertransformer1"]
        out = autoencoder.set_output(transform="pandas" if library is pd else "polars").transform(frame)
        assert isinstance(out, library.DataFrame)
        wrong = frame.rename(columns={"a": "z"}) if library is pd else frame.rename({"a": "z"})
        with pytest.raises(ValueError, match="feature names should match"):
            autoencoder.transform(wrong)


class Interrupt(Callback):
    """Interrupts training in a given epoch, as Ctrl-C does."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


class TestFaults:
    @pytest.mark.parametrize("epoch", [1, 3])
    def test_interrupted_fit_is_fitted(self, small, epoch):
        autoencoder = quick(max_epochs=9, callbacks=[Interrupt(epoch)])
        with pytest.warns(UserWarning, match="interrupted; the best weights so far"):
            autoencoder.fit(small)
        assert autoencoder.n_iter_ == epoch - 1
        expected = quick(max_epochs=epoch - 1).fit(small)
        np.testing.assert_array_equal(autoencoder.transform(small), expected.transform(small))

    def test_a_loss_that_stays_infinite_raises_an_error(self, small):
        with warnings.catch_warnings(), pytest.raises(ValueError, match=r"stopped being finite.*Lower lr"):
            quick(lr=1e30, optimizer="sgd", max_epochs=20).fit(small)

    def test_a_loss_that_recovers_at_a_tenth_of_the_rate_raises_no_error(self, small):
        class Spoil(Callback):
            spoilt = False

            def on_epoch_begin(self, net, **kwargs):
                if len(net.history) == 2 and not self.spoilt:
                    self.spoilt = True
                    with torch.no_grad():
                        net.module_.network.encoder_affine.weight.fill_(torch.nan)

        autoencoder = quick(max_epochs=10, lr_schedule="constant", callbacks=[Spoil()]).fit(small)
        rates = [group["lr"] for group in autoencoder.net_.optimizer_.param_groups]
        assert max(rates) == pytest.approx(LearningRule().greatest_ratio * autoencoder.net_.lr / 10)
        assert autoencoder.score(small) >= quick(max_epochs=1).fit(small).score(small) - 0.01
        assert len(autoencoder.validation_scores_) == autoencoder.n_iter_ + 1 == 11


class TestReproducible:
    def test_results_depend_on_the_seed_and_on_no_other_generator(self, small):
        """Global generators, including NumPy's legacy one, have no effect and do not change."""
        quick = partial(AutoencoderTransformer, code_dropout=0.2, max_epochs=20, lr=3e-3)
        first = quick(random_state=0).fit(small).transform(small)
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        np.testing.assert_array_equal(quick(random_state=0).fit(small).transform(small), first)
        assert torch.equal(torch.get_rng_state(), states[0])
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
        assert not np.array_equal(quick(random_state=1).fit(small).transform(small), first)

    def test_a_default_dtype_of_float64_changes_nothing(self, small):
        expected = quick().fit(small).transform(small)
        torch.set_default_dtype(torch.float64)
        try:
            np.testing.assert_array_equal(quick().fit(small).transform(small), expected)
        finally:
            torch.set_default_dtype(torch.float32)

    def test_fits_in_threads_equal_serial_ones(self, small):
        expected = [quick(code_dropout=0.2, random_state=seed).fit(small).transform(small) for seed in range(4)]
        results = [None] * 4

        def fit(seed):
            results[seed] = quick(code_dropout=0.2, random_state=seed).fit(small).transform(small)

        threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(results, expected)


class TestEcosystem:
    def test_grid_search_over_a_pipeline(self, small):
        y = small[:, 0] > 5
        pipeline = make_pipeline(StandardScaler(), quick(), LogisticRegression())
        search = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [1, 3]}, cv=2).fit(small, y)
        assert search.best_params_ == {"autoencodertransformer__n_components": 3}

    def test_grid_search_needs_no_scorer(self, small):
        search = GridSearchCV(quick(), {"n_components": [1, 3]}, cv=2).fit(small)
        assert search.best_params_ == {"n_components": 3}
        assert search.best_score_ > 0.8

    def test_callbacks_are_used_and_net_is_usable(self, small):
        class Count(Callback):
            epochs = 0

            def on_epoch_end(self, net, **kwargs):
                self.epochs += 1

        count = Count()
        autoencoder = quick(callbacks=[("count", count)]).fit(small)
        assert count.epochs == autoencoder.n_iter_ == len(autoencoder.net_.history) == 3
        z = autoencoder._scaling.transform(small, torch.float64)
        assert autoencoder.net_.predict(z.numpy()).shape == small.shape

    @pytest.mark.parametrize("use_safetensors", [False, True])
    @pytest.mark.parametrize("through", [lambda model: model, copy.deepcopy], ids=["fit", "copy"])
    @pytest.mark.parametrize(
        "params",
        [{}, {"code": "gaussian"}, {"module": TiedAutoencoder}, {"device": torch.device("cpu")}],
    )
    def test_the_net_saves_and_loads_its_weights(self, params, through, use_safetensors, small, tmp_path):
        if use_safetensors:
            pytest.importorskip("safetensors")
        model, other = (through(quick(**params | {"random_state": seed}).fit(small)) for seed in (0, 1))
        model.net_.save_params(f_params=tmp_path / "weights", use_safetensors=use_safetensors)
        other.net_.load_params(f_params=tmp_path / "weights", use_safetensors=use_safetensors)
        assert same_bits(*(each.module_.state_dict() for each in (model, other)))

    @pytest.mark.parametrize(
        ("optimizer", "lr"), [("adam", 1e-3), ("sgd", 1e-2), (torch.optim.RMSprop, 1e-3), (torch.optim.LBFGS, 1.0)]
    )
    def test_optimizers(self, small, optimizer, lr):
        params = {"hidden_layer_sizes": (), "init": "random", "max_epochs": 5}
        scores = quick(optimizer=optimizer, lr=lr, **params).fit(small).validation_scores_
        assert scores.max() > scores[0]

    @pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid", "identity", torch.nn.ELU])
    def test_activations(self, small, activation):
        assert quick(activation=activation).fit(small).score(small) > 0.5

    def test_verbose_shows_one_bar_and_0_is_silent(self, small):
        for verbose, parts in ((0, []), (1, ["3/3", "loss=", "R2="])):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                quick(verbose=verbose).fit(small)
            shown = err.getvalue()
            assert out.getvalue() == ""
            assert bool(shown) == bool(verbose)
            assert [part for part in parts if part not in shown] == [], shown
