"""Loss and validation score by epoch."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_ae.plotting._base import NamedDisplay
from sklearn_ae.plotting._checks import check_curve, find_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossCurveDisplay"]


@dataclass(eq=False, repr=False)
class LossCurveDisplay(NamedDisplay):
    """Training loss and validation R² by epoch.

    It is recommended to use :meth:`from_estimator` or :meth:`from_curves`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of epochs 1 to n_epochs.
    validation_scores : array-like of shape (n_epochs + 1,) or (n_epochs,), default=None
        R² on the validation set after each epoch, and first that before training (epoch 0), if it is known.
    best_epoch : int, default=None
        Epoch whose weights were kept, 0 to n_epochs; 0 is the initialization.
    estimator_name : str, default=None
        Title of the plot.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) or (2,) of matplotlib Axes
        The Axes of the loss and, with validation scores, that of the R², which shares its x axis.
    ax_ : matplotlib Axes
        The Axes of the loss.

    Examples
    --------
    >>> from sklearn_ae.plotting import LossCurveDisplay
    >>> display = LossCurveDisplay(
    ...     [0.5, 0.3, 0.2], validation_scores=[0.4, 0.6, 0.8, 0.7], best_epoch=2
    ... ).plot()
    >>> display.figure_.savefig("training.png")  # doctest: +SKIP
    """

    loss_curve: ArrayLike
    _: KW_ONLY
    validation_scores: ArrayLike | None = None
    best_epoch: int | None = None
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None) -> LossCurveDisplay:
        """Draw the training curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``loss_curve_`` and optionally ``validation_scores_`` and ``best_epoch_``; or a
            pipeline, of which the last step with a ``loss_curve_`` is drawn.
        name : str, default=None
            Title of the plot. By default the class name of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``loss_curve_``.
        NotFittedError
            If it is not fitted.
        ValueError
            If the estimator trained for no epoch and has no validation scores.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import AutoencoderTransformer
        >>> from sklearn_ae.plotting import LossCurveDisplay
        >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
        >>> display = LossCurveDisplay.from_estimator(autoencoder.fit(load_iris().data))
        """
        check_is_fitted(estimator)
        step, _ = find_step(estimator, "loss_curve_")
        return cls(
            step.loss_curve_,
            validation_scores=getattr(step, "validation_scores_", None),
            best_epoch=getattr(step, "best_epoch_", None),
            estimator_name=type(step).__name__ if name is None else name,
        ).plot(ax=ax)

    @classmethod
    def from_curves(
        cls,
        loss_curve: ArrayLike,
        *,
        validation_scores: ArrayLike | None = None,
        best_epoch: int | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> LossCurveDisplay:
        """Draw curves given as arrays.

        Parameters
        ----------
        loss_curve : array-like of shape (n_epochs,)
            Training loss of epochs 1 to n_epochs.
        validation_scores : array-like of shape (n_epochs + 1,) or (n_epochs,), default=None
            R² on the validation set after each epoch, and first that before training (epoch 0), if it is known.
        best_epoch : int, default=None
            Epoch whose weights were kept, 0 to n_epochs; 0 is the initialization.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the lengths do not agree or there is nothing to draw.

        Examples
        --------
        >>> from sklearn_ae.plotting import LossCurveDisplay
        >>> display = LossCurveDisplay.from_curves([0.5, 0.3, 0.2], name="by hand")
        >>> display.ax_.get_title()
        'by hand'
        """
        return cls(
            loss_curve,
            validation_scores=validation_scores,
            best_epoch=best_epoch,
            estimator_name=name,
        ).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; the R² gets a second y axis. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the lengths do not agree or there is nothing to draw.
        ImportError
            If matplotlib is not installed.
        """
        loss, scores = self._check()
        ax = self._set_axes(ax, (6.4, 4.0))
        lines = []
        if len(loss):
            lines += ax.plot(range(1, len(loss) + 1), loss, "C0.-", label="training loss")
            ax.set_ylabel("training loss")
        else:
            ax.set_yticks([])
        if scores is not None:
            twin = ax.twinx()
            first = len(loss) + 1 - len(scores)
            lines += twin.plot(range(first, len(loss) + 1), scores, "C1.--", label="validation R²")
            twin.set_ylabel("validation R²")
            self.axes_ = np.array([ax, twin])
        if self.best_epoch is not None:
            label = f"best epoch ({self.best_epoch})"
            lines.append(ax.axvline(self.best_epoch, color="0.5", linestyle=":", label=label))
        margin = max(0.5, 0.03 * len(loss))
        ax.set(xlabel="epoch", xlim=(-margin, len(loss) + margin))
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        self._draw_legend_and_title(ax, lines)
        return self

    def _check(self) -> tuple[np.ndarray, np.ndarray | None]:
        loss = check_curve("loss_curve", self.loss_curve)
        scores = None
        if self.validation_scores is not None:
            scores = check_curve("validation_scores", self.validation_scores)
            if len(scores) not in (len(loss) or 1, len(loss) + 1):
                raise ValueError(
                    f"validation_scores must have as many entries as loss_curve, or one more, the score before "
                    f"training: expected {len(loss) or 1} or {len(loss) + 1}, got {len(scores)}."
                )
        elif len(loss) == 0:
            raise ValueError(
                "Nothing to draw: loss_curve is empty and there are no validation_scores. Train for at least one epoch."
            )
        if self.best_epoch is not None and not 0 <= self.best_epoch <= len(loss):
            raise ValueError(
                f"best_epoch must be 0 to {len(loss)}, the number of epochs in loss_curve, got {self.best_epoch}."
            )
        return loss, scores
