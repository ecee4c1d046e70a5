"""Output activations: maps from the decoder's output to the reconstruction, the data they suit, and their inverses."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._utils.autograd import leaky_clip
from sklearn_ae._utils.onnx_graph import Graph

__all__ = ["OUTPUTS", "ByColumns", "Clip", "Identity", "Output", "ScaledSoftmax", "Sigmoid", "Softmax", "Softplus"]


class Output(nn.Module):
    """Base class of the output activations: modules from the decoder's output u to the reconstruction.

    The estimator builds one by the name in `output_activation`; a loss declares the names that it allows, as
    ``docs/extending.md`` shows, or builds one in its method ``output``. The class declares the range of the data,
    whether the network works on unscaled data, and how to initialize the decoder near the mean of the data.

    Parameters
    ----------
    n_features : int
        Number of columns.
    """

    #: The closed interval that data must lie in.
    data_range: tuple[float | Tensor, float | Tensor] = (-torch.inf, torch.inf)
    #: Whether the network works on unscaled data, or which columns are unscaled; others are centred and scaled.
    unscaled: bool | Tensor = False
    #: Whether outputs are limited to the range of the training data.
    bounded = False
    #: Whether ``encoder_input`` changes the samples.
    maps_input = False

    def __init__(self, n_features: int):
        super().__init__()
        self.n_features = n_features

    def inverse(self, mean: Tensor) -> Tensor:
        """Return the input (n_features,) that the activation maps to, or near, a mean of data."""
        return mean

    def slope(self, mean: Tensor) -> Tensor:
        """Return the slope (n_features,) that an initialization near a mean of data is divided by."""
        return torch.ones_like(mean)

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Set the minimum and the maximum of each feature, both (n_features,)."""

    def set_mean(self, mean: Tensor) -> None:
        """Set the mean of each feature, (n_features,), in the training data."""

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return what the encoder receives of samples x (n, n_features)."""
        return x

    def reconstruct(self, u: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the reconstruction of samples x, of which some entries or all are observed, from their outputs u.

        It is ``forward``, unless the activation uses something of x that is not in the code, such as its total.
        """
        reconstruction: Tensor = self(u)
        return reconstruction

    def to_onnx(self, graph: Graph, u: str) -> str:
        """Add ``forward`` of the value named `u` to an ONNX graph, and return the name of the result."""
        raise NotImplementedError

    def input_to_onnx(self, graph: Graph, x: str) -> str:
        """Add ``encoder_input`` of the value named `x` to an ONNX graph, and return the name of the result."""
        return x


class Identity(Output):
    """The unchanged output of the decoder: ``output_activation="identity"``.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import Identity
    >>> Identity(2)(torch.tensor([-1.0, 2.0]))
    tensor([-1.,  2.])
    """

    def forward(self, u: Tensor) -> Tensor:
        """Return `u`."""
        return u

    def to_onnx(self, graph: Graph, u: str) -> str:
        return u


class Clip(Output):
    """Limit outputs to each column's range in the training data: ``output_activation="clip"``.

    In training the slope outside the range is ``leak`` instead of 0, so that gradients pull outputs back.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import Clip
    >>> clip = Clip(2).eval()
    >>> clip.set_range(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0]))
    >>> clip(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    bounded = True
    leak = 0.02
    low: Tensor  # (d,)
    high: Tensor  # (d,)

    def __init__(self, n_features: int):
        super().__init__(n_features)
        self.register_buffer("low", torch.full((n_features,), -torch.inf))
        self.register_buffer("high", torch.full((n_features,), torch.inf))

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Limit outputs to a range."""
        self.low.copy_(low)
        self.high.copy_(high)

    def forward(self, u: Tensor) -> Tensor:
        """Return `u` limited to the range; in training a fraction ``leak`` of the excess remains."""
        if self.training:
            return leaky_clip(u, self.low, self.high, self.leak)
        return torch.clamp(u, self.low, self.high)

    def to_onnx(self, graph: Graph, u: str) -> str:
        return graph.add("Min", graph.add("Max", u, self.low), self.high)


class Probabilities(Output):
    """Base class of the outputs in (0, 1), for unscaled data in [0, 1]."""

    data_range = (0.0, 1.0)
    unscaled = True

    def slope(self, mean: Tensor) -> Tensor:
        return torch.full_like(mean, 0.25)


class Sigmoid(Probabilities):
    """Outputs in (0, 1), 1 / (1 + exp(-u)), for data in [0, 1]: ``output_activation="sigmoid"``.

    The network works on the unscaled data, neither centred nor divided.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import Sigmoid
    >>> Sigmoid(2)(torch.tensor([0.0, 100.0]))
    tensor([0.5000, 1.0000])
    """

    def inverse(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=0.01)

    def forward(self, u: Tensor) -> Tensor:
        """Return the sigmoid of `u`."""
        return torch.sigmoid(u)

    def to_onnx(self, graph: Graph, u: str) -> str:
        return graph.add("Sigmoid", u)


class Softplus(Output):
    """Outputs in (0, inf), log(1 + exp(u)), for nonnegative data: ``output_activation="softplus"``.

    It grows exponentially for u below 0 and linearly above. The network works on the unscaled data, neither centred nor
    divided.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import Softplus
    >>> Softplus(2)(torch.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.0000])
    """

    data_range = (0.0, torch.inf)
    unscaled = True

    def inverse(self, mean: Tensor) -> Tensor:
        m = mean.clamp_min(0.01)
        return m + torch.log(-torch.expm1(-m))

    def slope(self, mean: Tensor) -> Tensor:
        return -torch.expm1(-mean.clamp_min(0.25))

    def forward(self, u: Tensor) -> Tensor:
        """Return log(1 + exp(u))."""
        return nn.functional.softplus(u)

    def to_onnx(self, graph: Graph, u: str) -> str:
        return graph.add_in_float32("Softplus", u)


class Softmax(Probabilities):
    """Outputs in (0, 1) that sum to 1 for each sample, exp(u_j) / sum_i exp(u_i): ``output_activation="softmax"``.

    They are the probabilities of one group of columns. The network works on the unscaled data, neither centred nor
    divided.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import Softmax
    >>> Softmax(2)(torch.tensor([3.0, 3.0]))
    tensor([0.5000, 0.5000])
    """

    def inverse(self, mean: Tensor) -> Tensor:
        return torch.log(mean.clamp_min(0.01))

    def forward(self, u: Tensor) -> Tensor:
        """Return the softmax of `u` over its last axis."""
        return torch.softmax(u, dim=-1)

    def to_onnx(self, graph: Graph, u: str) -> str:
        return graph.add("Softmax", u, axis=1)


class ScaledSoftmax(Output):
    """Fractions of the total of each sample, total * softmax(u), for counts: ``output_activation="scaled_softmax"``.

    The encoder receives log(1 + c x / total), with c the mean total in the training data, the normalization that is
    usual for single cells. The network works on the unscaled data otherwise. A sample is reconstructed with its own
    total. That of a sample with missing entries is estimated by the sum of its observed entries, divided by the sum of
    their fractions.

    Parameters
    ----------
    n_features : int
        Number of columns.
    total : float or None, default=None
        Total of the outputs for a code whose sample is unknown; None for the mean total of the training data.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import ScaledSoftmax
    >>> output = ScaledSoftmax(2, total=10.0)
    >>> output(torch.tensor([3.0, 3.0]))
    tensor([5., 5.])
    >>> output.reconstruct(torch.tensor([[3.0, 3.0]]), torch.tensor([[1.0, 7.0]]))
    tensor([[4., 4.]])
    """

    data_range = (0.0, torch.inf)
    unscaled = True
    maps_input = True
    #: Natural logarithm of a fraction per unit of u. A step of Adam changes weights by about the learning rate,
    #: whatever the units: of 1, 1/4 and 1/10, one quarter was the best compromise for cells, documents, digits and
    #: drawn counts.
    unit = 0.25
    mean_total: Tensor  # ()

    def __init__(self, n_features: int, total: float | None = None):
        super().__init__(n_features)
        self.total = total
        self.register_buffer("mean_total", torch.tensor(1.0))

    def set_mean(self, mean: Tensor) -> None:
        """Set the mean total."""
        self.mean_total.copy_(mean.sum())

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the logarithm of 1 plus the sample at the mean total."""
        x = x.clamp_min(0)  # rounding may give less
        total = x.sum(-1, keepdim=True)
        return torch.log1p(x / torch.where(total > 0, total, 1.0) * self.mean_total)

    def inverse(self, mean: Tensor) -> Tensor:
        return torch.log(torch.expm1(mean).clamp_min(1e-3)) / self.unit

    def slope(self, mean: Tensor) -> Tensor:
        return torch.full_like(mean, self.unit)

    @classmethod
    def log_fractions(cls, u: Tensor) -> Tensor:
        """Return the natural logarithm of the fractions."""
        return torch.log_softmax(cls.unit * u, dim=-1)

    def forward(self, u: Tensor) -> Tensor:
        """Return the fractions times the given or the mean total."""
        return self.log_fractions(u).exp() * (self.mean_total if self.total is None else self.total)

    def reconstruct(self, u: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the fractions times the totals of the samples; the mean total if no entry is observed."""
        fractions, x = self.log_fractions(u).exp(), x.clamp_min(0)
        if observed is None:
            return fractions * x.sum(-1, keepdim=True)
        total, part = (torch.where(observed, each, 0.0).sum(-1, keepdim=True) for each in (x, fractions))
        return fractions * torch.where(part > 0, total / torch.where(part > 0, part, 1.0), self.mean_total)

    def to_onnx(self, graph: Graph, u: str) -> str:
        fractions = graph.add("Softmax", graph.add("Mul", u, self.unit), axis=1)
        return graph.add("Mul", fractions, self.mean_total if self.total is None else self.total)

    def input_to_onnx(self, graph: Graph, x: str) -> str:
        x = graph.add("Max", x, 0.0)
        total = graph.add("MatMul", x, torch.ones(self.n_features, 1))
        fractions = graph.add("Div", x, graph.add("Max", total, float(np.finfo(graph.dtype).tiny)))
        return graph.add("Log", graph.add("Add", graph.add("Mul", fractions, self.mean_total), 1.0))


class ByColumns(Output):
    """Different output activations for disjoint sets of columns, which together are all columns.

    The output of :class:`~sklearn_ae.losses.Mixed`. Each activation determines whether its columns are scaled.

    Parameters
    ----------
    outputs : sequence of Output
        One for each set of columns.
    columns : sequence of sequence of int
        Column indices of each set.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.outputs import ByColumns, Identity, Sigmoid
    >>> ByColumns([Identity(1), Sigmoid(2)], [[1], [0, 2]])(torch.tensor([0.0, 7.0, 100.0]))
    tensor([0.5000, 7.0000, 1.0000])
    """

    def __init__(self, outputs: Sequence[Output], columns: Sequence[Sequence[int]]):
        super().__init__(sum(len(part) for part in columns))
        self.outputs = nn.ModuleList(outputs)
        self.columns = [torch.tensor(part) for part in columns]
        self.position = torch.argsort(torch.cat(self.columns))
        self.unscaled = self._gather([torch.full((len(c),), bool(o.unscaled)) for o, c in self._parts()])
        self.data_range = tuple(
            self._gather([torch.full((len(c),), float(o.data_range[end])) for o, c in self._parts()]) for end in (0, 1)
        )  # type: ignore[assignment]
        self.maps_input = any(output.maps_input for output in outputs)

    def _parts(self) -> list[tuple[Output, Tensor]]:
        return list(zip(self.outputs, self.columns, strict=True))  # type: ignore[arg-type]

    def _gather(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts, dim=-1)[..., self.position]

    def set_mean(self, mean: Tensor) -> None:
        """Set the mean of each feature."""
        for output, part in self._parts():
            output.set_mean(mean[part])

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Set the least and the greatest value of each feature."""
        for output, part in self._parts():
            output.set_range(low[part], high[part])

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return what the encoder receives of samples x."""
        if not self.maps_input:
            return x
        return self._gather([output.encoder_input(x[..., part]) for output, part in self._parts()])

    def reconstruct(self, u: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the reconstruction of samples x."""
        return self._gather(
            [
                output.reconstruct(u[..., part], x[..., part], None if observed is None else observed[..., part])
                for output, part in self._parts()
            ]
        )

    def inverse(self, mean: Tensor) -> Tensor:
        return self._gather([output.inverse(mean[part]) for output, part in self._parts()])

    def slope(self, mean: Tensor) -> Tensor:
        return self._gather([output.slope(mean[part]) for output, part in self._parts()])

    def forward(self, u: Tensor) -> Tensor:
        """Return the activations of `u`, each of its own columns."""
        return self._gather([output(u[..., part]) for output, part in self._parts()])

    def to_onnx(self, graph: Graph, u: str) -> str:
        return self._gather_in_graph(graph, "forward", "to_onnx", u)

    def input_to_onnx(self, graph: Graph, x: str) -> str:
        return self._gather_in_graph(graph, "encoder_input", "input_to_onnx", x) if self.maps_input else x

    def _gather_in_graph(self, graph: Graph, method: str, translator: str, x: str) -> str:
        parts = [
            graph.add_part(output, method, graph.add("Gather", x, part, axis=1), translator=translator)
            for output, part in self._parts()
        ]
        return graph.add("Gather", graph.add("Concat", *parts, axis=1), self.position, axis=1)


OUTPUTS: dict[str, type[Output]] = {
    "clip": Clip,
    "identity": Identity,
    "scaled_softmax": ScaledSoftmax,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
    "softplus": Softplus,
}
