"""The centred and scaled coordinates that the network works in."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.arrays import as_tensor, to_float_tensor
from sklearn_ae._data.columns import ColumnVariation
from sklearn_ae.base import DataBounds

__all__ = ["GREATEST_ENTRY", "Scaling", "weight_columns"]

#: Greatest entry in the network's coordinates, or length of its weights: the squares of many fit into float32.
GREATEST_ENTRY = 1e15


class Scaling:
    """Where the network's coordinates lie in the data's: x = offset + scale * z, or x = z in raw columns.

    Parameters
    ----------
    offset : ndarray of shape (n_features,), float64
        Zero in raw columns.
    scale : float
        Of the other columns.
    raw : ndarray of shape (n_features,), bool, or None
        The raw columns where some are and some are not, else None.
    spread : float
        Root mean square of all entries about their columns' means, in the network's coordinates.
    """

    def __init__(self, offset: np.ndarray, scale: float, unscaled: np.ndarray | None = None, spread: float = 1.0):
        self.offset = offset
        self.scale = scale
        self.unscaled = unscaled
        self.spread = spread
        #: Width of the network's unit in each column of the data, and the same in units of `scale`.
        self.column_scale: Any = scale if unscaled is None else np.where(unscaled, 1.0, scale)
        self.column_weights: Any = 1.0 if unscaled is None else np.where(unscaled, 1 / scale, 1.0)
        self._offset = as_tensor(offset)
        self._widths = torch.as_tensor(self.column_scale, dtype=torch.float64)
        self._high = self._offset.float()
        low = (self._offset - self._high).float()
        self._low = low if low.abs().max() > torch.finfo(torch.float32).eps / 4 * scale else None

    @classmethod
    def of(cls, mean: np.ndarray, spread: ColumnVariation, unscaled: Any) -> "Scaling":
        """Centre columns that are not raw at their means and divide them by their overall root mean square.

        Where that is zero, by 1. `raw` is a bool for all columns, or an array of one for each.
        """
        unscaled = np.broadcast_to(np.asarray(unscaled), mean.shape)
        if unscaled.all():
            return cls(np.zeros_like(mean), 1.0, spread=spread.root_mean_square())
        if not unscaled.any():
            return cls(mean, spread.root_mean_square() or 1.0)
        return cls(np.where(unscaled, 0.0, mean), spread.root_mean_square(~unscaled) or 1.0, unscaled)

    def transform(self, X: np.ndarray | Tensor, dtype: torch.dtype) -> Tensor:
        """Return a new tensor; data other than float32 is centred in float64 before it is rounded."""
        x = to_float_tensor(X)
        if x.dtype == torch.float32:
            Z = x - self._high.to(x.device)
            if self._low is not None:
                Z -= self._low.to(x.device)
        else:
            Z = x - self._offset.to(x.device)
        if self.unscaled is not None:
            Z /= self._widths.to(x.device)
        elif self.scale != 1.0:
            Z /= self.scale
        return Z.to(dtype)

    def transform_point(self, x: np.ndarray) -> np.ndarray:
        """Return the network's coordinates, in float64, of one point (n_features,)."""
        return (x - self.offset) / self.column_scale

    def inverse_transform(self, Z: Tensor) -> Tensor:
        """Return a new tensor in the data's coordinates."""
        if self.unscaled is not None:
            return torch.addcmul(self._offset.to(Z), Z, self._widths.to(Z))
        return torch.add(self._offset.to(Z), Z, alpha=self.scale)

    def column_weights_like(self, Z: Tensor) -> Tensor | None:
        """Return `column_weights` on the device and in the precision of Z; None where columns do not differ."""
        return None if self.unscaled is None else torch.from_numpy(self.column_weights).to(Z)

    def data_bounds(self, bounds: tuple[np.ndarray, np.ndarray], device: torch.device) -> DataBounds:
        """Return the landmarks of data with the given bounds of its columns."""
        points = (np.zeros_like(self.offset), *bounds)
        zero, low, high = (torch.from_numpy(self.transform_point(point)).to(device, torch.float32) for point in points)
        return DataBounds(zero, low, high, self.spread)


def weight_columns(difference: Tensor, column_weights: Tensor | None) -> Tensor:
    """Return differences of points in the network's coordinates in units of the scale; the tensor itself for None."""
    return difference if column_weights is None else difference * column_weights
