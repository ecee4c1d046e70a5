"""Weights of modules as tensors and as arrays."""

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["arrays_of", "load_arrays_", "tensors_of", "weights_of"]


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of a module's parameters and buffers."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's parameters and buffers, those included that its state dict leaves out."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return copies of a module's parameters and buffers as numpy arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def load_arrays_(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into a module's parameters and buffers."""
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
