"""Hash what twenty-five varied fits predict, to show that a refactoring changes no bit of a result.

Run ``OMP_NUM_THREADS=1 python -m benchmarks.digest`` before and after the change, on one machine, and compare.
"""

import hashlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian, TopK
from sklearn_ae.losses import Mixed
from sklearn_ae.networks import ConvAutoencoder, TiedAutoencoder

DIGITS = load_digits().data[:600]
CANCER = StandardScaler().fit_transform(load_breast_cancer().data)[:300]
RNG = np.random.default_rng(0)
GAPS = np.where(RNG.random(CANCER.shape) < 0.1, np.nan, CANCER)
BINARY = np.c_[CANCER[:, :4], CANCER[:, 4:8] > 0]


def fits() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield names, data and parameters."""
    yield "default", DIGITS, {}
    yield "float32", DIGITS.astype(np.float32), {}
    yield "standardised", CANCER, {}
    yield "linear", CANCER, {"hidden_layer_sizes": ()}
    yield "tied", CANCER, {"module": TiedAutoencoder}
    yield "deep", DIGITS, {"hidden_layer_sizes": (40, 20), "activation": "relu", "lr_schedule": "linear"}
    yield "ordered", DIGITS, {"ordered": True}
    yield "share", DIGITS, {"n_components": 0.7}
    yield "auto", CANCER, {"n_components": "auto"}
    yield "top k", DIGITS, {"code": TopK(3), "n_components": 20}
    yield "winner take all", DIGITS, {"code": "winner_take_all", "n_components": 8}
    yield "gaussian", DIGITS, {"code": Gaussian(), "n_components": 4}
    yield "relu, l1", DIGITS, {"code": "relu", "penalty": "l1"}
    yield "sigmoid, sparse", DIGITS, {"code": "sigmoid", "penalty": ["kl_sparsity", "orthogonal"]}
    yield "contractive", CANCER, {"penalty": "contractive"}
    yield "masking", DIGITS, {"corruption": 0.3}
    yield "gaussian noise", CANCER, {"corruption": "gaussian_noise", "early_stopping": False}
    yield "missing", GAPS, {"missing": "mask", "corruption": 0.2}
    yield "log loss", DIGITS / 16, {"loss": "log_loss"}
    yield "poisson", DIGITS, {"loss": "poisson"}
    yield "mixed", BINARY, {"loss": Mixed([("squared_error", slice(0, 4)), ("log_loss", slice(4, 8))])}
    yield "sparse", csr_array(DIGITS), {"optimizer": "sgd", "lr": 0.01}
    yield "streamed", [DIGITS[:200], DIGITS[200:]], {"batch_size": 50}
    yield "convolutional", DIGITS, {"module": ConvAutoencoder}
    yield "shifted", CANCER * 3.7 + 1e6, {"init": "random", "optimizer": "adam", "weight_decay": 0.01}


def predictions(model: Any, X: Any) -> Iterator[np.ndarray]:
    """Yield all that a fitted model computes for X, and its fitted attributes."""
    rows = np.concatenate(X) if isinstance(X, list) else X
    for part in (rows, rows[:50].astype(np.float32)):
        codes = model.transform(part)
        yield from (codes, model.inverse_transform(codes), np.array(model.score(part)), model.score_samples(part))
    yield from (model.components_, model.mean_, model.explained_variance_, model.explained_variance_ratio_)
    yield model.loss_curve_
    if model.validation_scores_ is not None:
        yield model.validation_scores_
    if model.missing == "mask":
        yield model.impute(rows)
    if hasattr(model, "reconstruction_curve"):
        yield model.reconstruction_curve(rows)
    if hasattr(model, "elbo"):
        yield np.array(model.elbo(rows, random_state=0))


def digest(arrays: Iterator[np.ndarray]) -> str:
    """Return a short hash of the bytes, shapes and dtypes of arrays."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape} {array.dtype}".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:16]


def main() -> None:
    warnings.simplefilter("ignore")
    total = hashlib.sha256()
    for name, X, params in fits():
        model = AutoencoderTransformer(**{"n_components": 5, "max_epochs": 6, "random_state": 0} | params).fit(X)
        hashes = [digest(predictions(model, X))]
        if name in ("default", "ordered", "missing", "sparse"):
            hashes.append(digest(predictions(model.partial_fit(X[:100]), X)))
            hashes.append(digest(predictions(model.set_params(warm_start=True).fit(X), X)))
        total.update("".join(hashes).encode())
        print(f"{name:20}", *hashes)
    print(f"{'all':20}", total.hexdigest()[:16])


if __name__ == "__main__":
    main()
