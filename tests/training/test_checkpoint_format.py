"""Readers of files refuse what is not what they expect: with a ValueError or an OSError, at once, in little memory."""

import gzip
import io
import json
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from helpers import quick, reseal

from sklearn_ae._checkpoints.format import (
    DIGEST_BYTES,
    MAGIC,
    VERSION_BYTES,
    CheckpointState,
    decode_state,
    encode_state,
)
from sklearn_ae.datasets import _IdxFile, _read_idx

HEAD = len(MAGIC) + VERSION_BYTES + DIGEST_BYTES
#: Bytes that a reader may take for a small file, and seconds.
MOST_MEMORY, MOST_TIME = 2**23, 2
#: In total ten thousand with the slow ones.
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


def other_value(value, rng):
    """Return something else in the place of a plain value, deep within it now and then."""
    if isinstance(value, dict) and value and ("seed" in value or rng.random() < 0.8):
        name = str(rng.choice(list(value)))
        return value | {name: other_value(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        i = int(rng.integers(len(value)))
        return [*value[:i], other_value(value[i], rng), *value[i + 1 :]]
    others = [None, -1, 2**63, 10**30, 1e308, float("nan"), "text", [], {}, [[[]]], True, {"array": "none"}]
    return others[rng.integers(len(others))]


def other_array(array, rng):
    """Return an array of another shape, type or values."""
    others = [array.ravel()[:-1], array[None], array.astype(np.float16), -array.astype(float), array[..., :0]]
    return others[rng.integers(len(others))]


def rearranged(content, rng):
    """Return a whole file with some of what it holds changed."""
    plain, arrays = decode_state(content)
    kept = {"optimizer": plain.pop("optimizer")}  # what it should hold, only the optimizer knows, and not before a step
    if rng.random() < 0.5:
        return encode_state(CheckpointState(other_value(plain, rng) | kept, arrays))
    name = str(rng.choice([name for name in arrays if not name.startswith("optimizer/")]))
    if rng.random() < 0.2:
        return encode_state(CheckpointState(plain | kept, {key: value for key, value in arrays.items() if key != name}))
    return encode_state(CheckpointState(plain | kept, arrays | {name: other_array(arrays[name], rng)}))


MUTATIONS = {
    "file": mutated,
    "payload": lambda content, rng: reseal(content, payload=mutated(content[HEAD:], rng)),
    "content": rearranged,
}


def untranslatable_error(read, content):
    """Return whether reading is refused, after checking that it is quick, small and in the right way."""
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


@pytest.fixture(scope="module")
def checkpoint(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "fit"
    quick(checkpoint=path, hidden_layer_sizes=(3,), max_epochs=1).fit(small)
    return path.read_bytes()


TIERS = [N_QUICK, pytest.param(N_SLOW, marks=pytest.mark.slow)]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("n", TIERS)
@pytest.mark.parametrize("kind", ["file", "payload"])
def test_mutated_checkpoints_are_refused(kind, n, checkpoint):
    rng = np.random.default_rng(n)
    n_refused = sum(untranslatable_error(decode_state, MUTATIONS[kind](checkpoint, rng)) for _ in range(n))
    assert n_refused > (0.99 if kind == "file" else 0.9) * n  # names of arrays stand in the file more than once


@pytest.mark.parametrize("n", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_a_fit_from_wrong_content_is_refused_or_runs(n, checkpoint, small, tmp_path):
    rng, path = np.random.default_rng(n), tmp_path / "fit"
    n_refused = 0
    for _ in range(n):
        path.write_bytes(rearranged(checkpoint, rng))
        model = quick(checkpoint=path, resume=True, hidden_layer_sizes=(3,), max_epochs=1)
        with warnings.catch_warnings(action="ignore"):  # numbers may be anything
            try:
                model.fit(small)
            except (ValueError, OSError):
                n_refused += 1
                assert not hasattr(model, "module_")
    assert n_refused > n / 3


def npz(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(shape, descr="<f4", data=b"", order=False):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": order, "descr": descr})
    return stream.getvalue() + data


def text(value):
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return npy((len(content),), "|u1", content)


HOSTILE = {
    "huge": {"a.npy": npy((10**6, 10**6))},
    "huge in one dimension": {"a.npy": npy((2**62,), "|u1")},
    "beyond integers": {"a.npy": npy((10**30, 10**30))},
    "negative": {"a.npy": npy((-1, -8), "|u1", bytes(8))},
    "empty entries": {"a.npy": npy((10**12,), "|V0")},
    "objects": {"a.npy": npy((1,), "|O", bytes(8))},
    "structured": {"a.npy": npy((1,), [("a", "<f4")], bytes(4))},
    "no array": {"a.npy": b"text"},
    "nested": {"plain.npy": text(b"[" * 100_000)},
    "long number": {"plain.npy": text(b"1" * 100_000)},
    "not text": {"plain.npy": text(b"\xff\xfe")},
    "a list": {"plain.npy": text([])},
    "nothing": {},
    "deep head": {"a.npy": b"\x93NUMPY\x01\x00\xf0\x0f" + b"(" * 4080},
    "newer head": {"a.npy": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little")},
}


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_payloads_are_refused(name, checkpoint):
    assert untranslatable_error(decode_state, reseal(checkpoint, payload=npz(HOSTILE[name])))


@pytest.mark.usefixtures("traced")
def test_an_archive_that_unpacks_to_much_is_refused(checkpoint):
    payload = npz({"a.npy": npy((2**26,), "|u1", bytes(2**26))}, zipfile.ZIP_DEFLATED)
    assert untranslatable_error(decode_state, reseal(checkpoint, payload=payload))


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("n", TIERS)
def test_mutated_idx_files_are_refused(n, tmp_path):
    rng, path = np.random.default_rng(n), tmp_path / "idx.gz"
    array = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    file = _IdxFile("idx.gz", array.shape, "0" * 32)
    content = bytes([0, 0, 8, 3]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    packed = gzip.compress(content, mtime=0)

    def read(changed):
        path.write_bytes(changed)
        _read_idx(path, file)

    for i in range(n):
        changed = gzip.compress(mutated(content, rng)) if i % 2 else mutated(packed, rng)
        assert untranslatable_error(read, changed)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (9, 28, 28), (0, 0, 0)])
def test_an_idx_file_is_read_no_further_than_it_should_go(shape, tmp_path):
    path = tmp_path / "idx.gz"
    header = bytes([0, 0, 8, 3]) + np.array(shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(2**26)))
    assert untranslatable_error(lambda _: _read_idx(path, _IdxFile("idx.gz", (9, 28, 28), "")), b"")
