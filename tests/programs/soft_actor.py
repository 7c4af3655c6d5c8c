"""The actor of soft actor-critic: a squashed Gaussian that maximises a known value and its own entropy."""

import torch
import torch.nn.functional as F
from torch import distributions as pyd, nn

torch.manual_seed(1)


class SquashedNormal(pyd.transformed_distribution.TransformedDistribution):
    def __init__(self, loc, scale):
        self.loc = loc
        self.scale = scale
        self.base_dist = pyd.Normal(loc, scale)
        transforms = [pyd.TanhTransform(cache_size=1)]
        super().__init__(self.base_dist, transforms)

    @property
    def mean(self):
        mu = self.loc
        for tr in self.transforms:
            mu = tr(mu)
        return mu


class DiagGaussianActor(nn.Module):
    def __init__(self, obs_dim, action_dim, log_std_bounds=(-5, 2)):
        super().__init__()
        self.log_std_bounds = log_std_bounds
        self.trunk = nn.Sequential(nn.Linear(obs_dim, 64), nn.ReLU(), nn.Linear(64, 2 * action_dim))

    def forward(self, obs):
        mu, log_std = self.trunk(obs).chunk(2, dim=-1)
        log_std = torch.tanh(log_std)
        low, high = self.log_std_bounds
        log_std = low + 0.5 * (high - low) * (log_std + 1)
        return SquashedNormal(mu, log_std.exp())


def value(obs, action):
    """Return a value that is largest for the action obs / 2, with a peak that sharpens with abs(obs[:, 0])."""
    return -(4 + 4 * obs[:, :1].abs()) * (action - obs / 2).pow(2)


actor = DiagGaussianActor(2, 2)
optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
alpha = 0.1
for step in range(600):
    obs = torch.rand(128, 2) * 2 - 1
    dist = actor(obs)
    action = dist.rsample()
    log_prob = dist.log_prob(action).sum(-1, keepdim=True)
    loss = (alpha * log_prob - value(obs, action).sum(-1, keepdim=True)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 200 == 0:
        print("| train_actor | step", step, "| loss", round(loss.item(), 4))

obs = torch.rand(512, 2) * 2 - 1
with torch.no_grad():
    dist = actor(obs)
error = F.mse_loss(dist.mean, obs / 2).item()
entropy = -dist.log_prob(dist.sample((50,))).mean().item()
assert error < 0.01, error
assert -1.5 < entropy < 0.5, entropy
assert repr(dist) == "SquashedNormal()"
