"""The centred and scaled coordinates that the network works in."""

from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._data.arrays import as_tensor, to_float_tensor
from sklearn_ae._data.columns import ColumnRange, ColumnStats
from sklearn_ae.base import DataBounds

__all__ = ["GREATEST_ENTRY", "Scaling"]

#: Largest entry in the network's coordinates, or length of its weights: the squares of many fit into float32.
GREATEST_ENTRY = 1e15


class Scaling:
    """The affine map between the data and the network's coordinates z, and errors measured there.

    x = mean + scale * z in scaled columns, and x = z in unscaled ones. Errors are in units of `scale` in all columns.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
        Mean of each column of the training data, in the data's units.
    scale : float, default=1.0
        Number that scaled columns are divided by; 1 if no column is scaled.
    unscaled : bool or ndarray of bool of shape (n_features,), default=False
        Columns that the network works on without centring or scaling.
    spread : float, default=1.0
        Root mean square of all entries about their columns' means, in the network's coordinates.
    fills_missing : bool, default=False
        Whether NaN is a missing entry, replaced by its column's mean.
    """

    def __init__(
        self,
        mean: np.ndarray,
        scale: float = 1.0,
        unscaled: Any = False,
        spread: float = 1.0,
        fills_missing: bool = False,
    ):
        self.mean = mean
        self.scale = scale
        self.unscaled = np.broadcast_to(np.asarray(unscaled, dtype=bool), mean.shape)
        self.spread = spread
        self.fills_missing = fills_missing
        self.offset = np.where(self.unscaled, 0.0, mean)
        self._is_mixed = bool(self.unscaled.any() and not self.unscaled.all())
        #: Width of the network's unit in each column of the data, and the same in units of `scale`.
        self.column_scale: Any = np.where(self.unscaled, 1.0, scale) if self._is_mixed else scale
        self.column_weights: Any = np.where(self.unscaled, 1 / scale, 1.0) if self._is_mixed else 1.0
        self._offset = as_tensor(self.offset)
        self._column_scale = torch.as_tensor(self.column_scale, dtype=torch.float64)
        self._high = self._offset.float()
        low = (self._offset - self._high).float()
        self._low = low if low.abs().max() > torch.finfo(torch.float32).eps / 4 * scale else None

    @classmethod
    def of(cls, columns: ColumnStats, unscaled: Any = False, *, fills_missing: bool = False) -> Self:
        """Return the scaling by the overall root mean square of the scaled columns, or by 1 if that is zero."""
        scaled = ~np.broadcast_to(np.asarray(unscaled, dtype=bool), columns.mean.shape)
        if not scaled.any():
            return cls(columns.mean, 1.0, unscaled, columns.root_mean_square(), fills_missing)
        scale = columns.root_mean_square(slice(None) if scaled.all() else scaled) or 1.0
        return cls(columns.mean, scale, unscaled, fills_missing=fills_missing)

    def filling(self, fills_missing: bool) -> Self:
        """Return the same scaling, which fills missing entries or not."""
        other = copy(self)
        other.fills_missing = fills_missing
        return other

    def transform(self, X: np.ndarray | Tensor, dtype: torch.dtype) -> Tensor:
        """Return a new tensor; data other than float32 is centred in float64 before it is rounded."""
        x = to_float_tensor(X)
        if x.dtype == torch.float32:
            Z = x - self._high.to(x.device)
            if self._low is not None:
                Z -= self._low.to(x.device)
        else:
            Z = x - self._offset.to(x.device)
        if self._is_mixed:
            Z /= self._column_scale.to(x.device)
        elif self.scale != 1.0:
            Z /= self.scale
        return Z.to(dtype)

    def inverse_transform(self, Z: Tensor) -> Tensor:
        """Return a new tensor in the data's coordinates."""
        if self._is_mixed:
            return torch.addcmul(self._offset.to(Z), Z, self._column_scale.to(Z))
        return torch.add(self._offset.to(Z), Z, alpha=self.scale)

    def transform_point(self, x: np.ndarray) -> np.ndarray:
        """Return the network's coordinates, in float64, of one point (n_features,)."""
        return (x - self.offset) / self.column_scale

    def mean_like(self, z: Tensor) -> Tensor:
        """Return the mean in the network's coordinates, on the device and in the precision of z."""
        return torch.from_numpy(self.transform_point(self.mean)).to(z)

    def fill_missing(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return samples (n, d) with missing entries filled, and which are observed (n, d), or None for all."""
        if not self.fills_missing:
            return z, None
        observed = ~z.isnan()
        return torch.where(observed, z, self.mean_like(z)), observed

    def weight_columns(self, difference: Tensor) -> Tensor:
        """Return differences of points in units of `scale`; the tensor itself if columns do not differ."""
        return difference * torch.from_numpy(self.column_weights).to(difference) if self._is_mixed else difference

    def distances(self, z: Tensor, other: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the Euclidean distance (n,) between two points of each sample, over its observed entries."""
        difference = z - other
        return torch.linalg.vector_norm(
            self.weight_columns(difference if observed is None else difference * observed), dim=1
        )

    def variance(self, columns: ColumnStats) -> float:
        """Return the sum of the squared distances of samples with these statistics from the mean."""
        shift = (columns.mean - self.mean) / self.scale
        about_own_mean = columns.squares * (columns.unit / self.scale) ** 2
        return float((about_own_mean + columns.n_observed * shift**2).sum())

    def data_bounds(self, columns: ColumnRange, device: torch.device) -> DataBounds:
        """Return the bounds of the data that corruptions are called with."""
        zero, mean, low, high = (
            torch.from_numpy(self.transform_point(point)).to(device, torch.float32)
            for point in (np.zeros_like(self.mean), self.mean, columns.low, columns.high)
        )
        return DataBounds(zero, mean, low, high, self.spread, self.fills_missing)
