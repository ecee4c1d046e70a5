"""Validation of the data that a user passes: containers, shapes and feature names."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_ae._data.numeric import numeric, two_dimensional
from sklearn_ae._data.out_of_core import in_memory_where_small, out_of_core_table
from sklearn_ae._data.tables import DenseTable, SparseTable, Table, TensorTable

__all__ = ["FEATURE_ATTRIBUTES", "errors_about", "new_table", "validated_table", "warn_about_target", "with_features"]

#: Fitted attributes that describe the features.
FEATURE_ATTRIBUTES = ("n_features_in_", "feature_names_in_")


def new_table(estimator: Any, X: Any, *, min_samples: int) -> tuple[Table, dict[str, Any]]:
    """Return the data of a first fit as a table, and the attributes that describe its features.

    The estimator stays unchanged: scikit-learn sets the attributes on a copy.
    """
    scratch = copy(estimator)
    table = validated_table(scratch, X, reset=True, min_samples=min_samples)
    return table, {name: vars(scratch)[name] for name in FEATURE_ATTRIBUTES if name in vars(scratch)}


def with_features(estimator: Any, features: dict[str, Any]) -> Any:
    """Return a copy of an estimator that expects data with these features."""
    scratch = copy(estimator)
    vars(scratch).pop("feature_names_in_", None)
    vars(scratch).update(features)
    return scratch


@contextmanager
def errors_about(name: str) -> Iterator[None]:
    """Prefix errors, whose messages call all data X, with the name of other data."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} cannot be used: {error}") from error


def warn_about_target(X: Any, y: Any, shape: tuple[int, int]) -> None:
    """Warn if y looks like clean samples that X, of this shape, should be mapped to."""
    if y is None or y is X or _shape_of(y) != shape:
        return
    warnings.warn(
        "y has the shape of X, but it is ignored: an autoencoder learns to reconstruct X. To learn to remove noise, "
        "pass clean samples as X and let corruption= add the noise, such as corruption='gaussian_noise'.",
        UserWarning,
        stacklevel=4,
    )


def _shape_of(y: Any) -> Any:
    """Return the shape of an array or of a list of rows of equal length."""
    if isinstance(y, (list, tuple)):
        widths = {len(row) if isinstance(row, (list, tuple, np.ndarray)) else None for row in y}
        return (len(y), *widths)
    return getattr(y, "shape", None)


def validated_table(estimator: Any, X: Any, *, reset: bool = False, min_samples: int = 1) -> Table:
    """Return X as a table after checking names and number of its features, or setting them with `reset`."""
    table = TensorTable(two_dimensional(X)) if isinstance(X, Tensor) else out_of_core_table(two_dimensional(X))
    if table is None:
        checks: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False, "ensure_min_samples": min_samples}
        X = validate_data(estimator, two_dimensional(numeric(X)), accept_sparse="csr", reset=reset, **checks)
        return SparseTable(X) if issparse(X) else DenseTable(X)
    validate_data(estimator, table.header, skip_check_array=True, reset=reset)
    for what, n, at_least in zip(("sample", "feature"), table.shape, (min_samples, 1), strict=True):
        if n < at_least:
            raise ValueError(
                f"Found array with {n} {what}(s) (shape={table.shape}) while a minimum of {at_least} is required "
                "by AutoencoderTransformer."
            )
    return table if isinstance(table, TensorTable) else in_memory_where_small(table)
