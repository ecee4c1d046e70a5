"""Components as images, as lines or as a heat map."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae.plotting._base import (
    MAX_TICK_LABELS,
    NamedDisplay,
    draw_signed_colorbar,
    label_rows,
)
from sklearn_ae.plotting._checks import find_step
from sklearn_ae.plotting._features import FeatureDisplay, ImageShape, draw_heat_map
from sklearn_ae.plotting._lines import LineRows
from sklearn_ae.plotting._mosaic import Mosaic, count_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ComponentsDisplay"]


@dataclass(eq=False, repr=False)
class ComponentsDisplay(FeatureDisplay, NamedDisplay):
    """The components of a decomposition, as images, as lines or as a heat map.

    By default, components are drawn

    - as images if `image_shape` is given, or if the features have neither names nor an axis and their number is a
      square number. White is zero; in images with three channels grey is zero, and a channel is lighter where its
      weight is positive and darker where it is negative, so that the negative of a component has the complementary
      colours;
    - as lines, one row per component around a grey line at zero, if `feature_axis` is given or the `feature_names` are
      numbers in increasing or decreasing order;
    - otherwise as a heat map with one row per component and one column per feature. White is zero.

    It is recommended to use :meth:`from_estimator` or :meth:`from_components`.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        One component per row, finite.
    image_shape : tuple of (height, width) or (height, width, channels), default=None
        Shape of a component as an image, in row-major order with the channels last: three for red, green and blue, or
        one. By default a square.
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
    lines_ : ndarray of shape (n_components, 1) of matplotlib Line2D, or None
        The lines, if any.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.plotting import ComponentsDisplay
    >>> pca = PCA(n_components=10).fit(load_digits().data)
    >>> display = ComponentsDisplay(pca.components_, estimator_name="PCA").plot()
    >>> display.figure_.savefig("components.png")  # doctest: +SKIP
    """

    components: ArrayLike
    _: KW_ONLY
    image_shape: ImageShape | None = None
    feature_axis: ArrayLike | None = None
    feature_names: ArrayLike | None = None
    estimator_name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_components: int | None = None,
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ComponentsDisplay:
        """Draw the ``components_`` of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``components_``, or a pipeline, of which the last step that has them is drawn, in the
            scale of that step's input. If the estimator was fitted on named columns, these label the features.
        n_components : int, default=None
            Number of components to draw, from the first. By default all.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of a component as an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time.
        name : str, default=None
            Title of the plot. By default the class name of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ComponentsDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``components_``.
        NotFittedError
            If it is not fitted.
        ValueError
            If `n_components`, `image_shape` or `feature_axis` does not fit the components.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ComponentsDisplay
        >>> pca = PCA().fit(load_iris(as_frame=True).data)
        >>> display = ComponentsDisplay.from_estimator(pca, n_components=2)
        >>> display.components.shape
        (2, 4)
        """
        check_is_fitted(estimator)
        step, feature_names = find_step(estimator, "components_")
        components = step.components_
        if n_components is not None:
            if not 1 <= n_components <= len(components):
                raise ValueError(
                    f"n_components must be 1 to {len(components)}, the number of components of "
                    f"{type(step).__name__}, got {n_components}."
                )
            components = components[:n_components]
        return cls(
            components,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=feature_names,
            estimator_name=type(step).__name__ if name is None else name,
        ).plot(ax=ax, **kwargs)

    @classmethod
    def from_components(
        cls,
        components: ArrayLike,
        *,
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ComponentsDisplay:
        """Draw components given as an array.

        Parameters
        ----------
        components : array-like of shape (n_components, n_features)
            One component per row, finite.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of a component as an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time.
        feature_names : array-like of n_features str or numbers, default=None
            Labels of the columns of a heat map, or the axis if they are numbers in order.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ComponentsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the components are not a finite 2D array or a shape does not fit them.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_ae.plotting import ComponentsDisplay
        >>> display = ComponentsDisplay.from_components(np.eye(6), image_shape=(2, 3))
        """
        return cls(
            components,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=feature_names,
            estimator_name=name,
        ).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "auto",
        scale_each: bool = True,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
    ) -> ComponentsDisplay:
        """Draw the components.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        kind : {"auto", "image", "line", "heatmap"}, default="auto"
            What to draw; ``"auto"`` chooses by the features, see above.
        scale_each : bool, default=True
            Whether to divide each component by its largest absolute value, so that the shape of each can be seen
            whatever its magnitude. If False, all share one scale.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Diverging colour map: red is positive, blue negative. ``"gray"`` keeps the signs distinct in print without
            colour. Not used for lines and for images with three channels.
        colorbar : bool, default=True
            Whether to draw a colour bar to the right of `ax`, for images with three channels one for each. Lines have
            none. Relative weights are divided by the largest absolute one of their component.

        Returns
        -------
        display : ComponentsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the components are not a finite 2D array or a shape does not fit them.
        ImportError
            If matplotlib is not installed.
        """
        components = check_array(self.components, dtype=np.float64, input_name="components")
        features = self._describe_features(kind, components.shape[1])
        values, limit = _scale(components, scale_each)
        self.im_ = self.lines_ = None
        rows_label = "component"
        if features.kind == "image":
            mosaic = Mosaic(values.reshape(-1, *features.image_shape), count_columns(len(values)))
            ax = self._set_axes(ax, mosaic.figsize(margin=1.5))
            self.im_ = mosaic.draw(ax, mosaic.row_ranges(), vmin=-limit, vmax=limit, cmap=cmap)
        elif features.kind == "line":
            rows = LineRows(values[:, np.newaxis], signed=True)
            ax = self._set_axes(ax, rows.figsize)
            self.lines_ = rows.draw(ax, features, [{"color": "C0"}], np.arange(len(values)))
            rows_label = rows_label if scale_each else rows.label(rows_label)
        else:
            ax = self._set_axes(ax, features.heat_map_figsize(len(values)))
            self.im_ = draw_heat_map(ax, values, features, limit, cmap)
            if len(values) <= MAX_TICK_LABELS:
                label_rows(ax, np.arange(len(values)))
        ax.set_ylabel(rows_label)
        self._draw_title(ax)
        if colorbar and self.im_ is not None:
            draw_signed_colorbar(ax, self.im_, limit, "relative weight" if scale_each else "weight")
        return self


def _scale(components: np.ndarray, scale_each: bool) -> tuple[np.ndarray, float]:
    """Return the values to draw and the end of their symmetric range."""
    largest = np.abs(components).max(axis=1, keepdims=True)
    if scale_each:
        return components / np.where(largest > 0, largest, 1), 1.0
    return components, float(largest.max()) or 1.0
