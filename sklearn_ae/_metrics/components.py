"""Quality measures for the components of any decomposition."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._metrics.reconstruction import culprit

__all__ = ["component_quality", "directions_and_lengths", "last_step", "stability"]

ZERO_LENGTH = 1e-7  # of the largest
ZERO_VARIANCE = 1e-12  # of the largest


def component_quality(estimator: Any, X: ArrayLike | None = None) -> Bunch:
    """Measure how local and how redundant the components of any decomposition are, and how many are dead.

    None of the three measures depends on the sign of a component or on its length, unless that is zero.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``components_``: PCA, NMF, DictionaryLearning, AutoencoderTransformer, or a pipeline whose
        last step has them. The components of a pipeline are measured in the feature space of that step.
    X : array-like of shape (n_samples, n_features), default=None
        Samples for ``estimator.transform``, at least two: components whose code is constant on them are dead. By
        default, only ``components_`` and, if present, ``explained_variance_`` show which components are dead.

    Returns
    -------
    quality : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes below. Floats are float64.

        localisation : float
            Mean of ``localisation_per_component`` over the live components, in [0, 1]: 1 if each component is a single
            feature, 0 if in each all features have the same magnitude. NaN if all components are dead.
        redundancy : float
            Mean of ``redundancy_per_component`` over the live components, in [0, 1]: 0 if the components are
            orthogonal, 1 if each repeats another. NaN if all components are dead.
        dead : float
            Fraction of dead components, in [0, 1].
        localisation_per_component : ndarray of shape (n_components,)
            Hoyer's sparseness of each component. NaN for dead components.
        redundancy_per_component : ndarray of shape (n_components,)
            Largest absolute cosine between each component and another live one; 0 if there is no other. NaN for dead
            components.
        is_dead : ndarray of shape (n_components,) of bool
            Which components are dead.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator, or the last step of the pipeline, has no ``components_``; or if `X` is given and the estimator
        has no ``transform``.
    ValueError
        If the components or the codes of `X` are not finite, their numbers differ, or `X` has a single sample.

    See Also
    --------
    reconstruction_score : How much of the variance the components explain together.
    sklearn_ae.plotting.ComponentsDisplay : Plot the components.

    Notes
    -----
    The localisation of a component c of d features is the sparseness of [1]_,

        (√d − ‖c‖₁ / ‖c‖₂) / (√d − 1),

    and 1 if d = 1. The redundancy of component i is max ``|cᵢ·cⱼ|`` / (‖cᵢ‖₂ ‖cⱼ‖₂) over the other live components j.

    A component is dead if it has no effect, which shows in one of three ways:

    - its row of ``components_`` is zero: its length is at most 1e-7 of the longest;
    - its code was constant on the training data: ``explained_variance_`` is at most 1e-12 of the largest. PCA has such
      components, of arbitrary direction, where the data has fewer dimensions than ``n_components``, and whitening turns
      their codes into noise, so this rule applies with and without `X` (in float32 the solver ``"covariance_eigh"``
      leaves variances above the limit: fit it in float64);
    - its code is constant on `X`: the variance is at most 1e-12 of the largest or within the rounding of the codes.

    So `X` can add dead components, but never remove any. Without it, those of NMF and other estimators that have no
    ``explained_variance_`` are recognized by ``components_`` only.

    References
    ----------
    .. [1] Hoyer, P. (2004). Non-negative matrix factorization with sparseness constraints. Journal of Machine Learning
       Research 5, 1457-1469.

    Examples
    --------
    The parts of digits that NMF finds are more local than principal components, but not orthogonal. Three pixels are
    always zero, so three of the 64 principal components are dead:

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
    step = last_step(estimator)
    if not hasattr(step, "components_"):
        raise TypeError(
            f"{type(step).__name__} has no components_. Use a fitted estimator that has them, such as PCA, NMF "
            "or AutoencoderTransformer, or a pipeline whose last step has them."
        )
    components = check_array(step.components_, dtype=np.float64, input_name="components_")  # (k, d)
    directions, lengths = directions_and_lengths(components)
    is_dead = _is_zero(lengths, ZERO_LENGTH)
    if hasattr(step, "explained_variance_"):
        is_dead |= _is_zero(np.asarray(step.explained_variance_), ZERO_VARIANCE)
    if X is not None:
        is_dead |= _is_constant(_codes(estimator, X, n_components=len(components)))
    live = directions[~is_dead]
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


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, nested or not, that is not a passthrough; anything else as given."""
    while isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        if not steps:
            break
        estimator = steps[-1]
    return estimator


def _is_zero(sizes: np.ndarray, fraction: float) -> np.ndarray:
    return sizes <= fraction * sizes.max()


def _codes(estimator: Any, X: ArrayLike, n_components: int) -> np.ndarray:
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{culprit(estimator, 'transform')} has no transform, which is needed to detect dead components on X: "
            "leave X out."
        )
    codes = check_array(
        estimator.transform(X), dtype=[np.float64, np.float32], ensure_min_samples=2, input_name="codes"
    )
    if codes.shape[1] != n_components:
        raise ValueError(
            f"transform returned {codes.shape[1]} columns for {n_components} components, so the components cannot be "
            "matched to codes: leave X out."
        )
    return codes


def _is_constant(codes: np.ndarray) -> np.ndarray:
    shifted = codes - codes[0].astype(np.float64)  # constant columns become exact zeros
    variance = shifted.var(axis=0)
    rounding = np.finfo(codes.dtype).eps * np.abs(codes).max(axis=0).astype(np.float64)
    return _is_zero(variance, ZERO_VARIANCE) | (variance <= rounding**2)


def _sparseness(directions: np.ndarray) -> np.ndarray:
    """Return Hoyer's sparseness of vectors of length 1."""
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


def stability(components: Sequence[np.ndarray | None]) -> float:
    """Return the mean absolute cosine of matched components over all pairs of fits; NaN if a fit failed."""
    directions = [directions_and_lengths(each)[0] for each in components if each is not None]
    if len(directions) < max(len(components), 2) or len({each.shape[1] for each in directions}) > 1:
        return np.nan
    return float(np.mean([_agreement(one, other) for one, other in combinations(directions, 2)]))


def directions_and_lengths(components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows divided by their lengths, and these; rows of zeros stay zero."""
    components = np.asarray(components, dtype=np.float64)
    largest = np.abs(components).max(axis=1, keepdims=True)
    scaled = components / np.where(largest > 0, largest, 1)  # its squares neither overflow nor vanish
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(lengths > 0, lengths, 1), (largest * lengths).ravel()


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    cosines = np.minimum(np.abs(one @ other.T), 1)
    return float(cosines[linear_sum_assignment(cosines, maximize=True)].mean())
