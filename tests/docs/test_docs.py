"""The site is correct: names of the API, comparison tables with PCA and NMF, records of benchmarks, links."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
from helpers import written
from sklearn.decomposition import NMF, PCA
from sklearn.neural_network import MLPRegressor

import sklearn_ae
from sklearn_ae import AutoencoderTransformer

DOCS = Path(__file__).parents[2] / "docs"
MODULES = {"sklearn_ae"} | {module.name for module in pkgutil.walk_packages(sklearn_ae.__path__, "sklearn_ae.")}
PUBLIC = {name for name in MODULES if "._" not in name}
COMPARISONS = sorted(set((DOCS / "comparisons").glob("*.md")) - {DOCS / "comparisons" / "index.md"})
CLASSES = {"PCA": PCA, "NMF": NMF, "here": AutoencoderTransformer}
VERDICTS = {"same", "extended", "different", "absent", "new"}


def section(page: str, title: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def rows(page: str, title: str) -> dict[str, list[str]]:
    """Return the rows of the table in a section, by the name in the first column."""
    lines = re.findall(r"^\|(.+)\|$", section(page, title), re.MULTILINE)[2:]  # after the header
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {name: others for name, *others in cells}


def comparison(page: Path) -> list[list[list[str]]]:
    """Return the tables of a page, each a list of rows of cells that begins with the header."""
    tables = re.findall(r"^\|.+(?:\n\|.+)*", page.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")] for table in tables]
    return [[header, *body] for header, _, *body in cells]


@pytest.fixture(scope="module")
def fitted():
    X = pd.DataFrame({"a": [0.0, 1, 2, 4], "b": [1.0, 1, 0, 2]})
    settings = {"PCA": {}, "NMF": {"max_iter": 5, "tol": 0}, "here": {"max_epochs": 1}}
    return {name: cls(1, **settings[name], random_state=0).fit(X) for name, cls in CLASSES.items()}


def methods(estimator) -> set[str]:
    """Return the public methods, without those that scikit-learn generates for metadata routing."""
    names = {name for name in dir(type(estimator)) if callable(inspect.getattr_static(type(estimator), name))}
    names |= {name for name in dir(type(estimator)) if hasattr(inspect.getattr_static(type(estimator), name), "fn")}
    return {name for name in names if not re.match(r"_|set_\w+_request$", name)}


def attributes(estimator) -> set[str]:
    return {name for name in {*vars(estimator), *dir(type(estimator))} if re.match(r"[a-z]\w*_$", name)}


def tags(estimator) -> dict[str, str]:
    def flat(value, name=""):
        if not dataclasses.is_dataclass(value):
            return {name: str(value)}
        fields = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
        return {key: v for f in fields for key, v in flat(getattr(value, f), f"{name}.{f}".strip(".")).items()}

    return flat(estimator.__sklearn_tags__())


@pytest.mark.parametrize(("title", "names_of"), [("Methods", methods), ("Attributes", attributes)])
def test_every_name_is_compared_with_those_of_pca_and_nmf(title, names_of, fitted):
    table = {name.strip("`"): cells for name, cells in rows("guide/decompositions.md", title).items()}
    names = {name: names_of(estimator) for name, estimator in fitted.items()}
    assert table.keys() == set.union(*names.values())
    for name, (pca, nmf, here, remark) in table.items():
        assert (pca == "yes", nmf == "yes") == (name in names["PCA"], name in names["NMF"]), name
        assert here in VERDICTS, name
        assert (here != "absent") == (name in names["here"]), name
        assert (here == "new") == (name not in names["PCA"] | names["NMF"]), name
        assert remark or here == "same", name


def test_every_tag_is_compared_with_those_of_pca_and_nmf(fitted):
    table = {name.strip("`"): cells for name, cells in rows("guide/decompositions.md", "Estimator tags").items()}
    values = {name: tags(estimator) for name, estimator in fitted.items()}
    assert table.keys() == values["PCA"].keys() == values["here"].keys()
    for name, (pca, nmf, here, remark) in table.items():
        value, verdict = here.rsplit(", ", 1)
        assert [pca, nmf, value] == [values[cls][name] for cls in CLASSES], name
        assert verdict in VERDICTS, name
        assert (verdict == "same") == (value in (pca, nmf) and not remark), name


@pytest.mark.parametrize(("cls", "since"), [(PCA, set()), (NMF, set()), (MLPRegressor, {"loss"})])  # 1.7
def test_every_parameter_has_its_counterpart(cls, since):
    table, *_ = comparison(DOCS / "comparisons" / f"{cls.__name__.lower()}.md")
    documented = set(re.findall(r"`(\w+)", " ".join(line[0] for line in table[1:])))
    parameters = set(inspect.signature(cls).parameters)
    assert documented - since == parameters - since
    assert documented >= parameters


@pytest.mark.parametrize("page", COMPARISONS, ids=lambda page: page.stem)
def test_counterparts_are_parameters_methods_or_attributes(page):
    here = {*inspect.signature(AutoencoderTransformer).parameters, *dir(AutoencoderTransformer)}
    here |= {"loss_curve_", "validation_scores_", "net_", "module_", "components_"}
    cells = [line[table[0].index("sklearn-ae")] for table in comparison(page) for line in table[1:]]
    names = {name for cell in cells for name in re.findall(r"`-?([a-z]\w*)(?:=[^`]*|\([^`]*\)|\.\w+)?`", cell)}
    assert len(names) > 3
    assert names <= here


@pytest.mark.parametrize("page", COMPARISONS, ids=lambda page: page.stem)
def test_comparisons_are_short_and_name_the_advantages_of_both(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 55
    assert re.findall("^## What (.+) better$", text, re.MULTILINE)[-1] == "sklearn-ae does"
    assert text.count("\n## ") == 2


def test_the_api_reference_has_every_public_name():
    text = (DOCS / "api" / "index.rst").read_text(encoding="utf-8")
    documented = {}
    for module, part in re.findall(r"^\.\. module:: (\S+)\n(.*?)(?=^\.\. module::|\Z)", text, re.DOTALL | re.MULTILINE):
        documented[module] = {*re.findall(r"^   (\w+)$", part, re.MULTILINE), *re.findall("``([A-Z]+)``", part)}
    assert documented == {name: set(importlib.import_module(name).__all__) for name in PUBLIC}


def test_every_public_name_has_an_example():
    extending = (DOCS / "extending.md").read_text(encoding="utf-8")
    for module in map(importlib.import_module, sorted(PUBLIC)):
        for name in module.__all__:
            public = getattr(module, name)
            if callable(public) and ">>>" not in public.__doc__:
                is_base = re.search(rf"^class \w+\({name}\):", extending, re.MULTILINE)
                assert is_base or name == "Output", f"{module.__name__}.{name}"


def test_every_record_has_its_script_and_its_command():
    records = runpy.run_path(str(DOCS / "_ext" / "records.py"))
    texts = [records["section"](record) for record in (DOCS.parent / "benchmarks" / "results").glob("*.md")]
    assert len(texts) > 20
    for text in texts:
        command = re.search(r"By `python -m benchmarks\.(\w+)", text)[1]
        assert any((DOCS.parent / "benchmarks" / f"{command}{end}").exists() for end in (".py", "/__main__.py"))
        assert not re.search("^# ", text, re.MULTILINE)


#: Coined turns that once stood for plain words, such as "comes back" for "is reconstructed".
COINED = (
    r"\bcomes? back|goes on|(is|are) told|(is|are) refused|\bbe had\b|is to be|so large a|\bbeside\b|as it comes|"
    r"of your own|\bbut for\b|where there is one|\bshares? of\b|\basks? for\b|\bwhat tells\b|than it was\b"
)


@pytest.mark.parametrize("place", ["README.md", "docs", "sklearn_ae", "examples"])
def test_prose_has_no_coined_turns(place):
    path = DOCS.parent / place
    paths = [path] if path.is_file() else written(path, "md", "rst", "py")
    lines = [(path.name, line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines
    assert [(name, line) for name, line in lines if re.search(COINED, line)] == []


def test_every_page_is_linked():
    listed = {"index"}
    for page in DOCS.rglob("index.md"):
        for toctree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.M):
            names = re.findall(r"^(?:.*<)?([\w./]+)>?$", toctree, re.MULTILINE)
            listed |= {(page.parent / name).resolve().relative_to(DOCS).as_posix() for name in names}
    pages = [page for folder in (".", "guide", "comparisons") for page in (DOCS / folder).glob("*.md")]
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in pages}
    assert pages <= listed


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ('<a href="#here">x</a><p id="here">', None),
        ('<a href="other.html#there">x</a>', None),
        ('<a href="https://example.org/">x</a>', None),
        ('<link rel="canonical" href="https://example.org/">', None),
        ('<a href="gone.html">x</a>', "index.html links to gone.html, which does not exist"),
        ('<a href="other.html#gone">x</a>', "index.html links to other.html#gone, an anchor that does not exist"),
        ('<script src="https://example.org/x.js">', "index.html loads https://example.org/x.js"),
        ('<span class="problematic">x_</span>', "index.html has markup that docutils could not parse"),
    ],
)
def test_a_site_is_checked(page, complaint, tmp_path):
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "other.html").write_text('<h1 id="there">')
    complaints = runpy.run_path(str(DOCS / "check_site.py"))["complaints"]
    assert complaints(tmp_path) == ([] if complaint is None else [complaint])
