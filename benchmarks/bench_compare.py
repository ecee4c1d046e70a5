"""Comparing methods and numbers of components on digits: the seconds of a table, and of a halving search.

    python -m benchmarks.bench_compare [digits|halving]

digits: compare_decompositions at five sizes, 5 folds, two processes, with the R² of a hand-written loop over the
same folds in this process. halving: HalvingGridSearchCV, whose resource is the number of epochs, against GridSearchCV
over the same candidates, one process each.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold

from benchmarks.tables import print_head, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import DecompositionComparison, compare_decompositions, reconstruction_score

KINDS = {
    "AutoencoderTransformer": AutoencoderTransformer,
    "PCA": PCA,
    "NMF": lambda *size, **params: NMF(*size, max_iter=2000, **params),
}
SIZES = (2, 4, 8, 16, 32)
N_FOLDS = 5
SEED = 0

CANDIDATES = {
    "hidden_layer_sizes": [(), (32,), (64,), (128,), (256,), (512,), (128, 64), (256, 128), (512, 256)],
    "n_components": [8],
}
MAX_EPOCHS = 90


def loop(comparison: DecompositionComparison, X: np.ndarray) -> dict[tuple[str, int], float]:
    """Return the mean held-out R² of each method and number of components, computed by a loop."""
    means = {}
    for name, kind in KINDS.items():
        for size in SIZES:
            scores = []
            for seed, (train, test) in zip(
                comparison.seeds, KFold(N_FOLDS, shuffle=True, random_state=SEED).split(X), strict=True
            ):
                model = kind(size, random_state=seed).fit(X[train])
                scores.append(reconstruction_score(model, X[test]))
            means[name, size] = float(np.mean(scores))
    return means


def bench_digits() -> None:
    """Print the table, the loop's R² and the seconds of the table."""
    X, y = load_digits(return_X_y=True)
    start = time.perf_counter()
    comparison = compare_decompositions(
        {name: kind() for name, kind in KINDS.items()},
        X,
        y,
        n_components=SIZES,
        cv=N_FOLDS,
        n_jobs=2,
        random_state=SEED,
    )
    seconds = time.perf_counter() - start
    by_hand = loop(comparison, X)
    figures = ["n_parameters", "localisation", "redundancy", "dead", "stability", "probe", "neighbours"]
    print_head("kind", "k", "R²", "s.e.", "R², loop", "seconds to fit", "to transform", *figures)
    for row in comparison.rows:
        key = row["estimator"], row["n_components"]
        seconds_of_row = f"{row['fit_seconds']:.2f}", f"{row['transform_seconds']:.4f}"
        rest = [f"{row[name]:,}" if name == "n_parameters" else f"{row[name]:.3f}" for name in figures]
        print_row(*key, f"{row['r2']:.4f}", f"{row['r2_se']:.4f}", f"{by_hand[key]:.4f}", *seconds_of_row, *rest)
    difference = max(abs(row["r2"] - by_hand[row["estimator"], row["n_components"]]) for row in comparison.rows)
    print(f"\nTable: {seconds:.1f} s, n_jobs=2. Largest difference in R² from the loop: {difference:.1e}.")
    print(f"Errors: {[row['error'] for row in comparison.rows if row['error']] or 'none'}.")


def bench_halving() -> None:
    """Print seconds, epochs trained in the folds, the choice and its score of both searches."""
    X = load_digits().data
    estimator = AutoencoderTransformer(max_epochs=MAX_EPOCHS, random_state=SEED)
    searches = {
        "GridSearchCV": GridSearchCV(estimator, CANDIDATES, cv=3),
        "HalvingGridSearchCV": HalvingGridSearchCV(
            estimator, CANDIDATES, resource="max_epochs", max_resources=MAX_EPOCHS, cv=3, random_state=SEED
        ),
    }
    print_head("search", "seconds", "candidates", "epochs, at most, each", "epochs, at most, in all", "chosen", "R²")
    for name, search in searches.items():
        start = time.perf_counter()
        search.fit(X)
        seconds = time.perf_counter() - start
        candidates = getattr(search, "n_candidates_", [len(search.cv_results_["params"])])
        epochs = getattr(search, "n_resources_", [MAX_EPOCHS])
        in_all = sum(n * each for n, each in zip(candidates, epochs, strict=True)) * search.n_splits_
        chosen = search.best_params_["hidden_layer_sizes"]
        print_row(name, f"{seconds:.0f}", candidates, epochs, in_all, chosen, f"{search.best_score_:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "halving"], nargs="?", default="digits")
    print(f"{time.strftime('%Y-%m-%d')}, {torch.get_num_threads()} threads, seed {SEED}\n")
    {"digits": bench_digits, "halving": bench_halving}[parser.parse_args().what]()
