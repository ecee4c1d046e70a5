"""Real-world data: `make bench-data`, or python -m benchmarks.bench_data imputation|text|sparse|streaming|kinds."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.clock import Clock
from benchmarks.data import SHARED
from benchmarks.tables import mean_and_spread, print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer

SEEDS = (1, 2, 3)
PBC = SHARED / "frames" / "pbc.csv"
#: The columns of pbc.csv with numbers, of which the others are binaries and categories.
PBC_NUMBERS = ["time", "age", "bili", "chol", "albumin", "copper", "alk.phos", "ast", "trig", "platelet", "protime"]


def holes(X: np.ndarray, fraction: float, in_blocks: bool, seed: int) -> np.ndarray:
    """Return a mask of entries to remove: at random, or a rectangle of each image, or neighbouring columns of a row."""
    rng, d = np.random.default_rng(seed), X.shape[1]
    if not in_blocks:
        return (rng.random(X.shape) < fraction) & ~np.isnan(X)
    missing = np.zeros(X.shape, dtype=bool)
    for row in missing:
        if d == 64:
            height, width = {0.2: (3, 4), 0.4: (5, 5)}[fraction]
            top, left = rng.integers(0, 9 - height), rng.integers(0, 9 - width)
            row.reshape(8, 8)[top : top + height, left : left + width] = True
        else:
            row[(rng.integers(0, d) + np.arange(round(fraction * d))) % d] = True
    return missing


def tables_with_holes() -> Iterator[tuple[str, np.ndarray, bool, float]]:
    """Yield each table's name and numbers, whether to remove them in blocks, and which fraction."""
    yield from product(["digits"], [load_digits().data], [False], [0.2, 0.3, 0.4])
    yield from product(["digits"], [load_digits().data], [True], [0.2, 0.4])
    cancer = StandardScaler().fit_transform(load_breast_cancer().data)
    yield from product(["breast cancer"], [cancer], [False, True], [0.2, 0.4])
    if PBC.exists():
        yield "pbc", StandardScaler().fit_transform(pd.read_csv(PBC)[PBC_NUMBERS].to_numpy()), False, 0.2


def bench_imputation() -> None:
    """Print the RMSE of the entries removed, for standardised columns and for pixels from 0 to 16.

    The default has half as many components as columns; the last column has the same settings for all tables.
    """
    print_header("RMSE of imputed entries, and seconds of fit and imputation together", SEEDS)
    imputers: dict[str, Callable[[int, int], object]] = {
        "column means": lambda d, seed: SimpleImputer(keep_empty_features=True),
        "KNNImputer": lambda d, seed: KNNImputer(keep_empty_features=True),
        "IterativeImputer": lambda d, seed: IterativeImputer(random_state=seed, keep_empty_features=True),
        "autoencoder, default": lambda d, seed: AutoencoderTransformer(d // 2, missing="mask", random_state=seed),
        "autoencoder, larger": lambda d, seed: AutoencoderTransformer(
            min(30, d),
            missing="mask",
            corruption=0.4,
            hidden_layer_sizes=(512, 256),
            weight_decay=0.3,
            lr_schedule="linear",
            max_epochs=100,
            early_stopping=False,
            random_state=seed,
        ),
    }
    print_head("data", "missing", *imputers, "seconds")
    for name, X, in_blocks, fraction in tables_with_holes():
        cells, seconds = [], []
        for make in imputers.values():
            errors, start = [], time.perf_counter()
            for seed in SEEDS:
                missing = holes(X, fraction, in_blocks, seed)
                given, imputer = np.where(missing, np.nan, X), make(X.shape[1], seed)
                fill = imputer.fit(given).impute if hasattr(imputer, "impute") else imputer.fit_transform
                errors.append(np.sqrt(np.square(fill(given) - X)[missing].mean()))
            cells.append(mean_and_spread(errors, 3))
            seconds.append(f"{(time.perf_counter() - start) / len(SEEDS):.1f}")
        print_row(name, f"{fraction:.0%} {'in blocks' if in_blocks else 'at random'}", *cells, " / ".join(seconds))
    if not PBC.exists():
        print(f"\npbc is left out: {PBC} does not exist.")


def docstrings() -> list[str]:
    """Return the docstrings of functions and classes of the installed packages, as written in their files."""
    import ast
    import sysconfig

    texts = set()
    for package in ("sklearn", "scipy", "numpy", "pandas", "matplotlib", "torch/nn", "sympy", "dask"):
        for path in sorted((Path(sysconfig.get_paths()["purelib"]) / package).rglob("*.py")):
            try:
                tree = ast.parse(path.read_text(encoding="utf-8", errors="ignore"))
            except SyntaxError:
                continue
            nodes = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
            texts |= {text for node in nodes if len(text := ast.get_docstring(node) or "") > 300}
    return sorted(texts)


def r2_of(model: TruncatedSVD, X: sparse.csr_matrix, mean: np.ndarray) -> float:
    """Return the R² of sparse samples about a mean, without making all of them dense."""
    error = variance = 0.0
    for start in range(0, X.shape[0], 500):
        rows = X[start : start + 500]
        dense = rows.toarray()
        error += float(np.square(dense - model.inverse_transform(model.transform(rows))).sum())
        variance += float(np.square(dense - mean).sum())
    return 1 - error / variance


def compare_sparse(train: sparse.csr_matrix, test: sparse.csr_matrix, k: int, **params: object) -> None:
    """Print held-out R² and seconds of TruncatedSVD and of our estimator."""
    mean = np.asarray(train.mean(axis=0)).ravel()
    start = time.perf_counter()
    svd = TruncatedSVD(k, random_state=0).fit(train)
    print_row("TruncatedSVD", k, f"{r2_of(svd, test, mean):.4f}", f"{time.perf_counter() - start:.1f}")
    for name, epochs in (("autoencoder, its start", 0), ("autoencoder", params.pop("max_epochs"))):
        start = time.perf_counter()
        model = AutoencoderTransformer(k, random_state=0, max_epochs=epochs, **params).fit(train)
        seconds = time.perf_counter() - start
        print_row(name, k, f"{model.score(test):.4f}", f"{seconds:.1f}")


def bench_text() -> None:
    """Compare on docstrings vectorised by TfidfVectorizer."""
    texts = docstrings()
    X = TfidfVectorizer(min_df=10, sublinear_tf=True, stop_words="english", dtype=np.float32).fit_transform(texts)
    print_header(
        f"Text: {X.shape[0]:,} docstrings x {X.shape[1]:,} words, density {X.nnz / np.prod(X.shape):.4f}", (0,)
    )
    print_head("model", "units", "R², held out", "seconds")
    train, test = train_test_split(X, test_size=0.2, random_state=0)
    compare_sparse(train, test, 50, max_epochs=15)


def topics(n_rows: int, n_columns: int, n_words: int, seed: int) -> sparse.csr_matrix:
    """Return documents of words drawn from two of a hundred topics each, as a sparse matrix of counts."""
    rng = np.random.default_rng(seed)
    vocabulary = np.random.default_rng(0).integers(0, n_columns, size=(100, 300))
    chosen = rng.integers(0, 100, size=(n_rows, 2))
    of_word = np.take_along_axis(chosen, rng.integers(0, 2, size=(n_rows, n_words)), axis=1)
    columns = vocabulary[of_word, (300 * rng.random((n_rows, n_words)) ** 4).astype(int)]
    rows = np.repeat(np.arange(n_rows), n_words)
    X = sparse.coo_matrix((np.ones(rows.size, np.float32), (rows, columns.ravel())), shape=(n_rows, n_columns))
    return X.tocsr()


SPARSE = """
from benchmarks.bench_data import compare_sparse, topics
from benchmarks.measure import kib
train, test = topics(200_000, 20_000, 20, 0), topics(20_000, 20_000, 20, 1)
compare_sparse(train, test, 32, max_epochs=1, batch_size=256)
print(f"Peak memory of the process, everything included: {kib('VmHWM') / 2**20:.2f} GiB")
"""


def bench_sparse() -> None:
    """Fit a matrix that would take 16 GB as a dense array, in a separate process."""
    print_header("Sparse: 200,000 x 20,000 at density 0.001 (16 GB dense), one epoch", (0,))
    print_head("model", "units", "R², 20,000 new rows", "seconds")
    subprocess.run([sys.executable, "-c", SPARSE], check=True)


STREAM = """
import sys, time
import numpy as np
import sklearn
from benchmarks.bench_data import EPOCHS, settings
from benchmarks.clock import Clock
from benchmarks.measure import forget_peak, kib
from sklearn_ae import AutoencoderTransformer
path, in_memory = sys.argv[1], sys.argv[2] == "in memory"
X = np.load(path, mmap_mode="r")
clock = Clock()
AutoencoderTransformer(max_epochs=1, random_state=0).fit(np.array(X[:2000]))
if in_memory:
    X = np.array(X)
forget_peak()
before = kib("VmRSS")
start = time.perf_counter()
with sklearn.config_context(working_memory=256):
    model = AutoencoderTransformer(callbacks=[clock], **settings).fit(X)
seconds = time.perf_counter() - start
peak = kib("VmHWM")
print(clock.seconds_per_epoch, seconds, peak / 2**20, (peak - before) / 2**20, model.validation_scores_[-1])
"""
EPOCHS = 2
settings = {"n_components": 32, "max_epochs": EPOCHS, "batch_size": 256, "random_state": 0}


def table_file(folder: str, n_rows: int) -> Path:
    """Write rows of 500 float32 numbers with structure to a file, in blocks, and return its path."""
    path = Path(folder) / f"{n_rows}.npy"
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, 500))
    mixing = np.random.default_rng(0).normal(size=(20, 500)).astype(np.float32)
    for start in range(0, n_rows, 50_000):
        rng = np.random.default_rng(start + 1)
        hidden = rng.normal(size=(min(50_000, n_rows - start), 20)).astype(np.float32)
        noise = 0.5 * rng.standard_normal(size=(len(hidden), 500), dtype=np.float32)
        X[start : start + len(hidden)] = np.tanh(hidden @ mixing) + noise
    X.flush()
    return path


def streamed(path: Path, how: str) -> list[float]:
    """Return seconds per epoch and of the fit, peak GiB, peak GiB above those at the start, and validation R²."""
    result = subprocess.run([sys.executable, "-c", STREAM, str(path), how], check=True, capture_output=True, text=True)
    return [float(value) for value in result.stdout.split()]


def bench_streaming() -> None:
    """Compare memory maps of 1 to 6 GB with the same data in memory, each in a separate process."""
    print_header(f"Streaming: rows of 500 float32 numbers, default network, {EPOCHS} epochs", (0,))
    columns = ("GB", "how", "rows a second, epochs", "rows a second, whole fit", "peak GiB", "peak GiB above start")
    print_head(*columns, "R², validation")
    with tempfile.TemporaryDirectory() as folder:
        for gigabytes, ways in ((1, ("in memory", "memory map") * 2), (3, ("memory map",)), (6, ("memory map",))):
            n_rows = gigabytes * 500_000
            path = table_file(folder, n_rows)
            for how in ways:
                epoch, whole, peak, above, r2 = streamed(path, how)
                rates = (f"{n_rows / epoch:,.0f}", f"{n_rows * EPOCHS / whole:,.0f}")
                print_row(gigabytes, how, *rates, f"{peak:.2f}", f"{above:.2f}", f"{r2:.4f}")
            path.unlink()


def sources_of(X: np.ndarray, folder: str) -> Iterator[tuple[str, object]]:
    """Yield the same data as each kind of source."""
    import dask.array
    import h5py
    import pyarrow
    import pyarrow.dataset
    import pyarrow.parquet
    import zarr

    np.save(f"{folder}/X.npy", X)
    yield "numpy.memmap", np.load(f"{folder}/X.npy", mmap_mode="r")
    with h5py.File(f"{folder}/X.h5", "w") as file:
        yield "HDF5", file.create_dataset("X", data=X, chunks=(500, X.shape[1]))
    array = zarr.create_array(f"{folder}/X.zarr", shape=X.shape, chunks=(500, X.shape[1]), dtype=X.dtype)
    array[:] = X
    yield "Zarr", array
    pyarrow.parquet.write_table(
        pyarrow.table({str(i): column for i, column in enumerate(X.T)}), f"{folder}/X.parquet", row_group_size=500
    )
    yield "Parquet", pyarrow.dataset.dataset(f"{folder}/X.parquet")
    yield "list of chunks", [X[i : i + 500] for i in range(0, len(X), 500)]
    yield "dask array", dask.array.from_array(X, chunks=(500, -1))


def bench_kinds() -> None:
    """Print R² on MNIST's test images of a fit to 10,000 training images, streamed from each kind of source."""
    import sklearn

    from benchmarks.data import mnist

    train, test = mnist()
    train = train[:10_000]
    print_header("Kinds of sources: 10,000 MNIST images, 16 units, 15 epochs, streamed (working_memory=0)", (0,))
    print_head("source", "R², test images", "seconds an epoch", "difference from memory")
    clock = Clock()
    make = partial(AutoencoderTransformer, 16, max_epochs=15, callbacks=[clock], random_state=0)
    in_memory = make().fit(train).score(test)
    print_row("in memory", f"{in_memory:.4f}", f"{clock.seconds_per_epoch:.2f}", "")
    with tempfile.TemporaryDirectory() as folder, sklearn.config_context(working_memory=0):
        for name, source in sources_of(train, folder):
            r2 = make().fit(source).score(test)
            print_row(name, f"{r2:.4f}", f"{clock.seconds_per_epoch:.2f}", f"{r2 - in_memory:+.4f}")


TABLES = {
    "imputation": bench_imputation,
    "text": bench_text,
    "sparse": bench_sparse,
    "streaming": bench_streaming,
    "kinds": bench_kinds,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
