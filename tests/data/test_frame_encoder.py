"""Frames with gaps are encoded, filled and decoded with their columns, dtypes, categories and observed cells."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pytest
import sklearn
from helpers import quick
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from skops import io as skops_io

from sklearn_ae._data.frames import fill_gaps
from sklearn_ae.preprocessing import FrameEncoder, impute

OURS = ["sklearn_ae._autoencoder.AutoencoderTransformer", "sklearn_ae.preprocessing.FrameEncoder"]


def pandas_frame(with_gaps: bool) -> pd.DataFrame:
    """Return a frame of many dtypes whose columns follow one hidden variable, with shuffled labels of rows."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=90)
    frame = pd.DataFrame(
        {
            "height": 170 + 10 * hidden + rng.normal(size=90),
            "old": hidden > 0.3,
            "colour": np.array(["blue", "green", "red"])[np.digitize(hidden, [-0.5, 0.5])],
            "rooms": np.round(4 + hidden).astype(int),
            "sex": np.where(hidden + rng.normal(size=90) > 0, "f", "m"),
            "weight": (70 + 5 * hidden).astype(np.float32),
            "smoker": np.where(hidden > 1, 2, 1),
        },
        index=rng.permutation(90) + 1000,
    )
    frame["stage"] = pd.Categorical(np.array(["I", "II", "III"])[np.digitize(hidden, [-1, 1])], ordered=True)
    frame["children"] = frame["rooms"].astype("Int64")
    frame["owner"] = frame["old"].astype("boolean")
    frame["area"] = pd.Categorical(frame["colour"], categories=["red", "green", "blue", "unseen"])
    if with_gaps:
        for i, name in enumerate(frame.columns):
            frame[name] = frame[name].mask(np.arange(90) % 7 == i % 7)
    return frame


def polars_frame(with_gaps: bool) -> pl.DataFrame:
    given = pandas_frame(with_gaps)
    columns = {name: [None if pd.isna(v) else v for v in given[name].astype(object)] for name in given}
    dtypes = {"rooms": pl.Int16, "weight": pl.Float32, "stage": pl.Enum(["I", "II", "III"]), "area": pl.Categorical}
    dtypes |= {"smoker": pl.UInt8}
    return pl.DataFrame(columns).cast(dtypes)


FRAMES = {"pandas": pandas_frame, "polars": polars_frame}
of_both = pytest.mark.parametrize("library", FRAMES)


def assert_same(one, other) -> None:
    """Check that two frames are equal, dtypes and index included, numbers up to rounding, None as NaN in pandas."""
    if isinstance(other, pl.DataFrame):
        polars.testing.assert_frame_equal(one, other)
    else:
        objects = other[[name for name in other if str(other[name].dtype) == "object"]]
        pd.testing.assert_frame_equal(one, other.assign(**objects.where(objects.notna())), rtol=1e-6)


def fitted_pipeline(frame, **settings) -> Pipeline:
    encoder = FrameEncoder().fit(frame)
    return make_pipeline(encoder, quick(loss=encoder.loss(), missing="mask", **settings)).fit(frame)


def test_every_check_of_scikit_learn_passes(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    logs = check_estimator(FrameEncoder())
    assert len(logs) > 40
    assert {log["status"] for log in logs} == {"passed"}


@of_both
def test_kinds_names_and_values(library):
    frame = FRAMES[library](with_gaps=True)
    encoder = FrameEncoder().fit(frame)
    encoded = pd.DataFrame(encoder.transform(frame), columns=encoder.get_feature_names_out())
    kinds = dict.fromkeys(["height", "rooms", "weight", "children"], "number")
    kinds |= dict.fromkeys(["old", "sex", "smoker", "owner"], "binary")
    kinds |= dict.fromkeys(["colour", "stage", "area"], "category")
    assert encoder.kinds_ == kinds
    area = ["area_red", "area_green", "area_blue", "area_unseen"] if library == "pandas" else list(encoded)[-3:]
    names = ["height", "old_True", "colour_blue", "colour_green", "colour_red", "rooms", "sex_m", "weight", "smoker_2"]
    assert list(encoded) == [*names, "stage_I", "stage_II", "stage_III", "children", "owner_True", *area]
    observed = encoded["sex_m"].notna().to_numpy()
    np.testing.assert_array_equal(encoded["sex_m"][observed], np.array(frame["sex"])[observed] == "m")
    np.testing.assert_allclose([encoded["height"].mean(), encoded["height"].std(ddof=0)], [0, 1], atol=1e-12)
    for name in ["colour", "stage"]:
        group = encoded.filter(like=f"{name}_")
        gaps = pd.isna(pd.Series(frame[name].to_list())).to_numpy()
        np.testing.assert_array_equal(group.isna(), np.repeat(gaps[:, None], 3, axis=1))
        np.testing.assert_array_equal(group.sum(axis=1)[~gaps], 1)


@of_both
@pytest.mark.parametrize("with_gaps", [True, False])
def test_the_way_back_returns_the_frame(library, with_gaps):
    frame = FRAMES[library](with_gaps)
    encoder = FrameEncoder().set_output(transform=library).fit(frame)
    assert_same(encoder.inverse_transform(encoder.transform(frame)), frame)


def test_numbers_that_get_gaps_later_become_float():
    whole = pandas_frame(with_gaps=False)
    encoder = FrameEncoder().set_output(transform="pandas").fit(whole)
    given = whole.astype({"rooms": float, "old": object})
    given.loc[given.index[0], ["rooms", "old"]] = None
    assert_same(encoder.inverse_transform(encoder.transform(given)), given)


def test_whole_numbers_are_rounded_within_their_dtype():
    frame = pd.DataFrame({"small": np.array([0, 100, 250], np.uint8), "n": pd.array([1, 3, 5], "Int8")})
    encoder = FrameEncoder().fit(frame)
    decoded = encoder.inverse_transform([[-9.0, 0.1], [9.0, 99.0]])
    assert_same(decoded, pd.DataFrame({"small": np.array([0, 255], np.uint8), "n": pd.array([3, 127], "Int8")}))


@pytest.mark.parametrize(
    "X",
    [
        np.array([[0.5, 1.0], [np.nan, 0.0], [2.5, np.nan]], dtype=np.float32),
        np.array([[3, 1], [5, 0], [8, 1]]),
        np.array([[True, False], [False, False]]),
        np.array([["a", 1.5, True], [None, np.nan, False], ["c", 3.5, None], ["b", 2.0, None]], dtype=object),
        [["a", 1.5], ["b", 2.5], ["a", 7.0]],
    ],
    ids=["float", "int", "bool", "objects", "list"],
)
def test_arrays_come_back_as_arrays(X):
    encoder = FrameEncoder().fit(X)
    decoded = encoder.inverse_transform(encoder.transform(X))
    expected = np.array(X, dtype=object) if isinstance(X, list) else X
    assert decoded.dtype == expected.dtype
    pd.testing.assert_frame_equal(pd.DataFrame(decoded), pd.DataFrame(expected))


@of_both
def test_imputed_cells_are_of_their_kind_and_observed_cells_stay(library):
    frame = FRAMES[library](with_gaps=True)
    pipeline = fitted_pipeline(frame, max_epochs=30)
    filled = impute(pipeline, frame)
    assert type(filled) is type(frame)
    assert list(filled.columns) == list(frame.columns)
    assert list(filled.dtypes) == list(frame.dtypes)
    frames = (filled, frame, FRAMES[library](with_gaps=False))
    filled, given, whole = (pd.DataFrame({name: f[name].to_list() for name in f.columns}) for f in frames)
    assert not filled.isna().any(axis=None)
    for name in frame.columns:
        assert filled[name][given[name].notna()].tolist() == given[name].dropna().tolist()
    assert (filled["colour"] == whole["colour"])[given["colour"].isna()].mean() > 0.6
    assert (filled["height"] - whole["height"])[given["height"].isna()].abs().mean() < 5


@of_both
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.from_numpy], ids=["array", "pandas", "polars"])
def test_gaps_of_booleans_and_of_narrow_integers_get_values_of_their_dtype(library, make):
    table = {"flag": [True, None, None], "count": [0, None, None], "u": [0.5, None, 0.25]}
    if library == "pandas":
        frame = pd.DataFrame(table, index=[5, 3, 4]).astype({"flag": "boolean", "count": "UInt8"})
    else:
        frame = pl.DataFrame(table, schema={"flag": pl.Boolean, "count": pl.UInt8, "u": pl.Float64})
    filled = fill_gaps(frame, make(np.array([[0.9, 7, 1], [0.4, -9, 2], [0.6, 300.4, 3]])))
    assert list(filled.dtypes) == list(frame.dtypes)
    assert filled["flag"].to_list() == [True, False, True]
    assert filled["count"].to_list() == [0, 0, 255]
    assert filled["u"].to_list() == [0.5, 2, 0.25]


@of_both
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_the_global_output_container_changes_no_numbers(library, output):
    frame = FRAMES[library](with_gaps=True)
    expected = FrameEncoder().fit_transform(frame)
    with sklearn.config_context(transform_output=output):
        np.testing.assert_array_equal(FrameEncoder().fit_transform(frame).to_numpy(), expected)


def test_sparse_columns_of_pandas_are_decoded_dense():
    dense = pd.DataFrame({"number": [0.0, 2.0, 0.0, -1.0], "flag": [True, False, True, False]})
    sparse = dense.astype({"number": pd.SparseDtype(float, 0), "flag": pd.SparseDtype(bool, False)})
    encoder = FrameEncoder().fit(sparse)
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(sparse)), dense)


@of_both
@pytest.mark.parametrize("row", [0, 3, 5])
def test_a_frame_read_separately_is_filled(library, row):
    """Its columns may have other dtypes: whole numbers, fewer categories, no observed cell."""
    pipeline = fitted_pipeline(pandas_frame(with_gaps=True) if library == "pandas" else polars_frame(with_gaps=True))
    one = {name: [None if name == "colour" else value] for name, value in pandas_frame(False).iloc[row].items()}
    two = {name: [*values, None] for name, values in one.items()}
    for given in (one, two):
        frame = pd.DataFrame(given).astype({"height": "float", "stage": "category", "area": "category"})
        frame["rooms"] = frame["rooms"].astype("Int64")
        if library == "polars":
            frame = pl.DataFrame(given).cast({"rooms": pl.Int64, "stage": pl.Categorical})
        filled = impute(pipeline, frame)
        assert set(filled["colour"]) <= {"blue", "green", "red"}
        assert filled["stage"].to_list()[0] == given["stage"][0]
        assert {type(value) for value in filled["rooms"].to_list()} == {int}
        assert filled.to_numpy().shape == frame.shape


@of_both
def test_reconstructed_groups_sum_to_one_and_a_pipeline_decodes_to_a_frame(library):
    frame = FRAMES[library](with_gaps=True)
    pipeline = fitted_pipeline(frame)
    groups = [columns for loss, columns in pipeline[0].loss().losses if loss == "cross_entropy"]
    encoded = pipeline[-1].impute(pipeline[:-1].transform(frame))
    assert len(groups) == 3
    for group in groups:
        np.testing.assert_allclose(encoded[:, group].sum(axis=1), 1)
    decoded = pipeline.inverse_transform(pipeline.transform(frame))
    assert list(decoded.columns) == list(frame.columns)
    assert set(decoded["stage"]) <= {"I", "II", "III"}
    kept = [name for name in frame.columns if library == "polars" or name != "old"]  # objects if there are gaps
    assert [decoded[name].dtype for name in kept] == [frame[name].dtype for name in kept]


def test_a_pandas_index_is_kept():
    frame = pandas_frame(with_gaps=True)
    pipeline = fitted_pipeline(frame)
    assert impute(pipeline, frame).index.equals(frame.index)
    pipeline[-1].set_output(inverse_transform="pandas")
    pipeline.set_output(transform="pandas").fit(frame)
    assert pipeline.inverse_transform(pipeline.transform(frame)).index.equals(frame.index)


def test_the_loss_names_every_column_by_its_kind():
    frame = pd.DataFrame({"c": ["x", "y", "z", None], "b": [1, 0, 0, 1], "n": [0.5, 1, 2, np.nan]})
    loss = FrameEncoder().fit(frame).loss()
    assert dict(loss.losses) == {"cross_entropy": [0, 1, 2], "log_loss": [3], "squared_error": [4]}
    assert dict(FrameEncoder().fit(frame[["n"]]).loss().losses) == {"squared_error": [0]}
    with pytest.raises(NotFittedError):
        FrameEncoder().loss()


def test_a_loss_for_other_levels_raises_an_error():
    frame = pd.DataFrame({"c": list("abcd") * 5, "n": np.arange(20.0), "m": np.arange(20.0) ** 2})
    model = quick(loss=FrameEncoder().fit(frame).loss())
    with pytest.raises(ValueError, match="Mixed names the column 5, but X has 5 columns"):
        make_pipeline(FrameEncoder(), model).fit(frame[frame["c"] != "d"])
    levelled = frame.astype({"c": "category"})
    make_pipeline(FrameEncoder(), model).fit(levelled[levelled["c"] != "d"])


def test_other_transformers_and_no_transformer_impute_too():
    X = pandas_frame(with_gaps=True)[["height", "rooms", "weight"]]
    for steps in ([StandardScaler()], [StandardScaler(), MinMaxScaler()], ["passthrough"], []):
        model = make_pipeline(*steps, quick(missing="mask"))
        for given in (X, X.to_numpy()):
            filled = np.asarray(impute(model.fit(given) if steps else model.fit(given)[-1], given))
            assert np.isfinite(filled).all()
            np.testing.assert_array_equal(filled[X.notna()], X.to_numpy()[X.notna()])


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (make_pipeline(StandardScaler(), quick()), "'autoencodertransformer'.* missing='mask'"),
        (make_pipeline(StandardScaler(), PCA()), "'pca'.* missing='mask'"),
        (make_pipeline(ColumnTransformer([]), quick(missing="mask")), "'columntransformer'.*no inverse_transform"),
    ],
    ids=["not masked", "PCA", "ColumnTransformer"],
)
def test_what_cannot_impute_is_named(pipeline, message):
    with pytest.raises(TypeError, match=message):
        impute(pipeline, np.eye(3))


def test_levels_unknown_in_fit_raise_an_error_or_count_as_gaps():
    frame = pd.DataFrame({"colour": ["red", "green", "blue"], "old": [0, 1, 1], "n": [1.0, 2, 4]})
    new = pd.DataFrame({"colour": ["pink", "red", None], "old": [1, 2, 0], "n": [0.0, 1, 2]})
    encoder = FrameEncoder().fit(frame)
    with pytest.raises(ValueError, match=r"unknown values in the column 'colour' in transform: 'pink'; fit saw"):
        encoder.transform(new)
    with pytest.raises(ValueError, match=r"'old' in transform: 2.*handle_unknown='missing'.*kinds=\{'old': 'number'\}"):
        encoder.transform(new.assign(colour="red"))
    encoded = encoder.set_params(handle_unknown="missing").transform(new)
    np.testing.assert_array_equal(np.isnan(encoded[:, [0, 1, 2, 3]]).all(axis=1), [False, False, False])
    np.testing.assert_array_equal(np.isnan(encoded[:, :3]).all(axis=1), [True, False, True])
    np.testing.assert_array_equal(np.isnan(encoded[:, 3]), [False, True, False])


def test_kinds_can_be_chosen():
    frame = pd.DataFrame({"stage": [1, 2, 3, 4], "half": [0, 0.5, 1, None], "count": [0, 1, 1, 0]})
    encoder = FrameEncoder(kinds={"stage": "category", "half": "category", "count": "number"}).fit(frame)
    assert encoder.kinds_ == {"stage": "category", "half": "category", "count": "number"}
    assert encoder.levels_ == {"stage": [1, 2, 3, 4], "half": [0, 0.5, 1]}
    assert_same(encoder.inverse_transform(encoder.transform(frame)), frame)


@of_both
def test_empty_and_constant_columns(library):
    columns = {"none": [None] * 4, "n": [1.5, 2, None, 8], "one": [3.0] * 4, "word": ["a", None, "a", "a"]}
    frame = pd.DataFrame(columns) if library == "pandas" else pl.DataFrame(columns)
    encoder = FrameEncoder().fit(frame)
    assert encoder.kinds_ == {"none": "empty", "n": "number", "one": "number", "word": "category"}
    assert_same(encoder.inverse_transform(encoder.transform(frame)), frame)
    pipeline = fitted_pipeline(frame, n_components=1)
    gaps = pd.DataFrame({name: impute(pipeline, frame)[name].to_list() for name in columns}).isna()
    assert gaps.to_numpy().sum(axis=0).tolist() == [4, 0, 0, 0]
    assert impute(pipeline, frame)["word"].to_list() == ["a"] * 4


NUMBERS = {"n": [1.0, 2, 4]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(NUMBERS | {"born": pd.to_datetime(["2000-01-01"] * 3)}), "column 'born' of dtype datetime64"),
        (pl.DataFrame(NUMBERS | {"born": pd.to_datetime(["2000-01-01"] * 3)}), "column 'born' of dtype Datetime"),
        (pd.DataFrame(NUMBERS | {"stay": pd.to_timedelta([1, 2, 3])}), "column 'stay' of dtype timedelta64"),
        (pd.DataFrame(NUMBERS | {"both": ["a", 1, None]}), "column 'both' of dtype object with values of int, str"),
        (pd.DataFrame(NUMBERS | {"z": [1j, 2, 3]}), "column 'z' of dtype complex128"),
        (pl.DataFrame(NUMBERS | {"list": [[1], [2], [3]]}), r"column 'list' of dtype List"),
        (np.array([[1, {"a": 1}]], dtype=object), "column 'x1' of dtype object with values of dict"),
        (pd.DataFrame(NUMBERS | {"far": [1, np.inf, 2]}), "infinity in the column 'far'"),
        (pl.DataFrame(NUMBERS | {"far": [1.0, -np.inf, 2]}), "infinity in the column 'far'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"more than one column named \['a'\]"),
        (pd.DataFrame({"a": ["b", "c", "d"], "a_b": [1.0, 2, 4]}), r"the same names, \['a_b'\]: rename"),
        (pd.DataFrame({"a": [None, None]}), "No value of X is observed"),
        (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
    ],
)
def test_bad_frames_raise_an_error_and_change_nothing(frame, message):
    encoder = FrameEncoder().fit(pandas_frame(with_gaps=True))
    before = pickle.dumps(encoder)
    with pytest.raises(ValueError, match=message):
        encoder.fit(frame)
    assert pickle.dumps(encoder) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kinds": {"heigth": "number"}}, r"kinds names the column 'heigth', but X has the columns \['height'"),
        ({"kinds": {"rooms": "binary"}}, r"kinds=\{'rooms': 'binary'\}: a kind must be 'number' or 'category'"),
        ({"kinds": {"colour": "number"}}, r"kinds=\{'colour': 'number'\}, but its dtype is"),
        ({"kinds": {"stage": "number"}}, r"kinds=\{'stage': 'number'\}, but its dtype is category"),
        ({"kinds": "number"}, "'kinds' parameter of FrameEncoder must be"),
        ({"handle_unknown": "ignore"}, "'handle_unknown' parameter of FrameEncoder must be"),
    ],
)
def test_bad_parameters_raise_an_error(parameters, message):
    with pytest.raises(ValueError, match=message):
        FrameEncoder(**parameters).fit(pandas_frame(with_gaps=True))


def test_other_data_in_transform_raises_an_error():
    frame = pandas_frame(with_gaps=False)
    encoder = FrameEncoder().fit(frame)
    with pytest.raises(ValueError, match="column 'height' held numbers in fit, but now has dtype"):
        encoder.transform(frame.assign(height="tall"))
    with pytest.raises(ValueError, match="feature names"):
        encoder.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match=re.escape("X has 2 columns, but this FrameEncoder encodes frames in 18")):
        encoder.inverse_transform(np.zeros((3, 2)))
    with pytest.raises(TypeError, match=r"LazyFrame: pass X\.collect"):
        encoder.fit(polars_frame(with_gaps=False).lazy())


@of_both
def test_saved_encoders_and_pipelines_do_the_same(library):
    frame = FRAMES[library](with_gaps=True)
    pipeline = fitted_pipeline(frame)
    data = skops_io.dumps(pipeline)
    assert skops_io.get_untrusted_types(data=data) == OURS
    for loaded in (pickle.loads(pickle.dumps(pipeline)), skops_io.loads(data, trusted=OURS)):
        assert_same(impute(loaded, frame), impute(pipeline, frame))
    unfitted = clone(pipeline[0].set_params(handle_unknown="missing"))
    assert unfitted.get_params() == {"kinds": None, "handle_unknown": "missing"}
    assert not hasattr(unfitted, "kinds_")


@of_both
def test_set_output_and_names(library):
    frame = FRAMES[library](with_gaps=True)
    encoder = FrameEncoder().set_output(transform=library)
    encoded = encoder.fit_transform(frame)
    assert type(encoded) is type(frame)
    assert (
        list(encoded.columns)
        == list(encoder.get_feature_names_out())
        == list(encoder.get_feature_names_out(frame.columns))
    )
    with pytest.raises(ValueError, match="input_features"):
        encoder.get_feature_names_out(["a"] * frame.shape[1])
    array = FrameEncoder().fit([["u", 1.5], ["v", 2.5], ["w", 0.0]])
    assert list(array.get_feature_names_out()) == ["x0_u", "x0_v", "x0_w", "x1"]
    assert list(array.get_feature_names_out(["a", "b"])) == ["a_u", "a_v", "a_w", "b"]
    numbered = pd.DataFrame([["u", 1.5], ["v", 2.5], ["w", 0.0]])
    assert FrameEncoder().fit(numbered).kinds_ == {"x0": "category", "x1": "number"}


def test_searches_and_validation_frames():
    frame = pandas_frame(with_gaps=True).astype({"colour": "category", "old": "boolean"})
    encoder = FrameEncoder().fit(frame)
    model = quick(loss=encoder.loss(), missing="mask")
    search = GridSearchCV(make_pipeline(encoder, model), {"autoencodertransformer__n_components": [1, 2]}, cv=3)
    assert np.isfinite(search.fit(frame).cv_results_["mean_test_score"]).all()
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [("encode", encoder), ("reduce", clone(model).set_fit_request(X_val=True))]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(frame[:60], X_val=frame[60:])
    direct = clone(model).fit(encoder.transform(frame[:60]), X_val=encoder.transform(frame[60:]))
    np.testing.assert_array_equal(pipeline.transform(frame), direct.transform(encoder.transform(frame)))


def test_reconstructions_become_the_most_probable_levels():
    frame = pd.DataFrame({"smoker": [1, 2, 2], "colour": ["red", "green", "blue"]})
    decoded = (
        FrameEncoder().fit(frame).inverse_transform([[0.4, 0.2, 0.3, 0.5], [0.6, 0.1, 0.1, -0.2], [1.3, 0.4, 0.3, 0.3]])
    )
    assert_same(decoded, pd.DataFrame({"smoker": [1, 2, 2], "colour": ["red", "blue", "blue"]}))


def test_a_second_fit_forgets_the_first():
    encoder = FrameEncoder().fit(pandas_frame(with_gaps=True)).fit([["a", 1.5], ["b", 2.5]])
    assert encoder.kinds_ == {"x0": "binary", "x1": "number"}
    assert not hasattr(encoder, "feature_names_in_")
    assert isinstance(encoder.inverse_transform([[0.0, 0.0]]), np.ndarray)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("names", [("", "b", "c"), ("column_1", "", "c"), (" ", "column_2", "")])
def test_any_names_come_back(names, library):
    columns = {names[0]: [1.5, None, 2.5, 4.0], names[1]: [True, False, None, True], names[2]: ["u", "v", "w", None]}
    frame = pd.DataFrame(columns) if library == "pandas" else pl.DataFrame(columns)
    encoder = FrameEncoder().fit(frame)
    assert list(encoder.inverse_transform(encoder.transform(frame)).columns) == list(names)
    autoencoder = quick(loss=encoder.loss(), missing="mask")
    assert list(impute(make_pipeline(encoder, autoencoder).fit(frame), frame).columns) == list(names)
