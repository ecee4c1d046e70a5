"""The corruptions: what training does to its input before it asks for the clean row back (Vincent et al., 2010).

A member is a scikit-learn estimator with plain parameters, called with a batch, the :class:`Frame` of the data and a
generator to draw from. A new one is one class here and one line in ``CORRUPTIONS``. Never used when transforming.
"""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from sklearn_ae._axes import Member, Setting, member

__all__ = ["CORRUPTIONS", "Corruption", "Frame", "GaussianNoise", "Masking", "SaltAndPepper", "corruption_of"]


class Frame(NamedTuple):
    """Landmarks of the data in the network's coordinates."""

    zero: Tensor  # (d,), the data's zero
    low: Tensor  # (d,), the least entry of each column
    high: Tensor  # (d,), the greatest
    spread: float  # root mean square of all entries about their columns' means


class Corruption(Member):
    """Base class of the corruptions."""

    def __call__(self, x: Tensor, frame: Frame, generator: Generator) -> Tensor:
        """Return a corrupted copy of x (n, n_features)."""
        raise NotImplementedError


class Masking(Corruption):
    """Set entries, chosen independently, to the data's zero.

    Parameters
    ----------
    rate : float, default=0.2
        Share of the entries, in (0, 1).
    """

    def __init__(self, rate: float = 0.2):
        self.rate = rate

    def check(self, setting: Setting) -> None:
        self._require("rate", 0 < self.rate < 1, "in (0, 1)")

    def __call__(self, x: Tensor, frame: Frame, generator: Generator) -> Tensor:
        return torch.where(chosen(x, self.rate, generator), frame.zero, x)


class GaussianNoise(Corruption):
    """Add independent Gaussian noise to all entries.

    Parameters
    ----------
    scale : float, default=0.3
        Standard deviation of the noise, above 0, in units of the root mean square of all entries of the data about
        their columns' means.
    """

    def __init__(self, scale: float = 0.3):
        self.scale = scale

    def check(self, setting: Setting) -> None:
        self._require("scale", self.scale > 0, "above 0")

    def __call__(self, x: Tensor, frame: Frame, generator: Generator) -> Tensor:
        return x + torch.empty_like(x).normal_(0, self.scale * frame.spread, generator=generator)


class SaltAndPepper(Corruption):
    """Set entries, chosen independently, to the least or the greatest value of their column, as a fair coin falls.

    Parameters
    ----------
    rate : float, default=0.1
        Share of the entries, in (0, 1).
    """

    def __init__(self, rate: float = 0.1):
        self.rate = rate

    def check(self, setting: Setting) -> None:
        self._require("rate", 0 < self.rate < 1, "in (0, 1)")

    def __call__(self, x: Tensor, frame: Frame, generator: Generator) -> Tensor:
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        salted = torch.where(u < self.rate / 2, frame.high, x)
        return torch.where(u >= 1 - self.rate / 2, frame.low, salted)


def chosen(x: Tensor, rate: float, generator: Generator) -> Tensor:
    """Return a mask like x whose entries are true at a rate, independently."""
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < rate


CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian_noise": GaussianNoise,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
}


def corruption_of(value: Any) -> Corruption | None:
    """Return the corruption that a parameter's value stands for: a number is the rate of masking, 0 is none."""
    if value is None or isinstance(value, (str, Corruption)):
        return member(value, CORRUPTIONS)
    return Masking(float(value)) if value else None
