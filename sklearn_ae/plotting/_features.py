"""Features as pixels of an image, as points on an axis, or as columns of a heat map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_ae.plotting._base import MAX_TICK_LABELS, Display, font_size, inches
from sklearn_ae.plotting._checks import check_feature_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["FeatureDisplay", "Features", "ImageShape", "column_names", "draw_heat_map"]

ImageShape = tuple[int, int] | tuple[int, int, int]
_KINDS = ("auto", "image", "line", "heatmap")


class FeatureDisplay(Display):
    """Base class of the displays of whole samples or components, with the description of their features."""

    image_shape: ImageShape | None
    feature_axis: ArrayLike | None
    feature_names: ArrayLike | None
    im_: AxesImage | None = None
    lines_: np.ndarray | None = None

    def _describe_features(self, kind: str, n_features: int) -> Features:
        """Check the description of the features and choose the kind of plot."""
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}.")
        shape = _check_image_shape(self.image_shape, n_features)
        names = check_feature_names(self.feature_names, n_features)
        named, axis = self.feature_axis, _check_axis(self.feature_axis, n_features)
        if axis is None and names is not None and n_features > 1:
            named, axis = self.feature_names, _numbers_in_order(names)
        square = math.isqrt(n_features) ** 2 == n_features
        if kind == "auto" and shape is None:
            kind = "line" if axis is not None else "image" if square and names is None else "heatmap"
        elif kind == "auto":
            kind = "image"
        if kind == "image" and shape is None:
            if not square:
                raise ValueError(
                    f"kind='image' needs image_shape=(height, width), or (height, width, 3) for images in colour: "
                    f"{n_features} features do not form a square."
                )
            shape = math.isqrt(n_features), math.isqrt(n_features)
        label = getattr(named, "name", None)
        return Features(n_features, kind, shape or (), axis, names, "feature" if label in (None, "") else str(label))


@dataclass(eq=False)
class Features:
    """How features are drawn, and their labels."""

    n_features: int
    kind: str  # "image", "line" or "heatmap"
    image_shape: tuple[int, ...]  # (height, width) or (height, width, 3) for images
    axis: np.ndarray | None  # numbers in increasing or decreasing order
    names: np.ndarray | None
    label: str

    @property
    def column_labels(self) -> np.ndarray | None:
        """One label per column of a heat map, if there is space for all."""
        return self.names if self.axis is None and self.n_features <= MAX_TICK_LABELS else None

    def heat_map_figsize(self, n_rows: int) -> tuple[float, float]:
        """Return width and height in inches, with a margin for title, labels and colour bar."""
        labels = 0.5
        if self.column_labels is not None:
            labels = 0.09 * min(max(len(str(name)) for name in self.column_labels), 50)
        columns, rows = min(self.n_features, MAX_TICK_LABELS), min(n_rows, MAX_TICK_LABELS)
        if self.axis is not None:
            columns = min(columns, 24)
        return 1.5 + max(0.25 * columns, 1.5), 0.5 + labels + max(0.2 * rows, 1.3)

    def label_columns(self, ax: Axes) -> None:
        """Label an x axis on which the features are 0, 1, 2, ..."""
        from matplotlib.ticker import MaxNLocator

        if self.column_labels is not None:
            size = font_size(inches(ax).width / self.n_features)
            ax.set_xticks(range(self.n_features), self.column_labels, rotation=90, fontsize=size)
            return
        ax.set_xlabel(self.label)
        ax.xaxis.set_major_locator(MaxNLocator(max(int(inches(ax).width / 0.7), 1), integer=True))
        ax.xaxis.set_major_formatter(self._format_column)

    def _format_column(self, column: float, _: float) -> str:
        """Return the label of a tick at a column: its number, or its place on the axis."""
        if self.axis is None:
            return f"{column:g}"
        return f"{self.axis[int(column)]:.5g}" if 0 <= column < self.n_features else ""


def draw_heat_map(ax: Axes, values: np.ndarray, features: Features, limit: float, cmap: Any) -> AxesImage:
    """Draw one row per component, from -limit to limit."""
    image = ax.imshow(values, aspect="auto", interpolation="nearest", vmin=-limit, vmax=limit, cmap=cmap)
    features.label_columns(ax)
    return image


def column_names(X: Any) -> Any:
    """Return the columns of a data frame; None for other data, or if they only count from zero, pandas' default."""
    columns = getattr(X, "columns", None)
    if columns is None:
        return None
    names = np.asarray(columns)
    return None if names.dtype.kind in "iu" and np.array_equal(names, np.arange(len(names))) else columns


def _check_image_shape(image_shape: ImageShape | None, n_features: int) -> tuple[int, ...] | None:
    """Return (height, width), or (height, width, 3) for images in colour."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    fits = len(shape) in (2, 3) and min(shape) >= 1 and math.prod(shape) == n_features
    if not fits or shape[2:] not in ((), (1,), (3,)):
        raise ValueError(
            f"image_shape must be (height, width) with height * width = {n_features}, the number of features, or "
            f"(height, width, channels) with height * width * channels = {n_features}, where channels is 3 for red, "
            f"green and blue or 1 for grey, got {image_shape!r}."
        )
    return shape if shape[2:] == (3,) else shape[:2]


def _check_axis(feature_axis: ArrayLike | None, n_features: int) -> np.ndarray | None:
    if feature_axis is None:
        return None
    given = np.asarray(feature_axis)
    if given.shape != (n_features,):
        raise ValueError(
            f"feature_axis must have one number for each of the {n_features} features, got shape {given.shape}."
        )
    axis = _numbers_in_order(given)
    if axis is None:
        raise ValueError(
            "feature_axis must be finite numbers in increasing or decreasing order, such as wavelengths or seconds, "
            f"got {np.array2string(given, threshold=6)} of dtype {given.dtype}: sort the features by them, and pass "
            "dates as the seconds since the first."
        )
    return axis


def _numbers_in_order(values: np.ndarray) -> np.ndarray | None:
    """Return numbers, or text that is numbers, as floats if they are in increasing or decreasing order."""
    if values.dtype.kind not in "iufOUT":
        return None
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        return None
    steps = np.diff(numbers)
    return numbers if np.isfinite(numbers).all() and ((steps > 0).all() or (steps < 0).all()) else None
