"""Deep codes of MNIST: error of 30 units, and nearest neighbours in codes of 5, 9 and 29.

    python -m benchmarks.bench_deep error|neighbours [--choose]

error: the network of Hinton and Salakhutdinov (2006), 784-1000-500-250-30; the summed squared error of a test image,
pixels in [0, 1]. neighbours: accuracy of k-nearest neighbours on the code, sizes and k as Fournier and Aloise (2021),
k chosen on 10,000 of the training images. With --choose the candidates' figures on 10,000 of the training images, from
fits on the other 50,000: the tables use the settings chosen by them.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import Bunch

from benchmarks.data import MNIST_TRAINING, mnist_split
from benchmarks.tables import mean_and_spread, print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian

SEEDS = (0, 1, 2)
DEEP = MNIST_TRAINING | {
    "hidden_layer_sizes": (1000, 500, 250),
    "batch_size": 512,
    "precision": "bfloat16",
    "weight_decay": 0.4,
    "max_epochs": 30,
}
#: Smaller batches in float32, with the decay and activation that suit them.
SLOW: dict[str, Any] = {
    "batch_size": 256,
    "precision": "float32",
    "weight_decay": 0.5,
    "activation": "gelu",
    "max_epochs": 40,
}
#: One rate for all layers, as a class of optimizers has.
ONE_RATE: dict[str, Any] = {"optimizer": torch.optim.AdamW, "weight_decay": 0.8}
#: The rows of the table of errors: the default learning rate, and the best candidate in the same time.
SHOWN: list[dict[str, Any]] = [{}, ONE_RATE | {"lr": 0.012}]
CANDIDATES: list[dict[str, Any]] = [
    *({"max_epochs": 17, "weight_decay": decay} for decay in (0.8, 0.4, 0.2)),
    *({"max_epochs": 17, "lr": lr, "weight_decay": 0.2} for lr in (0.02, 0.04, 0.06)),
    *({"max_epochs": 17, "lr": 0.04, "weight_decay": decay} for decay in (0.4, 0.8)),
    *({"max_epochs": 17, "lr": lr, **ONE_RATE} for lr in (0.003, 0.005, 0.012)),
    *({"max_epochs": 17, **ONE_RATE, "lr": lr, "weight_decay": decay} for lr in (0.008, 0.012) for decay in (0.4, 0.6)),
    *({"max_epochs": 17, "activation": activation} for activation in ("gelu", "relu")),
    {},
    SLOW,
]
#: Chosen among codes, dropout, penalties, corruptions and rates on the 10,000: the variational code helps.
NEIGHBOURS_SETTINGS = SLOW | {"code": Gaussian(0.3), "max_epochs": 15, "optimizer": torch.optim.AdamW, "lr": 0.003}
#: Rates, compared with 5 units, whose accuracy differs most.
RATES: list[dict[str, Any]] = [
    *({"optimizer": "adamw", "lr": lr} for lr in ("auto", 0.004)),
    *({"lr": lr} for lr in (0.001, 0.003)),
]
PUBLISHED = {5: (0.771, 0.952), 9: (0.916, 0.968), 29: (0.975, 0.978)}  # PCA and the deep autoencoder
NEIGHBOURS = (1, 3, 5, 7, 9, 11, 15)


def summed_error(estimator: Any, X: np.ndarray) -> float:
    """Return the mean over rows of the squared error summed over pixels."""
    return float(np.square(X - estimator.inverse_transform(estimator.transform(X))).sum(axis=1).mean())


def timed_fit(k: int, seed: int, X: np.ndarray, **settings: Any) -> tuple[AutoencoderTransformer, float]:
    """Return a deep autoencoder with k units and the seconds that its fit took."""
    start = time.perf_counter()
    model = AutoencoderTransformer(k, random_state=seed, **{**DEEP, **settings}).fit(X)
    return model, time.perf_counter() - start


def bench_error(data: Bunch, seeds: tuple[int, ...], candidates: list[dict[str, Any]]) -> None:
    """Print the errors of PCA and of deep autoencoders with 30 units."""
    print_head("30 units", "error, held-out image", "error, training image", "seconds to fit")
    pca = PCA(30, random_state=0).fit(data.X)
    print_row("PCA", f"{summed_error(pca, data.X_test):.2f}", f"{summed_error(pca, data.X):.2f}", "")
    for settings in candidates:
        fits = [timed_fit(30, seed, data.X, **settings) for seed in seeds]
        held_out, training = (
            mean_and_spread([summed_error(model, X) for model, _ in fits]) for X in (data.X_test, data.X)
        )
        seconds = mean_and_spread([seconds for _, seconds in fits], 0)
        print_row(f"autoencoder {DEEP | settings}", held_out, training, seconds)


def neighbours_accuracy(model: Any, data: Bunch) -> float:
    """Return the accuracy on held-out codes, with k chosen on the last 10,000 training codes."""
    codes, held_out = model.transform(data.X), model.transform(data.X_test)
    known, asked = slice(None, -10_000), slice(-10_000, None)
    chosen = accuracies(codes[known], data.y[known], codes[asked], data.y[asked])
    best = max(NEIGHBOURS, key=chosen.__getitem__)
    return accuracies(codes, data.y, held_out, data.y_test)[best]


def accuracies(codes: np.ndarray, y: np.ndarray, asked: np.ndarray, y_asked: np.ndarray) -> dict[int, float]:
    """Return the accuracy of k-nearest neighbours for each k, from one search."""
    nearest = NearestNeighbors(n_neighbors=max(NEIGHBOURS)).fit(codes).kneighbors(asked, return_distance=False)
    votes = np.eye(10)[y[nearest]].cumsum(axis=1)  # (n, k, 10)
    return {k: float((votes[:, k - 1].argmax(axis=1) == y_asked).mean()) for k in NEIGHBOURS}


def bench_neighbours(
    data: Bunch, seeds: tuple[int, ...], candidates: list[dict[str, Any]], sizes: tuple[int, ...] = tuple(PUBLISHED)
) -> None:
    """Print the accuracy of nearest neighbours on codes of PCA and of deep autoencoders, with the published ones."""
    print_head("units", "kind", "accuracy", "published", "seconds to fit")
    for k in sizes:
        linear, deep = PUBLISHED[k]
        pca = PCA(k, random_state=0).fit(data.X)
        print_row(k, "PCA", f"{neighbours_accuracy(pca, data):.4f}", linear, "")
        for candidate in candidates:
            settings = {**NEIGHBOURS_SETTINGS, **candidate}
            fits = [timed_fit(k, seed, data.X, **settings) for seed in seeds]
            accuracy = mean_and_spread([neighbours_accuracy(model, data) for model, _ in fits], 4)
            seconds = mean_and_spread([seconds for _, seconds in fits], 0)
            print_row(k, f"autoencoder {settings}", accuracy, deep, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["error", "neighbours"])
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    seeds = SEEDS[:1] if args.choose else SEEDS
    data = mnist_split(args.choose)
    print_header(f"Deep autoencoders on MNIST, 784-1000-500-250-k, judged on {data.judged_on}", seeds)
    if args.what == "error":
        bench_error(data, seeds, CANDIDATES if args.choose else SHOWN)
    elif args.choose:
        bench_neighbours(data, seeds, RATES, sizes=(5,))
    else:
        bench_neighbours(data, seeds, [{}])
