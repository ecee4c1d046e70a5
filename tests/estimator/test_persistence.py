"""The saved state holds plain values and arrays, no torch object, and restores every bit."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from copy import deepcopy
from functools import partial

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
from sklearn_ae._estimator.persistence import FORMAT, VERSIONS, pack, restored_modules, unpack
from sklearn_ae.codes import Tanh, TopK, WinnerTakeAll
from sklearn_ae.corruptions import GaussianNoise
from sklearn_ae.losses import Mixed, Multinomial
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from sklearn_ae.penalties import L1, KLSparsity

#: The only class that skops must be told to trust.
OURS = "sklearn_ae._autoencoder.AutoencoderTransformer"

D, K = 5, 3
ESTIMATORS = {
    "default": {},
    "sigmoid": {"code": "sigmoid", "penalty": KLSparsity(0.1), "output_activation": "sigmoid"},
    "winner": {"code": WinnerTakeAll(0.2)},
    "ordered": {"ordered": True},
    "whitened": {"whiten": True},
    "chosen": {"n_components": 0.5},
    "names": {"code": "tanh", "loss": "absolute_error", "corruption": 0.1, "penalty": "contractive"},
    "top k": {"code": "top_k", "loss": "cross_entropy"},
    "noise": {"corruption": GaussianNoise(0.3), "activation": "tanh", "tol": 0.0, "init": "random"},
    "linear": {"hidden_layer_sizes": ()},
    "tied": {"module": TiedAutoencoder},
    "relu": {"code": "relu", "code_dropout": 0.2},
    "sparse": {"code": TopK(2, anneal=0.2), "penalty": ["l1", "contractive"], "lr_schedule": "linear"},
    "denoising": {"corruption": "salt_and_pepper", "loss": "huber", "penalty": "orthogonal"},
    "variational": {"code": "gaussian", "loss": "poisson"},
    "mixed": {"loss": Mixed([("log_loss", [0, 3]), ("poisson", slice(1, 3))])},
    "class": {"module": partial(DenseAutoencoder, hidden_layer_sizes=(3,), activation=nn.Tanh)},
    "instance": {"module": ConvAutoencoder(D, K, image_shape=(1, 5), channels=(2,))},
    "member": {"code": Tanh(), "activation": nn.ELU},
    "clip": {"output_activation": "clip"},
    "log loss": {"loss": "log_loss"},
    "shares": {"loss": Multinomial(total=1e4)},
    "shares in columns": {"loss": Mixed([("multinomial", slice(1, 4))])},
}


#: They contain classes of torch, which skops does not trust and should not.
OF_TORCH = ("class", "instance", "member")


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


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


of_all_kinds = pytest.mark.parametrize("fitted", ESTIMATORS.values(), indirect=True, ids=ESTIMATORS)


class Watcher(pickle.Unpickler):
    """Records the packages that a pickle imports from."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self.packages: set[str] = set()

    def find_class(self, module, name):
        self.packages.add(module.split(".")[0])
        return super().find_class(module, name)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_pickle_of_a_state_needs_nothing_of_torch(name):
    """Except for what a custom network is made of."""
    state = estimator_of(ESTIMATORS[name]).fit(training_data(ESTIMATORS[name])).__getstate__()
    custom = {"torch", "functools", "collections"} if name in OF_TORCH else set()
    for protocol in (2, pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL):
        watcher = Watcher(pickle.dumps(state, protocol))
        watcher.load()
        assert watcher.packages <= {"numpy", "_codecs", "builtins", "__builtin__", "copyreg", "sklearn_ae"} | custom


def test_the_watcher_sees_torch():
    watcher = Watcher(pickle.dumps({"deep": [torch.zeros(1)]}))
    watcher.load()
    assert "torch" in watcher.packages


def assert_same_network(module: nn.Module, before: nn.Module):
    assert type(module) is type(before)
    assert not module.training
    assert module.code_dropout == before.code_dropout
    assert all(parameter.requires_grad for parameter in module.parameters())
    state = module.state_dict()
    assert state.keys() == before.state_dict().keys()
    for name, value in before.state_dict().items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value)
    x = torch.randn(7, D, generator=torch.Generator().manual_seed(1)).to(next(module.parameters()))
    k = module.n_components
    with torch.no_grad():
        assert torch.equal(module(x), before(x))
        assert torch.equal(module.encode(x), before.encode(x))
        assert torch.equal(module.decode(x[:, :k]), before.decode(x[:, :k]))


def test_the_map_in_float64_is_not_that_in_float32():
    """Otherwise no test could see which of them is stored."""
    fitted = estimator_of({}).fit(training_data({}))
    single, double = fitted.module_.code_map.matrix, fitted._fitted_model.module64.code_map.matrix
    assert not torch.equal(single.double(), double)


@of_all_kinds
def test_a_state_keeps_all_that_it_does_not_rebuild(fitted):
    before = dict(vars(fitted))
    state = pack(vars(fitted))
    assert vars(fitted).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(fitted).items())
    assert {"n_components", "components_"} <= set(state)
    assert not {"module_", "net_", "_fitted_model"} & set(state)
    assert [epoch.keys() | {"batches", "dur"} for epoch in state["_history"]] == [set(e) for e in fitted.net_.history]
    assert [epoch["train_loss"] for epoch in state["_history"]] == fitted.net_.history[:, "train_loss"]


@of_all_kinds
def test_a_state_is_a_copy_and_so_is_what_is_restored_from_it(fitted):
    state = pack(vars(fitted))
    frozen = deepcopy(state)
    with torch.no_grad():
        for parameter in fitted.module_.parameters():
            parameter.add_(1)
    modules = restored_modules(fitted._architecture, state["_weights"], state["_code_map"])
    with torch.no_grad():
        for module in modules:
            for value in module.state_dict().values():
                value.add_(1)
    for part in ("_weights", "_code_map"):
        for name, value in frozen[part].items():
            np.testing.assert_array_equal(state[part][name], value)


@of_all_kinds
def test_unpacking_does_not_change_the_state(fitted):
    state = pack(vars(fitted))
    before = pickle.dumps(state)
    unpack(state)
    assert pickle.dumps(state) == before


@of_all_kinds
def test_restoring_leaves_global_generators_alone(fitted):
    def global_states() -> tuple[bytes, bytes]:
        return torch.get_rng_state().numpy().tobytes(), pickle.dumps(check_random_state(None).get_state())

    state, before = pack(vars(fitted)), global_states()
    restored_modules(fitted._architecture, state["_weights"], state["_code_map"])
    assert global_states() == before


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
    assert_same_network(restored.module_, fitted.module_)
    assert_same_network(restored._fitted_model.module64, fitted._fitted_model.module64)
    for part in ("_scaling", "_moments"):
        for name, value in vars(getattr(fitted, part)).items():
            np.testing.assert_array_equal(vars(getattr(restored, part))[name], value)
    pipeline = Pipeline([("pass", "passthrough"), ("reduce", fitted)])
    assert_same_outputs(through(pipeline), pipeline)
    if hasattr(fitted, "truncate"):
        smaller = fitted.truncate(1)
        assert_same_outputs(through(smaller), smaller)


def assert_same_outputs(restored, estimator):
    for one, other in zip(outputs(restored), outputs(estimator), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fitted", [ESTIMATORS["default"], ESTIMATORS["relu"]], indirect=True)
def test_the_pickle_of_a_fitted_estimator_needs_nothing_of_torch(fitted):
    watcher = Watcher(pickle.dumps(Pipeline([("reduce", fitted)])))
    watcher.load()
    assert not watcher.packages & {"torch", "skorch"}


@of_all_kinds
def test_a_refitted_clone_gives_the_same_bits(fitted):
    X = training_data(fitted.get_params())
    assert not hasattr(clone(fitted), "module_")
    for one, other in zip(outputs(clone(fitted).fit(X)), outputs(fitted), strict=True):
        np.testing.assert_array_equal(one, other)


#: torch pickles a module that is given as an instance with addresses in memory.
@pytest.mark.parametrize(
    "fitted",
    [pytest.param(params, id=name) for name, params in ESTIMATORS.items() if name != "instance"],
    indirect=True,
)
def test_two_fits_with_one_seed_have_equal_pickles_and_hashes(fitted):
    X = training_data(fitted.get_params())
    again = clone(fitted).fit(X)
    for change in (lambda model: model, lambda model: model.partial_fit(X), deepcopy):
        one, other = change(fitted), change(again)
        assert pickle.dumps(one) == pickle.dumps(other)
        assert joblib.hash(one) == joblib.hash(other)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in OF_TORCH])
def test_skops_asks_to_trust_only_the_estimator(name):
    """Fitted or not, its parameters name no other class."""
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
    """Make os.system the callable that builds the network."""
    function = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1, "content": "os"}
    schema["content"]["content"]["module"] = function


def system_by_reduce(schema: dict):
    schema.update(__class__="system", __module__="os", __loader__="ReduceNode")


def foreign_class(schema: dict):
    schema.update(__class__="Popen", __module__="subprocess")


@pytest.mark.parametrize("change", [system_as_module, system_by_reduce, foreign_class])
@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_a_tampered_skops_file_raises_an_error(fitted, change):
    """Our class does not circumvent skops: it loads nothing that the file names."""
    data = skops_io.dumps(fitted)
    assert_same_outputs(skops_io.loads(tampered(data, lambda schema: None), trusted=[OURS]), fitted)
    with pytest.raises((UntrustedTypesFoundException, TypeError), match=r"system|Popen"):
        skops_io.loads(tampered(data, change), trusted=[OURS])


@pytest.mark.parametrize("name", ["os.system", "Popen", "AutoencoderTransformer"])
def test_a_state_restores_only_building_blocks_of_the_package(name):
    state = pack(vars(AutoencoderTransformer(code=TopK(2))))
    (key,) = set(state["code"]) - set(TopK(2).get_params())
    state["code"][key] = name
    with pytest.raises(ValueError, match=f"saved with '{name}', which sklearn-ae 0.1.0 lacks"):
        unpack(state)
    state = pack(vars(AutoencoderTransformer(module=TiedAutoencoder)))
    (key,) = state["module"]
    assert unpack(state)["module"] is TiedAutoencoder
    state["module"][key] = name
    with pytest.raises(ValueError, match=f"saved with '{name}', which sklearn-ae 0.1.0 lacks"):
        unpack(state)


class CustomCode(TopK):
    """A custom code."""


def test_a_custom_code_is_pickled_unchanged():
    model = by_pickle(AutoencoderTransformer(code=CustomCode(2), penalty=[L1(0.3), "contractive"]))
    assert type(model.code) is CustomCode
    assert model.penalty == [L1(0.3), "contractive"]


def restored_from(change: dict) -> AutoencoderTransformer:
    """Return an estimator loaded from a state with changed entries; None deletes."""
    fitted = AutoencoderTransformer(K, max_epochs=0).fit(np.random.default_rng(0).uniform(size=(40, D)))
    state = {key: value for key, value in (fitted.__getstate__() | change).items() if change.get(key, 0) is not None}
    loaded = AutoencoderTransformer.__new__(AutoencoderTransformer)
    loaded.__setstate__(state)
    assert not set(change) & set(vars(loaded))  # it will be saved with today's versions
    assert_same_outputs(loaded, fitted)
    return loaded


@pytest.mark.parametrize("version", ["0.0.9", "0.1.0.post1", "7.0"])
def test_another_version_warns_and_names_it(version):
    message = f"saved by sklearn-ae {re.escape(version)} and is loaded by sklearn-ae 0.1.0: .* fit again"
    with pytest.warns(UserWarning, match=message):
        loaded = restored_from({"_versions": VERSIONS | {"sklearn-ae": version}})
    by_pickle(loaded)  # does not warn


@pytest.mark.parametrize("package", ["torch", "numpy", "scikit-learn"])
def test_another_major_version_of_a_dependency_warns(package):
    with pytest.warns(UserWarning, match=f"saved with {package} 0.3.1 and is loaded with {package} .* another major"):
        restored_from({"_versions": VERSIONS | {package: "0.3.1"}})


@pytest.mark.parametrize("package", ["torch", "numpy", "scikit-learn"])
def test_another_minor_version_of_a_dependency_does_not_warn(package):
    major = VERSIONS[package].split(".")[0]
    restored_from({"_versions": VERSIONS | {package: f"{major}.999.0"}})


def test_a_newer_format_raises_an_error():
    newer = {"_format": FORMAT + 1, "_versions": VERSIONS | {"sklearn-ae": "9.3"}}
    with pytest.raises(ValueError, match=f"sklearn-ae 9.3 in format {FORMAT + 1}; .* reads formats up to {FORMAT}. Up"):
        restored_from(newer)


@pytest.mark.parametrize("invalid", [{"penalty": L1}, {"optimizer": "adamW"}, {"loss": "mse"}], ids=str)
@pytest.mark.parametrize("through", [by_pickle, by_joblib, deepcopy])
@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_invalid_parameters_set_after_the_fit_can_be_saved(fitted, through, invalid):
    expected = outputs(fitted)
    restored = through(fitted.set_params(**invalid))
    for one, other in zip(outputs(restored), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_state_without_a_format_raises_an_error():
    with pytest.raises(ValueError, match=r"saved by a development version before 0\.1\.0, .* fit again"):
        restored_from({"_format": None})


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
@pytest.mark.parametrize("through", [by_pickle, by_joblib, deepcopy, by_skops])
@pytest.mark.parametrize("fitted", [{}], indirect=True)
def test_a_model_from_a_gpu_works_without_one(fitted, through):
    expected = outputs(fitted)
    restored = through(fitted.set_params(device="cuda"))
    for one, other in zip(outputs(restored), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    restored.partial_fit(np.random.default_rng(0).uniform(size=(40, D)))
    with pytest.raises(ValueError, match="torch finds no CUDA device"):
        restored.fit(np.ones((9, D)))


@of_all_kinds
def test_partial_fit_continues_after_a_load(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model")
    X = training_data(fitted.get_params())
    before = fitted.score(X)
    for loaded in (by_pickle(fitted), joblib.load(tmp_path / "model", mmap_mode="r")):
        assert_same_outputs(loaded, fitted)
        loaded.partial_fit(X)
        assert loaded.n_iter_ == fitted.n_iter_ + 1
        assert loaded.score(X) > before - 0.2
        np.testing.assert_array_equal(loaded.mean_, fitted.mean_)
    assert fitted.score(X) == before


def test_partial_fit_after_a_load_is_that_after_the_fit():
    X = training_data({})
    fitted = AutoencoderTransformer(2, max_epochs=2, random_state=7).fit(np.vstack([X] * 20))
    loaded = by_pickle(fitted)
    for model in (fitted, loaded):
        model.partial_fit(X)
    assert (loaded.net_.batch_size, loaded.net_.seed) == (fitted.net_.batch_size, fitted.net_.seed)
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_an_estimator_that_is_not_fitted_is_pickled_too():
    assert by_pickle(AutoencoderTransformer(5)).n_components == 5
