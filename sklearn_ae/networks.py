"""Networks: encoders from data to the pre-activation of a code, and decoders from the code.

They work in the coordinates that the estimator passes, do not depend on code and output activation, and never draw from
torch's global generator: the estimator's `init` sets their weights. Each half is the sum of an affine and a nonlinear
part, so that PCA is one setting of the weights::

    encode(x) = A x + a + f(x)          decode(h) = W h + b + g(h)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import isqrt, prod
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "AffineNetwork", "ConvAutoencoder", "DenseAutoencoder", "Linear", "TiedAutoencoder"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Linear(nn.Linear):
    """A linear layer initialized to zero instead of drawing from torch's global generator.

    For subclasses of :class:`AffineNetwork`, whose weights are then set by the estimator's `init`.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of inputs and outputs.
    bias : bool, default=True
        Whether to add a bias.
    device : torch.device or str or None, default=None
        Device of the weights; None for torch's default.
    dtype : torch.dtype or None, default=None
        Precision of the weights; None for torch's default.

    Examples
    --------
    >>> from sklearn_ae.networks import Linear
    >>> Linear(3, 2).weight.detach()
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        set_to_zero_(self)


class Conv2d(nn.Conv2d):
    """A convolution initialized to zero instead of drawing from torch's global generator."""

    def reset_parameters(self) -> None:
        """Set weight and bias to zero."""
        set_to_zero_(self)


class Permute(nn.Module):
    """Put the axes of a tensor into another order."""

    def __init__(self, *axes: int):
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        """Return the tensor with its axes in the order of `axes`."""
        return x.permute(self.axes)


def set_to_zero_(layer: nn.Linear | nn.Conv2d) -> None:
    """Set weight and bias of a layer to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class AffineNetwork(nn.Module):
    """Base class of all networks here: the affine path of both halves, to which a subclass adds f and g.

    encode(x) = A x + a + f(x) and decode(h) = W h + b + g(h). Derive a custom network from it to initialize it as PCA,
    or by any other `init`, and to use the penalties on the decoder's columns; any other module with ``encode`` and
    ``decode`` keeps its own initial weights. ``docs/extending.md`` shows both.

    Parameters
    ----------
    n_features : int
        Number of features, d in the comments.
    n_components : int
        Number of components of the code, k.
    n_preactivations : int
        Number of outputs of the encoder, m; k for most codes.
    f, g : torch.nn.Sequential or None, default=None
        The nonlinear parts, from d to m and from k to d; None for none. The last linear layer or convolution of each
        must be one of its direct children and have no bias: it is initialized to zero, except for ``init="random"``.
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
        """W if it is a separate parameter, None if it is part of the encoder."""
        return self.decoder_affine.weight

    def encode(self, x: Tensor) -> Tensor:
        """Return the pre-activation (n, m) of `x` (n, d)."""
        a = self.encoder_affine(x)
        return a if self.encoder_hidden is None else a + self.encoder_hidden(x)

    def decode(self, h: Tensor) -> Tensor:
        """Return the output (n, d), before its activation, for a code `h` (n, k)."""
        u = F.linear(h, self.decoder_weight, self.decoder_bias)
        return u if self.decoder_hidden is None else u + self.decoder_hidden(h)


@contextmanager
def skip_zero_branches(network: nn.Module) -> Iterator[None]:
    """Skip f and g while they are the zero function, as after initialization: same results without their products.

    Networks that override ``encode`` or ``decode`` are not changed.
    """
    names = ("encoder_hidden", "decoder_hidden") if halves_are_sums(network) else ()
    parts = {name: part for name in names if _ends_in_zero(part := getattr(network, name))}
    for name in parts:
        setattr(network, name, None)
    try:
        yield
    finally:
        for name, part in parts.items():
            setattr(network, name, part)


def halves_are_sums(network: nn.Module) -> TypeGuard[AffineNetwork]:
    """Return whether the halves of a network are the sums that :class:`AffineNetwork` defines, and nothing else."""
    return isinstance(network, AffineNetwork) and all(
        getattr(type(network), name) is getattr(AffineNetwork, name) for name in ("encode", "decode")
    )


def _ends_in_zero(part: nn.Module | None) -> bool:
    last = part[-1] if isinstance(part, nn.Sequential) and len(part) else None
    return isinstance(last, nn.Linear) and not any(parameter.any() for parameter in last.parameters())


class DenseAutoencoder(AffineNetwork):
    """Multilayer perceptrons, if any, parallel to the affine path: the network of ``hidden_layer_sizes``.

    The estimator builds it by default, without a `module`.

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
    """Return linear layers with activations in between; the last has no bias, as the affine path has one."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        layers.append(Linear(n_in, n_out, bias=not last))
        if not last:
            layers.append(activation())
    return nn.Sequential(*layers)


class TiedAutoencoder(AffineNetwork):
    """The affine path alone, with the transpose of the encoder as decoder: W = A'.

    For ``module=TiedAutoencoder``. There are no hidden layers: `hidden_layer_sizes` is ignored. If the encoder has more
    outputs than the code has components, W is the transpose of the first rows of A.

    Parameters
    ----------
    n_features, n_components, n_preactivations : int
        As in :class:`AffineNetwork`.
    f, g : None, default=None
        Not used: there are no nonlinear parts.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.networks import TiedAutoencoder
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(4, module=TiedAutoencoder, max_epochs=2, random_state=0).fit(X)
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
        """None, as W is part of the encoder."""
        return None


class ConvAutoencoder(AffineNetwork):
    """A convolutional autoencoder for images, parallel to the affine path, so that it can be initialized as PCA.

    f has a convolution of stride 2 for each of `channels`, then a linear layer; g mirrors it, with nearest-neighbour
    upsampling instead of strides [1]_. The estimator passes the sizes, so bind the other parameters with
    :func:`functools.partial`.

    Parameters
    ----------
    n_features : int
        Number of pixels, times the number of colour channels if there are several.
    n_components : int
        Number of components of the code.
    n_preactivations : int or None, default=None
        Number of outputs of the encoder; None for `n_components`.
    image_shape : tuple of (height, width) or (height, width, channels) or None, default=None
        Shape of an image in row-major order, the channels of a pixel next to each other, as in image files and
        ``image.reshape(-1)``; its product is `n_features`. None for a square with one channel.
    channels : sequence of int, default=(16, 32)
        Output channels of each convolution, at least one.

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
        image_shape: tuple[int, int] | tuple[int, int, int] | None = None,
        channels: Sequence[int] = (16, 32),
    ):
        height, width, n_channels = _image_sizes(image_shape or (isqrt(n_features), isqrt(n_features)), n_features)
        m = n_components if n_preactivations is None else n_preactivations
        sizes = [(height, width)]
        for _ in channels:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        flat = channels[-1] * sizes[-1][0] * sizes[-1][1]
        coloured = n_channels > 1  # images have their channels last, convolutions first
        f: list[nn.Module] = (
            [nn.Unflatten(1, (height, width, n_channels)), Permute(0, 3, 1, 2)]
            if coloured
            else [nn.Unflatten(1, (1, height, width))]
        )
        for n_in, n_out in pairwise([n_channels, *channels]):
            f += [Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.SiLU()]
        f += [nn.Flatten(), Linear(flat, m, bias=False)]
        g: list[nn.Module] = [Linear(n_components, flat), nn.SiLU(), nn.Unflatten(1, (channels[-1], *sizes[-1]))]
        for i, (n_in, n_out) in enumerate(pairwise([*reversed(channels), n_channels])):
            last = i == len(channels) - 1
            g += [nn.Upsample(size=sizes[-2 - i]), Conv2d(n_in, n_out, 3, padding=1, bias=not last)]
            g += [] if last else [nn.SiLU()]
        g += [Permute(0, 2, 3, 1)] if coloured else []
        super().__init__(n_features, n_components, m, nn.Sequential(*f), nn.Sequential(*g, nn.Flatten()))


def _image_sizes(image_shape: Sequence[int], n_features: int) -> tuple[int, int, int]:
    """Return height, width and number of channels after checking them."""
    if len(image_shape) not in (2, 3) or min(image_shape) < 1 or prod(image_shape) != n_features:
        raise ValueError(
            f"ConvAutoencoder was given {n_features} features, which do not form a "
            f"{' x '.join(map(str, image_shape))} image: pass image_shape=(height, width) or (height, width, channels) "
            f"with a product of {n_features}."
        )
    height, width, *rest = image_shape
    return height, width, rest[0] if rest else 1
