"""Run the fast tests against the oldest and the newest versions that pyproject.toml admits: `make test-versions`.

Environments are made in build/versions/: for each Python from 3.11 to 3.13 that the machine has, one with the highest
versions that pip finds of all packages of `dependencies` and of the extras; for Python 3.11, which alone all of them
know, one with the lowest of their ranges too. torch is the one of constraints.txt in all. Arguments go to pytest.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "versions"
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("plot", "dask", "distributed", "onnx", "dev", "bench")
#: Tools that check sources and run tests; their versions do not matter for what is tested.
TOOLS = {"mypy", "numpydoc", "pytest", "pytest-cov", "pytest-xdist", "ruff", "hypothesis"}


def requirements() -> dict[str, tuple[str, str]]:
    """Return the requirements of the package and its extras, by name: their extras and lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    parsed = [re.fullmatch(r"([\w-]+)(\[[\w,-]+\])?>=([\w.]+)", line) for line in lines if "sklearn-ae[" not in line]
    return {match[1]: (match[2] or "", match[3]) for match in parsed}


def pinned_torch() -> str:
    """Return the line of constraints.txt for torch."""
    (line,) = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return line


def wanted(which: str) -> list[str]:
    """Return the requirements of the "oldest" or the "newest" environment for pip."""
    lines = [
        f"{name}{extras}=={version}.*" if which == "oldest" and name not in TOOLS else f"{name}{extras}"
        for name, (extras, version) in requirements().items()
        if name != "torch"
    ]
    return [pinned_torch(), *lines]


def run(*command: object, check: bool = True) -> int:
    """Run a command in the checkout."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=check).returncode


def interpreter_of(version: str) -> str | None:
    """Return a Python of a version that runs, from the path, where its name may not be enough, or from pyenv."""
    pyenv = Path.home() / ".pyenv" / "versions"
    for python in (shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")):
        probe = [python, "-c", "import ensurepip, venv"]
        if python is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return str(python)
    return None


def test(interpreter: str, version: str, which: str, arguments: list[str]) -> bool:
    """Return whether the tests pass in a new environment."""
    environment = FOLDER / f"{which}-{version}"
    python = environment / "bin" / "python"
    run(interpreter, "-m", "venv", "--clear", environment)
    run(python, "-m", "pip", "install", "--quiet", "setuptools", *wanted(which))
    run(python, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--editable", ROOT)
    run(python, "-m", "pip", "list", "--format", "freeze")
    warnings = ["-W", "default::DeprecationWarning"] if which == "oldest" else []  # old packages' of each other
    return run(python, "-m", "pytest", "-p", "no:cacheprovider", *warnings, *arguments, check=False) == 0


def main() -> int:
    """Test every environment available and print the results."""
    results = {}
    for version in PYTHONS:
        interpreter = interpreter_of(version)
        if interpreter is None:
            print(f"Python {version} is not on this machine: not tested")
            continue
        for which in ("oldest", "newest") if version == PYTHONS[0] else ("newest",):
            results[f"Python {version}, {which}"] = test(interpreter, version, which, sys.argv[1:])
    for name, passed in results.items():
        print(f"{name}: {'passed' if passed else 'FAILED'}")
    return not (results and all(results.values()))


if __name__ == "__main__":
    sys.exit(main())
