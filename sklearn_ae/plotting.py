"""Displays: the data of a picture in an object that draws it, as in scikit-learn.

matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._scoring import _r2, _reconstruct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.transforms import Bbox

__all__ = ["ComponentsDisplay", "LossCurveDisplay", "ReconstructionDisplay"]

_GAP_COLOR = "0.85"
_MAX_TICK_LABELS = 40
_LABEL_WIDTH = 18  # characters


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


@dataclass(eq=False, repr=False)
class ComponentsDisplay(_Display):
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
        step, feature_names = _find_step(estimator, "components_")
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
        names = _check_feature_names(self.feature_names, n_features)
        shape = _check_image_shape(self.image_shape, n_features, guess=names is None)
        values, limit = _scale(components, scale_each)
        style = {"vmin": -limit, "vmax": limit, "cmap": cmap, "interpolation": "nearest"}
        if shape is None:
            ax = self._start(ax, _table_figsize(n_components, n_features))
            self.im_ = ax.imshow(values, aspect="auto", **style)
            _label_table(ax, n_components, names)
        else:
            mosaic = _Mosaic(values.reshape(-1, *shape), _n_columns(n_components))
            ax = self._start(ax, mosaic.figsize(margin=1.5))
            self.im_ = mosaic.draw(ax, mosaic.row_ranges(), **style)
        ax.set_ylabel("component")
        if self.estimator_name is not None:
            ax.set_title(_wrap(self.estimator_name, 2 * _LABEL_WIDTH))
        if colorbar:
            self.figure_.colorbar(
                self.im_,
                cax=ax.inset_axes((1.02, 0, 0.03, 1)),  # as high as the image
                ticks=[-limit, 0, limit],
                format="%.2g",
                label="relative weight" if scale_each else "weight",
            )
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
        _check_mapping("estimators", estimators, "fitted estimators")
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
        _check_mapping("reconstructions", reconstructions, "arrays")
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
            labels.append(_wrap(str(name), _LABEL_WIDTH))
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
class LossCurveDisplay(_Display):
    """Training loss and validation R² by epoch.

    It is recommended to use :meth:`from_estimator` or :meth:`from_curves`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of epochs 1 to n_epochs.

    validation_scores : array-like of shape (n_epochs + 1,), default=None
        R² on the validation rows, before training (epoch 0) and after each epoch.

    best_epoch : int, default=None
        Epoch whose weights were kept, 0 to n_epochs; 0 is the start.

    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) or (2,) of matplotlib Axes
        The Axes of the loss and, with validation scores, that of the R² over it.

    ax_ : matplotlib Axes
        The Axes of the loss.

    Examples
    --------
    >>> from sklearn_ae.plotting import LossCurveDisplay
    >>> display = LossCurveDisplay(
    ...     [0.5, 0.3, 0.2], validation_scores=[0.4, 0.6, 0.8, 0.7], best_epoch=2
    ... ).plot()
    >>> display.figure_.savefig("training.png")  # doctest: +SKIP
    """

    loss_curve: ArrayLike
    _: KW_ONLY
    validation_scores: ArrayLike | None = None
    best_epoch: int | None = None
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None) -> LossCurveDisplay:
        """Draw how a fitted estimator was trained.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `loss_curve_` and, where it has them,
            `validation_scores_` and `best_epoch_`; or a pipeline: its last step that has
            a `loss_curve_` is drawn.

        name : str, default=None
            Title of the picture. By default the class of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no `loss_curve_`.
        NotFittedError
            If it is not fitted.
        ValueError
            If the estimator trained for no epoch and scored no validation rows.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import AutoencoderTransformer
        >>> from sklearn_ae.plotting import LossCurveDisplay
        >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
        >>> display = LossCurveDisplay.from_estimator(autoencoder.fit(load_iris().data))
        """
        check_is_fitted(estimator)
        step, _ = _find_step(estimator, "loss_curve_")
        return cls(
            step.loss_curve_,
            validation_scores=getattr(step, "validation_scores_", None),
            best_epoch=getattr(step, "best_epoch_", None),
            estimator_name=type(step).__name__ if name is None else name,
        ).plot(ax=ax)

    @classmethod
    def from_curves(
        cls,
        loss_curve: ArrayLike,
        *,
        validation_scores: ArrayLike | None = None,
        best_epoch: int | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> LossCurveDisplay:
        """Draw curves given as arrays.

        Parameters
        ----------
        loss_curve : array-like of shape (n_epochs,)
            Training loss of epochs 1 to n_epochs.

        validation_scores : array-like of shape (n_epochs + 1,), default=None
            R² on the validation rows, before training (epoch 0) and after each epoch.

        best_epoch : int, default=None
            Epoch whose weights were kept, 0 to n_epochs; 0 is the start.

        name : str, default=None
            Title of the picture.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the lengths do not agree or there is nothing to draw.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_ae.plotting import LossCurveDisplay
        >>> display = LossCurveDisplay.from_curves([0.5, 0.3, 0.2], name="by hand")
        >>> display.ax_.get_title()
        'by hand'
        """
        return cls(
            loss_curve,
            validation_scores=validation_scores,
            best_epoch=best_epoch,
            estimator_name=name,
        ).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; the R² gets a second y axis over it. By default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the lengths do not agree or there is nothing to draw.
        ImportError
            If matplotlib is not installed.
        """
        loss, scores = self._check()
        ax = self._start(ax, (6.4, 4.0))
        lines = []
        if len(loss):
            lines += ax.plot(range(1, len(loss) + 1), loss, "C0.-", label="training loss")
            ax.set_ylabel("training loss")
        else:
            ax.set_yticks([])
        if scores is not None:
            twin = ax.twinx()
            lines += twin.plot(range(len(scores)), scores, "C1.--", label="validation R²")
            twin.set_ylabel("validation R²")
            self.axes_ = np.array([ax, twin])
        if self.best_epoch is not None:
            label = f"best epoch ({self.best_epoch})"
            lines.append(ax.axvline(self.best_epoch, color="0.4", linestyle=":", label=label))
        margin = max(0.5, 0.03 * len(loss))
        ax.set(xlabel="epoch", xlim=(-margin, len(loss) + margin))
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        style = {"ncols": 3, "fontsize": "small", "frameon": False, "borderaxespad": 0.2}
        ax.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1), **style)
        if self.estimator_name is not None:
            ax.set_title(_wrap(self.estimator_name, 2 * _LABEL_WIDTH), pad=22)  # over the legend
        return self

    def _check(self) -> tuple[np.ndarray, np.ndarray | None]:
        loss = _check_curve("loss_curve", self.loss_curve)
        scores = None
        if self.validation_scores is not None:
            scores = _check_curve("validation_scores", self.validation_scores)
            if len(scores) != len(loss) + 1:
                raise ValueError(
                    f"validation_scores must have one entry more than loss_curve, the score "
                    f"before training: expected {len(loss) + 1}, got {len(scores)}."
                )
        elif len(loss) == 0:
            raise ValueError(
                "Nothing to draw: loss_curve is empty and there are no validation_scores. Train for at least one epoch."
            )
        if self.best_epoch is not None and not 0 <= self.best_epoch <= len(loss):
            raise ValueError(
                f"best_epoch must be 0 to {len(loss)}, the number of epochs in loss_curve, got {self.best_epoch}."
            )
        return loss, scores


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
            label.set_fontsize(_font_size(row_height / (1 + label.get_text().count("\n"))))
        ax.tick_params(left=False)
        ax.spines[:].set_color(_GAP_COLOR)
        return image

    def _row_height(self, ax: Axes) -> float:
        box = _inches(ax)
        height, width = self.pixels.shape
        return min(box.width / width, box.height / height) * height / len(self.row_centres)


def _inches(ax: Axes) -> Bbox:
    return ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())


def _font_size(line_height: float) -> float:
    """Return the size in points, 5 to 10, of text that fits a line of so many inches."""
    return min(max(72 * line_height / 1.3, 5.0), 10.0)


def _table_figsize(n_rows: int, n_columns: int) -> tuple[float, float]:
    columns, rows = min(n_columns, _MAX_TICK_LABELS), min(n_rows, _MAX_TICK_LABELS)
    return 1.5 + max(0.25 * columns, 1.5), 2.0 + max(0.2 * rows, 1.0)


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


def _label_table(ax: Axes, n_rows: int, names: np.ndarray | None) -> None:
    if names is not None and len(names) <= _MAX_TICK_LABELS:
        size = _font_size(_inches(ax).width / len(names))
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    else:
        ax.set_xlabel("feature")
        ax.locator_params(axis="x", integer=True)
    if n_rows <= _MAX_TICK_LABELS:
        ax.set_yticks(range(n_rows))


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False)


def _find_step(estimator: Any, attribute: str) -> tuple[Any, Any]:
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


def _check_feature_names(names: ArrayLike | None, n_features: int) -> np.ndarray | None:
    if names is None:
        return None
    names = np.asarray(names)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must have one name for each of the {n_features} features, got shape {names.shape}."
        )
    return names


def _check_reconstruction(name: str, array: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    checked = check_array(array, dtype=np.float64, input_name=f"reconstruction {name!r}")
    if checked.shape != shape:
        raise ValueError(
            f"Reconstruction {name!r} has shape {checked.shape} but X has shape {shape}: give the "
            "reconstruction of the same rows."
        )
    return checked


def _check_curve(parameter: str, curve: ArrayLike) -> np.ndarray:
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{parameter} must be one-dimensional, got shape {curve.shape}.")
    return curve


def _check_mapping(parameter: str, value: Any, content: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{parameter} must be a dict of {content} by name, such as {{'PCA': ...}}, got {type(value).__name__}."
        )
