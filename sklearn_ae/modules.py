"""The torch networks. They work in centred and scaled coordinates and never draw from torch's global generator."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sklearn_ae.codes import CODES, Code
from sklearn_ae.losses import Step

__all__ = [
    "ACTIVATIONS",
    "Architecture",
    "Autoencoder",
    "Clip",
    "CodeMap",
    "CodeOrder",
    "Linear",
    "TiedAutoencoder",
    "build",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Linear(nn.Linear):
    """A linear layer that starts at zero instead of drawing from torch's global generator."""

    def reset_parameters(self) -> None:
        """Set weight and bias to zero; :mod:`sklearn_ae.initializers` gives them their start."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Clip(nn.Module):
    """Limit outputs to a range; outside it training keeps a slope, so that gradients return them."""

    slope = 0.02
    low: Tensor  # (d,)
    high: Tensor  # (d,)

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("low", torch.full((n_features,), -torch.inf))
        self.register_buffer("high", torch.full((n_features,), torch.inf))

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Set the least and the greatest output of each feature, both (n_features,)."""
        self.low.copy_(low)
        self.high.copy_(high)

    def forward(self, x: Tensor) -> Tensor:
        """Return x within the range, softly while training."""
        clipped = torch.clamp(x, self.low, self.high)
        return torch.lerp(clipped, x, self.slope) if self.training else clipped


class CodeMap(nn.Module):
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


class CodeOrder(nn.Module):
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


def perceptron(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Return linear layers with an activation between each two; the last has no bias: the affine path has it."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        layers.append(Linear(n_in, n_out, bias=not last))
        if not last:
            layers.append(activation())
    return nn.Sequential(*layers)


def dropped(h: Tensor, rate: float, generator: Generator) -> Tensor:
    """Return h with entries zeroed at the given rate, the rest scaled up so that the mean stays."""
    keep = torch.empty_like(h).bernoulli_(1 - rate, generator=generator)
    return h * keep.div_(1 - rate)


class Autoencoder(nn.Module):
    """Affine plus nonlinear in both halves, so that PCA is one setting of the weights.

        encode(x) = code(A x + a + f(x))          decode(h) = output(W h + b + g(h))

    f and g are multilayer perceptrons with the hidden widths in order and reversed; without hidden widths they are
    absent. ``forward`` and ``step`` use the network's own code; ``encode`` and ``decode`` the canonical one.

    Parameters
    ----------
    n_features, n_components : int
        Widths of data and code, d and k in the comments.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of f.
    activation : type of torch.nn.Module
        Class of the nonlinearity between hidden layers.
    code : callable
        Maps the pre-activation to the code.
    output : torch.nn.Module
        The output activation.
    code_map : CodeMap or CodeOrder
        Maps the network's code to the canonical one.
    dropout : float
        Share of the units of the code dropped in a training step.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int],
        activation: type[nn.Module],
        code: Callable[[Tensor], Tensor],
        output: nn.Module,
        code_map: CodeMap | CodeOrder,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder_affine = Linear(n_features, n_components)  # A (k, d), a (k,)
        self._add_decoder_affine(n_components, n_features)
        if hidden_layer_sizes:
            sizes = [n_features, *hidden_layer_sizes, n_components]
            self.encoder_hidden = perceptron(sizes, activation)  # f
            self.decoder_hidden = perceptron(sizes[::-1], activation)  # g
        self.has_hidden = bool(hidden_layer_sizes)
        self.code = code
        self.output = output
        self.code_map = code_map
        self.dropout = dropout

    def _add_decoder_affine(self, n_components: int, n_features: int) -> None:
        self.decoder_affine = Linear(n_components, n_features)  # W (d, k), b (d,)

    @property
    def decoder_weight(self) -> Tensor:
        """W, of shape (n_features, n_components)."""
        return self.decoder_affine.weight

    @property
    def decoder_bias(self) -> nn.Parameter:
        """b, of shape (n_features,)."""
        return self.decoder_affine.bias

    def network_code(self, x: Tensor) -> Tensor:
        """Return the code in the order and axes that training uses."""
        a = self.encoder_affine(x)
        return self.code(a + self.encoder_hidden(x) if self.has_hidden else a)

    def linear_output(self, h: Tensor) -> Tensor:
        """Return the decoder's output before the output activation, for the network's code."""
        u = F.linear(h, self.decoder_weight, self.decoder_bias)
        return u + self.decoder_hidden(h) if self.has_hidden else u

    def step(self, x: Tensor, generator: Generator | None = None) -> Step:
        """Return everything a loss may ask for; noise is drawn only where a generator is given."""
        h = self.network_code(x)
        if self.dropout and generator is not None:
            h = dropped(h, self.dropout, generator)
        u = self.linear_output(h)
        return Step(target=x, code=h, linear_output=u, output=self.output(u))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of x, of the same shape."""
        return self.step(x).output

    def encode(self, x: Tensor) -> Tensor:
        """Return the canonical code of x (n, n_features), of shape (n, n_components)."""
        return self.code_map(self.network_code(x))

    def decode(self, h: Tensor) -> Tensor:
        """Return the output for a canonical code h (n, n_components), of shape (n, n_features)."""
        return self.output(self.linear_output(self.code_map.undo(h)))


class TiedAutoencoder(Autoencoder):
    """An autoencoder without hidden layers whose decoder is the encoder's transpose: W = A'."""

    def _add_decoder_affine(self, n_components: int, n_features: int) -> None:
        self.bias = nn.Parameter(torch.zeros(n_features))  # b (d,)

    @property
    def decoder_weight(self) -> Tensor:
        """A transposed, of shape (n_features, n_components)."""
        return self.encoder_affine.weight.T

    @property
    def decoder_bias(self) -> nn.Parameter:
        """b, of shape (n_features,)."""
        return self.bias


class Architecture(NamedTuple):
    """All that determines a network but its weights."""

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str | type[nn.Module]
    code: str | Code
    output_activation: str  # "identity", "clip" or "sigmoid"
    dropout: float
    tied_weights: bool
    rotation_free: bool


def build(architecture: Architecture) -> Autoencoder:
    """Return a network of the given architecture in float32, all weights zero."""
    a = architecture
    outputs: dict[str, Callable[[], nn.Module]] = {
        "identity": nn.Identity,
        "clip": lambda: Clip(a.n_features),
        "sigmoid": nn.Sigmoid,
    }
    module = (TiedAutoencoder if a.tied_weights else Autoencoder)(
        a.n_features,
        a.n_components,
        a.hidden_layer_sizes,
        ACTIVATIONS[a.activation] if isinstance(a.activation, str) else a.activation,
        code=CODES[a.code]() if isinstance(a.code, str) else a.code,
        output=outputs[a.output_activation](),
        code_map=CodeMap(a.n_components) if a.rotation_free else CodeOrder(a.n_components),
        dropout=a.dropout,
    )
    return module.float()
