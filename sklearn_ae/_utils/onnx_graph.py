"""What a fitted network computes, noted as operators of ONNX; :mod:`sklearn_ae.onnx` makes a model of the notes."""

from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["DOUBLE", "Graph", "Node", "untranslatable_error"]

#: What ONNX numbers its types of tensors.
FLOAT, DOUBLE = 1, 11


class Node(NamedTuple):
    """One operator with the names of what goes in and what comes out."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Graph:
    """Operators in the order in which they are computed, and the constants among their inputs.

    Values have names. Arrays and tensors among the inputs of an operator become constants, in the graph's dtype where
    they are floats, in int64 where they are integers.

    Parameters
    ----------
    dtype : {numpy.float32, numpy.float64}
        The precision that the graph computes in.
    """

    def __init__(self, dtype: Any):
        self.dtype = np.dtype(dtype)
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Return the name of what an operator makes of its inputs."""
        return self.add_several(1, operator, *inputs, **attributes)[0]

    def add_several(self, n_outputs: int, operator: str, *inputs: Any, **attributes: Any) -> list[str]:
        """Return the names of what an operator with several outputs makes of its inputs."""
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        outputs = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(Node(operator, names, outputs, attributes))
        return outputs

    def add_in_float32(self, operator: str, x: str, *others: Any, **attributes: Any) -> str:
        """Return the name of what an operator that runtimes may have in float32 alone makes of x and constants."""
        if self.dtype == np.float32:
            return self.add(operator, x, *others, **attributes)
        constants = [y if isinstance(y, str) else self._constant(y, np.float32) for y in others]
        rounded = self.add("Cast", x, to=FLOAT)
        return self.add("Cast", self.add(operator, rounded, *constants, **attributes), to=DOUBLE)

    def add_part(self, part: Any, method: str, *inputs: Any) -> str:
        """Return the name of the result of a part's method, which the part adds by its own ``to_onnx``.

        A class that overrides the method must override ``to_onnx`` as well.
        """
        translator, computing = (
            next((cls for cls in type(part).__mro__ if name in vars(cls)), object) for name in ("to_onnx", method)
        )
        if not issubclass(translator, computing):
            raise untranslatable_error(part)
        name: str = part.to_onnx(self, *inputs)
        return name

    def columns(self, x: str, start: int, stop: int) -> str:
        """Return the name of some consecutive columns of x."""
        return self.add("Slice", x, [start], [stop], [1])

    def _constant(self, values: Any, dtype: Any = None) -> str:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array.astype(np.int64 if array.dtype.kind in "iu" else dtype or self.dtype)
        return name


def untranslatable_error(part: Any) -> ValueError:
    """Return the error for a part of an estimator without a translation."""
    what = " ".join(repr(part).split())
    return ValueError(
        f"{what} of {type(part).__module__} cannot be written to ONNX. All that sklearn_ae offers can; a code or an "
        "output activation of your own can where it has a method to_onnx, a network of your own where it derives from "
        "AffineNetwork and adds known layers alone."
    )
