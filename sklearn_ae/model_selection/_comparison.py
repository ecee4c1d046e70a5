"""Compare several decompositions on the same folds."""

import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, check_cv
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from sklearn_ae._metrics.components import component_quality, last_step, stability
from sklearn_ae._metrics.reconstruction import reconstruction_score
from sklearn_ae.model_selection._table import DecompositionComparison

__all__ = ["compare_decompositions", "standard_error_of_mean"]

MEASURED = ("r2", "fit_seconds", "transform_seconds", "n_parameters", "localisation", "redundancy", "dead")
MEASURED_WITH_Y = ("probe", "neighbours")
WITH_ERROR = ("r2", *MEASURED_WITH_Y)


def compare_decompositions(
    estimators: Mapping[str, Any] | Sequence[Any],
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_components: int | Sequence[int] | None = None,
    cv: Any = 5,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> DecompositionComparison:
    """Compare decompositions, with several numbers of components, on the same folds of the same data.

    Parameters
    ----------
    estimators : dict of str to estimator, or sequence of estimators
        Decompositions with ``fit``, ``transform`` and ``inverse_transform``, or pipelines that have them. They are
        cloned. In a sequence each is named after its class, and numbered if there are several of that class.
    X : array-like of shape (n_samples, n_features)
        Dense numeric samples without NaN or infinity. A data frame is passed to the estimators as a data frame.
    y : array-like of shape (n_samples,), default=None
        Target to predict from the codes: classes or numbers, as :func:`~sklearn.utils.multiclass.type_of_target`
        distinguishes them. Whole numbers are treated as classes; if they are quantities, standardise them, which
        changes the scores of a regression only through the strength of the ridge. It is also passed to ``fit``, as
        scikit-learn's searches do.
    n_components : int or sequence of int, default=None
        Numbers of components at which each estimator is compared: they are set as its parameter ``n_components``, or
        that of the last step of a pipeline that has one. By default the estimators are not changed.
    cv : int, splitter or iterable, default=5
        An int, or None for 5, means ``KFold(cv, shuffle=True, random_state=random_state)``, with and without `y`, so
        that `y` changes no other measure. Anything else is used unchanged: pass a
        :class:`~sklearn.model_selection.StratifiedKFold` to have the same fraction of each class in all folds.
    n_jobs : int, default=None
        Number of processes, over estimators, numbers of components and folds. It changes the seconds, as processes
        share the machine, and no other measure.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of the estimators. In each fold every ``random_state`` parameter of every estimator,
        including those of steps, is set to one int that belongs to the fold, so that the order of the estimators does
        not matter.

    Returns
    -------
    comparison : DecompositionComparison
        One row for each estimator and number of components. Measures are means over folds, float64. The columns that
        end in ``_se`` are standard errors: the standard deviation over the folds, divided by the square root of their
        number.

        estimator, n_components : str, int
            The name and the number of components. If `n_components` is None, the number of columns of the codes.
        r2 : float
            :func:`reconstruction_score` of the held-out samples, with standard error.
        fit_seconds, transform_seconds : float
            Wall time to fit, and to transform the held-out samples.
        n_parameters : int
            Size of the model: the weights of its network if it has a ``module_``, otherwise the entries of
            ``components_`` and ``mean_``, if present. For a pipeline, the sum over its steps.
        localisation, redundancy, dead : float
            :func:`component_quality` on the training samples. NaN without ``components_``.
        stability : float
            How similar the components of two folds are, from 0 to 1: they are matched one to one such that the sum of
            their absolute cosines is largest; the stability is the mean cosine over all matches, then over all pairs of
            folds. NaN without ``components_``, or if the number of features differs.
        probe, neighbours : float
            Only with `y`. Held-out score of a linear model on the standardised codes, and of 5 nearest neighbours on
            the codes, both fitted to the codes of the training samples: accuracy for classes, R² for numbers, with
            standard error.
        error : str
            Type and message of the first exception that the estimator raised, otherwise empty. The measures of the row
            are then NaN.

    Raises
    ------
    TypeError
        If `estimators` are not estimators, or `X` is sparse.
    ValueError
        If there are no estimators, a number of components is not an integer of at least 1 or cannot be set, `X` or `y`
        is invalid, a fold holds out a single sample, or its training samples are of a single class.

    Warns
    -----
    Warning
        The warnings of estimators and probes, once for each row of the table and category, after all work is done.
        Warnings that a filter turns into errors are errors of the row.

    See Also
    --------
    reconstruction_score : A scorer of any decomposition, for searches.
    one_standard_error : Choose the number of components by a search.

    Notes
    -----
    The probe is a :class:`~sklearn.linear_model.LogisticRegression` with at most 1000 iterations or a
    :class:`~sklearn.linear_model.Ridge`, after a :class:`~sklearn.preprocessing.StandardScaler`; both have their
    default strength of regularization.

    Folds share training samples, so standard errors are rough, and those of two estimators are correlated: the
    differences within each fold, computed from ``folds``, are more informative.

    Seconds are comparable if `n_jobs` is 1 and nothing else runs. The first fit of each process includes one-time
    setup.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.model_selection import compare_decompositions
    >>> X, y = load_digits(return_X_y=True)
    >>> comparison = compare_decompositions(
    ...     [AutoencoderTransformer(max_epochs=20), PCA(), NMF(max_iter=1000)],
    ...     X[:500],
    ...     y[:500],
    ...     n_components=[3, 9],
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> columns = ["estimator", "n_components", "r2", "probe"]
    >>> print(comparison.to_frame()[columns].round(1).to_string(index=False))
                 estimator  n_components  r2  probe
    AutoencoderTransformer             3 0.6    0.8
    AutoencoderTransformer             9 0.8    0.9
                       PCA             3 0.4    0.8
                       PCA             9 0.7    0.9
                       NMF             3 0.3    0.6
                       NMF             9 0.6    0.9
    """
    candidates = [
        (name, size, _sized(name, estimator, size))
        for name, estimator in _named(estimators).items()
        for size in _sizes(n_components)
    ]
    data = _checked(X, y)
    splits = _splits(data, cv, random_state)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=len(splits)).tolist()
    results = Parallel(n_jobs=n_jobs)(
        delayed(_run_fold)(estimator, data, split, seed)
        for _, _, estimator in candidates
        for split, seed in zip(splits, seeds, strict=True)
    )
    rows, folds = [], []
    for i, (name, size, _) in enumerate(candidates):
        of_candidate = results[i * len(splits) : (i + 1) * len(splits)]
        rows.append(_row(name, size, of_candidate))
        folds += [_fold_row(name, size, number, fold) for number, fold in enumerate(of_candidate)]
        _repeat_warnings(rows[-1], of_candidate)
    return DecompositionComparison(rows, folds, splits, seeds)


def _named(estimators: Any) -> dict[str, Any]:
    is_single = hasattr(estimators, "get_params")  # a pipeline is a sequence too, of its steps
    if is_single or isinstance(estimators, str) or not isinstance(estimators, Iterable):
        raise TypeError(f"estimators must be a dict or a sequence of estimators, got {estimators!r}.")
    if not isinstance(estimators, Mapping):
        estimators = list(estimators)
        classes = [type(estimator).__name__ for estimator in estimators]
        seen: Counter[str] = Counter()
        names = []
        for name in classes:
            seen[name] += 1
            names.append(f"{name} {seen[name]}" if classes.count(name) > 1 else name)
        estimators = dict(zip(names, estimators, strict=True))
    if not estimators:
        raise ValueError("There are no estimators to compare.")
    if not all(isinstance(name, str) for name in estimators):
        raise TypeError(f"The names of estimators must be str, got {list(estimators)}.")
    return dict(estimators)


def _sizes(n_components: Any) -> list[int | None]:
    if n_components is None:
        return [None]
    sizes = list(n_components) if isinstance(n_components, Iterable) else [n_components]
    are_sizes = all(isinstance(size, Integral) and int(size) >= 1 for size in sizes)
    if not sizes or not are_sizes or len(set(sizes)) < len(sizes):
        raise ValueError(
            "n_components must be an integer of at least 1, a sequence of different ones, or None, "
            f"got {n_components!r}."
        )
    return [int(size) for size in sizes]


def _sized(name: str, estimator: Any, size: int | None) -> Any:
    """Return a copy of an estimator with its number of components set."""
    estimator = clone(estimator)
    if size is None:
        return estimator
    parameter = _size_parameter(estimator)
    if parameter is None:
        raise ValueError(
            f"{name} has no parameter n_components to set. Leave n_components out and pass the estimators with their "
            "numbers of components set."
        )
    return estimator.set_params(**{parameter: size})


def _size_parameter(estimator: Any) -> str | None:
    """Return the name by which ``set_params`` sets the number of components, or None."""
    if not isinstance(estimator, Pipeline):
        return "n_components" if "n_components" in estimator.get_params(deep=False) else None
    for name, step in reversed(estimator.steps):
        inner = None if step in (None, "passthrough") else _size_parameter(step)
        if inner is not None:
            return f"{name}__{inner}"
    return None


class _Data(NamedTuple):
    """The data on which estimators are compared, and the models that predict y from their codes."""

    X: Any
    y: np.ndarray | None
    probes: dict[str, Any]


def _checked(X: Any, y: Any) -> _Data:
    array = check_array(X, ensure_min_samples=2, input_name="X")
    X = X if hasattr(X, "columns") else array
    if y is None:
        return _Data(X, None, {})
    y = check_array(column_or_1d(y), ensure_2d=False, dtype=None, input_name="y")
    check_consistent_length(X, y)
    kind = type_of_target(y, input_name="y")
    if kind in ("binary", "multiclass"):
        models = LogisticRegression(max_iter=1000), KNeighborsClassifier()
    elif kind == "continuous":
        models = Ridge(), KNeighborsRegressor()
    else:
        raise ValueError(f"y must be classes or numbers, but its type of target is {kind!r}.")
    linear, neighbours = models
    return _Data(X, y, {"probe": make_pipeline(StandardScaler(), linear), "neighbours": neighbours})


def _splits(data: _Data, cv: Any, random_state: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    if cv is None or isinstance(cv, Integral):
        cv = KFold(5 if cv is None else cv, shuffle=True, random_state=random_state)
    splits = list(check_cv(cv).split(data.X, data.y))
    for number, (train, test) in enumerate(splits):
        if len(test) < 2:
            raise ValueError(f"R² needs at least two held-out samples, but fold {number} has {len(test)}.")
        if data.y is not None and len(np.unique(data.y[train])) < 2:
            raise ValueError(f"All training samples of fold {number} have the same y: there is nothing to predict.")
    return splits


class _Fold(NamedTuple):
    """The result of one estimator on one fold."""

    measures: dict[str, float]
    components: np.ndarray | None
    warnings: list[tuple[type[Warning], str]]
    error: str


def _run_fold(estimator: Any, data: _Data, split: tuple[np.ndarray, np.ndarray], seed: int) -> _Fold:
    """Measure an estimator on one fold, recording an exception so that the others continue."""
    error = ""
    with warnings.catch_warnings(record=True) as caught:
        try:
            measures, components = _measure(estimator, data, split, seed)
        except Exception as exception:
            error = f"{type(exception).__name__}: {exception}"
            measures, components = dict.fromkeys(["n_components", *MEASURED, *data.probes], np.nan), None
    return _Fold(measures, components, [(each.category, str(each.message)) for each in caught], error)


def _measure(
    estimator: Any, data: _Data, split: tuple[np.ndarray, np.ndarray], seed: int
) -> tuple[dict[str, float], np.ndarray | None]:
    """Return the measures of one fold, and the components if any."""
    train, test = split
    X, X_test = _rows_of(data.X, train), _rows_of(data.X, test)
    estimator = clone(estimator)
    estimator.set_params(**{p: seed for p in estimator.get_params() if p.split("__")[-1] == "random_state"})
    start = time.perf_counter()
    estimator.fit(X) if data.y is None else estimator.fit(X, data.y[train])
    fit_seconds = time.perf_counter() - start
    r2 = reconstruction_score(estimator, X_test)  # first: its errors name the missing method best
    start = time.perf_counter()
    codes = estimator.transform(X_test)
    transform_seconds = time.perf_counter() - start
    components = getattr(last_step(estimator), "components_", None)
    quality = {} if components is None else component_quality(estimator, X)
    measures = {
        "n_components": codes.shape[1],
        "r2": r2,
        "fit_seconds": fit_seconds,
        "transform_seconds": transform_seconds,
        "n_parameters": _n_parameters(estimator),
        **{name: quality.get(name, np.nan) for name in ("localisation", "redundancy", "dead")},
    }
    if data.y is not None:
        training_codes = estimator.transform(X)
        for name, model in data.probes.items():
            measures[name] = clone(model).fit(training_codes, data.y[train]).score(codes, data.y[test])
    return measures, components


def _rows_of(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _n_parameters(estimator: Any) -> int:
    if isinstance(estimator, Pipeline):
        return sum(_n_parameters(step) for _, step in estimator.steps if step not in (None, "passthrough"))
    if hasattr(estimator, "module_"):
        return sum(weights.numel() for weights in estimator.module_.parameters())
    arrays = (getattr(estimator, name, None) for name in ("components_", "mean_"))
    return sum(np.size(array) for array in arrays if array is not None)


def _row(name: str, size: int | None, folds: Sequence[_Fold]) -> dict[str, Any]:
    """Return the means over the folds; those of a row with a failed fold are NaN."""
    scores = {measure: [fold.measures[measure] for fold in folds] for measure in folds[0].measures}
    row: dict[str, Any] = {"estimator": name, "n_components": size or _count(scores["n_components"])}
    row |= _means(scores, MEASURED)
    row["n_parameters"] = _count(scores["n_parameters"])
    row["stability"] = stability([fold.components for fold in folds])
    row |= _means(scores, MEASURED_WITH_Y)
    row["error"] = next((fold.error for fold in folds if fold.error), "")
    return row


def _fold_row(name: str, size: int | None, number: int, fold: _Fold) -> dict[str, Any]:
    """Return the measures of one fold as they are published in ``folds``."""
    measures = dict(fold.measures)
    measured_size = measures.pop("n_components")
    return {"estimator": name, "n_components": size or measured_size, "fold": number, **measures, "error": fold.error}


def _means(scores: Mapping[str, Sequence[float]], measures: Sequence[str]) -> dict[str, float]:
    means = {}
    for measure in measures:
        if measure in scores:
            means[measure] = float(np.mean(scores[measure]))
        if measure in scores and measure in WITH_ERROR:
            means[f"{measure}_se"] = standard_error_of_mean(scores[measure])
    return means


def _count(values: Sequence[float]) -> float:
    """Return the mean, as an int if it is whole."""
    mean = float(np.mean(values))
    return int(mean) if mean.is_integer() else mean


def standard_error_of_mean(scores: ArrayLike) -> float:
    """Return the standard error of the mean; NaN for one score."""
    scores = np.asarray(scores, dtype=np.float64)
    return float(np.std(scores, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else np.nan


def _repeat_warnings(row: dict[str, Any], folds: Sequence[_Fold]) -> None:
    """Repeat the warnings of the folds of a row, perhaps of other processes, once for each category."""
    caught: dict[type[Warning], dict[int, str]] = {}
    for number, fold in enumerate(folds):
        for category, text in fold.warnings:
            caught.setdefault(category, {}).setdefault(number, text)
    for category, texts in caught.items():
        what = f"{row['estimator']}, n_components={row['n_components']}, {len(texts)} of {len(folds)} folds"
        warnings.warn(f"{what}: {next(iter(texts.values()))}", category, stacklevel=3)
