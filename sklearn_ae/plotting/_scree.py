"""Explained variance by component."""

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

__all__ = ["ScreeDisplay"]


@dataclass(eq=False, repr=False)
class ScreeDisplay(NamedDisplay):
    """The fraction of variance that each component explains, and the cumulative fraction if it is that of a prefix.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    explained_variance_ratio : array-like of shape (n_components,)
        Fraction of each component, finite. It is negative for a component that makes the reconstruction worse.
    estimator_name : str, default=None
        Title of the plot.
    cumulative : bool, default=True
        Whether to draw the line of cumulative sums. They are meaningful only if the first components are the best code
        of their number, as for PCA and for an ordered or linear autoencoder.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with bars and, if it is drawn, the line.
    ax_ : matplotlib Axes
        The first of ``axes_``.

    Examples
    --------
    >>> from sklearn_ae.plotting import ScreeDisplay
    >>> display = ScreeDisplay([0.5, 0.25, 0.125], estimator_name="three components").plot()
    >>> display.figure_.savefig("scree.png")  # doctest: +SKIP
    """

    explained_variance_ratio: ArrayLike
    _: KW_ONLY
    estimator_name: str | None = None
    cumulative: bool = True

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None) -> ScreeDisplay:
        """Draw the ``explained_variance_ratio_`` of a fitted estimator.

        For a nonlinear AutoencoderTransformer that is not ordered there is no line of cumulative sums, which would be
        below the R² of fits with fewer components.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``explained_variance_ratio_``, such as PCA or AutoencoderTransformer, or a pipeline,
            of which the last step that has it is drawn.
        name : str, default=None
            Title of the plot. By default the class name of the estimator.
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
        module = getattr(step, "module_", None)
        cumulative = bool(getattr(module, "ordered", True) or getattr(module, "is_linear", True))
        return cls(step.explained_variance_ratio_, estimator_name=label, cumulative=cumulative).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> ScreeDisplay:
        """Draw one bar per component and, with `cumulative`, a line of their sums.

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
            If the fractions are not one-dimensional and finite, or there are none.
        ImportError
            If matplotlib is not installed.
        """
        fractions = check_curve("explained_variance_ratio", self.explained_variance_ratio)
        if len(fractions) == 0 or not np.isfinite(fractions).all():
            raise ValueError(f"explained_variance_ratio must have at least one entry, all finite, got {fractions}.")
        ax = self._set_axes(ax, (6.4, 4.0))
        components = np.arange(len(fractions))
        bars = ax.bar(components, fractions, color="C0", label="per component")
        handles: list[Any] = [bars]
        if self.cumulative:
            style: dict[str, Any] = {"markersize": 4, "markevery": max(1, len(fractions) // 20), "label": "cumulative"}
            handles += ax.plot(components, fractions.cumsum(), "C1s-", **style)
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set(xlabel="component", ylabel="fraction of variance explained", xlim=(-0.7, len(fractions) - 0.3))
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        self._draw_legend_and_title(ax, handles)
        return self
