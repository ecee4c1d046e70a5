"""The state that pickle, joblib, deepcopy and skops store: plain values and numpy arrays, no torch storage.

Building blocks and network classes of this package are stored by name, so that a state loads no class.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import sklearn
import torch

from sklearn_ae import networks
from sklearn_ae._data.columns import ColumnRange
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._estimator.configuration import find_device_or_cpu, make_net
from sklearn_ae._estimator.fitted_state import FittedState
from sklearn_ae._model.module import Architecture, Autoencoder, build
from sklearn_ae._model.statistics import CodeMoments
from sklearn_ae._model.weights import arrays_of, load_arrays_
from sklearn_ae._version import __version__
from sklearn_ae.base import Member

__all__ = ["FORMAT", "VERSIONS", "pack", "restored_modules", "unpack"]

#: Version of the state's layout: increment it with every change that earlier versions cannot read.
FORMAT = 1
#: Versions of the packages that write a state; torch's is a class, which a state must not hold.
VERSIONS = {
    "sklearn-ae": __version__,
    "torch": str(torch.__version__),
    "numpy": np.__version__,
    "scikit-learn": sklearn.__version__,
}
#: Attributes that are rebuilt on loading instead of being stored.
REBUILT = ("module_", "net_", "_fitted_model")
#: Parts of an epoch's history that are not stored: batches, and the seconds, which differ from fit to fit.
NOT_STORED = ("batches", "dur")
#: Key of the class name of a building block, next to its parameters.
MEMBER = "member of sklearn_ae"
#: Key of the name of a network class.
NETWORK = "network of sklearn_ae"


def pack(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the state for an estimator's attributes."""
    state = {name: _named(value) for name, value in attributes.items() if name not in REBUILT}
    state |= {"_format": FORMAT, "_versions": dict(VERSIONS)}
    if "module_" not in attributes:
        return state
    network, scaling, moments = attributes["module_"], attributes["_scaling"], attributes["_moments"]
    return state | {
        "_architecture": {name: _named(value) for name, value in attributes["_architecture"]._asdict().items()},
        "_scaling": {name: getattr(scaling, name) for name in ("mean", "scale", "spread", "fills_missing")}
        | {"unscaled": scaling.unscaled.copy()},
        "_column_range": tuple(attributes["_column_range"]),
        "_moments": dict(vars(moments)),
        "_weights": arrays_of(network),
        "_code_map": arrays_of(attributes["_fitted_model"].module64.code_map),
        "_history": [
            {name: value for name, value in epoch.items() if name not in NOT_STORED}
            for epoch in attributes["net_"].history
        ],
    }


def unpack(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes for a state; ``_weights``, ``_code_map`` and ``_history`` are for :func:`restore`.

    Raises
    ------
    ValueError
        If this version cannot read the state's format, or the state has none.

    Warns
    -----
    UserWarning
        If another version of this package, or another major version of its dependencies, wrote the state.
    """
    attributes = dict(state)
    _check_origin(attributes.pop("_format", None), attributes.pop("_versions", {}))
    if "_weights" in state:
        moments = CodeMoments.__new__(CodeMoments)
        vars(moments).update(state["_moments"])
        architecture = {name: _restored(value) for name, value in state["_architecture"].items()}
        attributes |= {
            "_architecture": Architecture(**architecture),
            "_scaling": Scaling(**state["_scaling"]),
            "_column_range": ColumnRange(*state["_column_range"]),
            "_moments": moments,
        }
    return {name: _restored(value) for name, value in attributes.items()}


def _check_origin(number: int | None, versions: dict[str, str]) -> None:
    if number is None:
        raise ValueError(
            "This AutoencoderTransformer was saved by a development version before 0.1.0, whose format cannot be read: "
            "fit again with this version and save that."
        )
    wrote = versions["sklearn-ae"]
    remedy = f"Load it with sklearn-ae {wrote}, or fit again with this version and save that."
    if number > FORMAT:
        raise ValueError(
            f"This AutoencoderTransformer was saved by sklearn-ae {wrote} in format {number}; the sklearn-ae "
            f"{__version__} installed here reads formats up to {FORMAT}. Upgrade sklearn-ae to {wrote} or later."
        )
    if wrote != __version__:
        warnings.warn(
            f"This AutoencoderTransformer was saved by sklearn-ae {wrote} and is loaded by sklearn-ae {__version__}: "
            f"its results may differ. {remedy}",
            stacklevel=4,
        )
    # The state holds plain arrays: minor versions of these packages change last digits at most, and a warning at each
    # upgrade would soon be ignored.
    for package, present in VERSIONS.items():
        before = versions.get(package, present)
        if package != "sklearn-ae" and before.split(".")[0] != present.split(".")[0]:
            warnings.warn(
                f"This AutoencoderTransformer was saved with {package} {before} and is loaded with {package} "
                f"{present}: another major version. Compare some results with earlier ones, or fit again.",
                stacklevel=4,
            )


def _named(value: Any) -> Any:
    """Return a value with building blocks and network classes of this package replaced by names and parameters."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_named, value)) if type(value) in (list, tuple) else value
    if isinstance(value, Member) and type(value) in _own_members().values():
        return {MEMBER: type(value).__name__, **{name: _named(part) for name, part in vars(value).items()}}
    if isinstance(value, type) and value in _own_networks().values():
        return {NETWORK: value.__name__}
    return value


def _restored(value: Any) -> Any:
    """Return a value with names replaced by building blocks and network classes."""
    if type(value) in (list, tuple):
        return type(value)(map(_restored, value))
    if isinstance(value, dict) and MEMBER in value:
        member = _found(value[MEMBER], _own_members())
        return member(**{key: _restored(part) for key, part in value.items() if key != MEMBER})
    if isinstance(value, dict) and NETWORK in value:
        return _found(value[NETWORK], _own_networks())
    return value


def _found(name: str, known: dict[str, type]) -> type:
    """Return the class of a name, or raise a ValueError."""
    if name not in known:
        raise ValueError(f"This AutoencoderTransformer was saved with {name!r}, which sklearn-ae {__version__} lacks.")
    return known[name]


def _own_networks() -> dict[str, type]:
    """Return the network classes of this package by name."""
    return {name: value for name, value in vars(networks).items() if name in networks.__all__ and _is_network(value)}


def _is_network(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, networks.AffineNetwork)


def _own_members() -> dict[str, type]:
    """Return the building blocks of this package by class name: all that a state may name."""

    def below(kind: type[Member]) -> Iterator[type[Member]]:
        yield kind
        for subclass in kind.__subclasses__():
            yield from below(subclass)

    return {kind.__name__: kind for kind in below(Member) if kind.__module__.split(".")[0] == "sklearn_ae"}


def restore(estimator: Any) -> None:
    """Rebuild the modules, the fitted model and the net of an estimator from its unpacked attributes."""
    attributes = vars(estimator)
    weights, code_map, history = (attributes.pop(name) for name in ("_weights", "_code_map", "_history"))
    module, module64 = restored_modules(estimator._architecture, weights, code_map)
    estimator.module_ = module.to(find_device_or_cpu(estimator.device))
    estimator._fitted_model = FittedState.of(estimator, module64).fitted_model()
    n_samples = estimator._moments.n_samples
    settings = (estimator._architecture, module, n_samples, 0)
    try:
        estimator.net_ = make_net(estimator, *settings, max_epochs=1, train_split=None)
    except (KeyError, TypeError, ValueError):  # parameters set after the fit may be invalid
        estimator.net_ = make_net(type(estimator)(), *settings, max_epochs=1, train_split=None)
    estimator.net_.history.extend({**epoch, "batches": []} for epoch in history)
    estimator.net_.made_with = None  # partial_fit makes a net for its own samples


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
