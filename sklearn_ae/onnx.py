"""Export of fitted autoencoders to ONNX models, which run without torch and scikit-learn; needs the extra ``onnx``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_ae._autoencoder import AutoencoderTransformer
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._model.fitted_model import FittedModel
from sklearn_ae._utils.onnx_graph import DOUBLE, Graph, Node, untranslatable_error
from sklearn_ae._version import __version__
from sklearn_ae.networks import AffineNetwork, Permute, halves_are_sums

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["decoder_to_onnx", "encoder_to_onnx", "register_with_skl2onnx"]

OPSET = 17  # has all the operators; supported by runtimes since 2022
LEAST_OPSET = 11  # of models that skl2onnx builds: earlier ones need a bias in each Gemm and lack operators


def encoder_to_onnx(
    estimator: AutoencoderTransformer, path: str | os.PathLike[str] | None = None, *, dtype: Any = "float32"
) -> ModelProto:
    """Convert ``transform`` of a fitted autoencoder to an ONNX model.

    Its input is ``X`` of shape (n_samples, n_features), dense, with any number of samples; its output is ``codes``.
    With ``missing="mask"`` entries of X may be NaN. A model does not check its input: for values that are not finite,
    where ``transform`` raises an error, it returns codes that are not finite.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted estimator. Later changes to it do not affect the model.
    path : str or path-like, default=None
        File to write the model to, if any.
    dtype : {"float32", "float64"} or dtype, default="float32"
        Precision of input, output and all computations.

    Returns
    -------
    model : onnx.ModelProto
        The model, of opset 17.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If a part of the estimator cannot be exported, or if the scale of the data is outside the range of float32. No
        file is written then.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.onnx import encoder_to_onnx
    >>> X = load_digits().data.astype(np.float32)
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=5, random_state=0).fit(X)
    >>> session = onnxruntime.InferenceSession(encoder_to_onnx(autoencoder).SerializeToString())
    >>> (codes,) = session.run(["codes"], {"X": X})
    >>> np.allclose(codes, autoencoder.transform(X), atol=1e-4)
    True
    """
    graph = _graph_for(estimator, dtype)
    codes = _add_encoder(graph, "X", estimator._fitted_model)
    sizes = {"X": estimator.n_features_in_, "codes": estimator.n_components_}
    return _model(graph, sizes, codes, path)


def decoder_to_onnx(
    estimator: AutoencoderTransformer, path: str | os.PathLike[str] | None = None, *, dtype: Any = "float32"
) -> ModelProto:
    """Convert ``inverse_transform`` of a fitted autoencoder to an ONNX model.

    Its input is ``codes`` of shape (n_samples, n_components), with any number of samples; its output is ``X``.
    Everything else, errors included, is as in :func:`encoder_to_onnx`.

    Parameters
    ----------
    estimator, path, dtype : see :func:`encoder_to_onnx`
        Fitted estimator, file to write to, and precision.

    Returns
    -------
    model : onnx.ModelProto
        The model, of opset 17.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.onnx import decoder_to_onnx
    >>> X = load_digits().data.astype(np.float32)
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=5, random_state=0).fit(X)
    >>> session = onnxruntime.InferenceSession(decoder_to_onnx(autoencoder).SerializeToString())
    >>> codes = autoencoder.transform(X)
    >>> (images,) = session.run(["X"], {"codes": codes})
    >>> np.allclose(images, autoencoder.inverse_transform(codes), atol=1e-4)
    True
    """
    graph = _graph_for(estimator, dtype)
    X = _add_decoder(graph, "codes", estimator._fitted_model)
    sizes = {"codes": estimator.n_components_, "X": estimator.n_features_in_}
    return _model(graph, sizes, X, path)


def register_with_skl2onnx() -> None:
    """Register a converter of autoencoders with skl2onnx, alone and as steps of a Pipeline or a ColumnTransformer.

    ``skl2onnx.to_onnx`` then converts a whole Pipeline to one model. As in ``transform``, float32 stays float32, and
    any other input is computed in float64. Calling it again has no effect. A `target_opset` must be at least 11.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skl2onnx
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.onnx import register_with_skl2onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(8, max_epochs=5, random_state=0)
    >>> pipeline = make_pipeline(autoencoder, LogisticRegression(max_iter=1000)).fit(X, y)
    >>> register_with_skl2onnx()
    >>> model = skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32))
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> labels, _ = session.run(None, {"X": X.astype(np.float32)})
    >>> bool((labels == pipeline.predict(X)).all())
    True
    """
    from skl2onnx import update_registered_converter

    update_registered_converter(AutoencoderTransformer, "SklearnAeAutoencoderTransformer", _set_shape, _convert)


def _set_shape(operator: Any) -> None:
    """Set the type and the shape of the codes for skl2onnx."""
    estimator, (X,) = operator.raw_operator, operator.inputs
    operator.outputs[0].type = _type_of_codes(X)([X.get_first_dimension(), estimator.n_components_])


def _type_of_codes(X: Any) -> type:
    """Return skl2onnx's type of the codes of X: as in ``transform``, float32 for float32, otherwise float64."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return FloatTensorType if isinstance(X.type, FloatTensorType) else DoubleTensorType


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the encoder to the model that skl2onnx builds."""
    from onnx import numpy_helper
    from skl2onnx.common.data_types import FloatTensorType

    estimator, (X,), (output,) = operator.raw_operator, operator.inputs, operator.outputs
    if container.target_opset < LEAST_OPSET:
        raise ValueError(
            f"target_opset={container.target_opset} lacks operators of an AutoencoderTransformer: pass "
            f"target_opset={LEAST_OPSET} or more to skl2onnx, or leave it out."
        )
    in_float32 = _type_of_codes(X) is FloatTensorType
    graph = _graph_for(estimator, np.float32 if in_float32 else np.float64)
    x = "X" if in_float32 else graph.add("Cast", "X", to=DOUBLE)
    names = {"X": X.full_name, _add_encoder(graph, x, estimator._fitted_model): output.full_name}
    for name, values in graph.constants.items():
        names[name] = scope.get_unique_variable_name(name)
        container.add_initializer(names[name], None, None, numpy_helper.from_array(values, names[name]))
    for node in graph.nodes:
        names |= {name: scope.get_unique_variable_name(name) for name in node.outputs if name not in names}
        inputs, outputs = ([names[name] for name in some] for some in (node.inputs, node.outputs))
        unique = scope.get_unique_operator_name(node.operator)
        container.add_node(node.operator, inputs, outputs, name=unique, **node.attributes)


def _model(graph: Graph, sizes: dict[str, int], result: str, path: str | os.PathLike[str] | None) -> ModelProto:
    """Return the model of a graph from the first name in `sizes` to the second, a new name for `result`."""
    import onnx
    from onnx import helper, numpy_helper

    x, y = sizes
    graph.nodes.append(Node("Identity", [result], [y], {}))
    float_type = helper.np_dtype_to_tensor_dtype(graph.dtype)
    model_input, model_output = (
        helper.make_tensor_value_info(name, float_type, ["n_samples", n_columns]) for name, n_columns in sizes.items()
    )
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(n.operator, n.inputs, n.outputs, **n.attributes) for n in graph.nodes],
            f"{x} to {y}",
            [model_input],
            [model_output],
            [numpy_helper.from_array(values, name) for name, values in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", OPSET)]),
        producer_name="sklearn-ae",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        onnx.save(model, path)
    return model


def _graph_for(estimator: Any, dtype: Any) -> Graph:
    """Return an empty graph after checking that `estimator` is a fitted autoencoder and that `dtype` suits it."""
    if not isinstance(estimator, AutoencoderTransformer):
        raise TypeError(
            f"estimator={estimator!r} is not an AutoencoderTransformer. For a Pipeline that contains one, call "
            "register_with_skl2onnx() and then skl2onnx.to_onnx(pipeline, X)."
        )
    check_is_fitted(estimator)
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float64'.")
    scale, greatest, limits = estimator._scaling.scale, np.abs(estimator._scaling.mean).max(), np.finfo(dtype)
    if not (greatest < limits.max and limits.tiny < scale < limits.max):
        raise ValueError(
            f"The training data has a scale of {scale:g} and means up to {greatest:g}, outside the range of "
            f"{np.dtype(dtype)}: pass dtype='float64', or float64 data to skl2onnx."
        )
    return Graph(dtype)


def _add_encoder(graph: Graph, X: str, model: FittedModel) -> str:
    """Add the encoder and return the name of the codes of `X`."""
    module = model.module64
    z = _to_network(graph, X, model.scaling)
    if model.scaling.fills_missing:
        fill = model.scaling.transform_point(model.scaling.mean)
        z = graph.add("Where", graph.add("IsNaN", z), fill, z)
    z = graph.add_part(module.output, "encoder_input", z, translator="input_to_onnx")
    network = _known(module.network)
    a = _plus(graph, _layer(graph, network.encoder_affine, z), network.encoder_hidden, z)
    h = graph.add_part(module.code, "__call__", a, module.code_width)
    if module.n_components < module.code_width:
        h = graph.columns(h, 0, module.n_components)
    return module.code_map.to_onnx(graph, h)


def _add_decoder(graph: Graph, codes: str, model: FittedModel) -> str:
    """Add the decoder and return the name of the reconstruction from `codes`."""
    module, output_range = model.module64, model.output_range
    h = module.code_map.undo_to_onnx(graph, codes)
    if module.n_components < module.code_width:
        h = graph.add("Pad", h, [0, 0, 0, module.code_width - module.n_components])
    network = _known(module.network)
    u = graph.add("Gemm", h, network.decoder_weight, network.decoder_bias, transB=1)
    u = _plus(graph, u, network.decoder_hidden, h)
    X = _to_data(graph, graph.add_part(module.output, "forward", u), model.scaling)
    return X if output_range is None else graph.add("Min", graph.add("Max", X, output_range.low), output_range.high)


def _to_network(graph: Graph, X: str, scaling: Scaling) -> str:
    """Return the name of X in the network's coordinates; float32 is centred in two steps, as in ``transform``."""
    offset = scaling.offset
    high = offset.astype(graph.dtype)
    z = graph.add("Sub", graph.add("Sub", X, high), offset - high)
    return graph.add("Div", z, scaling.column_scale)


def _to_data(graph: Graph, z: str, scaling: Scaling) -> str:
    return graph.add("Add", graph.add("Mul", z, scaling.column_scale), scaling.offset)


def _known(network: nn.Module) -> AffineNetwork:
    """Return a network after checking that it computes its halves as AffineNetwork does."""
    if not halves_are_sums(network):
        raise untranslatable_error(network)
    return network


def _plus(graph: Graph, affine: str, hidden: nn.Module | None, x: str) -> str:
    """Add `hidden` layers of `x`, if any, to an affine path, and return the name of the sum."""
    return affine if hidden is None else graph.add("Add", affine, _layer(graph, hidden, x))


def _layer(graph: Graph, layer: nn.Module, x: str) -> str:
    """Add a layer and return the name of its output."""
    computing = next(cls for cls in type(layer).__mro__ if "forward" in vars(cls))
    translation = LAYERS.get(computing)
    output = None if translation is None else translation(graph, layer, x)
    if output is None:
        raise untranslatable_error(layer)
    return output


def _sequential(graph: Graph, layers: Any, x: str) -> str:
    for layer in layers:
        x = _layer(graph, layer, x)
    return x


def _affine(graph: Graph, layer: Any, x: str) -> str:
    bias = [] if layer.bias is None else [layer.bias]
    return graph.add("Gemm", x, layer.weight, *bias, transB=1)


def _gelu(graph: Graph, layer: Any, x: str) -> str | None:
    if layer.approximate != "none":
        return None
    gate = graph.add("Add", graph.add_in_float32("Erf", graph.add("Mul", x, np.sqrt(0.5))), 1.0)
    return graph.add("Mul", graph.add("Mul", x, gate), 0.5)


def _elu(graph: Graph, layer: Any, x: str) -> str:  # onnxruntime (1.24) lacks Elu and LeakyRelu in float64
    negative = graph.add("Sub", graph.add("Exp", graph.add("Min", x, 0.0)), 1.0)
    return graph.add("Add", graph.add("Relu", x), graph.add("Mul", negative, float(layer.alpha)))


def _leaky_relu(graph: Graph, layer: Any, x: str) -> str:
    negative = graph.add("Mul", graph.add("Min", x, 0.0), float(layer.negative_slope))
    return graph.add("Add", graph.add("Relu", x), negative)


def _silu(graph: Graph, layer: Any, x: str) -> str:
    if graph.dtype == np.float32:
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    # onnxruntime (1.24) would fuse Mul and Sigmoid into an operator that it lacks in float64
    return graph.add("Div", x, graph.add("Add", graph.add("Exp", graph.add("Neg", x)), 1.0))


def _convolution(graph: Graph, layer: Any, x: str) -> str | None:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    bias = [] if layer.bias is None else [layer.bias]
    shape = {"strides": list(layer.stride), "dilations": list(layer.dilation), "pads": list(layer.padding) * 2}
    return graph.add_in_float32("Conv", x, layer.weight, *bias, group=layer.groups, **shape)


def _upsampling(graph: Graph, layer: Any, x: str) -> str | None:
    if layer.mode != "nearest" or not isinstance(layer.size, tuple):
        return None
    sizes = graph.add("Concat", graph.add("Slice", graph.add("Shape", x), [0], [2]), list(layer.size), axis=0)
    nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return graph.add_in_float32("Resize", x, "", "", sizes, **nearest)


def _unflattening(graph: Graph, layer: Any, x: str) -> str | None:
    return graph.add("Reshape", x, [0, *layer.unflattened_size]) if layer.dim == 1 else None


def _flattening(graph: Graph, layer: Any, x: str) -> str | None:
    return graph.add("Flatten", x, axis=1) if (layer.start_dim, layer.end_dim) == (1, -1) else None


def _unchanged(graph: Graph, layer: Any, x: str) -> str:
    return x


#: Functions that add a torch layer to a graph; they return None for unsupported settings.
LAYERS: dict[type, Callable[[Graph, Any, str], str | None]] = {
    nn.Sequential: _sequential,
    nn.Linear: _affine,
    nn.Conv2d: _convolution,
    nn.Upsample: _upsampling,
    nn.Unflatten: _unflattening,
    nn.Flatten: _flattening,
    Permute: lambda graph, layer, x: graph.add("Transpose", x, perm=list(layer.axes)),
    nn.Identity: _unchanged,
    nn.Dropout: _unchanged,
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.LeakyReLU: _leaky_relu,
    nn.ReLU: lambda graph, layer, x: graph.add("Relu", x),
    nn.Sigmoid: lambda graph, layer, x: graph.add("Sigmoid", x),
    nn.SiLU: _silu,
    nn.Tanh: lambda graph, layer, x: graph.add("Tanh", x),
}
