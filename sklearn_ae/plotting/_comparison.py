"""Results of several estimators by number of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_ae.plotting._base import LABEL_WIDTH, Display, draw_legend, line_style, set_size_axis, wrap
from sklearn_ae.plotting._checks import check_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ComparisonDisplay"]


@dataclass(eq=False, repr=False)
class ComparisonDisplay(Display):
    """A metric of several estimators against the number of components, with error bars.

    An estimator without a number of components is drawn as a horizontal line, its standard error as a band. NaN values,
    such as those of failed fits, are left out.

    It is recommended to use :meth:`from_frame`.

    Parameters
    ----------
    curves : dict of str to (sizes, means, standard_errors)
        Numbers of components, and the mean and its standard error at each: array-likes of equal length, by the name of
        the estimator. Sizes may be None, all or some, if an estimator has none; standard errors may be None if unknown.
    metric_name : str, default="R²"
        Label of the y axis. ``"r2"``, ``"probe"``, ``"neighbours"``, ``"stability"``, ``"localisation"``,
        ``"redundancy"``, ``"dead"``, ``"fit_seconds"``, ``"transform_seconds"`` and ``"n_parameters"`` are spelled out,
        and the last three get a logarithmic axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all lines.
    ax_ : matplotlib Axes
        The first of ``axes_``.

    Examples
    --------
    >>> from sklearn_ae.plotting import ComparisonDisplay
    >>> curves = {
    ...     "PCA": ([2, 4, 8], [0.3, 0.5, 0.7], [0.01, 0.01, 0.02]),
    ...     "identity": (None, [1.0], None),
    ... }
    >>> display = ComparisonDisplay(curves).plot()
    >>> display.figure_.savefig("comparison.png")  # doctest: +SKIP
    """

    curves: Mapping[str, tuple[ArrayLike | None, ArrayLike, ArrayLike | None]]
    metric_name: str = "R²"

    @classmethod
    def from_frame(cls, frame: Any, metric: str = "r2", *, ax: Axes | None = None, **kwargs: Any) -> ComparisonDisplay:
        """Draw a column of a table of results.

        Parameters
        ----------
        frame : pandas DataFrame
            Table with one row per estimator and size, and the columns ``"estimator"``, ``"n_components"``, which may
            have missing values, and `metric`. Standard errors are read from the column ``f"{metric}_se"``, if any.
        metric : str, default="r2"
            Name of the column to draw.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `frame` is not a DataFrame.
        ValueError
            If a column is missing, or `metric` has no values.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_ae.plotting import ComparisonDisplay
        >>> frame = pd.DataFrame(
        ...     {
        ...         "estimator": ["PCA", "PCA", "NMF", "NMF"],
        ...         "n_components": [2, 8, 2, 8],
        ...         "fit_seconds": [0.01, 0.02, 0.1, 0.4],
        ...     }
        ... )
        >>> display = ComparisonDisplay.from_frame(frame, "fit_seconds")
        >>> display.ax_.get_ylabel()
        'time to fit (s)'
        """
        if not hasattr(frame, "groupby"):
            raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}.")
        needed = ["estimator", "n_components", metric]
        missing = [column for column in needed if column not in frame.columns]
        if missing:
            raise ValueError(f"frame must have the columns {needed}: {missing} not among {list(frame.columns)}.")
        columns = [*needed[1:], f"{metric}_se"]
        curves: dict[str, Any] = {
            name: tuple(_floats(group[column]) if column in group.columns else None for column in columns)
            for name, group in frame.groupby("estimator", sort=False)
        }
        return cls(curves, metric).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, log_sizes: bool = True) -> ComparisonDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        log_sizes : bool, default=True
            Whether the x axis is logarithmic, to base 2.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `curves` is not a dict.
        ValueError
            If sizes, means and errors do not agree, or there is nothing to draw.
        ImportError
            If matplotlib is not installed.
        """
        curves = self._check()
        ax = self._set_axes(ax, (8.0, 4.0))
        handles = [
            _draw_curve(ax, wrap(str(name), LABEL_WIDTH), curve, line_style(position))
            for position, (name, curve) in enumerate(curves.items())
        ]
        sizes = np.concatenate([sizes for sizes, _, _ in curves.values()])
        sizes = sizes[~np.isnan(sizes)]
        if len(sizes):
            set_size_axis(ax, sizes, log=log_sizes)
        else:
            ax.set_xticks([])
        label, is_log = _METRICS.get(self.metric_name, (self.metric_name, False))
        ax.set_ylabel(label)
        if is_log:
            ax.set_yscale("log")
        ax.grid(alpha=0.3)
        draw_legend(ax, handles=handles)
        return self

    def _check(self) -> dict[str, np.ndarray]:
        parts = ("sizes", "means", "standard_errors")
        curves = check_curves(self.curves, parts, optional=("sizes", "standard_errors"))
        known = {name: curve[:, ~np.isnan(curve[1])] for name, curve in curves.items()}
        known = {name: curve for name, curve in known.items() if curve.size}
        if not known:
            raise ValueError(
                f"Nothing to draw: {self.metric_name!r} of {', '.join(map(str, curves))} is missing at every size. "
                "Failed fits leave no values: check why they failed."
            )
        return known


#: Labels of metrics, and whether their scale is logarithmic.
_METRICS = {
    "r2": ("R²", False),
    "probe": ("score of a linear probe", False),
    "neighbours": ("score of nearest neighbours", False),
    "stability": ("stability of the components", False),
    "localisation": ("localisation of the components", False),
    "redundancy": ("redundancy of the components", False),
    "dead": ("fraction of dead components", False),
    "fit_seconds": ("time to fit (s)", True),
    "transform_seconds": ("time to transform (s)", True),
    "n_parameters": ("number of parameters", True),
}


def _draw_curve(ax: Axes, label: str, curve: np.ndarray, style: dict[str, Any]) -> Any:
    """Draw the line of an estimator, or a horizontal one for each mean without a size; return one for the legend."""
    is_sized = ~np.isnan(curve[0])
    handle: Any = None
    for _, mean, error in curve[:, ~is_sized].T:
        handle = ax.axhline(mean, xmin=0.02, xmax=0.98, label=label, **style)
        if not np.isnan(error):
            ax.axhspan(mean - error, mean + error, color=style["color"], alpha=0.15, linewidth=0)
    if is_sized.any():
        sizes, means, errors = curve[:, is_sized]
        handle = ax.errorbar(sizes, means, None if np.isnan(errors).all() else errors, label=label, capsize=3, **style)
    return handle


def _floats(column: Any) -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
