"""What the estimator's parameters mean for given data: names become members, and all must agree with each other."""

import os
from collections.abc import Sequence
from math import floor, log2
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from sklearn_ae._data.columns import ColumnStats, ColumnVariation, fraction_on_bounds
from sklearn_ae._estimator.size_selection import is_selected_by_fit, max_units
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._training.optimizers import OPTIMIZERS, PRECISIONS, SCHEDULES
from sklearn_ae._utils.compat import Interval, StrOptions
from sklearn_ae.base import CheckContext, Member, member
from sklearn_ae.codes import CODES, Code
from sklearn_ae.corruptions import CORRUPTIONS, Corruption
from sklearn_ae.losses import LOSSES, Loss
from sklearn_ae.networks import ACTIVATIONS
from sklearn_ae.outputs import OUTPUTS
from sklearn_ae.penalties import PENALTIES, Penalty

__all__ = [
    "PARAMETER_CONSTRAINTS",
    "batch_size_for",
    "check_members",
    "checked_module",
    "choose_architecture",
    "find_device",
    "find_device_or_cpu",
    "sizes_of",
]

#: What the estimator's parameters may be, in the form of scikit-learn's validation.
PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="neither"),
        StrOptions({"auto"}),
    ],
    "ordered": ["boolean"],
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), type],
    "code": [StrOptions(set(CODES)), Code],
    "loss": [StrOptions(set(LOSSES)), Loss],
    "output_activation": [StrOptions({"auto", *OUTPUTS})],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "penalty": [StrOptions(set(PENALTIES)), Penalty, list, tuple, None],
    "corruption": [StrOptions(set(CORRUPTIONS)), Corruption, Interval(Real, 0, 1, closed="left"), None],
    "tied_weights": ["boolean"],
    "module": [callable, None],
    "init": [StrOptions({"auto", "pca", "transpose", "random"})],
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "missing": [StrOptions({"error", "mask"})],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "device": [str, torch.device],
    "precision": [StrOptions(set(PRECISIONS))],
    "distributed": ["boolean"],
    "callbacks": [list, tuple, None],
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
#: ``output_activation="auto"`` clips where at least this share of the entries repeats its column's bound.
CLIP_SHARE = 0.3


def choose_architecture(
    params: Any,
    penalties: Sequence[Penalty],
    shape: tuple[int, int],
    columns: ColumnStats,
    spread: ColumnVariation,
    names: np.ndarray | None,
) -> Architecture:
    """Return the architecture that the parameters of an estimator ask for, for data of some shape and such columns."""
    hidden_layer_sizes = sizes_of(params.hidden_layer_sizes)
    if params.tied_weights and (hidden_layer_sizes or params.module is not None):
        raise ValueError(
            "tied_weights=True shares one matrix between encoder and decoder and needs hidden_layer_sizes=() and "
            f"module=None, got hidden_layer_sizes={params.hidden_layer_sizes!r}, module={params.module!r}."
        )
    for name, base in (("activation", nn.Module), ("optimizer", torch.optim.Optimizer)):
        value = getattr(params, name)
        if isinstance(value, type) and not issubclass(value, base):
            raise ValueError(f"{name}={value!r} is not a subclass of torch's {base.__name__}.")
    check_callbacks(params.callbacks)
    code = clone(member(params.code, CODES))
    loss = clone(member(params.loss, LOSSES)).for_columns(shape[1], names)
    ordered = bool(params.ordered) or is_selected_by_fit(params.n_components)
    plain = code.linear and not (ordered or params.dropout)
    return Architecture(
        n_features=shape[1],
        n_components=max_units(params.n_components, *shape),
        hidden_layer_sizes=hidden_layer_sizes,
        activation=params.activation,
        code=code,
        loss=loss,
        output_activation=choose_output(params, loss, loss.allows_auto_clip and code.allows_auto_clip, columns, spread),
        dropout=float(params.dropout),
        tied_weights=bool(params.tied_weights),
        rotation_invariant=plain and all(penalty.rotation_invariant for penalty in penalties),
        ordered=ordered,
        module=params.module,
    )


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    """Raise a TypeError where something is neither a callback of skorch's nor a pair of a name and one."""
    for given in callbacks or ():
        callback = given[1] if isinstance(given, tuple) and len(given) == 2 else given
        if not hasattr(callback, "on_train_begin"):
            raise TypeError(f"callbacks holds {given!r}, which is no skorch callback nor a (name, callback) pair.")


def choose_output(
    params: Any, loss: Loss, allows_auto_clip: bool, columns: ColumnStats, spread: ColumnVariation
) -> str:
    """Return the name of the output activation."""
    if params.output_activation == "auto":
        clip = allows_auto_clip and fraction_on_bounds(columns, spread) >= CLIP_SHARE
        return "clip" if clip else loss.output_activations[0]
    if params.output_activation not in loss.output_activations:
        raise ValueError(
            f"output_activation={params.output_activation!r} does not fit loss={params.loss!r}; choose 'auto' or one "
            f"of {list(loss.output_activations)}."
        )
    return params.output_activation


def checked_module(architecture: Architecture, members: Sequence[Member | None], seed: int) -> Autoencoder:
    """Return a new module, after checking that code, loss and the other members fit it."""
    module = build(architecture, seed)
    check_members(architecture, module, members)
    return module


def check_members(architecture: Architecture, module: Autoencoder, members: Sequence[Member | None]) -> None:
    """Raise a ValueError or TypeError where code, loss or the other members do not fit the module."""
    context = CheckContext(
        n_features=architecture.n_features,
        n_components=architecture.n_components,
        code_range=architecture.code.value_range,
        tied_weights=architecture.tied_weights,
        affine_path=module.has_affine_path,
    )
    for one in (architecture.code, architecture.loss, *members):
        if one is not None:
            try:
                one.check(context)
            except TypeError as error:  # of a comparison that the parameter's type does not know
                raise TypeError(f"{one!r} has a parameter of a wrong type: {error}.") from error


def sizes_of(hidden_layer_sizes: Sequence[int] | int) -> tuple[int, ...]:
    """Return the widths of the hidden layers."""
    sizes = tuple(np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object)))
    if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must hold integers of at least 1, got {hidden_layer_sizes!r}.")
    return tuple(int(size) for size in sizes)


def find_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter names."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        if found.type != "cuda":
            torch.Generator(found)  # which a device without computation, such as "meta", does not have
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a torch device to compute on; choose 'cpu', 'cuda' or 'auto'."
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r} was asked for, but torch sees no CUDA device; choose 'cpu' or 'auto'.")
    return found


def find_device_or_cpu(device: str | torch.device) -> torch.device:
    """Return the device that a loaded estimator goes to: the CPU where its own is missing."""
    try:
        return find_device(device)
    except ValueError:
        return torch.device("cpu")


def batch_size_for(n_rows: int) -> int:
    """Return the power of two next below a twentieth of the rows, from 16 to 256."""
    return min(256, max(16, 2 ** floor(log2(max(n_rows / 20, 1)))))
