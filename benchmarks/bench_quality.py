"""Quality compared with PCA and NMF, with the estimator's defaults.

    python -m benchmarks.bench_quality [small|mnist|grid]

small: gain over PCA in held-out R² on seven data sets, five splits. mnist: R² on the test images with 32 units, and
seconds, also in epochs of a hand-written loop of the same network.
grid: one grid search that switches a pipeline's step, with one process and with two.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from benchmarks.data import mnist, small_data_sets
from benchmarks.hand_written import Network
from benchmarks.hand_written import train as train_by_hand
from benchmarks.measure import timed
from benchmarks.tables import print_limits
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score

CASES = [("digits", 2), ("digits", 10), ("wine", 2), ("cancer", 2), ("diabetes", 2), ("iris", 2)]
CASES += [("swiss roll", 2), ("S curve", 2)]


def bench_small() -> None:
    """Print held-out R² and its gain over PCA, mean and worst of five splits."""
    data = small_data_sets()
    print("| data | k | PCA | autoencoder | mean gain | worst gain | seconds a fit |\n" + "| --- " * 7 + "|")
    for name, k in CASES:
        scores = []
        for seed in range(5):
            train, test = train_test_split(data[name], test_size=0.2, random_state=seed)
            start = time.perf_counter()
            autoencoder = AutoencoderTransformer(k, random_state=seed).fit(train)
            seconds = time.perf_counter() - start
            pca = PCA(k).fit(train)
            scores.append((reconstruction_score(pca, test), reconstruction_score(autoencoder, test), seconds))
        linear, ours, seconds = np.transpose(scores)
        gains = ours - linear
        print(
            f"| {name} | {k} | {linear.mean():.3f} | {ours.mean():.3f} | {gains.mean():.4f} | {gains.min():.4f} | "
            f"{seconds.mean():.2f} |",
            flush=True,
        )


def bench_mnist() -> None:
    """Print R² on the test images and seconds, 32 units, fitted on all training images."""
    train, test = mnist()
    estimators = {
        "PCA": PCA(32, random_state=0),
        "NMF": NMF(32, init="nndsvda", max_iter=500, random_state=0),
        "AutoencoderTransformer": AutoencoderTransformer(32, random_state=0),
    }
    network, rows = Network(784, 32, (256,)), torch.from_numpy((train - train.mean(axis=0)) / train.std())
    epochs = [timed(lambda: train_by_hand(network, rows, len(rows) // 10, 256, 1))]
    print("| MNIST, k = 32 | R², test images | seconds to fit |\n| --- | --- | --- |")
    for name, estimator in estimators.items():
        start = time.perf_counter()
        estimator.fit(train)
        seconds = time.perf_counter() - start
        print(f"| {name} | {reconstruction_score(estimator, test):.4f} | {seconds:.1f} |", flush=True)
    epochs.append(timed(lambda: train_by_hand(network, rows, len(rows) // 10, 256, 1)))
    print(
        f"\nAn epoch of a hand-written loop: {epochs[0]:.2f} s before and {epochs[1]:.2f} s after the fits; the last "
        f"fit took the time of {seconds / np.mean(epochs):.1f}, with {estimator.n_iter_} epochs."
    )
    print_limits(estimators.values())


def bench_grid() -> None:
    """Print mean held-out R² of each method and number of components on digits, and seconds with 1 and 2 processes."""
    X = load_digits().data
    sizes = [2, 4, 8, 16, 32]
    grid = {
        "decompose": [
            AutoencoderTransformer(random_state=0),
            PCA(random_state=0),
            NMF(init="nndsvda", max_iter=2000, random_state=0),
        ],
        "decompose__n_components": sizes,
    }
    seconds = {}
    for n_jobs in (2, 1):
        search = GridSearchCV(
            Pipeline([("decompose", PCA())]), grid, scoring=reconstruction_score, cv=3, n_jobs=n_jobs, refit=False
        )
        start = time.perf_counter()
        search.fit(X)
        seconds[n_jobs] = time.perf_counter() - start
    print("| held-out R², digits |" + "".join(f" {k} |" for k in sizes) + "\n" + "| --- " * (len(sizes) + 1) + "|")
    scores = search.cv_results_["mean_test_score"].reshape(len(grid["decompose"]), len(sizes))
    for estimator, row in zip(grid["decompose"], scores, strict=True):
        print(f"| {type(estimator).__name__} |" + "".join(f" {score:.3f} |" for score in row))
    print(f"\nn_jobs=1: {seconds[1]:.1f} s, n_jobs=2: {seconds[2]:.1f} s, ratio {seconds[2] / seconds[1]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["small", "mnist", "grid"], nargs="?", default="small")
    print(f"{time.strftime('%Y-%m-%d')}, {torch.get_num_threads()} threads\n")
    {"small": bench_small, "mnist": bench_mnist, "grid": bench_grid}[parser.parse_args().what]()
