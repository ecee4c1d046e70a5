"""A file that is not an intact checkpoint, or stores the state of another network, raises a ValueError."""

import io
import pickle

import numpy as np
import pytest
from helpers import quick, reseal

from sklearn_ae._checkpoints.format import FORMAT, CheckpointState, decode_state, encode_state


@pytest.fixture(scope="module")
def content(small, tmp_path_factory):
    """Return the content of a small checkpoint."""
    path = tmp_path_factory.mktemp("format") / "fit"
    fit_small(path, small)
    return path.read_bytes()


def fit_small(path, X, **params):
    return quick(checkpoint=path, hidden_layer_sizes=(3,), max_epochs=1, **params).fit(X)


def is_rejected(content):
    try:
        decode_state(content)
    except ValueError:
        return True
    return False


def test_each_truncated_file_raises(content):
    assert all(is_rejected(content[:n_bytes]) for n_bytes in range(len(content)))


def test_each_file_with_a_flipped_bit_raises(content):
    for i, bit in enumerate(np.random.default_rng(0).integers(8, size=len(content))):
        flipped = bytearray(content)
        flipped[i] ^= 1 << bit
        assert is_rejected(bytes(flipped)), i


def test_each_file_with_foreign_bytes_raises(content):
    rng = np.random.default_rng(0)
    for _ in range(500):
        i, n_bytes = int(rng.integers(len(content) + 1)), int(rng.integers(1, 40))
        inserted = content[:i] + rng.bytes(n_bytes) + content[i:]
        assert is_rejected(inserted)
        assert i == len(content) or is_rejected(content[:i] + content[i + n_bytes :])


@pytest.mark.parametrize(
    "foreign", [b"", b"my thesis", b"PK\x03\x04", pickle.dumps({})], ids=["empty", "text", "zip", "pickle"]
)
def test_a_foreign_file_raises(foreign):
    with pytest.raises(ValueError, match="it is not a checkpoint of sklearn-ae"):
        decode_state(foreign)


def test_another_format_raises_and_names_it(content):
    assert not is_rejected(reseal(content, version=FORMAT))
    with pytest.raises(
        ValueError, match=f"format {FORMAT + 1}, written by a newer sklearn-ae; this version reads format {FORMAT}"
    ):
        decode_state(reseal(content, version=FORMAT + 1))


RUN = []


class RunsCode:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return RUN.append, (1,)


def test_a_file_never_runs_code(content):
    stream = io.BytesIO()
    np.savez(stream, plain=np.array([RunsCode()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        decode_state(reseal(content, payload=stream.getvalue()))
    assert RUN == []


def other_arrays(array):
    """Yield arrays of another shape or dtype, like those of a changed module."""
    yield array.ravel()[:-1]
    yield array[None]
    yield array.astype(np.float16)


def without(mapping, name):
    return {key: value for key, value in mapping.items() if key != name}


def test_the_state_of_another_network_raises(content, small, tmp_path):
    state, path = decode_state(content), tmp_path / "fit"
    names = [name for name in state.arrays if name.startswith(("module/", "best/", "average/"))]
    assert {name.split("/")[0] for name in names} == {"module", "best", "average"}
    changed = [state.arrays | {name: array} for name in names for array in other_arrays(state.arrays[name])]
    for arrays in changed + [without(state.arrays, name) for name in names]:
        path.write_bytes(encode_state(CheckpointState(state.plain, arrays)))
        with pytest.raises(ValueError, match="does not fit the network"):
            fit_small(path, small, resume=True)


@pytest.mark.parametrize("name", ["progress", "choice", "history", "optimizer", "groups", "average"])
def test_an_incomplete_state_raises(name, content, small, tmp_path):
    state, path = decode_state(content), tmp_path / "fit"
    path.write_bytes(encode_state(CheckpointState(without(state.plain, name), state.arrays)))
    with pytest.raises(ValueError, match="does not fit the network"):
        fit_small(path, small, resume=True)
