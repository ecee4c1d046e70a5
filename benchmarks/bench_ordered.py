"""Ordered codes: one fit for all numbers of components, compared with one fit for each number and with PCA.

    python -m benchmarks.bench_ordered curve|search|linear|stability

curve: R² of the test images of MNIST for the prefixes of one ordered code of 32 units, separate fits and PCA. search:
one ordered fit per fold against ``GridSearchCV`` over the same five sizes, the same folds and epochs, on digits; both
choose by the one standard error rule. linear: the axes of a linear ordered autoencoder compared with PCA's, on digits.
stability: cosines between matched components of two seeds, on MNIST, compared with NMF's.
"""

import argparse
import time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks.data import mnist
from benchmarks.tables import mean_and_spread, print_head, print_header, print_limits, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae._metrics.components import stability
from sklearn_ae.model_selection import one_standard_error

SIZES = (2, 4, 8, 16, 32)
EPOCHS = 100
#: How the linear autoencoder is trained: on all samples, as PCA is, and to convergence.
COMMON = {
    "hidden_layer_sizes": (),
    "output_activation": "identity",
    "early_stopping": False,
}
LINEAR: dict[str, dict[str, Any]] = {
    "pca": {"lr": 1e-3, "max_epochs": 200},
    "random": {"lr": 3e-2, "max_epochs": 600},
}


def timed(estimator: Any, X: np.ndarray) -> tuple[Any, float]:
    """Return the fitted estimator and the seconds that its fit took."""
    start = time.perf_counter()
    return estimator.fit(X), time.perf_counter() - start


def bench_curve(seeds: list[int]) -> None:
    """Print R² of the test images for each size."""
    X, X_test = mnist()
    at = np.array(SIZES) - 1
    ordered = [timed(AutoencoderTransformer(max(SIZES), ordered=True, random_state=seed), X) for seed in seeds]
    curves = np.array([model.reconstruction_curve(X_test)[at] for model, _ in ordered])
    pca = PCA(max(SIZES), random_state=0).fit(X)
    print_head("R², test images", *SIZES, "seconds")
    total = ((X_test - X.mean(axis=0)) ** 2).sum()
    codes = pca.transform(X_test)
    linear = [((X_test - pca.mean_ - codes[:, :k] @ pca.components_[:k]) ** 2).sum() for k in SIZES]
    print_row("PCA", *(f"{1 - error / total:.3f}" for error in linear), "")
    seconds = mean_and_spread([seconds for _, seconds in ordered], 0)
    print_row("one ordered fit", *(mean_and_spread(column, 3) for column in curves.T), seconds)
    fits = [[timed(AutoencoderTransformer(k, random_state=seed), X) for seed in seeds] for k in SIZES]
    scores = np.array([[model.score(X_test) for model, _ in same_size] for same_size in fits])  # (sizes, seeds)
    seconds = mean_and_spread(np.sum([[seconds for _, seconds in same_size] for same_size in fits], axis=0), 0)
    print_row("a fit for each size", *(mean_and_spread(row, 3) for row in scores), seconds)
    print_row("difference", *(mean_and_spread(row, 3) for row in curves.T - scores), "")


def bench_search(seeds: list[int]) -> None:
    """Print the seconds of a search over sizes by one ordered fit per fold and by one fit per size and fold."""
    X = load_digits().data
    print_head("digits, five folds", "mean R² of " + ", ".join(map(str, SIZES)), "chosen", "seconds", "a fit of 32")
    for seed in seeds:
        folds = list(KFold(5, shuffle=True, random_state=seed).split(X))
        settings = {"max_epochs": EPOCHS, "random_state": seed}
        print_row("one ordered fit a fold", *by_prefixes(X, folds, settings))
        print_row("GridSearchCV", *by_grid(X, folds, settings))


def by_prefixes(X: np.ndarray, folds: list[Any], settings: dict[str, Any]) -> list[str]:
    """Return mean scores, the size chosen, the seconds of all fits and of one."""
    scores, seconds = [], []
    start = time.perf_counter()
    for train, test in folds:
        model, fit_seconds = timed(AutoencoderTransformer(max(SIZES), ordered=True, **settings), X[train])
        scores.append(model.reconstruction_curve(X[test])[np.array(SIZES) - 1])
        seconds.append(fit_seconds)
    total = time.perf_counter() - start
    results = {f"split{i}_test_score": row for i, row in enumerate(scores)}
    results |= {"mean_test_score": np.mean(scores, axis=0), "params": [{"n_components": k} for k in SIZES]}
    results["param_n_components"] = np.array(SIZES)
    chosen = SIZES[one_standard_error("n_components")(results)]
    return [listed(results["mean_test_score"]), str(chosen), f"{total:.1f}", f"{np.mean(seconds):.2f}"]


def by_grid(X: np.ndarray, folds: list[Any], settings: dict[str, Any]) -> list[str]:
    """Return the same for a grid search."""
    start = time.perf_counter()
    refit = one_standard_error("n_components")
    search = GridSearchCV(AutoencoderTransformer(**settings), {"n_components": SIZES}, cv=folds, refit=refit).fit(X)
    seconds = time.perf_counter() - start - search.refit_time_
    results, chosen = search.cv_results_, search.best_params_["n_components"]
    return [listed(results["mean_test_score"]), str(chosen), f"{seconds:.1f}", f"{results['mean_fit_time'][-1]:.2f}"]


def listed(scores: np.ndarray) -> str:
    return ", ".join(f"{score:.3f}" for score in scores)


def bench_linear(seeds: list[int]) -> None:
    """Print how near the axes of a linear ordered autoencoder of digits are to PCA's."""
    X = load_digits().data
    pca = PCA(10).fit(X)
    print_head("start", "mean cosine with PCA's axes", "least", "largest difference of ratios")
    for init, settings in LINEAR.items():
        cosines, ratios = [], []
        for seed in seeds:
            model = AutoencoderTransformer(10, ordered=True, init=init, random_state=seed, **COMMON, **settings).fit(X)
            cosines.append(np.abs((model.components_ * pca.components_).sum(axis=1)))
            ratios.append(np.abs(model.explained_variance_ratio_ - pca.explained_variance_ratio_).max())
        mean, least = mean_and_spread(np.mean(cosines, axis=1), 4), mean_and_spread(np.min(cosines, axis=1), 4)
        print_row(init, mean, least, mean_and_spread(ratios, 4))


def bench_stability(seeds: list[int]) -> None:
    """Print the mean cosine of matched components between two seeds."""
    X, _ = mnist()
    print_head("MNIST, 16 units", "mean matched cosine of two seeds")
    for name, make in (
        ("AutoencoderTransformer", lambda seed: AutoencoderTransformer(16, random_state=seed)),
        ("NMF", lambda seed: NMF(16, init="random", max_iter=200, random_state=seed)),
    ):
        models = [make(seed).fit(X) for seed in seeds]
        print_row(name, f"{stability([model.components_ for model in models]):.3f}")
    print_limits(models)


if __name__ == "__main__":
    tables = {
        "curve": (bench_curve, [0]),
        "search": (bench_search, [0]),
        "linear": (bench_linear, [0, 1, 2]),
        "stability": (bench_stability, [0, 1]),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tables)
    what = parser.parse_args().what
    bench, seeds = tables[what]
    print_header(f"Ordered codes: {what}", seeds)
    bench(seeds)
