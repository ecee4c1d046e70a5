"""Checks of the arguments of displays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._metrics.reconstruction import culprit

__all__ = [
    "check_curve",
    "check_curves",
    "check_feature_names",
    "check_mapping",
    "check_units",
    "codes_of",
    "find_step",
]


def find_step(estimator: Any, attribute: str) -> tuple[Any, Any]:
    """Return the last step that has the attribute, and the names of its input features."""
    if not isinstance(estimator, Pipeline):
        if hasattr(estimator, attribute):
            return estimator, getattr(estimator, "feature_names_in_", None)
    else:
        for position in reversed(range(len(estimator))):
            if hasattr(estimator[position], attribute):
                return estimator[position], _names_before(estimator, position)
    raise TypeError(
        f"{type(estimator).__name__} has no {attribute} to draw: pass a fitted estimator that "
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


def codes_of(estimator: Any, X: ArrayLike, *methods: str) -> np.ndarray:
    """Return the codes of the samples, after checking that the estimator is fitted and has the other methods too."""
    check_is_fitted(estimator)
    for method in ("transform", *methods):
        if not hasattr(estimator, method):
            raise TypeError(
                f"{culprit(estimator, method)} has no {method}: pass a fitted estimator that has it, such as PCA, "
                "NMF or AutoencoderTransformer, or a pipeline in which every step has it."
            )
    return check_array(estimator.transform(X), dtype=np.float64, input_name="codes")


def check_units(units: ArrayLike, n_components: int) -> np.ndarray:
    checked = np.asarray(units)
    is_list_of_int = checked.ndim == 1 and checked.dtype.kind in "iu" and len(checked) > 0
    if not is_list_of_int or checked.min() < 0 or checked.max() >= n_components:
        raise ValueError(f"units must be a list of integers from 0 to {n_components - 1}, got {units!r}.")
    return checked


def check_feature_names(names: ArrayLike | None, n_features: int) -> np.ndarray | None:
    if names is None:
        return None
    names = np.asarray(names)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must have one name for each of the {n_features} features, got shape {names.shape}."
        )
    return names


def check_curve(parameter: str, curve: ArrayLike) -> np.ndarray:
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{parameter} must be one-dimensional, got shape {curve.shape}.")
    return curve


def check_curves(curves: Any, parts: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Return each curve as an array with one row per part, sorted by the first part, the sizes.

    Optional parts may be None, which becomes NaN.
    """
    content = f"({', '.join(parts)})"
    check_mapping("curves", curves, content)
    if not curves:
        raise ValueError(f"Nothing to draw: curves is empty. Pass at least one {content}.")
    return {name: _check_parts(name, curve, parts, optional) for name, curve in curves.items()}


def _check_parts(name: str, curve: Any, parts: tuple[str, ...], optional: tuple[str, ...]) -> np.ndarray:
    content = f"({', '.join(parts)})"
    if len(curve) != len(parts):
        raise ValueError(f"The curve of {name!r} must be {content}, got {len(curve)} parts.")
    known = {
        part: check_curve(f"{part} of {name!r}", each)
        for part, each in zip(parts, curve, strict=True)
        if each is not None or part not in optional
    }
    lengths = {part: len(array) for part, array in known.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The curve of {name!r} must be {content} of equal length, got {lengths}.")
    missing = np.full(next(iter(lengths.values())), np.nan)
    array = np.array([known.get(part, missing) for part in parts])
    sizes = array[0]
    is_size = (sizes >= 1) | np.isnan(sizes) if parts[0] in optional else sizes >= 1
    if not is_size.all():
        raise ValueError(
            f"{parts[0]} of {name!r} must be numbers of components, at least 1, got {sizes[~is_size][0]:g}."
        )
    return array[:, np.argsort(sizes)]


def check_mapping(parameter: str, value: Any, content: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{parameter} must be a dict of {content} by name, such as {{'PCA': ...}}, got {type(value).__name__}."
        )
