"""Milliseconds per training step, compared with a hand-written loop and with the matrix products alone, the floor.

    python -m benchmarks.bench_steps

Everything runs interleaved in one process on two threads; ratios are medians of those within a repeat. The products are
those of forward and backward pass, on data that is in place; the hand-written loop shuffles, gathers, and steps AdamW.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from skorch.callbacks import Callback

from benchmarks.bench_speed import PAUSE
from benchmarks.clock import Clock
from benchmarks.hand_written import Network, train_epoch
from benchmarks.measure import timed
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer

REPEATS = 15
N_ROWS, N_FEATURES, N_UNITS = 20_480, 784, 64
#: Batch size, widths of hidden layers, output activation.
SETTINGS = (
    (256, (), "identity"),
    (1024, (), "identity"),
    (256, (), "clip"),
    (1024, (), "clip"),
    (256, (128,), "identity"),
    (1024, (128,), "identity"),
)


def estimator(
    X: np.ndarray, batch: int, hidden: Sequence[int], output: str, *callbacks: Callback
) -> Callable[[], float]:
    """Return a function that fits for an epoch of training, no validation, and returns its seconds."""
    clock = Clock()
    model = AutoencoderTransformer(
        N_UNITS,
        hidden_layer_sizes=hidden,
        output_activation=output,
        batch_size=batch,
        max_epochs=1,
        lr_schedule="linear",
        early_stopping=False,
        init="random",
        callbacks=[clock, *callbacks],
        random_state=0,
    )

    def epoch() -> float:
        model.fit(X)
        return clock.seconds_per_epoch

    return epoch


def hand_written(X: np.ndarray, batch: int, hidden: Sequence[int]) -> Callable[[], float]:
    rows, network = torch.from_numpy(X), Network(N_FEATURES, N_UNITS, hidden)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    return lambda: timed(lambda: train_epoch(network, optimizer, rows, len(rows), batch))


def products(X: np.ndarray, batch: int, hidden: Sequence[int]) -> Callable[[], float]:
    """Return the same for the matrix products of the affine path and of each hidden layer, forward and backward."""
    pairs = [(N_FEATURES, N_UNITS), *((N_FEATURES, width) for width in hidden), *((w, N_UNITS) for w in hidden)]
    x = torch.from_numpy(X[:batch])
    encoder = [(torch.randn(batch, n), torch.randn(m, n), torch.empty(batch, m)) for n, m in pairs]
    buffers = [(torch.empty(batch, n), torch.empty(m, n)) for n, m in pairs]

    def epoch() -> None:
        for _ in range(len(X) // batch):
            for (n, _m), (a, W, h), (back, gradient) in zip(pairs, encoder, buffers, strict=True):
                given = x if n == N_FEATURES else a
                torch.mm(given, W.T, out=h)  # encoder, forward
                torch.mm(h, W, out=back)  # decoder, forward
                torch.mm(back, W.T, out=h)  # to the decoder's input
                torch.mm(h.T, back, out=gradient)  # the decoder's weights
                torch.mm(h.T, given, out=gradient)  # the encoder's weights
                if n != N_FEATURES:
                    torch.mm(h, W, out=back)  # to the hidden layer of the encoder

    return lambda: timed(epoch)


def main() -> None:
    torch.set_num_threads(2)
    print_header(f"Milliseconds a step, {N_FEATURES} features, {N_UNITS} units, {REPEATS} repeats", (0,))
    print_head(
        "batch",
        "hidden",
        "output",
        "ours",
        "hand-written",
        "products",
        "ours / hand",
        "ours / products",
        "hand / products",
    )
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    for batch, hidden, output in SETTINGS:
        contenders = (estimator(X, batch, hidden, output), hand_written(X, batch, hidden), products(X, batch, hidden))
        for contender in contenders:
            contender()
        seconds = np.empty((REPEATS, len(contenders)))
        for repeat in seconds:
            for i, contender in enumerate(contenders):
                time.sleep(PAUSE / 5)
                repeat[i] = contender()
        ours, hand, floor = seconds.T
        milliseconds = (f"{1e3 * value * batch / N_ROWS:.2f}" for value in np.median(seconds, axis=0))
        ratios = (f"{np.median(ratio):.2f}" for ratio in (ours / hand, ours / floor, hand / floor))
        print_row(batch, hidden, output, *milliseconds, *ratios)


if __name__ == "__main__":
    main()
