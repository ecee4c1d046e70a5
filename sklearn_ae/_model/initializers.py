"""In-place initializations of a module's weights, drawn from the caller's generator."""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from sklearn_ae._data.training_rows import MappedRows, TrainingRows
from sklearn_ae._model.code_maps import signs_of
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.principal_axes import column_mean, principal_axes
from sklearn_ae.networks import AffineNetwork, halves_are_sums
from sklearn_ae.outputs import Clip, Identity

__all__ = ["axes_of_start", "initialize_", "pca_", "random_", "starts_as_pca", "transpose_"]


def initialize_(module: Autoencoder, name: str, rows: TrainingRows, generator: Generator) -> None:
    """Initialize a module by name: ``"pca"``, ``"transpose"``, ``"random"`` or ``"auto"``.

    ``"auto"`` depends on the code. A custom network without an affine path keeps its weights.

    Raises
    ------
    ValueError
        If `name` is not ``"auto"`` and the network has no affine path.
    """
    starts = {"pca": pca_, "transpose": transpose_, "random": random_}
    rows = MappedRows(rows, module.output.encoder_input) if module.output.maps_input else rows
    if module.has_affine_path:
        starts[module.code.init if name == "auto" else name](module, rows, generator)
    elif name != "auto":
        raise ValueError(
            f"init={name!r} needs the affine path of sklearn_ae.networks.AffineNetwork, but module= is a "
            f"{type(module.network).__name__}: leave init='auto', which keeps its weights."
        )


def starts_as_pca(module: Autoencoder, name: str) -> bool:
    """Return whether the initialization of this name reconstructs exactly as PCA, except for clipping."""
    return (
        module.has_affine_path
        and halves_are_sums(module.network)
        and (module.code.init if name == "auto" else name) == "pca"
        and module.code.linear
        and isinstance(module.output, (Clip, Identity))
    )


def axes_of_start(module: Autoencoder, name: str) -> Tensor | None:
    """Return the principal axes (min(k, d), d) of a module just initialized as PCA, with the signs of ``svd_flip``."""
    if not starts_as_pca(module, name):
        return None
    axes = module.network.encoder_affine.weight.detach()[: min(module.n_components, module.n_features)]
    return axes * signs_of(axes.T)[:, None]


def pca_(module: Autoencoder, rows: TrainingRows, generator: Generator, dtype: torch.dtype | None = None) -> None:
    """Initialize as PCA of the samples: principal axes in the affine path, zero in the last layers of the hidden path.

    Axes beyond the rank of the samples are random directions orthogonal to it, which keep PCA's reconstruction.
    Products are computed in `dtype`, or in the precision of the samples.
    """
    network, k = module.network, module.n_components
    mean, axes = principal_axes(rows, k, generator, dtype)
    m, affine, columns = len(axes), network.encoder_affine, network.decoder_parameter
    with torch.no_grad():
        he_normal_(affine, generator)
        affine.weight[:m] = axes
        if columns is None:
            affine.weight[m:] = 0
        else:
            columns.zero_()
            columns[:, :m] = axes.T / module.output.slope(mean)[:, None]
        module.code.initialize_(affine, columns, lambda: _variances(rows, mean, affine.weight[:k].double()))
    initialize_biases_(module, mean)
    initialize_hidden_(network, mean, generator)


def transpose_(module: Autoencoder, rows: TrainingRows, generator: Generator) -> None:
    """Initialize decoder columns with unit length in random directions, and the encoder with their transpose.

    The scheme of Gao et al. (2024), which prevents dead components.
    """
    network, k = module.network, module.n_components
    weight, columns = network.encoder_affine.weight, network.decoder_parameter
    directions = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    directions[k:] = 0
    with torch.no_grad():
        weight.copy_(directions)
        if columns is not None:
            columns.copy_(directions[:k].T)
    mean = column_mean(rows)
    initialize_biases_(module, mean)
    initialize_hidden_(network, mean, generator)


def random_(module: Autoencoder, rows: TrainingRows, generator: Generator) -> None:
    """Initialize every layer by He's scheme (He et al., 2015)."""
    for layer in module.network.modules():
        if has_weight(layer):
            he_normal_(layer, generator)
    nn.init.zeros_(module.network.decoder_bias)


def has_weight(layer: nn.Module) -> bool:
    """Return whether a layer is linear or a convolution."""
    return isinstance(layer, (nn.Linear, nn.Conv2d))


def he_normal_(layer: Any, generator: Generator) -> None:
    """Draw weights with variance 2 / fan-in and set the bias to zero."""
    weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(weight.mul_((2 / weight[0].numel()) ** 0.5))
        if layer.bias is not None:
            layer.bias.zero_()


def initialize_hidden_(network: AffineNetwork, mean: Tensor, generator: Generator) -> None:
    """Initialize hidden layers by He's scheme around the mean of the data, and the last ones with zeros."""
    for hidden in (network.encoder_hidden, network.decoder_hidden):
        layers = [] if hidden is None else [layer for layer in hidden.modules() if has_weight(layer)]
        for layer in layers[:-1]:
            he_normal_(layer, generator)
        for parameter in layers[-1].parameters() if layers else ():
            nn.init.zeros_(parameter)
    first = None if network.encoder_hidden is None else network.encoder_hidden[0]
    if isinstance(first, nn.Linear) and first.bias is not None:
        with torch.no_grad():
            first.bias.copy_(-first.weight @ mean.to(first.weight))


def initialize_biases_(module: Autoencoder, mean: Tensor) -> None:
    """Set the biases so that the mean of the data has code zero and is decoded exactly."""
    network, k = module.network, module.n_components
    affine = network.encoder_affine
    mean = mean.to(affine.weight)
    with torch.no_grad():
        affine.bias[:k] = -affine.weight[:k] @ mean
        zero_code = module.code(torch.zeros_like(affine.bias)[None])[0]
        network.decoder_bias.copy_(module.output.inverse(mean) - network.decoder_weight @ zero_code)


def _variances(rows: TrainingRows, mean: Tensor, axes: Tensor) -> Tensor:
    """Return the variance of the samples along each of the axes (k, n_features)."""
    total = torch.zeros(len(axes), dtype=torch.float64, device=rows.device)
    for z in rows.filled():
        total += ((z - mean) @ axes.T).square().sum(0)
    return total / len(rows)
