"""Resolve the estimator's parameters for given data, and check that they are compatible."""

import os
import re
import warnings
from collections.abc import Callable, Sequence
from math import floor, inf, log2
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn

from sklearn_ae._data.columns import ColumnStats
from sklearn_ae._estimator.size_selection import is_selected_by_fit, max_units
from sklearn_ae._estimator.spelling import hint
from sklearn_ae._model.module import Architecture, Autoencoder
from sklearn_ae._training.net import AutoencoderNet, Objective
from sklearn_ae._training.optimizers import OPTIMIZERS, PRECISIONS, SCHEDULES, optimizer_settings, rule
from sklearn_ae._utils.compat import FloatInterval, HasMethods, Interval, StrOptions
from sklearn_ae.base import CheckContext, Member, Step, member
from sklearn_ae.codes import ALIASES, CODES, Code, code_of
from sklearn_ae.corruptions import CORRUPTIONS, Corruption, corruption_of
from sklearn_ae.losses import LOSSES, Loss
from sklearn_ae.networks import ACTIVATIONS
from sklearn_ae.penalties import PENALTIES, Penalty, penalties_of

__all__ = [
    "PARAMETER_CONSTRAINTS",
    "batch_size_of",
    "building_blocks",
    "callbacks_of",
    "check_building_blocks",
    "check_monitors",
    "check_unchanged",
    "choose_architecture",
    "choose_corruption",
    "find_device",
    "find_device_or_cpu",
    "make_net",
    "max_epochs_of",
    "patience_of",
    "sizes_of",
    "training_parameters",
    "warn_about_architecture",
    "with_hint",
]

#: Allowed values of the estimator's parameters, in the form that scikit-learn validates.
PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    # latent code
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        FloatInterval(0, 1, closed="neither"),
        StrOptions({"auto"}),
        None,
    ],
    "ordered": ["boolean"],
    "whiten": ["boolean"],
    "code": [StrOptions({*CODES, *ALIASES}), Code],
    "code_dropout": [Interval(Real, 0, 1, closed="left")],
    # network
    "hidden_layer_sizes": [StrOptions({"auto"}), "array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), type],
    "output_activation": [str],  # the loss has the names
    "module": [callable, None],
    "init": [StrOptions({"auto", "pca", "transpose", "random"})],
    # objective
    "loss": [StrOptions(set(LOSSES)), Loss],
    "penalty": [StrOptions(set(PENALTIES)), Penalty, list, tuple, None],
    "corruption": [StrOptions({"auto", *CORRUPTIONS}), Corruption, Interval(Real, 0, 1, closed="left"), None],
    "missing": [StrOptions({"error", "mask"})],
    # optimisation
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "lr": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "precision": [StrOptions(set(PRECISIONS))],
    # stopping
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    # continuing
    "warm_start": ["boolean"],
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
    # running
    "device": [str, torch.device],
    "distributed": ["boolean"],
    "callbacks": [list, tuple, HasMethods("on_train_begin"), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
#: Fraction of the samples in a batch of ``batch_size="auto"``.
BATCH_FRACTION = 0.1
#: Number of samples from which ``hidden_layer_sizes="auto"`` is wider.
MANY_SAMPLES = 10_000
#: ``output_activation="auto"`` clips if at least this fraction of the entries repeats its column's bound.
CLIP_FRACTION = 0.3
#: Rate of the masking that ``corruption="auto"`` chooses for ``missing="mask"``: the best of 0.1, 0.2, 0.3 and 0.5 for
#: imputing digits and breast cancer, on other splits than those of ``benchmarks/bench_data.py``.
AUTO_MASKING_RATE = 0.3


def with_hint(message: str, params: Any) -> str:
    """Return scikit-learn's message about an invalid parameter, with what to pass instead if that is known."""
    found = re.match(r"The '(\w+)' parameter", message)
    if found is None:
        return message
    name = found[1]
    choices = (choice for choice in PARAMETER_CONSTRAINTS.get(name, ()) if isinstance(choice, StrOptions))
    what = hint(name, getattr(params, name), {option for choice in choices for option in choice.options})
    return f"{message} {what[:1].upper()}{what[1:]}".rstrip()


def choose_architecture(
    params: Any, shape: tuple[int, int], columns: ColumnStats, names: np.ndarray | None
) -> Architecture:
    """Return the architecture that the parameters of an estimator describe, for data with these columns."""
    hidden_layer_sizes = sizes_of(params.hidden_layer_sizes, shape[0])
    for name, base in (("activation", nn.Module), ("optimizer", torch.optim.Optimizer)):
        value = getattr(params, name)
        if isinstance(value, type) and not issubclass(value, base):
            raise ValueError(f"{name}={value!r} is not a subclass of torch's {base.__name__}.")
    check_callbacks(params.callbacks)
    code = clone(code_of(params.code))
    if params.whiten and not code.has_free_scale:
        raise ValueError(
            f"whiten=True gives the components of the code variance 1, but code={params.code!r} fixes their scale. Set "
            "whiten=False, or put a sklearn.preprocessing.StandardScaler after the autoencoder."
        )
    loss = clone(member(params.loss, LOSSES)).for_columns(shape[1], names)
    ordered = bool(params.ordered) or is_selected_by_fit(params.n_components)
    plain = code.linear and not (ordered or params.code_dropout)
    return Architecture(
        n_features=shape[1],
        n_components=max_units(params.n_components, *shape),
        hidden_layer_sizes=hidden_layer_sizes,
        activation=params.activation,
        code=code,
        loss=loss,
        output_activation=choose_output(params, code, loss, columns),
        code_dropout=float(params.code_dropout),
        rotation_invariant=plain and all(penalty.rotation_invariant for penalty in penalties_of(params.penalty)),
        ordered=ordered,
        whiten=bool(params.whiten),
        module=params.module,
    )


def callbacks_of(callbacks: Any) -> list[Any]:
    """Return the callbacks, or pairs of a name and one, that the parameter holds or is."""
    is_pair = isinstance(callbacks, tuple) and len(callbacks) == 2 and isinstance(callbacks[0], str)
    if is_pair or hasattr(callbacks, "on_train_begin"):
        return [callbacks]
    return list(callbacks or ())


def check_unchanged(params: Any, architecture: Architecture, names: np.ndarray | None, *, masks_missing: bool) -> None:
    """Raise a ValueError if parameters describe another model than the fitted one, which ``partial_fit`` continues."""
    a = architecture
    selects = is_selected_by_fit(params.n_components)
    sizes = [sizes_of(params.hidden_layer_sizes, n_samples) for n_samples in (1, MANY_SAMPLES)]
    n_components = a.n_components if a.n_kept is None else a.n_kept
    unchanged = {
        "n_components": a.n_kept is not None if selects else params.n_components in (None, n_components),
        "ordered": selects or bool(params.ordered) == a.ordered,
        "whiten": bool(params.whiten) == a.whiten,
        "hidden_layer_sizes": a.module is not None or a.hidden_layer_sizes in sizes,
        "activation": params.activation == a.activation,
        "code": code_of(params.code) == a.code,
        "loss": clone(member(params.loss, LOSSES)).for_columns(a.n_features, names) == a.loss,
        "output_activation": params.output_activation in ("auto", a.output_activation),
        "code_dropout": float(params.code_dropout) == a.code_dropout,
        "module": params.module == a.module,
        "missing": (params.missing == "mask") == masks_missing,
    }
    changed = [f"{name}={getattr(params, name)!r}" for name, same in unchanged.items() if not same]
    if changed:
        raise ValueError(
            f"partial_fit cannot change parameters of the fitted model, got {', '.join(changed)}. Restore their values "
            "of the fit, or call fit to train a new model."
        )


def warn_about_architecture(params: Any, architecture: Architecture, previous: Architecture | None = None) -> None:
    """Warn if the sizes of code and layers are probably a mistake, or if a warm start does not continue a fit."""
    _warn_about_width(params, architecture)
    _warn_about_hourglass(architecture)
    if params.warm_start and previous is not None:
        _warn_about_new_start(previous.untruncated, architecture)


def _warn_about_width(params: Any, architecture: Architecture) -> None:
    """Warn if a linear code is wider than the data, and no noise or penalty keeps it from copying the data."""
    k, d = architecture.n_components, architecture.n_features
    is_regularized = architecture.code_dropout or penalties_of(params.penalty) or choose_corruption(params) is not None
    if architecture.code.linear and k > d and not is_regularized:
        warnings.warn(
            f"n_components={k} is more than the {d} features of X: an identity code of {d} components can already "
            f"copy X. Use fewer components, or a sparse code, a penalty or a corruption.",
            UserWarning,
            stacklevel=6,
        )


def _warn_about_hourglass(architecture: Architecture) -> None:
    """Warn if the encoder's layers narrow and widen again, as those of a whole autoencoder do."""
    sizes = () if architecture.module is not None else architecture.hidden_layer_sizes
    least = min(sizes, default=0)
    narrowest = sizes.index(least) if sizes else 0
    before, after = sizes[:narrowest], sizes[narrowest + 1 :]
    if before and any(size > least for size in after):
        warnings.warn(
            f"hidden_layer_sizes={sizes} narrow and widen again, but they describe the encoder only: the decoder "
            "mirrors them, and the code in between has n_components. To describe the whole autoencoder, pass "
            f"hidden_layer_sizes={before} and n_components={least}.",
            UserWarning,
            stacklevel=6,
        )


def _warn_about_new_start(previous: Architecture, architecture: Architecture) -> None:
    """Warn if a warm start cannot continue from the previous fit, and name what differs."""
    pairs = zip(Architecture._fields, previous, architecture, strict=True)
    changed = {name: f"{name} from {old!r} to {new!r}" for name, old, new in pairs if old != new}
    if "rotation_invariant" in changed:  # it follows from others, or from the penalty
        del changed["rotation_invariant"]
        changed = changed or {"penalty": "penalty"}
    if changed:
        warnings.warn(
            "warm_start=True starts from new weights, because the model of the previous fit differs: "
            f"{', '.join(changed.values())}. To continue from it, restore what changed; otherwise set "
            "warm_start=False.",
            UserWarning,
            stacklevel=6,
        )


def check_callbacks(callbacks: Any) -> None:
    """Raise a TypeError if an item is neither a skorch callback nor a pair of a name and one."""
    for given, callback in zip(callbacks_of(callbacks), _without_names(callbacks), strict=True):
        if not hasattr(callback, "on_train_begin"):
            raise TypeError(f"callbacks must contain skorch callbacks or (name, callback) pairs, got {given!r}.")


def check_monitors(callbacks: Any, remedy: str) -> None:
    """Raise a ValueError if a callback monitors a score of validation samples, for training without these."""
    scores = [callback for callback in _without_names(callbacks) if not getattr(callback, "on_train", True)]
    names = [getattr(score, "name", None) or getattr(score, "scoring", None) for score in scores]
    of_validation = {"valid_loss"} | {getattr(name, "__name__", name) for name in names}
    for callback in _without_names(callbacks):
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.removesuffix("_best") in of_validation:
            raise ValueError(
                f"callbacks contains {type(callback).__name__}(monitor={monitor!r}), which needs a validation set: "
                f"{remedy}, or let it monitor 'train_loss'."
            )


def _without_names(callbacks: Any) -> list[Any]:
    return [given[1] if isinstance(given, tuple) and len(given) == 2 else given for given in callbacks_of(callbacks)]


def choose_output(params: Any, code: Code, loss: Loss, columns: ColumnStats) -> str:
    """Return the name of the output activation."""
    if params.output_activation == "auto":
        allows_clip = loss.allows_auto_clip and code.allows_auto_clip
        clips = allows_clip and columns.fraction_on_bounds >= CLIP_FRACTION
        return "clip" if clips else loss.output_activations[0]
    if params.output_activation not in loss.output_activations:
        raise ValueError(
            f"output_activation={params.output_activation!r} does not fit loss={params.loss!r}; choose 'auto' or one "
            f"of {list(loss.output_activations)}."
        )
    return params.output_activation


def choose_corruption(params: Any) -> Corruption | None:
    """Return the corruption that the parameters name; ``"auto"`` masks entries if missing ones are masked."""
    if params.corruption == "auto":
        return corruption_of(AUTO_MASKING_RATE if params.missing == "mask" else None)
    return corruption_of(params.corruption)


def building_blocks(params: Any) -> tuple[Member | None, ...]:
    """Return the penalties and the corruption that the parameters name."""
    return (*penalties_of(params.penalty), choose_corruption(params))


def check_building_blocks(architecture: Architecture, module: Autoencoder, others: Sequence[Member | None]) -> None:
    """Raise a ValueError or TypeError if code, loss or other building blocks do not fit the module."""
    context = CheckContext(
        n_features=architecture.n_features,
        n_components=architecture.n_components,
        code_range=architecture.code.value_range,
        tied_weights=module.has_tied_weights,
        affine_path=module.has_affine_path,
    )
    for block in (architecture.code, architecture.loss, *others):
        if block is not None:
            try:
                block.check(context)
            except TypeError as error:  # from a comparison that the parameter's type does not support
                raise TypeError(f"{block!r} has a parameter of the wrong type: {error}.") from error


def sizes_of(hidden_layer_sizes: Sequence[int] | int | str, n_samples: int) -> tuple[int, ...]:
    """Return the widths of the hidden layers as a tuple."""
    if isinstance(hidden_layer_sizes, str):
        return (128,) if n_samples < MANY_SAMPLES else (256,)
    sizes = tuple(np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object)))
    if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must hold integers of at least 1, got {hidden_layer_sizes!r}.")
    return tuple(int(size) for size in sizes)


def find_device(device: str | torch.device) -> torch.device:
    """Return the device that the parameter names."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        if found.type != "cuda":
            torch.Generator(found)  # fails on a device that does not compute, such as "meta"
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a torch device to compute on; choose 'cpu', 'cuda' or 'auto'."
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch finds no CUDA device; choose 'cpu' or 'auto'.")
    if found.type == "cuda" and (found.index or 0) >= (n_devices := torch.cuda.device_count()):
        raise ValueError(f"device={device!r}, but torch finds {n_devices} CUDA device(s), counted from 0.")
    return found


def find_device_or_cpu(device: str | torch.device) -> torch.device:
    """Return the device of a loaded estimator: the one that the parameter names, or the CPU if it is missing."""
    try:
        return find_device(device)
    except ValueError:
        return torch.device("cpu")


def batch_size_of(params: Any, n_samples: int) -> int:
    """Return the batch size: if automatic, the largest power of two up to a tenth of the samples, from 32 to 256."""
    if params.batch_size != "auto":
        return int(params.batch_size)
    return min(256, max(32, 2 ** floor(log2(max(BATCH_FRACTION * n_samples, 1)))))


def max_epochs_of(params: Any, n_samples: int) -> int:
    """Return the maximum number of epochs."""
    if params.max_epochs != "auto":
        return int(params.max_epochs)
    if params.lr_schedule == "constant":
        return rule().max_epochs
    return rule().n_epochs(n_samples, batch_size_of(params, n_samples))


def patience_of(params: Any) -> float:
    """Return the number of epochs without improvement that end training, infinite for no limit."""
    if params.n_iter_no_change != "auto":
        return float(params.n_iter_no_change)
    return rule().patience if params.lr_schedule == "constant" else inf


def lr_of(params: Any, continues: bool) -> float:
    """Return the learning rate of a fit, or of training that continues from earlier weights."""
    if params.lr != "auto":
        return float(params.lr)
    return rule().constant_lr if continues or params.lr_schedule == "constant" else rule().lr


def make_net(
    params: Any,
    architecture: Architecture,
    module: Autoencoder,
    n_samples: int,
    seed: int,
    *,
    continues: bool = True,
    **settings: Any,
) -> AutoencoderNet:
    """Return an initialized net that trains a module on some samples, by default with the learning rate of a pass."""
    loss, code = architecture.loss, architecture.code
    terms: list[Callable[[Step], Tensor]] = [*code.terms, *penalties_of(params.penalty)]
    net = AutoencoderNet(
        module,
        criterion=Objective(loss, terms, loss.n_entries(architecture.n_features)),
        lr=lr_of(params, continues),
        batch_size=batch_size_of(params, n_samples),
        predict_nonlinearity=None,
        verbose=params.verbose,
        device=str(module.device),  # skorch passes it to safetensors
        seed=seed,
        precision=params.precision,
        corruption=choose_corruption(params),
        **optimizer_settings(params.optimizer, float(params.weight_decay)),
        **{"callbacks": callbacks_of(params.callbacks)} | settings,
    )
    net.made_with = training_parameters(params)
    return net.initialize()


def training_parameters(params: Any) -> dict[str, Any]:
    """Return the parameters that a net is made with, by name."""
    names = ("optimizer", "lr", "weight_decay", "batch_size", "precision", "callbacks", "verbose")
    return {name: getattr(params, name) for name in names} | {"penalty": clone(params.penalty, safe=False)}
