"""Parametrisations: symmetric, skew, orthogonal by Cayley's map, weight and spectral normalisation."""

import torch
import torch.nn as nn
import torch.nn.utils.parametrize as parametrize
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

torch.manual_seed(0)


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu()


class Skew(nn.Module):
    def forward(self, X):
        A = X.triu(1)
        return A - A.transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu(1)


class CayleyMap(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("Id", torch.eye(n))

    def forward(self, X):
        return torch.linalg.solve(self.Id - X, self.Id + X)

    def right_inverse(self, A):
        return torch.linalg.solve(A + self.Id, self.Id - A)


class MatrixExponential(nn.Module):
    def forward(self, X):
        return torch.matrix_exp(X)


layer = nn.Linear(3, 3)
parametrize.register_parametrization(layer, "weight", Symmetric())
A = layer.weight
assert torch.allclose(A, A.T)
print(layer)
symmetric = torch.rand(3, 3)
layer.weight = symmetric + symmetric.T
assert torch.allclose(layer.weight, symmetric + symmetric.T)
assert isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight")

layer = nn.Linear(4, 4)
parametrize.register_parametrization(layer, "weight", Skew())
parametrize.register_parametrization(layer, "weight", CayleyMap(4))
assert torch.dist(layer.weight.T @ layer.weight, torch.eye(4)) < 1e-5
assert list(dict(layer.named_parameters())) == ["bias", "parametrizations.weight.original"]

with parametrize.cached():
    assert layer.weight is layer.weight
assert layer.weight is not layer.weight
parametrize.remove_parametrizations(layer, "weight")
assert torch.dist(layer.weight.T @ layer.weight, torch.eye(4)) < 1e-5
assert list(dict(layer.named_parameters())) == ["bias", "weight"] or "weight" in dict(layer.named_parameters())

# Train a recurrent network with an orthogonal weight to remember the first of 30 inputs
rnn = nn.Linear(32, 32, bias=False)
parametrize.register_parametrization(rnn, "weight", Skew())
parametrize.register_parametrization(rnn, "weight", MatrixExponential())
enter, leave = nn.Linear(1, 32), nn.Linear(32, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *enter.parameters(), *leave.parameters()], lr=5e-3)
for step in range(100):
    x = torch.randn(32, 30, 1)
    with parametrize.cached():
        h = torch.zeros(32, 32)
        for t in range(30):
            h = rnn(h) + (enter(x[:, t]) if t == 0 else 0.01 * x[:, t])
        loss = (leave(h) - x[:, 0]).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"remembering: loss {loss.item():.4f}")
assert loss.item() < 0.15 and torch.dist(rnn.weight.T @ rnn.weight, torch.eye(32)) < 1e-3

# Parametrizations of the library
linear = orthogonal(nn.Linear(5, 3))
assert torch.allclose(linear.weight @ linear.weight.T, torch.eye(3), atol=1e-5)
linear = spectral_norm(nn.Linear(20, 20), n_power_iterations=30)
assert abs(torch.linalg.matrix_norm(linear.weight, 2).item() - 1) < 0.05
linear = weight_norm(nn.Linear(5, 3), name="weight", dim=0)
g, v = linear.parametrizations.weight.original0, linear.parametrizations.weight.original1
assert torch.allclose(linear.weight, g * v / v.norm(dim=1, keepdim=True))
