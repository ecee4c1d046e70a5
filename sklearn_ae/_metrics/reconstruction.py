"""Reconstruction scores and errors for any decomposition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

__all__ = [
    "check_reconstructs",
    "culprit",
    "reconstruct",
    "reconstruction_error",
    "reconstruction_score",
    "size_curve",
    "variance_weighted_r2",
]


def reconstruction_score(estimator: Any, X: ArrayLike, y: Any = None) -> float:
    """Score any decomposition by the fraction of the variance of `X` that it reconstructs.

    The score is the R² of ``estimator.inverse_transform(estimator.transform(X))`` with respect to `X`,
    1 - Σ(x - x̂)² / Σ(x - x̄)²: :func:`sklearn.metrics.r2_score` with ``multioutput="variance_weighted"``. The baseline
    x̄ is the mean of the `X` that is scored, the same for all estimators, so that scores of different kinds and numbers
    of components are comparable. The baseline of ``AutoencoderTransformer.score`` is the mean of the training data
    instead, which makes it slightly higher on held-out data. Features that are constant on `X` do not count. A whole
    :class:`~sklearn.pipeline.Pipeline` is scored in the units of its input.

    It is a scorer: pass it as ``scoring`` to :class:`~sklearn.model_selection.GridSearchCV` or
    :func:`~sklearn.model_selection.cross_val_score`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``transform`` and ``inverse_transform``: PCA, NMF, AutoencoderTransformer,
        ``KernelPCA(fit_inverse_transform=True)``, or a pipeline in which every step has both.
    X : array-like of shape (n_samples, n_features)
        Dense numeric samples to reconstruct, at least two, without NaN or infinity.
    y : None
        Ignored; present because scorers are called with it.

    Returns
    -------
    score : float
        At most 1, a perfect reconstruction; 0 is no better than the mean of `X`, and worse ones are negative. Computed
        in float64. Constant data follows ``r2_score``: 1 if reconstructed exactly, otherwise 0.

    Raises
    ------
    TypeError
        If the estimator, or a step of a pipeline, lacks one of the methods; or if `X` is sparse.
    ValueError
        If `X` or its reconstruction is not finite, or their shapes differ.

    Notes
    -----
    On training data more components always score better, and on held-out data they usually do: the score compares
    decompositions with the same number of components, and shows how much each further component adds. Choose the number
    of components by the purpose of the codes.

    Examples
    --------
    One search varies the kind of decomposition and its number of components:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn_ae.model_selection import reconstruction_score
    >>> X = load_digits().data[:300] / 16
    >>> pipeline = Pipeline([("decompose", PCA())])
    >>> grid = {
    ...     "decompose": [PCA(), NMF(max_iter=1000, tol=1e-3, random_state=0)],
    ...     "decompose__n_components": [2, 8],
    ... }
    >>> search = GridSearchCV(pipeline, grid, scoring=reconstruction_score, cv=3).fit(X)
    >>> for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
    ...     name = type(params["decompose"]).__name__
    ...     print(f"{name} {params['decompose__n_components']}: {score:.2f}")
    PCA 2: 0.27
    PCA 8: 0.70
    NMF 2: 0.16
    NMF 8: 0.61
    """
    return variance_weighted_r2(X, reconstruct(estimator, X))


def reconstruction_error(estimator: Any, X: Any, per_feature: bool = False) -> Any:
    """Return the squared errors with which any decomposition reconstructs `X`, per sample or per entry.

    The errors are those of ``estimator.inverse_transform(estimator.transform(X))``. Those of a whole
    :class:`~sklearn.pipeline.Pipeline` are in the units of its input: steps that scale are undone.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``transform`` and ``inverse_transform``: PCA, NMF, AutoencoderTransformer,
        ``KernelPCA(fit_inverse_transform=True)``, or a pipeline in which every step has both. If it has a method
        ``reconstruction_error``, as AutoencoderTransformer has, that is called.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Numeric samples. NaN if the estimator accepts it.
    per_feature : bool, default=False
        Whether to return the error of each entry instead of the sum over features.

    Returns
    -------
    errors : ndarray of shape (n_samples,) or (n_samples, n_features), float64
        At least 0, in squared units of `X`. Missing entries add nothing to a sum; their own errors are NaN.

    Raises
    ------
    TypeError
        If the estimator, or a step of a pipeline, lacks one of the methods.
    ValueError
        If `X` holds values other than numbers, its reconstruction is not finite, or their shapes differ.

    See Also
    --------
    reconstruction_score : R², from the sum of these errors.
    sklearn_ae.outliers.ReconstructionDetector : Predict which samples are outliers.

    Examples
    --------
    What is unusual about the wine that PCA reconstructs worst? Errors are in the units of the table:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_ae.model_selection import reconstruction_error
    >>> X = load_wine(as_frame=True).data
    >>> pipeline = make_pipeline(StandardScaler(), PCA(4)).fit(X)
    >>> worst = reconstruction_error(pipeline[1:], pipeline[:1].transform(X)).argmax()
    >>> errors = reconstruction_error(pipeline, X, per_feature=True)[worst]
    >>> X.columns[(errors / X.var()).argmax()]
    'magnesium'
    """
    if hasattr(estimator, "reconstruction_error"):
        return estimator.reconstruction_error(X, per_feature=per_feature)
    reconstruction = reconstruct(estimator, X)
    try:
        true = check_array(X, dtype=np.float64, accept_sparse=True, ensure_all_finite=False, input_name="X")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Reconstruction errors require numbers, but X holds other values: {str(error).rstrip('.')}. Compare "
            "encoded columns: reconstruction_error(pipeline[-1], pipeline[:-1].transform(X))."
        ) from error
    true = _dense(true)
    squared = np.square(true - _like(true, reconstruction))
    return squared if per_feature else np.nansum(squared, axis=1)


def reconstruct(estimator: Any, X: ArrayLike) -> Any:
    """Return the reconstruction of X; a TypeError names what lacks a method."""
    check_reconstructs(estimator)
    return estimator.inverse_transform(estimator.transform(X))


def check_reconstructs(estimator: Any) -> None:
    """Raise a TypeError that names what lacks a method."""
    for method in ("transform", "inverse_transform"):
        if not hasattr(estimator, method):
            raise TypeError(
                f"{culprit(estimator, method)} has no {method}, so it cannot reconstruct its input. Use an estimator "
                "with transform and inverse_transform, such as PCA, NMF or AutoencoderTransformer, or a pipeline in "
                "which every step has both."
            )


def culprit(estimator: Any, method: str) -> str:
    """Return the name of an estimator or, in a pipeline, of the first step that lacks a method."""
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            if step not in (None, "passthrough") and not hasattr(step, method):
                return f"Step {name!r} of the pipeline, {type(step).__name__},"
    return type(estimator).__name__


def variance_weighted_r2(X: ArrayLike, reconstruction: Any) -> float:
    """Return the R² of a reconstruction, features weighted by their variance."""
    true = check_array(X, dtype=np.float64, input_name="X")
    return float(r2_score(true, _like(true, reconstruction), multioutput="variance_weighted"))


def _like(true: np.ndarray, reconstruction: Any) -> np.ndarray:
    """Return a reconstruction as an array, after checking that it has the shape of what it reconstructs."""
    predicted: np.ndarray = check_array(_dense(reconstruction), dtype=np.float64, input_name="reconstruction")
    if true.shape != predicted.shape:
        raise ValueError(
            f"The reconstruction has shape {predicted.shape} but X has shape {true.shape}: "
            "inverse_transform must return an array of the shape of X."
        )
    return predicted


def _dense(X: Any) -> Any:
    return X.toarray() if issparse(X) else X


def size_curve(name: str, estimator: Any, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of components and the scores of one estimator, or of a sequence of them."""
    if isinstance(estimator, Sequence):
        if not estimator:
            raise ValueError(f"estimators[{name!r}] is empty: pass at least one fitted estimator.")
        _rows_and_variance(X)  # raises if there is no variance
        points = [_point(each, X) for each in estimator]
        return np.array([size for size, _ in points]), np.array([score for _, score in points])
    check_is_fitted(estimator)
    if hasattr(estimator, "reconstruction_curve"):
        scores = _ordered_curve(estimator, X)
    elif isinstance(estimator, PCA):
        scores = _pca_curve(estimator, X)
    else:
        return size_curve(name, [estimator], X)
    return np.arange(1, len(scores) + 1), scores


def _point(estimator: Any, X: Any) -> tuple[int, float]:
    check_is_fitted(estimator)
    score = reconstruction_score(estimator, X)
    return np.shape(estimator.transform(X[:1]))[1], score


def _ordered_curve(estimator: Any, X: ArrayLike) -> np.ndarray:
    """Return the R² of each prefix of a code about the mean of X, instead of that of the training data."""
    rows, variance = _rows_and_variance(X)
    unexplained = 1 - np.asarray(estimator.reconstruction_curve(X))
    return 1 - unexplained * np.square(rows - estimator.mean_).sum() / variance.sum()


def _pca_curve(pca: PCA, X: ArrayLike) -> np.ndarray:
    """Return the R² with one component, with two and so on, computed without a reconstruction for each.

    With the codes Z and the rows W of the first components, ‖R - ZW‖² = ‖R‖² - 2 tr(ZᵀRWᵀ) + tr(ZᵀZ WWᵀ).
    """
    codes = check_array(pca.transform(X), dtype=np.float64)
    if pca.whiten:
        codes = codes * np.sqrt(pca.explained_variance_)
    rows, variance = _rows_and_variance(X)
    varies = variance != 0  # as in r2_score, which leaves the other features out
    centred, components = (rows - pca.mean_)[:, varies], pca.components_[:, varies].astype(np.float64)
    products = (codes * (centred @ components.T)).sum(axis=0).cumsum()
    squares = ((codes.T @ codes) * (components @ components.T)).cumsum(axis=0).cumsum(axis=1).diagonal()
    return 1 - ((centred**2).sum() - 2 * products + squares) / variance.sum()


def _rows_and_variance(X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return X as an array, and the squared distances of each column from its mean, summed; not all are zero."""
    rows = check_array(X, dtype=np.float64, input_name="X")
    variance = np.square(rows - rows.mean(axis=0)).sum(axis=0)
    if not variance.any():
        raise ValueError("All samples of X are the same, so there is no variance to explain: pass samples that differ.")
    return rows, variance
