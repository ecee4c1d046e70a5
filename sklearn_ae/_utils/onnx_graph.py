"""A small builder of ONNX graphs, which :mod:`sklearn_ae.onnx` turns into models."""

from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["DOUBLE", "Graph", "Node", "untranslatable_error"]

#: ONNX's numbers of tensor types.
FLOAT, DOUBLE = 1, 11


class Node(NamedTuple):
    """One operator with the names of its inputs and outputs."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Graph:
    """Operators in the order of computation, and the constants among their inputs.

    Values are referred to by name. Arrays and tensors among the inputs of an operator become constants: floats in the
    graph's dtype, integers in int64.

    Parameters
    ----------
    dtype : {numpy.float32, numpy.float64}
        Precision of the graph.
    """

    def __init__(self, dtype: Any):
        self.dtype = np.dtype(dtype)
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Add an operator and return the name of its output."""
        return self.add_several(1, operator, *inputs, **attributes)[0]

    def add_several(self, n_outputs: int, operator: str, *inputs: Any, **attributes: Any) -> list[str]:
        """Add an operator with several outputs and return their names."""
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        outputs = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(Node(operator, names, outputs, attributes))
        return outputs

    def add_in_float32(self, operator: str, x: str, *others: Any, **attributes: Any) -> str:
        """Add an operator that runtimes may lack in float64, on a value and constants, and return its output's name."""
        if self.dtype == np.float32:
            return self.add(operator, x, *others, **attributes)
        constants = [y if isinstance(y, str) else self._constant(y, np.float32) for y in others]
        rounded = self.add("Cast", x, to=FLOAT)
        return self.add("Cast", self.add(operator, rounded, *constants, **attributes), to=DOUBLE)

    def add_part(self, part: Any, method: str, *inputs: Any, translator: str = "to_onnx") -> str:
        """Add a method of a code or an output activation by its translator, and return the name of the output.

        A class that overrides the method must override the translator too; otherwise this raises a ValueError.
        """
        translating, computing = (
            next((cls for cls in type(part).__mro__ if name in vars(cls)), object) for name in (translator, method)
        )
        if not issubclass(translating, computing):
            raise untranslatable_error(part)
        name: str = getattr(part, translator)(self, *inputs)
        return name

    def columns(self, x: str, start: int, stop: int) -> str:
        """Add a slice of consecutive columns and return its name."""
        return self.add("Slice", x, [start], [stop], [1])

    def _constant(self, values: Any, dtype: Any = None) -> str:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array.astype(np.int64 if array.dtype.kind in "iu" else dtype or self.dtype)
        return name


def untranslatable_error(part: Any) -> ValueError:
    """Return the error for a part of an estimator that cannot be exported."""
    what = " ".join(repr(part).split())
    return ValueError(
        f"{what} of {type(part).__module__} cannot be written to ONNX. Everything in sklearn_ae can; a custom code or "
        "output activation needs a method to_onnx, a custom network must derive from AffineNetwork and add only "
        "supported layers."
    )
