"""The state holds plain values and arrays, no torch object, and gives back every bit."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
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
from skops import io as skops_io
from skops.io.exceptions import UntrustedTypesFoundException
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.columns import ColumnRange
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.training_rows import TrainingRows
from sklearn_ae._estimator.persistence import FORMAT, VERSIONS, pack, restored_modules, unpack
from sklearn_ae._model.canonical import canonicalize_
from sklearn_ae._model.fitted_model import FittedModel, in_float64
from sklearn_ae._model.module import Architecture, build
from sklearn_ae._model.statistics import CodeMoments, add_moments
from sklearn_ae.codes import CODES, Gaussian, Tanh, TopK, WinnerTakeAll
from sklearn_ae.corruptions import GaussianNoise
from sklearn_ae.losses import LOSSES, Huber, Mixed
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder
from sklearn_ae.penalties import L1, KLSparsity

#: The one class that a skops file of ours asks to trust.
OURS = "sklearn_ae._autoencoder.AutoencoderTransformer"

D, K = 5, 3
MIXED = Mixed([("log_loss", [0]), ("cross_entropy", [1, 4]), ("absolute_error", [2, 3])])
RAW = np.array([True, True, False, False, True])
CONFIGURATIONS = {
    "default": {},
    "linear": {"hidden_layer_sizes": ()},
    "tied": {"hidden_layer_sizes": (), "tied_weights": True},
    "permuted": {"code": CODES["relu"](), "rotation_invariant": False},
    "member": {"code": TopK(2), "loss": Huber(0.5), "rotation_invariant": False},
    "gaussian": {"code": Gaussian(warm_up=0.2), "rotation_invariant": False},
    "mixed": {"loss": MIXED, "output_activation": "by_columns"},
    "class": {"module": partial(DenseAutoencoder, hidden_layer_sizes=(3,), activation=nn.Tanh)},
    "instance": {"module": ConvAutoencoder(D, K, image_shape=(1, 5), channels=(2,))},
    "clip": {"output_activation": "clip"},
    "sigmoid": {"output_activation": "sigmoid", "hidden_layer_sizes": (6, 4)},
}


def attributes_of(**changes) -> dict:
    """Return the attributes of a fitted estimator, as far as the state depends on them."""
    made_of = {"code": CODES["identity"](), "loss": LOSSES["squared_error"](), "output_activation": "identity"}
    plain = Architecture(D, K, (4,), "silu", **made_of, dropout=0.5, tied_weights=False, rotation_invariant=True)
    architecture, generator = plain._replace(**changes), torch.Generator().manual_seed(0)
    module = build(architecture).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    Z = torch.randn(20, D, generator=generator)
    if architecture.output_activation == "clip":
        module.output.set_range(Z.amin(0), Z.amax(0))
    moments = CodeMoments(K, rotation_invariant=architecture.rotation_invariant)
    add_moments(moments, module, TrainingRows(Z))
    module64 = in_float64(module)
    mean, unscaled = np.arange(D) * 0.1 + 1e9, RAW if architecture.loss == MIXED else False
    coordinates = Scaling(mean, 2.5, unscaled, 0.7 if architecture.loss == MIXED else 1.0)
    canonicalize_(module64, moments, coordinates)
    module.code_map.load_state_dict(module64.code_map.state_dict())
    history = [{"epoch": 1, "train_loss": np.float64(0.5), "valid_loss_best": True, "batches": [{"train_loss": 0.5}]}]
    return {
        "n_components": K,
        "components_": np.ones((K, D)),
        "_architecture": architecture,
        "_scaling": coordinates,
        "_column_range": ColumnRange(mean - 1, mean + 1, np.ones(D, dtype=bool)),
        "_moments": moments,
        "_fitted_model": FittedModel(module, module64, coordinates),
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
def test_skops_trusts_every_type_in_a_state(name):
    """A network of the user's own is a type that the user must trust."""
    attributes = attributes_of(**CONFIGURATIONS[name])
    data = skops_io.dumps(pack(attributes))
    assert skops_io.get_untrusted_types(data=data) == []
    assert_restores(skops_io.loads(data), attributes)


def by_pickle(state: dict) -> dict:
    return pickle.loads(pickle.dumps(state))


def read_only(state: dict) -> dict:
    """Return a state whose arrays cannot be written to, as joblib gives them from a memory map."""
    for arrays in (state["_weights"], state["_code_map"], state["_moments"], state["_scaling"]):
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
    for name in ("mean", "scale", "unscaled", "spread", "fills_missing"):
        np.testing.assert_array_equal(getattr(restored["_scaling"], name), getattr(attributes["_scaling"], name))
    X = 1e9 + np.random.default_rng(0).normal(size=(7, D))
    for dtype in (np.float32, np.float64):
        one, other = (a["_scaling"].transform(X.astype(dtype), torch.float64) for a in (restored, attributes))
        np.testing.assert_array_equal(one, other)
    assert restored["_moments"].rotation_invariant is attributes["_moments"].rotation_invariant
    for name, value in vars(attributes["_moments"]).items():
        np.testing.assert_array_equal(vars(restored["_moments"])[name], value)
    modules = restored_modules(restored["_architecture"], restored["_weights"], restored["_code_map"])
    for module, before in zip(modules, (attributes["module_"], attributes["_fitted_model"].module64), strict=True):
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
    x = torch.randn(7, D, generator=torch.Generator().manual_seed(1)).to(next(module.parameters()))
    with torch.no_grad():
        assert torch.equal(module(x), before(x))
        assert torch.equal(module.encode(x), before.encode(x))
        assert torch.equal(module.decode(x[:, :K]), before.decode(x[:, :K]))


def test_the_map_in_float64_is_not_that_in_float32():
    """Otherwise the tests above could not tell where the restored one comes from."""
    attributes = attributes_of()
    single, double = attributes["module_"].code_map.matrix, attributes["_fitted_model"].module64.code_map.matrix
    assert not torch.equal(single.double(), double)


def test_a_state_keeps_what_it_does_not_rebuild(attributes):
    before = dict(attributes)
    state = pack(attributes)
    assert attributes == before
    assert {"n_components", "components_"} <= set(state)
    assert not {"module_", "net_", "_fitted_model"} & set(state)
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
    "sigmoid": {"code": "sigmoid", "penalty": KLSparsity(0.1), "output_activation": "sigmoid"},
    "winner": {"code": WinnerTakeAll(0.2)},
    "ordered": {"ordered": True},
    "chosen": {"n_components": 0.5},
    "names": {"code": "tanh", "loss": "absolute_error", "corruption": 0.1, "penalty": "contractive"},
    "top k": {"code": "top_k", "loss": "cross_entropy"},
    "noise": {"corruption": GaussianNoise(0.3), "activation": "tanh", "tol": 0.0, "init": "random"},
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


#: Those that ask for classes of torch's, which skops does not trust and should not.
OF_TORCH = ("class", "instance", "member")


def by_skops(estimator):
    return skops_io.loads(skops_io.dumps(estimator), trusted=[OURS])


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def training_data(settings) -> np.ndarray:
    X = np.random.default_rng(0).uniform(size=(40, D))
    return X / X.sum(axis=1, keepdims=True) if settings.get("loss") == "cross_entropy" else X


def estimator_of(settings) -> AutoencoderTransformer:
    return AutoencoderTransformer(**{"n_components": K, "max_epochs": 2, "random_state": 0} | settings)


@pytest.fixture
def fitted(request) -> AutoencoderTransformer:
    return estimator_of(request.param).fit(training_data(request.param))


def outputs(estimator) -> list[np.ndarray]:
    X = np.random.default_rng(1).uniform(size=(9, D))
    return [
        part
        for dtype in (np.float32, np.float64)
        for part in (
            estimator.transform(X.astype(dtype)),
            estimator.inverse_transform(estimator.transform(X.astype(dtype))),
            estimator.score_samples(X.astype(dtype)),
        )
    ]


ROUND_TRIPS = [
    pytest.param(settings, through, id=f"{name}-{through.__name__}")
    for name, settings in ESTIMATORS.items()
    for through in (by_pickle, by_joblib, deepcopy, by_skops)
    if name not in OF_TORCH or through is not by_skops
]


@pytest.mark.parametrize(("fitted", "through"), ROUND_TRIPS, indirect=["fitted"])
def test_a_fitted_estimator_gives_the_same_bits(fitted, through):
    restored = through(fitted)
    assert_same_outputs(restored, fitted)
    assert repr(restored) == repr(fitted)
    for name, value in vars(fitted).items():
        if isinstance(value, np.ndarray | int | float | str):
            np.testing.assert_array_equal(getattr(restored, name), value)
    assert restored.net_.history[:, "train_loss"] == fitted.net_.history[:, "train_loss"]
    pipeline = Pipeline([("pass", "passthrough"), ("reduce", fitted)])
    assert_same_outputs(through(pipeline), pipeline)
    if hasattr(fitted, "truncate"):
        smaller = fitted.truncate(1)
        assert_same_outputs(through(smaller), smaller)


def assert_same_outputs(restored, estimator):
    for one, other in zip(outputs(restored), outputs(estimator), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fitted", [ESTIMATORS["default"], ESTIMATORS["relu"]], indirect=True)
def test_the_pickle_of_a_fitted_estimator_asks_for_nothing_of_torch(fitted):
    watcher = Watcher(pickle.dumps(Pipeline([("reduce", fitted)])))
    watcher.load()
    assert not watcher.packages & {"torch", "skorch"}


@pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)
def test_a_refitted_clone_gives_the_same_bits(fitted):
    X = training_data(fitted.get_params())
    assert not hasattr(clone(fitted), "module_")
    for one, other in zip(outputs(clone(fitted).fit(X)), outputs(fitted), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in OF_TORCH])
def test_skops_asks_to_trust_the_estimator_alone(name):
    """Its parameters too name no other class, fitted or not."""
    model = estimator_of(ESTIMATORS[name])
    assert skops_io.get_untrusted_types(data=skops_io.dumps(model)) == [OURS]
    pipeline = Pipeline([("reduce", model.fit(training_data(ESTIMATORS[name])))])
    assert skops_io.get_untrusted_types(data=skops_io.dumps(pipeline)) == [OURS]


def tampered(data: bytes, change: Callable[[dict], None]) -> bytes:
    """Return a skops file with its schema changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    return changed.getvalue()


def system_as_module(schema: dict):
    """Let the callable that builds the network be os.system."""
    function = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1, "content": "os"}
    schema["content"]["content"]["module"] = function


def system_by_reduce(schema: dict):
    schema.update(__class__="system", __module__="os", __loader__="ReduceNode")


def foreign_class(schema: dict):
    schema.update(__class__="Popen", __module__="subprocess")


@pytest.mark.parametrize("change", [system_as_module, system_by_reduce, foreign_class])
@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_a_tampered_skops_file_is_refused(fitted, change):
    """By skops, which our class does not lead round: it asks for nothing that the file names."""
    data = skops_io.dumps(fitted)
    assert_same_outputs(skops_io.loads(tampered(data, lambda schema: None), trusted=[OURS]), fitted)
    with pytest.raises((UntrustedTypesFoundException, TypeError), match=r"system|Popen"):
        skops_io.loads(tampered(data, change), trusted=[OURS])


@pytest.mark.parametrize("name", ["os.system", "Popen", "AutoencoderTransformer"])
def test_a_state_restores_members_of_the_package_alone(name):
    state = pack(vars(AutoencoderTransformer(code=TopK(2))))
    (key,) = set(state["code"]) - set(TopK(2).get_params())
    state["code"][key] = name
    with pytest.raises(ValueError, match=f"saved with '{name}', which sklearn-ae 0.1.0 lacks"):
        unpack(state)


class Own(TopK):
    """A member of a user's."""


def test_a_member_of_the_users_is_pickled_as_it_is():
    model = by_pickle(AutoencoderTransformer(code=Own(2), penalty=[L1(0.3), "contractive"]))
    assert type(model.code) is Own
    assert model.penalty == [L1(0.3), "contractive"]


def restored_from(change: dict) -> AutoencoderTransformer:
    """Return an estimator loaded from a state with changed entries; None deletes."""
    fitted = AutoencoderTransformer(K, max_epochs=0).fit(np.random.default_rng(0).uniform(size=(40, D)))
    state = {key: value for key, value in (fitted.__getstate__() | change).items() if change.get(key, 0) is not None}
    loaded = AutoencoderTransformer.__new__(AutoencoderTransformer)
    loaded.__setstate__(state)
    assert not set(change) & set(vars(loaded))  # so that it is saved with the versions of today
    assert_same_outputs(loaded, fitted)
    return loaded


@pytest.mark.parametrize("version", ["0.0.9", "0.1.0.post1", "7.0"])
def test_another_version_is_told_by_name(version):
    message = f"saved by sklearn-ae {re.escape(version)} and is loaded by sklearn-ae 0.1.0: .* fit again"
    with pytest.warns(UserWarning, match=message):
        loaded = restored_from({"_versions": VERSIONS | {"sklearn-ae": version}})
    by_pickle(loaded)  # does not warn


@pytest.mark.parametrize("package", ["torch", "numpy", "scikit-learn"])
def test_another_major_version_of_a_dependency_is_told(package):
    with pytest.warns(UserWarning, match=f"saved with {package} 0.3.1 and is loaded with {package} .* another major"):
        restored_from({"_versions": VERSIONS | {package: "0.3.1"}})


@pytest.mark.parametrize("package", ["torch", "numpy", "scikit-learn"])
def test_another_minor_version_of_a_dependency_is_not(package):
    major = VERSIONS[package].split(".")[0]
    restored_from({"_versions": VERSIONS | {package: f"{major}.999.0"}})


def test_a_newer_format_is_refused():
    newer = {"_format": FORMAT + 1, "_versions": VERSIONS | {"sklearn-ae": "9.3"}}
    with pytest.raises(ValueError, match=f"sklearn-ae 9.3 in format {FORMAT + 1}; .* reads formats up to {FORMAT}. Up"):
        restored_from(newer)


def test_versions_are_plain_strings():
    assert {type(version) for version in VERSIONS.values()} == {str}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
@pytest.mark.parametrize("through", [by_pickle, by_joblib, deepcopy, by_skops])
@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_a_model_of_a_gpu_goes_on_without_one(fitted, through):
    expected = outputs(fitted)
    restored = through(fitted.set_params(device="cuda"))
    for one, other in zip(outputs(restored), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    restored.partial_fit(np.random.default_rng(0).uniform(size=(40, D)))
    with pytest.raises(ValueError, match="torch sees no CUDA device"):
        restored.fit(np.ones((9, D)))


@pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)
def test_partial_fit_goes_on_after_a_load(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model")
    X = training_data(fitted.get_params())
    before = fitted.score(X)
    for loaded in (by_pickle(fitted), joblib.load(tmp_path / "model", mmap_mode="r")):
        loaded.partial_fit(X)
        assert loaded.n_iter_ == fitted.n_iter_ + 1
        assert loaded.score(X) > before - 0.2
        np.testing.assert_array_equal(loaded.mean_, fitted.mean_)
    assert fitted.score(X) == before


def test_an_estimator_that_is_not_fitted_is_pickled_too():
    assert by_pickle(AutoencoderTransformer(5)).n_components == 5
