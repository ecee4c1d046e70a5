"""The losses: what training minimises, and what follows from it for the data and for the decoder's output.

A member is a scikit-learn estimator with plain parameters, called with a :class:`Step`. A new one is one class here and
one line in ``LOSSES``.
"""

from typing import NamedTuple

import torch.nn.functional as F
from sklearn.base import BaseEstimator
from torch import Tensor

__all__ = ["LOSSES", "LogLoss", "Loss", "SquaredError", "Step"]


class Step(NamedTuple):
    """What one training step computed, in the network's coordinates."""

    target: Tensor  # (n, n_features)
    code: Tensor  # (n, n_components), dropout applied
    linear_output: Tensor  # (n, n_features), before the output activation
    output: Tensor  # (n, n_features)


class Loss(BaseEstimator):
    """Base class of the losses."""

    #: The output activations that the loss admits; ``"auto"`` takes the first, unless data decides.
    output_activations: tuple[str, ...] = ("identity",)
    #: Whether data may decide that ``"auto"`` limits the output to its range.
    bounds_help = False
    #: The closed interval that data must lie in, or None for any finite value.
    data_range: tuple[float, float] | None = None

    def __call__(self, step: Step) -> Tensor:
        """Return the mean loss per entry, a scalar."""
        raise NotImplementedError


class SquaredError(Loss):
    """Mean squared error per entry: PCA's own objective."""

    output_activations = ("identity", "clip", "sigmoid")
    bounds_help = True

    def __call__(self, step: Step) -> Tensor:
        return F.mse_loss(step.output, step.target)


class LogLoss(Loss):
    """Mean cross-entropy per entry, in nats, of targets in [0, 1] under independent Bernoulli outputs."""

    output_activations = ("sigmoid",)
    data_range = (0.0, 1.0)

    def __call__(self, step: Step) -> Tensor:
        return F.binary_cross_entropy_with_logits(step.linear_output, step.target)


LOSSES: dict[str, type[Loss]] = {
    "log_loss": LogLoss,
    "squared_error": SquaredError,
}
