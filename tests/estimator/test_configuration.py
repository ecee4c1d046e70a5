"""Parameters become building blocks and are checked against each other and the data; errors name the culprit."""

import re
from math import log2

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import quick, same_bits
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.tables import DenseTable
from sklearn_ae._estimator.configuration import (
    batch_size_of,
    check_building_blocks,
    choose_architecture,
    find_device,
    find_device_or_cpu,
    sizes_of,
)
from sklearn_ae._model.module import Architecture, build
from sklearn_ae._utils.compat import Interval
from sklearn_ae.base import Member, member
from sklearn_ae.codes import CODES, Gaussian, TopK, WinnerTakeAll
from sklearn_ae.corruptions import CORRUPTIONS, GaussianNoise, Masking, SaltAndPepper
from sklearn_ae.losses import LOSSES, Huber, Loss, Mixed, Multinomial, SquaredError
from sklearn_ae.networks import TiedAutoencoder
from sklearn_ae.outputs import Identity
from sklearn_ae.penalties import L1, PENALTIES, Contractive, KLSparsity, Orthogonal


def architecture_of(X, names=None, **params) -> Architecture:
    estimator = quick(**params)
    return choose_architecture(estimator, X.shape, DenseTable(X).columns(), names)


@pytest.mark.parametrize("name", CODES)
def test_a_code_given_by_name_has_its_defaults(name, small):
    assert architecture_of(small, code=name) == architecture_of(small, code=CODES[name]())
    assert type(architecture_of(small, code=name).code) is CODES[name]


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_given_by_name_has_its_defaults(name, small):
    assert architecture_of(small, loss=name) == architecture_of(small, loss=LOSSES[name]())
    assert type(architecture_of(small, loss=name).loss) is LOSSES[name]


def test_building_blocks_are_copied(small):
    code, loss = TopK(2), Huber(0.5)
    architecture = architecture_of(small, code=code, loss=loss)
    before = clone(code), clone(loss)
    assert (architecture.code, architecture.loss) == before
    code.k, loss.delta = 1, 2.0
    assert (architecture.code, architecture.loss) == before


def test_architectures_are_equal_if_all_parameters_are(small):
    same = [architecture_of(small, code=TopK(2), loss=Mixed([("huber", slice(3))])) for _ in range(2)]
    assert same[0] == same[1] == architecture_of(small, code=TopK(2, anneal=0.5), loss=Mixed([("huber", [0, 1, 2])]))
    for changes in (
        {"code": TopK(1)},
        {"code": TopK(2, aux=1.0)},
        {"code": "relu"},
        {"loss": Mixed([("huber", [0, 1])])},
    ):
        assert same[0] != architecture_of(small, **{"code": TopK(2), "loss": Mixed([("huber", slice(3))])} | changes)


def test_a_loss_finds_columns_by_their_names(small):
    names = np.array(list("abcdefgh"), dtype=object)
    by_name = architecture_of(small, names, loss=Mixed([("huber", ["c", "a"]), ("absolute_error", "h")]))
    assert by_name == architecture_of(small, loss=Mixed([("huber", [2, 0]), ("absolute_error", -1)]))


@pytest.mark.parametrize(("given", "sizes"), [((), ()), (7, (7,)), ([3, 4], (3, 4)), (np.array([5, 6]), (5, 6))])
def test_hidden_layer_sizes_are_one_or_several(given, sizes):
    assert sizes_of(given, 100) == sizes
    assert all(type(size) is int for size in sizes_of(given, 100))


@pytest.mark.parametrize(("n_samples", "width"), [(2, 128), (9_999, 128), (10_000, 256), (10**7, 256)])
def test_automatic_hidden_layers_are_wider_for_many_samples(n_samples, width):
    assert sizes_of("auto", n_samples) == (width,)


@pytest.mark.parametrize(
    ("params", "free"),
    [
        ({}, True),
        ({"penalty": Contractive()}, True),
        ({"penalty": ["contractive", Contractive(2.0)]}, True),
        ({"corruption": 0.3}, True),
        ({"code_dropout": 0.1}, False),
        ({"penalty": "l1"}, False),
        ({"penalty": ["contractive", "orthogonal"]}, False),
        ({"code": "gaussian"}, False),
        ({"code": "tanh"}, False),
    ],
)
def test_rotation_invariance_depends_on_code_penalties_and_dropout(params, free, small):
    assert architecture_of(small, **params).rotation_invariant is free


@pytest.mark.parametrize("loss", [*LOSSES, Mixed()])
@pytest.mark.parametrize("code", CODES)
def test_auto_clips_if_entries_repeat_bounds_and_code_and_loss_allow_it(code, loss, digits, small):
    member = LOSSES[loss]() if isinstance(loss, str) else loss
    first = member.output_activations[0]
    clips = member.allows_auto_clip and code not in ("top_k", "winner_take_all")
    assert architecture_of(digits, code=code, loss=loss).output_activation == ("clip" if clips else first)
    assert architecture_of(small, code=code, loss=loss).output_activation == first


class ContextRecorder(Member):
    """Records the context that it is checked in."""

    def check(self, context):
        self.context_ = context


@pytest.mark.parametrize(
    ("params", "code_range", "affine"),
    [
        ({}, (-np.inf, np.inf), True),
        ({"code": "sigmoid", "module": TiedAutoencoder}, (0, 1), True),
        ({"code": "top_k", "module": lambda: WithoutAffinePath()}, (0, np.inf), False),
    ],
)
def test_building_blocks_get_the_context(params, code_range, affine, small):
    recorder = ContextRecorder()
    architecture = architecture_of(small, **params)
    module = build(architecture)
    check_building_blocks(architecture, module, [None, recorder])
    assert recorder.context_ == (8, 2, code_range, params.get("module") is TiedAutoencoder, affine)
    assert module.n_features == 8


class WithoutAffinePath(nn.Module):
    """A network without an affine path."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 2), nn.Linear(2, 8)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_are_checked_against_code_and_network(penalty, small):
    unsuitable = {"kl_sparsity": {"code": "tanh"}, "orthogonal": {"module": WithoutAffinePath}}.get(penalty)
    assert np.isfinite(quick(penalty=penalty, code="sigmoid").fit(small).transform(small)).all()
    if unsuitable:
        with pytest.raises(ValueError, match="needs"):
            quick(penalty=penalty, **unsuitable).fit(small)


@pytest.mark.parametrize("n_rows", [1, 2, 39, 319, 320, 640, 641, 2559, 2560, 10**6])
def test_batch_size_is_the_power_of_two_below_a_tenth_of_the_samples(n_rows):
    size = batch_size_of(AutoencoderTransformer(), n_rows)
    assert log2(size).is_integer()
    assert 32 <= size <= 256
    assert size <= n_rows / 10 < 2 * size or size in (32, 256)
    assert batch_size_of(AutoencoderTransformer(batch_size=7), n_rows) == 7


def test_devices_are_found_by_name_and_missing_ones_named():
    assert (
        find_device("cpu") == find_device(torch.device("cpu")) == find_device_or_cpu("nonsense") == torch.device("cpu")
    )
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="device='nonsense' is not a torch device"):
        find_device("nonsense")


def test_a_gpu_that_is_not_there_is_refused_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert find_device("cuda") == torch.device("cuda")
    assert find_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match=r"device='cuda:1', but torch finds 1 CUDA device\(s\), counted from 0"):
        find_device("cuda:1")
    assert find_device_or_cpu("cuda:1") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_cuda_is_named():
    with pytest.raises(ValueError, match="torch finds no CUDA device; choose 'cpu' or 'auto'"):
        quick(device="cuda").fit(np.eye(5))
    assert find_device_or_cpu("cuda") == torch.device("cpu")


def test_missing_entries_are_reported_before_range_errors():
    X = np.zeros((30, 3))
    X[20, 2], X[3, 1] = np.nan, 2.0
    for method in (quick(loss="log_loss").fit, quick(loss="log_loss").partial_fit):
        with pytest.raises(ValueError, match="contains NaN in column 2"):
            method(X)


def test_partial_fit_checks_the_range_of_a_loss_too(small):
    valid = np.c_[small[:, :1] > 5, small[:, 1:]]
    autoencoder = quick(loss=Mixed([("log_loss", 0)])).partial_fit(valid)
    before = autoencoder.transform(valid)
    with pytest.raises(ValueError, match=r"models data in \[0, 1\], but X has values from .* in column 0\."):
        autoencoder.partial_fit(small)
    np.testing.assert_array_equal(autoencoder.transform(valid), before)


#: A valid value of each numeric parameter; NumPy's floats hold it exactly.
NUMBERS = {
    "n_components": [3, 0.5],
    "hidden_layer_sizes": [4],
    "code_dropout": [0.25],
    "corruption": [0.25],
    "lr": [2**-8],
    "weight_decay": [2**-7],
    "batch_size": [16],
    "max_epochs": [2],
    "validation_fraction": [0.25],
    "n_iter_no_change": [1],
    "tol": [0.5],
    "random_state": [3],
    "verbose": [0],
}
#: Building blocks with numeric parameters, by the estimator's parameter, and values of these.
NUMBERS_OF_BLOCKS = [
    ("code", TopK, {"k": [1, 0.5], "k_transform": [1, 0.5], "anneal": [0.25], "aux": [0.5]}),
    ("code", WinnerTakeAll, {"rate": [0.5]}),
    ("code", Gaussian, {"weight": [2.0, 2], "warm_up": [0.25]}),
    ("loss", Huber, {"delta": [0.5, 1]}),
    ("loss", Multinomial, {"total": [100, 0.5]}),
    ("penalty", L1, {"alpha": [0.5, 1]}),
    ("penalty", KLSparsity, {"alpha": [0.5, 1], "rho": [0.25]}),
    ("penalty", Contractive, {"alpha": [0.5], "n_projections": [1]}),
    ("penalty", Orthogonal, {"alpha": [0.5, 1]}),
    ("corruption", Masking, {"rate": [0.25]}),
    ("corruption", SaltAndPepper, {"rate": [0.25]}),
    ("corruption", GaussianNoise, {"scale": [0.5, 1]}),
]


NUMPY_SCALARS = {int: [np.int64, np.uint8], float: [np.float16, np.float32, np.float64]}


def as_plain_and_as_numpy(make, values):
    """Yield what `make` makes of each value by name as a plain number, and of the same as a NumPy scalar."""
    for name, value in ((name, value) for name, each in values.items() for value in each):
        for kind in NUMPY_SCALARS[type(value)]:
            yield make(**{name: value}), make(**{name: kind(value)})


@pytest.mark.parametrize(("name", "values"), NUMBERS.items(), ids=NUMBERS)
def test_a_numpy_scalar_means_the_same_as_a_plain_number(name, values, small):
    for both in as_plain_and_as_numpy(quick, {name: values}):
        for method in ("fit", "partial_fit"):
            assert same_bits(*(getattr(each, method)(small).module_.state_dict() for each in both))


@pytest.mark.parametrize(
    ("parameter", "block", "values"), NUMBERS_OF_BLOCKS, ids=[block.__name__ for _, block, _ in NUMBERS_OF_BLOCKS]
)
def test_building_blocks_take_numpy_scalars(parameter, block, values, small):
    code = {"code": "sigmoid"} if block is KLSparsity else {}
    X = np.abs(small)
    for both in as_plain_and_as_numpy(block, values):
        assert same_bits(*(quick(**code | {parameter: each}).fit(X).module_.state_dict() for each in both))


def test_all_numeric_parameters_are_tried_with_numpy_scalars():
    constraints = AutoencoderTransformer._parameter_constraints
    numeric = {name for name, each in constraints.items() if any(isinstance(one, Interval) for one in each)}
    assert NUMBERS.keys() == numeric | {"random_state", "verbose"}
    blocks = (*CODES.values(), *LOSSES.values(), *PENALTIES.values(), *CORRUPTIONS.values())
    with_numbers = {(type(block()), name) for block in blocks for name in block().get_params()}
    assert {(block, name) for _, block, values in NUMBERS_OF_BLOCKS for name in values} == with_numbers


def test_a_search_over_an_array_of_numbers_works(small):
    search = GridSearchCV(quick(), {"batch_size": np.array([16, 32]), "n_components": np.arange(1, 3)}, cv=2)
    assert np.isfinite(search.fit(small).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("flag", ["ordered", "early_stopping", "warm_start", "distributed", "resume"])
def test_a_boolean_of_numpy_is_a_boolean(flag, small):
    params = {"hidden_layer_sizes": ()} | ({"checkpoint": None} if flag == "resume" else {})
    values = (False, np.False_) if flag == "resume" else (True, np.True_)
    fits = [quick(**params | {flag: value}).fit(small) for value in values]
    assert same_bits(*(each.module_.state_dict() for each in fits))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must hold integers of at least 1"),
        ({"hidden_layer_sizes": (8.5,)}, "hidden_layer_sizes must hold integers of at least 1"),
        ({"loss": "log_loss"}, r"models data in \[0, 1\], but X has values from .*column"),
        ({"output_activation": "sigmoid"}, r"output_activation='sigmoid' models data in \[0, 1\]"),
        ({"validation_fraction": 0.999}, "leaves no training sample of the 80 given"),
        ({"device": "nonsense"}, "not a torch device"),
        ({"activation": dict}, "not a subclass of torch's Module"),
        ({"optimizer": dict}, "not a subclass of torch's Optimizer"),
        (
            {"optimizer": torch.optim.LBFGS, "weight_decay": 0.1},
            r"weight_decay=0\.1, but optimizer=LBFGS takes no weight_decay\. Set weight_decay=0",
        ),
        ({"lr": 0.0}, "lr"),
        ({"lr_schedule": "step"}, "lr_schedule"),
        ({"code_dropout": 1.0}, "code_dropout"),
        ({"code": "nonsense"}, "code"),
        ({"loss": SquaredError}, "loss"),
        ({"output_activation": "softplus"}, r"does not fit loss='squared_error'; choose 'auto' or one of"),
        ({"output_activation": "none"}, r"does not fit loss='squared_error'; choose 'auto' or one of \['identity', "),
        ({"output_activation": "by_columns"}, r"does not fit loss='squared_error'; choose 'auto' or one of"),
        ({"output_activation": "clip", "loss": Mixed()}, r"choose 'auto' or one of \['by_columns'\]"),
        ({"loss": "poisson"}, r"models data in \[0, inf\], but X has values from .* in column"),
        ({"loss": Mixed([("log_loss", "a")])}, "names the column 'a', but X has 8 columns and no names"),
        ({"loss": Mixed([("log_loss", 3)])}, r"models data in \[0, 1\], but X has values from .* in column 3\."),
        ({"loss": Mixed([("huber", [3, 4]), ("log_loss", 4)])}, r"names columns \[4\] more than once"),
        ({"loss": Huber(0.0)}, r"Huber\(delta=0\.0\): delta must be above 0"),
        ({"code": TopK(3)}, r"TopK\(k=3\): k must be an integer from 1 to n_components=2"),
        ({"code": Gaussian(warm_up=1.0)}, r"warm_up must be in \[0, 1\)"),
        ({"penalty": "nonsense"}, "penalty"),
        ({"penalty": ["l1", KLSparsity()]}, "needs a code in"),
        ({"corruption": 1.0}, "corruption"),
        ({"corruption": "automatic"}, r"corruption.*'auto'"),
        ({"corruption": GaussianNoise(-1.0)}, "scale must be above 0"),
    ],
)
def test_invalid_parameters_are_named_and_leave_the_estimator_unfitted(small, params, message):
    autoencoder = quick(**params)
    with pytest.raises(ValueError, match=message):
        autoencoder.fit(small)
    assert set(vars(autoencoder)) == set(autoencoder.get_params(deep=False))


OF_VALIDATION = {
    "stopping": lambda folder: [EarlyStopping()],
    "checkpoint": lambda folder: [("keep", Checkpoint(dirname=folder))],
    "plateau": lambda folder: [LRScheduler("ReduceLROnPlateau", monitor="valid_loss")],
    "score": lambda folder: [EpochScoring(one, name="one"), EarlyStopping(monitor="one")],
    "function": lambda folder: [EpochScoring(one), Checkpoint(monitor="one_best", dirname=folder)],
}


def one(net, X, y=None) -> float:
    return 1.0


@pytest.mark.parametrize("make", OF_VALIDATION.values(), ids=OF_VALIDATION)
def test_callbacks_that_monitor_a_validation_set_need_one(make, small, tmp_path):
    model = quick(callbacks=make(str(tmp_path)))
    assert model.fit(small).n_iter_ == 3
    before = vars(model).copy()
    for method, remedy in (("fit", "set early_stopping=True"), ("partial_fit", "partial_fit has none")):
        model.set_params(early_stopping=method != "fit")
        with pytest.raises(ValueError, match=rf"callbacks contains .*monitor=.* needs a validation set: {remedy}"):
            getattr(model, method)(small)
    assert vars(model) == before


@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_that_monitor_the_training_loss_need_no_validation_set(early_stopping, small, tmp_path):
    for callback in (EarlyStopping(monitor="train_loss"), Checkpoint("train_loss_best", dirname=str(tmp_path))):
        model = quick(callbacks=[callback], early_stopping=early_stopping)
        assert model.fit(small).partial_fit(small).n_iter_ == 4


class Rounded(SquaredError):
    """A loss with an output activation of its own name."""

    output_activations = ("rounded",)

    def output(self, name, n_features):
        assert name == "rounded"
        return Identity(n_features)


@pytest.mark.parametrize("loss", [*LOSSES, Mixed(), Mixed([("log_loss", 0)]), Rounded()])
def test_every_output_activation_that_a_loss_admits_is_accepted(loss):
    X = np.random.default_rng(0).dirichlet(np.ones(4), size=40)
    admitted = member(loss, LOSSES, Loss).output_activations
    chosen = quick(loss=loss).fit(X)
    for name in admitted:
        autoencoder = quick(loss=loss, output_activation=name).fit(X)
        if name == chosen._architecture.output_activation:
            np.testing.assert_array_equal(autoencoder.transform(X), chosen.transform(X))
        with pytest.raises(ValueError, match=re.escape(f"choose 'auto' or one of {list(admitted)}")):
            autoencoder.set_params(output_activation="none").fit(X)


def test_log_loss_rejects_other_output_activations(small):
    with pytest.raises(ValueError, match="does not fit loss='log_loss'"):
        quick(loss="log_loss", output_activation="clip").fit(small > 5)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "NaN in column 3"), (np.inf, "infinity in column 3"), (1e308, "column 3")]
)
def test_nonfinite_entries_raise_an_error_that_names_the_column(small, value, message):
    X = small.copy()
    X[:60, 3] = value
    autoencoder = quick().fit(small)
    for method in (quick().fit, quick().partial_fit, autoencoder.transform, autoencoder.score):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_errors_name_the_column_of_a_frame(small):
    frame = pd.DataFrame(small.copy(), columns=list("abcdefgh"))
    frame.loc[3, "d"] = np.nan
    with pytest.raises(ValueError, match="NaN in column 'd'"):
        quick().fit(frame)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((1, 3)), "1 sample"),
        (np.ones((3, 0)), "0 feature"),
        (np.ones(3), "Expected 2D array"),
        (np.ones((3, 3, 3)), "dim 3"),
        (np.array([["a", "b"], ["c", "d"]]), "X holds text in columns 0, 1"),
        (np.ones((3, 3), dtype=complex), "Complex"),
    ],
)
def test_unsuitable_shapes_and_dtypes_raise_an_error(X, message):
    for method in (quick().fit, quick().partial_fit):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_errors_in_transform_name_the_column_of_a_frame(small):
    frame = pd.DataFrame(small.copy(), columns=list("abcdefgh"))
    autoencoder = quick().fit(frame)
    frame.loc[3, "c"] = np.nan
    with pytest.raises(ValueError, match="NaN in column 'c'"):
        autoencoder.transform(frame)


def test_entries_beyond_float32_raise_an_error(small):
    with pytest.raises(ValueError, match="too large for float32"):
        quick().fit(small).transform(np.full((2, 8), 3e38, np.float32))


def test_codes_of_the_wrong_width_raise_an_error(small):
    with pytest.raises(ValueError, match=r"X has 3 columns, but the codes .* have 2"):
        quick().fit(small).inverse_transform(np.ones((4, 3)))


def test_a_failed_refit_keeps_the_earlier_fit(small):
    autoencoder = quick(2).fit(small)
    expected = autoencoder.transform(small)
    failures = [
        (small * np.nan, {}, "NaN"),
        (small[:, :3], {"lr": 1e30, "optimizer": "sgd"}, "stopped being finite"),
        (small, {"optimizer": dict}, "not a subclass of torch's Optimizer"),
    ]
    for X, params, message in failures:
        with pytest.raises(ValueError, match=message):
            autoencoder.set_params(**params).fit(X)
        np.testing.assert_array_equal(autoencoder.transform(small), expected)
