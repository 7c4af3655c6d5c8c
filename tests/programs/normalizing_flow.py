"""A normalising flow of affine couplings, as transforms of torch.distributions, fitted to two moons."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal, TransformedDistribution, constraints
from torch.distributions.transforms import ComposeTransform, Transform

torch.manual_seed(0)


class Coupling(Transform, nn.Module):
    """Transform that scales and shifts one coordinate by functions of the other."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, flip):
        Transform.__init__(self, cache_size=0)
        nn.Module.__init__(self)
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))

    __hash__ = nn.Module.__hash__

    def parameters_of(self, fixed):
        log_scale, shift = self.net(fixed).chunk(2, -1)
        return torch.tanh(log_scale) * 2, shift

    def halves(self, x):
        a, b = x.chunk(2, -1)
        return (b, a) if self.flip else (a, b)

    def joined(self, fixed, moved):
        return torch.cat([moved, fixed] if self.flip else [fixed, moved], -1)

    def _call(self, x):
        fixed, moved = self.halves(x)
        log_scale, shift = self.parameters_of(fixed)
        return self.joined(fixed, moved * log_scale.exp() + shift)

    def _inverse(self, y):
        fixed, moved = self.halves(y)
        log_scale, shift = self.parameters_of(fixed)
        return self.joined(fixed, (moved - shift) * (-log_scale).exp())

    def log_abs_det_jacobian(self, x, y):
        return self.parameters_of(self.halves(x)[0])[0].sum(-1)

    def __call__(self, x):
        return Transform.__call__(self, x)


def moons(n):
    angle = torch.rand(n) * math.pi
    upper = torch.rand(n) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], -1) + 0.1 * torch.randn(n, 2)


layers = nn.ModuleList([Coupling(flip=bool(i % 2)) for i in range(8)])
base = MultivariateNormal(torch.zeros(2), torch.eye(2))
flow = TransformedDistribution(base, list(layers))
optimizer = torch.optim.Adam(layers.parameters(), lr=5e-3)
losses = []
for step in range(600):
    loss = -flow.log_prob(moons(256)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 100 == 0:
        print("step", step, "negative log likelihood", round(losses[-1], 3))

assert sum(losses[-20:]) / 20 < 1.4 < losses[0], losses[-20:]
with torch.no_grad():
    sample = flow.sample((2000,))
    assert sample.shape == (2000, 2)
    whole = ComposeTransform(list(layers))
    torch.testing.assert_close(whole(whole.inv(sample)), sample, atol=1e-3, rtol=1e-3)
