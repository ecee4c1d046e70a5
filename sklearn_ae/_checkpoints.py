"""Files from which a fit that was killed goes on: their format, whose they are, and how they are written."""

import hashlib
import io
import json
import math
import os
import secrets
import time
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

__all__ = ["Checkpoint", "Saved", "checkpoint_of", "seal", "unseal"]

MAGIC = b"sklearn-ae checkpoint\n"
#: Goes up when an older version of this file could not read what is written.
FORMAT = 1
#: Bytes of the version and of the digest, which stay where they are in all formats.
VERSION_BYTES, DIGEST_BYTES = 4, 32
#: Parameters that do not bear on what a fit ends with.
INDIFFERENT = {"callbacks", "checkpoint", "device", "distributed", "resume", "verbose", "warm_start"}
#: Seconds after which a temporary file is one that a kill left behind.
STALE = 3600
REMEDY = "Choose another path, or delete the file to start afresh; it is never overwritten as it is."


class DamagedError(ValueError):
    """A file that was a checkpoint once."""


class Saved(NamedTuple):
    """What a checkpoint holds."""

    plain: dict[str, Any]
    arrays: dict[str, np.ndarray]


def seal(saved: Saved) -> bytes:
    """Return the content of a file: magic, version, digest of version and payload, payload."""
    text = json.dumps(saved.plain, default=lambda value: value.item()).encode()
    members: dict[str, Any] = {"plain": np.frombuffer(text, np.uint8)} | saved.arrays
    stream = io.BytesIO()
    np.savez(stream, **members)
    version, payload = FORMAT.to_bytes(VERSION_BYTES, "big"), stream.getvalue()
    return MAGIC + version + hashlib.sha256(version + payload).digest() + payload


def unseal(content: bytes) -> Saved:
    """Return what the content of a file holds; a ValueError says what is wrong with it."""
    if MAGIC.startswith(content):
        raise DamagedError("it is truncated")
    if not content.startswith(MAGIC):
        raise ValueError("it is no checkpoint of sklearn-ae")
    head, rest = content[len(MAGIC) :][: VERSION_BYTES + DIGEST_BYTES], content[len(MAGIC) + VERSION_BYTES :]
    version, digest, payload = head[:VERSION_BYTES], head[VERSION_BYTES:], rest[DIGEST_BYTES:]
    if hashlib.sha256(version + payload).digest() != digest:
        raise DamagedError("it is truncated or damaged: its digest is not that of its content")
    if int.from_bytes(version, "big") != FORMAT:
        raise ValueError(
            f"it is in format {int.from_bytes(version, 'big')}, of a newer sklearn-ae; this one reads format {FORMAT}"
        )
    try:
        return _parse(payload)
    except Exception as error:  # whatever a parser stumbles over
        raise ValueError(f"its content is not what sklearn-ae writes ({type(error).__name__}: {error})") from error


def _parse(payload: bytes) -> Saved:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > len(payload):
            raise ValueError("it unpacks to more than it is")
        for member in members:
            arrays[member.filename.removesuffix(".npy")] = _array(archive.read(member))
    plain = json.loads(arrays.pop("plain").tobytes())
    _check_draws(plain, arrays)
    return Saved(plain, arrays)


def _array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file, whose head may announce no more than there is."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is in another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "biufc" or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError("an array has another size than it says")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _check_draws(plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Check what is used before training: whose the file is, the seed and the validation rows."""
    texts = [*plain["parameters"], *plain["parameters"].values(), plain["data"]["digest"]]
    n_rows, n_columns = plain["data"]["shape"]
    numbers = (n_rows, n_columns, plain["seed"])
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise ValueError("it does not say whose it is")
    if not 0 <= plain["seed"] <= np.iinfo(np.int32).max:
        raise ValueError("its seed is out of range")
    valid = arrays.get("validation_rows")
    if valid is not None:
        whole = valid.dtype == np.int64 and valid.ndim == 1 and 0 < len(valid) < n_rows
        if not whole or valid[0] < 0 or valid[-1] >= n_rows or (np.diff(valid) <= 0).any():
            raise ValueError("its validation rows are none")


def load(path: Path) -> tuple[Saved | None, bool]:
    """Return what the file holds, None where there is none, and whether it is intact.

    Where it is damaged, what the one before it holds; a ValueError where that cannot be read either.
    """
    previous = previous_of(path)
    for file in (path, previous):
        if file.exists() and not file.is_file():
            raise ValueError(  # reading a pipe would not end
                f"checkpoint={str(path)!r} cannot be used, because {str(file)!r} is no regular file: choose another."
            )
    _check_ours(previous)
    try:
        return unseal(path.read_bytes()), True
    except FileNotFoundError:
        return None, True
    except ValueError as error:
        damaged = error
    refusal = f"checkpoint={str(path)!r} is refused: {damaged}."
    if not (isinstance(damaged, DamagedError) and previous.exists()):
        raise ValueError(f"{refusal} {REMEDY}") from damaged
    try:
        saved = unseal(previous.read_bytes())
    except ValueError as error:
        raise ValueError(f"{refusal} So is {previous}: {error}. {REMEDY}") from error
    warnings.warn(f"{path} is truncated or damaged; the one before it, {previous}, takes its place.", stacklevel=2)
    return saved, False


def _check_ours(previous: Path) -> None:
    if previous.exists():
        with open(previous, "rb") as stream:
            if not MAGIC.startswith(stream.read(len(MAGIC))):
                raise ValueError(f"{previous} is no checkpoint of sklearn-ae and is not overwritten: move it.")


def previous_of(path: Path) -> Path:
    """Return where the checkpoint before the last one is."""
    return path.with_name(path.name + ".previous")


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """Write to a file beside a path, through to the disk, and remove it in the end if it is still there."""
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every platform opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove what kills in the middle of writing left behind."""
    names = [name for name in os.listdir(path.parent) if name.startswith(path.name + ".") and name.endswith(".tmp")]
    for left in map(path.with_name, names):
        with suppress(OSError):  # it may be gone by now
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()


def create(path: Path, content: bytes) -> None:
    """Write a file that does not exist; a FileExistsError where it does, even where that came about just now."""
    with _written_beside(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # no links here
            if path.exists():
                raise FileExistsError(path) from None
            os.replace(temporary, path)
    _sync_folder(path.parent)


def replace(path: Path, content: bytes, *, keep: bool) -> None:
    """Write a file anew, at no moment absent or partial; where asked, the old one is kept as the previous one."""
    with _written_beside(path, content) as temporary:
        if keep and path.exists():
            _copy(path, previous_of(path))
        os.replace(temporary, path)
    _sync_folder(path.parent)


def _copy(path: Path, target: Path) -> None:
    """Let a second name stand for the present content of a path."""
    second = _temporary(path)
    try:
        os.link(path, second)
    except OSError:  # no links here
        with _written_beside(target, path.read_bytes()) as copy:
            os.replace(copy, target)
        return
    os.replace(second, target)


def text_of(value: Any) -> str:
    """Return a text that is the same for parameters that mean the same, in another process too."""
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return f"{type(value).__qualname__}({', '.join(f'{name}={text_of(params[name])}' for name in sorted(params))})"
    if isinstance(value, nn.Module):
        weights = (tensor.detach().cpu().numpy() for tensor in value.state_dict().values())
        return f"{type(value).__qualname__} with weights {digest_of(weights)}"
    if isinstance(value, np.ndarray):
        return text_of(value.tolist())
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{text_of(key)}: {text_of(value[key])}' for key in value)}}}"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value.item() if isinstance(value, np.generic) else value)


def parameters_of(estimator: BaseEstimator) -> dict[str, str]:
    """Return the parameters that bear on what a fit ends with, as texts."""
    params = estimator.get_params(deep=False)
    if not isinstance(params["random_state"], Integral):
        params["random_state"] = "not an int"
    return {name: text_of(params[name]) for name in sorted(params.keys() - INDIFFERENT)}


def digest_of(arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of the bytes of arrays, however they are cut."""
    digest = hashlib.blake2b(digest_size=32)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def data_of(shape: Sequence[int], arrays: Iterable[np.ndarray]) -> dict[str, Any]:
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

    def drawn(self, seed: int, valid: np.ndarray | None) -> tuple[int, np.ndarray | None]:
        """Return the seed and the validation rows of the fit: those of the file where it goes on from there."""
        if self.saved is not None:
            seed, valid = self.saved.plain["seed"], self.saved.arrays.get("validation_rows")
        self.plain["seed"] = seed
        if valid is not None:
            self.arrays["validation_rows"] = valid
        return seed, valid

    def check_data(self, shape: Sequence[int], arrays: Iterable[np.ndarray]) -> None:
        """Refuse a file of other data."""
        self.plain["data"] = data_of(shape, arrays)
        self._check("data")

    def begin(self, state: Saved) -> None:
        """Write the file at the start of training, unless another fit has come first."""
        self._attempt(self._begin, state)

    def write(self, state: Saved) -> None:
        """Write the file anew; what cannot be written is noted as the failure."""
        self._attempt(self._replace, state)

    def _attempt(self, write: Any, state: Saved) -> None:
        content = seal(Saved(self.plain | state.plain, self.arrays | state.arrays))
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
