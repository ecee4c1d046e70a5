"""Loops that a practitioner would write by hand, with which the estimator's training is compared."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Network(nn.Module):
    """Affine plus multilayer perceptron in both halves, as the estimator has them."""

    def __init__(self, n_features: int, n_components: int, hidden_layer_sizes: Sequence[int] = ()):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(n_features, n_components), nn.Linear(n_components, n_features)
        self.f = self.g = None
        if hidden_layer_sizes:
            (width,) = hidden_layer_sizes
            self.f = nn.Sequential(nn.Linear(n_features, width), nn.SiLU(), nn.Linear(width, n_components, bias=False))
            self.g = nn.Sequential(nn.Linear(n_components, width), nn.SiLU(), nn.Linear(width, n_features, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x) if self.f is None else self.encoder(x) + self.f(x)
        return self.decoder(h) if self.g is None else self.decoder(h) + self.g(h)


def train_epoch(module: nn.Module, optimizer: torch.optim.Optimizer, X: Tensor, n_train: int, batch_size: int) -> float:
    """Train on the first samples, shuffled, and return their mean loss."""
    total = 0.0
    for index in torch.randperm(n_train).split(batch_size):
        x = X[index]
        optimizer.zero_grad()
        loss = F.mse_loss(module(x), x)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    return total / n_train


def train(module: nn.Module, X: Tensor, n_valid: int, batch_size: int, epochs: int, lr: float = 1e-3) -> list[float]:
    """Train with fused Adam, with the last samples held out, and return their loss after each epoch."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.0, fused=True)
    n_train = len(X) - n_valid
    losses = []
    for _ in range(epochs):
        module.train()
        train_epoch(module, optimizer, X, n_train, batch_size)
        module.eval()
        with torch.no_grad():
            losses.append(sum(F.mse_loss(module(x), x).item() * len(x) for x in X[n_train:].split(1024)) / n_valid)
    return losses
