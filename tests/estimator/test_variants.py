"""Every code goes with every loss, penalty and corruption; the few pairs that are refused are listed here.

A covering array, which holds every pair of members of different axes, runs always; all combinations run in
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
SHARES = np.random.RandomState(0).dirichlet(np.ones(6), size=40)  # in [0, 1], rows sum to 1: fits every loss
GROUPS = np.column_stack([SHARES[:, :2], SHARES[:, 2:5] / SHARES[:, 2:5].sum(axis=1, keepdims=True), SHARES[:, 5]])

#: The members of each axis, by the names that tests show; the registries' are all here.
AXES = {
    "code": {name: name for name in sorted(CODES)},
    "loss": {name: name for name in sorted(LOSSES)} | {"mixed": MIXED},
    "penalty": {"none": None, **{name: name for name in sorted(PENALTIES)}, "two": ["l1", "contractive"]},
    "corruption": {"none": None, "number": 0.2, **{name: name for name in sorted(CORRUPTIONS)}},
}
#: The pairs that are refused, with what the message must name.
REFUSED = {
    frozenset({("code", "gaussian"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "identity"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "relu"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "tanh"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "top_k"), ("penalty", "kl_sparsity")}): "KLSparsity",
    frozenset({("code", "winner_take_all"), ("penalty", "kl_sparsity")}): "KLSparsity",
}
Case = tuple[str, ...]  # the name of a member of each axis


def pairs(case: Case) -> set[frozenset]:
    """Return the pairs of members, each an axis and a name, that a case holds."""
    return {frozenset(two) for two in combinations(zip(AXES, case, strict=True), 2)}


CASES = [case for case in product(*AXES.values()) if not pairs(case) & REFUSED.keys()]
COVERING = covering(CASES)
REFUSED_CASES = covering([case for case in product(*AXES.values()) if pairs(case) & REFUSED.keys()])


def data_for(case: Case) -> np.ndarray:
    return GROUPS if "mixed" in case else SHARES


def model_for(case: Case, **params) -> AutoencoderTransformer:
    members = {axis: AXES[axis][name] for axis, name in zip(AXES, case, strict=True)}
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


def test_the_array_covers_all_pairs_but_the_refused():
    members = [(axis, name) for axis, names in AXES.items() for name in names]
    of_two_axes = {frozenset({a, b}) for a, b in combinations(members, 2) if a[0] != b[0]}
    assert REFUSED.keys() < of_two_axes
    assert set().union(*map(pairs, COVERING)) == of_two_axes - REFUSED.keys()
    assert len(COVERING) < 2 * len(AXES["code"]) * len(AXES["loss"])


@pytest.mark.parametrize("case", COVERING, ids="-".join)
def test_pairs_work(case):
    assert_works(case)


@pytest.mark.slow
@pytest.mark.parametrize("code", AXES["code"])
@pytest.mark.parametrize("loss", AXES["loss"])
def test_all_combinations_work(code, loss):
    for case in CASES:
        if case[:2] == (code, loss):
            try:
                assert_works(case)
            except Exception as error:
                error.add_note(f"The case is {case}.")
                raise


@pytest.mark.parametrize("case", REFUSED_CASES, ids="-".join)
def test_refused_pairs_raise_and_leave_nothing(case):
    X, model = data_for(case), model_for(case)
    (refused,) = pairs(case) & REFUSED.keys()
    before = vars(model).copy()
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=REFUSED[refused]):
            method(X)
        assert vars(model) == before
        with pytest.raises(NotFittedError):
            check_is_fitted(model)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: "-".join(name for _, name in sorted(refused)))
def test_refused_pairs_leave_an_earlier_fit_as_it_was(refused):
    model = AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(SHARES)
    codes = model.transform(SHARES)
    before = vars(model.set_params(**dict(refused))).copy()
    with pytest.raises(ValueError, match=REFUSED[refused]):
        model.fit(SHARES)
    assert vars(model).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(model).items())
    assert_array_equal(model.transform(SHARES), codes)


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
def test_nested_names_are_searched(member, grid):
    ((name, values),) = grid.items()
    model = AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_epochs=4, random_state=0, **member)
    before = model.get_params()[name]
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(SHARES)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    assert search.best_estimator_.get_params()[name] == search.best_params_[name] == values[np.argmax(scores)]
    assert model.get_params()[name] == before
