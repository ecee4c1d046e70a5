"""Every building block with its defaults compared with PCA on tables: held-out R² of five components.

    python -m benchmarks.bench_tabular [variants ...]

Digits, wine, breast cancer, diabetes, and a synthetic table of numbers, binaries and a category. All but digits and the
binaries are standardised; losses that need data from 0 up get each column scaled to [0, 1], and PCA gets the same.
Figures are the gain over PCA, means over the seeds, each of which splits anew.
"""

import sys
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.losses import Mixed
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.networks import TiedAutoencoder

SEEDS = (0, 1, 2)
K = 5
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "code relu": {"code": "relu"},
    "code sigmoid": {"code": "sigmoid"},
    "code tanh": {"code": "tanh"},
    "code top_k": {"code": "top_k"},
    "code winner_take_all": {"code": "winner_take_all"},
    "code gaussian": {"code": "gaussian"},
    "loss absolute_error": {"loss": "absolute_error"},
    "loss huber": {"loss": "huber"},
    "loss log_loss, on [0, 1]": {"loss": "log_loss"},
    "loss poisson, on [0, 1]": {"loss": "poisson"},
    "penalty l1": {"penalty": "l1"},
    "penalty kl_sparsity, code sigmoid": {"penalty": "kl_sparsity", "code": "sigmoid"},
    "penalty contractive": {"penalty": "contractive"},
    "penalty orthogonal": {"penalty": "orthogonal"},
    "corruption masking": {"corruption": "masking"},
    "corruption gaussian_noise": {"corruption": "gaussian_noise"},
    "corruption salt_and_pepper": {"corruption": "salt_and_pepper"},
    "dropout 0.2": {"code_dropout": 0.2},
    "tied weights": {"module": TiedAutoencoder},
    "lr_schedule constant": {"lr_schedule": "constant"},
}
MIXED = Mixed([("log_loss", [6, 7]), ("cross_entropy", [8, 9, 10, 11])])


def mixed_table(n_rows: int = 1500) -> np.ndarray:
    """Return six numbers, two binaries and a one-hot category of four, all driven by three hidden variables."""
    rng = np.random.RandomState(0)
    hidden = rng.normal(size=(n_rows, 3))
    numbers = np.tanh(hidden @ rng.normal(size=(3, 6))) + 0.1 * rng.normal(size=(n_rows, 6))
    binaries = hidden @ rng.normal(size=(3, 2)) + 0.3 * rng.normal(size=(n_rows, 2)) > 0
    categories = np.eye(4)[(hidden @ rng.normal(size=(3, 4)) + 0.3 * rng.normal(size=(n_rows, 4))).argmax(axis=1)]
    return np.hstack([StandardScaler().fit_transform(numbers), binaries, categories])


def gains(X: np.ndarray, settings: dict[str, Any]) -> list[float]:
    """Return held-out R² minus PCA's, one for each seed."""
    found = []
    for seed in SEEDS:
        train, test = train_test_split(X, test_size=0.2, random_state=seed)
        model = AutoencoderTransformer(K, random_state=seed, **settings).fit(train)
        found.append(reconstruction_score(model, test) - reconstruction_score(PCA(K).fit(train), test))
    return found


def main(names: list[str]) -> None:
    """Print a line for each variant."""
    tables = {"digits": load_digits().data}
    loaders = {"wine": load_wine, "cancer": load_breast_cancer, "diabetes": load_diabetes}
    tables |= {name: StandardScaler().fit_transform(load().data) for name, load in loaders.items()}
    tables["mixed"] = mixed_table()
    print_head("gain over PCA", *tables)
    for name in names:
        settings = VARIANTS[name]
        cells = []
        for X in tables.values():
            data = MinMaxScaler().fit_transform(X) if name.endswith("[0, 1]") else X
            cells.append(f"{np.mean(gains(data, settings)):+.3f}")
        print_row(name, *cells)
    print_row("loss Mixed", *[""] * (len(tables) - 1), f"{np.mean(gains(tables['mixed'], {'loss': MIXED})):+.3f}")


if __name__ == "__main__":
    print_header(f"Held-out R² of {K} components on tables", SEEDS)
    main(sys.argv[1:] or list(VARIANTS))
