"""Stochastic variational inference of a rate, a weight and a centre, with constrained guides."""

import torch
import torch.distributions as dist
from torch.distributions import biject_to, constraints, kl_divergence, transform_to

torch.manual_seed(3)

# Conjugate, so that the exact posteriors are known: counts of a Poisson rate, coin flips, a normal mean.
counts = dist.Poisson(4.0).sample((60,))
flips = dist.Bernoulli(0.3).sample((80,))
heights = dist.Normal(1.5, 1.0).sample((50,))

exact_rate = dist.Gamma(2.0 + counts.sum(), 1.0 + len(counts))
exact_weight = dist.Beta(1.0 + flips.sum(), 1.0 + len(flips) - flips.sum())
precision = torch.tensor(1.0 + len(heights))
exact_mean = dist.Normal(heights.sum() / precision, precision.rsqrt())

# Unconstrained parameters of the guides, which transforms map to values that satisfy the constraints.
positive = transform_to(constraints.positive)
raw = {name: torch.zeros(2, requires_grad=True) for name in ("rate", "weight", "mean")}
with torch.no_grad():
    raw["rate"].copy_(positive.inv(torch.tensor([40.0, 10.0])))
    raw["weight"].copy_(positive.inv(torch.tensor([5.0, 5.0])))


def guides():
    return (
        dist.Gamma(*positive(raw["rate"])),
        dist.Beta(*positive(raw["weight"])),
        dist.Normal(raw["mean"][0], positive(raw["mean"][1])),
    )


optimizer = torch.optim.Adam(raw.values(), lr=0.05)
for step in range(500):
    rate, weight, mean = guides()
    lam, p, mu = rate.rsample((8,)), weight.rsample((8,)), mean.rsample((8,))
    likelihood = dist.Poisson(lam.unsqueeze(-1)).log_prob(counts).sum(-1)
    likelihood = likelihood + dist.Bernoulli(p.unsqueeze(-1)).log_prob(flips).sum(-1)
    likelihood = likelihood + dist.Normal(mu.unsqueeze(-1), 1.0).log_prob(heights).sum(-1)
    prior = (
        kl_divergence(rate, dist.Gamma(torch.tensor(2.0), torch.tensor(1.0)))
        + kl_divergence(weight, dist.Beta(torch.tensor(1.0), torch.tensor(1.0)))
        + kl_divergence(mean, dist.Normal(torch.tensor(0.0), torch.tensor(1.0)))
    )
    loss = prior - likelihood.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print("step", step, "negative evidence bound", round(loss.item(), 2))

for guide, exact in zip(guides(), (exact_rate, exact_weight, exact_mean)):
    print(guide, "mean", guide.mean.item(), "exact", exact.mean.item())
    assert abs(guide.mean - exact.mean) < exact.stddev
    assert 0.6 < guide.stddev / exact.stddev < 1.6

# A mixture fitted by its likelihood, with the weights on the simplex.
data = torch.cat([torch.randn(300) * 0.5 - 2, torch.randn(700) * 0.8 + 1.5])
weights = torch.zeros(1, requires_grad=True)
centres = torch.tensor([-0.5, 0.5], requires_grad=True)
widths = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.Adam([weights, centres, widths], lr=0.05)
for step in range(200):
    simplex = biject_to(constraints.simplex)(weights)
    mixture = dist.MixtureSameFamily(dist.Categorical(simplex), dist.Normal(centres, positive(widths)))
    loss = -mixture.log_prob(data).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(mixture.mixture_distribution.probs, centres)
assert abs(mixture.mixture_distribution.probs[0] - 0.3) < 0.05
assert (centres - torch.tensor([-2.0, 1.5])).abs().max() < 0.15
