"""Which optimizer, rate and batch reach a given R² soonest? python -m benchmarks.bench_optimizers [small|large].

small: nine cases of small data, three splits each. large: 12,000 images of MNIST with the default and with a deep
network, and 100,000 rows of a table. Each rule is the estimator with its defaults except for what the rule names. The
held-out R² is recorded after each epoch; the target of a data set is that of the default there, less a hundredth of
its gain over PCA. Seconds are those of training alone, on one thread; rules take turns within a data set, so that the
noise of the machine affects all of them.
"""

import argparse
import re
import time
from typing import Any
from unittest import mock

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from benchmarks.bench_defaults import CASES
from benchmarks.data import mnist, small_data_sets
from benchmarks.optimizers import SOAP, MuonWithAdamW, WholeLBFGS
from benchmarks.peers.data import table
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae._estimator.configuration import batch_size_for
from sklearn_ae._training.net import Batches

#: Fraction of the default's gain over PCA that may be missing.
SLACK = 0.01
SEEDS = (100, 101, 102)
MOST_SECONDS = {"small": 10.0, "large": 40.0}
DEEP = {"hidden_layer_sizes": (1000, 500, 250)}

RULES: dict[str, dict[str, Any]] = {
    "default: AdamW 3e-3": {},
    "AdamW 5e-3": {"lr": 5e-3},
    "AdamW 1e-2": {"lr": 1e-2},
    "Adam 3e-3": {"optimizer": "adam"},
    "NAdam 3e-3": {"optimizer": torch.optim.NAdam},
    "RAdam 3e-3": {"optimizer": torch.optim.RAdam},
    "SGD 3e-2": {"optimizer": "sgd", "lr": 3e-2},
    "Muon 5e-3, AdamW for vectors": {"optimizer": MuonWithAdamW, "lr": 5e-3},
    "Muon 1e-2, AdamW for vectors": {"optimizer": MuonWithAdamW, "lr": 1e-2},
    "SOAP 3e-3": {"optimizer": SOAP},
    "SOAP 1e-2": {"optimizer": SOAP, "lr": 1e-2},
    "L-BFGS, all rows": {"optimizer": WholeLBFGS, "lr": 1.0, "batch_size": 10**9},
    "batch times 2, 5e-3": {"batch": 2, "lr": 5e-3},
    "batch times 4, 1e-2": {"batch": 4, "lr": 1e-2},
    "batch doubled each 20 epochs, up to times 8": {"growth": 20},
    "batch doubled each 20 epochs, 1e-2": {"growth": 20, "lr": 1e-2},
    "no average of weights": {"average": 0},
    "average over 100 steps": {"average": 100},
}
#: Rules that lose on most small sets, and are not tried on large ones.
LOST = ("NAdam", "RAdam", "SGD", "L-BFGS", "no average", "average over")


class Watch(Callback):
    """Records seconds of training and the held-out R² after each epoch."""

    def __init__(self, score: Any, limit: float):
        self.score = score
        self.limit = limit

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.points_ = [(0.0, self.score(net.candidate))]
        self.begin_, self.judging_ = time.perf_counter(), 0.0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        now = time.perf_counter()
        self.points_.append((now - self.begin_ - self.judging_, self.score(net.candidate)))
        self.judging_ += time.perf_counter() - now
        net.stop_ |= self.points_[-1][0] > self.limit


def growing(epochs: int) -> Any:
    """Patch the iteration of Batches: the batch doubles every so many passes, up to eight times its size."""

    def batches(self: Batches) -> Any:
        passes = self.__dict__.setdefault("passes", 0)
        self.passes += self.generator is not None
        for x in self.rows.batches(self.size * 2 ** min(passes // epochs, 3), self.generator):
            yield x, x

    return mock.patch.object(Batches, "__iter__", batches)


def points_of(rule: dict[str, Any], train: np.ndarray, test: np.ndarray, k: int, seed: int, limit: float) -> list[Any]:
    """Return seconds and held-out R² by epoch, and nan as the last R² if the fit fails."""
    torch.set_num_threads(1)
    settings = dict(rule)
    estimator = AutoencoderTransformer(k, random_state=seed)
    n_train = len(train) - int(np.ceil(0.1 * len(train)))
    if "batch" in settings:
        settings["batch_size"] = settings.pop("batch") * batch_size_for(n_train)
    if "batch_size" in settings:
        settings["batch_size"] = min(settings["batch_size"], n_train)
    average, growth = settings.pop("average", 400), settings.pop("growth", 10**9)
    mean = train.mean(axis=0, dtype=np.float64)
    variance = np.square(test - mean).sum()

    def score(module: Any) -> float:
        with torch.no_grad():
            z = estimator._scaling.transform(test, torch.float32)
            error = (z - module(z)).square().sum(dtype=torch.float64) * estimator._scaling.scale**2
        return 1 - float(error) / variance

    watch = Watch(score, limit)
    estimator.set_params(callbacks=[watch], **settings)
    with mock.patch("sklearn_ae._autoencoder.AVERAGE_WINDOW", average), growing(growth):
        try:
            estimator.fit(train)
        except ValueError:
            return [*watch.points_, (watch.points_[-1][0], np.nan)]
    return watch.points_


def small_cases() -> dict[str, Any]:
    """Return by name the training and held-out data of each seed, the number of components, and further settings."""
    data, found = small_data_sets(), {}
    for name, k in CASES:
        splits = [train_test_split(data[name], test_size=0.2, random_state=seed) for seed in SEEDS]
        found[f"{name} {k}"] = (splits, k, {})
    return found


def large_cases() -> dict[str, Any]:
    """Return the same for the large data sets, with one split."""
    images = mnist()[0]
    digits = [(images[:12_000], images[50_000:])]
    return {
        "MNIST 32": (digits, 32, {}),
        "MNIST deep 30": (digits, 30, DEEP),
        "table 20": ([(table(100_000, 1), table(10_000, 2))], 20, {}),
    }


def best(points: list[Any]) -> float:
    return float(np.nanmax([score for _, score in points]))


def seconds_to(points: list[Any], target: float) -> float:
    return next((seconds for seconds, score in points if score >= target), float("inf"))


def main(what: str, only: str) -> None:
    title = (
        "Seconds until the default's R² less a hundredth of its gain, on one thread, and what the best R² gains on it"
    )
    print_header(title, SEEDS, "medians of seconds, means of gains; – never, in the median")
    chosen = {"small": small_cases, "large": large_cases}[what]()
    rules = {name: rule for name, rule in RULES.items() if re.search(only, name) or not rule}
    if what == "large":
        rules = {name: rule for name, rule in rules.items() if not name.startswith(LOST)}
    results: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in rules}
    for case, (splits, k, settings) in chosen.items():
        jobs = [
            delayed(points_of)({**settings, **rule}, train, test, k, seed, MOST_SECONDS[what])
            for (train, test), seed in zip(splits, SEEDS, strict=False)
            for rule in rules.values()
        ]
        points = Parallel(n_jobs=2)(jobs)
        by_split = [points[i : i + len(rules)] for i in range(0, len(points), len(rules))]
        targets = [best(of[0]) - SLACK * (best(of[0]) - of[0][0][1]) for of in by_split]
        for i, name in enumerate(rules):
            to_target = [seconds_to(of[i], target) for of, target in zip(by_split, targets, strict=True)]
            gains = [best(of[i]) - best(of[0]) for of in by_split]
            results[name][case] = float(np.median(to_target)), float(np.mean(gains))
        print(f"{case}: target {np.mean(targets):.4f}", flush=True)
    print()
    print_head("rule", *chosen)
    for name, found in results.items():
        cells = (f"{seconds:.2f} ({gain:+.4f})".replace("inf", "–") for seconds, gain in found.values())
        print_row(name, *cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["small", "large"])
    parser.add_argument(
        "--only", default="", help="only rules whose name this regular expression finds, and the default"
    )
    main(**vars(parser.parse_args()))
