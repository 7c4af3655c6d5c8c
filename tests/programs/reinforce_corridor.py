"""REINFORCE learns to walk along a corridor with wind. The loss is the log-probabilities times the returns."""

from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical


class Corridor:
    """Positions 0 to 6 with reward 1 at the right end. The wind moves the walker back in one of five steps."""

    def reset(self, seed):
        self.rng, self.position, self.time = np.random.default_rng(seed), 3, 0
        return self.observe()

    def observe(self):
        return np.array([self.position / 6, self.time / 40], dtype=np.float32)

    def step(self, action):
        move = 1 if action == 1 else -1
        if self.rng.random() < 0.2:
            move = -1
        self.position, self.time = min(max(self.position + move, 0), 6), self.time + 1
        reached = self.position == 6
        return self.observe(), 1.0 if reached else -0.02, reached or self.time >= 40


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(2, 32)
        self.dropout = nn.Dropout(p=0.1)
        self.affine2 = nn.Linear(32, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.affine2(x), dim=1)


torch.manual_seed(543)
env, policy = Corridor(), Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
eps = np.finfo(np.float32).eps.item()


def select_action(state):
    state = torch.from_numpy(state).float().unsqueeze(0)
    m = Categorical(policy(state))
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode():
    R, policy_loss, returns = 0, [], deque()
    for r in policy.rewards[::-1]:
        R = r + 0.99 * R
        returns.appendleft(R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]


running_reward = -0.8
for i_episode in range(1, 121):
    state, ep_reward, done = env.reset(i_episode), 0.0, False
    while not done:
        state, reward, done = env.step(select_action(state))
        policy.rewards.append(reward)
        ep_reward += reward
    running_reward = 0.05 * ep_reward + (1 - 0.05) * running_reward
    finish_episode()
    if i_episode % 30 == 0:
        print(f"Episode {i_episode}\tLast reward: {ep_reward:.2f}\tAverage reward: {running_reward:.2f}")
right = policy.eval()(torch.tensor([[p / 6, 0.2] for p in range(6)]))[:, 1]
print("probability of going right:", [round(p, 2) for p in right.tolist()])
assert running_reward > 0.4 and right.mean().item() > 0.8
