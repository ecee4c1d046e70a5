"""Codes decoded along each component."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from sklearn_ae.plotting._base import (
    NamedDisplay,
    draw_colorbar,
    draw_signed_colorbar,
    label_rows,
)
from sklearn_ae.plotting._checks import check_units, codes_of
from sklearn_ae.plotting._features import FeatureDisplay, Features, ImageShape, column_names, draw_heat_map
from sklearn_ae.plotting._lines import LineRows
from sklearn_ae.plotting._mosaic import Mosaic, value_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TraversalDisplay"]


@dataclass(eq=False, repr=False)
class TraversalDisplay(FeatureDisplay, NamedDisplay):
    """Reconstructions as one component of a code varies and the others are held fixed.

    Images are drawn as a mosaic with one row per component and one column per step, lines in one row per component, one
    line per step. Other features are drawn as a heat map with one row per component and one column per feature, which
    shows by how much the feature changes from the first step to the last. The default is chosen as in
    :class:`ComponentsDisplay`.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    decoded : array-like of shape (n_components, n_steps, n_features)
        The decoded steps of each component drawn, finite, at least two steps.
    values : array-like of shape (n_components, n_steps)
        The value of the component at each step.
    units : array-like of n_components int
        Indices of the components drawn, counted from zero.
    quantiles : tuple of (first, last), default=None
        Quantiles of the codes of a component at its first and last step, to label the columns of images
        or the colours of lines.
    image_shape : tuple of (height, width) or (height, width, channels), default=None
        Shape of an image, in row-major order with the channels last: three for red, green and blue, or one. By default
        a square.
    feature_axis : array-like of n_features numbers, default=None
        Position of each feature, such as its wavelength or time, in increasing or decreasing order. Its attribute
        ``name``, if any, as of a Series, labels the axis.
    feature_names : array-like of n_features str or numbers, default=None
        Labels of the columns of a heat map, or the axis if they are numbers in order.
    estimator_name : str, default=None
        Title of the plot.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all components.
    ax_ : matplotlib Axes
        The first of ``axes_``.
    im_ : matplotlib AxesImage or None
        The mosaic of images, or the heat map; None for lines.
    lines_ : ndarray of shape (n_components, n_steps) of matplotlib Line2D, or None
        The lines, if any.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.plotting import TraversalDisplay
    >>> X = load_digits().data
    >>> display = TraversalDisplay.from_estimator(PCA(8).fit(X), X)
    >>> display.figure_.savefig("traversal.png")  # doctest: +SKIP
    """

    decoded: ArrayLike
    values: ArrayLike
    units: ArrayLike
    _: KW_ONLY
    quantiles: tuple[float, float] | None = None
    image_shape: ImageShape | None = None
    feature_axis: ArrayLike | None = None
    feature_names: ArrayLike | None = None
    estimator_name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        units: ArrayLike | None = None,
        n_steps: int = 7,
        row: int | None = None,
        quantiles: tuple[float, float] = (0.05, 0.95),
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> TraversalDisplay:
        """Decode along the components of a fitted estimator and draw the result.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``: PCA, NMF, AutoencoderTransformer, or a
            pipeline of steps that all have both. If it was fitted on named columns, these label the features.
        X : array-like of shape (n_samples, n_features)
            Samples whose codes determine the first and last value of each component.
        units : array-like of int, default=None
            Components to draw, counted from zero. By default the first ten, or all if there are fewer.
        n_steps : int, default=7
            Number of evenly spaced values of each component to decode, at least two.
        row : int, default=None
            Index of the sample in `X` at whose code the other components are held fixed. By default at their means.
        quantiles : tuple of (first, last), default=(0.05, 0.95)
            Quantiles of the codes of a component that are its first and last value.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time. By default the names of the features, if they are
            numbers in order.
        name : str, default=None
            Title of the plot. By default the class name of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TraversalDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform`` or no ``inverse_transform``.
        NotFittedError
            If it is not fitted.
        ValueError
            If `units`, `n_steps`, `row`, `quantiles`, `image_shape` or `feature_axis` does not fit.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import TraversalDisplay
        >>> X = load_iris(as_frame=True).data
        >>> display = TraversalDisplay.from_estimator(PCA(2).fit(X), X)
        >>> display.decoded.shape
        (2, 7, 4)
        """
        if n_steps < 2:
            raise ValueError(f"n_steps must be at least 2, the first and the last value of a component, got {n_steps}.")
        codes = codes_of(estimator, X, "inverse_transform")  # (n, k)
        chosen = check_units(np.arange(min(codes.shape[1], 10)) if units is None else units, codes.shape[1])
        first, last = np.quantile(codes[:, chosen], _check_quantiles(quantiles), axis=0)
        values = np.linspace(first, last, n_steps, axis=1)
        steps = np.tile(_base_code(codes, row), (*values.shape, 1))  # (n_components, n_steps, k)
        steps[np.arange(len(chosen)), :, chosen] = values
        decoded = estimator.inverse_transform(steps.reshape(-1, codes.shape[1]))
        decoded = check_array(decoded, dtype=np.float64, input_name="decoded codes")
        return cls(
            decoded.reshape(*values.shape, -1),
            values,
            chosen,
            quantiles=quantiles,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=getattr(estimator, "feature_names_in_", column_names(X)),
            estimator_name=type(estimator).__name__ if name is None else name,
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, kind: str = "auto", cmap: Any = None) -> TraversalDisplay:
        """Draw the images, the lines or the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        kind : {"auto", "image", "line", "heatmap"}, default="auto"
            What to draw; ``"auto"`` chooses by the features, see above.
        cmap : str or matplotlib Colormap, default=None
            Colour map. By default ``"gray"`` for images, from the smallest to the largest decoded value, ``"viridis"``
            for lines, from the first step to the last, and ``"RdBu_r"`` for a heat map, in which white is no change,
            red an increase and blue a decrease; ``"gray"`` keeps the signs distinct in print without colour. Images
            with three channels need no colour map: black and white are 0 and 1, or 0 and 255, if the decoded values are
            in one of these ranges or little beyond, otherwise their smallest and their largest value. All components
            share the scale.

        Returns
        -------
        display : TraversalDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the shapes of the arrays, of the images or of the names do not agree, or `kind` or `feature_axis` does
            not fit.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        A heat map is in the units of the data. If features have different units, their changes are comparable only if
        the input of the estimator is standardised: for a pipeline that begins with a scaler, draw the remaining steps,
        with the scaled data.
        """
        decoded, units = self._check()
        features = self._describe_features(kind, decoded.shape[2])
        self.im_ = self.lines_ = None
        if features.kind == "image":
            ax = self._draw_images(ax, decoded, units, features, "gray" if cmap is None else cmap)
        elif features.kind == "line":
            ax = self._draw_lines(ax, decoded, units, features, cmap)
        else:
            ax = self._set_axes(ax, features.heat_map_figsize(len(units)))
            changes = decoded[:, -1] - decoded[:, 0]
            limit = float(np.abs(changes).max()) or 1.0
            self.im_ = draw_heat_map(ax, changes, features, limit, "RdBu_r" if cmap is None else cmap)
            draw_signed_colorbar(ax, self.im_, limit, "change")
            label_rows(ax, units)
            ax.set_ylabel("component")
        self._draw_title(ax)
        return self

    def _draw_lines(
        self, ax: Axes | None, decoded: np.ndarray, units: np.ndarray, features: Features, cmap: Any
    ) -> Axes:
        rows, n_steps = LineRows(decoded), decoded.shape[1]
        width, height = rows.figsize
        ax = self._set_axes(ax, (width + 1.0, height))
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap

        colors = colormaps.get_cmap(cmap)(np.linspace(0, 0.85, n_steps))  # the end is too pale for lines
        self.lines_ = rows.draw(ax, features, [{"color": color} for color in colors], units)
        ax.set_ylabel(rows.label("component"))
        ends, label = ["first", "last"], "step"
        if self.quantiles is not None:
            ends, label = [f"{quantile:g}" for quantile in self.quantiles], "quantile of the component"
        bar = draw_colorbar(ax, ScalarMappable(cmap=ListedColormap(colors)), label=label)
        bar.set_ticks([0.5 / n_steps, 1 - 0.5 / n_steps], labels=ends)
        return ax

    def _draw_images(
        self, ax: Axes | None, decoded: np.ndarray, units: np.ndarray, features: Features, cmap: Any
    ) -> Axes:
        mosaic = Mosaic(decoded.reshape(-1, *features.image_shape), decoded.shape[1])
        ax = self._set_axes(ax, mosaic.figsize(margin=1.5))
        low, high = value_range(decoded, in_color=mosaic.in_color)
        ax.set_ylabel("component")
        self.im_ = mosaic.draw(ax, [str(unit) for unit in units], vmin=low, vmax=high, cmap=cmap)
        if self.quantiles is not None:
            ax.set_xticks(mosaic.column_centres[[0, -1]], [f"{quantile:g}" for quantile in self.quantiles])
            ax.tick_params(bottom=False)
            ax.set_xlabel("quantile of the component")
        return ax

    def _check(self) -> tuple[np.ndarray, np.ndarray]:
        decoded = check_array(self.decoded, dtype=np.float64, allow_nd=True, input_name="decoded")
        if decoded.ndim != 3 or decoded.shape[1] < 2:
            raise ValueError(
                "decoded must have the shape (n_components, n_steps, n_features) with two steps or more, got "
                f"{decoded.shape}."
            )
        if np.shape(self.values) != decoded.shape[:2]:
            raise ValueError(
                f"values must have the shape (n_components, n_steps) = {decoded.shape[:2]} of decoded, got shape "
                f"{np.shape(self.values)}."
            )
        units = np.asarray(self.units)
        if units.shape != decoded.shape[:1]:
            raise ValueError(
                f"units must have one index for each of the {len(decoded)} components of decoded, got shape "
                f"{units.shape}."
            )
        return decoded, units


def _base_code(codes: np.ndarray, row: int | None) -> np.ndarray:
    if row is None:
        return codes.mean(axis=0)
    if not 0 <= row < len(codes):
        raise ValueError(
            f"row must be 0 to {len(codes) - 1}, the index of a sample in X, or None for the mean code, got {row}."
        )
    return codes[row]


def _check_quantiles(quantiles: tuple[float, float]) -> np.ndarray:
    checked = np.asarray(quantiles, dtype=np.float64)
    if checked.shape != (2,) or not 0 <= checked[0] < checked[1] <= 1:
        raise ValueError(f"quantiles must be (first, last) with 0 <= first < last <= 1, got {quantiles!r}.")
    return checked
