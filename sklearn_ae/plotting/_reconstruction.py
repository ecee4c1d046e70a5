"""Samples with their reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._metrics.reconstruction import reconstruct, variance_weighted_r2
from sklearn_ae.plotting._base import LABEL_WIDTH, draw_colorbar, draw_legend, line_style, wrap
from sklearn_ae.plotting._checks import check_mapping
from sklearn_ae.plotting._features import FeatureDisplay, Features, ImageShape, column_names
from sklearn_ae.plotting._lines import LineRows
from sklearn_ae.plotting._mosaic import Mosaic, value_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReconstructionDisplay"]


@dataclass(eq=False, repr=False)
class ReconstructionDisplay(FeatureDisplay):
    """Samples and their reconstructions by each estimator, as images, as lines or as heat maps.

    Images are drawn in rows: the originals, and below them the reconstructions by each estimator. Lines are drawn in
    one row per sample, the reconstructions over the original. Other features are drawn as heat maps with one row per
    sample and one column per feature, the originals above the reconstructions. The default is chosen as in
    :class:`ComponentsDisplay`.

    It is recommended to use :meth:`from_estimators`, :meth:`from_estimator` or :meth:`from_reconstructions`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The originals to draw.
    reconstructions : dict of str to array-like of shape (n_samples, n_features)
        The reconstructions of the same samples, by their label.
    scores : dict of str to float, default=None
        R² to add to the labels.
    image_shape : tuple of (height, width) or (height, width, channels), default=None
        Shape of an image, in row-major order with the channels last: three for red, green and blue, or one. By default
        a square.
    feature_axis : array-like of n_features numbers, default=None
        Position of each feature, such as its wavelength or time, in increasing or decreasing order. Its attribute
        ``name``, if any, as of a Series, labels the axis.
    feature_names : array-like of n_features str or numbers, default=None
        Labels of the columns of a heat map, or the axis if they are numbers in order.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all samples.
    ax_ : matplotlib Axes
        The first of ``axes_``.
    im_ : matplotlib AxesImage or None
        The mosaic of images or of heat maps; None for lines.
    lines_ : ndarray of shape (n_samples, 1 + n_reconstructions) of matplotlib Line2D, or None
        The lines, if any: of each sample the original and its reconstructions.

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
    image_shape: ImageShape | None = None
    feature_axis: ArrayLike | None = None
    feature_names: ArrayLike | None = None

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: ArrayLike,
        *,
        n_samples: int = 10,
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first samples of `X` and their reconstructions by each estimator.

        Parameters
        ----------
        estimators : dict of str to estimator instance
            Fitted estimators with ``transform`` and ``inverse_transform``, or pipelines of such steps, by their
            label.
        X : array-like of shape (n_samples, n_features)
            Samples. The R² in the labels is :func:`~sklearn_ae.model_selection.reconstruction_score` on all of them; a
            single sample has none.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time. By default the names of the columns of `X`, if
            they are numbers in order.
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
            If `estimators` is not a dict, or an estimator lacks ``transform`` or ``inverse_transform``.
        NotFittedError
            If one is not fitted.
        ValueError
            If `n_samples`, `image_shape` or `feature_axis` does not fit.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_estimators(
        ...     {"PCA(2)": PCA(2).fit(X), "PCA(20)": PCA(20).fit(X)}, X, n_samples=5
        ... )
        >>> {name: round(score, 2) for name, score in display.scores.items()}
        {'PCA(2)': 0.29, 'PCA(20)': 0.89}
        """
        check_mapping("estimators", estimators, "fitted estimators")
        for estimator in estimators.values():
            check_is_fitted(estimator)
        reconstructions = {name: reconstruct(each, X) for name, each in estimators.items()}
        kwargs |= {"n_samples": n_samples, "image_shape": image_shape, "feature_axis": feature_axis}
        return cls.from_reconstructions(X, reconstructions, ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_samples: int = 10,
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first samples of `X` and their reconstructions by one estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``.
        X : array-like of shape (n_samples, n_features)
            Samples; the R² in the label is that of all of them.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time. By default the names of the columns of `X`, if
            they are numbers in order.
        name : str, default=None
            Label of the reconstructions. By default the class name of the estimator.
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
            If the estimator has no ``transform`` or no ``inverse_transform``.
        NotFittedError
            If it is not fitted.
        ValueError
            If `n_samples`, `image_shape` or `feature_axis` does not fit.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_estimator(PCA(8).fit(X), X, n_samples=5)
        """
        label = type(estimator).__name__ if name is None else name
        kwargs |= {"n_samples": n_samples, "image_shape": image_shape, "feature_axis": feature_axis}
        return cls.from_estimators({label: estimator}, X, ax=ax, **kwargs)

    @classmethod
    def from_reconstructions(
        cls,
        X: ArrayLike,
        reconstructions: Mapping[str, ArrayLike],
        *,
        n_samples: int = 10,
        image_shape: ImageShape | None = None,
        feature_axis: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first samples of `X` and of reconstructions passed as arrays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; the R² in the labels is that of all of them.
        reconstructions : dict of str to array-like of shape (n_samples, n_features)
            Reconstructions of all samples of `X`, by their label.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width) or (height, width, channels), default=None
            Shape of an image, in row-major order with the channels last.
        feature_axis : array-like of n_features numbers, default=None
            Position of each feature, such as its wavelength or time. By default the names of the columns of `X`, if
            they are numbers in order.
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
            If a reconstruction differs from `X` in shape, or `n_samples`, `image_shape` or `feature_axis` does
            not fit.

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
            scores = {name: variance_weighted_r2(originals, each) for name, each in arrays.items()}
        return cls(
            originals[:n_samples],
            {name: each[:n_samples] for name, each in arrays.items()},
            scores=scores,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=column_names(X),
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, kind: str = "auto", cmap: Any = None) -> ReconstructionDisplay:
        """Draw originals and reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        kind : {"auto", "image", "line", "heatmap"}, default="auto"
            What to draw; ``"auto"`` chooses by the features, see above.
        cmap : str or matplotlib Colormap, default=None
            Colour map of images, ``"gray"`` by default, and of heat maps, ``"viridis"`` by default, from the smallest
            to the largest value of the originals drawn, and for heat maps without a `feature_axis` of each feature.
            Values of a reconstruction outside of this range are clipped. Images with three channels need no colour map:
            black and white are 0 and 1, or 0 and 255, if the originals are in one of these ranges, otherwise their
            smallest and their largest value.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `kind`, `image_shape`, `feature_axis` or `feature_names` does not fit, or if a reconstruction differs
            from `X` in shape.
        ImportError
            If matplotlib is not installed.
        """
        originals = check_array(self.X, dtype=np.float64, input_name="X")
        features = self._describe_features(kind, originals.shape[1])
        blocks, labels = [originals], ["original"]
        for name, each in self.reconstructions.items():
            blocks.append(_check_reconstruction(name, each, originals.shape))
            labels.append(wrap(str(name), LABEL_WIDTH))
            if self.scores is not None and name in self.scores:
                labels[-1] += f"\nR² {self.scores[name]:.3f}"
        self.im_ = self.lines_ = None
        values = np.array(blocks)  # (1 + n_reconstructions, n_samples, n_features)
        if features.kind == "line":
            ax = self._draw_lines(ax, values, labels, features)
        else:
            ax = self._draw_mosaic(ax, values, labels, features, cmap)
        ax.set_title("Reconstructions")
        return self

    def _draw_lines(self, ax: Axes | None, values: np.ndarray, labels: list[str], features: Features) -> Axes:
        rows = LineRows(values.swapaxes(0, 1))
        width, height = rows.figsize
        ax = self._set_axes(ax, (width + 1.5, height))
        styles: list[dict[str, Any]] = [{"color": "0.7", "linewidth": 3.0}]
        styles += [{**line_style(i), "marker": "", "linewidth": 1.2} for i in range(len(labels) - 1)]
        self.lines_ = rows.draw(ax, features, styles, np.arange(values.shape[1]))
        ax.set_ylabel(rows.label("sample"))
        draw_legend(ax, handles=list(self.lines_[0]), labels=labels)
        return ax

    def _draw_mosaic(
        self, ax: Axes | None, values: np.ndarray, labels: list[str], features: Features, cmap: Any
    ) -> Axes:
        margin = 0.3 + 0.08 * max(len(line) for label in labels for line in label.splitlines())
        if features.kind == "image":
            mosaic = Mosaic(values.reshape(-1, *features.image_shape), values.shape[1])
            ax = self._set_axes(ax, mosaic.figsize(margin))
            low, high = value_range(values[0], in_color=mosaic.in_color)
            self.im_ = mosaic.draw(ax, labels, vmin=low, vmax=high, cmap="gray" if cmap is None else cmap)
        else:
            relative = features.axis is None  # the features may have different units
            mosaic = Mosaic(_relative_to_first(values) if relative else values, 1)
            low, high = (0.0, 1.0) if relative else value_range(values[0], in_color=False)
            width, height = features.heat_map_figsize(len(mosaic.pixels))
            ax = self._set_axes(ax, (margin + width, height))
            self.im_ = mosaic.draw(
                ax, labels, vmin=low, vmax=high, cmap="viridis" if cmap is None else cmap, aspect="auto"
            )
            features.label_columns(ax)
            bar = draw_colorbar(ax, self.im_, label="range of the feature" if relative else None)
            bar.set_ticks([low, high], labels=["min", "max"] if relative else [f"{low:.3g}", f"{high:.3g}"])
        return ax


def _relative_to_first(values: np.ndarray) -> np.ndarray:
    """Return values of which the first block has the range 0 to 1 in each feature that varies."""
    low, high = values[0].min(axis=0), values[0].max(axis=0)
    spread = high - low
    return (values - low) / np.where(spread > 0, spread, spread.max() or 1.0)


def _check_reconstruction(name: str, array: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    checked = check_array(array, dtype=np.float64, input_name=f"reconstruction {name!r}")
    if checked.shape != shape:
        raise ValueError(
            f"Reconstruction {name!r} has shape {checked.shape} but X has shape {shape}: pass the "
            "reconstruction of the same samples."
        )
    return checked
