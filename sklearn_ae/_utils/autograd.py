"""Differentiable functions of whole batches that pass over memory less often than torch's own.

In small batches calls cost more than passes do: torch's own functions, of one call each, are the faster ones there.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["leaky_clip", "mean_square"]

#: Entries from which on a batch is large, for the squared error and for the limits.
LARGE_ERROR, LARGE_CLIP = 2**19, 2**16


class MeanSquare(torch.autograd.Function):
    """The mean of (output - target)², whose difference becomes the gradient where it lies."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor) -> Tensor:
        ctx.difference = output - target
        return torch.linalg.vector_norm(ctx.difference, dim=-1).square().mean() / ctx.difference.shape[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        difference, ctx.difference = ctx.difference, None
        if difference is None:
            raise RuntimeError("mean_square gives its gradient once: compute it anew.")
        return difference.mul_(gradient * (2 / difference.numel())), None


def mean_square(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (output - target)², both (n, d); the target gets no gradient, and the output one once."""
    return F.mse_loss(output, target) if output.numel() < LARGE_ERROR else MeanSquare.apply(output, target)


class LeakyClip(torch.autograd.Function):
    """Limits that let a share of what exceeds them, and of its gradient, through."""

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
    """Return u (n, d) within limits (d,), plus a share of what exceeds them."""
    if u.numel() < LARGE_CLIP:
        return torch.lerp(torch.clamp(u, low, high), u, leak)
    return LeakyClip.apply(u, low, high, leak)
