"""The table returned by comparisons of decompositions."""

import html
import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_ae.plotting import ComparisonDisplay

__all__ = ["DecompositionComparison"]

MAX_ERROR_WIDTH = 60  # characters


@dataclass(eq=False, repr=False)
class DecompositionComparison:
    """A table of decompositions, with one row for each estimator and number of components.

    :func:`compare_decompositions` returns it and documents its columns. It prints as a table, in a terminal and in a
    notebook.

    Parameters
    ----------
    rows : list of dict
        The table: a dict for each estimator and number of components, all with the same keys, which are the columns of
        :meth:`to_frame`.
    folds : list of dict
        The measures of each estimator, number of components and fold, of which the rows are means; the other keys are
        ``estimator``, ``n_components``, ``fold`` and ``error``.
    splits : list of tuple of (train, test)
        Indices of the training and the held-out samples of each fold.
    seeds : list of int
        The ``random_state`` of every estimator in each fold.

    See Also
    --------
    compare_decompositions : Create it.
    sklearn_ae.plotting.ComparisonDisplay : Plot it.

    Examples
    --------
    A hand-written loop over the same folds gives the same scores:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.model_selection import compare_decompositions, reconstruction_score
    >>> X = load_digits().data[:300]
    >>> comparison = compare_decompositions({"PCA": PCA(4)}, X, cv=3, random_state=0)
    >>> for fold, (train, test) in enumerate(comparison.splits):
    ...     pca = PCA(4, random_state=comparison.seeds[fold]).fit(X[train])
    ...     difference = comparison.folds[fold]["r2"] - reconstruction_score(pca, X[test])
    ...     print(f"{abs(difference):.3f}")
    0.000
    0.000
    0.000
    """

    rows: list[dict[str, Any]]
    folds: list[dict[str, Any]]
    splits: list[tuple[np.ndarray, np.ndarray]]
    seeds: list[int]

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            The columns ``estimator``, ``n_components``, ``r2``, ``r2_se``, ``fit_seconds``, ``transform_seconds``,
            ``n_parameters``, ``localisation``, ``redundancy``, ``dead``, ``stability``; if `y` was given, ``probe``,
            ``probe_se``, ``neighbours`` and ``neighbours_se``; and ``error``, which is empty if nothing failed.
        """
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, metric: str = "r2", ax: Any = None, **kwargs: Any) -> Any:
        """Plot one column of the table against the number of components.

        Parameters
        ----------
        metric : str, default="r2"
            The column to plot.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`sklearn_ae.plotting.ComparisonDisplay.plot`.

        Returns
        -------
        display : :class:`~sklearn_ae.plotting.ComparisonDisplay`
            The display, which holds the figure and its axes.
        """
        return ComparisonDisplay.from_frame(self.to_frame(), metric, ax=ax, **kwargs)

    def _cells(self) -> list[list[str]]:
        """Return the table as text, starting with the names of the columns."""
        some_failed = any(row["error"] for row in self.rows)
        names = [name for name in self.rows[0] if not name.endswith("_se") and (some_failed or name != "error")]
        return [names, *([_cell(row, name) for name in names] for row in self.rows)]

    def __repr__(self) -> str:
        columns = []
        for column in zip(*self._cells(), strict=True):
            width = max(map(len, column))
            is_text = column[0] in ("estimator", "error")
            columns.append([cell.ljust(width) if is_text else cell.rjust(width) for cell in column])
        return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))

    def _repr_html_(self) -> str:
        head, *body = ([html.escape(cell) for cell in cells] for cells in self._cells())
        lines = ["".join(f"<td>{cell}</td>" for cell in cells) for cells in body]
        names = "".join(f"<th>{name}</th>" for name in head)
        rows = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return textwrap.shorten(value, MAX_ERROR_WIDTH, placeholder=" ...") if name == "error" else value
    if math.isnan(value):
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if name.endswith("_seconds"):
        return f"{value:.4f}"
    error = row.get(f"{name}_se", np.nan)
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"
