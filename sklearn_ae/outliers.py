"""Outliers by the error with which a decomposition reconstructs them, with the interface of IsolationForest."""

from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._metrics.reconstruction import check_reconstructs, reconstruction_error
from sklearn_ae._utils.compat import HasMethods, Interval, StrOptions, fit_context, n_rows, rows_of

__all__ = ["ReconstructionDetector"]


class ReconstructionDetector(OutlierMixin, MetaEstimatorMixin, BaseEstimator):
    """Detect outliers by the squared error with which a decomposition reconstructs them.

    A decomposition that is fitted to ordinary samples reconstructs samples of another kind badly. The interface is that
    of :class:`~sklearn.ensemble.IsolationForest`.

    Parameters
    ----------
    estimator : estimator instance
        With ``fit``, ``transform`` and ``inverse_transform``: AutoencoderTransformer, PCA, NMF, or a
        :class:`~sklearn.pipeline.Pipeline` that ends in one. Its other steps are preprocessing, and scores are errors
        in the units of the input of the last step: after a scaler, features have equal weight.
    contamination : "auto" or float, default="auto"
        How to choose the threshold. A float in (0, 0.5] is the fraction of the training data to call outliers.
        ``"auto"`` is the rule of a boxplot, on samples that the model was not fitted to, like those to be scored later:
        outliers are farther from their reconstruction than the third quartile of the distances in cross-validation by
        more than 1.5 times the interquartile range. It assumes that fewer than a fourth of the samples are outliers,
        and calls a few per cent of ordinary ones outliers.
    cv : int, cross-validation generator or iterable, default=5
        The folds for ``contamination="auto"``, each of which takes a fit. Those of an int are blocks of consecutive
        samples, which suits series; shuffle samples that are sorted, or pass ``KFold(5, shuffle=True)``.
        ``ShuffleSplit(1)`` takes one fit.

    Attributes
    ----------
    estimator_ : estimator instance
        The estimator, fitted to all samples.
    offset_ : float
        Scores below it are those of outliers: ``decision_function`` is ``score_samples`` minus it.
    n_features_in_ : int
        Number of features seen in ``fit``, if the estimator has it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the estimator has them.

    See Also
    --------
    sklearn_ae.model_selection.reconstruction_error : The errors of any fitted decomposition.

    Notes
    -----
    A sample with missing values, for an estimator that accepts them, is scored by the mean error of its observed
    features times the number of features, so that scores with and without gaps are comparable.

    For a model that is already fitted pass ``sklearn.frozen.FrozenEstimator(model)``, and samples it was not fitted to.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.outliers import ReconstructionDetector
    >>> X = load_digits().data
    >>> detector = ReconstructionDetector(PCA(16)).fit(X[:1000])
    >>> ordinary = X[1000:]
    >>> transposed = ordinary.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)
    >>> for name, images in {"ordinary": ordinary, "transposed": transposed}.items():
    ...     print(f"{name} digits that are outliers: {np.mean(detector.predict(images) == -1):.3f}")
    ordinary digits that are outliers: 0.014
    transposed digits that are outliers: 1.000

    The estimator can also be an autoencoder or a Pipeline, such as
    ``make_pipeline(StandardScaler(), AutoencoderTransformer(8))``.
    """

    _parameter_constraints = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "transform"])],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "cv": ["cv_object"],
    }

    def __init__(self, estimator: Any, *, contamination: float | str = "auto", cv: Any = 5):
        self.estimator = estimator
        self.contamination = contamination
        self.cv = cv

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the estimator and find the offset.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Samples that the estimator accepts, most of them ordinary.
        y : Ignored
            Present for API consistency by convention.
        **fit_params : dict
            Passed to ``fit`` of the estimator: ``X_val``, for example. In cross-validation, arrays of as many rows as X
            hold a value for each sample and are split like X, except ``X_val``.

        Returns
        -------
        self : ReconstructionDetector
            The fitted detector.

        Raises
        ------
        TypeError
            If the estimator lacks ``inverse_transform``.
        """
        (X,) = indexable(X)
        check_reconstructs(_last_step(self.estimator))
        fitted = clone(self.estimator).fit(X, None, **fit_params)
        if isinstance(self.contamination, str):
            distances = np.sqrt(self._held_out_errors(X, fit_params))
            lower, upper = np.quantile(distances, [0.25, 0.75])
            offset = -((upper + 1.5 * (upper - lower)) ** 2)
        else:
            offset = np.percentile(-_errors(fitted, X), 100 * self.contamination)
        self.estimator_, self.offset_ = fitted, float(offset)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the negative squared reconstruction error per sample; the lowest are outliers.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            At most 0.
        """
        check_is_fitted(self)
        return -_errors(self.estimator_, X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores minus ``offset_``: negative for outliers.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            The lower, the more unusual.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for outliers and 1 for other samples.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 or 1.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def reconstruction_error(self, X: Any, *, per_feature: bool = False) -> Any:
        """Return the squared errors of the estimator in the units of its input, a whole Pipeline's too.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Samples.
        per_feature : bool, default=False
            Whether to return the error of each entry, which says what is unusual about a sample.

        Returns
        -------
        errors : ndarray of shape (n_samples,) or (n_samples, n_features)
            As of :func:`~sklearn_ae.model_selection.reconstruction_error`.
        """
        check_is_fitted(self)
        return reconstruction_error(self.estimator_, X, per_feature=per_feature)

    def _held_out_errors(self, X: Any, fit_params: dict[str, Any]) -> np.ndarray:
        errors = []
        for train, test in check_cv(self.cv).split(X):
            params = {name: _of_samples(name, value, n_rows(X), train) for name, value in fit_params.items()}
            fitted = clone(self.estimator).fit(rows_of(X, train), None, **params)
            errors.append(_errors(fitted, rows_of(X, test)))
        return np.concatenate(errors)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _of_samples(name: str, value: Any, n_samples: int, rows: np.ndarray) -> Any:
    """Return a parameter of ``fit`` for some rows of X."""
    is_array = isinstance(value, (list, tuple)) or bool(getattr(value, "shape", ()))
    aligned = is_array and not name.endswith("X_val") and n_rows(value) == n_samples
    return rows_of(value, rows) if aligned else value


def _steps_of(estimator: Any) -> tuple[Any, Any]:
    """Return the steps of a Pipeline before the last one, None without any, and the last one."""
    steps = getattr(estimator, "steps", None)
    if steps is None:
        return None, estimator
    last = max((i for i, (_, step) in enumerate(steps) if step is not None and step != "passthrough"), default=-1)
    if last < 0:
        raise TypeError(f"{estimator!r} has no step that reconstructs: add one, such as PCA or AutoencoderTransformer.")
    return (estimator[:last] if last else None), steps[last][1]


def _last_step(estimator: Any) -> Any:
    _, last = _steps_of(estimator)
    return last if last is estimator else _last_step(last)


def _errors(estimator: Any, X: Any) -> np.ndarray:
    """Return the squared error per sample in the units of the last step, over observed features."""
    before, last = _steps_of(estimator)
    if last is not estimator:
        return _errors(last, X if before is None else before.transform(X))
    errors = np.asarray(reconstruction_error(estimator, X, per_feature=True))
    n_observed = np.maximum((~np.isnan(errors)).sum(axis=1), 1)
    return np.nansum(errors, axis=1) * (errors.shape[1] / n_observed)
