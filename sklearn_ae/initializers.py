"""In-place starts of a network's weights, drawn from a generator of the caller's."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from torch import Generator, Tensor, nn

from sklearn_ae.modules import Autoencoder, TiedAutoencoder

__all__ = ["pca_", "principal_axes", "random_", "transpose_"]

#: Up to this many rows or columns, whichever are fewer, principal axes come from a dense eigenproblem.
DENSE_LIMIT = 4096
CHUNK_ENTRIES = 2**20


def pca_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start as PCA of X: principal axes in the affine path, zero in the last layers of the hidden path.

    Axes beyond the rank of X are random directions orthogonal to it, which keep PCA's reconstruction of X.
    """
    mean, axes = principal_axes(X, module.encoder_affine.out_features, generator, rows)
    m = len(axes)
    with torch.no_grad():
        he_(module.encoder_affine, generator)
        module.encoder_affine.weight[:m] = axes
        if isinstance(module, TiedAutoencoder):
            module.encoder_affine.weight[m:] = 0
        else:
            module.decoder_weight.zero_()
            module.decoder_weight[:, :m] = axes.T / output_slope(module)
    centre_(module, mean)
    start_hidden_(module, mean, generator)


def transpose_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start with decoder columns of unit length in random directions and the encoder their transpose.

    The start of Gao et al. (2024), which prevents units that never fire.
    """
    weight = module.encoder_affine.weight
    directions = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    with torch.no_grad():
        weight.copy_(directions)
        if not isinstance(module, TiedAutoencoder):
            module.decoder_weight.copy_(directions.T)
    mean = column_mean(X, rows)
    centre_(module, mean)
    start_hidden_(module, mean, generator)


def random_(module: Autoencoder, X: Tensor, generator: Generator, rows: Tensor | None = None) -> None:
    """Start every layer with He's scheme (He et al., 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            he_(layer, generator)
    nn.init.zeros_(module.decoder_bias)


def he_(layer: nn.Linear, generator: Generator) -> None:
    """Draw weights with variance 2 / fan-in and set the bias to zero."""
    weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(weight.mul_((2 / layer.in_features) ** 0.5))
        if layer.bias is not None:
            layer.bias.zero_()


def start_hidden_(module: Autoencoder, mean: Tensor, generator: Generator) -> None:
    """Give hidden layers He's scheme around the mean of the data; zero the last ones, so that the affine path rules."""
    if not module.has_hidden:
        return
    for mlp in (module.encoder_hidden, module.decoder_hidden):
        *inner, last = (layer for layer in mlp if isinstance(layer, nn.Linear))
        for layer in inner:
            he_(layer, generator)
        nn.init.zeros_(last.weight)
    first = next(layer for layer in module.encoder_hidden if isinstance(layer, nn.Linear))
    with torch.no_grad():
        first.bias.copy_(-first.weight @ mean.to(first.weight))


def centre_(module: Autoencoder, mean: Tensor) -> None:
    """Set the biases so that the mean of the data is coded as zero and decoded as itself."""
    affine = module.encoder_affine
    mean = mean.to(affine.weight)
    with torch.no_grad():
        affine.bias.copy_(-affine.weight @ mean)
        target = torch.logit(mean, eps=0.01) if has_sigmoid_output(module) else mean
        zero_code = module.code(torch.zeros_like(affine.bias))
        module.decoder_bias.copy_(target - module.decoder_weight @ zero_code)


def has_sigmoid_output(module: Autoencoder) -> bool:
    """Whether outputs pass through a sigmoid."""
    return isinstance(module.output, nn.Sigmoid)


def output_slope(module: Autoencoder) -> float:
    """Return the output activation's slope at its middle."""
    return 0.25 if has_sigmoid_output(module) else 1.0


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
