"""The fitted model in use: codes, reconstructions and errors of data, in chunks.

Results follow the dtype of the input, as PCA's do: float32 stays float32, anything else is computed in float64 with the
same weights.
"""

from collections.abc import Iterator
from copy import deepcopy
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_ae._data.arrays import as_tensor, to_float_tensor
from sklearn_ae._data.columns import ColumnRange, check_range, closed_range
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.tables import DenseTable, Table
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import squared_distances, squared_errors
from sklearn_ae.losses import Loss

__all__ = ["FittedModel", "in_float64"]


def in_float64(module: Autoencoder) -> Autoencoder:
    """Return a copy of a module in float64 on the CPU."""
    return deepcopy(module).cpu().double().eval()


class FittedModel:
    """A trained network in both precisions, with the scaling of its data.

    Parameters
    ----------
    module : Autoencoder
        The network in float32.
    module64 : Autoencoder
        The same in float64.
    scaling : Scaling
        The map between the data and the network's coordinates.
    output_range : ColumnRange or None, default=None
        The least and the greatest output of a clipped network in the data's coordinates.
    feature_names : ndarray of shape (n_features,) or None, default=None
        Names for messages.
    objective : str, default="loss"
        The loss and the output activation, for messages.
    """

    def __init__(
        self,
        module: Autoencoder,
        module64: Autoencoder,
        scaling: Scaling,
        output_range: ColumnRange | None = None,
        feature_names: np.ndarray | None = None,
        objective: str = "loss",
    ):
        device = module.device
        self.module64 = module64
        self.scaling = scaling
        self.output_range = output_range
        self.feature_names = feature_names
        self.objective = objective
        #: The least and the greatest entry that the loss models, None if it models all.
        self.modelled = _finite_range(module64)
        self.by_dtype = {
            torch.float32: (module, device),
            torch.float64: (module64, torch.device("cpu")),
        }
        if device.type == "cuda":
            self.by_dtype[torch.float64] = (deepcopy(module64).to(device), device)

    @torch.no_grad()
    def encode(self, X: Table) -> Any:
        """Return codes of shape (n_samples, n_components)."""
        module, device = self._network_for(X.dtype)
        codes = torch.empty((len(X), module.n_components), dtype=_working_dtype(X.dtype), device=X.device)
        for rows, z, _ in self._inputs(X, device):
            codes[rows] = module.encode(z)
            self._check_overflow(codes[rows], X)
        return _like_input(codes, X)

    @torch.no_grad()
    def decode(self, codes: Table) -> Any:
        """Return data of shape (n_samples, n_features) for canonical codes."""
        module, device = self._network_for(codes.dtype)
        X = torch.empty((len(codes), module.n_features), dtype=_working_dtype(codes.dtype), device=codes.device)
        for rows, part in codes.parts():
            h = to_float_tensor(part).to(device, X.dtype)
            X[rows] = self.scaling.inverse_transform(module.decode(h).to(X.device))
            self._check_overflow(X[rows], codes)
        return _like_input(self._in_output_range(X), codes)

    @torch.no_grad()
    def residuals(self, X: Table) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield rows and their residuals (n, n_features), in units of the scale; NaN for missing entries."""
        module, device = self._network_for(X.dtype)
        for rows, z, observed in self._inputs(X, device):
            residual = self.scaling.weight_columns((z - module(z, observed)).double().cpu())
            missing = None if observed is None else ~observed.cpu()
            known = residual if missing is None else residual.masked_fill(missing, 0.0)
            norm = torch.linalg.vector_norm(known)
            self._check_overflow((norm * max(1.0, self.scaling.scale)).square(), X)
            if missing is not None:
                residual = residual.masked_fill(missing, torch.nan)
            yield rows, residual.numpy()

    @torch.no_grad()
    def impute(self, X: np.ndarray) -> np.ndarray:
        """Return a copy of X with missing entries reconstructed."""
        filled = np.array(X, dtype=np.float32 if X.dtype == np.float32 else np.float64)
        gaps = np.isnan(filled)
        if np.isinf(filled).any():
            DenseTable(filled).columns(self.feature_names, allow_nan=True)
        self._check_range(filled, DenseTable(filled))
        rows = np.flatnonzero(gaps.any(axis=1))
        if len(rows):
            given = filled[rows]
            filled[rows] = np.where(gaps[rows], self._reconstruct(DenseTable(given)), given)
        return filled

    def _reconstruct(self, X: Table) -> np.ndarray:
        """Return the reconstruction of X, in which an output may use more of each sample than its code."""
        module, device = self._network_for(X.dtype)
        reconstruction = torch.empty(X.shape, dtype=_working_dtype(X.dtype))
        for rows, z, observed in self._inputs(X, device):
            decoded = module.decode(module.encode(z), z, observed)
            reconstruction[rows] = self.scaling.inverse_transform(decoded.cpu())
            self._check_overflow(reconstruction[rows], X)
        return self._in_output_range(reconstruction).numpy()

    def _in_output_range(self, X: Tensor) -> Tensor:
        """Limit X in place to the exact range of a clipped output: the network's is rounded to float32."""
        if self.output_range is not None:
            X.clamp_(as_tensor(self.output_range.low).to(X), as_tensor(self.output_range.high).to(X))
        return X

    @torch.no_grad()
    def errors(self, X: Table, *, of_prefixes: bool = False) -> tuple[np.ndarray, float]:
        """Return the squared error of X (1,), or for each prefix of the code (n_components,), and its variance.

        Both are summed over all observed entries, in units of the scale; the variance is about the training mean.
        """
        module, device = self._network_for(X.dtype)
        errors, variance = np.zeros(module.n_components if of_prefixes else 1), 0.0
        for _, z, observed in self._inputs(X, device):
            code = module.network_code(z)
            of_rows = squared_errors(module, z, code, observed, self.scaling, of_prefixes=of_prefixes)
            variances = squared_distances(z, observed, self.scaling)
            self._check_overflow(of_rows.sum() + variances.sum(), X)
            errors += of_rows.sum(0).cpu().numpy()
            variance += float(variances.sum())
        return errors, variance

    @torch.no_grad()
    def elbo(self, X: Table, loss: Loss, seed: int) -> float:
        """Return the mean over samples of the variational bound on their log-likelihood, in nats."""
        module, device = self._network_for(X.dtype)
        generator = Generator(device).manual_seed(seed)
        stretch = torch.from_numpy(np.log(np.broadcast_to(self.scaling.column_scale, module.n_features))).to(device)
        total = 0.0
        for _, z, observed in self._inputs(X, device):
            step = module.step(z, generator=generator, drop=False, observed=observed)
            nats = loss.entries(step) + loss.log_partition(z)
            known = torch.ones_like(z, dtype=torch.bool) if observed is None else observed
            nats = torch.where(loss.observed_mask(known), nats, 0.0).sum(dtype=torch.float64) + (known * stretch).sum()
            divergence = module.code.divergence(step.preactivation, module.n_components)
            total -= float(nats + divergence.sum(dtype=torch.float64))
            self._check_overflow(torch.tensor(total, dtype=torch.float64), X)
        return total / len(X)

    def _network_for(self, dtype: np.dtype) -> tuple[Autoencoder, torch.device]:
        return self.by_dtype[_working_dtype(dtype)]

    def _inputs(self, X: Table, device: torch.device) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Yield rows, the filled samples in the network's coordinates, and their observed entries or None for all."""
        dtype = _working_dtype(X.dtype)
        for rows, x in X.parts():
            self._check_range(x, X)
            z, observed = self.scaling.fill_missing(self.scaling.transform(x, dtype))
            if not isfinite(z.sum()):
                X.columns(self.feature_names, allow_nan=self.scaling.fills_missing)
                self._check_overflow(z, X)
            yield rows, z.to(device), None if observed is None else observed.to(device)

    def _check_range(self, x: np.ndarray | Tensor, X: Table) -> None:
        """Raise a ValueError that names the columns of X if samples x exceed the range that the loss models."""
        if self.modelled is None:
            return
        least, greatest = self.modelled
        t = to_float_tensor(x)
        if ((t < least.to(t)) | (t > greatest.to(t))).any():
            columns = X.columns(self.feature_names, allow_nan=self.scaling.fills_missing)
            check_range(columns.range, self.module64.output.data_range, self.feature_names, self.objective)

    def _check_overflow(self, computed: Tensor, X: Table) -> None:
        """Raise a ValueError if a result of finite X is not finite."""
        if not isfinite(computed.sum()) and not torch.isfinite(computed).all():  # a sum of finite may overflow
            raise ValueError(
                f"X has entries too large for {X.dtype} arithmetic, compared with the scale of the training data, "
                f"{self.scaling.scale:g}. {'Pass float64, or leave' if X.dtype == np.float32 else 'Leave'} them out."
            )


def _finite_range(module: Autoencoder) -> tuple[Tensor, Tensor] | None:
    """Return the least and the greatest entry (n_features,) that the output models, None if it models all."""
    least, greatest = closed_range(module.output.data_range, module.n_features)
    if np.isinf(least).all() and np.isinf(greatest).all():
        return None
    return torch.from_numpy(least), torch.from_numpy(greatest)


def _like_input(results: Tensor, X: Table) -> Any:
    """Return results as a tensor if X is one, otherwise as an array."""
    return results.numpy() if X.device is None else results


def _working_dtype(dtype: np.dtype) -> torch.dtype:
    return torch.float32 if dtype == np.float32 else torch.float64
