"""MNIST, found on disk or downloaded, and verified before it is used."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

__all__ = ["fetch_mnist"]

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_TIMEOUT = 30  # seconds without an answer
_IMAGE_SHAPE = (28, 28)


class _IdxFile(NamedTuple):
    """A gzipped array of bytes in idx format; `md5` is that of the unpacked file."""

    name: str
    shape: tuple[int, ...]
    md5: str

    @property
    def header(self) -> bytes:
        """Two zeros, the type code of unsigned bytes (8), the dimensions, big-endian sizes."""
        return bytes([0, 0, 8, len(self.shape)]) + np.array(self.shape, ">u4").tobytes()

    @property
    def size(self) -> int:
        return len(self.header) + int(np.prod(self.shape))


_FILES = {
    "data": _IdxFile("train-images-idx3-ubyte.gz", (60000, *_IMAGE_SHAPE), "6bbc9ace898e44ae57da46a324031adb"),
    "target": _IdxFile("train-labels-idx1-ubyte.gz", (60000,), "a25bea736e30d166cdddb491f175f624"),
    "data_test": _IdxFile("t10k-images-idx3-ubyte.gz", (10000, *_IMAGE_SHAPE), "2646ac647ad5339dbf082846283269ea"),
    "target_test": _IdxFile("t10k-labels-idx1-ubyte.gz", (10000,), "27ae3e4e09519cfbb04c329615203637"),
}

_DESCR = """\
MNIST handwritten digits
------------------------

60,000 training and 10,000 test images of the digits 0 to 9, 28 x 28 pixels of
256 grey levels, black (0) behind white (255) ink, each digit centred by its
mass. LeCun, Cortes and Burges derived them from two collections of NIST; the
writers of the test images wrote none of the training images.

    Classes                       10
    Training rows             60,000
    Test rows                 10,000
    Features                     784 (pixels, row by row)

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
to document recognition", Proceedings of the IEEE 86 (11), 2278-2324, 1998.
"""


def fetch_mnist(
    data_home: str | os.PathLike[str] | None = None,
    *,
    dtype: Any = "float32",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load the MNIST handwritten digits, 60,000 to train on and 10,000 to test on.

    Each of the four gzipped idx files (`train-images-idx3-ubyte.gz`,
    `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz`,
    `t10k-labels-idx1-ubyte.gz`) is taken from the first of these folders that has it:

    1. `data_home`,
    2. the one named by the environment variable `SKLEARN_AE_DATA`,
    3. `../shared/data/mnist` beside the checkout of this package,
    4. `mnist` in scikit-learn's cache (:func:`sklearn.datasets.get_data_home`).

    If none has it, it is downloaded into `data_home` or, without one, into the
    cache. Wherever a file comes from, its content is verified at every call.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds the files, or that should hold them after a download.

    dtype : {"float32", "uint8"}, default="float32"
        Type of the pixels: `float32` scales them to [0, 1], `uint8` leaves them as
        they are stored, 0 to 255.

    download_if_missing : bool, default=True
        If False, a file found nowhere is an error and nothing is downloaded.

    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a Bunch: the 60,000 training rows
        and their labels. The test rows are only in the Bunch.

    Returns
    -------
    mnist : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (60000, 784) and type `dtype`
            Training images, one a row, pixels row by row.
        target : ndarray of shape (60000,), int64
            The digit on each training image, 0 to 9.
        data_test : ndarray of shape (10000, 784) and type `dtype`
            Test images.
        target_test : ndarray of shape (10000,), int64
            The digit on each test image.
        feature_names : list of 784 str
            `pixel_{row}_{column}`.
        target_names : ndarray of shape (10,), int64
            The classes, 0 to 9.
        image_shape : (28, 28)
            Height and width: `data[0].reshape(mnist.image_shape)` is an image.
        DESCR : str
            Description of the data.

    (data, target) : tuple if `return_X_y=True`
        The training part of the above.

    Raises
    ------
    ValueError
        If a file is truncated, altered or another one than its name says, or if
        `dtype` is neither of the two.
    OSError
        If a file is found nowhere and cannot be downloaded.

    Examples
    --------
    >>> from sklearn_ae.datasets import fetch_mnist
    >>> mnist = fetch_mnist()  # doctest: +SKIP
    >>> mnist.data.shape, mnist.data_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    """
    dtype = _check_dtype(dtype)
    home = None if data_home is None else Path(data_home).expanduser()
    wanted = ["data", "target"] if return_X_y else list(_FILES)
    arrays = {}
    for key in wanted:
        path = _find(_FILES[key], home, download_if_missing)
        array = _load(path, _FILES[key])
        arrays[key] = _pixels(array, dtype) if key.startswith("data") else array.astype(np.int64)
    if return_X_y:
        return arrays["data"], arrays["target"]
    height, width = _IMAGE_SHAPE
    return Bunch(
        **arrays,
        feature_names=[f"pixel_{i}_{j}" for i in range(height) for j in range(width)],
        target_names=np.arange(10),
        image_shape=_IMAGE_SHAPE,
        DESCR=_DESCR,
    )


def _check_dtype(dtype: Any) -> np.dtype:
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = None
    if dtype is None or checked not in (np.dtype(np.float32), np.dtype(np.uint8)):
        raise ValueError(f"dtype must be 'float32' (pixels in [0, 1]) or 'uint8' (0 to 255), got {dtype!r}.")
    return checked


def _pixels(images: np.ndarray, dtype: np.dtype) -> np.ndarray:
    rows = images.reshape(len(images), -1)
    return rows.copy() if dtype == np.uint8 else np.divide(rows, 255, dtype=np.float32)


def _cache() -> Path:
    return Path(get_data_home()) / "mnist"


def _folders(data_home: Path | None) -> Iterator[Path]:
    if data_home is not None:
        yield data_home
    if os.environ.get("SKLEARN_AE_DATA"):
        yield Path(os.environ["SKLEARN_AE_DATA"]).expanduser()
    yield Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
    yield _cache()


def _find(file: _IdxFile, data_home: Path | None, download_if_missing: bool) -> Path:
    searched = []
    for folder in _folders(data_home):  # lazily: asking for the cache creates it
        if (folder / file.name).is_file():
            return folder / file.name
        searched.append(str(folder))
    absent = f"{file.name} of MNIST is in none of {', '.join(searched)}"
    remedy = (
        "Put the four gzipped MNIST files into one folder and pass it as data_home or "
        "set the environment variable SKLEARN_AE_DATA to it."
    )
    if not download_if_missing:
        raise FileNotFoundError(f"{absent}, and download_if_missing=False. {remedy}")
    try:
        return _download(file, _cache() if data_home is None else data_home)
    except (OSError, HTTPException) as error:
        raise OSError(f"{absent}, and downloading it failed: {error}. {remedy}") from error


def _download(file: _IdxFile, folder: Path) -> Path:
    """Fetch `file` into `folder`, where it appears complete and verified or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    url = _MIRROR + file.name
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / file.name
        with urlopen(url, timeout=_TIMEOUT) as response:
            path.write_bytes(response.read(file.size + 2**16))  # gzip adds less than that
        try:
            _read_idx(path, file)
        except ValueError as error:
            raise OSError(f"what {url} sent is refused: {error}") from error
        return path.replace(folder / file.name)


def _load(path: Path, file: _IdxFile) -> np.ndarray:
    try:
        return _read_idx(path, file)
    except ValueError as error:
        raise ValueError(
            f"{path} is refused: {error}. It is truncated, altered or of another data set "
            "than MNIST: replace it, or delete it to have it downloaded."
        ) from error


def _read_idx(path: Path, file: _IdxFile) -> np.ndarray:
    """Unpack and verify; never more than one byte beyond the size that is right."""
    try:
        with gzip.open(path) as stream:
            content = stream.read(file.size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"not a complete gzip file ({error})") from error
    header = content[: len(file.header)]
    if header != file.header:
        raise ValueError(
            f"its idx header is '{header.hex(' ', 4)}', expected '{file.header.hex(' ', 4)}', "
            f"unsigned bytes of shape {file.shape}"
        )
    if len(content) != file.size:
        found = f"{len(content)}" if len(content) < file.size else "more"
        raise ValueError(f"it unpacks to {found} bytes, expected {file.size}")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise ValueError(f"the md5 of its content is {md5}, expected {file.md5}")
    return np.frombuffer(content, np.uint8, offset=len(file.header)).reshape(file.shape)
