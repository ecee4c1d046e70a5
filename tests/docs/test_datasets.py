"""fetch_mnist, on the real files if they are present and on tiny substitutes."""

import gzip
import hashlib
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_ae import datasets
from sklearn_ae.datasets import fetch_mnist

IMAGES = "train-images-idx3-ubyte.gz"


class Substitute:
    """Four tiny idx files with their checksums, and the three folders that are searched for them."""

    def __init__(self, root, monkeypatch):
        rng = np.random.default_rng(0)
        files, self.arrays, self.packed = {}, {}, {}
        for key, real in datasets._FILES.items():
            shape = (6 if "test" in key else 9, *real.shape[1:])
            array = rng.integers(0, 256 if len(shape) > 1 else 10, shape, dtype=np.uint8)
            file = datasets._IdxFile(real.name, shape, "")
            content = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes() + array.tobytes()
            files[key] = file._replace(md5=hashlib.md5(content).hexdigest())
            self.arrays[key] = array
            self.packed[real.name] = gzip.compress(content)
        monkeypatch.setattr(datasets, "_FILES", files)
        monkeypatch.setenv("SKLEARN_AE_DATA", str(root / "environment"))
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(root / "cache"))
        monkeypatch.setattr(datasets, "_MIRROR", "http://127.0.0.1:9/")  # no server there
        monkeypatch.setenv("no_proxy", "*")
        self.folders = [root / "home", root / "environment", root / "cache/mnist"]

    def put(self, folder, **changed):
        folder.mkdir(parents=True, exist_ok=True)
        for name, packed in (self.packed | changed).items():
            (folder / name).write_bytes(packed)


@pytest.fixture
def substitute(tmp_path, monkeypatch):
    return Substitute(tmp_path, monkeypatch)


@pytest.fixture
def mirror(substitute, monkeypatch):
    """Serve ``mirror.files`` on the loopback interface, and list the names requested in ``mirror.requested``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/mnist/")
            server.requested.append(name)
            found = name in server.files
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(server.files.get(name, b""))

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.requested = dict(substitute.packed), []
    monkeypatch.setattr(datasets, "_MIRROR", f"http://127.0.0.1:{server.server_port}/mnist/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_mnist_has_the_published_properties(mnist):
    assert mnist.data.shape == (60000, 784)
    assert mnist.data_test.shape == (10000, 784)
    assert mnist.data.dtype == mnist.data_test.dtype == np.float32
    assert (mnist.data.min(), mnist.data.max()) == (0, 1)
    assert mnist.data.mean() == pytest.approx(0.1307, abs=1e-4)
    assert_array_equal(mnist.target[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    assert_array_equal(mnist.target_test[:5], [7, 2, 1, 0, 4])
    assert_array_equal(np.unique(mnist.target), mnist.target_names)
    assert len(mnist.feature_names) == 784
    assert "60,000" in mnist.DESCR


def test_arrays_are_the_files_content(substitute):
    home = substitute.folders[0]
    substitute.put(home)
    raw, scaled = fetch_mnist(home, dtype="uint8"), fetch_mnist(home)
    for key, array in substitute.arrays.items():
        if key.startswith("target"):
            assert_array_equal(scaled[key], array)
            assert scaled[key].dtype == np.int64
            continue
        assert_array_equal(raw[key].reshape(-1, *raw.image_shape), array)
        assert raw[key].dtype == np.uint8
        assert_array_equal(scaled[key], raw[key].astype(np.float32) / np.float32(255))
        assert scaled[key].dtype == np.float32
        assert raw[key].flags.writeable
        assert scaled[key].flags.writeable
    row = raw.feature_names.index("pixel_3_5")
    assert_array_equal(raw.data[:, row], substitute.arrays["data"][:, 3, 5])


def test_return_X_y_reads_the_training_files_only(substitute):
    home = substitute.folders[0]
    substitute.put(home)
    expected = fetch_mnist(home)
    (home / "t10k-images-idx3-ubyte.gz").unlink()
    X, y = fetch_mnist(home, return_X_y=True)
    assert_array_equal(X, expected.data)
    assert_array_equal(y, expected.target)


@pytest.mark.parametrize("first", range(3))
def test_first_folder_that_has_a_file_wins(substitute, first):
    for folder in substitute.folders[first:]:
        substitute.put(folder)
    home = substitute.folders[0]
    assert_array_equal(fetch_mnist(home).target, substitute.arrays["target"])
    substitute.put(substitute.folders[first], **{IMAGES: b"altered"})
    with pytest.raises(ValueError, match="cannot be used") as error:
        fetch_mnist(home)
    assert str(substitute.folders[first] / IMAGES) in str(error.value)


def test_without_data_home_the_environment_variable_is_first(substitute):
    substitute.put(substitute.folders[0], **{IMAGES: b"altered"})
    substitute.put(substitute.folders[1])
    assert_array_equal(fetch_mnist().target, substitute.arrays["target"])


def _repack(packed, change):
    return gzip.compress(change(gzip.decompress(packed)))


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        pytest.param(lambda p: p[:-20], "not a complete gzip file", id="truncated"),
        pytest.param(lambda p: b"", "unpacks to 0 bytes, expected 7072", id="empty"),
        pytest.param(gzip.decompress, "not a complete gzip file", id="unpacked"),
        pytest.param(
            lambda p: p[:200] + bytes([p[200] ^ 1]) + p[201:],
            r"not a complete gzip file|md5",
            id="bit flipped in the archive",
        ),
        pytest.param(
            lambda p: _repack(p, lambda c: c[:-1] + bytes([c[-1] ^ 1])),
            "md5 checksum of its content is .{32}, expected .{32}",
            id="one pixel changed",
        ),
        pytest.param(
            lambda p: _repack(p, lambda c: c[:-1]),
            "unpacks to 7071 bytes, expected 7072",
            id="short",
        ),
        pytest.param(
            lambda p: _repack(p, lambda c: c + b"\0"),
            "unpacks to more bytes, expected 7072",
            id="long",
        ),
        pytest.param(
            lambda p: _repack(p, lambda c: c[:7] + b"\1" + c[8:]),
            "md5 checksum of its content is .{32}, expected .{32}",
            id="other shape",
        ),
    ],
)
def test_altered_file_raises_an_error_that_names_it(substitute, alter, reason):
    home = substitute.folders[0]
    substitute.put(home, **{IMAGES: alter(substitute.packed[IMAGES])})
    with pytest.raises(ValueError, match=reason) as error:
        fetch_mnist(home)
    assert str(home / IMAGES) in str(error.value)
    assert "replace it, or delete it" in str(error.value)


def test_a_file_that_unpacks_to_gigabytes_is_not_read_into_memory(substitute):
    home = substitute.folders[0]
    bomb = _repack(substitute.packed[IMAGES], lambda content: content + bytes(10**8))
    substitute.put(home, **{IMAGES: bomb})
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more"):
        fetch_mnist(home)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_absent_file_is_named_with_the_folders_searched(substitute):
    with pytest.raises(FileNotFoundError, match=IMAGES) as error:
        fetch_mnist(substitute.folders[0], download_if_missing=False)
    for folder in substitute.folders:
        assert str(folder) in str(error.value)
    assert "SKLEARN_AE_DATA" in str(error.value)


def test_the_error_of_a_failed_download_names_the_folders(substitute):
    with pytest.raises(OSError, match=rf"{IMAGES} of MNIST is in none of .*downloading it failed"):
        fetch_mnist()
    assert list(substitute.folders[-1].iterdir()) == []


def test_downloads_once_into_the_cache(substitute, mirror):
    for _ in range(2):
        assert_array_equal(fetch_mnist().target_test, substitute.arrays["target_test"])
    assert sorted(mirror.requested) == sorted(substitute.packed)
    assert sorted(path.name for path in substitute.folders[-1].iterdir()) == sorted(substitute.packed)


def test_downloads_what_is_missing_into_data_home(substitute, mirror):
    home = substitute.folders[0]
    substitute.put(home)
    (home / IMAGES).unlink()
    assert_array_equal(fetch_mnist(home).target, substitute.arrays["target"])
    assert mirror.requested == [IMAGES]
    assert (home / IMAGES).read_bytes() == substitute.packed[IMAGES]


@pytest.mark.parametrize("alter", [lambda p: p[:-20], lambda p: b"<html>"], ids=["truncated", "a web page"])
def test_altered_download_raises_an_error_and_is_not_kept(substitute, mirror, alter):
    mirror.files[IMAGES] = alter(mirror.files[IMAGES])
    with pytest.raises(OSError, match=f"http://.*/{IMAGES} sent another file: it is not a complete gzip file"):
        fetch_mnist()
    assert list(substitute.folders[-1].iterdir()) == []


@pytest.mark.parametrize("dtype", ["float64", "float33", None, int])
def test_other_dtypes_raise_an_error(dtype):
    with pytest.raises(ValueError, match="dtype must be 'float32'"):
        fetch_mnist(dtype=dtype)
