"""Files that state the same facts about the package agree."""

import re
import tomllib
from pathlib import Path

import yaml
from try_versions import TOOLS, requirements, wanted

import sklearn_ae

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
ON_CONDA = {"torch": "pytorch"}


def split(requirement: str) -> tuple[str, str]:
    """Return the name of a requirement and its range."""
    name, bounds = re.fullmatch(r"([\w-]+) ?(.*)", requirement).groups()
    return ON_CONDA.get(name, name), bounds


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["dynamic"] == ["version"]
    assert citation["version"] == RECIPE["context"]["version"] == sklearn_ae.__version__
    assert f"## {sklearn_ae.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_recipe_requires_what_the_wheel_requires():
    expected = {"python": PROJECT["requires-python"]} | dict(map(split, PROJECT["dependencies"]))
    assert dict(map(split, RECIPE["requirements"]["run"])) == expected
    assert RECIPE["about"]["summary"] == PROJECT["description"]
    assert RECIPE["about"]["license"] == PROJECT["license"]


def test_the_oldest_versions_tested_are_the_lowest_declared():
    oldest = set(wanted("oldest"))
    for line in PROJECT["dependencies"]:
        name, lowest = line.split(">=")
        assert (f"{name}=={lowest}.*" in oldest) == (name != "torch")
    for tool in TOOLS & set(requirements()):
        assert tool in oldest
    assert sum(line.startswith("torch==") for line in oldest) == 1
