"""Limits on the number of threads of the calling thread, never of the whole process."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "one_thread_after_fork"]

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit OpenMP and MKL to one thread in the calling thread only; other threads of the process keep theirs."""
    set_mkl_threads = _mkl_setter()
    with _thread_pools().limit(limits=1, user_api="openmp"):
        before = set_mkl_threads(1)
        try:
            yield
        finally:
            set_mkl_threads(before)


@contextmanager
def one_thread_after_fork() -> Iterator[None]:
    """Limit OpenMP and MKL to one thread in a process that was forked after the package was imported.

    A forked process has its parent's teams of OpenMP threads in its memory, but not the threads: with GNU's OpenMP the
    first parallel region waits for them forever. With one thread there is no parallel region.
    """
    if _forked:
        with one_thread():
            yield
    else:
        yield


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _mkl_setter() -> Callable[[int], int]:
    """Return the function that sets the calling thread's number of threads in torch's MKL and returns the previous one.

    0 means the number of the process. MKL follows OpenMP unless the variable MKL_NUM_THREADS is set, and threadpoolctl
    does not see the copy of MKL inside torch.
    """
    try:
        torch_library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return torch_library.MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):  # another platform, or a torch without MKL
        return lambda n_threads: 0
