"""The networks: an encoder to the pre-activation of a code, and a decoder from the code.

They work in the coordinates that the estimator gives them, know nothing of code or output activation, and never draw
from torch's global generator: :mod:`sklearn_ae.initializers` gives them their weights. Each is affine plus nonlinear in
both halves, so that PCA is one setting of its weights::

    encode(x) = A x + a + f(x)          decode(h) = W h + b + g(h)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "AffineNetwork", "ConvAutoencoder", "DenseAutoencoder", "Linear", "TiedAutoencoder"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Linear(nn.Linear):
    """A linear layer that starts at zero instead of drawing from torch's global generator.

    For subclasses of :class:`AffineNetwork`, to which the estimator's `init` gives weights of its own.

    Parameters
    ----------
    in_features, out_features : int
        Widths of input and output.
    bias : bool, default=True
        Whether to add a bias.
    device : torch.device or str or None, default=None
        Where the weights are; None for torch's default.
    dtype : torch.dtype or None, default=None
        Their precision; None for torch's default.

    Examples
    --------
    >>> from sklearn_ae.networks import Linear
    >>> Linear(3, 2).weight.detach()
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        start_at_zero_(self)


class Conv2d(nn.Conv2d):
    """A convolution that starts at zero instead of drawing from torch's global generator."""

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        start_at_zero_(self)


def start_at_zero_(layer: nn.Linear | nn.Conv2d) -> None:
    """Set weight and bias of a layer to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class AffineNetwork(nn.Module):
    """The affine path of both halves, to which a subclass adds f and g; the base of all networks here.

    encode(x) = A x + a + f(x) and decode(h) = W h + b + g(h). Derive a network of your own from it where it is to start
    as PCA, take any `init`, and suit the penalties that look at the decoder's columns; any other module with ``encode``
    and ``decode`` starts with the weights that it comes with. ``docs/extending.md`` shows both.

    Parameters
    ----------
    n_features : int
        Width of the data, d in the comments.
    n_components : int
        Width of the code, k.
    n_preactivations : int
        Width of what the encoder gives, m; k for most codes.
    f, g : torch.nn.Sequential or None, default=None
        The nonlinear parts, from d to m and from k to d; None for none. The last linear layer or convolution of each
        is among its own items and has no bias: it starts at zero, but for ``init="random"``.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_preactivations: int,
        f: nn.Sequential | None = None,
        g: nn.Sequential | None = None,
    ):
        super().__init__()
        self.n_components = n_components
        self.encoder_affine = Linear(n_features, n_preactivations)  # A (m, d), a (m,)
        self._add_decoder_affine(n_components, n_features)
        self.encoder_hidden = f
        self.decoder_hidden = g

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

    @property
    def decoder_parameter(self) -> Tensor | None:
        """W where it is a parameter of its own, None where it is part of the encoder."""
        return self.decoder_affine.weight

    def encode(self, x: Tensor) -> Tensor:
        """Return the pre-activation (n, m) of x (n, d)."""
        a = self.encoder_affine(x)
        return a if self.encoder_hidden is None else a + self.encoder_hidden(x)

    def decode(self, h: Tensor) -> Tensor:
        """Return the output (n, d), before its activation, of a code h (n, k)."""
        u = F.linear(h, self.decoder_weight, self.decoder_bias)
        return u if self.decoder_hidden is None else u + self.decoder_hidden(h)


@contextmanager
def skip_zero_branches(network: nn.Module) -> Iterator[None]:
    """Leave out f and g where they are the zero function, as they start: results are the same, without their products.

    Networks that encode or decode in a way of their own stay as they are.
    """
    names = ("encoder_hidden", "decoder_hidden") if _halves_are_sums(network) else ()
    parts = {name: part for name in names if _ends_in_zero(part := getattr(network, name))}
    for name in parts:
        setattr(network, name, None)
    try:
        yield
    finally:
        for name, part in parts.items():
            setattr(network, name, part)


def _halves_are_sums(network: nn.Module) -> bool:
    return isinstance(network, AffineNetwork) and all(
        getattr(type(network), name) is getattr(AffineNetwork, name) for name in ("encode", "decode")
    )


def _ends_in_zero(part: nn.Module | None) -> bool:
    last = part[-1] if isinstance(part, nn.Sequential) and len(part) else None
    return isinstance(last, nn.Linear) and not any(parameter.any() for parameter in last.parameters())


class DenseAutoencoder(AffineNetwork):
    """Multilayer perceptrons beside the affine path, or none: the network of ``hidden_layer_sizes``.

    The estimator builds it where it is given neither a `module` nor tied weights.

    Parameters
    ----------
    n_features, n_components, n_preactivations : int
        As in :class:`AffineNetwork`.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of f; g has them reversed. Empty for none.
    activation : type of torch.nn.Module
        Class of the nonlinearity after each hidden layer, called without arguments.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(4, hidden_layer_sizes=(16,), max_epochs=2, random_state=0).fit(X)
    >>> model.module_.network.encoder_hidden
    Sequential(
      (0): Linear(in_features=64, out_features=16, bias=True)
      (1): SiLU()
      (2): Linear(in_features=16, out_features=4, bias=False)
    )
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_preactivations: int,
        hidden_layer_sizes: Sequence[int],
        activation: type[nn.Module],
    ):
        f = g = None
        if hidden_layer_sizes:
            f = perceptron([n_features, *hidden_layer_sizes, n_preactivations], activation)
            g = perceptron([n_components, *reversed(hidden_layer_sizes), n_features], activation)
        super().__init__(n_features, n_components, n_preactivations, f, g)


def perceptron(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Return linear layers with an activation between each two; the last has no bias: the affine path has it."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        layers.append(Linear(n_in, n_out, bias=not last))
        if not last:
            layers.append(activation())
    return nn.Sequential(*layers)


class TiedAutoencoder(AffineNetwork):
    """The affine path alone, its decoder the encoder's transpose: W = A'.

    The estimator builds it for ``tied_weights=True``. Where the encoder gives more numbers than the code has units, W
    is the transpose of the first rows of A.

    Parameters
    ----------
    n_features, n_components, n_preactivations : int
        As in :class:`AffineNetwork`.
    f, g : None, default=None
        Not for use: there are no nonlinear parts.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(4, hidden_layer_sizes=(), tied_weights=True, max_epochs=2, random_state=0).fit(X)
    >>> network = model.module_.network
    >>> bool((network.decoder_weight == network.encoder_affine.weight.T).all())
    True
    """

    def _add_decoder_affine(self, n_components: int, n_features: int) -> None:
        self.bias = nn.Parameter(torch.zeros(n_features))  # b (d,)

    @property
    def decoder_weight(self) -> Tensor:
        """A transposed, of shape (n_features, n_components)."""
        return self.encoder_affine.weight[: self.n_components].T

    @property
    def decoder_bias(self) -> nn.Parameter:
        """b, of shape (n_features,)."""
        return self.bias

    @property
    def decoder_parameter(self) -> None:
        """None: W is part of the encoder."""
        return None


class ConvAutoencoder(AffineNetwork):
    """A convolutional autoencoder for images beside the affine path, so that it too starts as PCA.

    f has a convolution of stride 2 for each of `channels`, then a linear layer; g mirrors it, with nearest-neighbour
    upsampling in place of strides [1]_. The estimator passes the sizes, so bind the rest with
    :func:`functools.partial`.

    Parameters
    ----------
    n_features : int
        Number of pixels.
    n_components : int
        Number of units of the code.
    n_preactivations : int or None, default=None
        Width of what the encoder gives; None for `n_components`.
    image_shape : tuple of (height, width) or None, default=None
        Shape of an image, with height times width equal to `n_features`; None for a square.
    channels : sequence of int, default=(16, 32)
        Channels of each convolution, at least one.

    References
    ----------
    .. [1] Odena, A., Dumoulin, V. and Olah, C. (2016). Deconvolution and checkerboard artifacts. Distill.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.networks import ConvAutoencoder
    >>> X = load_digits().data
    >>> network = partial(ConvAutoencoder, image_shape=(8, 8), channels=(8,))
    >>> model = AutoencoderTransformer(4, module=network, max_epochs=2, random_state=0).fit(X)
    >>> model.transform(X).shape
    (1797, 4)
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_preactivations: int | None = None,
        *,
        image_shape: tuple[int, int] | None = None,
        channels: Sequence[int] = (16, 32),
    ):
        height, width = image_shape or (isqrt(n_features), isqrt(n_features))
        if height * width != n_features:
            raise ValueError(
                f"ConvAutoencoder was given {n_features} features, which are no {height} x {width} image: pass "
                "image_shape=(height, width) with as many pixels."
            )
        m = n_components if n_preactivations is None else n_preactivations
        sizes = [(height, width)]
        for _ in channels:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        flat = channels[-1] * sizes[-1][0] * sizes[-1][1]
        f: list[nn.Module] = [nn.Unflatten(1, (1, height, width))]
        for n_in, n_out in pairwise([1, *channels]):
            f += [Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.SiLU()]
        f += [nn.Flatten(), Linear(flat, m, bias=False)]
        g: list[nn.Module] = [Linear(n_components, flat), nn.SiLU(), nn.Unflatten(1, (channels[-1], *sizes[-1]))]
        for i, (n_in, n_out) in enumerate(pairwise([*reversed(channels), 1])):
            last = i == len(channels) - 1
            g += [nn.Upsample(size=sizes[-2 - i]), Conv2d(n_in, n_out, 3, padding=1, bias=not last)]
            g += [] if last else [nn.SiLU()]
        super().__init__(n_features, n_components, m, nn.Sequential(*f), nn.Sequential(*g, nn.Flatten()))
