"""Scaled samples and a split of them."""

import numpy as np
import pytest
import torch

from sklearn_ae._data.split import Split

D, N = 4, 53


@pytest.fixture
def X() -> torch.Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def split() -> Split:
    order = np.random.default_rng(0).permutation(N)
    return Split(np.sort(order[:13]))
