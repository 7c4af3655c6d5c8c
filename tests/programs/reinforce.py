"""REINFORCE on a corridor: a policy network learns to walk to the right end."""

import argparse
from itertools import count

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

parser = argparse.ArgumentParser(description="PyTorch REINFORCE example")
parser.add_argument("--gamma", type=float, default=0.97, metavar="G", help="discount factor")
parser.add_argument("--seed", type=int, default=543, metavar="N", help="random seed")
parser.add_argument("--episodes", type=int, default=250)
args = parser.parse_args()


class Corridor:
    """Positions 0 to 6. The reward is 1 at the right end, 0.1 at the left end, and slightly negative for a step."""

    def reset(self):
        self.place, self.steps = 3, 0
        return self.state()

    def state(self):
        state = [0.0] * 7
        state[self.place] = 1.0
        return state

    def step(self, action):
        self.place += 1 if action == 1 else -1
        self.steps += 1
        done = self.place in (0, 6) or self.steps == 30
        reward = {6: 1.0, 0: 0.1}.get(self.place, -0.01)
        return self.state(), reward, done


torch.manual_seed(args.seed)
env = Corridor()


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(7, 32)
        self.dropout = nn.Dropout(p=0.1)
        self.affine2 = nn.Linear(32, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        x = self.affine1(x)
        x = self.dropout(x)
        x = F.relu(x)
        action_scores = self.affine2(x)
        return F.softmax(action_scores, dim=1)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
eps = torch.finfo(torch.float32).eps


def select_action(state):
    state = torch.tensor(state).float().unsqueeze(0)
    probs = policy(state)
    m = Categorical(probs)
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode():
    R = 0
    policy_loss = []
    returns = []
    for r in policy.rewards[::-1]:
        R = r + args.gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns) - baseline
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]


baseline = 0.0
running_reward = 0.0
for i_episode in range(args.episodes):
    state, ep_reward = env.reset(), 0
    for t in count(1):
        action = select_action(state)
        state, reward, done = env.step(action)
        policy.rewards.append(reward)
        ep_reward += reward
        if done:
            break
    baseline = 0.95 * baseline + 0.05 * ep_reward
    running_reward = 0.05 * ep_reward + (1 - 0.05) * running_reward
    finish_episode()
    if i_episode % 50 == 0:
        print("Episode {}\tLast reward: {:.2f}\tAverage reward: {:.2f}".format(i_episode, ep_reward, running_reward))

policy.eval()
with torch.no_grad():
    chosen = Categorical(policy(torch.eye(7)[1:6])).mode
assert running_reward > 0.85, running_reward
assert chosen.tolist() == [1] * 5, chosen
