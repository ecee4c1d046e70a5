"""Functions and their gradients are torch's own."""

import pytest
import torch
import torch.nn.functional as F

from sklearn_ae._utils import autograd
from sklearn_ae._utils.autograd import leaky_clip, mean_square


@pytest.fixture(autouse=True, params=["small", "large"])
def size(request, monkeypatch):
    """Let the batches here count as small ones, and as large ones."""
    for name in ("LARGE_ERROR", "LARGE_CLIP"):
        monkeypatch.setattr(autograd, name, 10**9 if request.param == "small" else 0)
    return request.param


@pytest.fixture
def u():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def test_mean_square_is_the_mean_of_squares_and_its_gradient(u):
    target = torch.linspace(-1, 1, 35, dtype=torch.float64).reshape(7, 5)
    torch.testing.assert_close(mean_square(u, target), F.mse_loss(u, target))
    gradients = (torch.autograd.grad(3 * function(u, target), u)[0] for function in (mean_square, F.mse_loss))
    torch.testing.assert_close(next(gradients), next(gradients))


def test_mean_square_in_float32_is_as_exact_as_torchs():
    x = 3 * torch.rand(1024, 784, generator=torch.Generator().manual_seed(0))
    exact = x.double().square().mean()
    assert abs(float(mean_square(x, torch.zeros_like(x))) / float(exact) - 1) < 1e-6


@pytest.mark.parametrize("size", ["large"], indirect=True)
def test_a_second_gradient_is_refused(u):
    loss = mean_square(u, torch.zeros_like(u))
    torch.autograd.grad(loss, u, retain_graph=True)
    with pytest.raises(RuntimeError, match="gives its gradient once"):
        torch.autograd.grad(loss, u)


def test_leaky_clip_is_a_clamp_that_leaks_and_its_gradient(u):
    low, high = torch.full((5,), -0.5, dtype=torch.float64), torch.full((5,), 0.7, dtype=torch.float64)
    expected = torch.lerp(u.clamp(low, high), u, 0.02)
    torch.testing.assert_close(leaky_clip(u, low, high, 0.02), expected)
    assert torch.autograd.gradcheck(lambda u: leaky_clip(u, low, high, 0.02), u)


def test_leaky_clip_without_limits_is_the_identity(u):
    unlimited = torch.full((5,), torch.inf, dtype=torch.float64)
    assert torch.equal(leaky_clip(u, -unlimited, unlimited, 0.02), u)
