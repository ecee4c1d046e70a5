"""Reading and atomically writing checkpoint files."""

import glob
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from sklearn_ae._checkpoints.format import CheckpointState, decode_state

__all__ = ["load", "remove_stale", "write"]

#: Age in seconds from which a temporary file counts as left behind by a killed process.
STALE = 3600
TOKEN_BYTES = 8


def load(path: Path) -> CheckpointState | None:
    """Return the state that a file stores, or None if there is no file. Raises ValueError if it is not a checkpoint."""
    if path.exists() and not path.is_file():  # reading a pipe would block
        raise ValueError(f"checkpoint={str(path)!r} is not a regular file: choose another path.")
    try:
        return decode_state(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(
            f"checkpoint={str(path)!r} cannot be read: {error}. Choose another path, or delete the file to start "
            "from scratch; it is never overwritten."
        ) from error


def write(path: Path, content: bytes, *, new: bool) -> None:
    """Write a file atomically: it is never partial, nor absent if it existed before.

    If the file should be new but exists, a FileExistsError is raised, even if it was created a moment ago.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(TOKEN_BYTES)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if new:
            _create(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _create(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if path.exists():
            raise FileExistsError(path) from error
        os.replace(temporary, path)  # a file system without hard links


def remove_stale(path: Path) -> None:
    """Remove old temporary files of a path, left behind by processes that were killed while writing."""
    token = "[0-9a-f]" * (2 * TOKEN_BYTES)
    for temporary in path.parent.glob(f"{glob.escape(path.name)}.{token}.tmp"):
        with suppress(OSError):  # another fit may have removed it
            if time.time() - temporary.stat().st_mtime > STALE:
                temporary.unlink()
