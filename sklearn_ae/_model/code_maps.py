"""Maps of a network's code onto its canonical order, axes and signs.

Training leaves the components of a code without an order and, if the code is linear, without determined axes. A map
fixes both, and changes no reconstruction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_ae._utils.onnx_graph import Graph

__all__ = ["CodeMap", "PermutationMap", "RotationMap", "ScaleMap", "WhitenedMap", "signs_of"]

#: Directions in which the decoder is less sensitive than this, relative to the most sensitive one, count as null.
RELATIVE_RANK = 1e-4
#: Components whose standard deviation is below this, relative to the largest one, are noise, and not whitened.
RELATIVE_NOISE = 1e-6


class CodeMap(nn.Module):
    """An invertible map of the network's code onto the canonical code: the identity, if nothing is left to fix.

    Subclasses are the identity until they are fitted. The Jacobian (d, k) is the decoder's at the mean code (k,), in
    the network's coordinates, and the covariance of the code is a matrix (k, k) or its diagonal (k,).
    """

    def fit_(
        self, jacobian: Tensor, mean: Tensor, covariance: Tensor, scale: float, scores: Tensor | None = None
    ) -> None:
        """Set the map, for data whose units are `scale` times smaller than those of the network.

        `scores` are covariances (k, m) of the code with the standardized scores on the initial principal axes. If
        they are given, a component that may have either sign correlates positively with the score that it correlates
        with most; otherwise its sign is that of scikit-learn's ``svd_flip``.
        """

    def forward(self, h: Tensor) -> Tensor:
        """Map the network's code to the canonical code."""
        return h

    def undo(self, h: Tensor) -> Tensor:
        """Map the canonical code to the network's code."""
        return h

    def truncated(self, n_components: int) -> "CodeMap":
        """Return the map of the first components of an ordered code."""
        return self

    def explain(self, jacobian: Tensor, covariance: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return the components (k, d) of the canonical code and the variance (k,) that each explains.

        The variance of a component of the code is multiplied by the squared length of its column of the Jacobian.
        Components are in the data's units, variances in the network's.
        """
        return (jacobian * scale).T, _explained(covariance, jacobian)

    def deviations(self, covariance: Tensor, scale: float) -> Tensor:
        """Return the standard deviation (k,) of each component of the canonical code, in the units of the code."""
        return covariance.clamp_min(0).sqrt()

    def to_onnx(self, graph: Graph, h: str) -> str:
        """Add the map to a graph and return the name of the canonical code."""
        return h

    def undo_to_onnx(self, graph: Graph, h: str) -> str:
        """Add the inverse map to a graph and return the name of the network's code."""
        return h


class RotationMap(CodeMap):
    """An affine map onto the canonical axes of a linear code.

    Codes become uncorrelated, the columns of the decoder's Jacobian orthonormal in the data's units, and both are
    ordered by explained variance.
    """

    matrix: Tensor  # (k, k)
    inverse: Tensor  # (k, k)
    centre: Tensor  # (k,)

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("matrix", torch.eye(n_components))
        self.register_buffer("inverse", torch.eye(n_components))
        self.register_buffer("centre", torch.zeros(n_components))

    def fit_(
        self, jacobian: Tensor, mean: Tensor, covariance: Tensor, scale: float, scores: Tensor | None = None
    ) -> None:
        matrix, inverse = _canonical_axes(covariance, jacobian, scores)
        self.matrix.copy_(matrix * scale)
        self.inverse.copy_(inverse / scale)
        self.centre.copy_(mean)

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h - self.centre, self.matrix)

    def undo(self, h: Tensor) -> Tensor:
        return F.linear(h, self.inverse, self.centre)

    def explain(self, jacobian: Tensor, covariance: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        matrix, columns = self.matrix / scale, jacobian @ (self.inverse * scale)
        return columns.T, _explained((matrix @ covariance @ matrix.T).diagonal(), columns)

    def deviations(self, covariance: Tensor, scale: float) -> Tensor:
        matrix = self.matrix / scale
        return (matrix @ covariance @ matrix.T).diagonal().clamp_min(0).sqrt() * scale

    def to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Gemm", graph.add("Sub", h, self.centre), self.matrix, transB=1)

    def undo_to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Gemm", h, self.inverse, self.centre, transB=1)


class PermutationMap(CodeMap):
    """A permutation of the components of a code, by decreasing explained variance."""

    order: Tensor  # (k,)
    position: Tensor  # (k,), its inverse

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("order", torch.arange(n_components))
        self.register_buffer("position", torch.arange(n_components))

    def fit_(
        self, jacobian: Tensor, mean: Tensor, covariance: Tensor, scale: float, scores: Tensor | None = None
    ) -> None:
        order = torch.argsort(covariance * jacobian.square().sum(0), descending=True, stable=True)
        self.order.copy_(order)
        self.position.copy_(torch.argsort(order))

    def forward(self, h: Tensor) -> Tensor:
        return h[..., self.order]

    def undo(self, h: Tensor) -> Tensor:
        return h[..., self.position]

    def explain(self, jacobian: Tensor, covariance: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return super().explain(jacobian[:, self.order], covariance[self.order], scale)

    def deviations(self, covariance: Tensor, scale: float) -> Tensor:
        return super().deviations(covariance[self.order], scale)

    def to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Gather", h, self.order, axis=1)

    def undo_to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Gather", h, self.position, axis=1)


class ScaleMap(CodeMap):
    """A factor for each component of an ordered linear code, whose order and zero it leaves unchanged.

    The columns of the decoder's Jacobian get length 1 in the data's units.
    """

    scale: Tensor  # (k,)

    def __init__(self, n_components: int):
        super().__init__()
        self.register_buffer("scale", torch.ones(n_components))

    def fit_(
        self, jacobian: Tensor, mean: Tensor, covariance: Tensor, scale: float, scores: Tensor | None = None
    ) -> None:
        lengths = torch.linalg.vector_norm(jacobian, dim=0)
        signs = signs_of(jacobian if scores is None else scores.T)
        self.scale.copy_(torch.where(lengths > 0, lengths, 1.0) * signs * scale)

    def forward(self, h: Tensor) -> Tensor:
        return h * self.scale

    def undo(self, h: Tensor) -> Tensor:
        return h / self.scale

    def truncated(self, n_components: int) -> "ScaleMap":
        first = ScaleMap(n_components).to(self.scale)
        first.scale.copy_(self.scale[:n_components])
        return first

    def explain(self, jacobian: Tensor, covariance: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return (jacobian / self.scale * scale).T, _explained(covariance, jacobian)

    def deviations(self, covariance: Tensor, scale: float) -> Tensor:
        return super().deviations(covariance, scale) * self.scale.abs()

    def to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Mul", h, self.scale)

    def undo_to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Div", h, self.scale)


class WhitenedMap(CodeMap):
    """Another map whose components are then divided by their standard deviations; explained variances stay those of it.

    Components of noise alone are divided by the largest standard deviation.
    """

    deviation: Tensor  # (k,)

    def __init__(self, inner: CodeMap, n_components: int):
        super().__init__()
        self.inner = inner
        self.register_buffer("deviation", torch.ones(n_components))

    def fit_(
        self, jacobian: Tensor, mean: Tensor, covariance: Tensor, scale: float, scores: Tensor | None = None
    ) -> None:
        self.inner.fit_(jacobian, mean, covariance, scale, scores)
        deviations = self.inner.deviations(covariance, scale)
        greatest = deviations.max()
        if greatest > 0:
            self.deviation.copy_(torch.where(deviations > RELATIVE_NOISE * greatest, deviations, greatest))

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) / self.deviation

    def undo(self, h: Tensor) -> Tensor:
        return self.inner.undo(h * self.deviation)

    def truncated(self, n_components: int) -> "WhitenedMap":
        first = WhitenedMap(self.inner.truncated(n_components), n_components).to(self.deviation)
        first.deviation.copy_(self.deviation[:n_components])
        return first

    def explain(self, jacobian: Tensor, covariance: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return self.inner.explain(jacobian, covariance, scale)

    def to_onnx(self, graph: Graph, h: str) -> str:
        return graph.add("Div", self.inner.to_onnx(graph, h), self.deviation)

    def undo_to_onnx(self, graph: Graph, h: str) -> str:
        return self.inner.undo_to_onnx(graph, graph.add("Mul", h, self.deviation))


def _explained(variance: Tensor, columns: Tensor) -> Tensor:
    return variance.clamp_min(0) * columns.square().sum(0)


def _canonical_axes(covariance: Tensor, jacobian: Tensor, scores: Tensor | None) -> tuple[Tensor, Tensor]:
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
    signs = signs_of(jacobian @ from_axes if scores is None else (to_axes @ scores).T)
    to_axes, from_axes = to_axes * signs[:, None], from_axes * signs

    weights = torch.where(variances > variances[:1] * 1e-12, 1 / variances, 0.0)
    predicted = (null.T @ covariance @ to_axes.T) * weights  # (k - r, r)
    to_null = null.T - predicted @ to_axes
    turn = torch.linalg.eigh(to_null @ covariance @ to_null.T)[1].flip(1)
    matrix = torch.cat([to_axes, turn.T @ to_null])
    inverse = torch.cat([from_axes + null @ predicted, null @ turn], dim=1)
    return matrix, inverse


def signs_of(columns: Tensor) -> Tensor:
    """Return the sign of the largest entry of each column, 1 for a column of zeros."""
    largest = columns.gather(0, columns.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(columns)
