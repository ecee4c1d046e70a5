"""Report a fit and its epochs to scikit-learn's callbacks."""

from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback

__all__ = ["CallbackContext", "SklearnCallbacks"]


class CallbackContext:
    """The task of a fit, with a subtask for each epoch.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        The estimator to fit, with callbacks.
    X : array-like
        The data.
    y : array-like or None
        The target passed to ``fit``; without one callbacks see X, the target of training.
    """

    def __init__(self, estimator: Any, X: Any, y: Any):
        self.estimator = estimator
        self._data = {"X": X, "y": X if y is None else y}
        known = None if estimator.max_epochs == "auto" else estimator.max_epochs
        self._fit = estimator._init_callback_context(max_subtasks=known)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any) -> "CallbackContext | None":
        """Begin the task of a fit; return None if the estimator has no callbacks."""
        return cls(estimator, X, y) if hasattr(estimator, "_skl_callbacks") else None

    def begin_epoch(self) -> None:
        """Begin the task of the next epoch."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self.estimator, **self._data)

    def end_epoch(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """End the task of an epoch; return whether a callback asks to stop.

        `fitted` returns the attributes of the estimator as if training ended now, for callbacks that need them.
        """
        of_epoch = {"estimator": self.estimator, **self._data, "reconstruction_attributes": fitted}
        return bool(self._epoch.call_on_fit_task_end(**of_epoch))

    def end(self) -> None:
        """End the task of the fit."""
        self._fit.call_on_fit_task_end(estimator=self.estimator, **self._data, reconstruction_attributes={})


class SklearnCallbacks(Callback):
    """Report of each epoch to scikit-learn's callbacks, any of which may stop training.

    `fitted` returns the attributes of the estimator as if training ended now. It follows :class:`KeepBest`.
    """

    def __init__(self, context: CallbackContext, fitted: Callable[[Any], dict[str, Any]]):
        self.context: CallbackContext | None = context
        self.fitted: Callable[[Any], dict[str, Any]] | None = fitted

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin the task of the epoch."""
        if self.context is not None:
            self.context.begin_epoch()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End the task of the epoch."""
        if self.context is not None and self.fitted is not None:
            fitted = self.fitted
            net.stop_ |= self.context.end_epoch(lambda: fitted(net))

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Release the data and the estimator, which a net that is trained further must not see."""
        self.context = self.fitted = None
