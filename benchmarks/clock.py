"""A skorch callback that times the epochs of a fit."""

import time
from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback


class Clock(Callback):
    """Records when each epoch begins and when training ends, by a clock that counts seconds."""

    def __init__(self, read: Callable[[], float] = time.perf_counter):
        self.read = read

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.times_: list[float] = []

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.times_.append(self.read())

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.times_.append(self.read())

    @property
    def seconds_per_epoch(self) -> float:
        return (self.times_[-1] - self.times_[0]) / (len(self.times_) - 1)
