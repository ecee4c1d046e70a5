"""The checkpoint of a fit, and the check that a file belongs to that fit."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_ae._checkpoints.files import load, remove_stale, write
from sklearn_ae._checkpoints.format import CheckpointState, encode_state

__all__ = ["Checkpoint", "checkpoint_of", "digest_of", "stable_repr"]

#: Parameters that do not affect the result of a fit.
IGNORED_PARAMETERS = {"callbacks", "checkpoint", "device", "distributed", "resume", "verbose", "warm_start"}


def stable_repr(value: Any) -> str:
    """Return a text that is the same for equal parameters, also in another process."""
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return (
            f"{type(value).__qualname__}({', '.join(f'{name}={stable_repr(params[name])}' for name in sorted(params))})"
        )
    if isinstance(value, nn.Module):
        weights = (tensor.detach().cpu().numpy() for tensor in value.state_dict().values())
        return f"{value!r} with weights {digest_of(weights)}"
    if isinstance(value, partial):
        return f"partial({', '.join(map(stable_repr, (value.func, value.args, value.keywords)))})"
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
    """Return the parameters that affect the result of a fit, as texts."""
    params = estimator.get_params(deep=False)
    if not isinstance(params["random_state"], Integral):
        params["random_state"] = "not an int"
    return {name: stable_repr(params[name]) for name in sorted(params.keys() - IGNORED_PARAMETERS)}


def digest_of(arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of the concatenated bytes of arrays."""
    digest = hashlib.blake2b(digest_size=32)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def data_fingerprint(shape: Sequence[int], arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    """Return a fingerprint of the data: shape and hash."""
    return {"shape": list(shape), "digest": digest_of(arrays)}


class Checkpoint:
    """The checkpoint file of one fit.

    Parameters
    ----------
    path : Path
        The file; temporary files in the same folder exist while it is written.
    parameters : dict of str
        The parameters of the fit, as texts.
    resume : bool
        Whether to continue from the state that the file stores.
    """

    def __init__(self, path: Path, parameters: dict[str, str], resume: bool):
        self.path = path
        self.plain: dict[str, Any] = {"parameters": parameters}
        self.arrays: dict[str, np.ndarray] = {}
        remove_stale(path)
        self._found = load(path)
        self._is_new = self._found is None
        self.saved = self._found if resume else None
        self.failure: OSError | None = None
        self._check("parameters")

    def restore_split(self, seed: int, valid: np.ndarray | None) -> tuple[int, np.ndarray | None]:
        """Return the seed and the indices of the validation samples: the saved ones if the fit is resumed."""
        if self.saved is not None:
            seed, valid = self.saved.plain["seed"], self.saved.arrays.get("validation_rows")
        self.plain["seed"] = seed
        if valid is not None:
            self.arrays["validation_rows"] = valid
        return seed, valid

    def check_data(self, name: str, shape: Sequence[int] = (), arrays: Iterable[np.ndarray] = ()) -> None:
        """Raise a ValueError if the file was written by a fit with other data of this name, ``"data"`` or ``"X_val"``.

        Pass no shape if the fit has no such data.
        """
        self.plain[name] = data_fingerprint(shape, arrays)
        self._check(name)

    def write(self, state: CheckpointState) -> None:
        """Write the state of training to the file; if that fails, set the failure.

        Raises ValueError if a different fit has just created the file.
        """
        content = encode_state(CheckpointState(self.plain | state.plain, self.arrays | state.arrays))
        try:
            self._write(content)
        except OSError as error:
            self.failure = OSError(
                error.errno,
                f"The checkpoint could not be written ({error.strerror or error}), which ended training. The estimator "
                "is fitted, with the best weights so far. Free some space or choose another path; if the file exists, "
                "resume=True continues from it",
                str(self.path),
            )
            self.failure.__cause__ = error

    def _write(self, content: bytes) -> None:
        try:
            write(self.path, content, new=self._is_new)
        except FileExistsError:
            self._found = load(self.path)
            for what in ("parameters", "data", "X_val"):
                self._check(what)
            write(self.path, content, new=False)
        self._is_new = False

    def _check(self, what: str) -> None:
        """Raise a ValueError if the parameters or the data in the file are not those of the fit."""
        if self._found is None or self._found.plain[what] == self.plain[what]:
            return
        there, here = self._found.plain[what], self.plain[what]
        differing = [
            f"{name} is {there.get(name, 'absent')[:80]} in the file and {here.get(name, 'absent')[:80]} in this fit"
            for name in sorted(there.keys() | here.keys())
            if there.get(name) != here.get(name)
        ]
        if what != "parameters":
            of_file, of_fit = (f"shape {data['shape']}" if data["shape"] else "none" for data in (there, here))
            differing = [f"{of_file} in the file and {of_fit} in this fit"]
            if of_file == of_fit:
                differing = ["other values in the same shape"]
        raise ValueError(
            f"checkpoint={str(self.path)!r} was written by a fit with other {what}: {'; '.join(differing)}. Give each "
            "fit its own path (clones in a search or a cross-validation cannot share one), or delete the file to start "
            "from scratch."
        )


def checkpoint_of(estimator: Any, *, warm: bool, alone: bool) -> Checkpoint | None:
    """Return the checkpoint of an estimator, or None if it has none.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        The estimator.
    warm : bool
        Whether the fit starts from the weights of an earlier fit.
    alone : bool
        Whether the fit runs in one process.
    """
    if estimator.checkpoint is None:
        if estimator.resume:
            raise ValueError("resume=True requires checkpoint=<path>: set checkpoint, or set resume=False.")
        return None
    if not alone:
        raise ValueError(
            "checkpoint requires a fit in a single process, but distributed=True found several: set checkpoint=None."
        )
    if warm:
        raise ValueError(
            "warm_start=True continues from the weights of an earlier fit, which no checkpoint stores: set "
            "checkpoint=None and resume=False, or warm_start=False."
        )
    path = Path(os.path.abspath(os.fsdecode(estimator.checkpoint)))  # a callback may change the folder
    if "\0" in str(path):
        raise ValueError(f"checkpoint={str(path)!r} is not a path: it contains a null character.")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    return Checkpoint(path, parameters_of(estimator), bool(estimator.resume))
