"""Every code works with every loss, penalty and corruption, except for the few pairs listed here.

A covering array, which contains every pair of building blocks of different kinds, always runs; all combinations run in
``make test-all``.
"""

import pickle
from itertools import combinations, product

import numpy as np
import pytest
from helpers import covering
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import CODES, TopK
from sklearn_ae.corruptions import CORRUPTIONS, Masking
from sklearn_ae.losses import LOSSES, Huber, Mixed
from sklearn_ae.penalties import L1, PENALTIES

MIXED = Mixed([("log_loss", 0), ("poisson", [1]), ("cross_entropy", slice(2, 5))], remainder="huber")
FRACTIONS = np.random.RandomState(0).dirichlet(np.ones(6), size=40)  # in [0, 1], rows sum to 1: suits every loss
GROUPS = np.column_stack(
    [FRACTIONS[:, :2], FRACTIONS[:, 2:5] / FRACTIONS[:, 2:5].sum(axis=1, keepdims=True), FRACTIONS[:, 5]]
)

#: The building blocks of each kind, by the names shown in test ids; all registered ones are included.
BUILDING_BLOCKS = {
    "code": {name: name for name in sorted(CODES)},
    "loss": {name: name for name in sorted(LOSSES)} | {"mixed": MIXED},
    "penalty": {"none": None, **{name: name for name in sorted(PENALTIES)}, "two": ["l1", "contractive"]},
    "corruption": {"none": None, "number": 0.2, **{name: name for name in sorted(CORRUPTIONS)}},
}
#: The pairs that raise an error, with what the message must name.
INCOMPATIBLE = {
    frozenset({("code", "gaussian"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "identity"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "relu"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "tanh"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "top_k"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "winner_take_all"), ("penalty", "kl_sparsity")}): "KLSparsity",
}
Case = tuple[str, ...]  # the name of a building block of each kind


def pairs(case: Case) -> set[frozenset]:
    """Return the pairs of building blocks, each a kind and a name, that a case contains."""
    return {frozenset(two) for two in combinations(zip(BUILDING_BLOCKS, case, strict=True), 2)}


CASES = [case for case in product(*BUILDING_BLOCKS.values()) if not pairs(case) & INCOMPATIBLE.keys()]
COVERING = covering(CASES)
INCOMPATIBLE_CASES = covering(
    [case for case in product(*BUILDING_BLOCKS.values()) if pairs(case) & INCOMPATIBLE.keys()]
)


def data_for(case: Case) -> np.ndarray:
    return GROUPS if "mixed" in case else FRACTIONS


def model_for(case: Case, **params) -> AutoencoderTransformer:
    members = {kind: BUILDING_BLOCKS[kind][name] for kind, name in zip(BUILDING_BLOCKS, case, strict=True)}
    return AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_epochs=2, random_state=0, **members, **params)


def outputs_of(model: AutoencoderTransformer, X: np.ndarray) -> list[np.ndarray]:
    """Return codes, reconstructions and score."""
    codes = model.transform(X)
    return [codes, model.inverse_transform(codes), np.array(model.score(X))]


def assert_works(case: Case) -> None:
    for dtype in (np.float64, np.float32):
        X = data_for(case).astype(dtype)
        model = model_for(case).fit(X)
        outputs = codes, X_hat, score = outputs_of(model, X)
        assert codes.shape == (40, 3)
        assert X_hat.shape == X.shape
        assert codes.dtype == X_hat.dtype == dtype
        assert all(np.isfinite(output).all() for output in outputs)
        assert score <= 1
        low, high = (np.asarray(end) for end in model.module_.output.data_range)
        assert ((low <= X_hat) & (X_hat <= high)).all()
        ratio = model.explained_variance_ratio_
        assert (ratio >= 0).all()
        assert (np.diff(ratio) <= 0).all()
        for same in (model, pickle.loads(pickle.dumps(model))):
            for again, output in zip(outputs_of(same, X), outputs, strict=True):
                assert_array_equal(again, output)
    assert_array_equal(clone(model).fit(X).transform(X), codes)


def test_the_array_covers_all_compatible_pairs():
    members = [(kind, name) for kind, names in BUILDING_BLOCKS.items() for name in names]
    of_two_kinds = {frozenset({a, b}) for a, b in combinations(members, 2) if a[0] != b[0]}
    assert INCOMPATIBLE.keys() < of_two_kinds
    assert set().union(*map(pairs, COVERING)) == of_two_kinds - INCOMPATIBLE.keys()
    assert len(COVERING) < 2 * len(BUILDING_BLOCKS["code"]) * len(BUILDING_BLOCKS["loss"])


@pytest.mark.parametrize("case", COVERING, ids="-".join)
def test_pairs_work(case):
    assert_works(case)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R² is -.* with code=WinnerTakeAll:UserWarning")  # R² may be below 0
@pytest.mark.parametrize("code", BUILDING_BLOCKS["code"])
@pytest.mark.parametrize("loss", BUILDING_BLOCKS["loss"])
def test_all_combinations_work(code, loss):
    for case in CASES:
        if case[:2] == (code, loss):
            try:
                assert_works(case)
            except Exception as error:
                error.add_note(f"The case is {case}.")
                raise


@pytest.mark.parametrize("case", INCOMPATIBLE_CASES, ids="-".join)
def test_incompatible_pairs_raise_an_error_and_leave_the_estimator_unfitted(case):
    X, model = data_for(case), model_for(case)
    (incompatible,) = pairs(case) & INCOMPATIBLE.keys()
    before = vars(model).copy()
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=INCOMPATIBLE[incompatible]):
            method(X)
        assert vars(model) == before
        with pytest.raises(NotFittedError):
            check_is_fitted(model)


@pytest.mark.parametrize(
    "incompatible", INCOMPATIBLE, ids=lambda incompatible: "-".join(name for _, name in sorted(incompatible))
)
def test_incompatible_pairs_keep_an_earlier_fit(incompatible):
    model = AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(FRACTIONS)
    codes = model.transform(FRACTIONS)
    before = vars(model.set_params(**dict(incompatible))).copy()
    with pytest.raises(ValueError, match=INCOMPATIBLE[incompatible]):
        model.fit(FRACTIONS)
    assert vars(model).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(model).items())
    assert_array_equal(model.transform(FRACTIONS), codes)


@pytest.mark.parametrize(
    ("member", "grid"),
    [
        ({"code": TopK()}, {"code__k": [1, 0.9]}),
        ({"penalty": L1()}, {"penalty__alpha": [0.01, 10.0]}),
        ({"corruption": Masking()}, {"corruption__rate": [0.1, 0.9]}),
        ({"loss": Huber()}, {"loss__delta": [0.01, 2.0]}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_search_can_set_nested_parameters(member, grid):
    ((name, values),) = grid.items()
    model = AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_epochs=4, random_state=0, **member)
    before = model.get_params()[name]
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(FRACTIONS)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    assert search.best_estimator_.get_params()[name] == search.best_params_[name] == values[np.argmax(scores)]
    assert model.get_params()[name] == before
