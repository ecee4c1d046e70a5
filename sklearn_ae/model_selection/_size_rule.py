"""The one standard error rule for the number of components."""

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from sklearn_ae.model_selection._comparison import standard_error_of_mean

__all__ = ["one_standard_error"]

#: Smaller differences of scores, relative to the best, count as none: exact reconstructions differ by rounding.
ROUNDING = float(np.finfo(np.float32).eps)


def one_standard_error(param: str) -> Callable[[Mapping[str, Any]], int]:
    """Choose the smallest number of components within one standard error of the best.

    This is the one standard error rule of [1]_, for the ``refit`` of a
    :class:`~sklearn.model_selection.GridSearchCV`. Held-out scores often keep increasing with the number of components
    when the increase is already within the noise of the folds.

    Parameters
    ----------
    param : str
        Name of the parameter in the grid, such as ``"decompose__n_components"``. Its values must be numbers.

    Returns
    -------
    refit : callable
        Takes ``cv_results_`` and returns the index of a candidate: the one with the smallest value of `param` whose
        ``mean_test_score`` is at least the best one minus the standard error of the best; of several with that value,
        the best. Candidates without the parameter or with a NaN score are ignored. It can be pickled.

        It raises a ValueError if no candidate has the parameter or a score, a value is not a number, or the search has
        several metrics or a single split.

    See Also
    --------
    compare_decompositions : A table of numbers of components, with standard errors.

    Notes
    -----
    The standard error is the standard deviation of the scores of the splits (with ``ddof=1``), divided by the square
    root of their number.

    With a callable ``refit``, a search has no ``best_score_``; the score of the chosen candidate is
    ``search.cv_results_["mean_test_score"][search.best_index_]``.
    :class:`~sklearn.model_selection.HalvingGridSearchCV` never calls ``refit``.

    References
    ----------
    .. [1] Breiman, L., Friedman, J., Olshen, R. and Stone, C. (1984). Classification and Regression Trees. Wadsworth,
       section 3.4.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn_ae.model_selection import one_standard_error
    >>> X, y = load_digits(return_X_y=True)
    >>> pipeline = Pipeline([("decompose", PCA()), ("classify", KNeighborsClassifier())])
    >>> grid = {"decompose__n_components": [4, 8, 16, 32, 64]}
    >>> for refit in (True, one_standard_error("decompose__n_components")):
    ...     search = GridSearchCV(pipeline, grid, refit=refit).fit(X, y)
    ...     print(search.best_params_)
    {'decompose__n_components': 64}
    {'decompose__n_components': 16}
    """
    return partial(_smallest_within_one_error, param)


def _smallest_within_one_error(param: str, cv_results: Mapping[str, Any]) -> int:
    if "mean_test_score" not in cv_results:
        raise ValueError(
            "one_standard_error needs a search with a single metric, but cv_results_ has no mean_test_score."
        )
    sizes = {i: params[param] for i, params in enumerate(cv_results["params"]) if param in params}
    if not sizes:
        raise ValueError(f"No candidate of the search has the parameter {param!r}: pass its name in the grid.")
    if not all(isinstance(size, Real) for size in sizes.values()):
        raise ValueError(f"The values of {param!r} must be numbers, got {list(sizes.values())}.")
    means = cv_results["mean_test_score"]
    scored = [i for i in sizes if not np.isnan(means[i])]
    if not scored:
        raise ValueError(f"All candidates that have the parameter {param!r} have a score of NaN.")
    best = max(scored, key=lambda i: means[i])
    names = [name for name in cv_results if name.startswith("split") and name.endswith("_test_score")]
    if len(names) < 2:
        raise ValueError("A standard error needs at least two splits.")
    error = standard_error_of_mean([cv_results[name][best] for name in names])
    limit = means[best] - max(error, abs(means[best]) * ROUNDING)
    return min((i for i in scored if means[i] >= limit), key=lambda i: (sizes[i], -means[i]))
