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
from sklearn_ae.plotting._base import LABEL_WIDTH, Display, wrap
from sklearn_ae.plotting._checks import check_mapping
from sklearn_ae.plotting._mosaic import Mosaic, check_image_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReconstructionDisplay"]


@dataclass(eq=False, repr=False)
class ReconstructionDisplay(Display):
    """Images in rows: the originals, and below them the reconstructions by each estimator.

    It is recommended to use :meth:`from_estimators`, :meth:`from_estimator` or :meth:`from_reconstructions`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The originals to draw, one image per row.
    reconstructions : dict of str to array-like of shape (n_samples, n_features)
        The reconstructions of the same samples, by the label of their row of images.
    scores : dict of str to float, default=None
        R² to add to the labels.
    image_shape : tuple of (height, width), default=None
        Shape of an image, in row-major order. By default square.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all images.
    ax_ : matplotlib Axes
        The first of ``axes_``.
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
        """Draw the first samples of `X` and their reconstructions by each estimator.

        Parameters
        ----------
        estimators : dict of str to estimator instance
            Fitted estimators with ``transform`` and ``inverse_transform``, or pipelines of such steps, by the label of
            their row of images.
        X : array-like of shape (n_samples, n_features)
            Images, one per row. The R² in the labels is :func:`~sklearn_ae.model_selection.reconstruction_score` on all
            of them; a single sample has none.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width), default=None
            Shape of an image, in row-major order. By default square.
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
            If `n_samples` or `image_shape` does not fit.

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
        """Draw the first samples of `X` and their reconstructions by one estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``.
        X : array-like of shape (n_samples, n_features)
            Images, one per row; the R² in the label is that of all of them.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width), default=None
            Shape of an image, in row-major order. By default square.
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
            If `n_samples` or `image_shape` does not fit.

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
        """Draw the first samples of `X` and of reconstructions passed as arrays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images, one per row; the R² in the labels is that of all of them.
        reconstructions : dict of str to array-like of shape (n_samples, n_features)
            Reconstructions of all samples of `X`, by the label of their row of images.
        n_samples : int, default=10
            Number of samples to draw, from the first; all if there are fewer.
        image_shape : tuple of (height, width), default=None
            Shape of an image, in row-major order. By default square.
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
            If a reconstruction differs from `X` in shape, or `n_samples` or `image_shape` does not fit.

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
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, cmap: Any = "gray") -> ReconstructionDisplay:
        """Draw originals and reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        cmap : str or matplotlib Colormap, default="gray"
            Colour map, from the smallest to the largest value of the originals drawn. All images share it; values of a
            reconstruction outside of this range are clipped.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `image_shape` does not fit, or is None though the number of features is not a square number; or if a
            reconstruction differs from `X` in shape.
        ImportError
            If matplotlib is not installed.
        """
        originals = check_array(self.X, dtype=np.float64, input_name="X")
        n_samples, n_features = originals.shape
        shape = check_image_shape(self.image_shape, n_features, guess=True)
        if shape is None:
            raise ValueError(
                f"X has {n_features} features, which is not a square number: pass image_shape=(height, width) with "
                f"height * width = {n_features}."
            )
        rows, labels = [originals], ["original"]
        for name, each in self.reconstructions.items():
            rows.append(_check_reconstruction(name, each, originals.shape))
            labels.append(wrap(str(name), LABEL_WIDTH))
            if self.scores is not None and name in self.scores:
                labels[-1] += f"\nR² {self.scores[name]:.3f}"
        mosaic = Mosaic(np.concatenate(rows).reshape(-1, *shape), n_samples)
        longest = max(len(line) for label in labels for line in label.splitlines())
        ax = self._set_axes(ax, mosaic.figsize(margin=0.3 + 0.08 * longest))
        limits = {"vmin": originals.min(), "vmax": originals.max()}
        self.im_ = mosaic.draw(ax, labels, cmap=cmap, interpolation="nearest", **limits)
        ax.set_title("Reconstructions")
        return self


def _check_reconstruction(name: str, array: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    checked = check_array(array, dtype=np.float64, input_name=f"reconstruction {name!r}")
    if checked.shape != shape:
        raise ValueError(
            f"Reconstruction {name!r} has shape {checked.shape} but X has shape {shape}: pass the "
            "reconstruction of the same samples."
        )
    return checked
