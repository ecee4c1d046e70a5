"""The checkpoint of a fit, and whether a file belongs to that fit."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_ae._checkpoints.files import _remove_stale, create, load, replace
from sklearn_ae._checkpoints.format import CheckpointState, encode_state

__all__ = ["Checkpoint", "checkpoint_of", "stable_repr"]

#: Parameters that do not bear on what a fit ends with.
IGNORED_PARAMETERS = {"callbacks", "checkpoint", "device", "distributed", "resume", "verbose", "warm_start"}


def stable_repr(value: Any) -> str:
    """Return a text that is the same for parameters that mean the same, in another process too."""
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return (
            f"{type(value).__qualname__}({', '.join(f'{name}={stable_repr(params[name])}' for name in sorted(params))})"
        )
    if isinstance(value, nn.Module):
        weights = (tensor.detach().cpu().numpy() for tensor in value.state_dict().values())
        return f"{type(value).__qualname__} with weights {digest_of(weights)}"
    if isinstance(value, np.ndarray):
        return stable_repr(value.tolist())
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(stable_repr, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{stable_repr(key)}: {stable_repr(value[key])}' for key in value)}}}"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value.item() if isinstance(value, np.generic) else value)


def parameters_of(estimator: BaseEstimator) -> dict[str, str]:
    """Return the parameters that bear on what a fit ends with, as texts."""
    params = estimator.get_params(deep=False)
    if not isinstance(params["random_state"], Integral):
        params["random_state"] = "not an int"
    return {name: stable_repr(params[name]) for name in sorted(params.keys() - IGNORED_PARAMETERS)}


def digest_of(arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of the bytes of arrays, however they are cut."""
    digest = hashlib.blake2b(digest_size=32)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def data_fingerprint(shape: Sequence[int], arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    """Return what tells data of some shape from others, for the arrays that make it up."""
    return {"shape": list(shape), "digest": digest_of(arrays)}


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : Path
        Where it is; a temporary file lies beside it for moments.
    parameters : dict of str
        Those of the fit, as texts.
    resume : bool
        Whether to go on from what the file holds.
    """

    def __init__(self, path: Path, parameters: dict[str, str], resume: bool):
        self.path = path
        self.plain: dict[str, Any] = {"parameters": parameters}
        self.arrays: dict[str, np.ndarray] = {}
        _remove_stale(path)
        self._found, self._intact = load(path)
        self.saved = self._found if resume else None
        self.failure: OSError | None = None
        self._check("parameters")

    def restore_split(self, seed: int, valid: np.ndarray | None) -> tuple[int, np.ndarray | None]:
        """Return the seed and the validation rows of the fit: those of the file where it goes on from there."""
        if self.saved is not None:
            seed, valid = self.saved.plain["seed"], self.saved.arrays.get("validation_rows")
        self.plain["seed"] = seed
        if valid is not None:
            self.arrays["validation_rows"] = valid
        return seed, valid

    def check_data(self, shape: Sequence[int], arrays: Iterable[np.ndarray]) -> None:
        """Refuse a file of other data."""
        self.plain["data"] = data_fingerprint(shape, arrays)
        self._check("data")

    def begin(self, state: CheckpointState) -> None:
        """Write the file at the start of training, unless another fit has come first."""
        self._attempt(self._begin, state)

    def write(self, state: CheckpointState) -> None:
        """Write the file anew; what cannot be written is noted as the failure."""
        self._attempt(self._replace, state)

    def _attempt(self, write: Any, state: CheckpointState) -> None:
        content = encode_state(CheckpointState(self.plain | state.plain, self.arrays | state.arrays))
        try:
            write(content)
        except OSError as error:
            self.failure = OSError(
                error.errno,
                f"The checkpoint could not be written ({error.strerror or error}), which ended training. The estimator "
                "is fitted, with the best weights so far. Make room or choose another path; where the file exists, "
                "resume=True goes on from it",
                str(self.path),
            )
            self.failure.__cause__ = error

    def _begin(self, content: bytes) -> None:
        if self._found is None:
            try:
                create(self.path, content)
                return
            except FileExistsError:
                self._found, self._intact = load(self.path)
                self._check("parameters")
                self._check("data")
        self._replace(content)

    def _replace(self, content: bytes) -> None:
        replace(self.path, content, keep=self._intact)
        self._intact = True

    def _check(self, what: str) -> None:
        """Refuse a file whose parameters or data are not those of the fit."""
        if self._found is None or self._found.plain[what] == self.plain[what]:
            return
        there, here = self._found.plain[what], self.plain[what]
        differing = [
            f"{name} is {there.get(name, 'absent')[:80]} there and {here.get(name, 'absent')[:80]} here"
            for name in sorted(there.keys() | here.keys())
            if there.get(name) != here.get(name)
        ]
        if what == "data":
            differing = [f"shape {there['shape']} there and {here['shape']} here"]
            if there["shape"] == here["shape"]:
                differing = ["other values in the same shape"]
        raise ValueError(
            f"checkpoint={str(self.path)!r} is of a fit with other {what}: {'; '.join(differing)}. Give each fit a "
            "path of its own (clones in a search or a cross-validation cannot share one), or delete the file to start "
            "afresh."
        )


def checkpoint_of(estimator: Any, *, warm: bool, alone: bool) -> Checkpoint | None:
    """Return the checkpoint that an estimator asks for, after an earlier fit to go on from or not, alone or not."""
    if estimator.checkpoint is None:
        if estimator.resume:
            raise ValueError(
                "resume=True goes on from a file, but checkpoint=None: name the file, or set resume=False."
            )
        return None
    if not alone:
        raise ValueError(
            "checkpoint is for fits in one process, and distributed=True found several: set checkpoint=None."
        )
    if warm:
        raise ValueError(
            "warm_start=True goes on from the weights of an earlier fit, which no checkpoint brings back: set "
            "checkpoint=None and resume=False, or warm_start=False."
        )
    path = Path(os.path.abspath(os.fsdecode(estimator.checkpoint)))  # a callback may change the folder
    if "\0" in str(path):
        raise ValueError(f"checkpoint={str(path)!r} is no path: it has a null character.")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint={str(path)!r}: there is no folder {str(path.parent)!r}; make it first.")
    return Checkpoint(path, parameters_of(estimator), bool(estimator.resume))
