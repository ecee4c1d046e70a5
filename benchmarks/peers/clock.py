"""The clock that a contender trains against: seconds of training, and the held-out R² reached by then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np


class Clock:
    """Seconds since the start, without those spent on scoring, and the R² at points that the contender chooses.

    Parameters
    ----------
    test : ndarray of shape (n_samples, n_features)
        Held-out samples.
    mean : ndarray of shape (n_features,)
        Mean of the training samples, the baseline of R².
    limit : float
        Seconds after which the contender should end.
    """

    def __init__(self, test: np.ndarray, mean: np.ndarray, limit: float):
        self.test = test
        self.limit = limit
        self._variance = float(np.square(test - mean, dtype=np.float64).sum())
        self.points: list[tuple[float, float]] = []
        self.start()

    def start(self) -> None:
        """Restart the clock, as for another fit, and keep the points."""
        self._first = len(self.points)
        self._stopped = 0.0
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._start - self._stopped

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the clock in this context."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._stopped += time.perf_counter() - before

    def point(self, reconstruct: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Record the held-out R² reached so far, and return whether to end."""
        seconds = self.seconds
        with self.stopped():
            error = float(np.square(self.test - reconstruct(self.test), dtype=np.float64).sum())
        self.points.append((seconds, 1 - error / self._variance))
        print(f"point {seconds:.4f} {self.points[-1][1]:.5f}", flush=True)
        return seconds > self.limit

    def add_the_end(self) -> None:
        """Add the seconds since the last point to each point since the start."""
        rest = self.seconds - self.points[-1][0]
        since = self._first
        self.points[since:] = [(seconds + rest, score) for seconds, score in self.points[since:]]
