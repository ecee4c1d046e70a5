"""One thread for each test process, no window for plots, and the data sets that the tests share."""

import os
import sys
from pathlib import Path

# NumPy and torch read these when they are first imported, which is below.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MPLBACKEND"] = "Agg"
_MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
if _MNIST.is_dir():
    os.environ.setdefault("SKLEARN_AE_DATA", str(_MNIST))

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.utils import Bunch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Check that tests start with one thread and that the package never changes the number."""
    assert torch.get_num_threads() == 1
    yield
    assert torch.get_num_threads() == 1


def _read_only(X) -> np.ndarray:
    X = np.array(X, dtype=np.float64)
    X.flags.writeable = False  # shared by all tests
    return X


@pytest.fixture
def close_figures():
    """Close the figures of a test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Run the test in an empty folder, and close its figures."""
    monkeypatch.chdir(tmp_path)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """Return the 1,797 digits of 64 pixels, 0 to 16."""
    return _read_only(datasets.load_digits().data)


@pytest.fixture(scope="session")
def small() -> np.ndarray:
    """Return 80 samples of eight features with three informative directions."""
    rng = np.random.default_rng(0)
    return _read_only(rng.normal(size=(80, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(80, 8)) + 5.0)


@pytest.fixture(scope="session")
def seven_data_sets() -> dict[str, np.ndarray]:
    """Return the data sets on which promises about quality are tested, standardised except for digits."""
    from benchmarks.data import small_data_sets

    return {name: _read_only(X) for name, X in small_data_sets().items()}


@pytest.fixture(scope="session")
def mnist() -> Bunch:
    """Return MNIST with pixels in [0, 1], or skip: tests do not download."""
    from sklearn_ae.datasets import fetch_mnist

    try:
        return fetch_mnist(download_if_missing=False)
    except FileNotFoundError as error:
        pytest.skip(str(error))
