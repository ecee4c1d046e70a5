"""Principal axes of training samples: exact for few samples or features, otherwise by iteration on products."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from torch import Generator, Tensor

from sklearn_ae._data.training_rows import SparseRows, TrainingRows

__all__ = ["column_mean", "principal_axes"]

#: Up to this number of samples or features, whichever are fewer, principal axes come from a dense eigenproblem.
DENSE_LIMIT = 4096
CHUNK_ENTRIES = 2**20
#: Maximum number and minimum width of blocks of columns of a symmetric product, which omits those below the diagonal.
BLOCKS, BLOCK_WIDTH = 8, 48
#: For axes from random blocks: extra directions, and passes over the samples.
OVERSAMPLING, PASSES = 10, 8
#: Least length, relative to the longest image, of a direction that a block adds: less is rounding.
LEAST_LENGTH = 1e-12


def column_mean(rows: TrainingRows) -> Tensor:
    """Return the mean of each column in float64."""
    if isinstance(rows, SparseRows) and not rows.has_missing:
        matrix, origin = rows.matrix()
        sums = torch.from_numpy(np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel())
        return (sums / len(rows)).to(rows.device) + origin
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for z in rows.filled():
        total += z.sum(0, dtype=torch.float64)
    return total / len(rows)


def principal_axes(
    rows: TrainingRows, k: int, generator: Generator, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Return the mean (n_features,) and the first min(k, n_features) principal axes, as rows, both in float64.

    Products are computed in the precision of the samples and summed in float64, in chunks, without a centred copy. The
    products of an exact solution are computed in `dtype` if it is given.
    """
    n_rows, d = rows.shape
    k = min(k, d)
    n_least = min(n_rows, d)
    exact = n_least <= DENSE_LIMIT or k >= n_least // 4
    whole = not rows.has_missing and isinstance(rows.data, Tensor)
    if exact and (n_rows >= d or (d <= DENSE_LIMIT and not whole)):
        mean, scatter = _mean_and_scatter(rows, dtype)
        axes = torch.linalg.eigh(scatter, UPLO="U")[1].T.flip(0)[:k]
    else:
        mean = column_mean(rows)
        if exact and whole:
            axes = _axes_by_gram(rows, mean, k)
        elif whole:
            axes = _axes_by_lanczos(rows, mean, k, generator)
        else:
            axes = _axes_by_krylov(rows, mean, k, generator)
    return mean, _complete(axes, k, generator)


def _mean_and_scatter(rows: TrainingRows, dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    """Return the mean of each column and the upper triangle of the scatter about it, in one pass."""
    d = rows.shape[1]
    sums, scatter = (torch.zeros(*shape, dtype=torch.float64, device=rows.device) for shape in ((d,), (d, d)))
    origin: Any = None
    for z in rows.filled():
        z = z if dtype is None else z.to(dtype)
        origin = z.mean(0) if origin is None else origin  # near the mean, so that their difference loses few digits
        centred = z - origin
        sums += centred.sum(0, dtype=torch.float64)
        _add_products_(scatter, centred)
    shift = sums / len(rows)
    return origin.double() + shift, scatter.addr_(shift, shift, alpha=-len(rows))


def _add_products_(total: Tensor, x: Tensor) -> None:
    """Add x' x without the blocks below the diagonal."""
    d = x.shape[1]
    n_blocks = min(BLOCKS, max(1, d // BLOCK_WIDTH))
    ends = [d * i // n_blocks for i in range(n_blocks + 1)]
    for first, last in pairwise(ends):
        total[first:last, first:] += x[:, first:last].T @ x[:, first:]


def _axes_by_gram(rows: TrainingRows, mean: Tensor, k: int) -> Tensor:
    def column_chunks() -> Iterator[Tensor]:
        width = max(1, CHUNK_ENTRIES // len(rows))
        for part, centre in zip(rows.data.split(width, 1), mean.split(width), strict=True):
            chosen = part if rows.index is None else part.index_select(0, rows.index)
            yield chosen.double() - centre

    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for part in column_chunks():
        _add_products_(gram, part.T)
    values, vectors = torch.linalg.eigh(gram, UPLO="U")
    keep = values > values[-1] * len(gram) * torch.finfo(gram.dtype).eps
    left = vectors[:, keep].flip(1)[:, :k]  # (n, r)
    axes = torch.cat([part.T @ left for part in column_chunks()]).T  # (r, d)
    return axes / torch.linalg.vector_norm(axes, dim=1, keepdim=True)


def _axes_by_lanczos(rows: TrainingRows, mean: Tensor, k: int, generator: Generator) -> Tensor:
    """Return axes by Lanczos' iteration, for dense data in memory several times as fast as random blocks."""
    operator = _dense_operator(rows, mean)
    start = torch.randn(min(rows.shape), generator=generator, dtype=torch.float64).numpy()
    try:
        axes = svds(operator, k=k, v0=start, return_singular_vectors="vh")[2]
    except ArpackError:  # for data without variance
        axes = np.empty((0, rows.shape[1]))
    return torch.from_numpy(axes[::-1].copy()).to(rows.device)


def _dense_operator(rows: TrainingRows, mean: Tensor) -> LinearOperator:
    X, chosen, centre = rows.data, slice(None) if rows.index is None else rows.index, mean.to(rows.data)

    def times(v: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(np.ascontiguousarray(v)).to(X)
        return (X @ t - centre @ t)[chosen].double().cpu().numpy()

    def transposed_times(v: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(np.ascontiguousarray(v)).to(X)
        spread = torch.zeros((len(X), *t.shape[1:])).to(X)
        spread[chosen] = t
        correction = centre.reshape(-1, *[1] * (t.ndim - 1)) * t.sum(0)
        return (X.T @ spread - correction).double().cpu().numpy()

    return _operator(rows.shape, times, transposed_times)


def _operator(shape: tuple[int, int], times: Any, transposed_times: Any) -> LinearOperator:
    return LinearOperator(
        shape, matvec=times, rmatvec=transposed_times, matmat=times, rmatmat=transposed_times, dtype=float
    )


def _axes_by_krylov(rows: TrainingRows, mean: Tensor, k: int, generator: Generator) -> Tensor:
    """Return axes from a random block and its images under the scatter, in few passes (Musco and Musco, 2015).

    Each block is made orthogonal to those before it, and the axes are the best in the span of all.
    """
    whole = isinstance(rows, SparseRows) and not rows.has_missing
    times_scatter, d = (_sparse_scatter if whole else _scatter)(rows, mean), rows.shape[1]
    block = torch.randn(d, min(k + OVERSAMPLING, d), generator=generator, dtype=torch.float64).to(rows.device)
    basis = images = block[:, :0]
    longest = 0.0
    for _ in range(PASSES):
        block = _added_directions(block, basis, longest * LEAST_LENGTH)
        if block.shape[1] == 0:
            break
        image = times_scatter(block)
        basis, images, block = torch.cat([basis, block], 1), torch.cat([images, image], 1), image
        longest = max(longest, float(torch.linalg.vector_norm(image, dim=0).max()))
    rotation = torch.linalg.eigh(basis.T @ images)[1].flip(1)
    return (basis @ rotation[:, :k]).T


def _added_directions(block: Tensor, basis: Tensor, least: float) -> Tensor:
    """Return orthonormal columns that a block adds to a basis, without those up to the least length."""
    added, lengths, _ = torch.linalg.svd(block - basis @ (basis.T @ block), full_matrices=False)
    added = added[:, lengths > least]
    return torch.linalg.qr(added - basis @ (basis.T @ added))[0]  # twice, to remove rounding errors of the first pass


def _scatter(rows: TrainingRows, mean: Tensor) -> Callable[[Tensor], Tensor]:
    def scatter(block: Tensor) -> Tensor:
        image = torch.zeros_like(block)
        for z in rows.filled():
            centred = z - mean.to(z)
            image += centred.T @ (centred @ block.to(z))
        return image

    return scatter


def _sparse_scatter(rows: Any, mean: Tensor) -> Callable[[Tensor], Tensor]:
    X, origin = rows.matrix()
    shift = (mean - origin).cpu().numpy()
    transposed = X.T.tocsr()

    def scatter(block: Tensor) -> Tensor:
        q = block.cpu().numpy()
        products = X @ q - shift @ q
        image = transposed @ products - np.outer(shift, products.sum(axis=0))
        return torch.from_numpy(image).to(block.device)

    return scatter


def _complete(axes: Tensor, k: int, generator: Generator) -> Tensor:
    """Add random rows, orthogonal to all others, up to k rows."""
    missing = k - len(axes)
    if missing == 0:
        return axes
    drawn = torch.randn(missing, axes.shape[1], generator=generator, dtype=axes.dtype).to(axes.device)
    for _ in range(2):
        drawn -= drawn @ axes.T @ axes
    return torch.cat([axes, torch.linalg.qr(drawn.T)[0].T])
