"""What the displays share: the base class, axes, labels and checks of what is given.

matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._metrics.reconstruction import _culprit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.transforms import Bbox

LABEL_WIDTH = 18  # characters
MARKERS = "osD^vP*X<"
MAX_TICK_LABELS = 40
_DASHES = ["-", "--", "-.", ":"]


class _Display:
    """What every display has after `plot`."""

    figure_: Figure | SubFigure
    axes_: np.ndarray

    @property
    def ax_(self) -> Axes:
        """The first of `axes_`."""
        return self.axes_[0]

    def _start(self, ax: Axes | None, figsize: tuple[float, float]) -> Axes:
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


class _NamedDisplay(_Display):
    """A display whose title is the name of an estimator, where it has one."""

    estimator_name: str | None

    def _draw_title(self, ax: Axes, **style: Any) -> None:
        if self.estimator_name is not None:
            ax.set_title(wrap(self.estimator_name, 2 * LABEL_WIDTH), **style)

    def _draw_head(self, ax: Axes, handles: list[Any]) -> None:
        """Draw the legend in a row above the Axes and the title over it."""
        style: dict[str, Any] = {"fontsize": "small", "frameon": False, "borderaxespad": 0.2}
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(handles), **style)
        self._draw_title(ax, pad=22)


def wrap(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False)


def inches(ax: Axes) -> Bbox:
    return ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())


def font_size(line_height: float) -> float:
    """Return the size in points, 5 to 10, of text that fits a line of so many inches."""
    return min(max(72 * line_height / 1.3, 5.0), 10.0)


def table_figsize(n_rows: int, n_columns: int) -> tuple[float, float]:
    columns, rows = min(n_columns, MAX_TICK_LABELS), min(n_rows, MAX_TICK_LABELS)
    return 1.5 + max(0.25 * columns, 1.5), 2.0 + max(0.2 * rows, 1.0)


def label_table(ax: Axes, n_rows: int, names: np.ndarray | None) -> None:
    if names is not None and len(names) <= MAX_TICK_LABELS:
        size = font_size(inches(ax).width / len(names))
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    else:
        ax.set_xlabel("feature")
        ax.locator_params(axis="x", integer=True)
    if n_rows <= MAX_TICK_LABELS:
        ax.set_yticks(range(n_rows))


def line_style(position: int) -> dict[str, Any]:
    """Return what tells a line from its neighbours in the legend, in print without colour too."""
    return {
        "color": f"C{position % 10}",
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": _DASHES[position % len(_DASHES)],
    }


def legend_beside(ax: Axes, **style: Any) -> None:
    """Draw the legend to the right of the Axes, where it hides no data."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    ax.legend(fontsize="small", frameon=False, **place, **style)


def colorbar_beside(ax: Axes, image: ScalarMappable, **style: Any) -> None:
    """Draw the scale of the colours to the right of the Axes, as high as they are."""
    ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.03, 1)), **style)


def size_axis(ax: Axes, sizes: np.ndarray, *, log: bool) -> None:
    """Let the x axis count units; on a logarithmic scale, with ticks at powers of two."""
    ax.set_xlabel("number of units")
    if not log:
        ax.locator_params(axis="x", integer=True)
        return
    low, high = math.floor(math.log2(sizes.min())), math.ceil(math.log2(sizes.max()))
    if low == high:  # a single size: it stands in the middle
        low, high = low - 1, high + 1
    ticks = 2.0 ** np.arange(max(low, 0), high + 1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(2 ** (low - 0.25), 2 ** (high + 0.25))


def find_step(estimator: Any, attribute: str) -> tuple[Any, Any]:
    """Return the last step that has the attribute and the names of the features it is given."""
    if not isinstance(estimator, Pipeline):
        if hasattr(estimator, attribute):
            return estimator, getattr(estimator, "feature_names_in_", None)
    else:
        for position in reversed(range(len(estimator))):
            if hasattr(estimator[position], attribute):
                return estimator[position], _names_before(estimator, position)
    raise TypeError(
        f"{type(estimator).__name__} has no {attribute} to draw: give a fitted estimator that "
        "has it, such as AutoencoderTransformer, or a pipeline with such a step."
    )


def _names_before(pipeline: Pipeline, position: int) -> Any:
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None or position == 0:
        return names
    try:
        return pipeline[:position].get_feature_names_out()
    except AttributeError:  # a step that cannot name its output
        return None


def codes_of(estimator: Any, X: ArrayLike, *methods: str) -> np.ndarray:
    """Return the codes of the rows, if the estimator is fitted and has the other methods too."""
    check_is_fitted(estimator)
    for method in ("transform", *methods):
        if not hasattr(estimator, method):
            raise TypeError(
                f"{_culprit(estimator, method)} has no {method}: give a fitted estimator that has it, such as PCA, "
                "NMF or AutoencoderTransformer, or a pipeline in which every step has it."
            )
    return check_array(estimator.transform(X), dtype=np.float64, input_name="codes")


def check_units(units: ArrayLike, n_units: int) -> np.ndarray:
    checked = np.asarray(units)
    is_list_of_int = checked.ndim == 1 and checked.dtype.kind in "iu" and len(checked) > 0
    if not is_list_of_int or checked.min() < 0 or checked.max() >= n_units:
        raise ValueError(f"units must be a list of whole numbers from 0 to {n_units - 1}, got {units!r}.")
    return checked


def check_feature_names(names: ArrayLike | None, n_features: int) -> np.ndarray | None:
    if names is None:
        return None
    names = np.asarray(names)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must have one name for each of the {n_features} features, got shape {names.shape}."
        )
    return names


def check_curve(parameter: str, curve: ArrayLike) -> np.ndarray:
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{parameter} must be one-dimensional, got shape {curve.shape}.")
    return curve


def check_curves(curves: Any, parts: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Return each curve as an array with a row for each part, sorted by the first, the sizes.

    What is optional may be None, which becomes NaN.
    """
    content = f"({', '.join(parts)})"
    check_mapping("curves", curves, content)
    if not curves:
        raise ValueError(f"Nothing to draw: curves is empty. Give one {content} at least.")
    return {name: _check_parts(name, curve, parts, optional) for name, curve in curves.items()}


def _check_parts(name: str, curve: Any, parts: tuple[str, ...], optional: tuple[str, ...]) -> np.ndarray:
    content = f"({', '.join(parts)})"
    if len(curve) != len(parts):
        raise ValueError(f"The curve of {name!r} must be {content}, got {len(curve)} parts.")
    known = {
        part: check_curve(f"{part} of {name!r}", each)
        for part, each in zip(parts, curve, strict=True)
        if each is not None or part not in optional
    }
    lengths = {part: len(array) for part, array in known.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The curve of {name!r} must be {content} of one length, got {lengths}.")
    nothing = np.full(next(iter(lengths.values())), np.nan)
    array = np.array([known.get(part, nothing) for part in parts])
    sizes = array[0]
    is_size = (sizes >= 1) | np.isnan(sizes) if parts[0] in optional else sizes >= 1
    if not is_size.all():
        raise ValueError(f"{parts[0]} of {name!r} must be numbers of units, at least 1, got {sizes[~is_size][0]:g}.")
    return array[:, np.argsort(sizes)]


def check_mapping(parameter: str, value: Any, content: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{parameter} must be a dict of {content} by name, such as {{'PCA': ...}}, got {type(value).__name__}."
        )
