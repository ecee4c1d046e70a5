"""Data as practitioners have it: `make bench-practice`, or python -m benchmarks.bench_practice frames."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import average_precision_score, mean_poisson_deviance
from sklearn.model_selection import KFold, ShuffleSplit, train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from benchmarks.bench_data import docstrings
from benchmarks.data import SHARED, small_data_sets
from benchmarks.tables import mean_and_spread, print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import compare_decompositions
from sklearn_ae.outliers import ReconstructionDetector
from sklearn_ae.preprocessing import FrameEncoder

#: Settings were chosen with the seeds 0 to 2.
SEEDS = (3, 4, 5)
N_FOLDS = 3
PBC = SHARED / "frames" / "pbc.csv"
#: The columns of pbc.csv that are numbers in the file and categories of patients.
PBC_CATEGORIES = ["status", "edema", "stage"]
#: Tables with rare classes as anomalies: files of ADBench (github.com/Minqi824/ADBench, adbench/datasets/Classical).
ADBENCH = Path(os.environ.get("ADBENCH", SHARED / "adbench"))
ANOMALIES = {"page blocks": "27_PageBlocks", "shuttle": "32_shuttle"}
#: Rows that are drawn from larger tables.
MOST_ROWS = 10_000


def pbc() -> pd.DataFrame:
    """Return the patients, with categories as such."""
    frame = pd.read_csv(PBC, index_col=0).drop(columns="id")
    return frame.astype(dict.fromkeys(PBC_CATEGORIES, "category"))


def imputers(encoder: FrameEncoder, seed: int) -> dict[str, TransformerMixin]:
    """Return what fills the gaps of encoded columns.

    The autoencoders have half as many components as there are columns. The second is regularised, for few rows.
    """
    half = len(encoder.get_feature_names_out()) // 2
    autoencoder = AutoencoderTransformer(half, loss=encoder.loss(), missing="mask", random_state=seed)
    regularised = {"corruption": 0.5, "hidden_layer_sizes": (512,), "weight_decay": 1.0}
    return {
        "mean, commonest level": SimpleImputer(),
        "KNNImputer": KNNImputer(),
        "IterativeImputer": IterativeImputer(random_state=seed),
        "autoencoder, default": autoencoder,
        "autoencoder, regularised": clone(autoencoder).set_params(**regularised),
    }


def imputation_scores(
    encoder: FrameEncoder, imputer: Any, train: pd.DataFrame, given: pd.DataFrame, whole: pd.DataFrame
) -> dict[str, float]:
    """Return RMSE of numbers, accuracies of binaries and categories, over cells removed, and seconds.

    Numbers are in units of the training rows' standard deviations.
    """
    start = time.perf_counter()
    imputer.fit(encoder.transform(train))
    fill = imputer.impute if hasattr(imputer, "impute") else imputer.transform
    filled = encoder.inverse_transform(fill(encoder.transform(given)))
    scores = {"seconds": time.perf_counter() - start}
    removed = (given.isna() & whole.notna()).to_numpy()
    for kind in ("number", "binary", "category"):
        own = [name for name, other in encoder.kinds_.items() if other == kind]
        cells = removed[:, [whole.columns.get_loc(name) for name in own]]
        if kind == "number":
            errors = (filled[own].to_numpy() - whole[own].to_numpy()) / encoder.scaler_.scale_
            scores[kind] = float(np.sqrt(np.square(errors[cells]).mean()))
        else:
            scores[kind] = float((filled[own].to_numpy(object) == whole[own].to_numpy(object))[cells].mean())
    return scores


def bench_frames() -> None:
    """Print how well gaps of held-out patients are filled: 20 % of their observed cells are removed."""
    print_header(f"pbc.csv: cells removed from held-out rows, {N_FOLDS} folds for each seed", SEEDS)
    print_head("imputer", "RMSE of numbers", "accuracy of binaries", "accuracy of categories", "seconds")
    frame = pbc()
    results: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed).split(frame)
        for fold, (train, test) in enumerate(folds):
            encoder, whole = FrameEncoder().fit(frame.iloc[train]), frame.iloc[test]
            holes = np.random.default_rng([seed, fold]).random(whole.shape) < 0.2
            for name, imputer in imputers(encoder, seed).items():
                scores = imputation_scores(encoder, imputer, frame.iloc[train], whole.mask(holes), whole)
                results.setdefault(name, []).append(scores)
    for name, folds in results.items():
        cells = [mean_and_spread([scores[kind] for scores in folds], 3) for kind in ("number", "binary", "category")]
        print_row(name, *cells, f"{np.mean([scores['seconds'] for scores in folds]):.1f}")


def shares(X: np.ndarray) -> np.ndarray:
    """Return samples divided by their totals."""
    return X / np.maximum(X.sum(axis=1, keepdims=True), 1e-10)


def rates_by_logarithms(k: int, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the rates of PCA of log(1 + x) of samples at the mean total, shares of the totals of the samples."""
    mean_total = train.sum(axis=1).mean()
    pca = PCA(k, random_state=seed).fit(np.log1p(mean_total * shares(train)))
    scores = pca.transform(np.log1p(mean_total * shares(test)))
    return test.sum(axis=1, keepdims=True) * shares(np.expm1(pca.inverse_transform(scores)).clip(1e-10))


def rates_by(estimator: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the reconstruction of an estimator of counts."""
    return estimator.fit(train).inverse_transform(estimator.transform(test))


def models_of_counts(k: int, seed: int) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return functions from training and held-out counts to the rates of the latter."""

    def times_totals(
        loss: str, prepare: Callable[[np.ndarray], np.ndarray], train: np.ndarray, test: np.ndarray
    ) -> Any:
        autoencoder = AutoencoderTransformer(k, loss=loss, random_state=seed)
        return test.sum(axis=1, keepdims=True) * shares(rates_by(autoencoder, prepare(train), prepare(test)))

    nmf = NMF(k, beta_loss="kullback-leibler", solver="mu", max_iter=1000, random_state=seed)
    poisson = AutoencoderTransformer(k, loss="poisson", random_state=seed)
    return {
        "mean shares": lambda train, test: test.sum(axis=1, keepdims=True) * train.sum(axis=0) / train.sum(),
        "TruncatedSVD": lambda train, test: rates_by(TruncatedSVD(k, random_state=seed), train, test),
        "PCA of log1p": lambda train, test: rates_by_logarithms(k, train, test, seed),
        "NMF, Kullback-Leibler": lambda train, test: rates_by(nmf, train, test),
        'autoencoder, "poisson"': lambda train, test: rates_by(poisson, train, test),
        'autoencoder of shares, "cross_entropy"': partial(times_totals, "cross_entropy", shares),
        'autoencoder, "multinomial"': partial(times_totals, "multinomial", np.asarray),
    }


def compare_counts(title: str, X: np.ndarray, k: int) -> None:
    """Print deviance and R² of held-out counts."""
    print_header(f"{title}: {k} components, {N_FOLDS} folds for each seed", SEEDS)
    print_head("model", "deviance, held out", "R², held out", "seconds")
    results: dict[str, list[tuple[float, float, float]]] = {}
    for seed in SEEDS:
        for train, test in KFold(N_FOLDS, shuffle=True, random_state=seed).split(X):
            about_mean = np.square(X[test] - X[train].mean(axis=0)).sum()
            for name, rates_of in models_of_counts(k, seed).items():
                start = time.perf_counter()
                rates = rates_of(X[train], X[test])
                seconds = time.perf_counter() - start
                deviance = mean_poisson_deviance(X[test].ravel(), rates.clip(1e-10).ravel())
                r2 = 1 - np.square(X[test] - rates).sum() / about_mean
                results.setdefault(name, []).append((deviance, r2, seconds))
    for name, folds in results.items():
        deviances, r2s, times = zip(*folds, strict=True)
        deviance = "negative rates" if name == "TruncatedSVD" else mean_and_spread(deviances, 3)
        print_row(name, deviance, mean_and_spread(r2s, 3), f"{np.mean(times):.1f}")


def bench_counts() -> None:
    """Print how well counts of cells and of words are reconstructed."""
    cells = np.load(SHARED / "tables" / "pbmc_counts.npz")["X"].astype(float)
    compare_counts(f"pbmc_counts, {cells.shape[0]} cells x {cells.shape[1]} genes", cells, 10)
    texts = docstrings()
    words = CountVectorizer(max_features=800, stop_words="english", dtype=float).fit_transform(
        texts[:: len(texts) // 1500]
    )
    print()
    compare_counts(f"{words.shape[0]} docstrings x {words.shape[1]} words", words.toarray(), 10)
    print(
        "\nThe code of each held-out row is computed from the row. NMF fits its coefficients to it, so that rates sum "
        "to\nabout the row's total; PCA and the autoencoders of shares know that total. The deviance is the mean over "
        "entries\nof 2 (x log(x / rate) - x + rate); rates below 1e-10 are set to it. Seconds: fit and reconstruction."
    )


def detectors(n_features: int, seed: int) -> dict[str, Any]:
    """Return what finds anomalies in standardised columns; decompositions have half as many components as columns."""
    half = n_features // 2
    one_split = ShuffleSplit(1, test_size=0.2, random_state=seed)
    found = {
        "IsolationForest": IsolationForest(random_state=seed),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        "PCA's error": ReconstructionDetector(PCA(half), cv=one_split),
        "autoencoder's error": ReconstructionDetector(AutoencoderTransformer(half, random_state=seed), cv=one_split),
    }
    if find_spec("pyod") is not None:
        from pyod.models.auto_encoder import AutoEncoder

        found["PyOD's AutoEncoder"] = AutoEncoder(random_state=seed, verbose=0)
    return found


def detection_scores(detector: Any, train: np.ndarray, test: np.ndarray, is_anomaly: np.ndarray) -> dict[str, float]:
    """Return average precision, the fractions of ordinary samples and of anomalies called outliers, and seconds."""
    start = time.perf_counter()
    detector.fit(train)
    from_pyod = type(detector).__module__.startswith("pyod")  # where 1 is an outlier, and greater scores are unusual
    unusual = detector.decision_function(test) * (1 if from_pyod else -1)
    called = detector.predict(test) == (1 if from_pyod else -1)
    return {
        "seconds": time.perf_counter() - start,
        "precision": float(average_precision_score(is_anomaly, unusual)),
        "alarms": float(called[~is_anomaly].mean()),
        "found": float(called[is_anomaly].mean()),
    }


def bench_anomalies() -> None:
    """Print how well anomalies are found, trained on ordinary samples alone, and on anomalies among them."""
    if not ADBENCH.exists():
        print(f"No folder {ADBENCH}: set ADBENCH to one with {' and '.join(ANOMALIES.values())} of ADBench, as .npz.")
        return
    print_header("Rare classes as anomalies in held-out rows, 30 % of up to 10,000; default thresholds", SEEDS)
    print_head("data", "detector", "average precision", "ordinary called outliers", "anomalies found", "seconds")
    for data, file in ANOMALIES.items():
        with np.load(ADBENCH / f"{file}.npz") as stored:
            X, y = stored["X"].astype(np.float64), stored["y"] == 1
        for kind in ("ordinary rows", "all rows"):
            results: dict[str, list[dict[str, float]]] = {}
            for seed in SEEDS:
                rows = np.random.default_rng(seed).permutation(len(X))[:MOST_ROWS]
                split = train_test_split(X[rows], y[rows], test_size=0.3, stratify=y[rows], random_state=seed)
                train, test, in_train, is_anomaly = split
                scaler = StandardScaler().fit(train[~in_train] if kind == "ordinary rows" else train)
                given = scaler.transform(train[~in_train] if kind == "ordinary rows" else train)
                for name, detector in detectors(X.shape[1], seed).items():
                    scores = detection_scores(detector, given, scaler.transform(test), is_anomaly)
                    results.setdefault(name, []).append(scores)
            for name, splits in results.items():
                cells = [mean_and_spread([one[what] for one in splits], 3) for what in ("precision", "alarms", "found")]
                seconds = f"{np.mean([scores['seconds'] for scores in splits]):.1f}"
                print_row(f"{data}, trained on {kind}", name, *cells, seconds)
    if find_spec("pyod") is None:
        print("\nPyOD is not installed: without its AutoEncoder.")


def bench_scatter() -> None:
    """Print R² and accuracy of nearest neighbours of two components, for a scatter plot."""
    print_header("Two components for a scatter plot: held-out samples, five folds for each seed", SEEDS)
    print_head("data", "model", "R²", "accuracy of 5 nearest neighbours", "seconds to fit")
    data, labels = small_data_sets(), {"digits": load_digits, "wine": load_wine, "cancer": load_breast_cancer}
    models = {
        "PCA": PCA(),
        "autoencoder, default": AutoencoderTransformer(),
        "autoencoder, Gaussian noise": AutoencoderTransformer(corruption="gaussian_noise"),
    }
    for name, load in labels.items():
        X, y = data[name], load().target
        results = [compare_decompositions(models, X, y, n_components=[2], cv=5, random_state=seed) for seed in SEEDS]
        for rows in zip(*(comparison.rows for comparison in results), strict=True):
            cells = [mean_and_spread([row[figure] for row in rows], 3) for figure in ("r2", "neighbours")]
            print_row(name, rows[0]["estimator"], *cells, f"{np.mean([row['fit_seconds'] for row in rows]):.2f}")


TABLES: dict[str, Callable[[], None]] = {
    "anomalies": bench_anomalies,
    "counts": bench_counts,
    "frames": bench_frames,
    "scatter": bench_scatter,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
