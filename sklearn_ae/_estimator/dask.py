"""Lazy results of a fitted estimator for dask collections.

Dask is imported when it is used: a user who passes one of its collections has it installed.
"""

from collections.abc import Callable
from copy import copy, deepcopy
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import issparse

from sklearn_ae._data.dask_blocks import (
    _delayed_blocks,
    _example,
    _framed,
    _in_blocks_of_rows,
    _is_array,
    is_dask,
    numbers,
)

__all__ = ["on_dask_collections"]

#: Methods that return one row, or one number, per sample.
LAZY = ("transform", "inverse_transform", "score_samples", "reconstruction_error")

Estimator = TypeVar("Estimator", bound=type)


def on_dask_collections(cls: Estimator) -> Estimator:
    """Let methods of a fitted estimator accept dask arrays and data frames, and return lazy ones.

    It decorates the class, not its methods, to be applied before scikit-learn's ``set_output``, which would compute.
    """
    for name in LAZY:
        setattr(cls, name, _lazily(getattr(cls, name)))
    cls._error_and_variance = _summed(cls._error_and_variance)  # type: ignore[attr-defined]
    return cls


def _lazily(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that returns a lazy collection of the same kind for a dask collection."""

    @wraps(method)
    def of_any(self: Any, X: Any, **kwargs: Any) -> Any:
        if not is_dask(X):
            return method(self, X, **kwargs)
        X = _in_blocks_of_rows(X)
        like = np.asarray(method(self, _example(X), **kwargs))[:0]  # raises an error if the columns do not match
        call = {"estimator": _frozen(self), "method": method.__name__, "like": like, "parameters": kwargs}
        if _is_array(X):
            chunks = (X.chunks[0], *((n,) for n in like.shape[1:]))
            axis = [] if like.ndim == 2 else [1]
            return X.map_blocks(_of_block, **call, chunks=chunks, drop_axis=axis, meta=like, dtype=like.dtype)
        columns = _columns(self, method.__name__) if like.ndim == 2 else None
        return X.map_partitions(_of_partition, **call, columns=columns, meta=_framed(like, columns, X._meta.index))

    return of_any


def _summed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that sums its results over the blocks of a dask collection."""

    @wraps(method)
    def of_any(self: Any, X: Any) -> Any:
        if not is_dask(X):
            return method(self, X)
        from dask.base import compute
        from dask.delayed import delayed

        X = _in_blocks_of_rows(X)
        like = np.zeros((0, len(method(self, _example(X)))))
        call = {"estimator": _frozen(self), "method": method.__name__, "like": like, "parameters": {}}
        parts = compute(*(delayed(_of_block)(block, **call) for block in _delayed_blocks(X)))
        return tuple(float(total) for total in np.concatenate([np.atleast_2d(part) for part in parts]).sum(axis=0))

    return of_any


def _of_block(block: Any, estimator: Any, method: str, like: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """Return the result of a method for a block; blocks of filtered collections may be empty."""
    if block.shape[0] == 0:
        return like
    return np.asarray(getattr(estimator, method)(block if issparse(block) else numbers(block), **parameters))


def _of_partition(partition: Any, *, columns: list[Any] | None, **call: Any) -> Any:
    return _framed(_of_block(partition, **call), columns, partition.index)


def _columns(estimator: Any, name: str) -> list[Any]:
    """Return the names of the columns that a method returns."""
    if name == "transform":
        return list(estimator.get_feature_names_out())
    unnamed = (f"x{i}" for i in range(estimator.n_features_in_))
    return list(getattr(estimator, "feature_names_in_", unnamed))


def _frozen(estimator: Any) -> Any:
    """Return a copy of the estimator for a graph that is computed later, once for all its tasks.

    It has no feature names: these are checked beforehand, and blocks have none.
    """
    from dask.delayed import delayed

    frozen = deepcopy(copy(estimator).set_params(callbacks=None))
    vars(frozen).pop("feature_names_in_", None)
    return delayed(frozen, pure=True)
