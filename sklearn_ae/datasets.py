"""MNIST, read from disk or downloaded, and verified before it is used."""

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
    """A gzipped array of bytes in idx format; ``size`` and ``md5`` are those of the unpacked file."""

    name: str
    shape: tuple[int, ...]
    md5: str

    @property
    def header_size(self) -> int:
        return 4 + 4 * len(self.shape)

    @property
    def size(self) -> int:
        return self.header_size + int(np.prod(self.shape))


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
256 grey levels, white (255) ink on black (0), each digit centred by its centre
of mass. LeCun, Cortes and Burges derived them from two NIST collections. No
writer of test images wrote any of the training images.

    Classes                       10
    Training samples          60,000
    Test samples              10,000
    Features                     784 (pixels, row by row)

LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning
applied to document recognition. Proceedings of the IEEE 86, 2278-2324.
"""


def fetch_mnist(
    data_home: str | os.PathLike[str] | None = None,
    *,
    dtype: Any = "float32",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load the MNIST handwritten digits: 60,000 training and 10,000 test images.

    Each of the four gzipped idx files (``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``,
    ``t10k-images-idx3-ubyte.gz``, ``t10k-labels-idx1-ubyte.gz``) is read from the first of these folders that has it:

    1. `data_home`,
    2. the folder named by the environment variable ``SKLEARN_AE_DATA``,
    3. ``mnist`` in scikit-learn's cache (:func:`sklearn.datasets.get_data_home`).

    A file found in none of them is downloaded to `data_home` or, by default, to the cache. Every call verifies the
    checksums of all files that it reads.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that contains the files, or to download them to.
    dtype : {"float32", "uint8"}, default="float32"
        Type of the pixels: ``"float32"`` scales them to [0, 1], ``"uint8"`` keeps the stored values, 0 to 255.
    download_if_missing : bool, default=True
        If False, raise an error instead of downloading a missing file.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch: the 60,000 training images and their labels. The test
        images are only in the Bunch.

    Returns
    -------
    mnist : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : ndarray of shape (60000, 784) and type `dtype`
            Training images, one per row, pixels row by row.
        target : ndarray of shape (60000,), int64
            The digit on each training image, 0 to 9.
        data_test : ndarray of shape (10000, 784) and type `dtype`
            Test images.
        target_test : ndarray of shape (10000,), int64
            The digit on each test image.
        feature_names : list of 784 str
            ``pixel_{row}_{column}``.
        target_names : ndarray of shape (10,), int64
            The classes, 0 to 9.
        image_shape : (28, 28)
            Height and width: ``data[0].reshape(mnist.image_shape)`` is an image.
        DESCR : str
            Description of the data.

    (data, target) : tuple if ``return_X_y=True``
        The training data and labels.

    Raises
    ------
    ValueError
        If a file is truncated, altered or not the one that its name says, or `dtype` is neither of the two.
    OSError
        If a file is missing and cannot be downloaded.

    Examples
    --------
    >>> from sklearn_ae.datasets import fetch_mnist
    >>> mnist = fetch_mnist()  # doctest: +SKIP
    >>> mnist.data.shape, mnist.data_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    """
    dtype = _check_dtype(dtype)
    names = ["data", "target"] if return_X_y else list(_FILES)
    arrays = {name: _load(_FILES[name], data_home, download_if_missing) for name in names}
    for name, array in arrays.items():
        arrays[name] = _pixels(array, dtype) if name.startswith("data") else array.astype(np.int64)
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


def _load(file: _IdxFile, data_home: str | os.PathLike[str] | None, download_if_missing: bool) -> np.ndarray:
    searched = []
    for folder in _folders(data_home):
        path = folder / file.name
        if path.is_file():
            try:
                return _read_idx(path, file)
            except ValueError as error:
                raise ValueError(
                    f"{path} cannot be used: {error}. It is truncated, altered or not a file of MNIST: replace it, or "
                    "delete it to have it downloaded."
                ) from error
        searched.append(folder)
    absent = f"{file.name} of MNIST is in none of {', '.join(map(str, searched))}"
    remedy = (
        "Put the four gzipped MNIST files into one folder and pass it as data_home, or set the environment variable "
        "SKLEARN_AE_DATA to it."
    )
    if not download_if_missing:
        raise FileNotFoundError(f"{absent}, and download_if_missing=False. {remedy}")
    try:
        return _download(file, searched[-1 if data_home is None else 0])
    except (OSError, HTTPException) as error:
        raise OSError(f"{absent}, and downloading it failed: {error}. {remedy}") from error


def _folders(data_home: str | os.PathLike[str] | None) -> Iterator[Path]:
    for folder in (data_home, os.environ.get("SKLEARN_AE_DATA") or None):
        if folder is not None:
            yield Path(folder).expanduser()
    yield Path(get_data_home()) / "mnist"  # last: get_data_home creates the cache


def _download(file: _IdxFile, folder: Path) -> np.ndarray:
    """Download a file to a folder, where it appears once it is complete and verified, and return its array."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / file.name
        with urlopen(_MIRROR + file.name, timeout=_TIMEOUT) as response:
            path.write_bytes(response.read(file.size + 2**16))  # gzip adds less than that
        try:
            array = _read_idx(path, file)
        except ValueError as error:
            raise OSError(f"{_MIRROR}{file.name} sent another file: {error}") from error
        path.replace(folder / file.name)
    return array


def _read_idx(path: Path, file: _IdxFile) -> np.ndarray:
    """Unpack and verify a file, reading at most one byte more than it should have."""
    try:
        with gzip.open(path) as stream:
            content = stream.read(file.size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is not a complete gzip file ({error})") from error
    if len(content) != file.size:
        found = f"{len(content)}" if len(content) < file.size else "more"
        raise ValueError(f"it unpacks to {found} bytes, expected {file.size}")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise ValueError(f"the md5 checksum of its content is {md5}, expected {file.md5}")
    return np.frombuffer(content, np.uint8, offset=file.header_size).reshape(file.shape)
