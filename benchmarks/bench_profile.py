"""Where the time of a training step goes, compared with a roofline: python -m benchmarks.bench_profile.

The roofline is the least that the machine needs: the step's matrix products at the rate that products of their shapes
reach, and what has to pass through memory besides, at the rate of a copy. The profile is torch's, of one thread's self
time by kind of operation; time outside of torch's operations is that of Python and skorch, including the profiler's.
To profile the code before a change, run it in an older checkout, with its benchmarks folder replaced by this one.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.profiler import ProfilerActivity, profile

from benchmarks.bench_steps import N_FEATURES, N_ROWS, N_UNITS, estimator, hand_written, products
from benchmarks.measure import timed
from benchmarks.tables import print_head, print_header, print_row

REPEATS = 5
BATCHES = (256, 1024)
#: Kinds of operations by their names in torch, or the beginnings of these; the first match counts.
KINDS = {
    "products": ("aten::addmm", "aten::mm"),
    "optimizer": ("aten::_fused_adamw", "aten::_foreach_zero"),
    "average of weights": ("aten::_foreach_lerp", "aten::_foreach_"),
    "gathering batches": ("aten::index", "aten::randperm", "aten::split"),
    "loss and output": (
        *("aten::sub", "aten::mse_loss", "aten::linalg_vector_norm", "aten::square", "aten::mul_", "aten::mean"),
        *("aten::clamp", "aten::lerp", "aten::where", "aten::eq", "aten::mul", "aten::pow", "LeakyClip"),
    ),
    "sums of biases": ("aten::sum",),
    "additions": ("aten::add",),
}
OTHER, OUTSIDE = "other operations", "outside of operations"


def best_of(function: Callable[[], float]) -> float:
    return min(function() for _ in range(REPEATS))


def bandwidth() -> float:
    """Return the bytes per second that a copy reads and writes."""
    source = torch.rand(2**25)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / best_of(lambda: timed(lambda: target.copy_(source)))


def traffic(batch: int) -> dict[str, int]:
    """Return by part the bytes of a step that no matrix product reads or writes; each array is traversed once."""
    rows, weights = 4 * batch * N_FEATURES, 4 * (2 * N_FEATURES * N_UNITS + N_FEATURES + N_UNITS)
    return {
        "gathering batches": 2 * rows,
        "loss and its gradient": 5 * rows,  # output and target in twice, the gradient out
        "sums of biases": rows,
        "optimizer": 7 * weights,  # weights, gradients, two moments in; all but gradients out
    }


def kind_of(name: str) -> str:
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), OTHER)


class ProfileEpoch(Callback):
    """Profiles the last epoch of a net, as a hand-written one is profiled by :meth:`profile`."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self._profiler = profile(activities=[ProfilerActivity.CPU])
        self._profiler.start()
        self._start = time.perf_counter()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._seconds = time.perf_counter() - self._start
        self._profiler.stop()

    def profile(self, epoch: Callable[[], float]) -> "ProfileEpoch":
        self.on_epoch_begin(None)
        epoch()
        self.on_epoch_end(None)
        return self

    def by_kind(self, n_steps: int) -> dict[str, float]:
        """Return milliseconds per step by kind of operation."""
        found = dict.fromkeys((*KINDS, OTHER), 0.0)
        for event in self._profiler.key_averages():
            if not event.key.startswith("Optimizer."):  # Python and skorch, which calls the model from within the step
                found[kind_of(event.key)] += event.self_cpu_time_total / 1e3 / n_steps
        return found | {OUTSIDE: 1e3 * self._seconds / n_steps - sum(found.values())}


def main() -> None:
    torch.set_num_threads(2)
    title = f"Roofline and profile of a step, {N_FEATURES}-{N_UNITS}-{N_FEATURES} without hidden layers, milliseconds"
    print_header(title, (0,), f"least of {REPEATS} repeats; profiles of one epoch")
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    rate = bandwidth()
    print(f"A copy moves {rate / 1e9:.1f} GB/s.\n")
    print_head("batch", "products", *traffic(1), "least in all", "ours", "hand-written")
    columns = {}
    for batch in BATCHES:
        n_steps = N_ROWS // batch
        ours, hand = estimator(X, batch, (), "identity"), hand_written(X, batch, ())
        least = [1e3 * best_of(products(X, batch, ())) / n_steps]
        least += [1e3 * n_bytes / rate for n_bytes in traffic(batch).values()]
        measured = [1e3 * best_of(contender) / n_steps for contender in (ours, hand)]
        print_row(batch, *(f"{value:.3f}" for value in [*least, sum(least), *measured]))
        of_ours, of_hand = ProfileEpoch(), ProfileEpoch().profile(hand)
        estimator(X, batch, (), "identity", of_ours)()
        columns |= {f"ours, {batch}": of_ours.by_kind(n_steps), f"hand-written, {batch}": of_hand.by_kind(n_steps)}
    print()
    print_head("milliseconds a step", *columns)
    for kind in (*KINDS, OTHER, OUTSIDE):
        print_row(kind, *(f"{column[kind]:.3f}" for column in columns.values()))


if __name__ == "__main__":
    main()
