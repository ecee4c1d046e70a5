"""The documentation is complete and correct: numpydoc's rules, parameters, attributes, examples."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpydoc.validate
import pandas as pd
import pytest
from helpers import run_blocks
from numpydoc.docscrape import ClassDoc

import sklearn_ae
from sklearn_ae import AutoencoderTransformer

README = Path(__file__).parents[2] / "README.md"
MODULES = [info.name.removeprefix("sklearn_ae.") for info in pkgutil.walk_packages(sklearn_ae.__path__, "sklearn_ae.")]
USER_MODULES = sorted({"datasets", "model_selection", "onnx", "plotting", "preprocessing"} & {*MODULES})
MEMBER_MODULES = ["codes", "corruptions", "losses", "networks", "penalties"]
#: Base classes for subclassing, of which docs/extending.md has examples.
BASE_CLASSES = {"AffineNetwork", "Code", "Corruption", "Loss", "Penalty"}

NOT_REQUIRED = {
    "ES01",  # an extended summary
    "GL01",  # a summary on the line below the quotes
    "RT02",  # a return value without a name
    "SA01",  # a See Also section
}
NOT_REQUIRED_OF_METHODS = NOT_REQUIRED | {"EX01"}  # an example


def public_objects() -> dict[str, object]:
    """Return the public classes and functions, by import path."""
    modules = [
        sklearn_ae,
        *(importlib.import_module(f"sklearn_ae.{name}") for name in USER_MODULES),
    ]
    objects = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
    return {path: x for path, x in objects.items() if inspect.isclass(x) or inspect.isfunction(x)}


def public_methods(path: str, cls: type) -> list[str]:
    """Return the import paths of the public methods and properties that this package defines."""
    kinds = (staticmethod, classmethod, property)
    return [
        f"{path}.{name}"
        for base in cls.__mro__
        if base.__module__.startswith("sklearn_ae")
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds))
    ]


OBJECTS = public_objects()
METHODS = sorted({m for path, x in OBJECTS.items() if inspect.isclass(x) for m in public_methods(path, x)})


def members() -> dict[str, type]:
    """Return the public classes of building blocks and networks, by import path."""
    modules = [importlib.import_module(f"sklearn_ae.{name}") for name in MEMBER_MODULES]
    objects = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
    return {path: x for path, x in objects.items() if inspect.isclass(x)}


MEMBERS = members()
MEMBER_METHODS = sorted({m for path, cls in MEMBERS.items() for m in public_methods(path, cls)})


def complaints(path: str, not_required: set[str]) -> list[str]:
    errors = numpydoc.validate.validate(path)["errors"]
    return [f"{code}: {text}" for code, text in errors if code not in not_required]


@pytest.mark.parametrize("path", sorted(OBJECTS))
def test_docstring_follows_numpydoc(path):
    assert complaints(path, NOT_REQUIRED) == []


@pytest.mark.parametrize("path", METHODS)
def test_method_docstring_follows_numpydoc(path):
    assert complaints(path, NOT_REQUIRED_OF_METHODS) == []


@pytest.mark.parametrize("path", sorted(MEMBERS))
def test_member_docstring_follows_numpydoc(path):
    example = {"EX01"} if path.split(".")[-1] in BASE_CLASSES else set()
    assert complaints(path, NOT_REQUIRED | example) == []


@pytest.mark.parametrize("path", MEMBER_METHODS)
def test_method_of_a_member_has_a_summary(path):
    """Either its own or that of the method of the base class that it overrides."""
    cls, name = path.rsplit(".", 1)
    assert inspect.getdoc(getattr(MEMBERS[cls], name))


def documented(section: str) -> list[str]:
    return [name.strip() for entry in ClassDoc(AutoencoderTransformer)[section] for name in entry.name.split(",")]


def test_every_parameter_is_documented_in_order():
    assert documented("Parameters") == list(inspect.signature(AutoencoderTransformer).parameters)


def test_the_table_of_groups_and_the_constraints_have_the_order_of_the_signature():
    names = list(inspect.signature(AutoencoderTransformer).parameters)
    table = re.split(r"^=+  .*=$", "\n".join(ClassDoc(AutoencoderTransformer)["Extended Summary"]), flags=re.M)[2]
    in_table = re.findall(r"`(\w+)`", "".join(line[14:71] for line in table.splitlines()))
    assert in_table == list(AutoencoderTransformer._parameter_constraints) == names


def test_all_parameters_but_the_number_of_components_are_keyword_only():
    kinds = [parameter.kind for parameter in inspect.signature(AutoencoderTransformer).parameters.values()]
    assert kinds[0] is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {*kinds[1:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_every_fitted_attribute_is_documented(digits):
    X = pd.DataFrame(digits[:100]).add_prefix("pixel_")
    model = AutoencoderTransformer(max_epochs=1, random_state=0).fit(X)
    properties = inspect.getmembers(AutoencoderTransformer, lambda member: isinstance(member, property))
    fitted = {*vars(model), *(name for name, _ in properties)}
    fitted = {name for name in fitted if name.endswith("_") and not name.startswith("_")}
    assert set(documented("Attributes")) == fitted


def doctests() -> list[doctest.DocTest]:
    modules = [sklearn_ae, *(importlib.import_module(f"sklearn_ae.{name}") for name in MODULES)]
    found = (test for module in modules for test in doctest.DocTestFinder().find(module))
    return sorted(test for test in found if test.examples)


def failures(example: doctest.DocTest) -> str:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=report.append)
    return "".join(report)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("example", doctests(), ids=lambda example: example.name)
def test_example_prints_what_it_says(example):
    assert failures(example) == ""


@pytest.mark.usefixtures("scratch")
def test_readme_runs():
    run_blocks(README)


def test_a_poor_docstring_is_detected(monkeypatch):
    def poor(n_rows):
        """returns rows"""

    monkeypatch.setattr(sklearn_ae, "poor", poor, raising=False)
    codes = {line.split(":")[0] for line in complaints("sklearn_ae.poor", NOT_REQUIRED)}
    assert {"EX01", "PR01", "SS02", "SS03"} <= codes


def test_a_wrong_example_is_detected():
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert "Got:\n    2" in failures(example)
