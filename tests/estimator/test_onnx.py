"""ONNX models compute the same as transform and inverse_transform; an error names parts without a translation."""

import subprocess
import sys
from functools import partial
from itertools import combinations, product

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
import torch
from helpers import covering, quick
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from sklearn_ae.codes import CODES, Code, ReLU, TopK
from sklearn_ae.losses import Mixed
from sklearn_ae.networks import ACTIVATIONS, AffineNetwork, ConvAutoencoder, Linear, TiedAutoencoder
from sklearn_ae.onnx import decoder_to_onnx, encoder_to_onnx, register_with_skl2onnx

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
IN_FLOAT32 = {"Conv", "Erf", "Softplus"}  # operators that onnxruntime does not have in float64
OUTPUTS = {  # the settings that give each output activation
    "identity": {"output_activation": "identity"},
    "clip": {"output_activation": "clip"},
    "sigmoid": {"loss": "log_loss"},
    "scaled_softmax": {"loss": "multinomial"},
    "softplus": {"loss": "poisson"},
    "softmax": {"loss": "cross_entropy"},
    "by_columns": {"loss": Mixed([("log_loss", [0, 5]), ("cross_entropy", [3, 1, 2]), ("poisson", 4)])},
    "counts in columns": {"loss": Mixed([("multinomial", [6, 1, 2, 4]), ("log_loss", [0, 5])])},
}


def run(model, x) -> np.ndarray:
    """Run a model on an array in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its warning that this machine has no GPU goes to stderr
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def assert_same(computed, expected, tolerance):
    assert computed.dtype == expected.dtype
    assert computed.shape == expected.shape
    assert np.abs(computed - expected).max() <= tolerance * np.abs(expected).max()


def assert_same_as_estimator(estimator, X):
    """Compare encoder and decoder, in both precisions, for many samples, one and none."""
    for dtype, tolerance in TOLERANCES.items():
        encoder, decoder = encoder_to_onnx(estimator, dtype=dtype), decoder_to_onnx(estimator, dtype=dtype)
        x = np.asarray(X, dtype)
        codes = estimator.transform(x)
        operators = {node.op_type for model in (encoder, decoder) for node in model.graph.node}
        tolerance = 1e-6 if operators & IN_FLOAT32 and dtype == "float64" else tolerance
        assert_same(run(encoder, x), codes, tolerance)
        assert_same(run(encoder, x[:1]), codes[:1], tolerance)
        assert run(encoder, x[:0]).shape == (0, codes.shape[1])
        assert_same(run(decoder, codes), estimator.inverse_transform(codes), tolerance)


@pytest.fixture(scope="module")
def fractions() -> np.ndarray:
    """Return 60 samples of eight features that every loss accepts: fractions that sum to 1."""
    rng = np.random.default_rng(0)
    X = rng.random((60, 8)) ** 4
    return X / X.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def groups(fractions) -> np.ndarray:
    """Return samples whose features 1 to 3 sum to 1 as well."""
    X = np.array(fractions)
    X[:, 1:4] /= X[:, 1:4].sum(axis=1, keepdims=True)
    return X


COMBINATIONS = list(product(CODES, ACTIVATIONS, OUTPUTS))
PAIRWISE = covering(COMBINATIONS)


def test_the_combinations_cover_all_pairs():
    for i, j in combinations(range(3), 2):
        assert {(c[i], c[j]) for c in PAIRWISE} == {(c[i], c[j]) for c in COMBINATIONS}
    assert len(PAIRWISE) < len(COMBINATIONS) / 4


@pytest.mark.parametrize(
    ("code", "activation", "output"),
    PAIRWISE + [pytest.param(*c, marks=pytest.mark.slow) for c in COMBINATIONS if c not in PAIRWISE],
)
def test_every_code_activation_and_output_agrees(code, activation, output, fractions, groups):
    X = groups if output == "by_columns" else 10 * fractions if output == "scaled_softmax" else fractions
    estimator = quick(3, code=code, activation=activation, hidden_layer_sizes=(6, 5), **OUTPUTS[output]).fit(X)
    assert_same_as_estimator(estimator, X)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("code", CODES)
def test_every_code_and_output_agrees_without_hidden_layers_and_tied(code, output, fractions, groups):
    X = groups if output == "by_columns" else fractions
    estimator = quick(3, code=code, module=TiedAutoencoder, **OUTPUTS[output]).fit(X)
    assert_same_as_estimator(estimator, X)


@pytest.mark.parametrize("code", CODES)
def test_ordered_and_truncated_codes_agree(code, small):
    estimator = quick(4, code=code, ordered=True).fit(small)
    assert_same_as_estimator(estimator, small)
    assert_same_as_estimator(estimator.truncate(2), small)


@pytest.mark.parametrize(
    "params",
    [{}, {"code_dropout": 0.1}, {"ordered": True}, {"code": "relu"}, {"code": "top_k", "ordered": True}],
    ids=str,
)
def test_whitened_codes_agree(params, small):
    estimator = quick(4, whiten=True, **params).fit(small)
    assert_same_as_estimator(estimator, small)
    if "ordered" in params:
        assert_same_as_estimator(estimator.truncate(2), small)


def test_a_number_of_components_chosen_by_fit_agrees(small):
    estimator = quick(0.5).fit(small)
    assert_same_as_estimator(estimator, small)


def test_there_is_no_dropout_in_a_model(small):
    estimator = quick(3, code_dropout=0.5, code="relu").fit(small)
    assert_same_as_estimator(estimator, small)
    operators = {node.op_type for node in encoder_to_onnx(estimator).graph.node}
    assert not {o for o in operators if "Dropout" in o or "Random" in o}


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "multinomial", Mixed([("log_loss", [0])])])
def test_missing_entries_are_handled_as_by_transform(loss, fractions):
    gaps = np.random.default_rng(0).random(fractions.shape) < 0.2
    X = np.where(gaps, np.nan, fractions)
    estimator = quick(3, missing="mask", loss=loss).fit(X)
    assert_same_as_estimator(estimator, X)


def test_a_large_mean_costs_no_digits(small):
    X = (small * 0.01 + 1e4).astype(np.float32)
    estimator = quick(3).fit(X)
    assert_same(run(encoder_to_onnx(estimator), X), estimator.transform(X), 1e-5)


def test_top_k_agrees_for_other_samples_and_counts(digits):
    X = digits[:300].astype(np.float32)
    for code in (TopK(4), TopK(0.3, k_transform=9)):
        estimator = quick(16, code=code).fit(X)
        assert_same(run(encoder_to_onnx(estimator), X[::-1]), estimator.transform(X[::-1]), 1e-5)


def test_a_convolutional_network_agrees(digits):
    for channels, image_shape in (((4,), None), ((3, 5), (8, 8)), ((3,), (8, 2, 4))):
        network = partial(ConvAutoencoder, channels=channels, image_shape=image_shape)
        estimator = quick(3, module=network, max_epochs=1).fit(digits[:100])
        assert_same_as_estimator(estimator, digits[:100])


def test_a_column_that_does_not_vary_and_data_of_one_scale_agree(small):
    X = np.array(small)
    X[:, 2] = 7.0
    assert_same_as_estimator(quick(2).fit(X), X)


def test_a_model_is_written_to_a_file_and_does_not_change(small, tmp_path):
    estimator = quick(2).fit(small)
    for name, to_onnx in (("encoder.onnx", encoder_to_onnx), ("decoder.onnx", decoder_to_onnx)):
        made = to_onnx(estimator, tmp_path / name)
        assert onnx.load(tmp_path / name) == made
    x = small.astype(np.float32)
    model, before = encoder_to_onnx(estimator), estimator.transform(x)
    estimator.partial_fit(small[::-1] * 2)
    assert_same(run(model, x), before, 1e-5)
    assert model.ir_version <= 8  # for runtimes since 2022


def test_inputs_and_outputs_have_names_and_shapes(small):
    estimator = quick(2).fit(small)
    for model, (x, d), (y, k) in (
        (encoder_to_onnx(estimator), ("X", 8), ("codes", 2)),
        (decoder_to_onnx(estimator), ("codes", 2), ("X", 8)),
    ):
        (given,), (made,) = model.graph.input, model.graph.output
        for value, name, width in ((given, x, d), (made, y, k)):
            rows, columns = value.type.tensor_type.shape.dim
            assert (value.name, rows.dim_param, columns.dim_value) == (name, "n_samples", width)


class CustomActivation(nn.Module):
    def forward(self, x):
        return x.relu()


class CustomCode(Code):
    def __call__(self, a):
        return a.abs()


class OtherReLU(ReLU):
    def __call__(self, a):
        return torch.relu(a) / 2


class CustomNetwork(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(n_features, n_components), nn.Linear(n_components, n_features)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, h):
        return self.decoder(h)


class CustomAffineNetwork(AffineNetwork):
    def encode(self, x):
        return 2 * super().encode(x)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"activation": CustomActivation}, "CustomActivation"),
        ({"activation": nn.CELU}, "CELU"),
        ({"code": CustomCode()}, "CustomCode"),
        ({"code": OtherReLU()}, "OtherReLU"),
        ({"module": CustomNetwork}, "CustomNetwork"),
        ({"module": partial(CustomAffineNetwork, n_preactivations=2)}, "CustomAffineNetwork"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_without_a_translation_are_named_in_an_error(params, name, small, tmp_path):
    estimator = quick(2, max_epochs=1, **params).fit(small)
    path = tmp_path / "encoder.onnx"
    with pytest.raises(ValueError, match=rf"{name}.* cannot be written to ONNX"):
        encoder_to_onnx(estimator, path)
    assert not path.exists()
    register_with_skl2onnx()
    with pytest.raises(ValueError, match=rf"{name}.* cannot be written to ONNX"):
        skl2onnx.to_onnx(estimator, small.astype(np.float32))


class Gated(AffineNetwork):
    """A custom network that adds only layers with a translation."""

    def __init__(self, n_features, n_components, n_preactivations):
        f = nn.Sequential(Linear(n_features, 4), nn.Sequential(nn.Dropout(0.1), nn.Tanh()), Linear(4, n_components))
        super().__init__(n_features, n_components, n_preactivations, f=f)


class Absolute(Code):
    """A custom code with a translation."""

    def __call__(self, a):
        return a.abs()

    def to_onnx(self, graph, a, n_components):
        return graph.add("Abs", a)


def test_custom_parts_with_a_translation_agree(small):
    assert_same_as_estimator(quick(2, code=Absolute(), module=Gated).fit(small), small)


def test_anything_but_a_fitted_autoencoder_raises_an_error(small):
    with pytest.raises(NotFittedError):
        encoder_to_onnx(quick(2))
    with pytest.raises(TypeError, match="register_with_skl2onnx"):
        encoder_to_onnx(make_pipeline(quick(2)).fit(small))
    with pytest.raises(ValueError, match=r"dtype='float16' must be 'float32' or 'float64'"):
        decoder_to_onnx(quick(2).fit(small), dtype="float16")


def test_a_scale_beyond_float32_needs_float64(small):
    X = (small - 5) * 1e-60
    estimator = quick(2).fit(X)
    for to_onnx in (encoder_to_onnx, decoder_to_onnx):
        with pytest.raises(ValueError, match="dtype='float64'"):
            to_onnx(estimator)
    codes = run(encoder_to_onnx(estimator, dtype="float64"), X)
    assert_same(codes, estimator.transform(X), 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_pipeline_is_one_model(dtype):
    X, y = load_digits(return_X_y=True)
    autoencoder = quick(8, code=TopK(4), hidden_layer_sizes=(16,))
    pipeline = make_pipeline(MinMaxScaler(), autoencoder, StandardScaler(), LogisticRegression(max_iter=1000))
    pipeline.fit(X[:600], y[:600])
    register_with_skl2onnx()
    x = X[600:].astype(dtype)
    model = skl2onnx.to_onnx(pipeline, x[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    labels, probabilities = session.run(None, {"X": x})
    expected = pipeline.predict_proba(x)
    sure = np.diff(np.sort(expected, axis=1)[:, -2:])[:, 0] > 1e-4
    assert (labels == pipeline.predict(x))[sure].all()
    assert np.abs(probabilities - expected).max() < 1e-5


def test_integers_are_computed_in_float64_as_in_transform(digits):
    X = digits[:100].astype(np.int64) + 10**9
    pipeline = make_pipeline(quick(3)).fit(X)
    register_with_skl2onnx()
    assert_same(run(skl2onnx.to_onnx(pipeline, X[:1]), X), pipeline.transform(X), 1e-12)


def test_two_autoencoders_in_one_model_are_independent(small):
    halves = ColumnTransformer([("left", quick(2), [0, 1, 2, 3]), ("right", quick(2, code="relu"), [4, 5, 6, 7])])
    halves.fit(small)
    register_with_skl2onnx()
    x = small.astype(np.float32)
    assert_same(run(skl2onnx.to_onnx(halves, x[:1]), x), halves.transform(x), 1e-5)


@pytest.mark.parametrize("opset", [11, 13, skl2onnx.__max_supported_opset__])
@pytest.mark.parametrize("code", CODES)
def test_a_model_for_another_opset(code, opset, small):
    estimator = quick(2, code=code, ordered=True, missing="mask", activation="gelu").fit(small).truncate(1)
    register_with_skl2onnx()
    for dtype, tolerance in {"float32": 1e-5, "float64": 1e-6}.items():
        x = small.astype(dtype)
        model = skl2onnx.to_onnx(estimator, x[:1], target_opset=opset)
        onnx.checker.check_model(model, full_check=True)
        assert_same(run(model, x), estimator.transform(x), tolerance)


@pytest.mark.parametrize("opset", [5, 9, 10, {"": 9, "ai.onnx.ml": 1}], ids=str)
@pytest.mark.parametrize("settings", [{}, {"code": "relu", "hidden_layer_sizes": ()}, {"missing": "mask"}], ids=str)
def test_an_opset_without_all_operators_raises_an_error_that_names_it(settings, opset, small):
    register_with_skl2onnx()
    estimator = make_pipeline(quick(2, **settings)).fit(small)
    with pytest.raises(ValueError, match=r"target_opset=\d+ .* pass target_opset=11 or more"):
        skl2onnx.to_onnx(estimator, small[:1], target_opset=opset)


def test_importing_the_package_imports_neither_onnx_nor_matplotlib():
    script = """
import sys
import sklearn_ae.model_selection, sklearn_ae.onnx, sklearn_ae.plotting
assert not {"matplotlib", "mpl_toolkits", "onnx", "skl2onnx"} & {module.split(".")[0] for module in sys.modules}
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
