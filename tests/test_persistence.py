"""The state holds plain values and arrays, no torch object, and gives back every bit."""

import io
import pickle
from copy import deepcopy
from functools import partial
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data import Coordinates
from sklearn_ae._inference import Inference, add_moments, in_float64
from sklearn_ae._persistence import pack, restored_modules, unpack
from sklearn_ae._rows import Rows
from sklearn_ae.canonical import CodeMoments, canonicalize_
from sklearn_ae.codes import CODES, Gaussian, Tanh, TopK
from sklearn_ae.losses import LOSSES, Huber, Mixed
from sklearn_ae.modules import Architecture, build
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder

D, K = 5, 3
MIXED = Mixed([("log_loss", [0]), ("cross_entropy", [1, 4]), ("absolute_error", [2, 3])])
RAW = np.array([True, True, False, False, True])
CONFIGURATIONS = {
    "default": {},
    "linear": {"hidden_layer_sizes": ()},
    "tied": {"hidden_layer_sizes": (), "tied_weights": True},
    "permuted": {"code": CODES["relu"](), "rotation_free": False},
    "member": {"code": TopK(2), "loss": Huber(0.5), "rotation_free": False},
    "gaussian": {"code": Gaussian(warm_up=0.2), "rotation_free": False},
    "mixed": {"loss": MIXED, "output_activation": "by_columns"},
    "class": {"module": partial(DenseAutoencoder, hidden_layer_sizes=(3,), activation=nn.Tanh)},
    "instance": {"module": ConvAutoencoder(D, K, image_shape=(1, 5), channels=(2,))},
    "clip": {"output_activation": "clip"},
    "sigmoid": {"output_activation": "sigmoid", "hidden_layer_sizes": (6, 4)},
}


def attributes_of(**changes) -> dict:
    """Return the attributes of a fitted estimator, as far as the state depends on them."""
    made_of = {"code": CODES["identity"](), "loss": LOSSES["squared_error"](), "output_activation": "identity"}
    plain = Architecture(D, K, (4,), "silu", **made_of, dropout=0.5, tied_weights=False, rotation_free=True)
    architecture, generator = plain._replace(**changes), torch.Generator().manual_seed(0)
    module = build(architecture).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    Z = torch.randn(20, D, generator=generator)
    if architecture.output_activation == "clip":
        module.output.set_range(Z.amin(0), Z.amax(0))
    moments = CodeMoments(K, rotation_free=architecture.rotation_free)
    add_moments(moments, module, Rows(Z), Z.mean(0), torch.ones(()))
    module64 = in_float64(module)
    canonicalize_(module64, moments, scale=2.5)
    module.code_map.load_state_dict(module64.code_map.state_dict())
    offset, raw = np.arange(D) * 0.1 + 1e9, RAW if architecture.loss == MIXED else None
    coordinates = Coordinates(offset, 2.5) if raw is None else Coordinates(np.where(raw, 0, offset), 2.5, raw, 0.7)
    history = [{"epoch": 1, "train_loss": np.float64(0.5), "valid_loss_best": True, "batches": [{"train_loss": 0.5}]}]
    return {
        "n_components": K,
        "components_": np.ones((K, D)),
        "_architecture": architecture,
        "_coordinates": coordinates,
        "_moments": moments,
        "_inference": Inference(module, module64, coordinates),
        "module_": module,
        "net_": SimpleNamespace(history=history),
    }


@pytest.fixture(params=CONFIGURATIONS)
def attributes(request) -> dict:
    return attributes_of(**CONFIGURATIONS[request.param])


class Watcher(pickle.Unpickler):
    """Notes the packages whose names a pickle asks for."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self.packages: set[str] = set()

    def find_class(self, module, name):
        self.packages.add(module.split(".")[0])
        return super().find_class(module, name)


@pytest.mark.parametrize("protocol", [2, pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL])
def test_the_pickle_of_a_state_asks_for_nothing_of_torch(protocol, attributes):
    """But for what a network of the user's own is made of."""
    watcher = Watcher(pickle.dumps(pack(attributes), protocol))
    watcher.load()
    own = (
        {"torch", "functools", "collections", "__builtin__"}
        if attributes["_architecture"].module is not None
        else set()
    )
    assert watcher.packages <= {"numpy", "_codecs", "builtins", "copyreg", "sklearn_ae"} | own


def test_the_watcher_sees_torch():
    watcher = Watcher(pickle.dumps({"deep": [torch.zeros(1)]}))
    watcher.load()
    assert "torch" in watcher.packages


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name not in ("class", "instance")])
def test_skops_trusts_every_type_in_a_state_but_our_members(name):
    """Those, and the network of a user's, are types that the user must trust."""
    skops_io = pytest.importorskip("skops.io")
    attributes = attributes_of(**CONFIGURATIONS[name])
    data = skops_io.dumps(pack(attributes))
    untrusted = skops_io.get_untrusted_types(data=data)
    assert all(name.startswith(("sklearn_ae.codes.", "sklearn_ae.losses.")) for name in untrusted)
    assert_restores(skops_io.loads(data, trusted=untrusted), attributes)


def by_pickle(state: dict) -> dict:
    return pickle.loads(pickle.dumps(state))


def read_only(state: dict) -> dict:
    """Return a state whose arrays cannot be written to, as joblib gives them from a memory map."""
    for arrays in (state["_weights"], state["_code_map"], state["_moments"], state["_coordinates"]):
        for value in arrays.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return state


@pytest.mark.parametrize("through", [dict, deepcopy, by_pickle, read_only])
def test_a_round_trip_gives_back_every_bit(through, attributes):
    assert_restores(through(pack(attributes)), attributes)


def assert_restores(state: dict, attributes: dict):
    restored = unpack(state)
    assert restored["n_components"] == K
    np.testing.assert_array_equal(restored["components_"], attributes["components_"])
    assert type(restored["_architecture"]) is Architecture
    module = attributes["_architecture"].module
    assert restored["_architecture"]._replace(module=module) == attributes["_architecture"]
    assert type(restored["_architecture"].module) is type(module)
    for name in ("offset", "scale", "raw", "spread"):
        np.testing.assert_array_equal(
            getattr(restored["_coordinates"], name), getattr(attributes["_coordinates"], name)
        )
    X = 1e9 + np.random.default_rng(0).normal(size=(7, D))
    for dtype in (np.float32, np.float64):
        one, other = (a["_coordinates"].to_network(X.astype(dtype), torch.float64) for a in (restored, attributes))
        np.testing.assert_array_equal(one, other)
    assert restored["_moments"].rotation_free is attributes["_moments"].rotation_free
    for name, value in vars(attributes["_moments"]).items():
        np.testing.assert_array_equal(vars(restored["_moments"])[name], value)
    modules = restored_modules(restored["_architecture"], restored["_weights"], restored["_code_map"])
    for module, before in zip(modules, (attributes["module_"], attributes["_inference"].module64), strict=True):
        assert_same_network(module, before)


def assert_same_network(module: nn.Module, before: nn.Module):
    assert type(module) is type(before)
    assert not module.training
    assert module.dropout == before.dropout
    assert all(parameter.requires_grad for parameter in module.parameters())
    state = module.state_dict()
    assert state.keys() == before.state_dict().keys()
    for name, value in before.state_dict().items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value)
    x = torch.randn(7, D, generator=torch.Generator().manual_seed(1)).to(module.dtype)
    with torch.no_grad():
        assert torch.equal(module(x), before(x))
        assert torch.equal(module.encode(x), before.encode(x))
        assert torch.equal(module.decode(x[:, :K]), before.decode(x[:, :K]))


def test_the_map_in_float64_is_not_that_in_float32():
    """Otherwise the tests above could not tell where the restored one comes from."""
    attributes = attributes_of()
    single, double = attributes["module_"].code_map.matrix, attributes["_inference"].module64.code_map.matrix
    assert not torch.equal(single.double(), double)


def test_a_state_keeps_what_it_does_not_rebuild(attributes):
    before = dict(attributes)
    state = pack(attributes)
    assert attributes == before
    assert {"n_components", "components_"} <= set(state)
    assert not {"module_", "net_", "_inference"} & set(state)
    assert state["_history"] == [{"epoch": 1, "train_loss": 0.5, "valid_loss_best": True}]
    assert "batches" in attributes["net_"].history[0]


def test_a_state_is_a_copy_and_so_is_what_is_restored_from_it(attributes):
    state = pack(attributes)
    frozen = deepcopy(state)
    with torch.no_grad():
        for parameter in attributes["module_"].parameters():
            parameter.add_(1)
    modules = restored_modules(attributes["_architecture"], state["_weights"], state["_code_map"])
    with torch.no_grad():
        for module in modules:
            for value in module.state_dict().values():
                value.add_(1)
    for part in ("_weights", "_code_map"):
        for name, value in frozen[part].items():
            np.testing.assert_array_equal(state[part][name], value)


def test_unpacking_leaves_the_state_as_it_was(attributes):
    state = pack(attributes)
    before = pickle.dumps(state)
    unpack(state)
    assert pickle.dumps(state) == before


def test_restoring_leaves_global_generators_alone(attributes):
    def global_states() -> tuple[bytes, bytes]:
        return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())

    state, before = pack(attributes), global_states()
    restored_modules(attributes["_architecture"], state["_weights"], state["_code_map"])
    assert global_states() == before


ESTIMATORS = {
    "default": {},
    "linear": {"hidden_layer_sizes": ()},
    "tied": {"hidden_layer_sizes": (), "tied_weights": True},
    "relu": {"code": "relu", "dropout": 0.2},
    "sparse": {"code": TopK(2, anneal=0.2), "penalty": ["l1", "contractive"], "lr_schedule": "linear"},
    "denoising": {"corruption": "salt_and_pepper", "loss": "huber", "penalty": "orthogonal"},
    "variational": {"code": "gaussian", "loss": "poisson"},
    "mixed": {"loss": Mixed([("log_loss", [0, 3]), ("poisson", slice(1, 3))])},
    "class": {"module": partial(DenseAutoencoder, hidden_layer_sizes=(3,), activation=nn.Tanh)},
    "instance": {"module": ConvAutoencoder(D, K, image_shape=(1, 5), channels=(2,))},
    "member": {"code": Tanh(), "activation": nn.ELU},
    "clip": {"output_activation": "clip"},
    "log loss": {"loss": "log_loss"},
}


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(io.BytesIO(file.getvalue()))


@pytest.fixture
def fitted(request) -> AutoencoderTransformer:
    X = np.random.default_rng(0).uniform(size=(40, D))
    return AutoencoderTransformer(K, max_epochs=2, random_state=0, **request.param).fit(X)


def outputs(estimator) -> list[np.ndarray]:
    X = np.random.default_rng(1).uniform(size=(9, D))
    return [
        part
        for dtype in (np.float32, np.float64)
        for part in (
            estimator.transform(X.astype(dtype)),
            estimator.inverse_transform(estimator.transform(X.astype(dtype))),
        )
    ]


@pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)
@pytest.mark.parametrize("through", [by_pickle, by_joblib, deepcopy])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_fitted_estimator_gives_the_same_bits(through, in_pipeline, fitted):
    estimator = Pipeline([("pass", "passthrough"), ("reduce", fitted)]) if in_pipeline else fitted
    restored = through(estimator)
    for one, other in zip(outputs(restored), outputs(estimator), strict=True):
        np.testing.assert_array_equal(one, other)
    if not in_pipeline:
        for name, value in vars(fitted).items():
            if isinstance(value, np.ndarray | int | float | str):
                np.testing.assert_array_equal(getattr(restored, name), value)
        assert restored.net_.history[:, "train_loss"] == fitted.net_.history[:, "train_loss"]


@pytest.mark.parametrize("fitted", [ESTIMATORS["default"], ESTIMATORS["relu"]], indirect=True)
def test_the_pickle_of_a_fitted_estimator_asks_for_nothing_of_torch(fitted):
    watcher = Watcher(pickle.dumps(Pipeline([("reduce", fitted)])))
    watcher.load()
    assert not watcher.packages & {"torch", "skorch"}


@pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)
def test_a_refitted_clone_gives_the_same_bits(fitted):
    X = np.random.default_rng(0).uniform(size=(40, D))
    assert not hasattr(clone(fitted), "module_")
    for one, other in zip(outputs(clone(fitted).fit(X)), outputs(fitted), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_skops_carries_a_fitted_estimator(fitted):
    skops_io = pytest.importorskip("skops.io")
    data = skops_io.dumps(fitted)
    untrusted = skops_io.get_untrusted_types(data=data)
    assert untrusted == ["sklearn_ae._autoencoder.AutoencoderTransformer"]
    for one, other in zip(outputs(skops_io.loads(data, trusted=untrusted)), outputs(fitted), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)
def test_partial_fit_goes_on_after_a_load(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model")
    X = np.random.default_rng(1).uniform(size=(30, D))
    before = fitted.score(X)
    for loaded in (by_pickle(fitted), joblib.load(tmp_path / "model", mmap_mode="r")):
        loaded.partial_fit(X)
        assert loaded.n_iter_ == fitted.n_iter_ + 1
        assert loaded.score(X) == pytest.approx(before, abs=0.2)
        np.testing.assert_array_equal(loaded.mean_, fitted.mean_)
    assert fitted.score(X) == before


def test_an_estimator_that_is_not_fitted_is_pickled_too():
    assert by_pickle(AutoencoderTransformer(5)).n_components == 5
