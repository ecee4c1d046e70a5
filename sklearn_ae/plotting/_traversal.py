"""Decoded codes along each component."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from sklearn_ae.plotting._base import (
    MAX_TICK_LABELS,
    _NamedDisplay,
    colorbar_beside,
    label_table,
    table_figsize,
)
from sklearn_ae.plotting._checks import check_feature_names, check_units, codes_of
from sklearn_ae.plotting._mosaic import _check_image_shape, _Mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TraversalDisplay"]


@dataclass(eq=False, repr=False)
class TraversalDisplay(_NamedDisplay):
    """What each unit of a code does: the data decoded along it, all other units held still.

    Images, decided as in :class:`ComponentsDisplay`, are drawn as a mosaic with a row for each unit and a column for
    each step. Of other features there is a heat map with a row for each unit and a column for each feature: by how much
    the feature changes from the first step to the last.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    decoded : array-like of shape (n_units, n_steps, n_features)
        The decoded steps, finite, at least two.
    values : array-like of shape (n_units, n_steps)
        The value of the unit at each step.
    units : array-like of n_units int
        Which units they are, counted from zero.
    quantiles : tuple of (first, last), default=None
        Quantiles of the codes of a unit at which its steps begin and end, to label the columns of images.
    image_shape : tuple of (height, width), default=None
        Shape of an image, row by row. By default a square, if there are no `feature_names`.
    feature_names : array-like of n_features str, default=None
        Labels of the columns of a heat map.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds all units.
    ax_ : matplotlib Axes
        The same, alone.
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
        """Decode along the units of a fitted estimator and draw the result.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``: PCA, NMF, AutoencoderTransformer, or a pipeline
            of steps that all have both. If it was fitted on named columns, they name the features.
        X : array-like of shape (n_samples, n_features)
            Rows whose codes say where a unit begins and ends.
        units : array-like of int, default=None
            Units to draw, counted from zero. By default the first ten, or all if there are fewer.
        n_steps : int, default=7
            How many values of a unit to decode, evenly spaced, at least two.
        row : int, default=None
            Row of `X` whose code holds the other units still, counted from zero. By default they are at their means.
        quantiles : tuple of (first, last), default=(0.05, 0.95)
            Quantiles of the codes of a unit from which to which it goes.
        image_shape : tuple of (height, width), default=None
            Shape of an image, row by row. By default a square, if the features have no names.
        name : str, default=None
            Title of the picture. By default the class of the estimator.
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
            If the estimator cannot transform or invert.
        NotFittedError
            If it is not fitted.
        ValueError
            If `units`, `n_steps`, `row`, `quantiles` or `image_shape` does not fit.
        ImportError
            If matplotlib is not installed.

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
            raise ValueError(f"n_steps must be at least 2, where a unit begins and ends, got {n_steps}.")
        codes = codes_of(estimator, X, "inverse_transform")  # (n, k)
        chosen = check_units(np.arange(min(codes.shape[1], 10)) if units is None else units, codes.shape[1])
        first, last = np.quantile(codes[:, chosen], _check_quantiles(quantiles), axis=0)
        values = np.linspace(first, last, n_steps, axis=1)
        steps = np.tile(_base_code(codes, row), (*values.shape, 1))  # (n_units, n_steps, k)
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
        """Draw what the units do.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        cmap : str or matplotlib Colormap, default=None
            By default ``"gray"`` for images, from the smallest to the largest value decoded; and for a heat map
            ``"RdBu_r"``, in which white is no change, red a rise and blue a fall, where ``"gray"`` keeps the signs apart in
            print without colour. All units share the scale.

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
        A heat map is in the units of the data. Where those of the features differ, the changes compare only if the data
        that ``estimator`` takes is standardised: of a pipeline that begins with a scaler, draw the rest, with the scaled
        data.
        """
        decoded, units = self._check()
        names = check_feature_names(self.feature_names, decoded.shape[2])
        shape = _check_image_shape(self.image_shape, decoded.shape[2], guess=names is None)
        if shape is None:
            ax = self._start(ax, table_figsize(len(units), decoded.shape[2]))
            self._draw_changes(ax, decoded[:, -1] - decoded[:, 0], cmap="RdBu_r" if cmap is None else cmap)
            label_table(ax, len(units), names)
            every = -(-len(units) // MAX_TICK_LABELS)
            ax.set_yticks(range(0, len(units), every), units[::every])
        else:
            mosaic = _Mosaic(decoded.reshape(-1, *shape), decoded.shape[1])
            ax = self._start(ax, mosaic.figsize(margin=1.5))
            self._draw_images(ax, mosaic, units, cmap="gray" if cmap is None else cmap)
        ax.set_ylabel("unit")
        self._draw_title(ax)
        return self

    def _draw_changes(self, ax: Axes, changes: np.ndarray, cmap: Any) -> None:
        limit = float(np.abs(changes).max()) or 1.0
        style = {"vmin": -limit, "vmax": limit, "cmap": cmap, "interpolation": "nearest"}
        self.im_ = ax.imshow(changes, aspect="auto", **style)
        colorbar_beside(ax, self.im_, ticks=[-limit, 0, limit], format="%.2g", label="change")

    def _draw_images(self, ax: Axes, mosaic: _Mosaic, units: np.ndarray, cmap: Any) -> None:
        self.im_ = mosaic.draw(ax, [str(unit) for unit in units], cmap=cmap, interpolation="nearest")
        if self.quantiles is not None:
            ax.set_xticks(mosaic.column_centres[[0, -1]], [f"{quantile:g}" for quantile in self.quantiles])
            ax.tick_params(bottom=False)
            ax.set_xlabel("quantile of the unit")

    def _check(self) -> tuple[np.ndarray, np.ndarray]:
        decoded = check_array(self.decoded, dtype=np.float64, allow_nd=True, input_name="decoded")
        if decoded.ndim != 3 or decoded.shape[1] < 2:
            raise ValueError(
                "decoded must have the shape (n_units, n_steps, n_features) with two steps or more, got "
                f"{decoded.shape}."
            )
        if np.shape(self.values) != decoded.shape[:2]:
            raise ValueError(
                f"values must have one for each of the (n_units, n_steps) = {decoded.shape[:2]} of decoded, got shape "
                f"{np.shape(self.values)}."
            )
        units = np.asarray(self.units)
        if units.shape != decoded.shape[:1]:
            raise ValueError(
                f"units must have one for each of the {len(decoded)} units of decoded, got shape {units.shape}."
            )
        return decoded, units


def _base_code(codes: np.ndarray, row: int | None) -> np.ndarray:
    if row is None:
        return codes.mean(axis=0)
    if not 0 <= row < len(codes):
        raise ValueError(f"row must be 0 to {len(codes) - 1}, a row of X, or None for the mean code, got {row}.")
    return codes[row]


def _check_quantiles(quantiles: tuple[float, float]) -> np.ndarray:
    checked = np.asarray(quantiles, dtype=np.float64)
    if checked.shape != (2,) or not 0 <= checked[0] < checked[1] <= 1:
        raise ValueError(f"quantiles must be (first, last) with 0 <= first < last <= 1, got {quantiles!r}.")
    return checked
