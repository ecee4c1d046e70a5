"""Images in a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_ae.plotting._base import font_size, inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["Mosaic", "check_image_shape", "count_columns"]

_GAP_COLOR = "0.85"


class Mosaic:
    """Images in a grid, as one array of pixels in which the gaps are NaN."""

    def __init__(self, images: np.ndarray, n_columns: int) -> None:
        n, height, width = images.shape
        n_rows = -(-n // n_columns)
        gap = max(1, round(min(height, width) / 14))
        tiles = np.full((n_rows * n_columns, height + gap, width + gap), np.nan)
        tiles[:n, :height, :width] = images
        grid = tiles.reshape(n_rows, n_columns, height + gap, width + gap)
        self.pixels = grid.swapaxes(1, 2).reshape(n_rows * (height + gap), -1)[:-gap, :-gap]
        self.row_centres = np.arange(n_rows) * (height + gap) + (height - 1) / 2
        self.column_centres = np.arange(n_columns) * (width + gap) + (width - 1) / 2
        self.n_images, self.n_columns = n, n_columns

    def figsize(self, margin: float) -> tuple[float, float]:
        """Return width and height in inches, with a margin for labels and colour bar."""
        height, width = self.pixels.shape
        image_width = min(max(1.0 * self.n_columns, 1.6), 8.0, 8.0 * width / height)
        return margin + image_width, 0.6 + max(image_width * height / width, 1.0)

    def row_ranges(self) -> list[str]:
        """Return the range of the images in each row, counted from zero, as labels."""
        firsts = range(0, self.n_images, self.n_columns)
        lasts = [min(first + self.n_columns, self.n_images) - 1 for first in firsts]
        return [f"{i}–{j}" if i < j else f"{i}" for i, j in zip(firsts, lasts, strict=True)]

    def draw(self, ax: Axes, row_labels: list[str], **style: Any) -> AxesImage:
        ax.set_facecolor(_GAP_COLOR)
        ax.set_xticks([])
        image = ax.imshow(self.pixels, **style)
        ax.set_yticks(self.row_centres, row_labels)
        row_height = self._row_height(ax)
        for label in ax.get_yticklabels():
            label.set_fontsize(font_size(row_height / (1 + label.get_text().count("\n"))))
        ax.tick_params(left=False)
        ax.spines[:].set_color(_GAP_COLOR)
        return image

    def _row_height(self, ax: Axes) -> float:
        box = inches(ax)
        height, width = self.pixels.shape
        return min(box.width / width, box.height / height) * height / len(self.row_centres)


def count_columns(n: int) -> int:
    """Return the number of columns of a grid, from square to twice as wide as high, with the fewest gaps."""
    candidates = range(math.ceil(math.sqrt(n)), math.ceil(math.sqrt(2 * n)) + 1)
    return min(candidates, key=lambda n_columns: -n % n_columns)


def check_image_shape(image_shape: tuple[int, int] | None, n_features: int, *, guess: bool) -> tuple[int, int] | None:
    if image_shape is None:
        side = math.isqrt(n_features)
        return (side, side) if guess and side * side == n_features else None
    if len(image_shape) != 2 or min(image_shape) < 1 or math.prod(image_shape) != n_features:
        raise ValueError(
            f"image_shape must be (height, width) with height * width = {n_features}, the number "
            f"of features, got {image_shape!r}."
        )
    height, width = image_shape
    return height, width
