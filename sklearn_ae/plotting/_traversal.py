"""Codes decoded along each component."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from sklearn_ae.plotting._base import MAX_TICK_LABELS, NamedDisplay, draw_colorbar, heat_map_figsize, label_heat_map
from sklearn_ae.plotting._checks import check_feature_names, check_units, codes_of
from sklearn_ae.plotting._mosaic import Mosaic, check_image_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TraversalDisplay"]


@dataclass(eq=False, repr=False)
class TraversalDisplay(NamedDisplay):
    """Reconstructions as one component of a code varies and the others are held fixed.

    Images, decided as in :class:`ComponentsDisplay`, are drawn as a mosaic with one row per component and one column
    per step. Other features are drawn as a heat map with one row per component and one column per feature, which shows
    by how much the feature changes from the first step to the last.

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
        Quantiles of the codes of a component at its first and last step, to label the columns of images.
    image_shape : tuple of (height, width), default=None
        Shape of an image, in row-major order. By default square, if there are no `feature_names`.
    feature_names : array-like of n_features str, default=None
        Labels of the columns of a heat map.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all components.
    ax_ : matplotlib Axes
        The first of ``axes_``.
    im_ : matplotlib AxesImage
        The mosaic of images, or the heat map.

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
    image_shape: tuple[int, int] | None = None
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
        image_shape: tuple[int, int] | None = None,
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
        image_shape : tuple of (height, width), default=None
            Shape of an image, in row-major order. By default square, if the features have no names.
        name : str, default=None
            Title of the picture. By default the class name of the estimator.
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
            If `units`, `n_steps`, `row`, `quantiles` or `image_shape` does not fit.

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
            feature_names=getattr(estimator, "feature_names_in_", None),
            estimator_name=type(estimator).__name__ if name is None else name,
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, cmap: Any = None) -> TraversalDisplay:
        """Draw the images or the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colour map. By default ``"gray"`` for images, from the smallest to the largest decoded value, and
            ``"RdBu_r"`` for a heat map, in which white is no change, red an increase and blue a decrease; ``"gray"``
            keeps the signs distinct in print without colour. All components share the scale.

        Returns
        -------
        display : TraversalDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the shapes of the arrays, of the images or of the names do not agree.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        A heat map is in the units of the data. If features have different units, their changes are comparable only if
        the input of the estimator is standardised: for a pipeline that begins with a scaler, draw the remaining steps,
        with the scaled data.
        """
        decoded, units = self._check()
        names = check_feature_names(self.feature_names, decoded.shape[2])
        shape = check_image_shape(self.image_shape, decoded.shape[2], guess=names is None)
        if shape is None:
            ax = self._set_axes(ax, heat_map_figsize(len(units), decoded.shape[2]))
            self._draw_changes(ax, decoded[:, -1] - decoded[:, 0], cmap="RdBu_r" if cmap is None else cmap)
            label_heat_map(ax, len(units), names)
            every = -(-len(units) // MAX_TICK_LABELS)
            ax.set_yticks(range(0, len(units), every), units[::every])
        else:
            mosaic = Mosaic(decoded.reshape(-1, *shape), decoded.shape[1])
            ax = self._set_axes(ax, mosaic.figsize(margin=1.5))
            self._draw_images(ax, mosaic, units, cmap="gray" if cmap is None else cmap)
        ax.set_ylabel("component")
        self._draw_title(ax)
        return self

    def _draw_changes(self, ax: Axes, changes: np.ndarray, cmap: Any) -> None:
        limit = float(np.abs(changes).max()) or 1.0
        style = {"vmin": -limit, "vmax": limit, "cmap": cmap, "interpolation": "nearest"}
        self.im_ = ax.imshow(changes, aspect="auto", **style)
        draw_colorbar(ax, self.im_, ticks=[-limit, 0, limit], format="%.2g", label="change")

    def _draw_images(self, ax: Axes, mosaic: Mosaic, units: np.ndarray, cmap: Any) -> None:
        self.im_ = mosaic.draw(ax, [str(unit) for unit in units], cmap=cmap, interpolation="nearest")
        if self.quantiles is not None:
            ax.set_xticks(mosaic.column_centres[[0, -1]], [f"{quantile:g}" for quantile in self.quantiles])
            ax.tick_params(bottom=False)
            ax.set_xlabel("quantile of the component")

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
