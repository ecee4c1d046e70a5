"""The content of a checkpoint file."""

import hashlib
import io
import json
import math
import zipfile
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "DIGEST_BYTES",
    "FORMAT",
    "MAGIC",
    "VERSION_BYTES",
    "CheckpointState",
    "DamagedError",
    "decode_state",
    "encode_state",
]

MAGIC = b"sklearn-ae checkpoint\n"
#: Goes up when an older version of this file could not read what is written.
FORMAT = 1
#: Bytes of the version and of the digest, which stay where they are in all formats.
VERSION_BYTES, DIGEST_BYTES = 4, 32


class DamagedError(ValueError):
    """A file that was a checkpoint once."""


class CheckpointState(NamedTuple):
    """What a checkpoint holds."""

    plain: dict[str, Any]
    arrays: dict[str, np.ndarray]


def encode_state(saved: CheckpointState) -> bytes:
    """Return the content of a file: magic, version, digest of version and payload, payload."""
    text = json.dumps(saved.plain, default=lambda value: value.item()).encode()
    members: dict[str, Any] = {"plain": np.frombuffer(text, np.uint8)} | saved.arrays
    stream = io.BytesIO()
    np.savez(stream, **members)
    version, payload = FORMAT.to_bytes(VERSION_BYTES, "big"), stream.getvalue()
    return MAGIC + version + hashlib.sha256(version + payload).digest() + payload


def decode_state(content: bytes) -> CheckpointState:
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


def _parse(payload: bytes) -> CheckpointState:
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
    return CheckpointState(plain, arrays)


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
