"""Maps of a network's code onto its canonical order, axes and signs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PermutationMap", "RotationMap", "ScaleMap"]


class RotationMap(nn.Module):
    """An invertible affine map of a code onto its canonical axes; the identity until ``canonical`` sets it."""

    matrix: Tensor  # (k, k)
    inverse: Tensor  # (k, k)
    centre: Tensor  # (k,)

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("matrix", torch.eye(n_components))
        self.register_buffer("inverse", torch.eye(n_components))
        self.register_buffer("centre", torch.zeros(n_components))

    def forward(self, h: Tensor) -> Tensor:
        """Map the network's code to the canonical code."""
        return F.linear(h - self.centre, self.matrix)

    def undo(self, h: Tensor) -> Tensor:
        """Map the canonical code to the network's code."""
        return F.linear(h, self.inverse, self.centre)


class PermutationMap(nn.Module):
    """A permutation of the units of a code; the identity until ``canonical`` sets it."""

    order: Tensor  # (k,)
    position: Tensor  # (k,), its inverse

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("order", torch.arange(n_components))
        self.register_buffer("position", torch.arange(n_components))

    def forward(self, h: Tensor) -> Tensor:
        """Map the network's code to the canonical code."""
        return h[..., self.order]

    def undo(self, h: Tensor) -> Tensor:
        """Map the canonical code to the network's code."""
        return h[..., self.position]


class ScaleMap(nn.Module):
    """A factor for each unit of an ordered code, which keeps its order and zero; 1 until ``canonical`` sets it."""

    scale: Tensor  # (k,)

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("scale", torch.ones(n_components))

    def forward(self, h: Tensor) -> Tensor:
        """Map the network's code to the canonical code."""
        return h * self.scale

    def undo(self, h: Tensor) -> Tensor:
        """Map the canonical code to the network's code."""
        return h / self.scale


#: Directions in which the decoder is less sensitive than this, relative to the most sensitive one, count as null.
RELATIVE_RANK = 1e-4


def _axes(covariance: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    """Return the map onto the canonical axes and its inverse, both (k, k).

    Directions to which the decoder is insensitive come last, cleared of what the others predict of them, so that the
    map stays invertible and nothing that a nonlinear decoder may use is lost.
    """
    values, vectors = torch.linalg.eigh(jacobian.T @ jacobian)
    values, vectors = values.flip(0).clamp_min(0).sqrt(), vectors.flip(1)
    rank = int((values > values[0] * RELATIVE_RANK).sum())
    stretch = values[:rank]
    seen, null = vectors[:, :rank] * stretch, vectors[:, rank:]  # (k, r), (k, k - r)

    variances, rotation = torch.linalg.eigh(seen.T @ covariance @ seen)
    rotation, variances = rotation.flip(1), variances.flip(0)
    to_axes = (seen @ rotation).T  # (r, k)
    from_axes = vectors[:, :rank] / stretch @ rotation  # (k, r)
    signs = _signs(jacobian @ from_axes)
    to_axes, from_axes = to_axes * signs[:, None], from_axes * signs

    weights = torch.where(variances > variances[:1] * 1e-12, 1 / variances, 0.0)
    predicted = (null.T @ covariance @ to_axes.T) * weights  # (k - r, r)
    to_null = null.T - predicted @ to_axes
    turn = torch.linalg.eigh(to_null @ covariance @ to_null.T)[1].flip(1)
    matrix = torch.cat([to_axes, turn.T @ to_null])
    inverse = torch.cat([from_axes + null @ predicted, null @ turn], dim=1)
    return matrix, inverse


def _signs(columns: Tensor) -> Tensor:
    """Return the sign of the largest entry of each column, 1 for a column of zeros."""
    largest = columns.gather(0, columns.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(columns)
