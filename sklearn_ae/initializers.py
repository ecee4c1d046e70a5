"""In-place starts of a module's weights, drawn from a generator of the caller's."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from torch import Generator, Tensor, nn

from sklearn_ae.modules import Autoencoder
from sklearn_ae.networks import AffineNetwork

__all__ = ["pca_", "principal_axes", "random_", "start_", "transpose_"]

#: Up to this many rows or columns, whichever are fewer, principal axes come from a dense eigenproblem.
DENSE_LIMIT = 4096
CHUNK_ENTRIES = 2**20


def start_(module: Autoencoder, name: str, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start as `name` says, one of ``"pca"``, ``"transpose"``, ``"random"`` and ``"auto"``.

    ``"auto"`` is what suits the code. A network of the user's own without an affine path keeps its weights.

    Raises
    ------
    ValueError
        If `name` is another one, and the network has no affine path.
    """
    starts = {"pca": pca_, "transpose": transpose_, "random": random_}
    if module.has_affine_path:
        starts[module.code.init if name == "auto" else name](module, X, generator, rows)
    elif name != "auto":
        raise ValueError(
            f"init={name!r} needs the affine path of sklearn_ae.networks.AffineNetwork, but module= is a "
            f"{type(module.network).__name__}: leave init='auto', which keeps the weights that it comes with."
        )


def pca_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start as PCA of X: principal axes in the affine path, zero in the last layers of the hidden path.

    Axes beyond the rank of X are random directions orthogonal to it, which keep PCA's reconstruction of X.
    """
    network, k = module.network, module.n_components
    mean, axes = principal_axes(X, k, generator, rows)
    m, affine, columns = len(axes), network.encoder_affine, network.free_columns
    with torch.no_grad():
        he_(affine, generator)
        affine.weight[:m] = axes
        if columns is None:
            affine.weight[m:] = 0
        else:
            columns.zero_()
            columns[:, :m] = axes.T / module.output.slope(mean)[:, None]
        module.code.start_(affine, columns, lambda: _variances(X, mean, affine.weight[:k].double(), rows))
    centre_(module, mean)
    start_hidden_(network, mean, generator)


def transpose_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start with decoder columns of unit length in random directions and the encoder their transpose.

    The start of Gao et al. (2024), which prevents units that never fire.
    """
    network, k = module.network, module.n_components
    weight, columns = network.encoder_affine.weight, network.free_columns
    directions = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    directions[k:] = 0
    with torch.no_grad():
        weight.copy_(directions)
        if columns is not None:
            columns.copy_(directions[:k].T)
    mean = column_mean(X, rows)
    centre_(module, mean)
    start_hidden_(network, mean, generator)


def random_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start every layer with He's scheme (He et al., 2015)."""
    for layer in module.network.modules():
        if has_weight(layer):
            he_(layer, generator)
    nn.init.zeros_(module.network.decoder_bias)


def has_weight(layer: nn.Module) -> bool:
    """Whether a layer is linear or a convolution."""
    return isinstance(layer, (nn.Linear, nn.Conv2d))


def he_(layer: Any, generator: Generator) -> None:
    """Draw weights with variance 2 / fan-in and set the bias to zero."""
    weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(weight.mul_((2 / weight[0].numel()) ** 0.5))
        if layer.bias is not None:
            layer.bias.zero_()


def start_hidden_(network: AffineNetwork, mean: Tensor, generator: Generator) -> None:
    """Give hidden layers He's scheme around the mean of the data; zero the last ones, so that the affine path rules."""
    for hidden in (network.encoder_hidden, network.decoder_hidden):
        layers = [] if hidden is None else [layer for layer in hidden.modules() if has_weight(layer)]
        for layer in layers[:-1]:
            he_(layer, generator)
        for parameter in layers[-1].parameters() if layers else ():
            nn.init.zeros_(parameter)
    first = None if network.encoder_hidden is None else network.encoder_hidden[0]
    if isinstance(first, nn.Linear) and first.bias is not None:
        with torch.no_grad():
            first.bias.copy_(-first.weight @ mean.to(first.weight))


def centre_(module: Autoencoder, mean: Tensor) -> None:
    """Set the biases so that the mean of the data is coded as zero and decoded as itself."""
    network, k = module.network, module.n_components
    affine = network.encoder_affine
    mean = mean.to(affine.weight)
    with torch.no_grad():
        affine.bias[:k] = -affine.weight[:k] @ mean
        zero_code = module.code(torch.zeros_like(affine.bias)[None])[0]
        network.decoder_bias.copy_(module.output.inverse(mean) - network.decoder_weight @ zero_code)


def _variances(X: Tensor, mean: Tensor, axes: Tensor, rows: Tensor | None) -> Tensor:
    """Return the variance of X along each of the axes (k, n_features)."""
    total = torch.zeros(len(axes), dtype=torch.float64, device=X.device)
    for chunk in row_chunks(X, rows):
        total += ((chunk - mean) @ axes.T).square().sum(0)
    return total / (len(X) if rows is None else len(rows))


def column_mean(X: Tensor, rows: Tensor | None) -> Tensor:
    """Return the mean of each column in float64."""
    total = torch.zeros(X.shape[1], dtype=torch.float64, device=X.device)
    for chunk in row_chunks(X, rows):
        total += chunk.sum(0, dtype=torch.float64)
    return total / (len(X) if rows is None else len(rows))


def row_chunks(X: Tensor, rows: Tensor | None) -> Iterator[Tensor]:
    """Yield the given rows of X, or all, in chunks that are small beside X."""
    step = max(1, CHUNK_ENTRIES // X.shape[1])
    if rows is None:
        yield from X.split(step)
    else:
        for part in rows.to(X.device).split(step):
            yield X.index_select(0, part)


def principal_axes(X: Tensor, k: int, generator: Generator, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the mean (n_features,) and the first min(k, n_features) principal axes as rows, both in float64.

    Products run in the precision of X and are summed in float64, in chunks: no centred copy of X is made.
    """
    mean = column_mean(X, rows)
    n_rows, k = len(X) if rows is None else len(rows), min(k, X.shape[1])
    if min(n_rows, X.shape[1]) > DENSE_LIMIT and k < min(n_rows, X.shape[1]) // 4:
        axes = _axes_by_lanczos(X, mean, k, generator, rows)
    elif n_rows >= X.shape[1]:
        axes = torch.linalg.eigh(_covariance(X, mean, rows))[1].T.flip(0)[:k]
    else:
        axes = _axes_by_gram(X, mean, k, rows)
    return mean, _complete(axes, k, generator)


def _covariance(X: Tensor, mean: Tensor, rows: Tensor | None) -> Tensor:
    centre = mean.to(X)
    total = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64, device=X.device)
    for chunk in row_chunks(X, rows):
        centred = chunk - centre
        total += centred.T @ centred
    return total


def _axes_by_gram(X: Tensor, mean: Tensor, k: int, rows: Tensor | None) -> Tensor:
    def column_chunks() -> Iterator[Tensor]:
        width = max(1, CHUNK_ENTRIES // len(X))
        for part, centre in zip(X.split(width, 1), mean.split(width), strict=True):
            chosen = part if rows is None else part.index_select(0, rows.to(X.device))
            yield chosen.double() - centre

    gram = torch.zeros((), dtype=torch.float64, device=X.device)
    for part in column_chunks():
        gram = gram + part @ part.T
    values, vectors = torch.linalg.eigh(gram)
    keep = values > values[-1] * len(gram) * torch.finfo(gram.dtype).eps
    left = vectors[:, keep].flip(1)[:, :k]  # (n, r)
    axes = torch.cat([part.T @ left for part in column_chunks()]).T  # (r, d)
    return axes / torch.linalg.vector_norm(axes, dim=1, keepdim=True)


def _axes_by_lanczos(X: Tensor, mean: Tensor, k: int, generator: Generator, rows: Tensor | None) -> Tensor:
    chosen = slice(None) if rows is None else rows.to(X.device)
    centre = mean.to(X)

    def times(v: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(np.ascontiguousarray(v)).to(X)
        return (X @ t - centre @ t)[chosen].double().cpu().numpy()

    def transposed_times(v: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(np.ascontiguousarray(v)).to(X)
        spread = torch.zeros((len(X), *t.shape[1:])).to(X)
        spread[chosen] = t
        correction = centre.reshape(-1, *[1] * (t.ndim - 1)) * t.sum(0)
        return (X.T @ spread - correction).double().cpu().numpy()

    shape = (len(X) if rows is None else len(rows), X.shape[1])
    operator = LinearOperator(
        shape, matvec=times, rmatvec=transposed_times, matmat=times, rmatmat=transposed_times, dtype=float
    )
    start = torch.randn(min(shape), generator=generator, dtype=torch.float64).numpy()
    try:
        axes = svds(operator, k=k, v0=start, return_singular_vectors="vh")[2]
    except ArpackError:  # raised for data without variance
        axes = np.empty((0, X.shape[1]))
    return torch.from_numpy(axes[::-1].copy()).to(X.device)


def _complete(axes: Tensor, k: int, generator: Generator) -> Tensor:
    """Add random rows, orthogonal to all others, until there are k."""
    missing = k - len(axes)
    if missing == 0:
        return axes
    drawn = torch.randn(missing, axes.shape[1], generator=generator, dtype=axes.dtype).to(axes.device)
    for _ in range(2):
        drawn -= drawn @ axes.T @ axes
    return torch.cat([axes, torch.linalg.qr(drawn.T)[0].T])
