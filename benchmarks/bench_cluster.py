"""Speedup by two processes over one, with one thread each: `python -m benchmarks.bench_cluster ddp` or `dask`.

Everything is measured in turns, `REPEATS` times; the tables show medians. Each process has one thread, so that two of
them have twice the processor of one.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from benchmarks.clock import Clock
from benchmarks.data import mnist
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer

REPEATS = 5
N_ROWS = 20_000
EPOCHS = 3
COPIES = 3  # of MNIST held by the workers
NETWORKS = {"784-512-32-512-784": (32, (512,)), "784-128-2-128-784, the default": (2, (128,))}
BATCH_SIZES = (256, 1024, 4096)
LAUNCHER = ["torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]


def train(network: str, batch_size: int) -> None:
    """Train in this process, or in all that a launcher started; the first prints the samples per second of an epoch."""
    clock, (n_components, hidden_layer_sizes) = Clock(), NETWORKS[network]
    AutoencoderTransformer(
        n_components,
        hidden_layer_sizes=hidden_layer_sizes,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        early_stopping=False,
        distributed=True,
        callbacks=[clock],
        random_state=0,
    ).fit(mnist()[0][:N_ROWS])
    if os.environ.get("RANK", "0") == "0":
        print(N_ROWS / np.median(np.diff(clock.times_)))


def rows_per_second(launcher: list[str], network: str, batch_size: int) -> float:
    command = [sys.executable, "-m", *launcher, "benchmarks.bench_cluster", "train", network, str(batch_size)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def medians(contenders: dict[str, Callable[[], float]]) -> tuple[list[float], list[float]]:
    """Measure two contenders in turns; return their medians, and the least, median and greatest ratio of a turn."""
    turns = np.array([[measure() for measure in contenders.values()] for _ in range(REPEATS)])
    ratios = turns[:, 1] / turns[:, 0]
    return np.median(turns, axis=0).tolist(), [ratios.min(), np.median(ratios), ratios.max()]


def print_comparison(*what: object, contenders: dict[str, Callable[[], float]], digits: int = 0) -> None:
    (one, two), (least, median, greatest) = medians(contenders)
    print_row(*what, f"{one:,.{digits}f}", f"{two:,.{digits}f}", f"{median:.2f} ({least:.2f} to {greatest:.2f})")


def bench_ddp() -> None:
    """Measure samples per second of training epochs on MNIST, in one process and in two started by torchrun."""
    print_header(f"Training on {N_ROWS:,} images of MNIST, rows a second of an epoch", [0], f"medians of {REPEATS}")
    print_head("network", "batch size", "KB of gradients", "one process", "two processes", "ratio (least to greatest)")
    for network, (n_components, hidden_layer_sizes) in NETWORKS.items():
        model = AutoencoderTransformer(n_components, hidden_layer_sizes=hidden_layer_sizes, max_epochs=0)
        n_weights = sum(weight.numel() for weight in model.fit(mnist()[0][:200]).module_.parameters())
        for batch_size in BATCH_SIZES:
            contenders = {
                "one": lambda n=network, b=batch_size: rows_per_second([], n, b),
                "two": lambda n=network, b=batch_size: rows_per_second(LAUNCHER, n, b),
            }
            print_comparison(network, batch_size, f"{4 * n_weights / 1000:,.0f}", contenders=contenders)


def rate(n_rows: int, function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return n_rows / (time.perf_counter() - start)


def bench_dask() -> None:
    """Measure samples per second of transform, and seconds of a search, locally and on a cluster of two workers."""
    import dask.array as da
    import joblib
    from dask import delayed
    from distributed import Client, LocalCluster, wait

    X = mnist()[0]
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None)
    with cluster, Client(cluster) as client:
        parts = [delayed(part) for part in client.scatter(list(X.reshape(-1, 5000, 784)))]
        parts = [da.from_delayed(part, (5000, 784), X.dtype) for part in parts]
        on_workers = client.persist(da.concatenate(COPIES * parts))
        wait(on_workers)
        title = f"transform of {len(on_workers):,} images of MNIST, held by workers, samples a second; codes returned"
        print_header(title, [0], f"medians of {REPEATS}")
        print_head("network", "one process", "two workers", "ratio (least to greatest)")
        for network, (n_components, hidden_layer_sizes) in NETWORKS.items():
            model = AutoencoderTransformer(n_components, hidden_layer_sizes=hidden_layer_sizes, max_epochs=0)
            model.fit(X[:2000])
            model.transform(on_workers).compute()  # workers import the package in their first task
            contenders = {
                "one": lambda model=model: rate(len(X), lambda: model.transform(X)),
                "two": lambda model=model: rate(len(on_workers), lambda: model.transform(on_workers).compute()),
            }
            print_comparison(network, contenders=contenders)

        digits = load_digits().data
        grid = {"n_components": [2, 5, 10, 20], "hidden_layer_sizes": [(), (64,), (128,)]}
        search = GridSearchCV(AutoencoderTransformer(max_epochs=10, random_state=0), grid, cv=3, refit=False)
        n_fits = 36

        def on_cluster() -> None:
            with joblib.parallel_config("dask"):
                search.fit(digits)

        print(f"\nGridSearchCV on digits, {n_fits} fits of 10 epochs, fits a second\n")
        print_head("one process", "two workers", "ratio (least to greatest)")
        contenders = {
            "one": lambda: rate(n_fits, lambda: search.fit(digits)),
            "two": lambda: rate(n_fits, on_cluster),
        }
        print_comparison(contenders=contenders, digits=1)


if __name__ == "__main__":
    threadpool_limits(1)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes started from here
    if sys.argv[1] == "train":
        train(sys.argv[2], int(sys.argv[3]))
    else:
        {"ddp": bench_ddp, "dask": bench_dask}[sys.argv[1]]()
