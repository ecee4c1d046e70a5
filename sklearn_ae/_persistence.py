"""The state that pickle, joblib, deepcopy and skops see: plain values and numpy arrays, no torch storage."""

from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_ae._axes import member
from sklearn_ae._data import Coordinates
from sklearn_ae.canonical import CodeMoments
from sklearn_ae.codes import CODES
from sklearn_ae.losses import LOSSES
from sklearn_ae.modules import Architecture, Autoencoder, build

__all__ = ["pack", "restored_modules", "unpack"]

#: The members that an architecture holds.
REGISTRIES: dict[str, dict[str, Any]] = {"code": CODES, "loss": LOSSES}
#: Attributes that are rebuilt on load instead of being stored.
REBUILT = ("module_", "net_", "_inference")


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return copies of a module's parameters and buffers as numpy arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def load_arrays_(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into a module's parameters and buffers."""
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})


def pack(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the state for a fitted estimator's attributes."""
    state = {name: value for name, value in attributes.items() if name not in REBUILT}
    network, coordinates, moments = attributes["module_"], attributes["_coordinates"], attributes["_moments"]
    state |= {
        "_architecture": _with_names(attributes["_architecture"]._asdict()),
        "_coordinates": {name: getattr(coordinates, name) for name in ("offset", "scale", "raw", "spread")},
        "_moments": dict(vars(moments)),
        "_weights": arrays_of(network),
        "_code_map": arrays_of(attributes["_inference"].module64.code_map),
        "_history": [
            {name: value for name, value in epoch.items() if name != "batches"} for epoch in attributes["net_"].history
        ],
    }
    return state


def unpack(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes for a state; ``_weights``, ``_code_map`` and ``_history`` await the rebuilding."""
    attributes = dict(state)
    architecture = state["_architecture"]
    members = {axis: member(architecture[axis], registry) for axis, registry in REGISTRIES.items()}
    attributes["_architecture"] = Architecture(**architecture | members)
    attributes["_coordinates"] = Coordinates(**state["_coordinates"])
    moments = CodeMoments.__new__(CodeMoments)
    vars(moments).update(state["_moments"])
    attributes["_moments"] = moments
    return attributes


def _with_names(architecture: dict[str, Any]) -> dict[str, Any]:
    """Return an architecture with short names, which need no class to load, for members with their defaults."""
    for axis, registry in REGISTRIES.items():
        names = [name for name, kind in registry.items() if architecture[axis] == kind()]
        architecture[axis] = names[0] if names else architecture[axis]
    return architecture


def restored_modules(
    architecture: Architecture, weights: dict[str, np.ndarray], code_map: dict[str, np.ndarray]
) -> tuple[Autoencoder, Autoencoder]:
    """Return the network in float32 and in float64, on the CPU."""
    module = build(architecture).eval()
    load_arrays_(module, weights)
    module64 = build(architecture).double().eval()
    load_arrays_(module64, weights)
    load_arrays_(module64.code_map, code_map)
    return module, module64
