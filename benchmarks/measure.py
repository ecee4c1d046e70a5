"""Helpers of the benchmarks: the seconds of a call, and the memory of the process as reported by Linux."""

import time
from collections.abc import Callable


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def kib(field: str) -> int:
    """Return a figure of the process in KiB: VmRSS is its memory now, VmHWM the peak."""
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(field)).split()[1])


def forget_peak() -> None:
    """Reset the peak."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
