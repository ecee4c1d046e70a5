"""Codes as a scatter plot."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from sklearn_ae.plotting._base import LABEL_WIDTH, MARKERS, NamedDisplay, draw_colorbar, draw_legend, wrap
from sklearn_ae.plotting._checks import check_units, codes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CodeScatterDisplay"]

_MAX_NUMBERED_CLASSES = 20


@dataclass(eq=False, repr=False)
class CodeScatterDisplay(NamedDisplay):
    """Scatter plot of two components of a code, coloured by a target.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes, finite.
    y : array-like of shape (n_samples,), default=None
        Target. Classes (strings or at most twenty different integers) get a marker and a colour each, and a legend;
        other numbers get a colour bar.
    units : tuple of (int, int), default=(0, 1)
        The components on the x and the y axis, counted from zero.
    estimator_name : str, default=None
        Title of the plot.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with the points.
    ax_ : matplotlib Axes
        The first of ``axes_``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ae.plotting import CodeScatterDisplay
    >>> iris = load_iris()
    >>> display = CodeScatterDisplay(iris.data, iris.target_names[iris.target]).plot()
    >>> display.figure_.savefig("codes.png")  # doctest: +SKIP
    """

    codes: ArrayLike
    y: ArrayLike | None = None
    units: tuple[int, int] = (0, 1)
    _: KW_ONLY
    estimator_name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        units: tuple[int, int] = (0, 1),
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> CodeScatterDisplay:
        """Transform `X` with a fitted estimator and draw the codes.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` that returns at least two columns.
        X : array-like of shape (n_samples, n_features)
            Samples to draw, one point each.
        y : array-like of shape (n_samples,), default=None
            Target of the samples: classes or numbers.
        units : tuple of (int, int), default=(0, 1)
            The components on the x and the y axis, counted from zero.
        name : str, default=None
            Title of the plot. By default the class name of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeScatterDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform``.
        NotFittedError
            If it is not fitted.
        ValueError
            If `y` or `units` does not fit the codes.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import CodeScatterDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> display = CodeScatterDisplay.from_estimator(PCA(3).fit(X), X, y, units=(0, 2))
        """
        codes = codes_of(estimator, X)
        label = type(estimator).__name__ if name is None else name
        return cls(codes, y, units, estimator_name=label).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, cmap: Any = "viridis") -> CodeScatterDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colour map for a target of numbers. The default goes from dark to light, so it works in print without colour
            too.

        Returns
        -------
        display : CodeScatterDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `y` or `units` does not fit the codes.
        ImportError
            If matplotlib is not installed.
        """
        points, y = self._check()
        ax = self._set_axes(ax, (6.4, 4.8))
        style: dict[str, Any] = {"s": float(np.clip(40_000 / len(points), 9, 36)), "linewidths": 0.8}
        across, up = points.T
        if y is None:
            ax.scatter(across, up, **style)
        elif _has_classes(y):
            for position, label in enumerate(np.unique(y)):
                style |= _class_style(position)
                ax.scatter(across[y == label], up[y == label], label=wrap(str(label), LABEL_WIDTH), **style)
            draw_legend(ax, title=_target_name(self.y))
        else:
            draw_colorbar(ax, ax.scatter(across, up, c=y, cmap=cmap, **style), label=_target_name(self.y))
        ax.set(xlabel=f"component {self.units[0]}", ylabel=f"component {self.units[1]}")
        self._draw_title(ax)
        return self

    def _check(self) -> tuple[np.ndarray, np.ndarray | None]:
        codes = check_array(self.codes, dtype=np.float64, input_name="codes")
        if codes.shape[1] < 2:
            raise ValueError(
                "codes must have at least two components, got one: fit an estimator with n_components=2 or more."
            )
        units = check_units(self.units, codes.shape[1])
        if len(units) != 2:
            raise ValueError(f"units must be two components, one for each axis, got {self.units!r}.")
        if self.y is None:
            return codes[:, units], None
        y = column_or_1d(self.y)
        check_consistent_length(codes, y)
        return codes[:, units], y


def _has_classes(y: np.ndarray) -> bool:
    is_number = y.dtype.kind in "iuf"
    if is_number and len(np.unique(y)) > _MAX_NUMBERED_CLASSES:
        return False
    return type_of_target(y, input_name="y", raise_unknown=True) in ("binary", "multiclass")


def _class_style(position: int) -> dict[str, Any]:
    """Return colour and marker of a class; every other marker is hollow, for print without colour."""
    color = f"C{position % 10}"
    return {
        "marker": MARKERS[position % len(MARKERS)],
        "edgecolors": color,
        "facecolors": "none" if position % 2 else color,
    }


def _target_name(y: Any) -> str:
    return str(getattr(y, "name", None) or "y")  # a Series has a name
