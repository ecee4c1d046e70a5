"""``Mixed`` finds its columns by name in pandas and polars frames, alone and in a pipeline."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import quick
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_ae.losses import Huber, Mixed

NUMBERS, BINARIES, COLOURS = ["height", "weight"], ["old", "new"], ["blue", "green", "red"]
FRAMES = {"pandas": pd.DataFrame, "polars": lambda table: pl.DataFrame(table.to_dict("list"))}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return numeric, binary (one of them bool) and categorical columns that depend on one hidden variable."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=120)
    return pd.DataFrame(
        {
            "height": 170 + 10 * hidden + rng.normal(size=120),
            "old": hidden > 0.3,
            "colour": np.array(COLOURS)[np.digitize(hidden, [-0.5, 0.5])],
            "weight": 70 + 5 * hidden**2 + rng.normal(size=120),
            "new": (hidden < 0.1).astype(int),
        }
    )


def encoder(output: str) -> ColumnTransformer:
    parts = [
        ("binary", "passthrough", BINARIES),
        ("number", StandardScaler(), NUMBERS),
        ("category", OneHotEncoder(sparse_output=False), ["colour"]),
    ]
    return ColumnTransformer(parts).set_output(transform=output)


def by_name(prefix: str = "colour") -> Mixed:
    levels = [f"category__{prefix}_{colour}" for colour in COLOURS]
    return Mixed([("cross_entropy", levels), ("log_loss", [f"binary__{name}" for name in BINARIES])], Huber())


@pytest.mark.parametrize("output", FRAMES)
def test_names_and_indices_give_the_same_fit(output, table):
    encoded = encoder(output).fit_transform(FRAMES[output](table))
    named = quick(loss=by_name()).fit(encoded)
    indexed = quick(loss=Mixed([("cross_entropy", [4, 5, 6]), ("log_loss", [0, 1])], Huber())).fit(encoded)
    np.testing.assert_array_equal(named.transform(encoded), indexed.transform(encoded))
    assert named.loss == by_name()


@pytest.mark.parametrize("output", FRAMES)
def test_a_pipeline_encodes_and_reconstructs_a_table(output, table):
    model = quick(loss=by_name(), max_epochs=60).set_output(inverse_transform=output)
    pipeline = make_pipeline(encoder(output), model)
    X = FRAMES[output](table)
    codes = clone(pipeline).fit(X).transform(X)
    np.testing.assert_array_equal(pipeline.fit_transform(X), codes)
    restored, encoded = pipeline[-1].inverse_transform(codes), pipeline[0].transform(X)
    assert list(restored.columns) == list(encoded.columns)
    parts = {
        name: restored.to_numpy()[:, indices]
        for name, indices in pipeline[0].output_indices_.items()
        if name != "remainder"
    }
    assert 0 < parts["binary"].min() < parts["binary"].max() < 1
    assert ((parts["binary"] > 0.5) == table[BINARIES].to_numpy(dtype=bool)).mean() > 0.9
    np.testing.assert_allclose(parts["category"].sum(axis=1), 1)
    colours = pipeline[0].named_transformers_["category"].inverse_transform(parts["category"])[:, 0]
    assert (colours == table["colour"]).mean() > 0.9


def test_pandas_and_polars_give_the_same_bits(table):
    codes = [
        make_pipeline(encoder(output), quick(loss=by_name())).fit_transform(FRAMES[output](table)) for output in FRAMES
    ]
    np.testing.assert_array_equal(*codes)


def test_names_survive_a_search(table):
    pipeline = make_pipeline(encoder("pandas"), quick(loss=by_name()))
    grid = {"autoencodertransformer__loss__remainder": ["squared_error", Huber(0.5)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("output", FRAMES)
def test_an_unknown_column_name_raises_an_error(output, table):
    model = make_pipeline(encoder(output), quick(loss=by_name("color")))
    with pytest.raises(ValueError, match=r"names the column 'category__color_blue', but X has 7 columns and the names"):
        model.fit(FRAMES[output](table))


def test_column_names_require_a_frame(table):
    encoded = encoder("default").fit_transform(table)
    with pytest.raises(ValueError, match="no names: pass a DataFrame, or indices"):
        quick(loss=by_name()).fit(encoded)
