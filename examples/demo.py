"""Compare autoencoders with PCA and NMF on digits, in under a minute: `make demo`.

Prints two tables and draws two pictures into the folder output/.
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
from sklearn_ae.plotting import CodeScatterDisplay, ReconstructionDisplay

K = 16
DECOMPOSITIONS = {
    "PCA": PCA(K),
    "NMF": NMF(K, max_iter=1000, random_state=0),
    "autoencoder": AutoencoderTransformer(K, random_state=0),
    # as in the notebook of Ferretti (2015)
    "one layer, dropout": AutoencoderTransformer(
        K, hidden_layer_sizes=(), code="relu", code_dropout=0.2, random_state=0
    ),
    "deep autoencoder": AutoencoderTransformer(
        K, hidden_layer_sizes=(128, 64), random_state=0
    ),
}
GRID = {"reduce__n_components": [4, 8, 16, 32, 64]}
TOLERANCE = 0.005
OUTPUT = Path("output")


def main():
    X, X_test, y, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )

    n, n_test = len(X), len(X_test)
    print(f"""
1. Five methods with {K} components, fitted on {n:,} digits, scored on {n_test} others

   R²        fraction of the variance of the images that is reconstructed: at most 1
   accuracy  of a support vector classifier (SVC) on the codes, ± its standard error
""")
    print_row("", "components", "R²", "accuracy", "seconds", "parameters")
    compare(X, X_test, y, y_test)
    print(f"""
NMF and the one-layer network reconstruct less than PCA, whose squared error is the
smallest that {K} components can reach linearly. NMF is linear too, and has to keep
everything non-negative. In the one-layer network only the code is nonlinear, and
dropout trains each component to work without the others, at the expense of R². The
other two autoencoders have hidden layers.

2. How many components? Grid search with 3-fold cross-validation on the {n:,} digits

   accuracy  mean of the folds, ± its standard error
""")
    print_row("", "components", "R²", "accuracy", "seconds", "parameters")
    pipeline = search_size(X, y)
    accuracy = pipeline.score(X_test, y_test)
    error = standard_error(accuracy, n_test)
    print(f"""
R² grows with every component, so it cannot choose their number. Accuracy can: "chosen"
is the smallest number within {TOLERANCE} of the best accuracy. On the {n_test} others
its accuracy is {accuracy:.3f} ± {error:.3f}.

3. Pictures of the {n_test} other digits
""")
    OUTPUT.mkdir(exist_ok=True)
    draw_codes(X, X_test, y_test, OUTPUT / "two_components.png")
    print("  two components, coloured by class: PCA mixes more classes")
    draw_reconstructions(X_test, y_test, OUTPUT / "reconstructions.png")
    print(
        f"  one digit of each class, reconstructed from {K} components by each method"
    )


def compare(X, X_test, y, y_test):
    for name, decomposition in DECOMPOSITIONS.items():
        start = perf_counter()
        decomposition.fit(X)
        seconds = perf_counter() - start
        classifier = SVC().fit(decomposition.transform(X), y)
        pipeline = Pipeline([("reduce", decomposition), ("classify", classifier)])
        found = scores(pipeline, X_test, y_test)
        print_row(
            name,
            K,
            seconds=seconds,
            error=standard_error(found["accuracy"], len(X_test)),
            **found,
        )


def search_size(X, y):
    pipeline = Pipeline(
        [
            ("reduce", AutoencoderTransformer(max_epochs=30, random_state=0)),
            ("classify", SVC()),
        ]
    )
    search = GridSearchCV(
        pipeline, GRID, scoring=scores, refit=smallest_good_one, cv=3, n_jobs=2
    ).fit(X, y)
    results = search.cv_results_
    for i, k in enumerate(GRID["reduce__n_components"]):
        name = "autoencoder, chosen" if i == search.best_index_ else "autoencoder"
        means = {
            score: results[f"mean_test_{score}"][i]
            for score in ("r2", "accuracy", "parameters")
        }
        error = results["std_test_accuracy"][i] / (search.n_splits_ - 1) ** 0.5
        print_row(name, k, seconds=results["mean_fit_time"][i], error=error, **means)
    return search.best_estimator_


def scores(pipeline, X, y):
    """Score the reconstructions and the classifier, for GridSearchCV too."""
    return {
        "r2": reconstruction_score(pipeline[:-1], X),
        "accuracy": pipeline.score(X, y),
        "parameters": n_parameters(pipeline["reduce"]),
    }


def standard_error(accuracy, n):
    """Return the standard error of an accuracy that was measured on n samples."""
    return (accuracy * (1 - accuracy) / n) ** 0.5


def n_parameters(decomposition):
    if isinstance(decomposition, AutoencoderTransformer):
        return sum(weights.numel() for weights in decomposition.module_.parameters())
    return decomposition.components_.size


def smallest_good_one(results):
    accuracy = results["mean_test_accuracy"]
    return np.flatnonzero(accuracy >= accuracy.max() - TOLERANCE)[0]


def print_row(name, k, r2, accuracy, seconds, parameters, error=None):
    if name:
        r2, seconds, parameters = f"{r2:.3f}", f"{seconds:.2f}", f"{parameters:,.0f}"
        accuracy = f"{accuracy:.3f} ± {error:.3f}"
    print(
        f"  {name:<20}{k:>10}{r2:>8}{accuracy:>16}{seconds:>9}{parameters:>12}",
        flush=True,
    )


def draw_codes(X, X_test, y_test, path):
    figure = Figure(figsize=(11, 5), layout="constrained")
    models = {"PCA": PCA(2), "autoencoder": AutoencoderTransformer(2, random_state=0)}
    for ax, (name, model) in zip(figure.subplots(1, 2), models.items(), strict=True):
        title = f"{name}: R² {reconstruction_score(model.fit(X), X_test):.2f}"
        CodeScatterDisplay.from_estimator(model, X_test, y_test, name=title, ax=ax)
    save(figure, path)


def draw_reconstructions(X, y, path):
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    # the first ten are drawn, and R² is that of all
    one_of_each = [np.flatnonzero(y == digit)[0] for digit in range(10)]
    X = np.concatenate([X[one_of_each], np.delete(X, one_of_each, axis=0)])
    ReconstructionDisplay.from_estimators(
        DECOMPOSITIONS, X, n_samples=10, ax=figure.subplots()
    )
    save(figure, path)


def save(figure, path):
    figure.savefig(path, dpi=120, bbox_inches="tight")
    print(path)


if __name__ == "__main__":
    with threadpool_limits(
        1
    ):  # with matrices this small a second thread costs more than it brings
        main()
