"""A damaged idx file raises a ValueError or an OSError, at once and in little memory."""

import gzip
import time
import tracemalloc

import numpy as np
import pytest

from sklearn_ae.datasets import _IdxFile, _read_idx

#: Most bytes of memory and most seconds for reading a small file.
MOST_MEMORY, MOST_TIME = 2**23, 2
N_QUICK, N_SLOW = 150, 3300


def mutated(content, rng):
    """Return content with a few bytes flipped, cut out, repeated, inserted, or its end missing."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at, n = int(rng.integers(len(content) + 1)), int(rng.integers(1, 40))
        kind = rng.integers(5)
        if kind == 0:
            content[at:] = b""
        elif kind == 1:
            content[at:at] = rng.bytes(n)
        elif kind == 2:
            content[at : at + n] = b""
        elif kind == 3:
            content[at:at] = content[max(at - n, 0) : at]
        elif at < len(content):
            content[at] ^= 1 << int(rng.integers(8))
    return bytes(content)


def rejects(read, content):
    """Return whether reading raises an error, after checking that it is quick, small and of the right kind."""
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], time.perf_counter()
    try:
        read(content)
    except (ValueError, OSError):
        return True
    finally:
        assert tracemalloc.get_traced_memory()[1] - before < MOST_MEMORY
        assert time.perf_counter() - start < MOST_TIME
    return False


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("n", [N_QUICK, pytest.param(N_SLOW, marks=pytest.mark.slow)])
def test_mutated_idx_files_raise_an_error(n, tmp_path):
    rng, path = np.random.default_rng(n), tmp_path / "idx.gz"
    array = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    file = _IdxFile("idx.gz", array.shape, "0" * 32)
    content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    packed = gzip.compress(content, mtime=0)

    def read(changed):
        path.write_bytes(changed)
        _read_idx(path, file)

    for i in range(n):
        changed = gzip.compress(mutated(content, rng)) if i % 2 else mutated(packed, rng)
        assert rejects(read, changed)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (9, 28, 28), (0, 0, 0)])
def test_an_idx_file_is_read_no_further_than_its_expected_size(shape, tmp_path):
    path = tmp_path / "idx.gz"
    header = bytes([0, 0, 8, 3]) + np.array(shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(2**26)))
    assert rejects(lambda _: _read_idx(path, _IdxFile("idx.gz", (9, 28, 28), "")), b"")
