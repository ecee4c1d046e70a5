"""Reconstruction score by number of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_ae._metrics.reconstruction import size_curve
from sklearn_ae.plotting._base import LABEL_WIDTH, Display, draw_legend, line_style, set_size_axis, wrap
from sklearn_ae.plotting._checks import check_curves, check_mapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SizeCurveDisplay"]


@dataclass(eq=False, repr=False)
class SizeCurveDisplay(Display):
    """R² against the number of components, one line per kind of estimator.

    It is recommended to use :meth:`from_estimators`.

    Parameters
    ----------
    curves : dict of str to (sizes, scores)
        Numbers of components and the R² at each, two array-likes of equal length, by the label of their line. They may
        be in any order, and are drawn by size.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes with all lines.
    ax_ : matplotlib Axes
        The first of ``axes_``.

    Examples
    --------
    >>> from sklearn_ae.plotting import SizeCurveDisplay
    >>> display = SizeCurveDisplay({"PCA": ([2, 4, 8], [0.3, 0.5, 0.7])}).plot()
    >>> display.figure_.savefig("sizes.png")  # doctest: +SKIP
    """

    curves: Mapping[str, tuple[ArrayLike, ArrayLike]]

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: ArrayLike,
        *,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SizeCurveDisplay:
        """Score fitted estimators of different sizes and draw their R².

        Parameters
        ----------
        estimators : dict of str to estimator instance or sequence of them
            Fitted estimators with ``transform`` and ``inverse_transform``, by the label of their line. What is scored
            depends on the kind:

            - a sequence: each of its estimators, at the number of columns of its codes;
            - an ordered AutoencoderTransformer: its first component, its first two, and so on up to all;
            - PCA: the same, with the codes of the other components set to zero;
            - any other estimator, including pipelines: its one size.
        X : array-like of shape (n_samples, n_features)
            Samples to reconstruct, not all the same; held-out ones are more informative.
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SizeCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimators` is not a dict, or an estimator lacks ``transform`` or ``inverse_transform``.
        NotFittedError
            If one is not fitted.
        ValueError
            If there is no estimator, the samples in `X` are all the same, or `X` or a reconstruction of it is not
            finite.

        Notes
        -----
        The R² is that of :func:`~sklearn_ae.model_selection.reconstruction_score` for every line, with the mean of `X`
        as its baseline. ``reconstruction_curve`` itself has the mean of the training data as its baseline. Features
        that are constant on `X` count for an ordered autoencoder only.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import NMF, PCA
        >>> from sklearn_ae.plotting import SizeCurveDisplay
        >>> X = load_digits().data
        >>> nmfs = [NMF(k, tol=1e-2, random_state=0).fit(X) for k in (2, 4, 8)]
        >>> display = SizeCurveDisplay.from_estimators({"PCA": PCA(8).fit(X), "NMF": nmfs}, X)
        >>> sizes, scores = display.curves["PCA"]
        >>> print(sizes, scores.round(2))
        [1 2 3 4 5 6 7 8] [0.15 0.29 0.4  0.49 0.54 0.59 0.64 0.67]
        """
        check_mapping("estimators", estimators, "fitted estimators or lists of them")
        return cls({name: size_curve(name, each, X) for name, each in estimators.items()}).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        log_sizes: bool = True,
        chosen: Mapping[str, int] | None = None,
    ) -> SizeCurveDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.
        log_sizes : bool, default=True
            Whether the x axis is logarithmic, to base 2.
        chosen : dict of str to int, default=None
            Sizes to mark with a ring, by the label of their line.

        Returns
        -------
        display : SizeCurveDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `curves` or `chosen` is not a dict.
        ValueError
            If sizes and scores do not agree, there is nothing to draw, or `chosen` is not among the sizes.
        ImportError
            If matplotlib is not installed.
        """
        curves = check_curves(self.curves, ("sizes", "scores"))
        rings = _check_chosen(chosen, curves)
        ax = self._set_axes(ax, (8.0, 4.0))
        for position, (name, (sizes, scores)) in enumerate(curves.items()):
            markevery = 0.06 if len(sizes) > 12 else None  # of the diagonal: marks on dense lines would merge
            ax.plot(sizes, scores, label=wrap(str(name), LABEL_WIDTH), markevery=markevery, **line_style(position))
        if rings:
            ax.plot(*np.transpose(rings), "o", color="0.5", markersize=13, markerfacecolor="none", label="chosen")
        set_size_axis(ax, np.concatenate([sizes for sizes, _ in curves.values()]), log=log_sizes)
        ax.set_ylabel("R²")
        ax.grid(alpha=0.3)
        draw_legend(ax)
        return self


def _check_chosen(chosen: Mapping[str, int] | None, curves: dict[str, np.ndarray]) -> list[tuple[float, float]]:
    """Return the points of the chosen sizes."""
    rings: list[tuple[float, float]] = []
    if chosen is not None:
        check_mapping("chosen", chosen, "sizes")
        for name, size in chosen.items():
            sizes, scores = curves.get(name, np.empty((2, 0)))
            if size not in sizes:
                raise ValueError(f"chosen must map labels of curves to one of their sizes, got {size} for {name!r}.")
            rings.append((size, scores[sizes == size][0]))
    return rings
