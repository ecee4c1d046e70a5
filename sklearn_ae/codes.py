"""Codes: activations, and noise in training, of the encoder's output. A new one takes one class and a line in CODES."""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_ae._utils.onnx_graph import Graph
from sklearn_ae.base import CheckContext, Member, Step, member

__all__ = ["CODES", "Code", "Gaussian", "Identity", "ReLU", "Sigmoid", "Tanh", "TopK", "WinnerTakeAll"]

#: Maximum log-variance of a Gaussian code; that of training samples stays near or below 0.
MAX_LOG_VARIANCE = 4.0


class Code(Member):
    """Base class of the codes.

    A subclass maps the encoder's output, the pre-activation, to the code: ``__call__`` for transforming, and
    ``in_training`` if a training step uses another map. Class attributes declare its other properties.
    ``docs/extending.md`` lists them and shows a custom code.
    """

    #: Whether the code is linear, so that a linear decoder can undo any rotation of its components.
    linear = False
    #: Whether each component depends only on its own pre-activation, except for a locally constant selection.
    elementwise = False
    #: Whether a component may be divided by any positive number, which ``whiten=True`` does and the decoder undoes.
    has_free_scale = False
    #: The closed interval that holds all values of the code.
    value_range = (-torch.inf, torch.inf)
    #: The initialization that suits the code, one of the estimator's ``init``.
    init = "transpose"
    #: Whether ``output_activation="auto"`` may clip: components that overshoot then cost nothing, and learn less.
    allows_auto_clip = True
    #: Whether training and transforming give a sample the same code.
    deterministic = True
    #: Whether more components are active when transforming than in training, so that decoding may overshoot.
    denser_than_trained = False
    #: Terms that the code adds to the loss of a sample, each called with a step.
    terms: tuple[Callable[[Step], Tensor], ...] = ()

    def n_preactivations(self, n_components: int) -> int:
        """Return the number of outputs that the encoder must have."""
        return n_components

    def initialize_(self, affine: torch.nn.Linear, columns: Tensor | None, variances: Callable[[], Tensor]) -> None:
        """Adapt an initialization in place, given the variances (n_components,) of its first pre-activations.

        `affine` is the encoder's affine layer, `columns` the decoder's matrix (n_features, n_components), or None with
        tied weights.
        """

    def __call__(self, a: Tensor) -> Tensor:
        """Return the code (n_samples, n_components) of a pre-activation (n_samples, n_preactivations)."""
        raise NotImplementedError

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        """Return the code of a training step; `progress` is the fraction of training done, in [0, 1]."""
        return self(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        """Add ``__call__`` on the pre-activation named `a` to an ONNX graph, and return the name of the code."""
        raise NotImplementedError


class Identity(Code):
    """The code of PCA: the unchanged output of the encoder, h = a.

    With ``init="auto"`` the initialization is PCA.

    Notes
    -----
    After training the components are rotated so that they are uncorrelated on the training data, in order of explained
    variance, with orthonormal rows of ``components_``. With dropout or a penalty that depends on the axes of the code
    they are only ordered.

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
    has_free_scale = True
    linear = True
    init = "pca"

    def __call__(self, a: Tensor) -> Tensor:
        return a

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return a


class ReLU(Code):
    """Codes in [0, inf), many of them zero: h = max(0, a).

    With ``init="auto"`` the initialization is ``"transpose"``, not PCA.

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
    has_free_scale = True
    value_range = (0.0, torch.inf)

    def __call__(self, a: Tensor) -> Tensor:
        return torch.relu(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Relu", a)


class Sigmoid(Code):
    """Codes in (0, 1): h = 1 / (1 + exp(-a)).

    With ``init="auto"`` the initialization is ``"transpose"``, not PCA. Use it with
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

    With ``init="auto"`` the initialization is ``"transpose"``, not PCA.

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
    """Codes that keep the k largest positive pre-activations of each sample and set the others to zero.

    The k-sparse autoencoder [1]_: h_j = max(0, a_j) for the k largest a_j of a sample, and 0 for the others. Training
    begins with 4 k components and narrows down to k. If components stay dead, never active for any sample, try another
    learning rate first.

    Parameters
    ----------
    k : int or float, default=0.1
        Number of components kept in training, from 1 to `n_components`; a float in (0, 1) is a fraction of them,
        rounded up.
    k_transform : int, float or None, default=None
        Number or fraction of components kept when transforming; None for `k`. More than `k` make better features for a
        classifier [1]_, but worse reconstructions; `n_components` keeps all positive ones.
    anneal : float, default=0.5
        Fraction of training, in [0, 1), over which the number of components kept falls to `k`. Epochs before that are
        not kept as the best.
    aux : float, default=0.0
        Weight, at least 0, of the auxiliary loss [2]_ relative to the loss of a sample: the squared error left after
        the components unused in a batch have reconstructed its residual; 1/32 in [2]_.

    Notes
    -----
    With ``init="auto"`` the initialization is ``"transpose"``, as in [2]_, and ``output_activation="auto"`` does not
    clip.

    In [1]_ kept values may be negative; here negative ones are set to zero, so that a sample may have fewer than k. For
    `aux`, [2]_ counts a component as dead after many samples without use; here one that no sample of the batch uses.
    Of these 2 k are kept.

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
    has_free_scale = True
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
        """Fraction of training after which k is reached."""
        return self.anneal

    @property
    def terms(self) -> tuple[Callable[[Step], Tensor], ...]:  # type: ignore[override]
        """The auxiliary loss, unless its weight is 0."""
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
        return keep_largest(a, count(self.k if self.k_transform is None else self.k_transform, a.shape[-1]))

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        k = count(self.k if self.k_transform is None else self.k_transform, n_components)
        # onnxruntime (1.24) divides by the number of samples: an extra one keeps an empty batch from ending the process
        a = graph.add("Concat", a, np.zeros((1, n_components)), axis=0)
        values, indices = graph.add_several(2, "TopK", a, [k], axis=1)
        codes = graph.add("ScatterElements", graph.add("Mul", a, 0.0), indices, graph.add("Relu", values), axis=1)
        return graph.add("Slice", codes, [0], [-1], [0])

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        k = count(self.k, a.shape[-1])
        widening = 1 + 3 * (1 - progress / self.anneal) if progress < self.anneal else 1.0
        return keep_largest(a, min(round(widening * k), a.shape[-1]))

    def unused_units(self, step: Step) -> Tensor:
        """Return the weighted squared error after components unused in the batch have reconstructed the residual."""
        # NOTE[DIFF]: Gao et al. count a component as dead after 10 million samples without firing, which needs a
        # memory; here a batch decides. benchmarks/bench_dead_units.py measures its effect, hence the default of 0: a
        # memory of 2,000 samples did no better on MNIST (14 % dead, 11 % without; 1,000 components, k = 10, 4 epochs).
        used = (step.code > 0).any(0)
        residual = (step.target - step.output).detach()
        if not used.all():
            k = min(2 * count(self.k, len(used)), int((~used).sum()))
            spare = keep_largest(step.preactivation[:, : len(used)].masked_fill(used, -torch.inf), k)
            residual = residual - (step.decode(spare) - step.decode(torch.zeros_like(spare[:1])))
        return self.aux * residual.square().sum(1).mean()


class WinnerTakeAll(Code):
    """Nonnegative codes in which each component keeps only its largest values in a batch: lifetime sparsity [1]_.

    In training h_ij = max(0, a_ij) if sample i is among the largest of component j in the batch, and 0 otherwise.
    Transforming keeps all positive values, h = max(0, a): codes are denser than in training; with many components or
    a low rate R² may be negative. They are meant as features, as in [1]_; use :class:`TopK` to reconstruct.

    Parameters
    ----------
    rate : float, default=0.05
        Fraction of the samples of a batch that a component keeps, in (0, 1], rounded up to whole samples.

    Notes
    -----
    With ``init="auto"`` the initialization is ``"transpose"``, not PCA, and ``output_activation="auto"`` does not clip.
    A component keeps at least one sample of a batch: `batch_size` should be well above 1 / `rate`.

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
    has_free_scale = True
    value_range = (0.0, torch.inf)
    allows_auto_clip = False
    deterministic = False
    denser_than_trained = True

    def __init__(self, rate: float = 0.05):
        self.rate = rate

    def check(self, context: CheckContext) -> None:
        self._require("rate", 0 < self.rate <= 1, "in (0, 1]")

    def __call__(self, a: Tensor) -> Tensor:
        return torch.relu(a)

    def to_onnx(self, graph: Graph, a: str, n_components: int) -> str:
        return graph.add("Relu", a)

    def in_training(self, a: Tensor, progress: float, generator: Generator) -> Tensor:
        return keep_largest(a.T, count(float(self.rate), len(a))).T


class Gaussian(Code):
    """Codes drawn from a normal distribution for each sample: the variational autoencoder [1]_.

    The encoder outputs the mean m_j and the log-variance log s_j² of each component. Training draws a code from them
    and adds their divergence from the standard normal distribution, sum_j (m_j² + s_j² - 1 - log s_j²) / 2 in nats, to
    the loss of a sample. Transforming returns the mean. The estimator has the methods ``elbo`` and ``sample``.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the divergence, above 0; 1 maximises the bound that ``elbo`` returns, beta-VAEs use others [2]_.
    warm_up : float, default=0.1
        Fraction of training, in [0, 1), over which the weight rises from 0 [3]_. Epochs before that are not kept as the
        best.

    Notes
    -----
    The loss of a sample is taken as a negative log-likelihood: for the squared error that of a normal distribution with
    half the mean variance of the data's entries. ``elbo`` needs a loss with a ``log_partition``; all losses of this
    package have one.

    With ``init="auto"`` the initialization is PCA, whitened unless weights are tied: the means have variance 1.
    Components are ordered after training, not rotated. The log-variance is limited to 4 from above, so that ``elbo`` is
    finite for samples far from the training data.

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
        """Fraction of training after which the weight is reached."""
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
        mean, log_variance = self._moments(a)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + torch.exp(log_variance / 2) * noise

    def _moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (n_samples, n_components), limited as samples far from the data overflow."""
        mean, log_variance = a.chunk(2, dim=-1)
        return mean, log_variance.clamp(max=MAX_LOG_VARIANCE)

    def divergence(self, a: Tensor, n_units: int | None = None) -> Tensor:
        """Return the divergence (n_samples,), in nats, of codes, or of their first components, from the prior."""
        mean, log_variance = (moment[..., :n_units] for moment in self._moments(a))
        return (mean.square() + torch.expm1(log_variance) - log_variance).sum(-1) / 2

    def weighted_divergence(self, step: Step) -> Tensor:
        """Return the mean divergence of the samples with its weight at the step."""
        ramp = min(1.0, step.progress / self.warm_up) if self.warm_up else 1.0
        return self.weight * ramp * self.divergence(step.preactivation).mean()

    def draw(self, n_samples: int, n_components: int, random_state: np.random.RandomState) -> np.ndarray:
        """Return codes (n_samples, n_components) from the prior."""
        if not n_samples >= 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples!r}.")
        return random_state.standard_normal((n_samples, n_components))


def keep_largest(a: Tensor, k: int) -> Tensor:
    """Return a copy of `a` (n, m) with zeros except for the k largest entries of each row, if positive."""
    values, indices = a.topk(k, dim=1)
    return torch.zeros_like(a).scatter(1, indices, values.relu())


def count(value: int | float, total: int) -> int:
    """Return a number of components or samples that is given as a number or as a fraction of `total`."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    return max(1, ceil(float(value) * total * (1 - 1e-7)))  # 0.07 of 100 is 7, in float32 too


def _is_count(value: Any, context: CheckContext) -> bool:
    return 0 < value < 1 or (isinstance(value, (int, np.integer)) and 1 <= int(value) <= context.n_components)


CODES: dict[str, type[Code]] = {
    "gaussian": Gaussian,
    "identity": Identity,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "top_k": TopK,
    "winner_take_all": WinnerTakeAll,
}
ALIASES = {"variational": "gaussian"}


def code_of(value: Any) -> Code:
    """Return the code for a value of the estimator's parameter: a code or a name."""
    return member(ALIASES.get(value, value) if isinstance(value, str) else value, CODES)
