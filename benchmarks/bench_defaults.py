"""Which learning rule should be the default? Gain over PCA in held-out R² on seven small data sets and on MNIST.

    python -m benchmarks.bench_defaults [small|mnist|deep|clip]

Each rule is the estimator with its defaults except for what the rule names. Splits hold out a fifth of the samples; the
seeds start at 100, so that they differ from those of the tests. One thread per fit on the small sets, two on MNIST.
"""

import argparse
import re
import time
from math import ceil
from unittest import mock

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler, normalize
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from benchmarks.data import mnist, small_data_sets
from sklearn_ae import AutoencoderTransformer
from sklearn_ae._data.tables import DenseTable
from sklearn_ae._estimator.configuration import batch_size_for
from sklearn_ae.model_selection import reconstruction_score

CASES = [("digits", 2), ("digits", 10), ("wine", 2), ("cancer", 2), ("cancer", 10), ("diabetes", 2), ("iris", 2)]
CASES += [("swiss roll", 2), ("S curve", 2)]
SPLITS = range(100, 110)


def plateau(patience: int) -> LRScheduler:
    return LRScheduler(ReduceLROnPlateau, monitor="valid_loss", factor=0.3, patience=patience, threshold=1e-4)


def averaged(lr: float, patience: int, window: int = 400, **params):
    return {"average": window, "lr": lr, "n_iter_no_change": patience, **params}


RULES = {
    "constant 1e-3, patience 10": averaged(1e-3, 10, 0),
    "constant 3e-3, patience 20": averaged(3e-3, 20, 0),
    "decay on plateau from 3e-3, patience 20": averaged(3e-3, 20, 0, plateau=6),
    "2,000 steps, linear decay from 3e-3": {"average": 0, "lr": 3e-3, "steps": 2000},
    "2,000 steps, linear decay from 1e-2": {"average": 0, "lr": 1e-2, "steps": 2000},
    "average, 1e-3, patience 20": averaged(1e-3, 20),
    "average, 3e-3, patience 10": averaged(3e-3, 10),
    "average, 3e-3, patience 20": averaged(3e-3, 20),
    "average, 3e-3, patience 30": averaged(3e-3, 30),
    "average, 3e-3, patience 20, 500 epochs": averaged(3e-3, 20, max_epochs=500),
    "average, 3e-3, decay on plateau, patience 20": averaged(3e-3, 20, plateau=6),
    "average, 3e-3, patience 20, no validation split": averaged(3e-3, 20, early_stopping=False),
    "average, 5e-3, patience 20": averaged(5e-3, 20),
    "average, 1e-2, patience 20": averaged(1e-2, 20),
}


def fit(rule: dict, X: np.ndarray, k: int, seed: int, **params) -> AutoencoderTransformer:
    """Fit under a rule."""
    rule = {**rule, **params}
    callbacks = []
    if "steps" in rule:
        n_train = int(len(X) * 0.9)
        epochs = ceil(rule.pop("steps") / ceil(n_train / batch_size_for(n_train)))
        rule |= {"max_epochs": epochs, "n_iter_no_change": epochs}
        callbacks.append(LRScheduler(LambdaLR, lr_lambda=lambda epoch: 1 - epoch / epochs))
    if "plateau" in rule:
        callbacks.append(plateau(rule.pop("plateau")))
    with mock.patch("sklearn_ae._autoencoder.AVERAGE_WINDOW", rule.pop("average")):
        return AutoencoderTransformer(k, random_state=seed, callbacks=callbacks, **rule).fit(X)


def gain(rule: dict, X: np.ndarray, k: int, seed: int) -> tuple[float, float, int]:
    """Return the gain over PCA in held-out R², seconds and epochs of one split."""
    torch.set_num_threads(1)
    train, test = train_test_split(X, test_size=0.2, random_state=seed)
    start = time.perf_counter()
    autoencoder = fit(rule, train, k, seed)
    seconds = time.perf_counter() - start
    pca = PCA(k).fit(train)
    return (
        reconstruction_score(autoencoder, test) - reconstruction_score(pca, test),
        seconds,
        autoencoder.n_iter_,
    )


def bench_small(only: str) -> None:
    """Print the table of the small sets."""
    data = small_data_sets()
    print("| rule | mean gain | worst split | seconds a fit | epochs |" + "".join(f" {n} {k} |" for n, k in CASES))
    print("| --- |" + " --- |" * (4 + len(CASES)))
    for name, rule in RULES.items():
        if not re.search(only, name):
            continue
        jobs = (delayed(gain)(rule, data[set_name], k, seed) for set_name, k in CASES for seed in SPLITS)
        results = np.array(Parallel(n_jobs=2)(jobs)).reshape(len(CASES), len(SPLITS), 3)
        by_case = results[:, :, 0].mean(axis=1)
        print(
            f"| {name} | {by_case.mean():.4f} | {results[:, :, 0].min():.4f} | {results[:, :, 1].mean():.2f} | "
            f"{results[:, :, 2].mean():.0f} |" + "".join(f" {g:.3f} |" for g in by_case),
            flush=True,
        )


def bench_clip(only: str) -> None:
    """Print the gain by clipping to the range of each column, with the fraction of entries on their bound."""
    data = small_data_sets()
    digits = data["digits"]
    data |= {
        "standardised digits": StandardScaler().fit_transform(digits),
        "digits above 8": (digits > 8).astype(float),
        "digits, rows of unit length": normalize(digits),
        "wine and its classes, one-hot": np.hstack([data["wine"], np.eye(3)[load_wine().target]]),
        "MNIST, 3,000 rows": mnist()[0][:3000],
    }
    print("| data | share on bounds | R², identity | R², clip | gain |\n| --- | --- | --- | --- | --- |")
    for name, X in data.items():
        if not re.search(only, name):
            continue
        scores = np.zeros((3, 2))
        for seed in range(3):
            train, test = train_test_split(X, test_size=0.2, random_state=100 + seed)
            for j, output in enumerate(("identity", "clip")):
                autoencoder = AutoencoderTransformer(3, output_activation=output, random_state=seed).fit(train)
                scores[seed, j] = reconstruction_score(autoencoder, test)
        identity, clip = scores.mean(axis=0)
        fraction = DenseTable(X).columns().fraction_on_bounds
        print(f"| {name} | {fraction:.3f} | {identity:.4f} | {clip:.4f} | {clip - identity:.4f} |", flush=True)


def bench_mnist(only: str, max_epochs: int, **params) -> None:
    """Print the table of MNIST: 12,000 training images, scored on 10,000 others; the test images stay unseen."""
    images, _ = mnist()
    train, held_out = images[:12_000], images[50_000:]
    k = 32 if not params else 30
    pca = PCA(k, random_state=0).fit(train)
    print(f"MNIST, k = {k}, {params}, at most {max_epochs} epochs; PCA {reconstruction_score(pca, held_out):.4f}")
    print("| rule | R² | seconds | epochs | best epoch |\n| --- | --- | --- | --- | --- |")
    for name, rule in RULES.items():
        if not re.search(only, name) or "500 epochs" in name:
            continue
        start = time.perf_counter()
        limit = {} if "steps" in rule else {"max_epochs": max_epochs}
        autoencoder = fit(rule, train, k, 0, **limit, **params)
        seconds = time.perf_counter() - start
        score = reconstruction_score(autoencoder, held_out)
        print(
            f"| {name} | {score:.4f} | {seconds:.0f} | {autoencoder.n_iter_} | {autoencoder.best_epoch_} |", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["small", "mnist", "deep", "clip"], nargs="?", default="small")
    parser.add_argument("--only", default="", help="only rules whose name this regular expression finds")
    parser.add_argument("--max-epochs", type=int, default=20, help="on MNIST")
    arguments = parser.parse_args()
    if arguments.what == "small":
        bench_small(arguments.only)
    elif arguments.what == "clip":
        bench_clip(arguments.only)
    else:
        deep = {"hidden_layer_sizes": (1000, 500, 250)} if arguments.what == "deep" else {}
        bench_mnist(arguments.only, arguments.max_epochs, **deep)
