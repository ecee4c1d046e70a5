"""Read images and labels from the plot of a display, and check that all of it is inside the figure."""

from itertools import pairwise

import numpy as np
from matplotlib.transforms import Bbox


def tiles(display, shape, n_columns):
    """Cut the mosaic into its images, and check that nothing is drawn in the gaps.

    Images in colour have a third axis: red, green and blue.
    """
    pixels = np.ma.filled(display.im_.get_array(), np.nan)
    if pixels.ndim == 3:
        pixels = np.where(pixels[:, :, 3:] > 0, pixels[:, :, :3], np.nan)
    height, width = shape[:2]
    n_rows = len(display.ax_.get_yticks())
    gap = (pixels.shape[0] - n_rows * height) // max(n_rows - 1, 1)
    if n_rows == 1:
        gap = (pixels.shape[1] - n_columns * width) // max(n_columns - 1, 1)
    found = []
    for i in range(n_rows):
        for j in range(n_columns):
            top, left = i * (height + gap), j * (width + gap)
            found.append(pixels[top : top + height, left : left + width].copy())
            pixels[top : top + height, left : left + width] = np.nan
    assert np.isnan(pixels).all()
    return np.array(found)


def texts(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def assert_fits(figure):
    """Check that nothing is outside the figure after it is drawn once, as by savefig."""
    figure.canvas.draw()
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    bounds = Bbox.from_extents(0, 0, *figure.get_size_inches()).padded(0.02)
    assert bounds.containsx(drawn.x0)
    assert bounds.containsx(drawn.x1)
    assert bounds.containsy(drawn.y0)
    assert bounds.containsy(drawn.y1)


def assert_labels_are_apart(axis):
    renderer = axis.get_figure().canvas.get_renderer()
    boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels()]
    overlaps = [first.overlaps(second) for first, second in pairwise(boxes)]
    assert not any(overlaps)


def legend_texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]
