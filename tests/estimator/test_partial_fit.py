"""partial_fit and warm starts continue training, and a failure keeps the earlier state."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from helpers import quick, same_bits
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK
from sklearn_ae.corruptions import Masking
from sklearn_ae.losses import Huber, Mixed
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder
from sklearn_ae.penalties import L1
from sklearn_ae.plotting import LossCurveDisplay


def test_partial_fit_starts_as_pca_and_fixes_the_scaling(small):
    autoencoder = quick(3, lr=1e-9, output_activation="identity").partial_fit(small)
    assert autoencoder.score(small) == pytest.approx(reconstruction_score(PCA(3).fit(small), small), abs=1e-5)
    mean, codes = autoencoder.mean_.copy(), autoencoder.transform(small)
    autoencoder.partial_fit(small + 100)
    np.testing.assert_array_equal(autoencoder.mean_, mean)
    np.testing.assert_allclose(autoencoder.transform(small), codes, atol=1e-3)
    assert autoencoder.n_iter_ == 2
    assert len(autoencoder.loss_curve_) == 2


def test_partial_fit_learns(digits):
    autoencoder = quick(10)
    for _ in range(10):
        for batch in np.array_split(digits, 4):
            autoencoder.partial_fit(batch)
    assert autoencoder.score(digits) > 0.80 > reconstruction_score(PCA(10).fit(digits), digits)


def test_partial_fit_accepts_fewer_samples_than_components_and_single_samples(small):
    autoencoder = quick(5).partial_fit(small[:3])
    for row in small[3:40]:
        autoencoder.partial_fit(row[None])
    assert np.isfinite(autoencoder.transform(small)).all()
    assert autoencoder.components_.shape == (5, 8)


def test_a_failed_partial_fit_changes_nothing(small):
    autoencoder = quick(2, optimizer="sgd").partial_fit(small)
    expected = autoencoder.transform(small)
    autoencoder.net_.set_params(lr=1e35)
    with pytest.raises(ValueError, match="stopped being finite"):
        autoencoder.partial_fit(small)
    np.testing.assert_array_equal(autoencoder.transform(small), expected)


def test_partial_fit_continues_after_fit(digits):
    autoencoder = quick(5, max_epochs=20).fit(digits)
    before = autoencoder.score(digits)
    codes = autoencoder.transform(digits)
    autoencoder.partial_fit(digits)
    LossCurveDisplay.from_estimator(autoencoder)
    assert autoencoder.n_iter_ == len(autoencoder.loss_curve_) == 21
    assert autoencoder.score(digits) > before - 0.03
    assert np.corrcoef(codes[:, 0], autoencoder.transform(digits)[:, 0])[0, 1] > 0.9


def test_the_clipping_range_widens_with_the_data_of_partial_fit(small):
    autoencoder = quick(8, output_activation="clip", lr=1e-9).partial_fit(small[:40])
    autoencoder.partial_fit(small + 30)
    reconstruction = autoencoder.inverse_transform(autoencoder.transform(small + 30))
    np.testing.assert_allclose(reconstruction, small + 30, atol=0.01)


def test_warm_start_continues_training(digits):
    autoencoder = quick(5, warm_start=True, max_epochs=15).fit(digits)
    first = autoencoder.score(digits)
    autoencoder.fit(digits)
    assert autoencoder.validation_scores_[0] > first - 0.05
    assert autoencoder.score(digits) > first
    cold = quick(5, max_epochs=15).fit(digits)
    assert autoencoder.score(digits) > cold.score(digits)


def test_warm_start_initializes_again_if_sizes_differ(small):
    autoencoder = quick(2, warm_start=True).fit(small)
    with pytest.warns(UserWarning, match="starts from new weights, because .* differs: n_components from 2 to 3. To"):
        changed = autoencoder.set_params(n_components=3).fit(small).transform(small)
    np.testing.assert_array_equal(changed, quick(3).fit(small).transform(small))


@pytest.mark.parametrize("n_components", [0.5, "auto"])
def test_warm_start_continues_with_all_components_if_the_fit_selects_some(n_components, digits):
    autoencoder = quick(n_components, warm_start=True, max_epochs=10).fit(digits)
    before = weights_of(autoencoder)
    assert kept(before, autoencoder.set_params(max_epochs=0).fit(digits))


def kept(weights: dict, autoencoder) -> bool:
    """Return whether the network still has the given weights."""
    return all(torch.equal(value, weights[name]) for name, value in autoencoder.module_.network.state_dict().items())


def weights_of(autoencoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in autoencoder.module_.network.state_dict().items()}


#: Parameters, changes that keep the network, and changes that require another network.
CHANGES = {
    "code by name": ({"code": "top_k"}, {"code": TopK()}, {"code": TopK(1.0 - 1e-9)}),
    "code": ({"code": TopK(2)}, {"code": TopK(2)}, {"code": TopK(1)}),
    "loss": ({"loss": Huber(0.5)}, {"loss": Huber(0.5)}, {"loss": Huber(0.25)}),
    "columns": ({"loss": Mixed([("huber", 0)])}, {"loss": Mixed([("huber", [0])])}, {"loss": Mixed([("huber", 1)])}),
    "module": ({"module": ConvAutoencoder, "n_components": 1}, {"module": ConvAutoencoder}, {"module": None}),
    "lr": ({"lr": 1e-3}, {"lr": 1e-2}, {"code_dropout": 0.5}),
    "penalty": ({"code_dropout": 0.1}, {"penalty": L1(0.1), "corruption": Masking(0.2)}, {"code_dropout": 0.2}),
}


@pytest.mark.parametrize(
    "through", [lambda estimator: estimator, lambda e: pickle.loads(pickle.dumps(e))], ids=["", "load"]
)
@pytest.mark.parametrize(("params", "same", "other"), CHANGES.values(), ids=CHANGES)
def test_warm_start_continues_only_if_building_blocks_are_equal(params, same, other, through, small):
    X = np.c_[small, small[:, :1]]
    training = {"warm_start": True, "max_epochs": 10, "lr": 0.01, "init": "random"}
    autoencoder = through(quick(**training | params).fit(X))
    before = weights_of(autoencoder)
    assert autoencoder.best_epoch_ > 0
    assert kept(before, autoencoder.set_params(**same, max_epochs=0).fit(X))
    with pytest.warns(UserWarning, match=f"starts from new weights, because .* {next(iter(other))} from"):
        anew = autoencoder.set_params(**other, max_epochs=3).fit(X)
    fresh = AutoencoderTransformer(**anew.get_params(deep=False)).set_params(warm_start=False).fit(X)
    np.testing.assert_array_equal(anew.transform(X), fresh.transform(X))
    assert not kept(before, anew)


#: Parameters of a fit, and for each parameter of the model a value that describes another one.
OTHER_MODELS = {
    "n_components": ({"n_components": 4}, [2, np.int64(5), "auto", 0.5]),
    "ordered": ({}, [True]),
    "whiten": ({}, [True]),
    "hidden_layer_sizes": ({}, [(4,), 8, (), (128, 128)]),
    "activation": ({}, ["tanh", torch.nn.SiLU]),
    "code": ({"code": TopK(2)}, ["relu", "identity", TopK(1)]),
    "loss": ({"loss": Huber(0.5)}, ["squared_error", Huber(0.25), Mixed([("huber", 0)])]),
    "output_activation": ({}, ["clip"]),
    "code_dropout": ({}, [0.5]),
    "module": ({}, [ConvAutoencoder, TiedAutoencoder]),
    "missing": ({}, ["mask"]),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("name", "params", "values"), [(n, *each) for n, each in OTHER_MODELS.items()], ids=OTHER_MODELS
)
def test_partial_fit_refuses_parameters_of_another_model_by_name(name, params, values, method, small):
    X = np.c_[small, small[:, :1]]
    default = AutoencoderTransformer(**params).get_params(deep=False)[name]
    back = [] if name == "output_activation" else [({**params, name: values[0]}, default)]  # "auto" means any
    for before, after in [*((params, value) for value in values), *back]:
        model = quick(**before)
        getattr(model, method)(X)
        codes, attributes = model.transform(X), vars(model.set_params(**{name: after})).copy()
        with pytest.raises(
            ValueError, match=rf"partial_fit cannot change parameters of the fitted model, got .*{name}="
        ):
            model.partial_fit(X)
        assert vars(model) == attributes
        np.testing.assert_array_equal(model.transform(X), codes)
        model.fit(X).partial_fit(X)


@pytest.mark.parametrize(
    ("params", "same"),
    [
        ({"n_components": 3}, {"n_components": np.int64(3)}),
        ({"n_components": 0.5}, {"n_components": 0.5}),
        ({"n_components": None}, {"n_components": 9}),
        ({"hidden_layer_sizes": 8}, {"hidden_layer_sizes": [8]}),
        ({}, {"hidden_layer_sizes": (128,)}),
        ({"code": "top_k"}, {"code": TopK()}),
        ({"loss": Mixed([("huber", 0)])}, {"loss": Mixed([("huber", [0])])}),
        ({"module": ConvAutoencoder}, {"activation": "silu"}),
        ({"output_activation": "clip"}, {"output_activation": "auto"}),
    ],
    ids=str,
)
def test_partial_fit_accepts_parameters_that_mean_the_same(params, same, small):
    X = np.c_[small, small[:, :1]]
    model = quick(**params).partial_fit(X).set_params(**same).partial_fit(X)
    assert pickle.loads(pickle.dumps(model)).partial_fit(X).n_iter_ == 3


@pytest.mark.parametrize(
    "change",
    [{"lr": 2**-9}, {"batch_size": 16}, {"penalty": L1(0.1)}, {"weight_decay": 0.5}, {"optimizer": "sgd"}],
    ids=str,
)
def test_partial_fit_follows_a_change_of_training(change, small):
    unchanged = quick(batch_size=80).partial_fit(small).partial_fit(small)
    model = quick(batch_size=80).partial_fit(small)
    loaded = pickle.loads(pickle.dumps(model)).set_params(**change).partial_fit(small)  # with a new net
    model.set_params(**change).partial_fit(small)
    assert not same_bits(weights_of(model), weights_of(unchanged))
    assert same_bits(weights_of(model), weights_of(loaded)) or model.net_.batch_size == loaded.net_.batch_size == 16


def test_partial_fit_follows_a_change_within_a_penalty(small):
    nested, replaced = (quick(penalty=L1(0.1)).partial_fit(small) for _ in range(2))
    nested.set_params(penalty__alpha=5.0).partial_fit(small)
    replaced.set_params(penalty=L1(5.0)).partial_fit(small)
    assert same_bits(weights_of(nested), weights_of(replaced))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", [{"batch_size": 0}, {"batch_size": 2.5}, {"optimizer": "typo"}, {"missing": "Mask"}])
def test_partial_fit_validates_parameters_set_after_the_first_call(change, method, small):
    model = getattr(quick(), method)(small)
    codes = model.transform(small)
    with pytest.raises(ValueError, match=f"The '{next(iter(change))}' parameter of AutoencoderTransformer must be"):
        model.set_params(**change).partial_fit(small)
    np.testing.assert_array_equal(model.transform(small), codes)


class Unreadable:
    """Two chunks that can be read a given number of times."""

    def __init__(self, X, n_times):
        self.parts, self.n_left = np.array_split(X, 2), n_times

    def __iter__(self):
        if self.n_left == 0:
            raise OSError("cannot be read")
        self.n_left -= 1
        yield from self.parts


def test_an_error_at_any_time_leaves_the_estimator_unchanged(small):
    small = small.astype(np.float32)
    model = quick().partial_fit(small)
    codes, weights = model.transform(small), weights_of(model)
    n_times = 0
    with sklearn.config_context(working_memory=0):
        while model.n_iter_ == 1:
            try:
                model.partial_fit(Unreadable(small, n_times))
            except OSError:
                assert kept(weights, model)
                np.testing.assert_array_equal(model.transform(small), codes)
            n_times += 1
    assert n_times > 3  # what it reads before, in and after training


def test_without_warm_start_each_fit_starts_from_scratch(small):
    autoencoder = quick().fit(small)
    np.testing.assert_array_equal(autoencoder.fit(small).transform(small), quick().fit(small).transform(small))


def test_a_failed_warm_start_keeps_the_earlier_fit(small):
    autoencoder = quick(warm_start=True, output_activation="clip").fit(small)
    before, codes = vars(autoencoder).copy(), autoencoder.transform(small)
    with pytest.raises(ValueError, match="stopped being finite"):
        autoencoder.set_params(lr=1e30, optimizer="sgd").fit(small + 1)
    assert {name: value for name, value in vars(autoencoder).items() if name not in ("lr", "optimizer")} == {
        name: value for name, value in before.items() if name not in ("lr", "optimizer")
    }
    np.testing.assert_array_equal(autoencoder.transform(small), codes)


VARIANTS = {
    "top k": {"code": TopK(2), "n_components": 4},
    "gaussian": {"code": "gaussian"},
    "mixed": {"loss": Mixed([("poisson", [1, 2])])},
    "shares": {"loss": "multinomial"},
    "corruption": {"corruption": "salt_and_pepper", "penalty": ["l1", "contractive"]},
}


@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_partial_fit_learns_with_every_variant(params, small):
    X = np.abs(small)
    autoencoder = quick(**params, lr=1e-2).partial_fit(X)
    first = autoencoder.loss_curve_[0]
    for _ in range(30):
        autoencoder.partial_fit(X)
    assert autoencoder.loss_curve_[-5:].mean() < first
    assert len(autoencoder.loss_curve_) == autoencoder.n_iter_ == 31


def test_a_failed_partial_fit_keeps_the_range_of_the_output(small):
    autoencoder = quick(2, optimizer="sgd", output_activation="clip").partial_fit(small)
    far = (5 * small).astype(np.float32)
    expected = autoencoder.score(far), autoencoder.module_.output.high.clone()
    autoencoder.net_.set_params(lr=1e38)
    with pytest.raises(ValueError, match="stopped being finite"):
        autoencoder.partial_fit(100 * small)
    assert autoencoder.score(far) == expected[0]
    assert torch.equal(autoencoder.module_.output.high, expected[1])


@pytest.mark.parametrize("first", [True, False])
def test_a_partial_fit_whose_weights_explode_raises_an_error(first, small):
    autoencoder = quick(2, batch_size=1000)
    if not first:
        autoencoder.partial_fit(small)
        codes = autoencoder.transform(small)
        autoencoder.net_.optimizer_.param_groups[0]["weight_decay"] = 1e30
    with pytest.raises(ValueError, match=r"weights grew to a length of .* Lower lr or weight_decay"):
        autoencoder.set_params(weight_decay=1e30).partial_fit(small)
    if first:
        assert not hasattr(autoencoder, "module_")
    else:
        np.testing.assert_array_equal(autoencoder.transform(small), codes)


def test_salt_and_pepper_are_the_bounds_of_all_samples_seen(small):
    autoencoder = quick(2, corruption="salt_and_pepper").partial_fit(small).partial_fit(10 * small)
    seen = np.vstack([small, 10 * small])
    bounds = autoencoder.net_.data_bounds
    for found, bound in ((bounds.low, seen.min(axis=0)), (bounds.high, seen.max(axis=0))):
        np.testing.assert_allclose(found, autoencoder._scaling.transform_point(bound), rtol=1e-5)
