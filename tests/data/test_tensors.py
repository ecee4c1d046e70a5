"""Tensors in, tensors out, with the same values as for arrays."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy
import torch
from helpers import quick
from sklearn.utils.fixes import parse_version

from sklearn_ae import AutoencoderTransformer


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(50, 4)) + 3


@pytest.fixture(scope="module")
def model(X):
    return quick().fit(X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["transform", "score_samples", "reconstruction_error"])
def test_results_are_those_of_arrays(model, X, name, dtype):
    tensor = torch.from_numpy(X).to(dtype)
    result = getattr(model, name)(tensor)
    expected = getattr(model, name)(tensor.numpy())
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), expected)
    assert result.numpy().dtype == expected.dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reconstructions_of_tensors_are_tensors(model, X, dtype):
    codes = model.transform(torch.from_numpy(X).to(dtype))
    decoded = model.inverse_transform(codes)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded.numpy(), model.inverse_transform(codes.numpy()))


def test_a_fit_to_a_tensor_equals_that_to_an_array(model, X):
    tensor = torch.from_numpy(X)
    fitted = quick().fit(tensor)
    np.testing.assert_array_equal(fitted.components_, model.components_)
    assert fitted.score(tensor) == model.score(X)
    assert isinstance(quick().fit_transform(tensor), torch.Tensor)
    partly, other = quick().partial_fit(tensor), quick().partial_fit(X)
    np.testing.assert_array_equal(partly.components_, other.components_)


def test_other_dtypes_are_computed_in_float64(model):
    whole = torch.arange(12).reshape(3, 4)
    assert model.transform(whole).dtype == model.transform(whole.bfloat16()).dtype == torch.float64
    np.testing.assert_array_equal(model.transform(whole).numpy(), model.transform(whole.numpy()))


def test_tensors_that_require_a_gradient_are_detached(model, X):
    assert not model.transform(torch.from_numpy(X).requires_grad_()).requires_grad


def test_tensors_with_missing_entries_are_imputed(X):
    gaps = torch.from_numpy(np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X))
    model = AutoencoderTransformer(missing="mask", max_epochs=2, random_state=0).fit(gaps)
    filled = model.impute(gaps)
    assert isinstance(filled, torch.Tensor)
    np.testing.assert_array_equal(filled.numpy(), model.impute(gaps.numpy()))
    np.testing.assert_array_equal(model.impute(gaps.bfloat16()).numpy(), model.impute(gaps.bfloat16().double().numpy()))


def test_set_output_takes_precedence_over_tensors(X):
    model = quick().fit(X).set_output(transform="pandas", inverse_transform="pandas")
    codes = model.transform(torch.from_numpy(X))
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    decoded = model.inverse_transform(torch.from_numpy(codes.to_numpy(copy=True)))
    assert list(decoded.columns) == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(
    "bad", [torch.zeros(4), torch.zeros(2, 4, dtype=torch.complex64), torch.zeros(2, 4).to_sparse()]
)
def test_unsuitable_tensors_raise_an_error(model, bad):
    for call in (model.transform, model.fit, model.inverse_transform):
        with pytest.raises(ValueError, match=r"X must be a dense tensor of real numbers .* got a torch"):
            call(bad)


def test_tensors_are_checked_as_arrays_are(model, X):
    with pytest.raises(ValueError, match="NaN"):
        model.transform(torch.full((2, 4), torch.nan))
    with pytest.raises(ValueError, match="NaN"):
        model.inverse_transform(torch.full((2, 2), torch.nan))
    with pytest.raises(ValueError, match="3 features"):
        model.transform(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="3 columns"):
        model.inverse_transform(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        model.transform(torch.zeros(0, 4))


DISPATCH = """
import torch
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn_ae import AutoencoderTransformer
X = torch.from_numpy(load_iris().data)
with config_context(array_api_dispatch=True):
    for model in (PCA(2), AutoencoderTransformer(2, max_epochs=2, random_state=0)):
        codes = model.fit(X).transform(X)
        assert isinstance(codes, torch.Tensor) and isinstance(model.inverse_transform(codes), torch.Tensor), model
        assert isinstance(model.fit_transform(X), torch.Tensor)
"""


@pytest.mark.skipif(parse_version(scipy.__version__) < parse_version("1.14"), reason="scikit-learn needs SciPy 1.14")
def test_array_api_dispatch_changes_nothing_for_tensors():
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    result = subprocess.run([sys.executable, "-c", DISPATCH], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


OTHER_LIBRARY = """
import numpy as np
from sklearn import config_context
from sklearn_ae import AutoencoderTransformer

class Array:
    "An array of a library that implements the array API, as array_api_strict, CuPy and JAX do."
    def __init__(self, values):
        self.values, self.shape, self.ndim, self.dtype = values, values.shape, values.ndim, values.dtype
    def __array_namespace__(self, api_version=None):
        return np
    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)
    def __len__(self):
        return len(self.values)

values = np.random.default_rng(0).normal(size=(40, 3))
model = AutoencoderTransformer(2, max_epochs=1, random_state=0, missing="mask").fit(values)
X, codes = Array(values), Array(model.transform(values))
np.testing.assert_array_equal(model.transform(X), model.transform(values))
calls = [(name, X) for name in ("fit", "fit_transform", "partial_fit", "transform", "score", "score_samples", "impute")]
with config_context(array_api_dispatch=True):
    for name, given in [*calls, ("inverse_transform", codes)]:
        try:
            getattr(model, name)(given)
        except TypeError as error:
            assert "X is an array of __main__, " in str(error) and "torch.from_dlpack(X)" in str(error), (name, error)
        else:
            raise AssertionError(name)
"""


@pytest.mark.skipif(parse_version(scipy.__version__) < parse_version("1.14"), reason="scikit-learn needs SciPy 1.14")
def test_array_api_dispatch_to_another_library_raises_an_error_that_names_it():
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    result = subprocess.run([sys.executable, "-c", OTHER_LIBRARY], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_results_stay_on_the_device(X):
    tensor = torch.from_numpy(X).cuda()
    model = quick(device="cuda").fit(tensor)
    codes = model.transform(tensor)
    assert codes.device == model.inverse_transform(codes).device == model.score_samples(tensor).device == tensor.device
    torch.testing.assert_close(codes.cpu(), torch.from_numpy(model.transform(X)))
