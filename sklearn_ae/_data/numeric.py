"""Checks that data holds numbers, in any container: errors name columns of dates, text and other objects."""

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import numpy as np
from sklearn import get_config

from sklearn_ae._data.columns import column_list

__all__ = ["check_numeric", "column_names", "numeric", "two_dimensional"]

NUMBERS = (np.number, np.bool_, bool, int, float)
TEXT = (str, bytes)
DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


def numeric(X: Any) -> Any:
    """Return X after :func:`check_numeric`, a list as an array.

    Raises
    ------
    TypeError
        If X is an array of a library other than NumPy and torch, and scikit-learn's dispatch to it is on.
    """
    library = type(X).__module__.partition(".")[0]
    if get_config()["array_api_dispatch"] and hasattr(X, "__array_namespace__") and not isinstance(X, np.ndarray):
        raise TypeError(
            f"X is an array of {library}, but with array_api_dispatch=True AutoencoderTransformer accepts only "
            "NumPy arrays and torch tensors: pass torch.from_dlpack(X) or numpy.asarray(X)."
        )
    if isinstance(X, (list, tuple)):
        try:
            array = np.asarray(X)
            if array.dtype.kind in "biufc":
                return array
            X = np.asarray(X, dtype=object)  # in which text does not turn the numbers next to it into text
        except ValueError:  # of a ragged list, which is left to scikit-learn's validation
            return X
    check_numeric(X)
    return X


def two_dimensional(X: Any) -> Any:
    """Return samples, after checking that they are not images or other arrays of more than two dimensions.

    Raises
    ------
    ValueError
        If there are more than two.
    """
    shape = getattr(X, "shape", ())
    if len(shape) > 2:
        raise ValueError(
            f"Found array with dim {len(shape)}, while dim <= 2 is required by AutoencoderTransformer: X has shape "
            f"{tuple(shape)}. Pass each image or window as one row, X.reshape(len(X), -1). For convolutions, "
            "sklearn_ae.networks.ConvAutoencoder takes the image_shape of such rows: see docs/extending.md."
        )
    return X


def check_numeric(X: Any) -> None:
    """Raise an error that names the columns of an array or a frame that do not hold real numbers.

    Objects that are numbers are accepted, and None for missing ones. What is neither an array nor a frame is left to
    scikit-learn's validation, and so are complex numbers and structured arrays.

    Raises
    ------
    ValueError
        If there are dates, durations or text, also text that could be read as numbers.
    TypeError
        If there are other objects that are not numbers.
    """
    text, dates = [], []
    all_names = column_names(X)
    names = np.array(all_names) if all_names and all(isinstance(name, str) for name in all_names) else None
    for j, column in _suspect_columns(X):
        types = _types(column)
        if any(issubclass(kind, TEXT) for kind in types):
            text.append(j)
        elif any(issubclass(kind, DATES) for kind in types):
            dates.append(j)
        else:
            _check_objects(column, types, column_list([j], names))
    messages = []
    if text:
        messages.append(
            f"X holds text in {column_list(text, names)}: encode categories with sklearn_ae.preprocessing.FrameEncoder "
            "or sklearn.preprocessing.OneHotEncoder, and convert numbers stored as text with astype(float). "
            "See docs/guide/frames.md."
        )
    if dates:
        messages.append(
            f"X holds dates or durations in {column_list(dates, names)}: convert them to numbers first, for example to "
            "days with (dates - start) / numpy.timedelta64(1, 'D') or durations / numpy.timedelta64(1, 'D'). See "
            "docs/guide/frames.md."
        )
    if messages:
        raise ValueError(" ".join(messages))


def column_names(X: Any) -> list[Any]:
    """Return the names of the columns of a frame, an empty list for anything else."""
    attribute = next((name for name in ("column_names", "columns") if hasattr(type(X), name)), None)
    return [] if attribute is None else list(getattr(X, attribute))


def _suspect_columns(X: Any) -> Iterator[tuple[int, Any]]:
    """Yield the indices of columns that may hold values other than numbers, and the columns."""
    if isinstance(X, np.ndarray):
        if X.ndim == 2 and X.dtype.kind not in "biufcV":
            yield from enumerate(X.T)
    elif hasattr(X, "iloc") and X.ndim == 2:
        yield from ((j, X.iloc[:, j]) for j, dtype in enumerate(X.dtypes) if not _is_number(dtype.type))
    elif hasattr(X, "get_columns"):  # polars
        yield from enumerate(X.get_columns())
    elif hasattr(X, "column_names"):  # pyarrow
        yield from enumerate(X.columns)


def _is_number(kind: Any) -> bool:
    return issubclass(kind, NUMBERS) and not issubclass(kind, DATES)


def _types(column: Any) -> set[type]:
    """Return the types of the entries of a column, or the type of its numbers, text or dates."""
    dtype = getattr(column, "dtype", None)
    kind = getattr(dtype, "type", None) or np.asarray(column[:0]).dtype.type
    if issubclass(kind, (*NUMBERS, *TEXT, *DATES)):
        return {kind}
    values = np.asarray(column)
    return set(map(type, values)) if values.dtype.kind == "O" else {values.dtype.type}


def _check_objects(column: Any, types: set[type], name: str) -> None:
    """Raise a TypeError if objects of a type cannot be converted to floats."""
    for kind in types:
        if kind is type(None) or _is_number(kind):
            continue
        value: Any = next(value for value in np.asarray(column) if type(value) is kind)
        try:
            float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"X holds objects that are not real numbers in {name}: {error}.") from error
