"""Dates, durations and text raise errors that name the columns, in every container; objects that are numbers do not."""

import re
from decimal import Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path

import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import quick

import sklearn_ae
from sklearn_ae import AutoencoderTransformer

NUMBERS = np.random.default_rng(0).normal(size=(40, 2)).round(2)
DAYS = pd.Series(pd.date_range("2020-01-01", periods=40))
NOT_A_DAY = DAYS.mask(DAYS.index == 3)
DATES = {
    "dates": DAYS,
    "dates with NaT": NOT_A_DAY,
    "time zone": DAYS.dt.tz_localize("UTC"),
    "Python's dates": DAYS.astype(object),
    "NaT alone": pd.Series([pd.NaT] * 40, dtype=object),
    "durations": DAYS - DAYS[0],
    "durations with NaT": NOT_A_DAY - DAYS[0],
}
TEXT = {
    "words": pd.Series(["red", "blue"] * 20),
    "numbers": pd.Series(["1", "2.5"] * 20),
    "numbers as objects": pd.Series(["1", "2.5"] * 20, dtype=object),
    "categories": pd.Series(["red", "blue"] * 20, dtype="category"),
    "bytes": pd.Series([b"1", b"2.5"] * 20, dtype=object),
    "words with gaps": pd.Series(["red", None] * 20),
    "numbers and one word": pd.Series([1.5, "red"] + 19 * [2.0, 3.0], dtype=object),
}


def frame(column) -> pd.DataFrame:
    return pd.DataFrame({"a": NUMBERS[:, 0], "given": column, "b": NUMBERS[:, 1]})


CONTAINERS = {
    "pandas": frame,
    "polars": lambda column: pl.from_pandas(frame(column)),
    "object array": lambda column: frame(column).to_numpy(object),
    "list": lambda column: frame(column).to_numpy(object).tolist(),
    "chunks": lambda column: [frame(column)[:20], frame(column)[20:]],
    "dask": lambda column: dask.dataframe.from_pandas(frame(column), npartitions=2),
}
MESSAGES = {
    **dict.fromkeys(
        DATES, r"X holds dates or durations in column{s} {columns}: .*timedelta64\(1, 'D'\).*guide/frames\.md"
    ),
    **dict.fromkeys(
        TEXT, r"X holds text in column{s} {columns}: .*FrameEncoder.*OneHotEncoder.*astype\(float\).*guide/frames\.md"
    ),
}
NAMES = {"object array": "1", "list": "1"}


def message(kind: str, columns: str = "'given'", s: str = "") -> str:
    return MESSAGES[kind].replace("{columns}", columns).replace("{s}", s)


@pytest.fixture(scope="module")
def fitted() -> AutoencoderTransformer:
    return quick(1).fit(frame(NUMBERS[:, 0] ** 2))


def holds(container: str, kind: str) -> bool:
    """Return whether a container keeps objects of a kind: polars and dask convert some of them to text."""
    converted = {"polars": {"NaT alone", "numbers and one word"}, "dask": {"NaT alone", "Python's dates"}}
    return kind not in converted.get(container, ())


@pytest.mark.parametrize(("container", "kind"), [case for case in product(CONTAINERS, MESSAGES) if holds(*case)])
def test_fit_names_the_column(kind, container):
    given = CONTAINERS[container]((DATES | TEXT)[kind])
    for missing in ("error", "mask"):
        model = quick(1, missing=missing)
        with pytest.raises(ValueError, match=message(kind, NAMES.get(container, "'given'"))):
            model.fit(given)
        assert not hasattr(model, "module_")


@pytest.mark.parametrize("method", ["transform", "score", "reconstruction_error", "partial_fit"])
@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("kind", ["dates with NaT", "durations", "numbers", "categories"])
def test_methods_of_a_fitted_estimator_name_the_column(kind, container, method, fitted):
    with pytest.raises(ValueError, match=message(kind)):
        getattr(fitted, method)(CONTAINERS[container]((DATES | TEXT)[kind]))


@pytest.mark.parametrize("kind", ["dates", "numbers as objects"])
def test_impute_validation_data_and_codes(kind, fitted):
    given = frame((DATES | TEXT)[kind])
    with pytest.raises(ValueError, match=message(kind)):
        quick(1, missing="mask").fit(frame(NUMBERS[:, 0])).impute(given)
    with pytest.raises(ValueError, match="X_val cannot be used: " + message(kind)):
        quick(1).fit(frame(NUMBERS[:, 0]), X_val=given)
    with pytest.raises(ValueError, match=message(kind)):
        fitted.inverse_transform(given[["given"]])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (np.full((40, 2), "2020-01-01", "datetime64[D]"), "dates"),
        (np.full((40, 2), "NaT", "datetime64[ns]"), "dates"),
        (np.full((40, 2), 3, "timedelta64[s]"), "durations"),
        (NUMBERS.astype(str), "numbers"),
        (NUMBERS.astype("S"), "numbers"),
        (NUMBERS.astype(str).tolist(), "numbers"),
        ([NUMBERS[:20].astype(str), NUMBERS[20:].astype(str)], "numbers"),
        (dask.array.from_array(NUMBERS.astype(str), chunks=20), "numbers"),
        (dask.array.full((40, 2), np.datetime64("2020-01-01"), chunks=20), "dates"),
        (pl.DataFrame({"0": DAYS, "1": NOT_A_DAY}), "dates"),
    ],
    ids=["days", "NaT", "durations", "text", "bytes", "lists", "chunks", "dask text", "dask days", "polars days"],
)
def test_arrays_of_one_kind(given, kind):
    names = "'0', '1'" if isinstance(given, pl.DataFrame) else "0, 1"
    with pytest.raises(ValueError, match=message(kind, names, "s")):
        quick(1).fit(given)


def test_all_columns_are_named():
    given = pd.DataFrame({"when": DAYS, "x": NUMBERS[:, 0], "city": "Rome", "wait": DAYS - DAYS[0]})
    with pytest.raises(ValueError, match=r"text in column 'city': .* dates or durations in columns 'when', 'wait': "):
        quick(1).fit(given)


@pytest.mark.parametrize(
    ("value", "name"), [({}, "dict"), (1j, "complex"), (pd.NA, "NAType"), (pd.Period("2020-01"), "Period")], ids=str
)
def test_other_objects_raise_an_error_that_names_the_column(value, name):
    with pytest.raises(TypeError, match=f"not real numbers in column 'given': .*, not '{name}'"):
        quick(1).fit(frame(pd.Series([2.0] + 39 * [value], dtype=object)))


@pytest.mark.parametrize(
    "column",
    [
        NUMBERS[:, 0].astype(object),
        np.array([Decimal("1.5"), Fraction(1, 3)] * 20, dtype=object),
        np.array([True, 2, np.float32(0.5), np.bool_(False)] * 10, dtype=object),
        pd.Categorical([1.5, 2.0] * 20),
        pd.array([True, False] * 20, dtype="boolean"),
        pd.array([1, 2] * 20, dtype="Int64"),
    ],
    ids=["floats", "fractions", "mixed", "categories of numbers", "boolean", "Int64"],
)
@pytest.mark.parametrize("container", ["pandas", "object array", "list", "chunks"])
def test_objects_that_are_numbers_are_numbers(column, container):
    expected = frame(np.asarray(column).astype(float))
    model = quick(1).fit(CONTAINERS[container](column))
    np.testing.assert_allclose(model.mean_, expected.mean())
    codes = quick(1).fit(expected.to_numpy()).transform(expected.to_numpy())
    assert model.transform(CONTAINERS[container](column)).shape == codes.shape


@pytest.mark.parametrize("container", ["pandas", "polars", "object array", "list", "chunks"])
def test_none_is_a_missing_entry(container):
    given = CONTAINERS[container](pd.Series([1.5, None] * 20, dtype=object))
    assert quick(1, missing="mask").fit(given).mean_[1] == 1.5
    with pytest.raises(ValueError, match="contains NaN"):
        quick(1).fit(given)


def test_chunks_of_objects_are_numbers():
    model = quick(1).fit([NUMBERS[:20].astype(object), NUMBERS[20:].astype(object)])
    np.testing.assert_allclose(model.mean_, NUMBERS.mean(axis=0))


GAPS = pd.Series(np.where(np.arange(40) % 8 == 0, np.nan, 1.5))


@pytest.mark.parametrize("container", ["pandas", "polars", "list", "chunks", "dask"])
def test_gaps_are_counted_and_the_page_on_them_is_named(container):
    column = NAMES.get(container, "'given'")
    expected = rf"NaN in column {column}\. .* missing in 5 of 40 samples\. .*missing='mask'.*docs/guide/missing\.md"
    with pytest.raises(ValueError, match=expected):
        quick(1).fit(CONTAINERS[container](GAPS))
    if container != "dask":  # which is scored block by block
        model = quick(1).fit(CONTAINERS[container](NUMBERS[:, 0]))
        with pytest.raises(ValueError, match=expected):
            model.transform(CONTAINERS[container](GAPS))


@pytest.mark.parametrize("shape", [(40, 2, 4), (40, 2, 2, 2), (20, 2, 4)], ids=str)
@pytest.mark.parametrize(
    "container",
    [np.asarray, np.ndarray.tolist, torch.from_numpy, dask.array.from_array],
    ids=["array", "list", "tensor", "dask"],
)
def test_images_are_to_be_rows(shape, container):
    images = np.random.default_rng(0).normal(size=shape)
    rows = images.reshape(len(images), -1)
    model = quick(1, missing="mask").fit(rows)
    methods = [quick(1).fit, quick(1).partial_fit, model.transform, model.score]
    for method in [*methods, *([model.impute] if container is not dask.array.from_array else [])]:
        message = rf"dim {len(shape)}, .* X has shape {re.escape(str(shape))}\. .*reshape\(len\(X\), -1\).*image_shape"
        with pytest.raises(ValueError, match=message):
            method(container(images))


def test_pages_that_messages_name_exist():
    package = Path(sklearn_ae.__file__).parent
    named = {page for file in package.rglob("*.py") for page in re.findall(r"docs/[\w/]+\.md", file.read_text())}
    assert {"docs/guide/missing.md", "docs/guide/frames.md", "docs/extending.md"} <= named
    assert all((package.parent / page).is_file() for page in named)
