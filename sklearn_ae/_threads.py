"""How many threads the package computes with: it limits those of the thread that calls it, never the process's."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "one_thread_after_fork"]

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(after_in_child=_note_fork)


def one_thread() -> AbstractContextManager[Any]:
    """Limit OpenMP to one thread in the calling thread alone: other threads of the process keep theirs."""
    return _thread_pools().limit(limits=1, user_api="openmp")


@contextmanager
def one_thread_after_fork() -> Iterator[None]:
    """Limit OpenMP to one thread in a process that was forked after the package was imported.

    A forked process has its parent's teams of OpenMP threads in its memory, but not the threads: with GNU's OpenMP the
    first parallel region waits for them for ever. With one thread there is no parallel region.
    """
    if _forked:
        with one_thread():
            yield
    else:
        yield


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()
