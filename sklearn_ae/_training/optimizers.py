"""Optimizers, learning-rate schedules, precisions and the average of the weights."""

from collections.abc import Callable
from copy import deepcopy
from math import exp
from typing import Any

import torch
from skorch.callbacks import Callback
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sklearn_ae._model.module import Autoencoder

__all__ = ["OPTIMIZERS", "PRECISIONS", "SCHEDULES", "WeightAverage", "optimizer_settings"]

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
#: Precisions of the products of the network's layers in training.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def optimizer_settings(optimizer: str | type[torch.optim.Optimizer], weight_decay: float) -> dict[str, Any]:
    """Return the net's arguments for an optimizer given by name or class."""
    if not isinstance(optimizer, str):
        decay = {"optimizer__weight_decay": weight_decay} if weight_decay else {}
        return {"optimizer": optimizer, **decay}
    settings = {"optimizer": OPTIMIZERS[optimizer], "optimizer__weight_decay": weight_decay, "optimizer__fused": True}
    if optimizer == "sgd":
        settings |= {"optimizer__momentum": 0.9, "optimizer__nesterov": True}
    return settings


class WeightAverage:
    """Exponential moving average of a module's weights over the last steps.

    It spans a tenth of the steps so far, at most `window`: with a fixed span the average lags behind at first.
    """

    every = 4

    def __init__(self, module: Autoencoder, window: int):
        self.module = deepcopy(module).eval().requires_grad_(False)
        self.window = window
        self.n_steps = self.n_steps_taken = 0
        self._present = [parameter.detach() for parameter in module.parameters()]
        self._averages = list(self.module.parameters())
        self._buffers = list(zip(self.module.network.buffers(), module.network.buffers(), strict=True))

    def count_step(self) -> None:
        """Count a step of the module, and update the average every few steps."""
        self.n_steps += 1
        if self.n_steps - self.n_steps_taken == self.every:
            self.take()

    def take(self) -> None:
        """Update the average with the module's weights, weighted by the steps since the last update."""
        n_new = self.n_steps - self.n_steps_taken
        if n_new:
            blend = get_ema_multi_avg_fn(exp(-n_new / min(self.window, self.n_steps / 10)))
            blend(self._averages, self._present, None)
            for average, present in self._buffers:
                average.copy_(present)
            self.n_steps_taken = self.n_steps


#: Fraction of training in which the linear schedule raises the rate before lowering it.
WARM_UP = 0.02


class LinearSchedule(Callback):
    """Learning rate that rises over the first steps, then falls linearly to zero at the end of training."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Note the initial rate."""
        for group in net.optimizer_.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the rate of a step."""
        if training:
            fraction = min(1.0, (net.progress_ + 1 / net.n_steps_) / WARM_UP) * (1 - net.progress_)
            for group in net.optimizer_.param_groups:
                group["lr"] = fraction * group["initial_lr"]


SCHEDULES: dict[str, list[Callable[[], Callback]]] = {"constant": [], "linear": [LinearSchedule]}
