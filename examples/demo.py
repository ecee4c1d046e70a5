"""Compare autoencoders with PCA and NMF on scikit-learn's digits, in under a minute: `make demo`.

Prints a table and draws two pictures, into the folder output/ of the working directory.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import ComponentsDisplay, ReconstructionDisplay

K = 16
DECOMPOSITIONS = {
    "PCA": PCA(K),
    "NMF": NMF(K, max_iter=1000, random_state=0),
    "autoencoder": AutoencoderTransformer(K, random_state=0),
    "one layer, dropout": AutoencoderTransformer(  # as in the notebook of Ferretti (2015)
        K, hidden_layer_sizes=(), code="relu", code_dropout=0.2, random_state=0
    ),
    "deep autoencoder": AutoencoderTransformer(K, hidden_layer_sizes=(128, 64), random_state=0),
}
GRID = {"reduce__n_components": [4, 8, 16, 32, 64]}
TOLERANCE = 0.005
OUTPUT = Path("output")


def main():
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

    print_row("", "components", "R²", "accuracy", "seconds", "parameters")
    print(f"Fitted on {len(X):,} digits, scored on {len(X_test)} others")
    compare(X, X_test, y, y_test)

    print(f"Grid search over the components, cross-validated on the {len(X):,}")
    pipeline = search_size(X, y)
    print(f"""
By R² alone the largest size always wins: choose a size by what the codes are for. Chosen here is the smallest
with an accuracy within {TOLERANCE} of the best; on the {len(X_test)} others it is {pipeline.score(X_test, y_test):.3f}.
""")
    OUTPUT.mkdir(exist_ok=True)
    draw_components(OUTPUT / "components.png")
    draw_reconstructions(X_test, OUTPUT / "reconstructions.png")


def compare(X, X_test, y, y_test):
    for name, decomposition in DECOMPOSITIONS.items():
        start = perf_counter()
        decomposition.fit(X)
        seconds = perf_counter() - start
        classifier = SVC().fit(decomposition.transform(X), y)
        pipeline = Pipeline([("reduce", decomposition), ("classify", classifier)])
        print_row(name, K, seconds=seconds, **scores(pipeline, X_test, y_test))


def search_size(X, y):
    pipeline = Pipeline([("reduce", AutoencoderTransformer(max_epochs=30, random_state=0)), ("classify", SVC())])
    search = GridSearchCV(pipeline, GRID, scoring=scores, refit=smallest_good_one, cv=3, n_jobs=2).fit(X, y)
    results = search.cv_results_
    for i, k in enumerate(GRID["reduce__n_components"]):
        name = "autoencoder, chosen" if i == search.best_index_ else "autoencoder"
        means = {score: results[f"mean_test_{score}"][i] for score in ("r2", "accuracy", "parameters")}
        print_row(name, k, seconds=results["mean_fit_time"][i], **means)
    return search.best_estimator_


def scores(pipeline, X, y):
    """Score the codes by what they reconstruct and by the classifier on them, as GridSearchCV calls it."""
    return {
        "r2": reconstruction_score(pipeline[:-1], X),
        "accuracy": pipeline.score(X, y),
        "parameters": n_parameters(pipeline["reduce"]),
    }


def n_parameters(decomposition):
    if isinstance(decomposition, AutoencoderTransformer):
        return sum(weights.numel() for weights in decomposition.module_.parameters())
    return decomposition.components_.size


def smallest_good_one(results):
    accuracy = results["mean_test_accuracy"]
    return np.flatnonzero(accuracy >= accuracy.max() - TOLERANCE)[0]


def print_row(name, k, r2, accuracy, seconds, parameters):
    if name:
        r2, accuracy, seconds, parameters = f"{r2:.3f}", f"{accuracy:.3f}", f"{seconds:.2f}", f"{parameters:,.0f}"
    print(f"  {name:<20}{k:>10}{r2:>8}{accuracy:>10}{seconds:>9}{parameters:>12}", flush=True)


def draw_components(path):
    figure = Figure(figsize=(15, 3.4), layout="constrained")
    for ax, (name, decomposition) in zip(figure.subplots(1, len(DECOMPOSITIONS)), DECOMPOSITIONS.items(), strict=True):
        ComponentsDisplay.from_estimator(decomposition, name=name, ax=ax, colorbar=False)
    save(figure, path)


def draw_reconstructions(X, path):
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    ReconstructionDisplay.from_estimators(DECOMPOSITIONS, X, n_samples=12, ax=figure.subplots())
    save(figure, path)


def save(figure, path):
    figure.savefig(path, dpi=120, bbox_inches="tight")
    print(f"Drew {path}")


if __name__ == "__main__":
    with threadpool_limits(1):  # with matrices this small a second thread costs more than it brings
        main()
