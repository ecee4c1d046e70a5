"""The codes: what is made of the encoder's output, in training and afterwards.

A member is a scikit-learn estimator with plain parameters, called with the pre-activation. A new one is one class here
and one line in ``CODES``.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_ae._utils.onnx_graph import Graph
from sklearn_ae.base import CheckContext, Member, Step

__all__ = ["CODES", "Code", "Gaussian", "Identity", "ReLU", "Sigmoid", "Tanh", "TopK", "WinnerTakeAll"]


class Code(Member):
    """Base class of the codes.

    A subclass maps what the encoder gives, the pre-activation, to the code: ``__call__`` for transforming, and
    `in_training` where a training step uses another one. Class attributes say what the rest may take for granted: the
    range of its values, whether it is linear or taken unit by unit, and the start that suits it. It may also add terms
    to the objective. ``docs/extending.md`` lists all of these and has a code of one's own.
    """

    #: Whether the code is linear, so that rotating its units changes nothing that a linear decoder cannot undo.
    linear = False
    #: Whether each unit depends on its own pre-activation alone, but for a choice among units that is locally constant.
    elementwise = False
    #: The closed interval that holds all values of the code.
    value_range = (-torch.inf, torch.inf)
    #: The start that suits the code, one of the estimator's ``init``.
    init = "transpose"
    #: Whether data may decide that ``output_activation="auto"`` limits the output to its range. Where it is, units
    #: that overshoot the range cost nothing, and learn less of the shapes in the data.
    allows_auto_clip = True
    #: Whether training codes a row as transforming does.
    deterministic = True
    #: Terms of its own that the code adds to the loss of a row, each called with a step.
    terms: tuple[Callable[[Step], Tensor], ...] = ()

    def n_preactivations(self, n_components: int) -> int:
        """Return how many numbers the encoder has to give."""
        return n_components

    def initialize_(self, affine: torch.nn.Linear, columns: Tensor | None, variances: Callable[[], Tensor]) -> None:
        """Adapt, in place, a start whose first pre-activations have the given variances (n_components,).

        `affine` is the encoder's, `columns` the decoder's (n_features, n_components), None where it is the encoder's.
        """

    def __call__(self, a: Tensor) -> Tensor:
        """Return the code (n_samples, n_components) of a pre-activation (n_samples, n_preactivations)."""
        raise NotImplementedError

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        """Return the code that a training step uses, after a share of the training in [0, 1]."""
        return self(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        """Add to a graph what ``__call__`` computes for the pre-activation named a, and return its result's name."""
        raise NotImplementedError


class Identity(Code):
    """The code of PCA: the encoder's output as it is, h = a.

    Its start is PCA.

    Notes
    -----
    After training the units are rotated so that they are uncorrelated on the rows of ``fit``, in order of explained
    variance, with rows of ``components_`` orthonormal. With dropout or a penalty that depends on the axes of the code
    they are ordered only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import Identity
    >>> X = load_digits().data[:300]
    >>> codes = AutoencoderTransformer(3, code=Identity(), max_epochs=5, random_state=0).fit_transform(X)
    >>> np.allclose(np.corrcoef(codes.T), np.eye(3), atol=1e-3)
    True
    """

    elementwise = True
    linear = True
    init = "pca"

    def __call__(self, a: Tensor) -> Tensor:
        return a

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return a


class ReLU(Code):
    """Codes in [0, inf), many of them zero: h = max(0, a).

    With ``init="auto"`` the start is ``"transpose"``, not PCA.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import ReLU
    >>> X = load_digits().data[:300]
    >>> codes = AutoencoderTransformer(8, code=ReLU(), max_epochs=5, random_state=0).fit_transform(X)
    >>> float(codes.min()), bool((codes == 0).any())
    (0.0, True)
    """

    elementwise = True
    value_range = (0.0, torch.inf)

    def __call__(self, a: Tensor) -> Tensor:
        return torch.relu(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Relu", a)


class Sigmoid(Code):
    """Codes in (0, 1): h = 1 / (1 + exp(-a)).

    With ``init="auto"`` the start is ``"transpose"``, not PCA. It is the code for
    :class:`~sklearn_ae.penalties.KLSparsity`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import Sigmoid
    >>> X = load_digits().data[:300]
    >>> codes = AutoencoderTransformer(8, code=Sigmoid(), max_epochs=5, random_state=0).fit_transform(X)
    >>> bool(0 <= codes.min() < codes.max() <= 1)
    True
    """

    elementwise = True
    value_range = (0.0, 1.0)

    def __call__(self, a: Tensor) -> Tensor:
        return torch.sigmoid(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Sigmoid", a)


class Tanh(Code):
    """Codes in (-1, 1): h = tanh(a).

    With ``init="auto"`` the start is ``"transpose"``, not PCA.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import Tanh
    >>> X = load_digits().data[:300]
    >>> codes = AutoencoderTransformer(8, code=Tanh(), max_epochs=5, random_state=0).fit_transform(X)
    >>> bool(-1 <= codes.min() < 0 < codes.max() <= 1)
    True
    """

    elementwise = True
    value_range = (-1.0, 1.0)

    def __call__(self, a: Tensor) -> Tensor:
        return torch.tanh(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Tanh", a)


class TopK(Code):
    """Codes that keep the k largest positive pre-activations of each row and set the others to zero.

    The k-sparse autoencoder [1]_: h_j = max(0, a_j) for the k largest a_j of a row, and 0 for the others. Training
    begins with 4 k units and narrows down to k. Where units stay dead, never kept for any row, raise the learning rate
    first.

    Parameters
    ----------
    k : int or float, default=0.1
        Units kept in training, from 1 to `n_components`; a float in (0, 1) is a share of them, rounded up.
    k_transform : int, float or None, default=None
        Units kept afterwards, likewise; None for k. More than k make better features for a classifier [1]_, but worse
        reconstructions; `n_components` keeps every positive one.
    anneal : float, default=0.5
        Share of training, in [0, 1), over which k is narrowed down. Epochs before that are not kept as the best.
    aux : float, default=0.0
        Weight, at least 0, beside the loss of a row, of the squared error that is left when the units unused in a
        batch reconstruct what is missing from it; 1/32 in [2]_.

    Notes
    -----
    With ``init="auto"`` the start is ``"transpose"``, as in [2]_, and ``output_activation="auto"`` does not clip.

    In [1]_ kept units may be negative; here negative ones are set to zero, so that a row may have fewer than k. For
    `aux`, [2]_ counts a unit as dead after many rows without use; here it is one that no row of the batch uses. Of
    these 2 k are kept.

    References
    ----------
    .. [1] Makhzani, A. and Frey, B. (2014). k-Sparse autoencoders. ICLR. arXiv:1312.5663.
    .. [2] Gao, L. et al. (2024). Scaling and evaluating sparse autoencoders. arXiv:2406.04093.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import TopK
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(16, code=TopK(4), max_epochs=5, random_state=0).fit(X)
    >>> int((model.transform(X) > 0).sum(axis=1).max())
    4
    """

    elementwise = True
    value_range = (0.0, torch.inf)
    allows_auto_clip = False
    deterministic = False

    def __init__(
        self,
        k: int | float = 0.1,
        k_transform: int | float | None = None,
        anneal: float = 0.5,
        aux: float = 0.0,
    ):
        self.k = k
        self.k_transform = k_transform
        self.anneal = anneal
        self.aux = aux

    @property
    def annealed_until(self) -> float:  # type: ignore[override]
        """Share of training after which k is reached."""
        return self.anneal

    @property
    def terms(self) -> tuple[Callable[[Step], Tensor], ...]:  # type: ignore[override]
        """The loss of unused units."""
        return (self.unused_units,) if self.aux else ()

    def check(self, context: CheckContext) -> None:
        for name in ("k", "k_transform"):
            value = getattr(self, name)
            fits = (value is None and name == "k_transform") or (value is not None and _is_count(value, context))
            allowed = f"an integer from 1 to n_components={context.n_components}, or a float in (0, 1)"
            self._require(name, fits, allowed)
        self._require("anneal", 0 <= self.anneal < 1, "in [0, 1)")
        self._require("aux", self.aux >= 0, "at least 0")

    def __call__(self, a: Tensor) -> Tensor:
        return largest(a, count(self.k if self.k_transform is None else self.k_transform, a.shape[-1]))

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        k = count(self.k if self.k_transform is None else self.k_transform, n_components)
        # onnxruntime, as in 1.24, divides by the number of rows: one more keeps an empty batch from ending the process
        a = graph.add("Concat", a, np.zeros((1, n_components)), axis=0)
        values, units = graph.add_several(2, "TopK", a, [k], axis=1)
        codes = graph.add("ScatterElements", graph.add("Mul", a, 0.0), units, graph.add("Relu", values), axis=1)
        return graph.add("Slice", codes, [0], [-1], [0])

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        k = count(self.k, a.shape[-1])
        widening = 1 + 3 * (1 - progress / self.anneal) if progress < self.anneal else 1.0
        return largest(a, min(round(widening * k), a.shape[-1]))

    def unused_units(self, step: Step) -> Tensor:
        """Return the squared error that is left when units unused in the batch reconstruct the residual."""
        # NOTE[DIFF]: Gao et al. count a unit as dead after 10 million rows without firing, which needs a memory; here
        # a batch decides. benchmarks/bench_dead_units.py measures what it does, hence the default of 0: a memory of
        # 2,000 rows did no better on MNIST (14 % dead with it, 11 % without; 1,000 units, k = 10, four epochs).
        used = (step.code > 0).any(0)
        missing = (step.target - step.output).detach()
        if not used.all():
            k = min(2 * count(self.k, len(used)), int((~used).sum()))
            spare = largest(step.preactivation[:, : len(used)].masked_fill(used, -torch.inf), k)
            missing = missing - (step.decode(spare) - step.decode(torch.zeros_like(spare[:1])))
        return self.aux * missing.square().sum(1).mean()


class WinnerTakeAll(Code):
    """Positive codes of which each unit keeps, in a batch, only its largest: lifetime sparsity [1]_.

    In training h_ij = max(0, a_ij) where row i is among the largest of unit j in the batch, and 0 elsewhere.
    Transforming keeps every positive one, h = max(0, a), so that the code of a row does not depend on other rows.

    Parameters
    ----------
    rate : float, default=0.05
        Share of the rows of a batch that a unit keeps, in (0, 1], rounded up to whole rows.

    Notes
    -----
    With ``init="auto"`` the start is ``"transpose"``, not PCA, and ``output_activation="auto"`` does not clip. The
    least that a unit keeps is one row of a batch: `batch_size` should be well above 1 / `rate`.

    References
    ----------
    .. [1] Makhzani, A. and Frey, B. (2015). Winner-take-all autoencoders. NeurIPS. arXiv:1409.2752.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import WinnerTakeAll
    >>> X = load_digits().data[:300]
    >>> code = WinnerTakeAll(0.25)
    >>> codes = AutoencoderTransformer(16, code=code, max_epochs=5, random_state=0).fit_transform(X)
    >>> float(codes.min()), bool((codes == 0).any())
    (0.0, True)
    """

    elementwise = True
    value_range = (0.0, torch.inf)
    allows_auto_clip = False
    deterministic = False

    def __init__(self, rate: float = 0.05):
        self.rate = rate

    def check(self, context: CheckContext) -> None:
        self._require("rate", 0 < self.rate <= 1, "in (0, 1]")

    def __call__(self, a: Tensor) -> Tensor:
        return torch.relu(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Relu", a)

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        return largest(a.T, count(float(self.rate), len(a))).T


class Gaussian(Code):
    """Codes drawn from a normal distribution for each row: the variational autoencoder [1]_.

    The encoder gives mean m_j and log-variance log s_j² of each unit. Training draws a code from them and adds their
    divergence from the standard normal distribution to the loss of a row, sum_j (m_j² + s_j² - 1 - log s_j²) / 2 in
    nats. Transforming gives the mean. The estimator has ``elbo`` and ``sample``.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the divergence, above 0; 1 maximises the bound that ``elbo`` gives, beta-VAEs have others [2]_.
    warm_up : float, default=0.1
        Share of training, in [0, 1), over which the weight rises from 0 [3]_. Epochs before that are not kept as the
        best.

    Notes
    -----
    The loss of a row is taken as a negative log-likelihood: for the squared error that of a normal distribution with
    half the mean variance of the data's entries. ``elbo`` needs a loss that says which one it stands for; those of this
    package do.

    The start is PCA. Unless weights are tied it is whitened: the means have variance 1. Units are ordered after
    training, not rotated.

    References
    ----------
    .. [1] Kingma, D. and Welling, M. (2014). Auto-encoding variational Bayes. ICLR. arXiv:1312.6114.
    .. [2] Higgins, I. et al. (2017). beta-VAE: learning basic visual concepts with a constrained variational framework.
       ICLR.
    .. [3] Bowman, S. et al. (2016). Generating sentences from a continuous space. CoNLL. arXiv:1511.06349.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.codes import Gaussian
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(4, code=Gaussian(), max_epochs=5, random_state=0).fit(X)
    >>> model.sample(5, random_state=0).shape
    (5, 64)
    >>> model.elbo(X, random_state=0) > model.elbo(X[:, ::-1], random_state=0)  # digits turned round are less likely
    True
    """

    elementwise = True
    init = "pca"
    deterministic = False

    def __init__(self, weight: float = 1.0, warm_up: float = 0.1):
        self.weight = weight
        self.warm_up = warm_up

    @property
    def annealed_until(self) -> float:  # type: ignore[override]
        """Share of training after which the weight is reached."""
        return self.warm_up

    @property
    def terms(self) -> tuple[Callable[[Step], Tensor], ...]:  # type: ignore[override]
        """The weighted divergence."""
        return (self.weighted_divergence,)

    def check(self, context: CheckContext) -> None:
        self._require("weight", self.weight > 0, "above 0")
        self._require("warm_up", 0 <= self.warm_up < 1, "in [0, 1)")

    def n_preactivations(self, n_components: int) -> int:
        return 2 * n_components

    def initialize_(self, affine: torch.nn.Linear, columns: Tensor | None, variances: Callable[[], Tensor]) -> None:
        k = affine.out_features // 2
        variance = variances().to(affine.weight)
        affine.weight[k:] = 0
        affine.bias[k:] = -torch.log1p(2 * variance)  # as in probabilistic PCA with a noise of one half
        if columns is not None:
            deviation = torch.where(variance > 1e-6 * variance.max(), variance.sqrt(), 1.0)
            affine.weight[:k] /= deviation[:, None]
            columns *= deviation

    def __call__(self, a: Tensor) -> Tensor:
        return a.chunk(2, dim=-1)[0]

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.columns(a, 0, n_components)

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        mean, log_variance = a.chunk(2, dim=-1)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + torch.exp(log_variance / 2) * noise

    def divergence(self, a: Tensor, n_units: int | None = None) -> Tensor:
        """Return the Kullback-Leibler divergence of each row's code, or of its first units, from the prior, in nats."""
        mean, log_variance = (half[..., :n_units] for half in a.chunk(2, dim=-1))
        return (mean.square() + torch.expm1(log_variance) - log_variance).sum(-1) / 2

    def weighted_divergence(self, step: Step) -> Tensor:
        """Return the mean divergence of the rows with its weight at the step."""
        ramp = min(1.0, step.progress / self.warm_up) if self.warm_up else 1.0
        return self.weight * ramp * self.divergence(step.preactivation).mean()

    def draw(self, n_samples: int, n_components: int, random_state: np.random.RandomState) -> np.ndarray:
        """Return codes (n_samples, n_components) from the prior."""
        if not n_samples >= 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples!r}.")
        return random_state.standard_normal((n_samples, n_components))


def largest(a: Tensor, k: int) -> Tensor:
    """Return a with the k largest entries of each row kept where they are positive, and zeros elsewhere."""
    values, units = a.topk(k, dim=1)
    return torch.zeros_like(a).scatter(1, units, values.relu())


def count(value: int | float, n_units: int) -> int:
    """Return a number of units given as such or as a share of all."""
    return max(1, ceil(round(value * n_units, 9))) if isinstance(value, float) else int(value)  # 0.07 of 100 is 7


def _is_count(value: Any, context: CheckContext) -> bool:
    return 0 < value < 1 if isinstance(value, float) else 1 <= value <= context.n_components


CODES: dict[str, type[Code]] = {
    "gaussian": Gaussian,
    "identity": Identity,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "top_k": TopK,
    "winner_take_all": WinnerTakeAll,
}
