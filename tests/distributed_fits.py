"""Fits that training/test_distributed.py runs in one process and in two: `python distributed_fits.py FOLDER [NAME...]`.

Each process saves its results for each case as FOLDER/NAME-RANK.npz, and error messages as FOLDER/NAME-RANK.txt.
"""

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.networks import DenseAutoencoder


class WithStatistics(nn.Module):
    """A network with running statistics, which each process computes from its own samples."""

    def __init__(self, n_features: int, n_components: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features)
        self.down, self.up = nn.Linear(n_features, n_components), nn.Linear(n_components, n_features)

    def encode(self, x):
        return self.down(self.norm(x))

    def decode(self, h):
        return self.up(h)


class CtrlC(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


#: Fits whose result does not depend on the number of processes.
EXACT: dict[str, dict[str, Any]] = {
    "early_stopping": {},
    "validation_data": {"X_val": np.arange(160.0).reshape(20, 8) % 7},
    "without_early_stopping": {"early_stopping": False},  # 103 = 6 * 16 + 7
    "linear_schedule": {"lr_schedule": "linear", "early_stopping": False, "output_activation": "clip"},
    "stops_early": {"max_epochs": 40, "n_iter_no_change": 2, "tol": 0.01},
    "one_sample_left_over": {"batch_size": 34, "early_stopping": False},  # 103 = 3 * 34 + 1
    "batches_of_one": {"batch_size": 1, "max_epochs": 2},
    "odd_batches": {"batch_size": 15},
    "odd_batches_without_adam": {"batch_size": 15, "optimizer": "sgd", "lr": 0.05},
    "weights_penalised": {"penalty": "orthogonal", "hidden_layer_sizes": ()},
    "not_finite_once": {"lr": 1e19, "optimizer": "sgd", "hidden_layer_sizes": (), "max_epochs": 1},
    "custom_module": {"module": DenseAutoencoder(8, 3, 3, (6,), nn.SiLU)},
    "one_generator_per_process": {"random_state": "one generator per process"},
}
# From the PCA initialization, the first gradients of the affine encoder are only rounding, which Adam magnifies, and
# which differs between numbers of processes on some processors.
EXACT = {name: {"init": "random"} | params for name, params in EXACT.items()}
#: Fits in which each process draws its own noise, seed or statistics, and which end the same in all processes.
PER_PROCESS: dict[str, dict[str, Any]] = {
    "dropout": {"code_dropout": 0.3},
    "corruption": {"corruption": 0.3},
    "ordered": {"ordered": True},
    "chosen_size": {"n_components": 0.9},
    "without_seed": {"random_state": None},
    "statistics": {"module": WithStatistics},
}


def data() -> np.ndarray:
    """Return 103 samples of eight features near a curved surface of three dimensions."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(103, 3))
    return h @ rng.normal(size=(3, 8)) + np.square(h) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(103, 8)) + 5.0


def fitted(rank: int, X: np.ndarray, **params: Any) -> AutoencoderTransformer:
    defaults = {"n_components": 3, "hidden_layer_sizes": (6,), "batch_size": 16, "max_epochs": 5, "random_state": 0}
    if isinstance(params.get("random_state"), str):
        params["random_state"] = np.random.RandomState(rank)
    X_val = params.pop("X_val", None)
    return AutoencoderTransformer(**defaults | {"distributed": True} | params).fit(X, X_val=X_val)


def results(autoencoder: AutoencoderTransformer) -> dict[str, Any]:
    """Return weights, fitted attributes and codes of a copy restored from a pickle."""
    copy = pickle.loads(pickle.dumps(autoencoder))
    names = "components_ mean_ loss_curve_ validation_scores_ explained_variance_ratio_ n_components_ best_epoch_"
    weights = {f"weight {name}": value.numpy() for name, value in copy.module_.state_dict().items()}
    attributes = {name: getattr(copy, name) for name in names.split() if getattr(copy, name) is not None}
    return weights | attributes | {"transform": copy.transform(data())}


def failing_fits(rank: int) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """Return data and parameters with which fits raise an error in every process."""
    X = data()
    return {
        "shape of X": (X[: len(X) - rank], {}),
        "mean of X": (X + rank, {}),
        "first rows of X": (np.round(X[:64])[:: 1 - 2 * rank], {}),  # integers whose mean is exact in any order
        "X_val": (X, {"X_val": X[:20] + rank}),
        "max_epochs": (X, {"max_epochs": 2 + rank}),
        "hidden_layer_sizes": (X, {"hidden_layer_sizes": (6 + rank,)}),
        "finite": (X, {"lr": 1e19, "optimizer": "sgd", "hidden_layer_sizes": ()}),
        "interrupted": (X, {"callbacks": [CtrlC()]}),
    }


def main(folder: Path, names: list[str]) -> None:
    rank = int(os.environ["RANK"])
    if names == ["fails in process 1"]:
        X = data()
        X[0, 0] = np.nan if rank else X[0, 0]
        fitted(rank, X)
    for name, params in (EXACT | PER_PROCESS).items():
        if not names or name in names:
            np.savez(folder / f"{name}-{rank}.npz", **results(fitted(rank, data(), **params)))
    if names:
        return
    for name, (X, params) in failing_fits(rank).items():
        try:
            fitted(rank, X, **params)
        except (ValueError, RuntimeError) as error:
            (folder / f"{name}-{rank}.txt").write_text(str(error))
    fitted(rank, data(), verbose=1, max_epochs=1)
    if rank == 0:  # alone, while the other process ends
        fitted(rank, data(), distributed=False).partial_fit(data())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
