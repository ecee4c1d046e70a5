"""Which learning rule should be the default? Held-out R² of the candidates on data of many kinds.

    python -m benchmarks.bench_rules search|compare|ablate|draw [--data REGEX] [--only REGEX]

search: candidates, by which the default was chosen; compare: the default and the rule before it, on other splits and
with a deep network; ablate: the default, and without each of its elements. Each rule is the estimator with its
defaults except for what it names. small: nine cases, the gain over PCA's R². tables: what is left of PCA's unexplained
variance, and the least gain in R² of a split. large: R². Each split holds out a fifth of the samples. One thread per
fit, two fits at a time; seconds are the mean CPU time of a fit. draw: docs/rules.png, the R² on the validation samples
against CPU seconds, under the rules of ``compare``.
"""

import argparse
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.clock import Clock
from benchmarks.data import SHARED, mnist, small_data_sets
from benchmarks.peers.data import table
from benchmarks.pictures import picture
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae._estimator import configuration
from sklearn_ae._training import optimizers
from sklearn_ae._training.optimizers import LearningRule
from sklearn_ae.model_selection import reconstruction_score

SMALL = [("digits", 2), ("digits", 10), ("wine", 2), ("cancer", 2), ("cancer", 10), ("diabetes", 2), ("iris", 2)]
SMALL += [("swiss roll", 2), ("S curve", 2)]
#: Name, number of components, and whether the columns are standardised.
OTHERS = [("shuttle", 2, True), ("shuttle", 5, True), ("page_blocks", 2, True), ("spambase", 2, True)]
OTHERS += [("letter", 2, True), ("fermentation_spectra", 4, False), ("raman_spectra", 5, False)]
OTHERS += [("japanese_vowels", 8, False), ("pbmc_log", 10, False)]
DEEP = {"hidden_layer_sizes": (1000, 500, 250)}


class Case(NamedTuple):
    """A data set, split, and how the estimator sees it."""

    name: str
    train: np.ndarray
    test: np.ndarray
    k: int
    seed: int
    params: dict[str, Any]


#: Rules: parameters of the estimator, "batch" as the fraction of the samples in a batch, and fields of LearningRule.
BEFORE: dict[str, Any] = {"fan_in": inf, "eps": 1e-8, "gradient_norm": inf, "lr": 3e-3, "lr_schedule": "constant"}
BEFORE |= {"batch": 1 / 20, "hidden_layer_sizes": (128,)}
DEFAULT = "default"
RULES: dict[str, dict[str, Any]] = {
    "before: constant 3e-3, patience 20": BEFORE,
    DEFAULT: {},
    "lr 0.0125": {"lr": 0.0125},
    "lr 0.007": {"lr": 0.007},
    "rates by 1 / inputs": {"fan_in_power": 1.0},
    "rates by 1 / inputs, lr 0.0125, at most 8 lr, warm-up 0.1": {"fan_in_power": 1.0, "lr": 0.0125}
    | {"greatest_ratio": 8, "warm_up": 0.1},
    "rates by 1 / square root of inputs": {"fan_in_power": 0.5},
    "at most 4 lr": {"greatest_ratio": 4},
    "warm-up 0.1": {"warm_up": 0.1},
    "warm-up 0.3": {"warm_up": 0.3},
    "gradient norm at most 3": {"gradient_norm": 3.0},
    "gradient norm at most 0.5": {"gradient_norm": 0.5},
    "eps 1e-4": {"eps": 1e-4},
    "eps 1e-6": {"eps": 1e-6},
    "batches of a twentieth": {"batch": 1 / 20},
    "batches of a fifth": {"batch": 1 / 5},
    "600 steps": {"n_steps": 600},
    "1,500 steps": {"n_steps": 1500},
    "256 hidden units": {"hidden_layer_sizes": (256,)},
    "weight decay 0.1": {"weight_decay": 0.1},
}
ABLATION: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "the same rate for all matrices": {"fan_in": inf},
    "the same, lr 0.003": {"fan_in": inf, "lr": 0.003},
    "no warm-up": {"warm_up": 1e-9},
    "no limit on the gradient": {"gradient_norm": inf},
    "eps of torch, 1e-8": {"eps": 1e-8},
    "no average of the weights": {"average_window": 0},
    "constant rate, patience 20": {"lr_schedule": "constant"},
    "batches of a twentieth": {"batch": 1 / 20},
    "800 steps and 128 hidden units for any size": {"growth": 0.0, "hidden_layer_sizes": (128,)},
}
#: The splits of each command: those of ``compare`` took no part in any choice.
SPLITS = {"search": range(3), "compare": range(300, 310), "ablate": range(3)}
WHAT = {"search": RULES, "compare": dict(list(RULES.items())[:2]), "ablate": ABLATION}
#: The cases of the picture.
DRAWN = ["digits 10", "wine 2", "S curve 2", "shuttle 2", "spambase 2", "letter 2", "fermentation_spectra 4"]
DRAWN += ["raman_spectra 5", "japanese_vowels 8", "MNIST, 20,000 rows, 32", "20 hidden directions, 32,000 rows"]


def cases(group: str, what: str) -> Iterator[Case]:
    """Yield the cases of a group."""
    seeds = SPLITS[what]
    if group == "small":
        data = small_data_sets()
        for name, k in SMALL:
            for seed in seeds:
                yield Case(f"{name} {k}", *train_test_split(data[name], test_size=0.2, random_state=seed), k, seed, {})
    elif group == "tables":
        for name, k, standardise in OTHERS:
            X = np.load(SHARED / "tables" / f"{name}.npz")["X"].astype(np.float64)
            for seed in seeds:
                train, test = train_test_split(X, test_size=0.2, random_state=seed)
                if standardise:
                    scaler = StandardScaler().fit(train)
                    train, test = scaler.transform(train), scaler.transform(test)
                yield Case(f"{name} {k}", train, test, k, seed, {})
    else:
        images = mnist()[0]
        yield Case("MNIST, 20,000 rows, 32", images[:20_000], images[50_000:], 32, 0, {})
        yield Case("20 hidden directions, 32,000 rows", table(32_000, 1), table(4_000, 2), 20, 0, {})
        if what == "compare":
            yield Case("deep MNIST, 20,000 rows, 30", images[:20_000], images[50_000:], 30, 0, DEEP)


def fitted(rule: dict[str, Any], case: Case) -> AutoencoderTransformer:
    """Return the estimator fitted to the case under a rule."""
    rule = dict(rule)
    constants = {name: rule.pop(name) for name in LearningRule._fields if name in rule and name != "lr"}
    fraction = rule.pop("batch", configuration.BATCH_FRACTION)
    with (
        mock.patch.object(optimizers, "_RULE", LearningRule(**constants)),
        mock.patch.object(configuration, "BATCH_FRACTION", fraction),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return AutoencoderTransformer(case.k, random_state=case.seed, **(rule | case.params)).fit(case.train)


def warm_up() -> None:
    """Use one thread, and let torch load its parts."""
    torch.set_num_threads(1)
    AutoencoderTransformer(2).partial_fit(np.random.default_rng(0).normal(size=(99, 9)))


def measure(rule: dict[str, Any], case: Case) -> tuple[float, float, float]:
    """Return the R² of PCA and of the rule on held-out samples, and the CPU seconds of the fit."""
    warm_up()
    pca = PCA(case.k, random_state=0).fit(case.train)
    start = time.process_time()
    autoencoder = fitted(rule, case)
    seconds = time.process_time() - start
    return reconstruction_score(pca, case.test), reconstruction_score(autoencoder, case.test), seconds


def draw(only: str) -> None:
    """Draw the best R² so far on the validation samples against CPU seconds, PCA's as the first."""
    warm_up()
    chosen = {case.name: case for group in SUMMARY for case in cases(group, "search") if case.seed == 0}
    names = [name for name in DRAWN if re.search(only, name)]
    with picture("rules.png", -(-len(names) // 4), min(4, len(names)), figsize=(11, 7)) as (figure, axes):
        for ax, name in zip(np.ravel(axes), names, strict=False):
            for label, rule in zip(("previous", "default"), WHAT["compare"].values(), strict=True):
                clock, begun = Clock(time.process_time), time.process_time()
                model = fitted(rule | {"callbacks": [clock]}, chosen[name])
                best = np.maximum.accumulate(model.validation_scores_)
                ax.plot(np.array(clock.times_) - begun, best, label=label, linewidth=2)
            ax.set(xscale="log")
            ax.set_title(name.replace(", ", ",\n", 1), fontsize="medium")
        for ax in np.ravel(axes)[len(names) :]:
            ax.set_axis_off()
        figure.supxlabel("CPU seconds since the call of fit")
        figure.supylabel("best R² so far, validation samples")
        np.ravel(axes)[0].legend(frameon=False)


def cells(group: str, results: dict[str, list[tuple[float, float, float]]]) -> Iterator[str]:
    """Yield the figures of a rule, the summary first."""
    pca, ours, seconds = np.moveaxis(np.array(list(results.values())), 2, 0)  # each (cases, splits)
    yield f"{seconds.mean():.2f}"
    if group == "small":
        yield f"{(ours - pca).mean():.4f}"
        yield f"{(ours - pca).min():+.3f}"
        yield from (f"{gain:.3f}" for gain in (ours - pca).mean(axis=1))
    elif group == "tables":
        left = ((1 - ours) / (1 - pca)).mean(axis=1)
        yield f"{left.mean():.3f}"
        yield f"{(ours - pca).min():+.3f}"
        yield from (f"{x:.3f}" for x in left)
    else:
        yield from (f"{score:.4f} in {time:.0f} s" for score, time in zip(ours[:, 0], seconds[:, 0], strict=True))


SUMMARY = {"small": ("mean gain", "worst split"), "tables": ("mean left", "worst split"), "large": ()}


def main(what: str, data: str, only: str) -> None:
    print_header(f"Learning rules: {what}", SPLITS[what], "means over splits; one thread a fit")
    for group, summary in SUMMARY.items():
        if not re.search(data, group):
            continue
        chosen = list(cases(group, what))
        print(f"{group}\n")
        print_head("rule", "seconds", *summary, *dict.fromkeys(case.name for case in chosen))
        for name, rule in WHAT[what].items():
            if re.search(only, name):
                results = defaultdict(list)
                found = Parallel(n_jobs=2)(delayed(measure)(rule, case) for case in chosen)
                for case, result in zip(chosen, found, strict=True):
                    results[case.name].append(result)
                print_row(name, *cells(group, results))
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*WHAT, "draw"])
    parser.add_argument("--data", default="", help="only groups of data whose name this regular expression finds")
    parser.add_argument("--only", default="", help="only rules whose name this regular expression finds")
    args = parser.parse_args()
    draw(args.only) if args.what == "draw" else main(**vars(args))
