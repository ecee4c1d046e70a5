"""The codes: what is applied to the encoder's affine output, unit by unit.

A member is a scikit-learn estimator with plain parameters, called with the pre-activation. A new one is one class here
and one line in ``CODES``.
"""

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

__all__ = ["CODES", "Code", "Identity", "ReLU", "Sigmoid", "Tanh"]


class Code(BaseEstimator):
    """Base class of the codes."""

    #: Whether the code is linear, so that rotating its units changes nothing that a linear decoder cannot undo.
    linear = False

    def __call__(self, preactivation: Tensor) -> Tensor:
        """Return the code of a pre-activation of shape (n_samples, n_components)."""
        raise NotImplementedError


class Identity(Code):
    """The code of PCA: the encoder's output as it is."""

    linear = True

    def __call__(self, preactivation: Tensor) -> Tensor:
        return preactivation


class ReLU(Code):
    """Codes in [0, inf), many of them zero."""

    def __call__(self, preactivation: Tensor) -> Tensor:
        return torch.relu(preactivation)


class Sigmoid(Code):
    """Codes in (0, 1)."""

    def __call__(self, preactivation: Tensor) -> Tensor:
        return torch.sigmoid(preactivation)


class Tanh(Code):
    """Codes in (-1, 1)."""

    def __call__(self, preactivation: Tensor) -> Tensor:
        return torch.tanh(preactivation)


CODES: dict[str, type[Code]] = {
    "identity": Identity,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
}
