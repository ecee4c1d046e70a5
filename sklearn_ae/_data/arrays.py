"""Arrays and tensors, their chunks, and missing entries."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor", "fill_missing", "row_slices", "to_float_tensor"]

#: A chunk's entries, and its rows: hidden layers are wider than narrow data.
CHUNK_ENTRIES, CHUNK_ROWS = 2**19, 2**13


def row_slices(n_rows: int, width: int) -> Iterator[slice]:
    """Yield slices over rows, few enough of them that a chunk stays in the cache."""
    step = max(1, min(CHUNK_ENTRIES // width, CHUNK_ROWS))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def fill_missing(z: Tensor, fill: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return rows with missing entries filled, and which are observed; the rows and None where `fill` is None.

    Missing entries are NaN; `fill` (n_features,) stands for them.
    """
    if fill is None:
        return z, None
    observed = ~z.isnan()
    return torch.where(observed, z, fill.to(z)), observed


def as_tensor(X: np.ndarray) -> Tensor:
    """Return X as a tensor that shares its memory where torch can and may write there."""
    return torch.from_numpy(X if X.flags.c_contiguous and X.flags.writeable else X.copy(order="C"))


def to_float_tensor(X: np.ndarray | Tensor) -> Tensor:
    """Return numbers of any type as a tensor, in float32 where they are that, otherwise in float64.

    It shares the memory of X where it can; a tensor, which is in one of these, stays.
    """
    if isinstance(X, Tensor):
        return X
    return as_tensor(X if X.dtype == np.float32 else X.astype(np.float64, copy=False))
