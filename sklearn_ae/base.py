"""What the four axes share: the base class of their members, and the training step that members are given."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import Generator, Tensor

__all__ = ["CheckContext", "DataBounds", "Member", "Step"]


class Step(NamedTuple):
    """What one training step computed, in the network's coordinates; d features, k units of code.

    Examples
    --------
    A term of the objective is a function of it, such as the mean square of the code:

    >>> def mean_square(step):
    ...     return step.code.square().mean()
    """

    target: Tensor  # (n, d), clean
    input: Tensor  # (n, d), corrupted
    preactivation: Tensor  # (n, m), what the encoder gave; m = k for most codes
    code: Tensor  # (n, k), with noise and dropout, as it was decoded
    linear_output: Tensor  # (n, d), before the output activation
    output: Tensor  # (n, d)
    encode: Callable[[Tensor], Tensor]  # (n, d) -> (n, k), without noise
    decode: Callable[[Tensor], Tensor]  # (n, k) -> (n, d), before the output activation
    activate: Callable[[Tensor], Tensor]  # (n, m) -> (n, k), the code of a pre-activation, without noise
    encoder_matrix: Tensor | None  # (k, d), where the pre-activation is affine in the input
    decoder_matrix: Tensor | None  # (d, k), the affine part of the decoder, where it has one
    progress: float = 1.0  # share of training done, in [0, 1]; 1 where nothing is annealed any more
    generator: Generator | None = None  # for noise; None where there is to be none
    observed: Tensor | None = None  # (n, d), which entries of the target are known; None for all


class DataBounds(NamedTuple):
    """Landmarks of the data in the network's coordinates, which a corruption is called with.

    Parameters
    ----------
    zero : torch.Tensor of shape (n_features,)
        The data's zero.
    low : torch.Tensor of shape (n_features,)
        The least entry of each column of the training data.
    high : torch.Tensor of shape (n_features,)
        The greatest.
    spread : float
        Root mean square of all entries about their columns' means, 1 unless all columns stay as they are. Where only
        some do, it is that of the others.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.base import DataBounds
    >>> from sklearn_ae.corruptions import Masking
    >>> x = torch.ones(2, 3)
    >>> bounds = DataBounds(zero=torch.full((3,), -1.0), low=torch.full((3,), -1.0), high=torch.ones(3), spread=1.0)
    >>> Masking(0.5)(x, bounds, torch.Generator().manual_seed(0)).unique()
    tensor([-1.,  1.])
    """

    zero: Tensor  # (d,), the data's zero
    low: Tensor  # (d,), the least entry of each column
    high: Tensor  # (d,), the greatest
    spread: float  # root mean square of all entries about their columns' means


class CheckContext(NamedTuple):
    """What a member may check itself against before training.

    Examples
    --------
    >>> from sklearn_ae.base import CheckContext
    >>> from sklearn_ae.codes import TopK
    >>> TopK(k=10).check(CheckContext(64, 16, code_range=(-1.0, 1.0), tied_weights=False, affine_path=True))
    """

    n_features: int
    n_components: int
    code_range: tuple[float, float]  # of the code's values
    tied_weights: bool
    affine_path: bool  # whether encoder and decoder have an affine part


class Member(BaseEstimator):
    """Base class of the members of all axes: plain parameters, equal where those are.

    Members hold no state: one instance may serve several fits at a time.

    Examples
    --------
    >>> from sklearn_ae.codes import TopK
    >>> TopK(k=10) == TopK(k=10), TopK(k=10) == TopK(k=20)
    (True, False)
    """

    #: Share of training, in [0, 1), after which the member's part of the objective changes no more.
    annealed_until = 0.0

    def check(self, context: CheckContext) -> None:
        """Raise a ValueError where the member's parameters are out of range or do not fit the setting."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(sorted(vars(self).items()), sorted(vars(other).items()))

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self))))

    def _require(self, name: str, fits: bool, allowed: str) -> None:
        """Raise a ValueError naming a parameter, its value and what is allowed, unless it fits."""
        if not fits:
            raise ValueError(f"{type(self).__name__}({name}={getattr(self, name)!r}): {name} must be {allowed}.")


def same(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal, arrays within lists entry by entry."""
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and np.array_equal(a, b)
    return bool(a == b)


def member(value: Any, registry: dict[str, Any]) -> Any:
    """Return the member of an axis for its short name, or the member itself."""
    if not isinstance(value, str):
        return value
    if value not in registry:
        raise ValueError(f"{value!r} is not a short name; choose one of {sorted(registry)}.")
    return registry[value]()
