"""Speed and memory compared with a hand-written loop, skorch, MLPRegressor and PCA: `make bench`.

`python -m benchmarks.bench_speed around` prints only what a fit costs around its steps.

Everything runs interleaved in one process, `REPEATS` times; the tables show medians with the least and the greatest
value. Ratios are medians of the ratios within a repeat, so that a machine's changing pace cancels out.
"""

import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import sklearn
import skorch
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch.dataset import ValidSplit
from torch import nn

from benchmarks.clock import Clock
from benchmarks.data import mnist
from benchmarks.hand_written import Network, train
from benchmarks.measure import timed
from benchmarks.peers.data import table
from sklearn_ae import AutoencoderTransformer

REPEATS = 9
THREADS = 2
EPOCHS = 2
PAUSE = 0.5  # seconds: OpenBLAS' threads keep the cores busy for a while after a product, and torch's would wait


def compare(title: str, contenders: dict[str, Callable[[], float]], bars: dict[str, float]) -> None:
    """Measure contenders in turns, ours first, and print medians and our ratio to each of the others."""
    measured = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, measure in contenders.items():
            time.sleep(PAUSE)
            measured[name].append(measure())
    ours = np.array(next(iter(measured.values())))
    print(f"\n{title}\n\n| | median | least | greatest | ours / this | bar |\n| --- | --- | --- | --- | --- | --- |")
    for name, values in measured.items():
        bar = f"{bars[name]:.2f}" if name in bars else ""
        ratio = f"{np.median(ours / values):.2f}" if name in bars else ""
        print(
            f"| {name} | {np.median(values):.4f} | {min(values):.4f} | {max(values):.4f} | {ratio} | {bar} |",
            flush=True,
        )


def scaled(X: np.ndarray) -> torch.Tensor:
    """Return data centred and divided by its overall deviation, as the estimator trains on it."""
    centred = X - X.mean(axis=0)
    return torch.from_numpy(centred / centred.std())


def bench_epoch(X: np.ndarray) -> None:
    """Measure seconds per epoch on MNIST: 784-64-784, no hidden layers, batches of 256, a tenth held out."""
    clock = Clock()
    ours = AutoencoderTransformer(
        64,
        hidden_layer_sizes=(),
        output_activation="identity",
        batch_size=256,
        max_epochs=EPOCHS,
        callbacks=[clock],
        random_state=0,
    )
    Z = scaled(X)
    n_valid = len(X) // 10

    def estimator() -> float:
        ours.fit(X)
        return clock.seconds_per_epoch

    def hand_written() -> float:
        return timed(lambda: train(Network(784, 64), Z, n_valid, 256, EPOCHS)) / EPOCHS

    def plain_skorch() -> float:
        net = skorch.NeuralNet(
            nn.Sequential(nn.Linear(784, 64), nn.Linear(64, 784)),
            nn.MSELoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=256,
            max_epochs=EPOCHS,
            train_split=ValidSplit(10),
            verbose=0,
            callbacks=[clock],
        )
        net.fit(Z, Z)
        return clock.seconds_per_epoch

    def mlp() -> float:
        regressor = MLPRegressor(
            hidden_layer_sizes=(64,),
            activation="identity",
            batch_size=256,
            max_iter=EPOCHS,
            early_stopping=True,
            random_state=0,
        )
        return timed(lambda: regressor.fit(Z.numpy(), Z.numpy())) / EPOCHS

    contenders = {
        "AutoencoderTransformer": estimator,
        "hand-written loop": hand_written,
        "skorch's default path": plain_skorch,
        "MLPRegressor": mlp,
    }
    bars = {"hand-written loop": 1.10, "skorch's default path": 0.5, "MLPRegressor": 0.5}
    compare("Seconds per epoch, MNIST 60,000 x 784, 784-64-784, batch 256, validation included", contenders, bars)


def bench_transform(X: np.ndarray) -> None:
    """Measure seconds to transform the 60,000 samples, float32, without hidden layers."""
    ours = AutoencoderTransformer(64, hidden_layer_sizes=(), max_epochs=0, random_state=0).fit(X)
    pca = PCA(64, random_state=0).fit(X)
    contenders = {
        "AutoencoderTransformer": lambda: timed(lambda: ours.transform(X)),
        "PCA": lambda: timed(lambda: pca.transform(X)),
    }
    compare("Seconds to transform 60,000 x 784 float32 rows to 64 units", contenders, {"PCA": 1.5})


def bench_small_fit() -> None:
    """Measure seconds of a whole fit on digits, default network, 10 units, 30 epochs, against the loop alone."""
    X = load_digits().data
    ours = AutoencoderTransformer(10, output_activation="identity", batch_size=64, max_epochs=30, random_state=0)
    Z = scaled(X).float()
    contenders = {
        "AutoencoderTransformer": lambda: timed(lambda: ours.fit(X)),
        "hand-written loop": lambda: timed(lambda: train(Network(64, 10, (128,)), Z, 180, 64, 30)),
    }
    compare("Seconds to fit digits, 64-128-10-128-64, batch 64, 30 epochs", contenders, {"hand-written loop": 1.3})


def bench_start(title: str, X: np.ndarray, n_components: int) -> None:
    """Measure the seconds before the first step, and of a fit without any, against PCA of the same data."""
    clock = Clock()
    settings = {"hidden_layer_sizes": (), "lr": 1e-3, "lr_schedule": "constant", "early_stopping": True}
    settings |= {"batch_size": 256, "validation_fraction": 0.1, "random_state": 0}
    one_step = AutoencoderTransformer(n_components, max_epochs=1, callbacks=[clock], **settings)
    no_step = AutoencoderTransformer(n_components, max_epochs=0, **settings)

    def until_first_step() -> float:
        start = time.perf_counter()
        one_step.fit(X)
        return clock.times_[0] - start

    contenders = {
        "until the first step": until_first_step,
        "PCA": lambda: timed(lambda: PCA(n_components).fit(X)),
    }
    bar = {"PCA": 1.5 if len(X) < 100_000 else 2.0}
    compare(f"Seconds until the first step, {title}, no hidden layers, {n_components} units", contenders, bar)
    contenders = {"fit without a step": lambda: timed(lambda: no_step.fit(X)), "PCA": contenders["PCA"]}
    compare(f"Seconds to fit without a step, final statistics included, {title}", contenders, {"PCA": 2.0})


def bench_whole_fit(X: np.ndarray, epochs: int = 4) -> None:
    """Measure seconds of a whole fit of a few epochs against a hand-written loop with nothing around it."""
    ours = AutoencoderTransformer(
        64,
        hidden_layer_sizes=(),
        output_activation="identity",
        batch_size=256,
        lr=1e-3,
        lr_schedule="constant",
        max_epochs=epochs,
        n_iter_no_change=epochs,
        early_stopping=True,
        validation_fraction=0.1,
        random_state=0,
    )
    Z = scaled(X)
    contenders = {
        "AutoencoderTransformer": lambda: timed(lambda: ours.fit(X)),
        "hand-written loop": lambda: timed(lambda: train(Network(784, 64), Z, len(X) // 10, 256, epochs)),
    }
    title = f"Seconds of a whole fit of {epochs} epochs, MNIST 60,000 x 784, 784-64-784, batch 256"
    compare(title, contenders, {"hand-written loop": 1.15})


def bench_around(X: np.ndarray) -> None:
    """Measure what a fit costs around its steps."""
    bench_start("MNIST 60,000 x 784 float32", X, 64)
    bench_start("1,000,000 x 100 float32", table(1_000_000, 1), 10)
    bench_whole_fit(X)


def bench_import() -> None:
    """Measure seconds to start Python and import."""

    def importing(name: str) -> Callable[[], float]:
        command = [sys.executable, "-c", f"import {name}"]
        return lambda: timed(lambda: subprocess.run(command, check=True))

    compare(
        "Seconds to start Python and import",
        {"sklearn_ae": importing("sklearn_ae"), "skorch": importing("skorch")},
        {"skorch": 1.05},
    )


MEMORY = """
from benchmarks.data import mnist
from benchmarks.measure import forget_peak, kib
from sklearn_ae import AutoencoderTransformer
X, _ = mnist()
autoencoder = AutoencoderTransformer(64, max_epochs=2, random_state=0)
autoencoder.fit(X[:1000])
forget_peak()
before = kib("VmRSS")
autoencoder.fit(X)
print((kib("VmHWM") - before) * 1024 / X.nbytes)
"""


def bench_memory() -> None:
    """Measure the peak resident memory that a fit adds, as a multiple of the data, in a fresh process."""
    peaks = []
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
        peaks.append(float(result.stdout))
    print(
        "\nPeak memory of a fit on 60,000 x 784 float32 rows above that before it, as a multiple of the data's size\n"
    )
    print(
        f"| median | least | greatest | bar |\n| --- | --- | --- | --- |\n| {np.median(peaks):.2f} | {min(peaks):.2f} |"
        f" {max(peaks):.2f} | 1.50 |"
    )


def main() -> None:
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore", ConvergenceWarning)  # MLPRegressor's, after so few epochs
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {THREADS} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}, skorch {skorch.__version__}, scikit-learn {sklearn.__version__}, {REPEATS} repeats"
    )
    X, _ = mnist()
    if sys.argv[1:] == ["around"]:
        bench_around(X)
        return
    bench_epoch(X)
    bench_around(X)
    bench_transform(X)
    bench_small_fit()
    bench_import()
    bench_memory()


if __name__ == "__main__":
    main()
