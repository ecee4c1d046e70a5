"""Scores of any decomposition: what it reconstructs, and what its components are like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import check_is_fitted

__all__ = ["component_quality", "reconstruction_score"]

_ZERO_LENGTH = 1e-7  # of the largest
_ZERO_VARIANCE = 1e-12  # of the largest


def reconstruction_score(estimator: Any, X: ArrayLike, y: Any = None) -> float:
    """Score any decomposition by the share of the variance of `X` that it reconstructs.

    The score is the R² of `X` against `estimator.inverse_transform(estimator.transform(X))`,
    1 - Σ(x - x̂)² / Σ(x - x̄)²: :func:`sklearn.metrics.r2_score` with
    `multioutput="variance_weighted"`. The baseline x̄ is the mean of the `X` that is
    scored, so it is the same whatever the estimator, and scores of different kinds and
    sizes compare. Features that are constant on `X` do not count. A whole
    :class:`~sklearn.pipeline.Pipeline` is judged in the units of the data that goes into
    it.

    It is a scorer: pass it as `scoring` to :class:`~sklearn.model_selection.GridSearchCV`
    or :func:`~sklearn.model_selection.cross_val_score`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with `transform` and `inverse_transform`: PCA, NMF,
        `KernelPCA(fit_inverse_transform=True)`, AutoencoderTransformer, or a pipeline of
        steps that all have both.

    X : array-like of shape (n_samples, n_features)
        Dense numeric rows to reconstruct, at least two, without NaN or infinity.

    y : None
        Ignored; scorers are called with it.

    Returns
    -------
    score : float
        At most 1, which is a perfect reconstruction; 0 is that of the mean of `X`, and
        worse ones are negative. Computed in float64. Constant data follows `r2_score`: 1
        if reconstructed exactly, otherwise 0.

    Raises
    ------
    TypeError
        If the estimator, or a step of a pipeline, cannot transform or invert; or if `X`
        is sparse.
    ValueError
        If `X` or its reconstruction is not finite, or the two differ in shape.

    Notes
    -----
    On rows that were not held out, a larger size always scores better, and on held-out
    rows it usually does: the score compares kinds at one size, and shows how much each
    further component adds. Choose a size by what the components are for.

    Examples
    --------
    One search switches the kind of decomposition and its size:

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
    >>> for params, score in zip(
    ...     search.cv_results_["params"], search.cv_results_["mean_test_score"]
    ... ):
    ...     name = type(params["decompose"]).__name__
    ...     print(f"{name} {params['decompose__n_components']}: {score:.2f}")
    PCA 2: 0.27
    PCA 8: 0.70
    NMF 2: 0.16
    NMF 8: 0.61
    """
    return _r2(X, _reconstruct(estimator, X))


def _reconstruct(estimator: Any, X: ArrayLike) -> Any:
    for method in ("transform", "inverse_transform"):
        if not hasattr(estimator, method):
            raise TypeError(
                f"{_culprit(estimator, method)} has no {method}, so it cannot reconstruct its "
                "input. Use an estimator with transform and inverse_transform, such as PCA, "
                "NMF or AutoencoderTransformer, or a pipeline in which every step has both."
            )
    return estimator.inverse_transform(estimator.transform(X))


def _culprit(estimator: Any, method: str) -> str:
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            if step not in (None, "passthrough") and not hasattr(step, method):
                return f"Step {name!r} of the pipeline, {type(step).__name__},"
    return type(estimator).__name__


def _r2(X: ArrayLike, reconstruction: Any) -> float:
    true = check_array(X, dtype=np.float64, input_name="X")
    predicted = check_array(reconstruction, dtype=np.float64, input_name="reconstruction")
    if true.shape != predicted.shape:
        raise ValueError(
            f"The reconstruction has shape {predicted.shape} but X has shape {true.shape}: "
            "inverse_transform must return the rows and columns that transform was given."
        )
    return float(r2_score(true, predicted, multioutput="variance_weighted"))


def component_quality(estimator: Any, X: ArrayLike | None = None) -> Bunch:
    """Judge the components of any decomposition: how local, how alike and how many dead.

    None of the three figures depends on the sign of a component or on its length, short
    of zero.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with `components_`: PCA, NMF, DictionaryLearning,
        AutoencoderTransformer, or a pipeline whose last step has them. The components of
        a pipeline are judged in the units of what that step is given.

    X : array-like of shape (n_samples, n_features), default=None
        Rows for `estimator.transform`, at least two: a unit that is constant on them is
        dead. By default only `components_` and, where the estimator has it,
        `explained_variance_` tell.

    Returns
    -------
    quality : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes below. Floats are float64.

        localisation : float
            Mean of `localisation_per_component` over the live units, in [0, 1]: 1 if
            each component is a single feature, 0 if each has all features alike in size.
            NaN if all units are dead.
        redundancy : float
            Mean of `redundancy_per_component` over the live units, in [0, 1]: 0 if the
            components are orthogonal, 1 if each repeats another. NaN if all units are
            dead.
        dead : float
            Share of dead units, in [0, 1].
        localisation_per_component : ndarray of shape (n_components,)
            Hoyer's sparseness of each component. NaN for dead units.
        redundancy_per_component : ndarray of shape (n_components,)
            Largest absolute cosine of each component to another live one; 0 if there is
            no other. NaN for dead units.
        is_dead : ndarray of shape (n_components,) of bool
            Which units are dead.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it, or the last step of the pipeline, has no `components_`; or if `X` is given
        and it cannot transform.
    ValueError
        If the components or the codes of `X` are not finite, the two differ in number, or
        `X` has a single row.

    See Also
    --------
    reconstruction_score : How much the components explain together.
    sklearn_ae.plotting.ComponentsDisplay : A picture of the components.

    Notes
    -----
    The localisation of a component c of d features is the sparseness of [1]_,

        (√d − ‖c‖₁ / ‖c‖₂) / (√d − 1),

    and 1 if d = 1. The redundancy of component i is max ``|cᵢ·cⱼ|`` / (‖cᵢ‖₂ ‖cⱼ‖₂) over the
    other live components j.

    A unit is dead if it does nothing, which shows in one of three ways:

    - its row of `components_` is zero: no longer than 1e-7 of the longest;
    - its code was constant on the rows that it was fitted to: `explained_variance_` is at
      most 1e-12 of the largest. PCA has such units, of arbitrary direction, where the
      data has fewer dimensions than `n_components`, and whitening turns them into noise,
      so this holds with `X` as without (in float32 its solver `"covariance_eigh"` leaves
      variances above the limit: fit it in float64);
    - its code is constant on `X`: the variance is at most 1e-12 of the largest or within
      the rounding of the codes.

    So `X` can add to the dead, never take away. Without it, those of NMF and others that
    have no `explained_variance_` show by their components only.

    References
    ----------
    .. [1] P. O. Hoyer (2004). "Non-negative matrix factorization with sparseness
       constraints". Journal of Machine Learning Research 5, 1457-1469.

    Examples
    --------
    Parts of digits are more local than principal axes, but not orthogonal. Three pixels
    are always zero, so that three of 64 axes are dead:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn_ae.model_selection import component_quality
    >>> X = load_digits().data
    >>> for model in [PCA(10), PCA(64), NMF(10, max_iter=1000, random_state=0)]:
    ...     q = component_quality(model.fit(X), X)
    ...     name = f"{type(model).__name__} {model.n_components}"
    ...     print(f"{name}: {q.localisation:.1f} {q.redundancy:.1f} {q.dead:.2f}")
    PCA 10: 0.4 0.0 0.00
    PCA 64: 0.5 0.0 0.05
    NMF 10: 0.7 0.4 0.00
    """
    check_is_fitted(estimator)
    step = _last_step(estimator)
    if not hasattr(step, "components_"):
        raise TypeError(
            f"{type(step).__name__} has no components_ to judge. Use a fitted estimator that has "
            "them, such as PCA, NMF or AutoencoderTransformer, or a pipeline whose last step has."
        )
    components = check_array(step.components_, dtype=np.float64, input_name="components_")  # (k, d)
    largest = np.abs(components).max(axis=1, keepdims=True)
    scaled = components / np.where(largest > 0, largest, 1)  # its squares neither overflow nor vanish
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    is_dead = _is_zero((largest * lengths).ravel(), _ZERO_LENGTH)
    if hasattr(step, "explained_variance_"):
        is_dead |= _is_zero(np.asarray(step.explained_variance_), _ZERO_VARIANCE)
    if X is not None:
        is_dead |= _is_constant(_codes(estimator, X, n_components=len(components)))
    live = scaled[~is_dead] / lengths[~is_dead]
    localisation, redundancy = np.full((2, len(components)), np.nan)
    localisation[~is_dead] = _sparseness(live)
    redundancy[~is_dead] = _largest_cosine(live)
    return Bunch(
        localisation=_mean(localisation[~is_dead]),
        redundancy=_mean(redundancy[~is_dead]),
        dead=float(is_dead.mean()),
        localisation_per_component=localisation,
        redundancy_per_component=redundancy,
        is_dead=is_dead,
    )


def _last_step(estimator: Any) -> Any:
    """Return what a pipeline ends in, nested or not, leaving out steps that do nothing."""
    while isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        if not steps:
            break
        estimator = steps[-1]
    return estimator


def _is_zero(sizes: np.ndarray, share: float) -> np.ndarray:
    return sizes <= share * sizes.max()


def _codes(estimator: Any, X: ArrayLike, n_components: int) -> np.ndarray:
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{_culprit(estimator, 'transform')} has no transform, which tells on X which units are dead: leave X out."
        )
    codes = check_array(
        estimator.transform(X), dtype=[np.float64, np.float32], ensure_min_samples=2, input_name="codes"
    )
    if codes.shape[1] != n_components:
        raise ValueError(
            f"transform returned {codes.shape[1]} columns for {n_components} components, so that "
            "units cannot be told apart by their codes: leave X out."
        )
    return codes


def _is_constant(codes: np.ndarray) -> np.ndarray:
    shifted = codes - codes[0].astype(np.float64)  # constant columns become exact zeros
    variance = shifted.var(axis=0)
    rounding = np.finfo(codes.dtype).eps * np.abs(codes).max(axis=0).astype(np.float64)
    return _is_zero(variance, _ZERO_VARIANCE) | (variance <= rounding**2)


def _sparseness(directions: np.ndarray) -> np.ndarray:
    """Return Hoyer's sparseness of rows of length 1."""
    root = np.sqrt(directions.shape[1])
    if root == 1:
        return np.ones(len(directions))
    return np.clip((root - np.abs(directions).sum(axis=1)) / (root - 1), 0, 1)


def _largest_cosine(directions: np.ndarray) -> np.ndarray:
    cosines = np.abs(directions @ directions.T)
    np.fill_diagonal(cosines, 0)
    return np.minimum(cosines.max(axis=1, initial=0), 1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
