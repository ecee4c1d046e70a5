"""Input noise for denoising autoencoders.

A corruption is a scikit-learn estimator with plain parameters, called with a batch, the
:class:`~sklearn_ae.base.DataBounds` of the data and a random generator. A new one takes one class here and one line in
``CORRUPTIONS``. Transforming never uses it.
"""

from typing import Any

import torch
from torch import Generator, Tensor

from sklearn_ae.base import CheckContext, DataBounds, Member, member

__all__ = ["CORRUPTIONS", "Corruption", "GaussianNoise", "Masking", "SaltAndPepper"]


class Corruption(Member):
    """Base class of the corruptions of denoising autoencoders [1]_.

    A subclass is called with a batch of samples in the network's coordinates, the
    :class:`~sklearn_ae.base.DataBounds` of the data and a random generator, and returns a corrupted copy. It is the
    input of training steps, with the clean samples as their target, and of the validation loss. ``transform``,
    ``score`` and ``validation_scores_`` do not use it. ``docs/extending.md`` shows a custom corruption.

    References
    ----------
    .. [1] Vincent, P. et al. (2010). Stacked denoising autoencoders: learning useful representations in a deep network
       with a local denoising criterion. JMLR 11.
    """

    def __call__(self, x: Tensor, bounds: DataBounds, generator: Generator) -> Tensor:
        """Return a corrupted copy of x (n, n_features)."""
        raise NotImplementedError


class Replacing(Corruption):
    """A corruption that replaces independently chosen entries.

    Parameters
    ----------
    rate : float
        Probability that an entry is replaced, in (0, 1).
    """

    def __init__(self, rate: float):
        self.rate = rate

    def check(self, context: CheckContext) -> None:
        self._require("rate", 0 < self.rate < 1, "in (0, 1)")


class Masking(Replacing):
    """Masking noise: remove independently chosen entries.

    A removed entry is zero if zero is the minimum or the maximum of its column in the training data, as in images,
    counts and sparse data. Otherwise, and with ``missing="mask"``, it is the column's mean.

    ``corruption=0.2`` is short for ``Masking(0.2)``.

    Parameters
    ----------
    rate : float, default=0.2
        Probability that an entry is removed, in (0, 1).

    Notes
    -----
    Vincent et al. (2010), see :class:`Corruption`, set entries to zero in all data, and the same number of them in each
    sample. Where zero lies outside a column's range, that would be an outlier. Unlike dropout, the other entries are
    not scaled up.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.corruptions import Masking
    >>> X = load_digits().data[:300]
    >>> noisy = X * (np.random.default_rng(0).random(X.shape) > 0.3)
    >>> model = AutoencoderTransformer(16, corruption=Masking(0.3), max_epochs=5, random_state=0).fit(X)
    >>> denoised = model.inverse_transform(model.transform(noisy))
    >>> bool(np.square(denoised - X).mean() < np.square(noisy - X).mean())
    True
    """

    def __init__(self, rate: float = 0.2):
        super().__init__(rate)

    def __call__(self, x: Tensor, bounds: DataBounds, generator: Generator) -> Tensor:
        zero, mean, low, high, *_ = bounds
        value = mean if bounds.fills_missing else torch.where((zero == low) | (zero == high), zero, mean)
        return torch.where(uniform_like(x, generator) < self.rate, value, x)


class GaussianNoise(Corruption):
    """Add independent Gaussian noise to all entries.

    Parameters
    ----------
    scale : float, default=0.3
        Standard deviation of the noise, above 0, in units of the root mean square of all entries of the data about
        their columns' means.

    Notes
    -----
    With :class:`~sklearn_ae.losses.Mixed`, noise on scaled columns is in units of their root mean square, and noise on
    unscaled columns in their own units. Corrupted entries may leave the range of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.corruptions import GaussianNoise
    >>> X = load_digits().data[:300]
    >>> noisy = X + np.random.default_rng(0).normal(scale=2.0, size=X.shape)
    >>> model = AutoencoderTransformer(16, corruption=GaussianNoise(0.5), max_epochs=5, random_state=0).fit(X)
    >>> denoised = model.inverse_transform(model.transform(noisy))
    >>> bool(np.square(denoised - X).mean() < np.square(noisy - X).mean())
    True
    """

    def __init__(self, scale: float = 0.3):
        self.scale = scale

    def check(self, context: CheckContext) -> None:
        self._require("scale", self.scale > 0, "above 0")

    def __call__(self, x: Tensor, bounds: DataBounds, generator: Generator) -> Tensor:
        return x + torch.empty_like(x).normal_(0, self.scale * bounds.spread, generator=generator)


class SaltAndPepper(Replacing):
    """Set independently chosen entries to the minimum or the maximum of their column, with equal probability.

    Parameters
    ----------
    rate : float, default=0.1
        Probability that an entry is replaced, in (0, 1).

    Notes
    -----
    The bounds are those of each column of the training data; Vincent et al. (2010), see :class:`Corruption`, use the
    same ones for all entries. It suits data with natural bounds, such as images; in other data the extremes are
    outliers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.corruptions import SaltAndPepper
    >>> X = load_digits().data[:300]
    >>> u = np.random.default_rng(0).random(X.shape)
    >>> noisy = np.where(u < 0.1, X.min(axis=0), np.where(u > 0.9, X.max(axis=0), X))
    >>> model = AutoencoderTransformer(16, corruption=SaltAndPepper(0.2), max_epochs=5, random_state=0).fit(X)
    >>> denoised = model.inverse_transform(model.transform(noisy))
    >>> bool(np.square(denoised - X).mean() < np.square(noisy - X).mean())
    True
    """

    def __init__(self, rate: float = 0.1):
        super().__init__(rate)

    def __call__(self, x: Tensor, bounds: DataBounds, generator: Generator) -> Tensor:
        u = uniform_like(x, generator)
        salted = torch.where(u < self.rate / 2, bounds.high, x)
        return torch.where(u >= 1 - self.rate / 2, bounds.low, salted)


def uniform_like(x: Tensor, generator: Generator) -> Tensor:
    """Return a tensor like `x` with independent entries, uniform in [0, 1)."""
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)


CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian_noise": GaussianNoise,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
}


def corruption_of(value: Any) -> Corruption | None:
    """Return the corruption for a value of the estimator's parameter: a number is the rate of masking, 0 for none."""
    if value is None or isinstance(value, (str, Corruption)):
        return member(value, CORRUPTIONS)
    return Masking(float(value)) if value else None
