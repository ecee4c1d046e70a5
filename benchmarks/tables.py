"""Printing of the tables of the benchmarks."""

import platform
import time
from collections.abc import Iterable, Sequence

import numpy as np
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.decomposition import NMF


def print_header(title: str, seeds: Sequence[int], figures: str = "mean ± half the range") -> None:
    """Print what is measured, when, on which machine and with which seeds."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{title}\n\n{time.strftime('%Y-%m-%d')}; {machine}; {versions};")
    print(f"seeds {', '.join(map(str, seeds))}; {figures}\n")


def print_row(*cells: object) -> None:
    """Print a row of a table and flush it."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_head(*cells: object) -> None:
    """Print the header of a table."""
    print_row(*cells)
    print_row(*["---"] * len(cells))


def mean_and_spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the mean of a few values and half their range."""
    return f"{np.mean(values):.{digits}f} ± {np.ptp(values) / 2:.{digits}f}"


def print_limits(estimators: Iterable[BaseEstimator]) -> None:
    """Print a line below a table if NMF ended by its number of iterations."""
    for limit in {e.max_iter for e in estimators if isinstance(e, NMF) and e.n_iter_ >= e.max_iter}:
        print(f"\nNMF reached its limit of {limit} iterations.", flush=True)
