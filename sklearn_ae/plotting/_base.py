"""Base classes, axes and labels shared by the displays.

matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.transforms import Bbox

__all__ = [
    "LABEL_WIDTH",
    "MARKERS",
    "MAX_TICK_LABELS",
    "Display",
    "NamedDisplay",
    "draw_colorbar",
    "draw_legend",
    "draw_signed_colorbar",
    "font_size",
    "inches",
    "label_rows",
    "line_style",
    "set_size_axis",
    "wrap",
]

LABEL_WIDTH = 18  # characters
MARKERS = "osD^vP*X<"
MAX_TICK_LABELS = 40
_DASHES = ["-", "--", "-.", ":"]


class Display:
    """Base class of the displays, with the attributes that ``plot`` sets."""

    figure_: Figure | SubFigure
    axes_: np.ndarray

    @property
    def ax_(self) -> Axes:
        """The first of ``axes_``."""
        return self.axes_[0]

    def _set_axes(self, ax: Axes | None, figsize: tuple[float, float]) -> Axes:
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f'{type(self).__name__} draws with matplotlib, which is not installed: pip install "sklearn-ae[plot]"'
            ) from error
        if ax is None:
            _, ax = plt.subplots(figsize=figsize, layout="compressed")
        self.figure_, self.axes_ = ax.figure, np.array([ax])
        return ax


class NamedDisplay(Display):
    """Base class of the displays whose title is the name of an estimator, if any."""

    estimator_name: str | None

    def _draw_title(self, ax: Axes, **style: Any) -> None:
        if self.estimator_name is not None:
            ax.set_title(wrap(self.estimator_name, 2 * LABEL_WIDTH), **style)

    def _draw_legend_and_title(self, ax: Axes, handles: list[Any]) -> None:
        """Draw the legend in one row above the Axes, and the title above the legend."""
        style: dict[str, Any] = {"fontsize": "small", "frameon": False, "borderaxespad": 0.2}
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(handles), **style)
        self._draw_title(ax, pad=22)


def wrap(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False)


def inches(ax: Axes) -> Bbox:
    return ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())


def font_size(line_height: float) -> float:
    """Return the size in points, 5 to 10, of text that fits a line of this height in inches."""
    return min(max(72 * line_height / 1.3, 5.0), 10.0)


def label_rows(ax: Axes, labels: np.ndarray) -> None:
    """Label rows at heights 0, 1, 2, ..., or some of them if they are many."""
    every = -(-len(labels) // MAX_TICK_LABELS)
    ax.set_yticks(range(0, len(labels), every), labels[::every])


def line_style(position: int) -> dict[str, Any]:
    """Return colour, marker and dashes that distinguish a line from its neighbours, also in print without colour."""
    return {
        "color": f"C{position % 10}",
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": _DASHES[position % len(_DASHES)],
    }


def draw_legend(ax: Axes, **style: Any) -> None:
    """Draw the legend to the right of the Axes, where it hides no data."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    ax.legend(fontsize="small", frameon=False, **place, **style)


def draw_colorbar(ax: Axes, image: ScalarMappable, **style: Any) -> Colorbar:
    """Draw a colour bar to the right of the Axes, of the same height."""
    return ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.03, 1)), **style)


def draw_signed_colorbar(ax: Axes, image: AxesImage, limit: float, label: str) -> None:
    """Draw the scale from -limit to limit of a heat map or a mosaic, of which the pixels may be colours."""
    if np.asarray(image.get_array()).ndim == 3:
        _draw_color_key(ax, limit, label)
    else:
        draw_colorbar(ax, image, ticks=[-limit, 0, limit], format="%.3g", label=label)


def _draw_color_key(ax: Axes, limit: float, label: str) -> None:
    """Draw a bar each for red, green and blue to the right of the Axes, from -limit to limit."""
    key = ax.inset_axes((1.02, 0, 0.09, 1))
    ramps = np.full((256, 3, 3), 0.5)  # (values, bars, channels)
    ramps[:, range(3), range(3)] = np.linspace(0, 1, 256)[:, np.newaxis]
    key.imshow(ramps, origin="lower", aspect="auto", extent=(-0.5, 2.5, -limit, limit))
    key.set_xticks(range(3), ["R", "G", "B"])
    key.set_yticks([-limit, 0, limit], [f"{tick:.3g}" for tick in (-limit, 0, limit)])
    key.tick_params(bottom=False)
    key.yaxis.tick_right()
    key.yaxis.set_label_position("right")
    key.set_ylabel(label)


def set_size_axis(ax: Axes, sizes: np.ndarray, *, log: bool) -> None:
    """Label the x axis as numbers of components; a logarithmic scale has ticks at powers of two."""
    ax.set_xlabel("number of components")
    if not log:
        ax.locator_params(axis="x", integer=True)
        return
    low, high = math.floor(math.log2(sizes.min())), math.ceil(math.log2(sizes.max()))
    if low == high:  # centre a single size
        low, high = low - 1, high + 1
    ticks = 2.0 ** np.arange(max(low, 0), high + 1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(2 ** (low - 0.25), 2 ** (high + 0.25))
