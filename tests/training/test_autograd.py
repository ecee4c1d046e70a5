"""The custom function and its gradient equal torch's."""

import pytest
import torch

from sklearn_ae._utils import autograd
from sklearn_ae._utils.autograd import leaky_clip


@pytest.fixture(autouse=True, params=["small", "large"])
def size(request, monkeypatch):
    """Treat the batches of these tests as small, then as large."""
    monkeypatch.setattr(autograd, "LARGE_CLIP", 10**9 if request.param == "small" else 0)
    return request.param


@pytest.fixture
def u():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def test_leaky_clip_is_a_leaky_clamp_with_its_gradient(u):
    low, high = torch.full((5,), -0.5, dtype=torch.float64), torch.full((5,), 0.7, dtype=torch.float64)
    expected = torch.lerp(u.clamp(low, high), u, 0.02)
    torch.testing.assert_close(leaky_clip(u, low, high, 0.02), expected)
    assert torch.autograd.gradcheck(lambda u: leaky_clip(u, low, high, 0.02), u)


def test_leaky_clip_without_limits_is_the_identity(u):
    unlimited = torch.full((5,), torch.inf, dtype=torch.float64)
    assert torch.equal(leaky_clip(u, -unlimited, unlimited, 0.02), u)
