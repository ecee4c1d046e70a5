"""Whatever is passed, a call works, with finite output of the right shape, or says what is wrong and changes nothing.

Data and parameters are drawn from the tables below: a new kind of data, or of a parameter's values, is a new entry.
"""

import os
import re
import warnings
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import CODES, Gaussian, TopK, WinnerTakeAll
from sklearn_ae.corruptions import CORRUPTIONS, GaussianNoise, Masking, SaltAndPepper
from sklearn_ae.losses import LOSSES, Huber, Mixed
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder
from sklearn_ae.outputs import OUTPUTS
from sklearn_ae.penalties import L1, PENALTIES, Contractive, KLSparsity, Orthogonal

SHAPES = [(0, 3), (1, 3), (2, 1), (3, 0), (2, 2), (3, 1), (5, 4), (4, 9), (12, 3), (30, 5), (40, 2)]
#: Entries before scaling.
CONTENTS: dict[str, Callable] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "counts": lambda rng, shape: rng.poisson(2.0, size=shape).astype(float),
    "binary": lambda rng, shape: rng.integers(0, 2, size=shape).astype(float),
    "constant": lambda rng, shape: np.full(shape, 0.7),
    "constant columns": lambda rng, shape: np.broadcast_to(rng.normal(size=shape[1:]), shape).copy(),
    "rank one": lambda rng, shape: np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1])),
}
SCALES = [1.0, 0.0, -1.0, 5e-324, 1e-310, 1e-300, 1e-160, 1e-40, 1e-20, 1e20, 1e38, 1e150, 1e200, 1e300, 1.7e308]
DTYPES: dict[str, Callable] = {
    **{
        name: lambda X, name=name: X.astype(name)
        for name in (
            "float32",
            "float64",
            "float16",
            "int8",
            "int64",
            "uint8",
            "uint64",
            "bool",
            "complex128",
            "longdouble",
        )
    },
    "object": lambda X: X.astype(object),
    "strings": lambda X: X.astype(str),
    "words": lambda X: np.full(X.shape, "word"),
    "words and numbers": lambda X: np.where(X > 0, X.astype(object), "word"),
    "nothing": lambda X: np.full(X.shape, None),
    "bytes": lambda X: X.astype("S"),
    "dates": lambda X: np.zeros(X.shape, "datetime64[s]"),
    "structured": lambda X: np.zeros(X.shape, [("a", float)]),
}
LAYOUTS: dict[str, Callable] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "broadcast": lambda X: np.broadcast_to(X[:1], X.shape),
    "list": lambda X: X.tolist(),
    "pandas": lambda X: X if X.dtype.names else pd.DataFrame(X),  # structured columns make no frame
    "named": lambda X: X if X.dtype.names else pd.DataFrame(X).add_prefix("column "),
    "tensor": lambda X: torch.from_numpy(X.copy()) if X.dtype in (np.float32, np.float64) else X,
    "flat": lambda X: X.ravel(),
    "deep": lambda X: X[None],
    "number": lambda X: 3.0,
    "nothing": lambda X: None,
}
DIRT: dict[str, Callable] = {
    "NaN": lambda rng, X: _put(rng, X, np.nan),
    "infinity": lambda rng, X: _put(rng, X, np.inf),
    "-infinity": lambda rng, X: _put(rng, X, -np.inf),
    "NaN column": lambda rng, X: np.where(np.arange(X.shape[1]) == 0, np.nan, X),
    "all NaN": lambda rng, X: np.full_like(X, np.nan),
    "both infinities": lambda rng, X: np.where(X > 0, np.inf, -np.inf),
    "an outlier": lambda rng, X: _put(rng, X, 1e30),
    "a huge outlier": lambda rng, X: _put(rng, X, 1.7e308),
}
#: Values of each parameter: good, bad and absurd.
PARAMETERS: dict[str, list] = {
    "n_components": [1, 2, 3, 50, 0.5, 0.999, "auto", 0, -1, 1.0, 1.5, "many", None, np.int64(2), np.nan, True],
    "ordered": [True, False, "yes", 2],
    "whiten": [True, False, "yes", None],
    "hidden_layer_sizes": [(), (3,), 4, (3, 2), [5], (0,), (2.5,), "wide", None, np.array([3]), (-1,), ((2,),)],
    "activation": ["relu", "tanh", "none", torch.nn.ELU, int, torch.nn.Linear, None],
    "code": [*CODES, TopK(2), TopK(0), TopK(99), WinnerTakeAll(0.5), WinnerTakeAll(3), Gaussian(-1), "none", None, 3],
    "loss": [
        *[*LOSSES, Huber(0.5), Huber(-1), Huber("a"), "none", None, Mixed(), Mixed([("log_loss", [0])])],
        *[
            Mixed([("huber", [99])]),
            Mixed([("none", [0])]),
            Mixed([("huber", "a")]),
            Mixed([("huber", [0]), ("huber", 0)]),
        ],
        *[Mixed([("cross_entropy", slice(0, 2))], "poisson"), Mixed(3), Mixed([3])],
    ],
    "output_activation": ["auto", *OUTPUTS, "none", None],
    "code_dropout": [0.5, 0.99, 0, 1, -0.1, "a", None, np.nan],
    "penalty": [
        *[
            *PENALTIES,
            L1(0.1),
            L1(-1),
            L1("a"),
            KLSparsity(0.1),
            KLSparsity(2),
            Contractive(),
            Orthogonal(),
            [],
            ["l1", "l1"],
        ],
        *["none", ["none"], [3], 3, L1(1e30), L1(np.nan)],
    ],
    "corruption": [
        "auto",
        None,
        *CORRUPTIONS,
        0.3,
        0,
        1,
        -1,
        Masking(0.9),
        Masking(2),
        GaussianNoise(1e30),
        SaltAndPepper("a"),
        "none",
        [],
    ],
    "module": [
        ConvAutoencoder(4, 2, image_shape=(2, 2), channels=(2,)),
        ConvAutoencoder,
        TiedAutoencoder,
        torch.nn.Linear(2, 2),
        int,
        print,
        3,
    ],
    "init": ["auto", "pca", "transpose", "random", "none", None],
    "missing": ["error", "mask", "none", None],
    "precision": ["float32", "bfloat16", "float16", torch.bfloat16, None],
    "distributed": [False, "yes", None],
    "optimizer": ["adam", "adamw", "sgd", torch.optim.RMSprop, torch.optim.LBFGS, int, "none", None],
    "lr": [1e-3, 1e-30, 1e30, 1e300, 0, -1, np.nan, np.inf, "a", None],
    "lr_schedule": ["constant", "linear", "none", None],
    "weight_decay": [0.1, 1e30, -1, np.nan, np.inf, "a"],
    "batch_size": ["auto", 1, 7, 10**9, 0, -1, 2.5, "none", None],
    "max_epochs": [0, 1, 3, -1, 1.5, None],
    "early_stopping": [True, False, None],
    "validation_fraction": [0.5, 0.99, 1e-9, 0, 1, 2, np.nan, "a"],
    "n_iter_no_change": [1, 5, 0, None],
    "tol": [0, 1e30, -1, np.nan, np.inf],
    "warm_start": [True, False, None],
    "device": ["cpu", "auto", "none", torch.device("cpu"), "meta", "cuda:99", 3, None],
    "callbacks": [[], None, (), [3], "none"],
    "checkpoint": [None, "file", Path("file"), "", ".", "none/file", "nul\0", b"file", 3, True],
    "resume": [False, True, "yes", None],
    "random_state": [0, None, np.random.RandomState(0), -1, "a", 2**40],
    "verbose": [0, -1, "a"],
}
#: Words for the data in messages, scikit-learn's and ours.
DATA_WORDS = (
    r"\b(X|[Ii]nput|[Dd]ata|sample|samples|features?|array|array-like|dtype|string|convert|float|rows?|codes?)\b"
)


def _put(rng: np.random.Generator, X: np.ndarray, value: float) -> np.ndarray:
    if X.size:
        X.flat[rng.integers(X.size)] = value
    return X


@st.composite
def data(draw, shapes=SHAPES, hostile: float = 0.5):
    """Draw data, each of whose properties is unusual with probability `hostile`."""

    def unusual(names, usual):
        return draw(st.sampled_from(list(names))) if draw(st.floats(0, 1)) < hostile else usual

    rng = np.random.default_rng(draw(st.integers(0, 99)))
    X = CONTENTS[draw(st.sampled_from(list(CONTENTS)))](rng, draw(st.sampled_from(shapes)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = X * unusual(SCALES, 1.0) + unusual(SCALES, 0.0)
        dirt = unusual(DIRT, None) if draw(st.booleans()) else None
        X = X if dirt is None else DIRT[dirt](rng, X)
        X = DTYPES[unusual(DTYPES, "float64")](X)
        X = LAYOUTS[unusual(LAYOUTS, "C")](X)
    if isinstance(X, np.ndarray) and draw(st.booleans()):
        X.flags.writeable = False
    return X


@st.composite
def parameters(draw):
    """Draw values of some parameters, with fast defaults for the others."""
    names = draw(st.lists(st.sampled_from(list(PARAMETERS)), max_size=4, unique=True))
    drawn = {name: draw(st.sampled_from(PARAMETERS[name])) for name in names}
    return {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (4,)} | drawn


def attempt(model: AutoencoderTransformer, call: Callable):
    """Return the result of a call, or None if it raised a proper error and left the estimator unchanged."""
    before = dict(vars(model))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there are too few components, and scikit-learn's
            return call()
    except (ValueError, TypeError) as error:
        assert_names_the_culprit(error, model)
    after = vars(model)
    assert before.keys() == after.keys()
    assert all(after[name] is value for name, value in before.items()), "half-fitted"
    return None


def assert_names_the_culprit(error: Exception, model: AutoencoderTransformer) -> None:
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    parts = Path(trace.tb_frame.f_code.co_filename).parts
    assert not {"torch", "skorch"} & set(parts), f"raised in {parts[-1]}: {error}"
    message = str(error)
    members = {kind.__name__ for registry in (CODES, LOSSES, PENALTIES, CORRUPTIONS) for kind in registry.values()}
    names = {*model.get_params(deep=False), *members, "Mixed"}
    named = any(re.search(rf"\b{name}\b", message) for name in names)
    assert named or re.search(DATA_WORDS, message), message


def assert_finite(array, shape) -> None:
    assert np.shape(array) == shape
    assert np.isfinite(np.asarray(array)).all()


def n_rows(X) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


def assert_tells_of_a_fit(model: AutoencoderTransformer) -> None:
    k, d = model.n_components_, model.n_features_in_
    assert_finite(model.components_, (k, d))
    assert_finite(model.mean_, (d,))
    assert_finite(model.explained_variance_ratio_, (k,))
    assert_finite(model.explained_variance_, (k,))
    assert_finite(model.loss_curve_, (model.n_iter_,))


def assert_works(model: AutoencoderTransformer, X) -> None:
    """Check that every call works on X or raises a proper error."""
    k, d = model.n_components_, model.n_features_in_
    codes = attempt(model, lambda: model.transform(X))
    if codes is not None:
        assert_finite(codes, (n_rows(X), k))
        decoded = attempt(model, lambda: model.inverse_transform(codes))
        if decoded is not None:
            assert_finite(decoded, (n_rows(X), d))
    score = attempt(model, lambda: model.score(X))
    if score is not None:
        assert_finite(score, ())
        assert score <= 1
    scores = attempt(model, lambda: model.score_samples(X))
    if scores is not None:
        assert_finite(scores, (n_rows(X),))
        assert (scores <= 0).all()
    errors = attempt(model, lambda: model.reconstruction_error(X, per_feature=True))
    if errors is not None:
        masks = model.missing == "mask"
        gaps = np.isnan(np.asarray(X, dtype=float)) if masks else np.zeros((n_rows(X), d), dtype=bool)
        np.testing.assert_array_equal(np.isnan(np.asarray(errors)), gaps)  # missing entries alone have no error
        assert_finite(np.nan_to_num(np.asarray(errors)), (n_rows(X), d))
    if hasattr(model, "reconstruction_curve"):
        curve = attempt(model, lambda: model.reconstruction_curve(X))
        if curve is not None:
            assert_finite(curve, (k,))
    if hasattr(model, "elbo"):
        bound = attempt(model, lambda: model.elbo(X, random_state=0))
        if bound is not None:
            assert_finite(bound, ())
        assert_finite(model.sample(3, random_state=0), (3, d))


def check_fit_of(method: str, given_parameters: dict, X) -> None:
    model = AutoencoderTransformer(**given_parameters)
    with TemporaryDirectory() as folder, chdir(folder):
        fitted = attempt(model, lambda: getattr(model, method)(X))
        assert {*os.listdir(folder)} <= {"file"}
    if fitted is not None:
        assert_tells_of_a_fit(model)
        assert_works(model, X)
        if hasattr(model, "truncate"):
            for size in (0, 1, model.n_components_, model.n_components_ + 1, 1.5, "a", None):
                smaller = attempt(model, lambda size=size: model.truncate(size))
                assert smaller is None or smaller.n_components_ == size


def check_calls_of_a_fitted_model(given_parameters: dict, X) -> None:
    model = AutoencoderTransformer(
        **{"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": (3,)} | given_parameters
    )
    model.fit(np.random.default_rng(0).uniform(size=(20, 4)))
    assert_works(model, X)
    decoded = attempt(model, lambda: model.inverse_transform(X))
    if decoded is not None:
        assert_finite(decoded, (n_rows(X), 4))
    if attempt(model, lambda: model.partial_fit(X)) is not None:
        assert_tells_of_a_fit(model)
        assert_works(model, X)
    if attempt(model, lambda: model.fit(X)) is not None:
        assert_tells_of_a_fit(model)


FITTED = [
    {},
    {"n_components": 4, "hidden_layer_sizes": ()},
    {"n_components": 4, "code": "relu"},
    {"n_components": 4, "ordered": True},
    {"n_components": None, "whiten": True},
    {"n_components": 4, "code": "gaussian", "loss": "log_loss"},
    {"n_components": 4, "loss": "poisson", "code": "tanh"},
    {"n_components": 4, "loss": Mixed([("cross_entropy", [0, 1]), ("huber", [3])])},
    {"n_components": 4, "output_activation": "clip", "warm_start": True},
]
SMALL, LARGE = (
    settings(max_examples=n, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    for n in (150, 2000)
)
TESTS = {
    "fit": (check_fit_of, st.just("fit"), parameters(), data(hostile=0.15)),
    "partial_fit": (check_fit_of, st.just("partial_fit"), parameters(), data(hostile=0.15)),
    "hostile fit": (check_fit_of, st.just("fit"), st.sampled_from(FITTED).map(lambda p: p | {"max_epochs": 2}), data()),
    "fitted": (
        check_calls_of_a_fitted_model,
        st.sampled_from(FITTED),
        data([(0, 4), (1, 4), (7, 4), (30, 4), (3, 3), (3, 5)]),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_call_works_or_says_what_is_wrong(name):
    check, *strategies = TESTS[name]
    SMALL(given(*strategies)(check))()


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_value_alone_works_or_says_what_is_wrong(name):
    X = CONTENTS["uniform"](np.random.default_rng(0), (30, 4))
    for value in PARAMETERS[name]:
        check_fit_of("fit", {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (4,), name: value}, X)


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_a_call_works_or_says_what_is_wrong_thousands_of_times(name):
    check, *strategies = TESTS[name]
    LARGE(given(*strategies)(check))()


def test_the_suite_knows_every_parameter():
    assert PARAMETERS.keys() == AutoencoderTransformer().get_params(deep=False).keys()


@pytest.mark.parametrize("what", ["torch", "vague", "half"])
def test_the_suite_sees_what_it_is_for(what):
    model = AutoencoderTransformer()

    def call():
        if what == "torch":
            torch.zeros(2).reshape(3)
        model.left_ = what == "half"
        raise ValueError("It went wrong." if what == "vague" else "X went wrong.")

    with pytest.raises((AssertionError, RuntimeError)):
        attempt(model, call)
