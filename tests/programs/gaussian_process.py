"""Gaussian process regression.

It fits hyperparameters to the marginal likelihood with L-BFGS and derivatives of a Cholesky factorisation, and compares
predictions and samples with least squares.
"""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal
from torch.nn.utils import parametrize

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


class Positive(nn.Module):
    def forward(self, raw):
        return nn.functional.softplus(raw)

    def right_inverse(self, value):
        return value + torch.log(-torch.expm1(-value))


class Process(nn.Module):
    def __init__(self):
        super().__init__()
        for name, start in (("length", 1.0), ("scale", 1.0), ("noise", 0.5)):
            self.register_parameter(name, nn.Parameter(torch.tensor(start)))
            parametrize.register_parametrization(self, name, Positive())

    def kernel(self, a, b):
        return self.scale * torch.exp(-0.5 * torch.cdist(a / self.length, b / self.length).square())

    def factor(self, x):
        return torch.linalg.cholesky(self.kernel(x, x) + self.noise * torch.eye(len(x)))

    def forward(self, x, y):
        """Return the negative log marginal likelihood."""
        lower = self.factor(x)
        weights = torch.cholesky_solve(y[:, None], lower)
        return 0.5 * (y @ weights.squeeze(1)) + lower.diagonal().log().sum() + 0.5 * len(y) * math.log(2 * math.pi)

    @torch.no_grad()
    def predict(self, x, y, where):
        lower = self.factor(x)
        across = self.kernel(x, where)
        mean = across.T @ torch.cholesky_solve(y[:, None], lower)
        half = torch.linalg.solve_triangular(lower, across, upper=False)
        return mean.squeeze(1), self.kernel(where, where) - half.T @ half


def truth(x):
    return torch.sin(2 * x) + 0.3 * x


x = torch.linspace(-3, 3, 40)[:, None]
y = truth(x).squeeze(1) + 0.1 * torch.randn(40)
process = Process()

# Compare the likelihood with a multivariate normal distribution, and its derivative with finite differences.
with torch.no_grad():
    covariance = process.kernel(x, x) + process.noise * torch.eye(40)
    expected = -MultivariateNormal(torch.zeros(40), covariance).log_prob(y)
assert torch.allclose(process(x, y), expected)
raw = process.parametrizations["length"].original
loss = process(x, y)
loss.backward()
with torch.no_grad():
    raw.add_(1e-6)
    above = process(x, y)
    raw.sub_(1e-6)
assert torch.allclose((above - loss) / 1e-6, raw.grad, rtol=1e-3)

optimizer = torch.optim.LBFGS(process.parameters(), lr=0.5, max_iter=50, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = process(x, y)
    loss.backward()
    return loss


first = optimizer.step(closure)
last = process(x, y)
print(
    f"{first.item():.2f} -> {last.item():.2f}:",
    {n: round(getattr(process, n).item(), 3) for n in ("length", "scale", "noise")},
)
assert last < first - 5 and 0.05 < process.noise.sqrt() < 0.2

where = torch.linspace(-3, 3, 25)[:, None]
mean, covariance = process.predict(x, y, where)
deviation = covariance.diagonal().clamp_min(0).sqrt()
wrong = (mean - truth(where).squeeze(1)).abs()
assert wrong.max() < 0.3 and (wrong < 3 * deviation + 0.02).double().mean() > 0.9

values, vectors = torch.linalg.eigh(covariance + 1e-9 * torch.eye(25))
draws = mean + torch.randn(2000, 25) @ (vectors * values.clamp_min(0).sqrt()).T
assert (draws.mean(0) - mean).abs().max() < 0.05
assert (draws.std(0) - deviation).abs().max() < 0.05

# Far from the data, the prediction equals the prior.
mean, covariance = process.predict(x, y, torch.tensor([[50.0]]))
assert mean.abs() < 1e-6 and torch.allclose(covariance.squeeze(), process.scale)

# With enough features, ridge regression fits nearly the same curve.
centres = torch.linspace(-3, 3, 15)
features = torch.exp(-0.5 * (x - centres).square() / process.length.detach() ** 2)
ridge = torch.cat([features, 0.05 * torch.eye(15)])
weights = torch.linalg.lstsq(ridge, torch.cat([y, torch.zeros(15)])[:, None]).solution
fitted = (torch.exp(-0.5 * (where - centres).square() / process.length.detach() ** 2) @ weights).squeeze(1)
assert (fitted - truth(where).squeeze(1)).abs().max() < 0.4
