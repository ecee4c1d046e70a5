"""Reading and atomically writing checkpoint files."""

import os
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sklearn_ae._checkpoints.format import MAGIC, CheckpointState, DamagedError, decode_state

__all__ = ["create", "load", "previous_of", "replace"]

#: Seconds after which a temporary file is one that a kill left behind.
STALE = 3600
REMEDY = "Choose another path, or delete the file to start afresh; it is never overwritten as it is."


def load(path: Path) -> tuple[CheckpointState | None, bool]:
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
        return decode_state(path.read_bytes()), True
    except FileNotFoundError:
        return None, True
    except ValueError as error:
        damaged = error
    refusal = f"checkpoint={str(path)!r} is refused: {damaged}."
    if not (isinstance(damaged, DamagedError) and previous.exists()):
        raise ValueError(f"{refusal} {REMEDY}") from damaged
    try:
        saved = decode_state(previous.read_bytes())
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
