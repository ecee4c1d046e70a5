"""Validation of the data that a user passes: containers, shapes and feature names."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from scipy.sparse import issparse
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_ae._data.out_of_core import in_memory_where_small, out_of_core_table
from sklearn_ae._data.tables import DenseTable, SparseTable, Table, TensorTable

__all__ = ["FEATURE_ATTRIBUTES", "errors_about", "new_table", "validated_table", "with_features"]

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
    """Say in errors, whose messages call all data X, that they are about other data."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} cannot be used: {error}") from error


@contextmanager
def _advice_on_images() -> Iterator[None]:
    """Add to scikit-learn's error about arrays of more than two dimensions how to pass images."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Found array with dim "):
            raise
        raise ValueError(
            f"{error} Make each sample, such as an image, one row: X.reshape(len(X), -1). For convolutions see "
            "sklearn_ae.networks.ConvAutoencoder."
        ) from None


def validated_table(estimator: Any, X: Any, *, reset: bool = False, min_samples: int = 1) -> Table:
    """Return X as a table after checking names and number of its features, or setting them with `reset`."""
    table = TensorTable(X) if isinstance(X, Tensor) else out_of_core_table(X)
    if table is None:
        checks: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False, "ensure_min_samples": min_samples}
        with _advice_on_images():
            X = validate_data(estimator, X, accept_sparse="csr", reset=reset, **checks)
        return SparseTable(X) if issparse(X) else DenseTable(X)
    validate_data(estimator, table.header, skip_check_array=True, reset=reset)
    for what, n, at_least in zip(("sample", "feature"), table.shape, (min_samples, 1), strict=True):
        if n < at_least:
            raise ValueError(
                f"Found array with {n} {what}(s) (shape={table.shape}) while a minimum of {at_least} is required "
                "by AutoencoderTransformer."
            )
    return table if isinstance(table, TensorTable) else in_memory_where_small(table)
