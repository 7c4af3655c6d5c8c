"""Deep Q-learning in a grid: replay memory, target network with soft updates, epsilon-greedy, Huber loss."""

import math
import random
from collections import deque, namedtuple
from itertools import count

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
BATCH_SIZE, GAMMA, EPS_START, EPS_END, EPS_DECAY, TAU, LR = 32, 0.9, 0.9, 0.05, 200, 0.02, 5e-3
device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
random.seed(0)
torch.manual_seed(0)


class ReplayMemory(object):
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class Grid:
    """A 5 by 5 grid with walls. The agent starts at the top left, and the goal is at the bottom right."""

    walls = {(1, 1), (1, 2), (1, 3), (3, 1), (3, 3), (3, 4)}
    moves = ((0, 1), (1, 0), (0, -1), (-1, 0))

    def reset(self):
        self.place = (0, 0)
        return self.place

    def step(self, action):
        row, column = (a + b for a, b in zip(self.place, self.moves[action]))
        if 0 <= row < 5 and 0 <= column < 5 and (row, column) not in self.walls:
            self.place = (row, column)
        arrived = self.place == (4, 4)
        return self.place, 1.0 if arrived else -0.04, arrived


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super(DQN, self).__init__()
        self.layer1 = nn.Linear(n_observations, 64)
        self.layer2 = nn.Linear(64, 64)
        self.layer3 = nn.Linear(64, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)


def encode(place):
    position = torch.tensor(place[0] * 5 + place[1], device=device)
    return F.one_hot(position, num_classes=25).to(torch.float32).unsqueeze(0)


policy_net, target_net = DQN(25, 4).to(device), DQN(25, 4).to(device)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)
memory, env, steps_done = ReplayMemory(2000), Grid(), 0


def select_action(state):
    global steps_done
    threshold = EPS_END + (EPS_START - EPS_END) * math.exp(-1.0 * steps_done / EPS_DECAY)
    steps_done += 1
    if random.random() > threshold:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(4)]], device=device, dtype=torch.long)


def optimize_model():
    if len(memory) < BATCH_SIZE:
        return
    batch = Transition(*zip(*memory.sample(BATCH_SIZE)))
    non_final_mask = torch.tensor(
        tuple(map(lambda s: s is not None, batch.next_state)), device=device, dtype=torch.bool
    )
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch, action_batch, reward_batch = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
    state_action_values = policy_net(state_batch).gather(1, action_batch)
    next_state_values = torch.zeros(BATCH_SIZE, device=device)
    with torch.no_grad():
        next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    expected_state_action_values = (next_state_values * GAMMA) + reward_batch
    criterion = nn.SmoothL1Loss()
    loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


durations = []
for episode in range(30):
    state = encode(env.reset())
    for t in count():
        action = select_action(state)
        place, reward, terminated = env.step(action.item())
        next_state = None if terminated else encode(place)
        memory.push(state, action, next_state, torch.tensor([reward], device=device))
        state = next_state
        optimize_model()
        policy_net_state_dict, target_net_state_dict = policy_net.state_dict(), target_net.state_dict()
        for key in policy_net_state_dict:
            target_net_state_dict[key] = policy_net_state_dict[key] * TAU + target_net_state_dict[key] * (1 - TAU)
        target_net.load_state_dict(target_net_state_dict)
        if terminated or t == 99:
            durations.append(t + 1)
            break
means = torch.tensor(durations, dtype=torch.float).unfold(0, 10, 10).mean(1)
print("mean durations of ten episodes:", means.tolist())
place, greedy = env.reset(), 0
while place != (4, 4) and greedy < 30:
    with torch.no_grad():
        place, _, _ = env.step(policy_net(encode(place)).argmax(1).item())
    greedy += 1
print(f"greedy steps: {greedy}")
assert means[-1] < means[0] and greedy == 8
