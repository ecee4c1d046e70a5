"""Columns of pandas frames, polars frames and arrays: their values, gaps and dtypes, and frames made of values."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

__all__ = ["Column", "Dtype", "Frame", "build_frame", "fill_gaps", "read_frame"]

#: A dtype in plain values, so that a fitted estimator can be saved without the library of its frame: ``name``, and for
#: categories ``levels`` and ``ordered``.
Dtype = dict[str, Any]


class Column(NamedTuple):
    """A column: its values, float64 with NaN or objects, which of them are missing, and its dtype."""

    values: np.ndarray
    gaps: np.ndarray
    dtype: Dtype

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype != object


class Frame(NamedTuple):
    """A frame, or an array as a frame without labels."""

    container: str  # "pandas", "polars" or "array"
    labels: list[Any]
    columns: list[Column]
    X: Any  # the frame, or the checked array

    @property
    def names(self) -> list[str]:
        """Names of the columns as scikit-learn gives them: x0, x1, ... unless all labels are strings."""
        named = self.labels and all(isinstance(label, str) for label in self.labels)
        return self.labels if named else [f"x{i}" for i in range(len(self.columns))]


def read_frame(X: Any, owner: str) -> Frame:
    """Return the columns of a frame or an array.

    Raises
    ------
    ValueError
        If a column is of dates or other values that are neither numbers, booleans, strings nor categories, or holds
        infinity, or if two columns have the same label.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    read: Callable[[Any], Column | None]
    if pandas is not None and isinstance(X, pandas.DataFrame):
        container, labels, read = "pandas", X.columns.tolist(), _read_pandas
        parts = [X.iloc[:, i] for i in range(len(labels))]
    elif polars is not None and isinstance(X, polars.DataFrame):
        container, labels, read, parts = "polars", X.columns, _read_polars, X.get_columns()
    else:
        if polars is not None and isinstance(X, polars.LazyFrame):
            raise TypeError(f"{owner} requires a frame in memory, but X is a polars LazyFrame: pass X.collect().")
        X, read = _checked_array(X, owner), _read_array
        container, labels, parts = "array", [f"x{i}" for i in range(X.shape[1])], list(X.T)
    repeated = [str(label) for label, n in Counter(labels).items() if n > 1]
    if repeated:
        raise ValueError(f"X has more than one column named {repeated}: rename them.")
    for what, n in zip(("sample", "feature"), (len(X), len(labels)), strict=True):
        if n < 1:
            raise ValueError(
                f"Found a frame with {n} {what}(s) (shape={X.shape}) while a minimum of 1 is required by {owner}."
            )
    columns = []
    for label, part in zip(labels, parts, strict=True):
        column = read(part)
        if column is None:
            raise ValueError(_cannot_encode(owner, label, part))
        if column.is_numeric and np.isinf(column.values).any():
            raise ValueError(
                f"Input X contains infinity in the column {label!r}. {owner} does not accept infinite values: replace "
                "them by NaN, a gap."
            )
        columns.append(column)
    return Frame(container, labels, columns, X)


def build_frame(container: str, labels: Sequence[Any], columns: Sequence[np.ndarray], dtypes: Any, like: Any) -> Any:
    """Return a frame, or an array, of columns with the given dtypes.

    Columns are float64 with NaN, or objects with None. A dtype that cannot hold gaps is replaced by one that can if
    there are any. A pandas frame has the index of `like` if that has one.
    """
    if container == "array":
        return _build_array(columns, dtypes)
    if container == "polars":
        return _polars_frame(labels, [_polars_series(*pair) for pair in zip(columns, dtypes, strict=True)])
    import pandas

    index = like.index if isinstance(like, pandas.DataFrame) else pandas.RangeIndex(len(columns[0]))
    series = [_pandas_series(column, dtype, index) for column, dtype in zip(columns, dtypes, strict=True)]
    frame = pandas.concat(series, axis=1)
    frame.columns = pandas.Index(labels)
    return frame


def fill_gaps(X: Any, filled: Any) -> Any:
    """Return a copy of X, a frame or an array, with the missing cells of `filled` (n_samples, n_features).

    Columns keep their dtypes: numbers are rounded and limited to the range of integers, and compared with 0.5 for
    booleans. Only columns without any observed cell have the dtype of `filled`.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(X, pandas.DataFrame):
        copy, values = X.copy(), filled if isinstance(filled, pandas.DataFrame) else pandas.DataFrame(filled)
        for i in range(X.shape[1]):
            if X.iloc[:, i].isna().any():
                copy.isetitem(i, _filled_pandas(X.iloc[:, i], values.iloc[:, i].set_axis(X.index)))
        return copy
    if polars is not None and isinstance(X, polars.DataFrame):
        values = filled if isinstance(filled, (np.ndarray, polars.DataFrame)) else np.asarray(filled)
        return _polars_frame(X.columns, [_filled_polars(given, values[:, i]) for i, given in enumerate(X)])
    given = np.asarray(X)
    gaps = _missing(given) if given.dtype.kind == "O" else given != given
    return np.where(gaps, filled, given).astype(given.dtype)


def _filled_pandas(given: Any, values: Any) -> Any:
    from pandas.api import types

    gaps = given.isna()
    if gaps.all():
        return values
    if isinstance(given.dtype, types.CategoricalDtype):
        given = given.cat.add_categories(sorted(set(values[gaps].dropna()) - set(given.cat.categories)))
    if types.is_float_dtype(values.dtype):
        if types.is_bool_dtype(given.dtype):
            values = values > 0.5
        elif types.is_integer_dtype(given.dtype):
            values = _whole(values.astype(np.float64), str(given.dtype))
    filled, cells = given.copy(), np.flatnonzero(gaps)
    filled.iloc[cells] = values.astype(given.dtype).array[cells]
    return filled


def _filled_polars(given: Any, values: Any) -> Any:
    import polars

    values = polars.Series(values)
    gaps = given.is_null() | given.is_nan() if given.dtype.is_float() else given.is_null()
    if gaps.all():
        return values
    if values.dtype.is_float():
        if given.dtype == polars.Boolean:
            values = values > 0.5
        elif given.dtype.is_integer():
            values = polars.Series(_whole(values.cast(polars.Float64).to_numpy(), str(given.dtype)))
    return given.zip_with(~gaps, values.cast(given.dtype)) if gaps.any() else given


def _cannot_encode(owner: str, label: Any, part: Any) -> str:
    """Return the message for a column that cannot be encoded."""
    held = f"dtype {part.dtype}"
    if held == "dtype object":
        values = np.array(part, dtype=object)
        held += f" with values of {', '.join(sorted({type(value).__name__ for value in values[~_missing(values)]}))}"
    return (
        f"{owner} cannot encode the column {label!r} of {held}: a column must hold numbers, booleans or strings, or "
        "have a categorical dtype. Turn dates and durations into numbers first, for example days since a date; drop "
        "other columns, or convert them to strings."
    )


def _missing(values: np.ndarray) -> np.ndarray:
    """Return which objects are None, NaN or pandas.NA."""
    flat = [
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, Real) and value != value)
        for value in values.ravel()
    ]
    return np.array(flat, dtype=bool).reshape(values.shape)


def _numbers(values: np.ndarray, name: Any) -> Column:
    return Column(values, np.isnan(values), {"name": str(name), "levels": None, "ordered": False})


def _levels(values: np.ndarray, name: Any, levels: list[Any] | None = None, ordered: bool = False) -> Column:
    return Column(values, _missing(values), {"name": str(name), "levels": levels, "ordered": bool(ordered)})


def _objects(values: np.ndarray, name: Any) -> Column | None:
    """Return a column of Python objects, or None if they are not of one kind."""
    gaps = _missing(values)
    types = set(map(type, values[~gaps]))
    if types and all(issubclass(t, (bool, np.bool_)) for t in types):
        return _levels(values, name, [False, True])
    if types and all(issubclass(t, Real) and not issubclass(t, (bool, np.bool_)) for t in types):
        return _numbers(np.where(gaps, np.nan, values).astype(np.float64), name)
    return _levels(values, name) if all(issubclass(t, str) for t in types) else None


def _checked_array(X: Any, owner: str) -> np.ndarray:
    settings: dict[str, Any] = {"ensure_all_finite": False, "input_name": "X", "estimator": owner}
    array = check_array(X, dtype=None, **settings)
    if array.dtype.kind in "US":  # a list of strings and numbers would be all strings
        array = check_array(X, dtype=object, **settings)
    return np.asarray(array)


def _read_array(values: np.ndarray) -> Column | None:
    if values.dtype.kind in "fiu":
        return _numbers(values.astype(np.float64), values.dtype)
    if values.dtype.kind == "b":
        return _levels(values.astype(object), values.dtype, [False, True])
    return _objects(values, values.dtype) if values.dtype == object else None


def _read_pandas(series: Any) -> Column | None:
    from pandas.api import types

    dtype = getattr(series.dtype, "subtype", series.dtype)  # of sparse columns
    if isinstance(dtype, types.CategoricalDtype):
        return _levels(series.to_numpy(object), "category", dtype.categories.tolist(), dtype.ordered)
    if types.is_bool_dtype(dtype):
        return _levels(series.to_numpy(object), dtype, [False, True])
    if types.is_numeric_dtype(dtype):
        complex_ = types.is_complex_dtype(dtype)
        return None if complex_ else _numbers(series.to_numpy(dtype=np.float64, na_value=np.nan), dtype)
    if types.is_string_dtype(dtype) or types.is_object_dtype(dtype):
        return _objects(series.to_numpy(object), dtype)
    return None


def _read_polars(series: Any) -> Column | None:
    import polars

    dtype, name = series.dtype, str(series.dtype.base_type())
    if dtype.is_float() or dtype.is_integer():
        return _numbers(series.cast(polars.Float64).to_numpy().astype(np.float64), name)
    if dtype not in (polars.Boolean, polars.String, polars.Categorical, polars.Enum, polars.Null):
        return None
    levels = [False, True] if dtype == polars.Boolean else None
    if dtype == polars.Enum:
        levels = dtype.categories.to_list()
    return _levels(np.array(series.to_list(), dtype=object), name, levels)


def _whole(values: Any, name: str) -> Any:
    """Return numbers, an array or a series, rounded and limited to the range of integers; None for other dtypes."""
    plain = name.lower().split("[")[0]
    if not plain.startswith(("int", "uint")):
        return None
    limits = np.iinfo(plain if hasattr(np, plain) else np.int64)
    greatest = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max  # 2 ** 63 would overflow
    return np.clip(np.round(values), limits.min, greatest)


def _integers(values: np.ndarray) -> list[int | None]:
    """Return whole numbers as int, and None for gaps."""
    return [None if value != value else int(value) for value in values]


def _build_array(columns: Sequence[np.ndarray], dtypes: Sequence[Dtype]) -> np.ndarray:
    """Return an array of the dtype of all columns, or the nearest one that can hold gaps, if there are any."""
    dtype = np.dtype(dtypes[0]["name"])
    array = np.stack([column.astype(object) for column in columns], axis=1)
    if dtype.kind == "O" or not _missing(array).any():
        rounded = _whole(array.astype(np.float64), dtype.name) if dtype.kind in "iu" else None
        return (array if rounded is None else rounded).astype(dtype)
    return array if dtype.kind == "b" else array.astype(dtype if dtype.kind == "f" else np.float64)


def _pandas_series(values: np.ndarray, dtype: Dtype, index: Any) -> Any:
    import pandas
    from pandas.api import types

    name = dtype["name"]
    if name == "category":
        return pandas.Series(values, index, dtype=pandas.CategoricalDtype(dtype["levels"], dtype["ordered"]))
    target = types.pandas_dtype(name)
    if isinstance(target, np.dtype) and target.kind in "iub" and pandas.isna(values).any():
        target = np.dtype(object if target.kind == "b" else np.float64)  # as pandas does
    rounded = _whole(values.astype(np.float64), name) if types.is_integer_dtype(target) else None
    if rounded is not None:
        values = np.array(_integers(rounded), dtype=object)
    elif str(target) == "object":
        values = np.where(pandas.isna(values), np.nan, values.astype(object))  # as pandas has gaps of objects
    return pandas.Series(values, index, dtype=object).astype(target)


def _polars_frame(labels: Sequence[Any], series: Sequence[Any]) -> Any:
    import polars

    frame = polars.DataFrame([each.alias(f"column {i}") for i, each in enumerate(series)])
    frame.columns = list(labels)  # which may be empty, and polars replaces an empty name of a series
    return frame


def _polars_series(values: np.ndarray, dtype: Dtype) -> Any:
    import polars

    target = polars.Enum(dtype["levels"]) if dtype["name"] == "Enum" else getattr(polars, dtype["name"])
    if target.is_float():
        return polars.Series(values.astype(np.float64), nan_to_null=True).cast(target)
    rounded = _whole(values.astype(np.float64), dtype["name"]) if target.is_integer() else None
    return polars.Series(values.tolist() if rounded is None else _integers(rounded), dtype=target)
