"""A linear probe on codes of MNIST: the error of a logistic regression on 1,000 units of each kind.

    python -m benchmarks.bench_probe [--choose] [rows ...]

One protocol for all rows: codes divided by their overall standard deviation, then LogisticRegression(C=0.03). C,
epochs and the learning rate were chosen with --choose, which fits on 50,000 of the training images, one seed, and
judges on the other 10,000; the table's fits are on all 60,000, judged on the test images. The rate is the same for all
layers: at the default rule's higher rate for biases a tenth of the 1,000 sparse units die.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from benchmarks.data import MNIST_TRAINING, mnist_split
from benchmarks.tables import mean_and_spread, print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK, WinnerTakeAll
from sklearn_ae.networks import TiedAutoencoder

SEEDS = (0, 1, 2)
C = 0.03
COMMON = MNIST_TRAINING | {
    "module": TiedAutoencoder,
    "output_activation": "identity",
    "max_epochs": 20,
    "optimizer": torch.optim.AdamW,
    "lr": 6e-3,
}
#: Settings of each row, and what Makhzani and Frey (2013; winner-take-all 2015, an SVM on 2,000 units) published.
ROWS: dict[str, tuple[dict[str, Any] | None, float]] = {
    "raw pixels": (None, 7.20),
    "dropout 0.5": ({"code": "relu", "code_dropout": 0.5}, 1.80),
    "denoising": ({"code": "relu", "corruption": 0.3}, 1.95),
    "dropout and denoising": ({"code": "relu", "code_dropout": 0.5, "corruption": 0.3}, 1.60),
    "k-sparse, k = 40": ({"code": TopK(40, k_transform=1000)}, 1.54),
    "k-sparse, k = 25": ({"code": TopK(25, k_transform=1000)}, 1.35),
    "k-sparse, k = 10": ({"code": TopK(10, k_transform=1000)}, 2.10),
    "winner-take-all, 0.05": ({"code": WinnerTakeAll(0.05)}, 1.20),
}


class Codes:
    """Codes of both sets of images, seconds of the fit and fraction of dead units, for a row of the table."""

    def __init__(self, settings: dict[str, Any] | None, data: Bunch, seed: int):
        self.data = data
        self.seconds = self.dead = 0.0
        self.X, self.X_test = data.X, data.X_test
        if settings is not None:
            start = time.perf_counter()
            model = AutoencoderTransformer(1000, random_state=seed, **{**COMMON, **settings}).fit(data.X)
            self.seconds = time.perf_counter() - start
            self.X, self.X_test = model.transform(data.X), model.transform(data.X_test)
            self.dead = fraction_of_dead(self.X, settings["code"])

    def error(self) -> float:
        """Return the error of the probe, which is the same for all rows."""
        return probe_error(self.X, self.X_test, self.data, C=C, max_iter=500, tol=1e-4)


def probe_error(codes: np.ndarray, held_out: np.ndarray, data: Bunch, **settings: Any) -> float:
    """Return the percentage of held-out images that a logistic regression on the scaled codes gets wrong."""
    scale = codes.std()
    probe = LogisticRegression(**settings).fit(codes / scale, data.y)
    return 100 * (1 - probe.score(held_out / scale, data.y_test))


def fraction_of_dead(codes: np.ndarray, code: Any) -> float:
    """Return the fraction of units that the rule of training leaves at zero for all training images."""
    if isinstance(code, TopK):
        codes = np.where(codes >= np.partition(codes, -code.k, axis=1)[:, [-code.k]], codes, 0)
    return float((codes.max(axis=0) <= 0).mean())


def main(names: list[str], data: Bunch, seeds: tuple[int, ...]) -> None:
    """Print a line for each row of the table."""
    print_head("code, 1,000 units", "error, %", "published", "dead units, %", "seconds to fit")
    for name in names:
        settings, published = ROWS[name]
        fits = [Codes(settings, data, seed) for seed in (seeds if settings else seeds[:1])]
        error = mean_and_spread([fit.error() for fit in fits])
        dead = mean_and_spread([100 * fit.dead for fit in fits])
        seconds = mean_and_spread([fit.seconds for fit in fits], 0)
        print_row(name, error, published, *((dead, seconds) if settings else ("", "")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    seeds = SEEDS[:1] if args.choose else SEEDS
    data = mnist_split(args.choose)
    print_header(f"Logistic regression on 1,000 units of MNIST, judged on {data.judged_on}", seeds)
    main(args.rows, data, seeds)
