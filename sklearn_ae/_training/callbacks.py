"""Callbacks of the skorch net: the best weights, the progress bar."""

from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_ae._model.weights import weights_of

__all__ = ["KeepBest", "Progress", "StopTraining"]


class StopTraining(KeyboardInterrupt):
    """Planned end of the loop; skorch's loop only ends on KeyboardInterrupt."""


class KeepBest(Callback):
    """Keeps the weights with the lowest objective, stops when there is no improvement, and restores them.

    The objective is that of the end of training, noise included but from a fixed seed, on the validation set; without a
    split it is the epoch's mean training loss. The initialization counts as epoch 0; epochs in which the objective is
    still being annealed, in the first fraction `annealed_until` of training, do not count.
    """

    def __init__(self, n_iter_no_change: float, tol: float, annealed_until: float = 0.0):
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.annealed_until = annealed_until

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Take the initialization as the best so far."""
        train, valid = net.get_split_datasets(X, y)
        objective, start_score = net.evaluate(train if valid is None else valid)
        self.objective_ = objective if np.isfinite(objective) else np.inf
        self.validation_scores_ = None if valid is None else [start_score]
        self.epoch_ = 0
        self.reference_ = self.objective_
        self.n_epochs_without_ = 0
        self.lowered_ = False
        self.annealed_: tuple[int, dict[str, Tensor]] | None = None
        self._keep(net)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the epoch with the best one."""
        epoch = net.history[-1]
        objective = epoch["train_loss"] if self.validation_scores_ is None else epoch["valid_loss"]
        if not (np.isfinite(epoch["train_loss"]) and np.isfinite(objective)):
            self._lower_rate(net)
            return
        if self.validation_scores_ is not None:
            self.validation_scores_.append(net.validation_score())
        if net.progress_ < self.annealed_until:
            self.annealed_ = len(net.history), weights_of(net.candidate)
            return
        self.annealed_ = None
        if objective < self.objective_:
            self.objective_, self.epoch_ = objective, len(net.history)
            self._keep(net)
        if objective < self.reference_ - self.tol * abs(self.reference_):
            self.reference_, self.n_epochs_without_ = objective, 0
        else:
            self.n_epochs_without_ += 1
        net.stop_ = self.n_epochs_without_ >= self.n_iter_no_change

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the best weights, or those of the last complete epoch if training stopped during annealing."""
        self.epoch_, self.weights_ = self.chosen
        net.module_.load_state_dict(self.weights_)
        net.module_.eval()

    @property
    def chosen(self) -> tuple[int, dict[str, Tensor]]:
        """The epoch and the weights that are kept if training ends now."""
        return (self.epoch_, self.weights_) if self.annealed_ is None else self.annealed_

    def _keep(self, net: Any) -> None:
        self.weights_ = weights_of(net.candidate)

    def _lower_rate(self, net: Any) -> None:
        if self.lowered_:
            raise ValueError(
                f"The loss stopped being finite in epoch {len(net.history)}, and again with a tenth of lr={net.lr:g}. "
                "Lower lr, or scale the data, for example with sklearn.preprocessing.StandardScaler."
            )
        self.lowered_ = True
        if self.validation_scores_ is not None:
            self.validation_scores_.append(self.validation_scores_[-1])
        net.module_.load_state_dict(self.chosen[1])
        net.start_average()
        net.optimizer_.state.clear()
        for group in net.optimizer_.param_groups:
            group["initial_lr"] = 0.1 * group.get("initial_lr", group["lr"])
            group["lr"] *= 0.1


class Progress(Callback):
    """A progress bar with epoch, loss, validation R² and time left."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the bar."""
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=net.max_epochs, unit="epoch", desc="AutoencoderTransformer")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Advance the bar."""
        shown = {"loss": f"{net.history[-1, 'train_loss']:.4g}"}
        if "valid_loss" in net.history[-1]:
            shown["R2"] = f"{net.validation_score():.4f}"
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update(len(net.history) - self.bar_.n)  # more than one when training resumes

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
