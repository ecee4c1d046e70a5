"""Explained variance by component."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_ae.plotting._base import (
    _NamedDisplay,
)
from sklearn_ae.plotting._checks import check_curve, find_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ScreeDisplay"]


@dataclass(eq=False, repr=False)
class ScreeDisplay(_NamedDisplay):
    """The share of the variance that each unit explains, and that of all units up to it.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    explained_variance_ratio : array-like of shape (n_components,)
        Share of each unit, finite. A negative one is a unit that makes the reconstruction worse.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds bars and line.
    ax_ : matplotlib Axes
        The same, alone.

    Examples
    --------
    >>> from sklearn_ae.plotting import ScreeDisplay
    >>> display = ScreeDisplay([0.5, 0.25, 0.125], estimator_name="three units").plot()
    >>> display.figure_.savefig("scree.png")  # doctest: +SKIP
    """

    explained_variance_ratio: ArrayLike
    _: KW_ONLY
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None) -> ScreeDisplay:
        """Draw the ``explained_variance_ratio_`` of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``explained_variance_ratio_``, such as PCA or AutoencoderTransformer, or a pipeline: its
            last step that has them is drawn.
        name : str, default=None
            Title of the picture. By default the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : ScreeDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``explained_variance_ratio_``.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ScreeDisplay
        >>> display = ScreeDisplay.from_estimator(PCA(8).fit(load_digits().data))
        """
        check_is_fitted(estimator)
        step, _ = find_step(estimator, "explained_variance_ratio_")
        label = type(step).__name__ if name is None else name
        return cls(step.explained_variance_ratio_, estimator_name=label).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> ScreeDisplay:
        """Draw a bar for each unit, and the line of their sums.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : ScreeDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the shares are not one-dimensional and finite, or there are none.
        ImportError
            If matplotlib is not installed.
        """
        shares = check_curve("explained_variance_ratio", self.explained_variance_ratio)
        if len(shares) == 0 or not np.isfinite(shares).all():
            raise ValueError(f"explained_variance_ratio must be one finite number or more, got {shares}.")
        ax = self._start(ax, (6.4, 4.0))
        units = np.arange(len(shares))
        bars = ax.bar(units, shares, color="C0", label="this unit")
        markevery = max(1, len(shares) // 20)
        sums = ax.plot(units, shares.cumsum(), "C1s-", markersize=4, markevery=markevery, label="all units up to it")
        ax.axhline(0, color="0.2", linewidth=0.8)
        ax.set(xlabel="unit", ylabel="share of the variance explained", xlim=(-0.7, len(shares) - 0.3))
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        self._draw_head(ax, [bars, *sums])
        return self
