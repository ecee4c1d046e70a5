"""Displays of curves and points: training, sizes, shares of variance, codes and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._display import (
    LABEL_WIDTH,
    MARKERS,
    _Display,
    _NamedDisplay,
    check_curve,
    check_curves,
    check_mapping,
    check_units,
    codes_of,
    colorbar_beside,
    find_step,
    legend_beside,
    line_style,
    size_axis,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from sklearn_ae._metrics.reconstruction import _size_curve

__all__ = ["CodeScatterDisplay", "ComparisonDisplay", "LossCurveDisplay", "ScreeDisplay", "SizeCurveDisplay"]

_MAX_NUMBERED_CLASSES = 20


@dataclass(eq=False, repr=False)
class LossCurveDisplay(_NamedDisplay):
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
        step, _ = find_step(estimator, "loss_curve_")
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
        self._draw_head(ax, lines)
        return self

    def _check(self) -> tuple[np.ndarray, np.ndarray | None]:
        loss = check_curve("loss_curve", self.loss_curve)
        scores = None
        if self.validation_scores is not None:
            scores = check_curve("validation_scores", self.validation_scores)
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


@dataclass(eq=False, repr=False)
class SizeCurveDisplay(_Display):
    """R² against the number of units, a line for each kind of estimator.

    It is recommended to use :meth:`from_estimators`.

    Parameters
    ----------
    curves : dict of str to (sizes, scores)
        Numbers of units and the R² at each, two array-likes of one length, by the label
        of their line. In any order; they are drawn by size.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds all lines.

    ax_ : matplotlib Axes
        The same, alone.

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
            Fitted estimators with `transform` and `inverse_transform`, by the label of
            their line. What is scored depends on what is given:

            - a sequence: each of its estimators, at the number of columns of its codes;
            - an estimator with a method `reconstruction_curve`, such as an ordered
              AutoencoderTransformer: its first unit, its first two, and so on to all;
            - PCA: the same, the codes of the other units being zero;
            - any other estimator, pipelines too: that one size.

        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct, which differ. Rows that were not fitted to say more.

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
            If `estimators` is not a dict, or one cannot transform or invert.
        NotFittedError
            If one is not fitted.
        ValueError
            If there is no estimator, the rows of `X` are all the same, or `X` or a
            reconstruction of it is not finite.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        The R² is :func:`~sklearn_ae.model_selection.reconstruction_score`, whose baseline
        is the mean of the `X` that is given. `reconstruction_curve` of
        AutoencoderTransformer has the mean of the rows that it was fitted to instead: on
        other rows its R² is a little higher, by the distance of the two means.

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
        return cls({name: _size_curve(name, each, X) for name, each in estimators.items()}).plot(ax=ax, **kwargs)

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
            Whether each doubling of the number of units takes the same space.

        chosen : dict of str to int, default=None
            A size to mark with a ring, by the label of its line.

        Returns
        -------
        display : SizeCurveDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `curves` or `chosen` is not a dict.
        ValueError
            If sizes and scores do not agree, there is nothing to draw, or `chosen` is
            not among the sizes.
        ImportError
            If matplotlib is not installed.
        """
        curves = check_curves(self.curves, ("sizes", "scores"))
        rings = _check_chosen(chosen, curves)
        ax = self._start(ax, (8.0, 4.0))
        for position, (name, (sizes, scores)) in enumerate(curves.items()):
            markevery = 0.06 if len(sizes) > 12 else None  # of the diagonal: marks on dense lines would merge
            ax.plot(sizes, scores, label=wrap(str(name), LABEL_WIDTH), markevery=markevery, **line_style(position))
        if rings:
            ax.plot(*np.transpose(rings), "o", color="0.2", markersize=13, markerfacecolor="none", label="chosen")
        size_axis(ax, np.concatenate([sizes for sizes, _ in curves.values()]), log=log_sizes)
        ax.set_ylabel("R²")
        ax.grid(alpha=0.3)
        legend_beside(ax)
        return self


@dataclass(eq=False, repr=False)
class ScreeDisplay(_NamedDisplay):
    """The share of the variance that each unit explains, and that of all units up to it.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    explained_variance_ratio : array-like of shape (n_components,)
        Share of each unit, finite. A negative one is a unit that makes the
        reconstruction worse.

    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds bars and line.

    ax_ : matplotlib Axes
        The same, alone.

    Examples
    --------
    >>> from sklearn_ae.plotting import ScreeDisplay
    >>> display = ScreeDisplay([0.5, 0.25, 0.125], estimator_name="three units").plot()
    >>> display.figure_.savefig("scree.png")  # doctest: +SKIP
    """

    explained_variance_ratio: ArrayLike
    _: KW_ONLY
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None) -> ScreeDisplay:
        """Draw the `explained_variance_ratio_` of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `explained_variance_ratio_`, such as PCA or
            AutoencoderTransformer, or a pipeline: its last step that has them is drawn.

        name : str, default=None
            Title of the picture. By default the class of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : ScreeDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no `explained_variance_ratio_`.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import ScreeDisplay
        >>> display = ScreeDisplay.from_estimator(PCA(8).fit(load_digits().data))
        """
        check_is_fitted(estimator)
        step, _ = find_step(estimator, "explained_variance_ratio_")
        label = type(step).__name__ if name is None else name
        return cls(step.explained_variance_ratio_, estimator_name=label).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> ScreeDisplay:
        """Draw a bar for each unit, and the line of their sums.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        Returns
        -------
        display : ScreeDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the shares are not one-dimensional and finite, or there are none.
        ImportError
            If matplotlib is not installed.
        """
        shares = check_curve("explained_variance_ratio", self.explained_variance_ratio)
        if len(shares) == 0 or not np.isfinite(shares).all():
            raise ValueError(f"explained_variance_ratio must be one finite number or more, got {shares}.")
        ax = self._start(ax, (6.4, 4.0))
        units = np.arange(len(shares))
        bars = ax.bar(units, shares, color="C0", label="this unit")
        markevery = max(1, len(shares) // 20)
        sums = ax.plot(units, shares.cumsum(), "C1s-", markersize=4, markevery=markevery, label="all units up to it")
        ax.axhline(0, color="0.2", linewidth=0.8)
        ax.set(xlabel="unit", ylabel="share of the variance explained", xlim=(-0.7, len(shares) - 0.3))
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        self._draw_head(ax, [bars, *sums])
        return self


@dataclass(eq=False, repr=False)
class CodeScatterDisplay(_NamedDisplay):
    """The codes of two units against each other, coloured by a target.

    It is recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_units)
        Codes, finite.

    y : array-like of shape (n_samples,), default=None
        Target. Classes, which are strings or at most twenty different whole numbers, get
        a legend, a marker and a colour each; other numbers get a scale of colours.

    units : tuple of (int, int), default=(0, 1)
        The units across and up, counted from zero.

    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds the points.

    ax_ : matplotlib Axes
        The same, alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ae.plotting import CodeScatterDisplay
    >>> iris = load_iris()
    >>> display = CodeScatterDisplay(iris.data, iris.target_names[iris.target]).plot()
    >>> display.figure_.savefig("codes.png")  # doctest: +SKIP
    """

    codes: ArrayLike
    y: ArrayLike | None = None
    units: tuple[int, int] = (0, 1)
    _: KW_ONLY
    estimator_name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        units: tuple[int, int] = (0, 1),
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> CodeScatterDisplay:
        """Draw the codes that a fitted estimator gives `X`.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `transform`, which returns two columns or more.

        X : array-like of shape (n_samples, n_features)
            Rows to draw, a point each.

        y : array-like of shape (n_samples,), default=None
            Target of the rows: classes or numbers.

        units : tuple of (int, int), default=(0, 1)
            The units across and up, counted from zero.

        name : str, default=None
            Title of the picture. By default the class of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeScatterDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator cannot transform.
        NotFittedError
            If it is not fitted.
        ValueError
            If `y` or `units` does not fit the codes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.plotting import CodeScatterDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> display = CodeScatterDisplay.from_estimator(PCA(3).fit(X), X, y, units=(0, 2))
        """
        codes = codes_of(estimator, X)
        label = type(estimator).__name__ if name is None else name
        return cls(codes, y, units, estimator_name=label).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, cmap: Any = "viridis") -> CodeScatterDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of a target of numbers. The default goes from dark to light, which
            shows in print without colour too.

        Returns
        -------
        display : CodeScatterDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `y` or `units` does not fit the codes.
        ImportError
            If matplotlib is not installed.
        """
        points, y = self._check()
        ax = self._start(ax, (6.4, 4.8))
        style: dict[str, Any] = {"s": float(np.clip(40_000 / len(points), 9, 36)), "linewidths": 0.8}
        across, up = points.T
        if y is None:
            ax.scatter(across, up, **style)
        elif _is_of_classes(y):
            for position, label in enumerate(np.unique(y)):
                style |= _class_style(position)
                ax.scatter(across[y == label], up[y == label], label=wrap(str(label), LABEL_WIDTH), **style)
            legend_beside(ax, title=_target_name(self.y))
        else:
            colorbar_beside(ax, ax.scatter(across, up, c=y, cmap=cmap, **style), label=_target_name(self.y))
        ax.set(xlabel=f"unit {self.units[0]}", ylabel=f"unit {self.units[1]}")
        self._draw_title(ax)
        return self

    def _check(self) -> tuple[np.ndarray, np.ndarray | None]:
        codes = check_array(self.codes, dtype=np.float64, input_name="codes")
        if codes.shape[1] < 2:
            raise ValueError(
                "codes have a single unit, and two are drawn: fit an estimator with n_components=2 or more."
            )
        units = check_units(self.units, codes.shape[1])
        if len(units) != 2:
            raise ValueError(f"units must be two, one across and one up, got {self.units!r}.")
        if self.y is None:
            return codes[:, units], None
        y = column_or_1d(self.y)
        check_consistent_length(codes, y)
        return codes[:, units], y


@dataclass(eq=False, repr=False)
class ComparisonDisplay(_Display):
    """A measure of several estimators by their number of units, with error bars.

    An estimator without a number of units is a horizontal line, with its error as a band.
    Values that are NaN, such as those of fits that failed, are left out.

    It is recommended to use :meth:`from_frame`.

    Parameters
    ----------
    curves : dict of str to (sizes, means, standard_errors)
        Numbers of units, and the mean and its standard error at each, array-likes of one
        length, by the name of the estimator. Sizes may be None, all or some, where an
        estimator has none; standard errors may be None, where none are known.

    metric_name : str, default="R²"
        What is measured: the label of the y axis, or one of "r2", "probe", "neighbours",
        "stability", "localisation", "redundancy", "dead", "fit_seconds",
        "transform_seconds" and "n_parameters", which are spelled out. The last three get
        a logarithmic axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of shape (1,) of matplotlib Axes
        The one Axes that holds all lines.

    ax_ : matplotlib Axes
        The same, alone.

    Examples
    --------
    >>> from sklearn_ae.plotting import ComparisonDisplay
    >>> curves = {
    ...     "PCA": ([2, 4, 8], [0.3, 0.5, 0.7], [0.01, 0.01, 0.02]),
    ...     "identity": (None, [1.0], None),
    ... }
    >>> display = ComparisonDisplay(curves).plot()
    >>> display.figure_.savefig("comparison.png")  # doctest: +SKIP
    """

    curves: Mapping[str, tuple[ArrayLike | None, ArrayLike, ArrayLike | None]]
    metric_name: str = "R²"

    @classmethod
    def from_frame(cls, frame: Any, metric: str = "r2", *, ax: Axes | None = None, **kwargs: Any) -> ComparisonDisplay:
        """Draw a column of a table of results.

        Parameters
        ----------
        frame : pandas DataFrame
            Table with a row for each estimator and size: the columns "estimator",
            "n_components", which may be missing values, and `metric`. Standard errors
            are read from the column named `metric` and "_se", if there is one.

        metric : str, default="r2"
            Name of the column to draw.

        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `frame` is not a DataFrame.
        ValueError
            If a column is missing, or it has no value.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_ae.plotting import ComparisonDisplay
        >>> frame = pd.DataFrame(
        ...     {
        ...         "estimator": ["PCA", "PCA", "NMF", "NMF"],
        ...         "n_components": [2, 8, 2, 8],
        ...         "fit_seconds": [0.01, 0.02, 0.1, 0.4],
        ...     }
        ... )
        >>> display = ComparisonDisplay.from_frame(frame, "fit_seconds")
        >>> display.ax_.get_ylabel()
        'time to fit (s)'
        """
        if not hasattr(frame, "groupby"):
            raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}.")
        needed = ["estimator", "n_components", metric]
        missing = [column for column in needed if column not in frame.columns]
        if missing:
            raise ValueError(f"frame must have the columns {needed}: {missing} not among {list(frame.columns)}.")
        columns = [*needed[1:], f"{metric}_se"]
        curves: dict[str, Any] = {
            name: tuple(_floats(group[column]) if column in group.columns else None for column in columns)
            for name, group in frame.groupby("estimator", sort=False)
        }
        return cls(curves, metric).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, log_sizes: bool = True) -> ComparisonDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. By default a new figure.

        log_sizes : bool, default=True
            Whether each doubling of the number of units takes the same space.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `curves` is not a dict.
        ValueError
            If sizes, means and errors do not agree, or there is nothing to draw.
        ImportError
            If matplotlib is not installed.
        """
        curves = self._check()
        ax = self._start(ax, (8.0, 4.0))
        handles = [
            _draw_compared(ax, wrap(str(name), LABEL_WIDTH), curve, line_style(position))
            for position, (name, curve) in enumerate(curves.items())
        ]
        sizes = np.concatenate([sizes for sizes, _, _ in curves.values()])
        sizes = sizes[~np.isnan(sizes)]
        if len(sizes):
            size_axis(ax, sizes, log=log_sizes)
        else:
            ax.set_xticks([])
        label, is_log = _METRICS.get(self.metric_name, (self.metric_name, False))
        ax.set_ylabel(label)
        if is_log:
            ax.set_yscale("log")
        ax.grid(alpha=0.3)
        legend_beside(ax, handles=handles)
        return self

    def _check(self) -> dict[str, np.ndarray]:
        parts = ("sizes", "means", "standard_errors")
        curves = check_curves(self.curves, parts, optional=("sizes", "standard_errors"))
        known = {name: curve[:, ~np.isnan(curve[1])] for name, curve in curves.items()}
        known = {name: curve for name, curve in known.items() if curve.size}
        if not known:
            raise ValueError(
                f"Nothing to draw: {self.metric_name!r} of {', '.join(map(str, curves))} is missing at every size. "
                "Fits that fail leave no values: see why they failed."
            )
        return known


#: Labels of measures, and whether their scale is logarithmic.
_METRICS = {
    "r2": ("R²", False),
    "probe": ("score of a linear probe", False),
    "neighbours": ("score of nearest neighbours", False),
    "stability": ("stability of the components", False),
    "localisation": ("localisation of the components", False),
    "redundancy": ("redundancy of the components", False),
    "dead": ("share of dead units", False),
    "fit_seconds": ("time to fit (s)", True),
    "transform_seconds": ("time to transform (s)", True),
    "n_parameters": ("number of parameters", True),
}


def _draw_compared(ax: Axes, label: str, curve: np.ndarray, style: dict[str, Any]) -> Any:
    """Draw the line of an estimator, or a horizontal one of each mean without a size; return one for the legend."""
    is_sized = ~np.isnan(curve[0])
    handle: Any = None
    for _, mean, error in curve[:, ~is_sized].T:
        handle = ax.axhline(mean, xmin=0.02, xmax=0.98, label=label, **style)
        if not np.isnan(error):
            ax.axhspan(mean - error, mean + error, color=style["color"], alpha=0.15, linewidth=0)
    if is_sized.any():
        sizes, means, errors = curve[:, is_sized]
        handle = ax.errorbar(sizes, means, None if np.isnan(errors).all() else errors, label=label, capsize=3, **style)
    return handle


def _floats(column: Any) -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_chosen(chosen: Mapping[str, int] | None, curves: dict[str, np.ndarray]) -> list[tuple[float, float]]:
    """Return the points that the chosen sizes are."""
    rings: list[tuple[float, float]] = []
    if chosen is not None:
        check_mapping("chosen", chosen, "sizes")
        for name, size in chosen.items():
            sizes, scores = curves.get(name, np.empty((2, 0)))
            if size not in sizes:
                raise ValueError(f"chosen must be sizes of curves, by their label, got {size} of {name!r}.")
            rings.append((size, scores[sizes == size][0]))
    return rings


def _is_of_classes(y: np.ndarray) -> bool:
    is_number = y.dtype.kind in "iuf"
    if is_number and len(np.unique(y)) > _MAX_NUMBERED_CLASSES:
        return False
    return type_of_target(y, input_name="y", raise_unknown=True) in ("binary", "multiclass")


def _class_style(position: int) -> dict[str, Any]:
    """Return what tells a class from the others, in print without colour too: every other one is hollow."""
    color = f"C{position % 10}"
    return {
        "marker": MARKERS[position % len(MARKERS)],
        "edgecolors": color,
        "facecolors": "none" if position % 2 else color,
    }


def _target_name(y: Any) -> str:
    return str(getattr(y, "name", None) or "y")  # a Series has one
