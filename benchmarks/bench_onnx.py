"""Latency of onnxruntime compared with transform and PCA: `python -m benchmarks.bench_onnx`.

One thread, float32 rows of the widths of digits and of MNIST. They are measured in turns, `REPEATS` times; the table
shows the median, least and greatest time of a call.
"""

import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import skl2onnx
import torch
from onnx import ModelProto
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.onnx import encoder_to_onnx, register_with_skl2onnx

REPEATS = 9
SECONDS = 0.2  # of calls in a repeat
SEED = 0
WIDTHS = ((64, 10), (784, 32))
N_ROWS = (1, 1000)


def session_of(model: ModelProto) -> onnxruntime.InferenceSession:
    """Return a session with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def seconds_of_a_call(call: Callable[[], object]) -> float:
    """Return the mean time of calls over `SECONDS`."""
    n_calls, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < SECONDS:
        call()
        n_calls += 1
    return passed / n_calls


def contenders(n_features: int, n_components: int) -> tuple[dict[str, Callable], dict[str, Callable]]:
    """Return the functions that compute codes and those that predict classes, by name."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(2000, n_features)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    autoencoder = AutoencoderTransformer(n_components, max_epochs=2, random_state=SEED)
    pipeline = make_pipeline(StandardScaler(), autoencoder, LogisticRegression()).fit(X, y)
    autoencoder.fit(X)
    encoder = session_of(encoder_to_onnx(autoencoder))
    whole = session_of(skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False}))
    codes = {
        "onnxruntime": lambda rows: encoder.run(None, {"X": rows}),
        "transform": autoencoder.transform,
        "PCA": PCA(n_components).fit(X).transform,
    }
    classes = {
        "onnxruntime, Pipeline": lambda rows: whole.run(None, {"X": rows}),
        "predict_proba of the Pipeline": pipeline.predict_proba,
    }
    return codes, classes


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    register_with_skl2onnx()
    print_header("Microseconds of a call, a hidden layer of 128", [SEED], f"median of {REPEATS} (least to greatest)")
    print(f"onnxruntime {onnxruntime.__version__}\n")
    print_head("features, units", "what", *(f"{n:,} row{'s' if n > 1 else ''}" for n in N_ROWS))
    rng = np.random.default_rng(SEED)
    for n_features, n_components in WIDTHS:
        calls = {name: call for part in contenders(n_features, n_components) for name, call in part.items()}
        rows = [rng.normal(size=(n, n_features)).astype(np.float32) for n in N_ROWS]
        seconds = np.array(
            [[[seconds_of_a_call(lambda c=c, x=x: c(x)) for x in rows] for c in calls.values()] for _ in range(REPEATS)]
        )
        for i, name in enumerate(calls):
            cells = (np.quantile(seconds[:, i, j] * 1e6, [0.5, 0, 1]) for j in range(len(rows)))
            print_row(f"{n_features}, {n_components}", name, *(f"{m:,.0f} ({a:,.0f} to {b:,.0f})" for m, a, b in cells))


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
