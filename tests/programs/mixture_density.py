"""A mixture density network learns a curve with several values for an input, for which a mean would be wrong."""

import math

import torch
import torch.nn as nn
from torch import distributions as D

torch.manual_seed(1)


class MDN(nn.Module):
    def __init__(self, hidden, components):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, hidden), nn.Tanh())
        self.z_pi, self.z_mu, self.z_sigma = (nn.Linear(hidden, components) for _ in range(3))

    def forward(self, x):
        z_h = self.z_h(x)
        return nn.functional.softmax(self.z_pi(z_h), -1), self.z_mu(z_h), torch.exp(self.z_sigma(z_h))


def mdn_loss(pi, mu, sigma, y):
    exponent = -0.5 * ((y.expand_as(mu) - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(exponent + pi.log(), dim=1).mean()


n = 1000
y = torch.rand(n, 1) * 20 - 10
x = (torch.sin(0.75 * y) * 7.0 + y * 0.5 + 0.5 * torch.randn(n, 1)) / 10
network = MDN(20, 5)
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=50)
for epoch in range(900):
    loss = mdn_loss(*network(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(loss.item())
    if epoch % 300 == 299:
        print(epoch + 1, f"{loss.item():.4f}")

pi, mu, sigma = network(x)
mixture = D.MixtureSameFamily(D.Categorical(pi), D.Normal(mu, sigma))
same = -mixture.log_prob(y.squeeze(1)).mean()
normal = D.Normal(y.mean(), y.std()).log_prob(y).mean()
print(f"log-likelihood {-same.item():.3f}; of one normal distribution {normal.item():.3f}")
assert torch.allclose(same, loss, atol=0.2) and -same.item() > normal.item() + 0.7
made = mixture.sample()
back = (torch.sin(0.75 * made) * 7.0 + made * 0.5) / 10 - x.squeeze(1)
print(f"median distance of samples from the curve: {back.abs().median().item():.3f}")
assert back.abs().median().item() < 0.25
