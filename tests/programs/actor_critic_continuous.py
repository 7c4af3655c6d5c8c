"""Proximal policy optimisation of a Gaussian policy that steers a point to the origin."""

import math

import torch
import torch.nn as nn
from torch.distributions import Independent, Normal, kl_divergence

torch.manual_seed(0)


class ActorCritic(nn.Module):
    def __init__(self, state_dim, action_dim):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(state_dim, 32), nn.Tanh(), nn.Linear(32, action_dim))
        self.critic = nn.Sequential(nn.Linear(state_dim, 32), nn.Tanh(), nn.Linear(32, 1))
        self.log_std = nn.Parameter(torch.full((action_dim,), -0.5))

    def policy(self, state):
        return Independent(Normal(self.actor(state), self.log_std.exp()), 1)

    def forward(self, state):
        return self.policy(state), self.critic(state).squeeze(-1)


def rollout(model, batch=64, steps=10):
    """Let points in the plane move by sampled actions. The reward is the decrease of the distance to the origin."""
    place = torch.rand(batch, 2) * 4 - 2
    states, actions, log_probs, rewards, values = [], [], [], [], []
    for _ in range(steps):
        with torch.no_grad():
            dist, value = model(place)
            action = dist.sample()
        moved = place + 0.3 * action.clamp(-1, 1)
        states.append(place)
        actions.append(action)
        log_probs.append(dist.log_prob(action))
        rewards.append(place.norm(dim=-1) - moved.norm(dim=-1))
        values.append(value)
        place = moved
    return map(torch.stack, (states, actions, log_probs, rewards, values))


def advantages(rewards, values, gamma=0.95, lam=0.9):
    result, last = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = values[t + 1] if t + 1 < len(rewards) else 0.0
        last = rewards[t] + gamma * following - values[t] + gamma * lam * last
        result[t] = last
    return result


model = ActorCritic(2, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
history = []
for update in range(40):
    states, actions, old_log_probs, rewards, values = rollout(model)
    advantage = advantages(rewards, values)
    returns = advantage + values
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    with torch.no_grad():
        old = model.policy(states)
    for epoch in range(4):
        dist, value = model(states)
        ratio = (dist.log_prob(actions) - old_log_probs).exp()
        clipped = torch.clamp(ratio, 0.8, 1.2)
        loss = -torch.min(ratio * advantage, clipped * advantage).mean()
        loss = loss + 0.5 * (returns - value).pow(2).mean() - 0.001 * dist.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    step = kl_divergence(old, model.policy(states)).mean().item()
    assert math.isfinite(step) and step > -1e-6
    history.append(rewards.sum(0).mean().item())
    if update % 10 == 0:
        print(f"update {update:3d}  reward {history[-1]:.3f}  divergence {step:.4f}")

assert history[-1] > 0.9 and history[-1] > history[0] + 0.5, history
with torch.no_grad():
    action = model.policy(torch.tensor([[1.5, 0.0], [0.0, -1.5]])).mean
assert action[0, 0] < 0 and action[1, 1] > 0, action
