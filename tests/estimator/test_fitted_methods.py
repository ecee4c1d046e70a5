"""Methods of the estimator require a fit and follow it, whatever parameters are set afterwards."""

import inspect
from threading import Lock

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import quick
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import get_tags
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import Gaussian
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.onnx import decoder_to_onnx, encoder_to_onnx

#: Parameters with which all methods are available.
ALL_METHODS = {"code": "gaussian", "ordered": True, "missing": "mask"}
#: The arguments of each public method that needs a fit, given data with two columns.
ARGUMENTS = {
    "elbo": lambda X: (X,),
    "get_feature_names_out": lambda X: (),
    "impute": lambda X: (X,),
    "inverse_transform": lambda X: (X,),
    "reconstruction_curve": lambda X: (X,),
    "reconstruction_error": lambda X: (X,),
    "sample": lambda X: (),
    "score": lambda X: (X,),
    "score_samples": lambda X: (X,),
    "transform": lambda X: (X,),
    "truncate": lambda X: (1,),
}
CONTAINERS = {
    "array": np.asarray,
    "float32": np.float32,
    "frame": pd.DataFrame,
    "sparse": csr_array,
    "tensor": torch.tensor,
    "dask": da.from_array,
}


def public_methods() -> set[str]:
    """Return the names of the public methods of the estimator that neither fit it nor set or return its parameters."""
    others = {"fit", "fit_transform", "partial_fit", "get_metadata_routing", "get_params"}
    members = inspect.getmembers(quick(**ALL_METHODS), callable)
    return {name for name, _ in members if not name.startswith(("_", "set_"))} - others


def test_all_public_methods_are_known():
    assert public_methods() == ARGUMENTS.keys()


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("method", ARGUMENTS)
def test_a_method_of_an_estimator_that_is_not_fitted_says_so(method, container, small):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(quick(**ALL_METHODS), method)(*ARGUMENTS[method](container(small[:, :2])))


def through_union(estimator, X):
    return FeatureUnion([("a", FrozenEstimator(estimator)), ("b", FrozenEstimator(estimator))]).fit_transform(X)


@pytest.mark.parametrize(
    "call",
    [
        through_union,
        lambda estimator, X: FrozenEstimator(estimator).transform(X),
        lambda estimator, X: make_pipeline(FrozenEstimator(estimator)).fit(X).transform(X),
        reconstruction_score,
        lambda estimator, X: encoder_to_onnx(estimator),
        lambda estimator, X: decoder_to_onnx(estimator),
        lambda estimator, X: clone(quick().fit(X)).transform(X),
    ],
    ids=["union", "frozen", "pipeline", "score", "encoder", "decoder", "clone"],
)
def test_what_needs_a_fit_says_so(call, small):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        call(quick(), small)


#: Parameters of a fit, parameters that are set afterwards, and the methods that the fit has.
SET_AFTERWARDS = {
    "ordered": ({"ordered": True}, {"ordered": False}, ("truncate", "reconstruction_curve")),
    "selected": ({"n_components": 0.5}, {"n_components": 1}, ("truncate", "reconstruction_curve")),
    "gaussian": ({"code": "gaussian"}, {"code": "relu"}, ("sample", "elbo")),
    "gaussian class": ({"code": Gaussian(0.5)}, {"code": "identity"}, ("sample", "elbo")),
    "mask": ({"missing": "mask"}, {"missing": "error"}, ("impute",)),
}


@pytest.mark.parametrize(("fitted", "changed", "methods"), SET_AFTERWARDS.values(), ids=SET_AFTERWARDS)
def test_methods_follow_the_fit_not_parameters_set_afterwards(fitted, changed, methods, small):
    X = small[:, :2]
    arguments = {name: (1,) if name in ("truncate", "sample") else (X,) for name in methods}
    estimator = quick(**fitted).fit(X)
    assert all(hasattr(estimator.set_params(**changed), name) for name in methods)
    for name in methods:
        getattr(estimator, name)(*arguments[name])
    estimator = quick(**changed).fit(X).set_params(**fitted)
    for name in methods:
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError) as raised:
            getattr(estimator, name)
        assert "changed after the fit, but this method uses the value of the fit: fit again" in str(
            raised.value.__cause__
        )
    assert all(hasattr(estimator.fit(X), name) for name in methods)


def test_missing_entries_are_treated_as_in_the_fit(small):
    X = small.copy()
    X[3, 5] = np.nan
    estimator = quick().fit(small).set_params(missing="mask")
    with pytest.raises(ValueError, match="fit with missing='mask'"):
        estimator.transform(X)
    masked = quick(missing="mask").fit(small)
    expected = masked.transform(X)
    np.testing.assert_array_equal(masked.set_params(missing="error").transform(X), expected)


def test_an_estimator_without_a_fit_has_the_methods_of_its_parameters():
    conditional = {"truncate", "reconstruction_curve", "sample", "elbo", "impute"}
    assert not any(hasattr(AutoencoderTransformer(), name) for name in conditional)
    assert all(hasattr(AutoencoderTransformer(**ALL_METHODS), name) for name in conditional)


class Locked(Callback):
    """A callback that cannot be copied."""

    def __init__(self):
        self.lock = Lock()


def test_copies_of_a_fitted_estimator_do_not_copy_callbacks(small):
    callback = Locked()
    model = quick(2, ordered=True, callbacks=[callback]).fit(small)
    assert model.truncate(1).callbacks[0] is callback
    np.testing.assert_allclose(model.transform(da.from_array(small)).compute(), model.transform(small))


@pytest.mark.parametrize("loss", ["mse", 3, None])
def test_an_invalid_loss_is_displayed_and_only_fit_raises_an_error(loss, small):
    model = AutoencoderTransformer(loss=loss)
    assert "AutoencoderTransformer" in make_pipeline(model)._repr_html_()
    assert not get_tags(model).input_tags.positive_only
    with pytest.raises(ValueError, match="loss"):
        model.fit(small)
