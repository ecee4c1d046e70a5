"""Thousands of small fits in one process: memory, files and threads must not accumulate. `make soak`.

    python -m benchmarks.soak [n_fits]

Each fit has another configuration and other data, with codes, reconstructions, a round trip by pickle and, every tenth
time, two fits that fail. Ends with an error if, after the first hundred fits, the resident set grows by `GROWTH` MB
or more, or if files or threads are left.

What still grows is mostly oneDNN's cache of kernels for shapes it has seen, of which torch keeps 1,024: 600 fits to
ever-changing numbers of samples add 6 MB, without that cache (ONEDNN_PRIMITIVE_CACHE_CAPACITY=0) 2 MB, and fits to the
same samples none.
"""

import gc
import pickle
import platform
import sys
import threading
import time
from functools import partial

import numpy as np
import psutil
import sklearn
import torch
from torch import nn

from benchmarks.tables import print_head, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian, TopK, WinnerTakeAll
from sklearn_ae.losses import Huber, Mixed
from sklearn_ae.networks import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from sklearn_ae.penalties import KLSparsity

N_FITS, WARM, STEP = 2000, 100, 100
GROWTH = 20  # MB
CONFIGURATIONS = [
    {},
    {"hidden_layer_sizes": ()},
    {"module": TiedAutoencoder, "penalty": "orthogonal"},
    {"hidden_layer_sizes": (32, 8), "activation": "relu", "output_activation": "clip"},
    {"code": "relu", "code_dropout": 0.2, "optimizer": "sgd"},
    {"code": "sigmoid", "penalty": KLSparsity(0.1)},
    {"code": TopK(2, anneal=0.5), "lr_schedule": "linear"},
    {"code": WinnerTakeAll(0.2), "early_stopping": False},
    {"code": Gaussian(warm_up=0.5), "loss": "log_loss"},
    {"code": "gaussian", "loss": "poisson"},
    {"loss": Huber(0.5), "corruption": "salt_and_pepper"},
    {"loss": Mixed([("log_loss", [0]), ("cross_entropy", [1, 2])])},
    {"ordered": True},
    {"n_components": 0.5},
    {"penalty": ["l1", "contractive"], "corruption": 0.3},
    {"module": partial(DenseAutoencoder, hidden_layer_sizes=(4,), activation=nn.Tanh)},
    {"module": ConvAutoencoder(6, 3, image_shape=(2, 3), channels=(2,))},
]
FAILURES = [
    {"lr": 1e30, "init": "random"},
    {"code": "no code"},
    {"hidden_layer_sizes": (0,)},
    {"loss": Mixed([("huber", 99)])},
]


def one_fit(i: int) -> None:
    """Fit a configuration to its own data, use it, and check that it fails if it should."""
    rng = np.random.default_rng(i)
    X = rng.uniform(size=(rng.integers(20, 200), 6)).astype(rng.choice([np.float32, np.float64]))
    settings = {"n_components": 3, "max_epochs": 3, "random_state": i} | CONFIGURATIONS[i % len(CONFIGURATIONS)]
    model = AutoencoderTransformer(**settings).fit(X)
    model.inverse_transform(model.transform(X))
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.transform(X), model.transform(X))
    loaded.partial_fit(X)
    if i % 10 == 9:
        fails(model, X, FAILURES[i // 10 % len(FAILURES)])
        fails(model, X * np.nan, {})


def fails(model: AutoencoderTransformer, X: np.ndarray, changes: dict) -> None:
    """Check that a fit fails with a ValueError."""
    try:
        model.set_params(**changes).fit(X)
    except ValueError:
        return
    raise AssertionError(f"{changes} did not fail")


def counts() -> dict[str, int]:
    """Count what is alive: megabytes, files and threads of the process, estimators and tensors."""
    gc.collect()
    process = psutil.Process()
    objects = gc.get_objects()
    return {
        "MB": process.memory_info().rss / 2**20,
        "files": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
        "threads": threading.active_count(),
        "system threads": process.num_threads(),
        "estimators": sum(type(x) is AutoencoderTransformer for x in objects),
        "tensors": sum(issubclass(type(x), torch.Tensor) for x in objects),
    }


def main() -> None:
    n_fits = int(sys.argv[1]) if len(sys.argv) > 1 else N_FITS
    print(f"{n_fits} fits of {len(CONFIGURATIONS)} configurations in one process\n")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{time.strftime('%Y-%m-%d')}; {platform.machine()}, {torch.get_num_threads()} threads; {versions}\n")
    print_head("fits", "seconds", *(before := counts()))
    start = time.perf_counter()
    for i in range(n_fits + 1):
        if i % STEP == 0:
            now = counts()
            print_row(i, f"{time.perf_counter() - start:.0f}", f"{now['MB']:.1f}", *list(now.values())[1:])
            before = now if i <= WARM else before
        one_fit(i)
    grown = now["MB"] - before["MB"]
    left = {name: now[name] - before[name] for name in list(now)[1:] if now[name] > before[name]}
    print(f"\nThe resident set grew by {grown:.1f} MB after the first {WARM} fits; allowed are {GROWTH}.")
    print(f"Left behind: {left or 'nothing'}.")
    sys.exit(grown >= GROWTH or bool(left))


if __name__ == "__main__":
    main()
