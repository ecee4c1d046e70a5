"""A linear probe on codes of MNIST: the error of a logistic regression on 1,000 units of each kind.

    python -m benchmarks.bench_probe [--choose] [rows ...]

One protocol for all rows: the pipeline of the code, divided by its overall standard deviation, and a logistic
regression whose C is chosen from four by the error on 10,000 of the training images, after fits on the other 50,000
with the first seed; then everything is fitted anew on all 60,000 and judged on the test images. With --choose the
candidates of each row are judged on the 10,000, and nothing else is done.
"""

import argparse
import time
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from benchmarks.data import mnist_split
from benchmarks.tables import mean_and_spread, print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK, WinnerTakeAll

SEEDS = (0, 1, 2)
CS = (0.003, 0.01, 0.03, 0.1)
COMMON = {
    "hidden_layer_sizes": (),
    "tied_weights": True,
    "output_activation": "identity",
    "batch_size": 256,
    "lr": 1e-3,
    "lr_schedule": "linear",
    "max_epochs": 20,
    "early_stopping": False,
}
#: Settings of each row, and what Makhzani and Frey (2013; winner-take-all 2015, an SVM on 2,000 units) published.
ROWS: dict[str, tuple[dict[str, Any] | None, float]] = {
    "raw pixels": (None, 7.20),
    "dropout 0.5": ({"code": "relu", "dropout": 0.5}, 1.80),
    "denoising": ({"code": "relu", "corruption": 0.2}, 1.95),
    "dropout and denoising": ({"code": "relu", "dropout": 0.5, "corruption": 0.2}, 1.60),
    "k-sparse, k = 40": ({"code": TopK(40, k_transform=1000)}, 1.54),
    "k-sparse, k = 25": ({"code": TopK(25, k_transform=1000)}, 1.35),
    "k-sparse, k = 10": ({"code": TopK(10, k_transform=1000)}, 2.10),
    "winner-take-all, 0.05": ({"code": WinnerTakeAll(0.05)}, 1.20),
}


class Codes:
    """Codes of both sets of images with what else is told of a row."""

    def __init__(self, settings: dict[str, Any] | None, data: Bunch, seed: int):
        self.data = data
        self.seconds, self.dead = 0.0, None
        self.X, self.X_test = data.X, data.X_test
        if settings is not None:
            start = time.perf_counter()
            model = AutoencoderTransformer(1000, random_state=seed, **{**COMMON, **settings}).fit(data.X)
            self.seconds = time.perf_counter() - start
            self.X, self.X_test = model.transform(data.X), model.transform(data.X_test)
            self.dead = share_of_dead(self.X, settings["code"])
        scale = self.X.std()
        self.X, self.X_test = self.X / scale, self.X_test / scale

    def error(self, C: float) -> float:
        """Return the percentage of held-out images that a logistic regression on the codes gets wrong."""
        probe = LogisticRegression(C=C, max_iter=500, tol=3e-5).fit(self.X, self.data.y)
        return 100 * (1 - probe.score(self.X_test, self.data.y_test))


def share_of_dead(codes: np.ndarray, code: Any) -> float:
    """Return the share of units that training's own rule, on all training images, leaves at zero for every one."""
    if isinstance(code, TopK):
        codes = np.where(codes >= np.partition(codes, -code.k, axis=1)[:, [-code.k]], codes, 0)
    return float((codes.max(axis=0) <= 0).mean())


def choose_C(settings: dict[str, Any] | None) -> tuple[float, float]:
    """Return the C with the least error on 10,000 of the training images, and that error."""
    codes = Codes(settings, mnist_split(choose=True), SEEDS[0])
    errors = {C: codes.error(C) for C in CS}
    best = min(errors, key=errors.__getitem__)
    return best, errors[best]


def main(rows: list[str], choose: bool) -> None:
    """Print a line for each row of the table."""
    print_head(
        "code, 1,000 units", "test error, %", "published", "C", "error on 10,000, %", "dead units, %", "s to fit"
    )
    for name in rows:
        settings, published = ROWS[name]
        C, chosen_error = choose_C(settings)
        if choose:
            print_row(name, "", published, C, f"{chosen_error:.2f}", "", "")
            continue
        fits = [Codes(settings, mnist_split(choose=False), seed) for seed in (SEEDS if settings else SEEDS[:1])]
        dead = mean_and_spread([100 * fit.dead for fit in fits]) if settings else ""
        seconds = mean_and_spread([fit.seconds for fit in fits], 0) if settings else ""
        error = mean_and_spread([fit.error(C) for fit in fits])
        print_row(name, error, published, C, f"{chosen_error:.2f}", dead, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    print_header("Logistic regression on 1,000 units of MNIST", SEEDS)
    main(args.rows, args.choose)
