"""Losses: reconstruction errors that training minimises, with the data and the output activations that they allow.

A loss is a scikit-learn estimator with plain parameters that computes the loss of each entry of a
:class:`~sklearn_ae.base.Step`. A new one takes one class here and one line in ``LOSSES``.
"""

from collections.abc import Sequence
from math import erf, exp, log, pi, sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sklearn_ae.base import CheckContext, Member, Step, column_indices, member
from sklearn_ae.outputs import OUTPUTS, ByColumns, Output, ScaledSoftmax

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "CrossEntropy",
    "Huber",
    "LogLoss",
    "Loss",
    "Mixed",
    "Multinomial",
    "Poisson",
    "SquaredError",
]


class Loss(Member):
    """Base class of the losses.

    A subclass computes the loss of each entry of a training step, and declares the output activations that it allows,
    its log-likelihood, and the number of entries of a sample. ``docs/extending.md`` lists what it may override and
    shows a custom loss.

    A loss works in the network's coordinates: data centred and divided by the root mean square of all entries about
    their columns' means, or unscaled if the output is a sigmoid, a softplus or a softmax. It changes the training
    objective; ``score`` and ``reconstruction_error`` always use the squared error.
    """

    #: The output activations that the loss allows; ``"auto"`` takes the first, unless the data suggest ``"clip"``.
    output_activations: tuple[str, ...] = ("identity",)
    #: Whether ``"auto"`` may choose ``"clip"``, depending on the data.
    allows_auto_clip = False
    #: Whether data must not be negative, as reported by scikit-learn's tags.
    positive_only = False

    def entries(self, step: Step) -> Tensor:
        """Return the loss of each entry (n_samples, n_features), or of each group of entries."""
        raise NotImplementedError

    def __call__(self, step: Step) -> Tensor:
        """Return the mean loss per entry, a scalar, if all entries are observed."""
        return self.entries(step).mean()

    def observed_mean(self, step: Step) -> Tensor:
        """Return the mean loss per observed entry, a scalar, if some are missing."""
        known = self.observed_mask(step.observed)  # type: ignore[arg-type]
        return torch.where(known, self.entries(step), 0.0).sum() / known.sum().clamp_min(1)

    def observed_mask(self, observed: Tensor) -> Tensor:
        """Return which losses of :meth:`entries` are known if only some entries (n, n_features) are observed."""
        return observed

    def log_partition(self, target: Tensor) -> Tensor:
        """Return the term that turns the loss of each entry into a negative log-likelihood, in nats, when added."""
        raise NotImplementedError(f"{type(self).__name__} does not define a log-likelihood: override log_partition")

    def for_columns(self, n_features: int, names: np.ndarray | None) -> "Loss":
        """Return the loss for data with `n_features` columns; `names` is None if they have none."""
        return self

    def n_entries(self, n_features: int) -> int:
        """Return the number of entries of a sample."""
        return n_features

    def output(self, name: str, n_features: int) -> Output:
        """Return the output activation with the given name."""
        return OUTPUTS[name](n_features)


class SquaredError(Loss):
    """Squared error, (x - x_hat)²: PCA's own objective.

    Notes
    -----
    Training minimises it in units of the mean variance of the data's columns: predicting their means has a loss of 1.
    With a sigmoid output it is in squared units of the data. It is the negative log-likelihood of a normal distribution
    with a variance of one half in these units.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import SquaredError
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(8, loss=SquaredError(), max_epochs=5, random_state=0).fit(X)
    >>> bool(model.score(X) > PCA(8).fit(X).explained_variance_ratio_.sum())
    True
    """

    output_activations = ("identity", "clip", "sigmoid")
    allows_auto_clip = True

    def entries(self, step: Step) -> Tensor:
        return (step.output - step.target).square()

    def __call__(self, step: Step) -> Tensor:
        return F.mse_loss(step.output, step.target)

    def log_partition(self, target: Tensor) -> Tensor:
        return torch.full_like(target, log(pi) / 2)


class AbsoluteError(Loss):
    """Absolute error, ``|x - x_hat|``, less sensitive to outliers than the squared error.

    Notes
    -----
    It is in units of the root mean square of all entries of the data about their columns' means, or in units of the
    data with a sigmoid output. It is the negative log-likelihood of a Laplace distribution with a scale of 1 in these
    units. The initialization is still PCA, which is optimal for the squared error.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import AbsoluteError
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(8, loss=AbsoluteError(), max_epochs=5, random_state=0).fit(X)
    >>> bool(np.abs(X - model.inverse_transform(model.transform(X))).mean() < np.abs(X - X.mean(axis=0)).mean())
    True
    """

    output_activations = ("identity", "clip", "sigmoid")
    allows_auto_clip = True

    def entries(self, step: Step) -> Tensor:
        return (step.output - step.target).abs()

    def log_partition(self, target: Tensor) -> Tensor:
        return torch.full_like(target, log(2))


class Huber(Loss):
    """Huber loss: quadratic for small errors, linear for large ones [1]_.

    For an error e = x - x_hat it is e² / 2 if ``|e| <= delta``, and ``delta (|e| - delta / 2)`` otherwise.

    Parameters
    ----------
    delta : float, default=1.0
        Error beyond which the loss grows linearly, above 0, in units of the root mean square of all entries of the data
        about their columns' means, or in units of the data with a sigmoid output.

    References
    ----------
    .. [1] Huber, P. (1964). Robust estimation of a location parameter. Annals of Mathematical Statistics 35.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import Huber
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(8, loss=Huber(0.5), max_epochs=5, random_state=0).fit(X)
    >>> model.set_params(loss__delta=1.5).fit(X).loss  # for GridSearchCV: {"loss__delta": [0.5, 1.5]}
    Huber(delta=1.5)
    """

    output_activations = ("identity", "clip", "sigmoid")
    allows_auto_clip = True

    def __init__(self, delta: float = 1.0):
        self.delta = delta

    def check(self, context: CheckContext) -> None:
        self._require("delta", self.delta > 0, "above 0")

    def entries(self, step: Step) -> Tensor:
        return F.huber_loss(step.output, step.target, delta=self.delta, reduction="none")

    def log_partition(self, target: Tensor) -> Tensor:
        d = self.delta
        total = sqrt(2 * pi) * erf(d / sqrt(2)) + 2 / d * exp(-d * d / 2)
        return torch.full_like(target, log(total))


class LogLoss(Loss):
    """Cross-entropy, in nats, of entries in [0, 1] under independent Bernoulli distributions.

    For an entry x with the output p it is -x log p - (1 - x) log(1 - p). The output is a sigmoid.

    Notes
    -----
    The network works on the unscaled data, neither centred nor divided. Data outside [0, 1] raises a ValueError.

    For entries of 0 and 1 it is a negative log-likelihood, and ``elbo`` bounds the log-probability of a sample. For
    entries in between its minimum is above 0, at p = x, and it is not a likelihood.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import LogLoss
    >>> X = (load_digits().data[:300] > 8).astype(float)
    >>> model = AutoencoderTransformer(8, loss=LogLoss(), max_epochs=5, random_state=0).fit(X)
    >>> probabilities = model.inverse_transform(model.transform(X))
    >>> bool(0 <= probabilities.min() < probabilities.max() <= 1)
    True
    """

    output_activations = ("sigmoid",)
    positive_only = True

    def entries(self, step: Step) -> Tensor:
        return F.binary_cross_entropy_with_logits(step.linear_output, step.target, reduction="none")

    def __call__(self, step: Step) -> Tensor:
        return F.binary_cross_entropy_with_logits(step.linear_output, step.target)

    def log_partition(self, target: Tensor) -> Tensor:
        return torch.zeros_like(target)


class Poisson(Loss):
    """Half the Poisson deviance [1]_, x log(x / x_hat) - x + x_hat, for counts and other nonnegative data.

    Notes
    -----
    The output is a softplus, and the network works on the unscaled data. Negative data raises a ValueError; entries
    need not be whole numbers, but ``elbo`` bounds a log-probability only if they are. The first term is 0 for x = 0, so
    that the minimum of the loss is 0, at a rate of x. If the total of a sample only says how much was sampled, as for
    cells and documents, see :class:`Multinomial`.

    References
    ----------
    .. [1] McCullagh, P. and Nelder, J. (1989). Generalized linear models. Second edition. Chapman and Hall.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import Poisson
    >>> X = load_digits().data[:300]  # counts from 0 to 16
    >>> model = AutoencoderTransformer(8, loss=Poisson(), max_epochs=5, random_state=0).fit(X)
    >>> bool((model.inverse_transform(model.transform(X)) > 0).all())
    True
    """

    output_activations = ("softplus",)
    positive_only = True

    def entries(self, step: Step) -> Tensor:
        x, u, rate = step.target.clamp_min(0), step.linear_output, step.output  # rounding may give less than 0
        log_rate = torch.where(u < -30, u, torch.log(F.softplus(u.clamp_min(-30))))  # also if the rate underflows
        return _half_deviance(x, rate, log_rate)

    def log_partition(self, target: Tensor) -> Tensor:
        return _log_partition_of_counts(target.clamp_min(0))


class Multinomial(Loss):
    """Half the deviance of counts given the total of each sample, x log(x / x_hat) - x + x_hat.

    It models the fractions of a total that only says how much was sampled: a cell's library size, a document's length,
    an exposure. The output is that total times a softmax, and the encoder receives log(1 + x) of samples at the mean
    total.

    Parameters
    ----------
    total : float or None, default=None
        Total of the reconstructions of ``inverse_transform`` and ``sample``, above 0: 1 for fractions, 1e4 for counts
        per ten thousand, None for the mean total of the training data. Scores and ``impute`` use that of each sample.

    Notes
    -----
    Given their total, Poisson counts are multinomial: the loss is half the Poisson deviance for rates that sum to the
    total. It is not an option of :class:`Poisson`, which models totals too, also of single columns in :class:`Mixed`.
    Negative data raises a ValueError; entries need not be whole numbers, but ``elbo`` bounds a log-probability only if
    they are and none is missing.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import Multinomial
    >>> X = load_digits().data[:300]  # counts from 0 to 16
    >>> model = AutoencoderTransformer(8, loss=Multinomial(total=1.0), max_epochs=5, random_state=0).fit(X)
    >>> model.inverse_transform(model.transform(X[:2])).sum(axis=1).round(6)  # times X.sum(axis=1)[:, None]: rates
    array([1., 1.])
    """

    output_activations = ("scaled_softmax",)
    positive_only = True

    def __init__(self, total: float | None = None):
        self.total = total

    def check(self, context: CheckContext) -> None:
        self._require("total", self.total is None or 0 < self.total < float("inf"), "None or a number above 0")

    def entries(self, step: Step) -> Tensor:
        x, rate = step.target.clamp_min(0), step.output  # rounding may give less than 0
        total = rate.sum(-1, keepdim=True).clamp_min(torch.finfo(rate.dtype).tiny)
        return _half_deviance(x, rate, ScaledSoftmax.log_fractions(step.linear_output) + total.log())

    def log_partition(self, target: Tensor) -> Tensor:
        x = target.clamp_min(0)
        return _log_partition_of_counts(x) - _log_partition_of_counts(x.sum(-1, keepdim=True)) / x.shape[-1]

    def output(self, name: str, n_features: int) -> Output:
        return ScaledSoftmax(n_features, self.total)


def _half_deviance(x: Tensor, rate: Tensor, log_rate: Tensor) -> Tensor:
    """Return half the Poisson deviance of counts, 0 at a rate of x."""
    return torch.xlogy(x, x) - x * log_rate - x + rate


def _log_partition_of_counts(x: Tensor) -> Tensor:
    """Return the negative log-probability of counts at a rate of x."""
    return x - torch.xlogy(x, x) + torch.lgamma(x + 1)


class CrossEntropy(Loss):
    """Cross-entropy, in nats, of samples that sum to 1: all columns are one group, one-hot or fractions.

    For a sample x with the output p it is -sum_j x_j log p_j, one number per sample. The output is a softmax. For
    several groups, or a group together with other columns, use :class:`Mixed`.

    Notes
    -----
    The network works on the unscaled data, neither centred nor divided. Data outside [0, 1] raises a ValueError; that
    samples sum to 1 is not checked. For one-hot samples it is a negative log-likelihood, and ``elbo`` bounds the
    log-probability of a sample. For fractions its minimum is above 0, at p = x, and it is not a likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import CrossEntropy
    >>> X = load_digits().data[:300]
    >>> fractions = X / X.sum(axis=1, keepdims=True)  # of the ink, in each pixel
    >>> model = AutoencoderTransformer(8, loss=CrossEntropy(), max_epochs=5, random_state=0).fit(fractions)
    >>> np.allclose(model.inverse_transform(model.transform(fractions)).sum(axis=1), 1)
    True
    """

    output_activations = ("softmax",)
    positive_only = True

    def entries(self, step: Step) -> Tensor:
        return F.cross_entropy(step.linear_output, step.target, reduction="none")[:, None]

    def log_partition(self, target: Tensor) -> Tensor:
        return torch.zeros_like(target[:, :1])

    def n_entries(self, n_features: int) -> int:
        return 1

    def observed_mask(self, observed: Tensor) -> Tensor:
        return observed.all(dim=1, keepdim=True)


class Mixed(Loss):
    """Different losses for different columns, for tables of numbers, binaries and categories.

    Each column counts as one entry, each ``"cross_entropy"`` group as one altogether. Training minimises the mean over
    entries, each in the units of its own loss.

    Parameters
    ----------
    losses : sequence of (loss, columns)
        `loss` is a :class:`Loss` or a short name: ``"squared_error"`` for numbers, ``"log_loss"`` for binaries,
        ``"cross_entropy"`` for the columns of one one-hot encoded category, ... `columns` is a column's name or index,
        a list of these, or a slice of indices. A column may have only one loss.
    remainder : str or Loss, default="squared_error"
        The loss of all other columns.

    Notes
    -----
    Each loss has the first output activation that it allows: identity, never clip, for squared error, absolute error
    and Huber. Their columns are centred and divided by one number, the root mean square of their entries about their
    means; numbers in different units should be standardised first. The other columns are not scaled.

    Examples
    --------
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.losses import Mixed
    >>> X = [[1.2, 0, 0, 1], [0.3, 1, 1, 0], [2.2, 1, 1, 0], [1.0, 0, 0, 1]]
    >>> loss = Mixed([("log_loss", 1), ("cross_entropy", [2, 3])])
    >>> model = AutoencoderTransformer(1, loss=loss, max_epochs=5, random_state=0).fit(X)
    >>> model.inverse_transform(model.transform(X))[:, 2:].sum(axis=1)
    array([1., 1., 1., 1.])
    """

    output_activations = ("by_columns",)

    def __init__(self, losses: Sequence[tuple[Any, Any]] = (), remainder: Any = "squared_error"):
        self.losses = losses
        self.remainder = remainder

    @property
    def annealed_until(self) -> float:  # type: ignore[override]
        """Fraction of training after which no loss changes any more."""
        return max((loss.annealed_until for loss, _ in self._parts()), default=0.0)

    def check(self, context: CheckContext) -> None:
        for loss, _ in self._parts():
            loss.check(context)

    def for_columns(self, n_features: int, names: np.ndarray | None) -> "Mixed":
        parts, taken = [], np.zeros(n_features, dtype=int)
        pairs = isinstance(self.losses, (list, tuple)) and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in self.losses
        )
        self._require("losses", pairs, "a list of pairs (loss, columns)")
        for loss, columns in self.losses:
            indices = column_indices(columns, n_features, names, "Mixed")
            np.add.at(taken, indices, 1)
            parts.append((_part(loss), indices))
        if (taken > 1).any():
            twice = [int(i) for i in np.flatnonzero(taken > 1)]
            raise ValueError(f"Mixed names columns {twice} more than once; each may have only one loss.")
        rest = [int(i) for i in np.flatnonzero(taken == 0)]
        parts.append((_part(self.remainder), rest))
        named = [(loss, of, None if names is None else names[of]) for loss, of in parts if of]
        return Mixed([(loss.for_columns(len(of), own_names), of) for loss, of, own_names in named])

    def output(self, name: str, n_features: int) -> Output:
        parts = self._parts()
        outputs = [loss.output(loss.output_activations[0], len(columns)) for loss, columns in parts]
        return ByColumns(outputs, [columns for _, columns in parts])

    def n_entries(self, n_features: int) -> int:
        return sum(loss.n_entries(len(columns)) for loss, columns in self._parts())

    def entries(self, step: Step) -> Tensor:
        return torch.cat(
            [
                loss.entries(
                    step._replace(
                        target=step.target[:, columns],
                        linear_output=step.linear_output[:, columns],
                        output=step.output[:, columns],
                        observed=None if step.observed is None else step.observed[:, columns],
                    )
                )
                for loss, columns in self._parts()
            ],
            dim=1,
        )

    def observed_mask(self, observed: Tensor) -> Tensor:
        return torch.cat([loss.observed_mask(observed[:, columns]) for loss, columns in self._parts()], dim=1)

    def log_partition(self, target: Tensor) -> Tensor:
        return torch.cat([loss.log_partition(target[:, columns]) for loss, columns in self._parts()], dim=1)

    def _parts(self) -> list[tuple[Loss, list[int]]]:
        return [(member(loss, LOSSES), columns) for loss, columns in self.losses]


def _part(loss: Any) -> Loss:
    """Return the loss of some columns of a Mixed for an instance or a short name."""
    if isinstance(loss, Mixed):
        raise ValueError(f"Mixed contains the loss {loss!r}; list the losses of both in one Mixed.")
    part: Loss = member(loss, LOSSES, Loss, "Mixed contains the loss ")
    return part


def loss_by_kind(numbers: Sequence[int], binaries: Sequence[int], categories: Sequence[Sequence[int]]) -> Loss:
    """Return the loss of a table by the indices of its columns: numbers, binaries, and a group for each category."""
    parts: list[tuple[str, list[int]]] = [("squared_error", list(numbers)), ("log_loss", list(binaries))]
    parts += [("cross_entropy", list(group)) for group in categories]
    return Mixed([(loss, columns) for loss, columns in parts if columns])


LOSSES: dict[str, type[Loss]] = {
    "absolute_error": AbsoluteError,
    "cross_entropy": CrossEntropy,
    "huber": Huber,
    "log_loss": LogLoss,
    "multinomial": Multinomial,
    "poisson": Poisson,
    "squared_error": SquaredError,
}
