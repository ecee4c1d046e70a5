"""Check the wheel in dist/, install it into an empty environment and use it there: `make test-dist`.

The environment, build/wheel/, gets only the wheel's dependencies: no matplotlib, no pandas. torch is that of
constraints.txt. mypy, which stays outside, then checks a user's script against the wheel's types.
"""

import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / "build" / "wheel"
#: Docstrings and comments are 60 kB of the wheel: the code alone would be 104 kB.
MOST_BYTES = 200_000
#: Folders that only development needs.
LEFT_OUT = {"tests", "benchmarks", "docs", "examples", ".ci", ".venv", "build", "dist"}

SMOKE = """
import importlib.metadata, pathlib, pickle, sys, warnings
warnings.simplefilter("error")
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
import sklearn_ae
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score

assert importlib.metadata.version("sklearn-ae") == sklearn_ae.__version__
assert pathlib.Path(sklearn_ae.__file__).is_relative_to(sys.prefix)
assert (pathlib.Path(sklearn_ae.__file__).parent / "py.typed").exists()

X, y = load_digits(return_X_y=True)
autoencoder = AutoencoderTransformer(10, max_epochs=10, lr_schedule="linear", random_state=0).fit(X[:1400])
assert reconstruction_score(autoencoder, X[1400:]) > 0.75
codes = autoencoder.transform(X[1400:])
assert codes.shape == (397, 10) and autoencoder.inverse_transform(codes).shape == (397, 64)
assert np.array_equal(pickle.loads(pickle.dumps(autoencoder)).transform(X[1400:]), codes)
reduce = AutoencoderTransformer(16, max_epochs=10, lr_schedule="linear", random_state=0)
pipeline = make_pipeline(reduce, LogisticRegression(max_iter=5000))
assert pipeline.fit(X[:1400], y[:1400]).score(X[1400:], y[1400:]) > 0.8

for absent, part in (("matplotlib", "plotting"), ("onnx", "onnx")):
    try:
        __import__(absent)
    except ModuleNotFoundError:
        __import__(f"sklearn_ae.{part}")  # needs the package where it draws or writes, not before
    else:
        raise AssertionError(f"{absent} is here")
print("The wheel works")
"""


def check_contents(wheel: Path, source: Path) -> None:
    """Check the files of the wheel, which holds every file of the package, and of the source distribution."""
    with ZipFile(wheel) as files:
        names = set(files.namelist())
    with tarfile.open(source) as files:
        top = {name.split("/")[1] for name in files.getnames() if "/" in name}
    print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB; {source.name}: {source.stat().st_size / 1000:.0f} kB")
    assert wheel.stat().st_size < MOST_BYTES, f"The wheel has {wheel.stat().st_size} bytes"
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sklearn_ae"}, names
    missing = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sklearn_ae").rglob("*.py")} - names
    assert not missing, missing
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "sklearn_ae"} <= top, top
    assert not top & LEFT_OUT, top & LEFT_OUT


def main() -> None:
    """Check, install and use the wheel."""
    (wheel,), (source,) = ((ROOT / "dist").glob(pattern) for pattern in ("*.whl", "*.tar.gz"))
    check_contents(wheel, source)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    python, constraints = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints.write_text("\n".join(line for line in lines if line.startswith("torch==")))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel], check=True)
    for command in (["-I", "-c", SMOKE], ["-I", "-m", "sklearn_ae"]):
        subprocess.run([python, *command], cwd=ENVIRONMENT, check=True)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", python]
    subprocess.run([*mypy, ROOT / "tests" / "typing_script.py"], cwd=ENVIRONMENT, check=True)  # as a user has it


if __name__ == "__main__":
    sys.exit(main())
