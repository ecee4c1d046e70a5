"""Arrays as tensors, and slices of rows that stay in the cache."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor", "row_slices", "to_float_tensor"]

#: Maximum numbers of entries and of rows in a chunk: hidden layers may be wider than the data.
CHUNK_ENTRIES, CHUNK_ROWS = 2**19, 2**13


def row_slices(n_rows: int, width: int) -> Iterator[slice]:
    """Yield slices of rows, small enough for a chunk to stay in the cache."""
    step = max(1, min(CHUNK_ENTRIES // width, CHUNK_ROWS))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def as_tensor(X: np.ndarray) -> Tensor:
    """Return X as a tensor, which shares the memory of X if torch can and may write to it."""
    return torch.from_numpy(X if X.flags.c_contiguous and X.flags.writeable else X.copy(order="C"))


def to_float_tensor(X: np.ndarray | Tensor) -> Tensor:
    """Return X as a tensor, in float32 if X is, otherwise in float64; a tensor is returned unchanged.

    It shares the memory of X if possible.
    """
    if isinstance(X, Tensor):
        return X
    return as_tensor(X if X.dtype == np.float32 else X.astype(np.float64, copy=False))
