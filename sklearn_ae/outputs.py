"""Output activations: maps from the decoder's output to the reconstruction, the data they suit, and their inverses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_ae._utils.autograd import leaky_clip
from sklearn_ae._utils.onnx_graph import Graph

__all__ = ["OUTPUTS", "ByColumns", "Clip", "Identity", "Output", "Sigmoid", "Softmax", "Softplus"]


class Output(nn.Module):
    """Base class of the output activations: modules from the decoder's output u to the reconstruction.

    The estimator builds one by the name in `output_activation`; a loss declares the names that it admits, as
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

    def to_onnx(self, graph: Graph, u: str) -> str:
        """Add ``forward`` of the value named `u` to an ONNX graph, and return the name of the result."""
        raise NotImplementedError


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
    """Outputs in (0, 1) that sum to 1 in each row, exp(u_j) / sum_i exp(u_i): ``output_activation="softmax"``.

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

    def _parts(self) -> list[tuple[Output, Tensor]]:
        return list(zip(self.outputs, self.columns, strict=True))  # type: ignore[arg-type]

    def _gather(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts, dim=-1)[..., self.position]

    def inverse(self, mean: Tensor) -> Tensor:
        return self._gather([output.inverse(mean[part]) for output, part in self._parts()])

    def slope(self, mean: Tensor) -> Tensor:
        return self._gather([output.slope(mean[part]) for output, part in self._parts()])

    def forward(self, u: Tensor) -> Tensor:
        """Return the activations of `u`, each of its own columns."""
        return self._gather([output(u[..., part]) for output, part in self._parts()])

    def to_onnx(self, graph: Graph, u: str) -> str:
        parts = [
            graph.add_part(output, "forward", graph.add("Gather", u, part, axis=1)) for output, part in self._parts()
        ]
        return graph.add("Gather", graph.add("Concat", *parts, axis=1), self.position, axis=1)


OUTPUTS: dict[str, type[Output]] = {
    "clip": Clip,
    "identity": Identity,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
    "softplus": Softplus,
}
