"""What a fitted network computes for data of the user's: codes, reconstructions and errors, in chunks.

Results follow the dtype of the input, as PCA's do: float32 stays float32, anything else is computed in float64 with the
same weights.
"""

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_ae._data import Coordinates, as_tensor, chunks, column_means, in_scale
from sklearn_ae.canonical import CodeMoments
from sklearn_ae.losses import Loss
from sklearn_ae.modules import Autoencoder

__all__ = ["Inference", "add_moments", "in_float64", "row_errors"]


def in_float64(module: Autoencoder) -> Autoencoder:
    """Return a copy of a module in float64 on the CPU."""
    return deepcopy(module).cpu().double().eval()


class Inference:
    """A network in both precisions with the coordinates it works in.

    Parameters
    ----------
    module : Autoencoder
        The network in float32.
    module64 : Autoencoder
        The same in float64.
    coordinates : Coordinates
        Of the network in the data's.
    bounds : tuple of two ndarray of shape (n_features,), or None
        The least and the greatest output of a clipped network in the data's coordinates.
    feature_names : ndarray of shape (n_features,) or None
        Names for messages.
    """

    def __init__(
        self,
        module: Autoencoder,
        module64: Autoencoder,
        coordinates: Coordinates,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
        feature_names: np.ndarray | None = None,
    ):
        device = module.device
        self.module64 = module64
        self.coordinates = coordinates
        self.bounds = bounds
        self.feature_names = feature_names
        self.by_dtype = {
            torch.float32: (module, device),
            torch.float64: (module64, torch.device("cpu")),
        }
        if device.type == "cuda":
            self.by_dtype[torch.float64] = (module64.to(device), device)

    @torch.no_grad()
    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return codes of shape (n_samples, n_components)."""
        module, device = self._network_for(X)
        codes = torch.empty((len(X), module.n_components), dtype=module.dtype)
        for rows, z in self._inputs(X, device):
            codes[rows] = module.encode(z)
            self._refuse_overflow(codes[rows], X)
        return codes.numpy()

    @torch.no_grad()
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return data of shape (n_samples, n_features) for canonical codes."""
        module, device = self._network_for(codes)
        X = torch.empty((len(codes), module.n_features), dtype=module.dtype)
        for rows in chunks(*X.shape):
            h = as_tensor(codes[rows]).to(device, X.dtype)
            X[rows] = self.coordinates.to_data(module.decode(h).cpu())
            self._refuse_overflow(X[rows], codes)
        if self.bounds is not None:  # the network's are rounded to float32
            X.clamp_(*(as_tensor(bound).to(X) for bound in self.bounds))
        return X.numpy()

    @torch.no_grad()
    def residuals(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield rows with their data, less the offset, and its error, both (n, n_features), in units of the scale."""
        module, device = self._network_for(X)
        for rows, z in self._inputs(X, device):
            given, residual = z.double().cpu(), (z - module(z)).double().cpu()
            widths = self.coordinates.relative_widths_like(given)
            given, residual = in_scale(given, widths), in_scale(residual, widths)
            norm = torch.maximum(torch.linalg.vector_norm(given), torch.linalg.vector_norm(residual))
            self._refuse_overflow((norm * max(1.0, self.coordinates.scale)).square(), X)
            yield rows, given.numpy(), residual.numpy()

    @torch.no_grad()
    def prefix_errors(self, X: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the squared error of X for each prefix of an ordered code (n_components,), and its variance.

        Both are summed over all entries, in units of the scale; the variance is about the mean (n_features,) given.
        """
        module, device = self._network_for(X)
        errors, variance = np.zeros(module.n_components), 0.0
        for _, z in self._inputs(X, device):
            widths = self.coordinates.relative_widths_like(z)
            centre = torch.from_numpy(self.coordinates.of_point(mean)).to(z)
            of_rows, variances = row_errors(module, z, module.network_code(z), centre, widths)
            self._refuse_overflow(of_rows.sum() + variances.sum(), X)
            errors += of_rows.sum(0).cpu().numpy()
            variance += float(variances.sum())
        return errors, variance

    @torch.no_grad()
    def elbo(self, X: np.ndarray, loss: Loss, seed: int) -> float:
        """Return the mean over rows of the variational bound on the log-likelihood of the data, in nats."""
        module, device = self._network_for(X)
        generator = Generator(device).manual_seed(seed)
        total = 0.0
        for _, z in self._inputs(X, device):
            step = module.step(z, generator=generator, drop=False)
            nats = (loss.entries(step) + loss.log_partition(z)).sum(dtype=torch.float64)
            divergence = module.code.divergence(step.preactivation, module.n_components)
            total -= float(nats + divergence.sum(dtype=torch.float64))
            self._refuse_overflow(torch.tensor(total), X)
        stretch = np.log(np.broadcast_to(self.coordinates.widths, module.n_features)).sum()
        return total / len(X) - float(stretch)

    def _network_for(self, X: np.ndarray) -> tuple[Autoencoder, torch.device]:
        return self.by_dtype[_working_dtype(X)]

    def _inputs(self, X: np.ndarray, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
        dtype = _working_dtype(X)
        for rows in chunks(*X.shape):
            z = self.coordinates.to_network(X[rows], dtype)
            if not torch.isfinite(z.sum()):
                column_means(X, self.feature_names)
            self._refuse_overflow(z, X)
            yield rows, z.to(device)

    def _refuse_overflow(self, computed: Tensor, X: np.ndarray) -> None:
        """Raise a ValueError where what was computed from finite X is not finite."""
        if not torch.isfinite(computed.sum()) and not torch.isfinite(computed).all():  # a sum of finite may overflow
            raise ValueError(
                f"X has entries too large for {X.dtype} arithmetic, beside the scale of the data in fit, "
                f"{self.coordinates.scale:g}. Pass float64, or leave them out."
            )


def row_errors(
    module: Autoencoder, z: Tensor, code: Tensor, mean: Tensor, relative_widths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the squared error of each row of z, (n, 1), and its squared distance from the mean, (n,).

    Of an ordered code there is an error for each prefix, (n, n_components). `code` is the network's for z; all are in
    units of the data's scale.
    """
    sizes = range(1, module.n_components + 1) if module.ordered else (module.n_components,)
    errors = torch.empty(len(z), len(sizes), dtype=torch.float64, device=z.device)
    for column, size in enumerate(sizes):
        output = module.output(module.linear_output(code[:, :size]))
        errors[:, column] = in_scale(z - output, relative_widths).square().sum(1, dtype=torch.float64)
    return errors, in_scale(z - mean, relative_widths).square().sum(1, dtype=torch.float64)


@torch.no_grad()
def add_moments(
    moments: CodeMoments, module: Autoencoder, Z: Tensor, mean: Tensor, relative_widths: Tensor | None
) -> None:
    """Add the rows of a training tensor to the moments of a module's code.

    Error and variance, the latter about the mean, are in units of the data's scale.
    """
    for rows in chunks(*Z.shape):
        z = Z[rows]
        code = module.network_code(z)
        errors, variances = row_errors(module, z, code, mean, relative_widths)
        moments.update(code.cpu().numpy(), errors.sum(0).cpu().numpy(), float(variances.sum()))


def _working_dtype(X: np.ndarray) -> torch.dtype:
    return torch.float32 if X.dtype == np.float32 else torch.float64
