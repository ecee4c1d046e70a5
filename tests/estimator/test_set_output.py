"""Reconstructions are data frames if requested, and scikit-learn's own use of set_output keeps working."""

import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import quick
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import ReconstructionDisplay, TraversalDisplay

NAMES = list("abcdefgh")
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.fixture
def table(small) -> pd.DataFrame:
    return pd.DataFrame(small, columns=NAMES, index=[f"row {i}" for i in range(len(small))])


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reconstructions_are_frames_with_the_names_of_the_features(library, dtype, table):
    model = quick().fit(table)
    codes = model.transform(table.astype(dtype))
    plain = model.inverse_transform(codes)
    framed = model.set_output(inverse_transform=library).inverse_transform(codes)
    assert isinstance(framed, FRAMES[library])
    assert list(framed.columns) == NAMES
    assert framed.to_numpy().dtype == plain.dtype == dtype
    np.testing.assert_array_equal(framed.to_numpy(), plain)
    again = model.set_output(inverse_transform="default").inverse_transform(codes)
    assert type(again) is np.ndarray


@pytest.mark.parametrize("library", FRAMES)
def test_columns_without_names_are_numbered_as_by_scikit_learn(library, small):
    model = quick().set_output(inverse_transform=library).fit(small)
    scaler = StandardScaler().fit(small)
    framed = model.inverse_transform(model.transform(small))
    assert list(framed.columns) == list(scaler.get_feature_names_out())


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("given", FRAMES)
@pytest.mark.parametrize("names", [("", "b", "c"), ("column_1", "", "c"), (" ", "column_2", ""), ("x1", "x0", "")])
def test_any_names_come_back(names, given, library, small):
    X = pd.DataFrame(small[:, :3], columns=list(names))
    X = X if given == "pandas" else pl.DataFrame({name: X[name].to_numpy() for name in names})
    model = quick(missing="mask").set_output(inverse_transform=library).fit(X)
    assert list(model.inverse_transform(model.transform(X)).columns) == list(names)
    filled = model.impute(X)
    assert list(filled.columns) == list(names)
    np.testing.assert_array_equal(filled.to_numpy(), X.to_numpy())


def test_a_pandas_frame_of_codes_keeps_its_index(table):
    model = quick().set_output(transform="pandas", inverse_transform="pandas").fit(table)
    codes = model.transform(table)
    pd.testing.assert_index_equal(codes.index, table.index)
    pd.testing.assert_index_equal(model.inverse_transform(codes[::-2]).index, table.index[::-2])
    assert model.inverse_transform(codes.to_numpy()).index.tolist() == list(range(len(table)))


def test_a_polars_frame_keeps_its_schema(table):
    X = pl.DataFrame(table.to_dict("list"))
    model = quick().set_output(transform="polars", inverse_transform="polars").fit(X)
    restored = model.inverse_transform(model.transform(X))
    assert restored.schema == X.schema


@pytest.mark.parametrize("through", [clone, deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("fitted", [False, True])
def test_cloning_copying_and_pickling_keep_the_output(through, fitted, table):
    model = quick().set_output(inverse_transform="pandas")
    model = through(model.fit(table) if fitted else model).fit(table)
    assert isinstance(model.inverse_transform(model.transform(table)), pd.DataFrame)
    model.set_output(inverse_transform="polars")
    assert isinstance(clone(model).fit(table).inverse_transform(np.zeros((2, 2))), pl.DataFrame)
    ordered = quick(ordered=True).set_output(inverse_transform="pandas").fit(table).truncate(1)
    assert isinstance(ordered.inverse_transform(np.zeros((2, 1))), pd.DataFrame)


def test_setting_one_output_keeps_the_other(table):
    model = quick().set_output(inverse_transform="pandas").fit(table)
    codes = model.transform(table)
    assert type(codes) is np.ndarray
    model.set_output(transform="polars")
    assert isinstance(model.transform(table), pl.DataFrame)
    assert isinstance(model.inverse_transform(codes), pd.DataFrame)
    assert model.set_output() is model
    assert isinstance(model.transform(table), pl.DataFrame)
    copy = clone(model).set_output(inverse_transform="default")
    assert isinstance(model.inverse_transform(codes), pd.DataFrame)
    assert type(copy.fit(table).inverse_transform(codes)) is np.ndarray


def test_the_global_configuration_applies_only_to_transform(table):
    model = quick().fit(table)
    with config_context(transform_output="pandas"):
        codes = model.transform(table)
        assert isinstance(codes, pd.DataFrame)
        assert type(model.inverse_transform(codes)) is np.ndarray


@pytest.mark.parametrize("name", ["transform", "inverse_transform"])
def test_an_unknown_container_raises_an_error_and_changes_nothing(name):
    model = quick().set_output(transform="pandas")
    before = deepcopy(vars(model))
    with pytest.raises(
        ValueError, match=rf"set_output\({name}='numpy'\): {name} must be one of \['default', 'pandas', "
    ):
        model.set_output(**{"transform": "polars", name: "numpy"})
    assert vars(model) == before


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_pipelines_and_unions_set_the_output_of_transform(output, table):
    model = quick().set_output(inverse_transform="pandas")
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform=output)
    codes = pipeline.fit_transform(table)
    assert isinstance(codes, FRAMES[output])
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    assert pipeline.inverse_transform(codes).shape == table.shape
    assert isinstance(model.inverse_transform(codes), pd.DataFrame)
    for composite in (
        FeatureUnion([("one", quick().set_output(inverse_transform="pandas")), ("other", PCA(1))]),
        ColumnTransformer([("one", quick(), NAMES[:4]), ("other", quick(1), NAMES[4:])]),
    ):
        framed = composite.set_output(transform=output).fit_transform(table)
        assert isinstance(framed, FRAMES[output])
        assert framed.shape == (len(table), 3)


@pytest.mark.parametrize("library", FRAMES)
def test_scores_and_displays_accept_the_frames(library, table, close_figures):
    plain = quick().fit(table)
    framed = clone(plain).set_output(inverse_transform=library).fit(table)
    assert reconstruction_score(framed, table) == pytest.approx(reconstruction_score(plain, table), rel=1e-12)
    ReconstructionDisplay.from_estimator(framed, table, image_shape=(2, 4)).plot()
    TraversalDisplay.from_estimator(framed, table).plot()


def test_imputed_data_is_a_frame_too(table):
    given = table.mask(np.random.default_rng(0).random(table.shape) < 0.2)
    model = quick(missing="mask").fit(given)
    plain = model.impute(given)
    framed = model.set_output(inverse_transform="pandas").impute(given)
    assert list(framed.columns) == NAMES
    assert list(framed.index) == list(table.index)
    np.testing.assert_array_equal(framed.to_numpy(), plain)
