"""Displays of components, reconstructions and traversals: images, or heat maps of features that are none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._display import (
    LABEL_WIDTH,
    MAX_TICK_LABELS,
    _Display,
    _NamedDisplay,
    check_feature_names,
    check_mapping,
    check_units,
    codes_of,
    colorbar_beside,
    find_step,
    font_size,
    inches,
    label_table,
    table_figsize,
    wrap,
)
from sklearn_ae._metrics.reconstruction import _r2, _reconstruct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_GAP_COLOR = "0.85"


@dataclass(eq=False, repr=False)
class ComponentsDisplay(_NamedDisplay):
    """The components of a decomposition, as images or as a heat map.

    Components are drawn as images if `image_shape` is given or if there are no
    `feature_names` and the number of features is a square, and otherwise as a heat map
    with a row for each component and a column for each feature. White is zero.

    It is recommended to use :meth:`from_estimator` or :meth:`from_components`.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        One component a row, finite.

    image_shape : tuple of (height, width), default=None
        Shape of a component as an image, row by row. By default a square, if there are
        no `feature_names`.

    feature_names : array-like of n_features str, default=None
        Labels of the columns of a heat map.

    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds all components.

    ax_ : matplotlib Axes
        The same, alone.

    im_ : matplotlib AxesImage
        The mosaic of images, or the heat map.

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
    image_shape: tuple[int, int] | None = None
    feature_names: ArrayLike | None = None
    estimator_name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_components: int | None = None,
        image_shape: tuple[int, int] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ComponentsDisplay:
        """Draw the `components_` of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `components_`, or a pipeline: its last step that has
            them is drawn, in the units of what that step is given. If the estimator was
            fitted on named columns, they name the features.

        n_components : int, default=None
            Draw only so many, from the first. By default all.

        image_shape : tuple of (height, width), default=None
            Shape of a component as an image, row by row. By default a square, if the
            features have no names.

        name : str, default=None
            Title of the picture. By default the class of the estimator.

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
            If the estimator has no `components_`.
        NotFittedError
            If it is not fitted.
        ValueError
            If `n_components` or `image_shape` does not fit the components.
        ImportError
            If matplotlib is not installed.

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
            feature_names=feature_names,
            estimator_name=type(step).__name__ if name is None else name,
        ).plot(ax=ax, **kwargs)

    @classmethod
    def from_components(
        cls,
        components: ArrayLike,
        *,
        image_shape: tuple[int, int] | None = None,
        feature_names: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ComponentsDisplay:
        """Draw components given as an array.

        Parameters
        ----------
        components : array-like of shape (n_components, n_features)
            One component a row, finite.

        image_shape : tuple of (height, width), default=None
            Shape of a component as an image, row by row. By default a square, if there
            are no `feature_names`.

        feature_names : array-like of n_features str, default=None
            Labels of the columns of a heat map.

        name : str, default=None
            Title of the picture.

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
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_ae.plotting import ComponentsDisplay
        >>> display = ComponentsDisplay.from_components(np.eye(6), image_shape=(2, 3))
        """
        return cls(components, image_shape=image_shape, feature_names=feature_names, estimator_name=name).plot(
            ax=ax, **kwargs
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scale_each: bool = True,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
    ) -> ComponentsDisplay:
        """Draw the components.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        scale_each : bool, default=True
            Divide each component by its largest absolute value, so that shapes show
            whatever their size. If False, all share one scale.

        cmap : str or matplotlib Colormap, default="RdBu_r"
            Diverging colours: red is positive, blue negative. `"gray"` is one that
            keeps the signs apart in print without colour.

        colorbar : bool, default=True
            Whether to draw the scale of the colours, to the right of `ax`. A relative
            weight is one divided by the largest of its component.

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
        n_components, n_features = components.shape
        names = check_feature_names(self.feature_names, n_features)
        shape = _check_image_shape(self.image_shape, n_features, guess=names is None)
        values, limit = _scale(components, scale_each)
        style = {"vmin": -limit, "vmax": limit, "cmap": cmap, "interpolation": "nearest"}
        if shape is None:
            ax = self._start(ax, table_figsize(n_components, n_features))
            self.im_ = ax.imshow(values, aspect="auto", **style)
            label_table(ax, n_components, names)
        else:
            mosaic = _Mosaic(values.reshape(-1, *shape), _n_columns(n_components))
            ax = self._start(ax, mosaic.figsize(margin=1.5))
            self.im_ = mosaic.draw(ax, mosaic.row_ranges(), **style)
        ax.set_ylabel("component")
        self._draw_title(ax)
        if colorbar:
            label = "relative weight" if scale_each else "weight"
            colorbar_beside(ax, self.im_, ticks=[-limit, 0, limit], format="%.2g", label=label)
        return self


@dataclass(eq=False, repr=False)
class ReconstructionDisplay(_Display):
    """Rows of images: originals, and below them what each estimator makes of them.

    It is recommended to use :meth:`from_estimators`, :meth:`from_estimator` or
    :meth:`from_reconstructions`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The originals to draw, one image a row.

    reconstructions : dict of str to array-like of shape (n_samples, n_features)
        The reconstructions of the same rows, by the label of their row of images.

    scores : dict of str to float, default=None
        R² to write beside a label.

    image_shape : tuple of (height, width), default=None
        Shape of an image, row by row. By default a square.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds all images.

    ax_ : matplotlib Axes
        The same, alone.

    im_ : matplotlib AxesImage
        The mosaic of images.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn_ae.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> display = ReconstructionDisplay.from_estimators(
    ...     {"PCA": PCA(8).fit(X), "NMF": NMF(8, tol=1e-3).fit(X)}, X
    ... )
    >>> display.figure_.savefig("reconstructions.png")  # doctest: +SKIP
    """

    X: ArrayLike
    reconstructions: Mapping[str, ArrayLike]
    _: KW_ONLY
    scores: Mapping[str, float] | None = None
    image_shape: tuple[int, int] | None = None

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: ArrayLike,
        *,
        n_samples: int = 10,
        image_shape: tuple[int, int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first rows of `X` and each estimator's reconstruction of them.

        Parameters
        ----------
        estimators : dict of str to estimator instance
            Fitted estimators with `transform` and `inverse_transform`, or pipelines of
            such steps, by the label of their row of images.

        X : array-like of shape (n_samples, n_features)
            Images, one a row. The R² in the labels is
            :func:`~sklearn_ae.model_selection.reconstruction_score` on all of them; of a
            single row there is none.

        n_samples : int, default=10
            How many rows to draw, from the first; all if there are fewer.

        image_shape : tuple of (height, width), default=None
            Shape of an image, row by row. By default a square.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimators` is not a dict, or one cannot transform or invert.
        NotFittedError
            If one is not fitted.
        ValueError
            If `n_samples` or `image_shape` does not fit.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_estimators(
        ...     {"2 axes": PCA(2).fit(X), "20 axes": PCA(20).fit(X)}, X, n_samples=5
        ... )
        >>> {name: round(score, 2) for name, score in display.scores.items()}
        {'2 axes': 0.29, '20 axes': 0.89}
        """
        check_mapping("estimators", estimators, "fitted estimators")
        for estimator in estimators.values():
            check_is_fitted(estimator)
        reconstructions = {name: _reconstruct(each, X) for name, each in estimators.items()}
        return cls.from_reconstructions(
            X, reconstructions, n_samples=n_samples, image_shape=image_shape, ax=ax, **kwargs
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_samples: int = 10,
        image_shape: tuple[int, int] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first rows of `X` and one estimator's reconstruction of them.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `transform` and `inverse_transform`.

        X : array-like of shape (n_samples, n_features)
            Images, one a row; the R² in the label is that of all of them.

        n_samples : int, default=10
            How many rows to draw, from the first; all if there are fewer.

        image_shape : tuple of (height, width), default=None
            Shape of an image, row by row. By default a square.

        name : str, default=None
            Label of the reconstructions. By default the class of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator cannot transform or invert.
        NotFittedError
            If it is not fitted.
        ValueError
            If `n_samples` or `image_shape` does not fit.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_estimator(PCA(8).fit(X), X, n_samples=5)
        """
        label = type(estimator).__name__ if name is None else name
        return cls.from_estimators({label: estimator}, X, n_samples=n_samples, image_shape=image_shape, ax=ax, **kwargs)

    @classmethod
    def from_reconstructions(
        cls,
        X: ArrayLike,
        reconstructions: Mapping[str, ArrayLike],
        *,
        n_samples: int = 10,
        image_shape: tuple[int, int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first rows of `X` and of reconstructions given as arrays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images, one a row; the R² in the labels is that of all of them.

        reconstructions : dict of str to array-like of shape (n_samples, n_features)
            Reconstructions of all rows of `X`, by the label of their row of images.

        n_samples : int, default=10
            How many rows to draw, from the first; all if there are fewer.

        image_shape : tuple of (height, width), default=None
            Shape of an image, row by row. By default a square.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `reconstructions` is not a dict.
        ValueError
            If a reconstruction differs from `X` in shape, or `n_samples` or
            `image_shape` does not fit.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_ae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_reconstructions(X, {"rounded": X.round(-1)})
        """
        check_mapping("reconstructions", reconstructions, "arrays")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        originals = check_array(X, dtype=np.float64, input_name="X")
        arrays = {name: _check_reconstruction(name, each, originals.shape) for name, each in reconstructions.items()}
        scores = None
        if len(originals) > 1:
            scores = {name: _r2(originals, each) for name, each in arrays.items()}
        return cls(
            originals[:n_samples],
            {name: each[:n_samples] for name, each in arrays.items()},
            scores=scores,
            image_shape=image_shape,
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, cmap: Any = "gray") -> ReconstructionDisplay:
        """Draw originals and reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        cmap : str or matplotlib Colormap, default="gray"
            Colours from the smallest to the largest value of the originals drawn. All
            images share them; what a reconstruction has beyond is drawn as the end.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `image_shape` does not fit, or is missing where rows are not squares; or
            if a reconstruction differs from `X` in shape.
        ImportError
            If matplotlib is not installed.
        """
        originals = check_array(self.X, dtype=np.float64, input_name="X")
        n_samples, n_features = originals.shape
        shape = _check_image_shape(self.image_shape, n_features, guess=True)
        if shape is None:
            raise ValueError(
                f"X has {n_features} features, which is no square: give image_shape=(height, width) with that product."
            )
        rows, labels = [originals], ["original"]
        for name, each in self.reconstructions.items():
            rows.append(_check_reconstruction(name, each, originals.shape))
            labels.append(wrap(str(name), LABEL_WIDTH))
            if self.scores is not None and name in self.scores:
                labels[-1] += f"\nR² {self.scores[name]:.3f}"
        mosaic = _Mosaic(np.concatenate(rows).reshape(-1, *shape), n_samples)
        longest = max(len(line) for label in labels for line in label.splitlines())
        ax = self._start(ax, mosaic.figsize(margin=0.3 + 0.08 * longest))
        limits = {"vmin": originals.min(), "vmax": originals.max()}
        self.im_ = mosaic.draw(ax, labels, cmap=cmap, interpolation="nearest", **limits)
        ax.set_title("Reconstructions")
        return self


@dataclass(eq=False, repr=False)
class TraversalDisplay(_NamedDisplay):
    """What each unit of a code does: the data decoded along it, all other units held still.

    Images, decided as in :class:`ComponentsDisplay`, are drawn as a mosaic with a row for
    each unit and a column for each step. Of other features there is a heat map with a row
    for each unit and a column for each feature: by how much the feature changes from the
    first step to the last.

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
        Quantiles of the codes of a unit at which its steps begin and end, to label the
        columns of images.

    image_shape : tuple of (height, width), default=None
        Shape of an image, row by row. By default a square, if there are no
        `feature_names`.

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
            Fitted estimator with `transform` and `inverse_transform`: PCA, NMF,
            AutoencoderTransformer, or a pipeline of steps that all have both. If it was
            fitted on named columns, they name the features.

        X : array-like of shape (n_samples, n_features)
            Rows whose codes say where a unit begins and ends.

        units : array-like of int, default=None
            Units to draw, counted from zero. By default the first ten, or all if there
            are fewer.

        n_steps : int, default=7
            How many values of a unit to decode, evenly spaced, at least two.

        row : int, default=None
            Row of `X` whose code holds the other units still, counted from zero. By
            default they are at their means.

        quantiles : tuple of (first, last), default=(0.05, 0.95)
            Quantiles of the codes of a unit from which to which it goes.

        image_shape : tuple of (height, width), default=None
            Shape of an image, row by row. By default a square, if the features have no
            names.

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
            By default `"gray"` for images, from the smallest to the largest value
            decoded; and for a heat map `"RdBu_r"`, in which white is no change, red a
            rise and blue a fall, where `"gray"` keeps the signs apart in print without
            colour. All units share the scale.

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
        A heat map is in the units of the data. Where those of the features differ, the
        changes compare only if the data that `estimator` takes is standardised: of a
        pipeline that begins with a scaler, draw the rest, with the scaled data.
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


class _Mosaic:
    """Images in a grid, as one picture in which the gaps are NaN."""

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
        """Return width and height in inches, with a margin for what stands beside the images."""
        height, width = self.pixels.shape
        image_width = min(max(1.0 * self.n_columns, 1.6), 8.0, 8.0 * width / height)
        return margin + image_width, 0.6 + max(image_width * height / width, 1.0)

    def row_ranges(self) -> list[str]:
        """Name the images that each row holds, counted from zero."""
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


def _n_columns(n: int) -> int:
    """Count columns for a grid from square to twice as wide as high, with the fewest gaps."""
    candidates = range(math.ceil(math.sqrt(n)), math.ceil(math.sqrt(2 * n)) + 1)
    return min(candidates, key=lambda n_columns: -n % n_columns)


def _scale(components: np.ndarray, scale_each: bool) -> tuple[np.ndarray, float]:
    """Return the values to draw and the end of their symmetric range."""
    largest = np.abs(components).max(axis=1, keepdims=True)
    if scale_each:
        return components / np.where(largest > 0, largest, 1), 1.0
    return components, float(largest.max()) or 1.0


def _check_image_shape(image_shape: tuple[int, int] | None, n_features: int, *, guess: bool) -> tuple[int, int] | None:
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


def _check_reconstruction(name: str, array: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    checked = check_array(array, dtype=np.float64, input_name=f"reconstruction {name!r}")
    if checked.shape != shape:
        raise ValueError(
            f"Reconstruction {name!r} has shape {checked.shape} but X has shape {shape}: give the "
            "reconstruction of the same rows."
        )
    return checked


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
