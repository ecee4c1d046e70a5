"""One contender on one data set, in a separate process: python -m benchmarks.peers.contend NAME DATA.

Prints a line for each point when it is reached, and one with the costs at the end.
"""

import statistics
import sys
import warnings
from collections.abc import Callable

import torch

from benchmarks.measure import forget_peak, kib, timed
from benchmarks.peers.clock import Clock
from benchmarks.peers.contenders import CONTENDERS, warm_up
from benchmarks.peers.data import LIMITS, UNITS, load


def seconds_of(call: Callable[[], object], repeats: int) -> float:
    return statistics.median(timed(call) for _ in range(repeats))


def main(name: str, data: str) -> None:
    warnings.simplefilter("ignore")  # of fits that reach their limit
    torch.set_num_threads(2)
    warm_up()
    X, test = load(data)
    forget_peak()
    before = kib("VmRSS")
    clock = Clock(test, X.mean(axis=0, dtype="float64"), LIMITS[data])
    encode = CONTENDERS[name](X, UNITS[data], clock)
    for seconds, score in clock.points:
        print(f"final {seconds:.4f} {score:.5f}")
    print(f"peak {(kib('VmHWM') - before) * 1024 / X.nbytes:.3f}")
    if encode is not None:
        print(f"rate {len(test) / seconds_of(lambda: encode(test), 5):.0f}")
        print(f"latency {seconds_of(lambda: encode(test[:1]), 100):.7f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
