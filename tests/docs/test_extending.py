"""The page on custom components is correct: its blocks run, its classes are short and work as described."""

import ast
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.base import CheckContext, DataBounds, Member, Step
from sklearn_ae.codes import Code
from sklearn_ae.corruptions import Corruption
from sklearn_ae.losses import Loss
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.penalties import Penalty

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = list(re.finditer(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
BASES = {"code": Code, "loss": Loss, "penalty": Penalty, "corruption": Corruption}
#: The sections of the page that document what each base class lets subclasses override, and the fields of tuples.
SECTIONS = {
    "Rules for all building blocks": Member,
    "Custom codes": Code,
    "Custom losses": Loss,
    "Custom penalties": Penalty,
}
FIELDS = {
    "The training step": Step,
    "Rules for all building blocks": CheckContext,
    "Custom corruptions": DataBounds,
}
#: The estimator's parameters for each class of the page.
VARIANTS = {
    "Shrink": lambda page: {"code": page.Shrink(0.2)},
    "LogCosh": lambda page: {"loss": page.LogCosh()},
    "Decorrelation": lambda page: {"penalty": page.Decorrelation(0.5)},
    "Speckle": lambda page: {"corruption": page.Speckle(0.2)},
    "Deep": lambda page: {"module": page.Deep},
    "Wide": lambda page: {"module": page.Wide},
}


def section(title: str) -> str:
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return text


def classes() -> dict[str, ast.ClassDef]:
    nodes = [node for block in BLOCKS for node in ast.parse(block[1]).body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


@pytest.fixture(scope="module")
def page():
    """Run the blocks of the page in order, as one module that can be imported, so that its classes can be pickled."""
    module = sys.modules["extending_page"] = ModuleType("extending_page")
    for block in BLOCKS:
        lines_above = TEXT[: block.start(1)].count("\n")
        exec(compile("\n" * lines_above + block[1], str(PAGE), "exec"), vars(module))
    yield module
    del sys.modules["extending_page"]


@pytest.fixture
def X(digits) -> np.ndarray:
    return digits[:100]


def fitted(X, **params) -> AutoencoderTransformer:
    return AutoencoderTransformer(3, hidden_layer_sizes=(8,), max_epochs=2, random_state=0, **params).fit(X)


def assert_works(model: AutoencoderTransformer, X: np.ndarray) -> None:
    for dtype in (np.float64, np.float32):
        codes = model.transform(X.astype(dtype))
        X_hat = model.inverse_transform(codes)
        assert codes.dtype == X_hat.dtype == dtype
        assert np.isfinite(codes).all()
        assert np.isfinite(X_hat).all()
    codes = model.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), codes)
    assert_array_equal(clone(model).fit(X).transform(X), codes)


def test_the_page_runs_and_its_searches_choose(page):
    assert page.search.best_params_["module"] in page.networks


def test_every_base_class_has_a_subclass_and_every_class_a_test(page):
    bases = [base for name in classes() for base in BASES.values() if issubclass(getattr(page, name), base)]
    assert bases == list(BASES.values())
    assert VARIANTS.keys() == classes().keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_classes_are_short(name):
    assert classes()[name].end_lineno - classes()[name].lineno + 1 < 15


@pytest.mark.parametrize(("title", "base"), SECTIONS.items())
def test_every_overridable_attribute_is_documented_with_its_default(title, base):
    rows = re.findall(r"^\| `(\w+)[^`]*` \| (.+?) \|", section(title), re.MULTILINE)
    members = {name: value for name, value in vars(base).items() if not name.startswith("_")}
    assert members.keys() <= {name for name, _ in rows}
    defaults = {name: value for name, value in members.items() if not callable(value)}
    assert {name: eval(default.strip("`"), {"inf": np.inf}) for name, default in rows if name in defaults} == defaults


@pytest.mark.parametrize(("title", "fields"), FIELDS.items())
def test_all_fields_are_documented(title, fields):
    assert set(fields._fields) <= set(re.findall(r"`(\w+)`", section(title)))


@pytest.mark.parametrize("name", VARIANTS)
def test_each_class_works_on_its_own(name, page, X):
    assert_works(fitted(X, **VARIANTS[name](page)), X)


@pytest.mark.parametrize("network", ["Deep", "Wide"])
def test_all_classes_work_together_and_in_a_search(network, page, X):
    params = {key: value for name in [*list(VARIANTS)[:4], network] for key, value in VARIANTS[name](page).items()}
    model = fitted(X, **params)
    assert_works(model, X)
    grid = {"code__threshold": [0.1], "penalty__alpha": [0.1, 20.0], "corruption__scale": [0.1]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    assert search.best_estimator_.penalty.alpha == search.best_params_["penalty__alpha"]


def test_a_parameter_out_of_range_raises_an_error(page, X):
    with pytest.raises(ValueError, match="threshold must be at least 0, got -1"):
        fitted(X, code=page.Shrink(-1))


def test_log_cosh_is_its_formula_and_a_log_likelihood(page):
    x = torch.linspace(-40, 40, 80_001, dtype=torch.float64)[:, None]
    step = Step(*[x] * len(Step._fields))._replace(output=torch.zeros_like(x))
    loss = page.LogCosh()
    assert_allclose(loss.entries(step), torch.log(torch.cosh(x)), rtol=1e-12, atol=1e-15)
    density = torch.exp(-loss.entries(step) - loss.log_partition(x))
    assert float(torch.trapezoid(density[:, 0], x[:, 0])) == pytest.approx(1, abs=1e-12)
    model = fitted(np.random.RandomState(0).randn(50, 4), loss=loss, code="gaussian")
    assert np.isfinite(model.elbo(np.ones((3, 4)), random_state=0))


def test_decorrelation_decorrelates(page, X):
    def correlations(alpha: float) -> float:
        model = AutoencoderTransformer(3, code="relu", penalty=page.Decorrelation(alpha), max_epochs=60, random_state=0)
        correlation = np.corrcoef(model.fit(X).transform(X).T)
        return float(np.square(correlation - np.eye(3)).sum())

    assert correlations(100.0) < correlations(1e-6) / 2


def test_speckle_keeps_zeros_and_the_mean(page):
    x = torch.ones(100_000, 2)
    bounds = DataBounds(zero=torch.tensor([1.0, 0.0]), mean=x[0], low=x[0], high=x[0], spread=1.0)
    corrupted = page.Speckle(0.3)(x, bounds, torch.Generator().manual_seed(0))
    assert torch.equal(corrupted[:, 0], x[:, 0])
    assert float(corrupted[:, 1].mean()) == pytest.approx(1, abs=0.01)
    assert float(corrupted[:, 1].std()) == pytest.approx(0.3, abs=0.01)


def test_networks_with_an_affine_path_start_as_pca_and_others_do_not(page, X):
    settings = {"max_epochs": 0, "early_stopping": False, "output_activation": "identity", "random_state": 0}
    pca = reconstruction_score(PCA(3).fit(X), X)
    assert AutoencoderTransformer(3, module=page.Wide, **settings).fit(X).score(X) == pytest.approx(pca, abs=1e-6)
    assert AutoencoderTransformer(3, module=page.Deep, **settings).fit(X).score(X) < pca - 0.1
    with pytest.raises(ValueError, match="Orthogonal"):
        AutoencoderTransformer(3, module=page.Deep, penalty="orthogonal").fit(X)
