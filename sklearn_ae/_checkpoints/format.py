"""The content of a checkpoint file: magic line, format number, digest, and an archive of ``numpy.savez``."""

import hashlib
import io
import json
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DIGEST_BYTES", "FORMAT", "MAGIC", "VERSION_BYTES", "CheckpointState", "decode_state", "encode_state"]

MAGIC = b"sklearn-ae checkpoint\n"
#: Incremented when older versions of this module cannot read what is written.
FORMAT = 1
#: Lengths of the format number and of the digest, which keep their places in every format.
VERSION_BYTES, DIGEST_BYTES = 4, 32


class CheckpointState(NamedTuple):
    """The state that a checkpoint stores: values that JSON can represent, and arrays."""

    plain: dict[str, Any]
    arrays: dict[str, np.ndarray]


def encode_state(state: CheckpointState) -> bytes:
    """Return the content of a file: magic, format number, digest of format number and payload, payload."""
    text = json.dumps(state.plain, default=lambda value: value.item()).encode()
    entries: dict[str, Any] = {"plain": np.frombuffer(text, np.uint8)} | state.arrays
    stream = io.BytesIO()
    np.savez(stream, **entries)
    version, payload = FORMAT.to_bytes(VERSION_BYTES, "big"), stream.getvalue()
    return MAGIC + version + hashlib.sha256(version + payload).digest() + payload


def decode_state(content: bytes) -> CheckpointState:
    """Return the state that the content of a file stores. Raises ValueError if it is not an intact checkpoint."""
    if not content.startswith(MAGIC):
        raise ValueError("it is not a checkpoint of sklearn-ae")
    version, sealed = content[len(MAGIC) :][:VERSION_BYTES], content[len(MAGIC) + VERSION_BYTES :]
    digest, payload = sealed[:DIGEST_BYTES], sealed[DIGEST_BYTES:]
    if hashlib.sha256(version + payload).digest() != digest:
        raise ValueError("it is truncated or damaged: its digest does not match its content")
    number = int.from_bytes(version, "big")
    if number != FORMAT:
        raise ValueError(f"it has format {number}, written by a newer sklearn-ae; this version reads format {FORMAT}")
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        arrays = dict(archive)
    return CheckpointState(json.loads(arrays.pop("plain").tobytes()), arrays)
