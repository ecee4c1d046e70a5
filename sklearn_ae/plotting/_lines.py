"""Lines over the features, in rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_ae.plotting._base import label_rows
from sklearn_ae.plotting._features import Features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LineRows"]


class LineRows:
    """Rows of lines in one Axes and one scale, the first row on top, without overlap.

    The y axis counts rows downwards. At the height of row i is the middle of its range, or zero if `signed`.
    """

    def __init__(self, curves: np.ndarray, *, signed: bool = False) -> None:
        # curves: (n_rows, n_lines, n_features)
        low, high = curves.min(axis=(1, 2)), curves.max(axis=(1, 2))
        centres = np.zeros(len(curves)) if signed else (low + high) / 2
        largest = float(np.maximum(high - centres, centres - low).max())
        self.row_height = _round_up(2.1 * largest) if largest > 0 else 1.0  # in the unit of the data
        rows = np.arange(len(curves))
        self.heights = (rows + centres / self.row_height)[:, np.newaxis, np.newaxis] - curves / self.row_height
        self.signed = signed

    @property
    def figsize(self) -> tuple[float, float]:
        """Width and height in inches, without what is to the right of the Axes."""
        return 6.0, 1.0 + min(max(0.6 * len(self.heights), 1.4), 9.0)

    def draw(self, ax: Axes, features: Features, styles: list[dict[str, Any]], row_labels: np.ndarray) -> np.ndarray:
        """Draw the lines, each of a row in its style, and return them in an array of shape (n_rows, n_lines)."""
        x = np.arange(self.heights.shape[2]) if features.axis is None else features.axis
        if self.signed:
            ax.hlines(np.arange(len(self.heights)), x.min(), x.max(), color="0.8", linewidth=0.8, zorder=1)
        lines = [
            [ax.plot(x, line, **style)[0] for line, style in zip(row, styles, strict=True)] for row in self.heights
        ]
        label_rows(ax, row_labels)
        ax.set_ylim(len(lines) - 0.45, -0.55)
        ax.margins(x=0)
        if features.axis is None:
            features.label_columns(ax)
        else:
            ax.set_xlabel(features.label)
            ax.xaxis.set_inverted(bool(x[0] > x[-1]))
        ax.spines[["top", "right"]].set_visible(False)
        return np.array(lines)

    def label(self, rows: str) -> str:
        """Return the label of the y axis, which says how far the rows are apart in the unit of the data."""
        return f"{rows} (rows {self.row_height:g} apart)"


def _round_up(number: float) -> float:
    """Return a positive number rounded up to two digits."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit) * unit
