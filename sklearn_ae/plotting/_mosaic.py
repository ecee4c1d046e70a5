"""Images in a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sklearn_ae.plotting._base import font_size, inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["Mosaic", "count_columns", "value_range"]

_GAP_COLOR = "0.85"


class Mosaic:
    """Images in a grid, as one array of pixels in which the gaps are NaN; a third axis is red, green and blue."""

    def __init__(self, images: np.ndarray, n_columns: int) -> None:
        n, height, width, *channels = images.shape
        n_rows = -(-n // n_columns)
        gap = max(1, round(min(height, width) / 14))
        tiles = np.full((n_rows * n_columns, height + gap, width + gap, *channels), np.nan)
        tiles[:n, :height, :width] = images
        grid = tiles.reshape(n_rows, n_columns, height + gap, width + gap, *channels)
        pixels = grid.swapaxes(1, 2).reshape(n_rows * (height + gap), n_columns * (width + gap), *channels)
        self.pixels = pixels[:-gap, :-gap]
        self.row_centres = np.arange(n_rows) * (height + gap) + (height - 1) / 2
        self.column_centres = np.arange(n_columns) * (width + gap) + (width - 1) / 2
        self.n_images, self.n_columns = n, n_columns

    @property
    def in_color(self) -> bool:
        """Whether pixels are red, green and blue."""
        return self.pixels.ndim == 3

    def figsize(self, margin: float) -> tuple[float, float]:
        """Return width and height in inches, with a margin for labels and colour bar."""
        height, width = self.pixels.shape[:2]
        image_width = min(max(1.0 * self.n_columns, 1.6), 8.0, 8.0 * width / height)
        return margin + image_width, 0.6 + max(image_width * height / width, 1.0)

    def row_ranges(self) -> list[str]:
        """Return the range of the images in each row, counted from zero, as labels."""
        firsts = range(0, self.n_images, self.n_columns)
        lasts = [min(first + self.n_columns, self.n_images) - 1 for first in firsts]
        return [f"{i}–{j}" if i < j else f"{i}" for i, j in zip(firsts, lasts, strict=True)]

    def draw(
        self,
        ax: Axes,
        row_labels: list[str],
        *,
        vmin: float,
        vmax: float,
        cmap: Any,
        aspect: Literal["equal", "auto"] = "equal",
    ) -> AxesImage:
        """Draw values from vmin to vmax; images in colour need no colour map."""
        ax.set_facecolor(_GAP_COLOR)
        ax.set_xticks([])
        if self.in_color:
            image = ax.imshow(_to_rgba(self.pixels, vmin, vmax), interpolation="nearest", aspect=aspect)
        else:
            image = ax.imshow(self.pixels, vmin=vmin, vmax=vmax, cmap=cmap, interpolation="nearest", aspect=aspect)
        ax.set_yticks(self.row_centres, row_labels)
        row_height = self._row_height(ax)
        for label in ax.get_yticklabels():
            label.set_fontsize(font_size(row_height / (1 + label.get_text().count("\n"))))
        ax.tick_params(left=False)
        ax.spines[:].set_color(_GAP_COLOR)
        return image

    def _row_height(self, ax: Axes) -> float:
        box = inches(ax)
        height, width = self.pixels.shape[:2]
        scale = box.height / height
        if ax.get_aspect() != "auto":
            scale = min(box.width / width, scale)
        return scale * height / len(self.row_centres)


def count_columns(n: int) -> int:
    """Return the number of columns of a grid, from square to twice as wide as high, with the fewest gaps."""
    candidates = range(math.ceil(math.sqrt(n)), math.ceil(math.sqrt(2 * n)) + 1)
    return min(candidates, key=lambda n_columns: -n % n_columns)


def value_range(values: np.ndarray, *, in_color: bool) -> tuple[float, float]:
    """Return the smallest and the largest value to draw.

    Colours keep their hue if all channels are drawn from 0 to 1 or from 0 to 255; PCA's reconstructions go beyond.
    """
    low, high = float(values.min()), float(values.max())
    for top in (1.0, 255.0):
        if in_color and low >= -0.1 * top and 0.1 * top < high <= 1.1 * top:
            return 0.0, top
    return low, high


def _to_rgba(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return colours with black at `low` and white at `high`; gaps are transparent."""
    is_gap = np.isnan(pixels)
    colors = np.where(is_gap, 0, np.clip((pixels - low) / ((high - low) or 1.0), 0, 1))
    return np.concatenate([colors, ~is_gap[:, :, :1]], axis=2)
