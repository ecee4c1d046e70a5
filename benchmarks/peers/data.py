"""The three data sets of the comparison: float32, centred and divided by the training samples' overall deviation."""

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.data import mnist

#: Number of components, and seconds that a contender may train.
UNITS = {"digits": 10, "mnist": 32, "table": 20}
LIMITS = {"digits": 6.0, "mnist": 30.0, "table": 30.0}


def table(n_rows: int, seed: int) -> np.ndarray:
    """Return samples of 100 features that depend nonlinearly on 20 hidden variables, with noise."""
    mixing = np.random.default_rng(0).normal(size=(20, 100)).astype(np.float32)
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_rows, 20), dtype=np.float32)
    return np.tanh(hidden @ mixing / 2) + 0.2 * rng.standard_normal((n_rows, 100), dtype=np.float32)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out samples."""
    if name == "digits":
        X = np.random.default_rng(0).permutation(load_digits().data).astype(np.float32)
        train, test = X[:1437], X[1437:]
    elif name == "mnist":
        train, test = mnist()
    else:
        train, test = table(1_000_000, 1), table(20_000, 2)
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(np.mean((train[:50_000] - mean) ** 2, dtype=np.float64)).astype(np.float32)
    return (train - mean) / spread, (test - mean) / spread
