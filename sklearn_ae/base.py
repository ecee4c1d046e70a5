"""Base classes of codes, losses, penalties and corruptions, and the training step that they are called with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import Generator, Tensor

__all__ = ["CheckContext", "DataBounds", "Member", "Step"]


class Step(NamedTuple):
    """The results of one training step, in the network's coordinates, for d features and k components.

    Examples
    --------
    A term of the objective is a function of a step, such as the mean square of the code:

    >>> def mean_square(step):
    ...     return step.code.square().mean()
    """

    target: Tensor  # (n, d), clean
    input: Tensor  # (n, d), corrupted, as the encoder receives it
    preactivation: Tensor  # (n, m), the encoder's output; m = k for most codes
    code: Tensor  # (n, k), with noise and dropout, as the decoder receives it
    linear_output: Tensor  # (n, d), before the output activation
    output: Tensor  # (n, d)
    encode: Callable[[Tensor], Tensor]  # (n, d) -> (n, k), without noise
    decode: Callable[[Tensor], Tensor]  # (n, k) -> (n, d), before the output activation
    activate: Callable[[Tensor], Tensor]  # (n, m) -> (n, k), the code of a pre-activation, without noise
    encoder_matrix: Tensor | None  # (k, d), if the pre-activation is affine in the input
    decoder_matrix: Tensor | None  # (d, k), the affine part of the decoder, if any
    progress: float = 1.0  # fraction of training done, in [0, 1]; 1 once annealing is over
    generator: Generator | None = None  # for noise; None for no noise
    observed: Tensor | None = None  # (n, d), which entries of the target are known; None for all


class DataBounds(NamedTuple):
    """Zero, mean, bounds and spread of the data in the network's coordinates, an argument of corruptions.

    Parameters
    ----------
    zero : torch.Tensor of shape (n_features,)
        The zero of the data.
    mean : torch.Tensor of shape (n_features,)
        Mean of each column of the training data.
    low : torch.Tensor of shape (n_features,)
        Minimum of each column of the training data.
    high : torch.Tensor of shape (n_features,)
        Maximum of each column of the training data.
    spread : float
        Root mean square of all entries about their columns' means, 1 unless all columns are unscaled. If only some are,
        it is that of the others.
    fills_missing : bool, default=False
        Whether missing entries are filled with the mean, as with ``missing="mask"``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ae.base import DataBounds
    >>> from sklearn_ae.corruptions import Masking
    >>> x = torch.ones(2, 3)
    >>> low, high = -torch.ones(3), torch.ones(3)
    >>> bounds = DataBounds(zero=low, mean=torch.zeros(3), low=low, high=high, spread=1.0)
    >>> Masking(0.5)(x, bounds, torch.Generator().manual_seed(0)).unique()
    tensor([-1.,  1.])
    """

    zero: Tensor
    mean: Tensor
    low: Tensor
    high: Tensor
    spread: float
    fills_missing: bool = False


class CheckContext(NamedTuple):
    """The setting that a building block is checked against before training.

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
    """Base class of codes, losses, penalties and corruptions: equal if their parameters are.

    Instances hold no state: one may serve several fits at a time.

    Examples
    --------
    >>> from sklearn_ae.codes import TopK
    >>> TopK(k=10) == TopK(k=10), TopK(k=10) == TopK(k=20)
    (True, False)
    """

    #: Fraction of training, in [0, 1), after which this part of the objective no longer changes.
    annealed_until = 0.0

    def check(self, context: CheckContext) -> None:
        """Raise a ValueError if parameters are out of range or do not fit the setting."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and equal(sorted(vars(self).items()), sorted(vars(other).items()))

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self))))

    def _require(self, name: str, fits: bool, allowed: str) -> None:
        """Raise a ValueError with a parameter's name, its value and the allowed values, unless it fits."""
        if not fits:
            raise ValueError(f"{type(self).__name__}({name}={getattr(self, name)!r}): {name} must be {allowed}.")


def equal(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal, comparing arrays within lists entry by entry."""
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and np.array_equal(a, b)
    return bool(a == b)


def member(value: Any, registry: dict[str, Any], base: type = object, where: str = "Unknown short name ") -> Any:
    """Return the instance with default parameters for a short name, or an instance of `base` unchanged.

    The ValueError for anything else begins with `where` and the value.
    """
    if isinstance(value, str):
        if value in registry:
            return registry[value]()
    elif isinstance(value, base):
        return value
    other = "" if base is object else f" or an instance of {base.__name__}"
    raise ValueError(f"{where}{value!r}; choose one of {sorted(registry)}{other}.")


def column_indices(columns: Any, n_features: int, names: np.ndarray | None, where: str) -> list[int]:
    """Return the indices of columns given by names, indices or a slice of indices.

    The ValueError for anything else begins with `where`.
    """
    if isinstance(columns, slice):
        return list(range(n_features)[columns])
    several = columns if isinstance(columns, (list, tuple, np.ndarray)) else [columns]
    known = {} if names is None else {str(name): i for i, name in enumerate(names)}
    indices = []
    for column in several:
        number = int(column) if isinstance(column, (int, np.integer)) and not isinstance(column, bool) else None
        index = known.get(column) if isinstance(column, str) else number
        if index is None or not -n_features <= index < n_features:
            what = f"the names {list(known)[:10]}" if known else "no names: pass a DataFrame, or indices"
            raise ValueError(f"{where} names the column {column!r}, but X has {n_features} columns and {what}.")
        indices.append(index % n_features)
    return indices
