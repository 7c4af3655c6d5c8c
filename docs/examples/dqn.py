"""Balance a pole on a cart by deep Q-learning: estimate the value of each action and take the best.

    python dqn.py
    python dqn.py --resume --steps 40000

The Q-network is trained on a replay memory. Its targets come from a slowly updated copy, the target network, which
evaluates the action that the Q-network prefers (double Q-learning). The folder ``--output`` contains the checkpoint
with the replay memory, and ``rewards.png``. Requires gymnasium.
Source: Mnih et al. 2015, doi:10.1038/nature14236; van Hasselt, Guez and Silver 2015, arXiv:1509.06461.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import flambeau as fb
from flambeau import nn

try:
    import gymnasium
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'dqn.py needs the package {error.name}: pip install "flambeau[examples]"')

Observation = NDArray[np.float32]
Environment = gymnasium.Env[NDArray[np.float32], int]


class Memory:
    """Replay memory: the last ``capacity`` transitions, stored in arrays."""

    def __init__(self, capacity: int) -> None:
        self.observations = fb.zeros(capacity, 4)
        self.next_observations = fb.zeros(capacity, 4)
        self.actions = fb.zeros(capacity, dtype=fb.int64)
        self.rewards = fb.zeros(capacity)
        self.ended = fb.zeros(capacity, dtype=fb.bool)
        self.count = 0

    def add(
        self, observation: Observation, action: int, reward: float, next_observation: Observation, ended: bool
    ) -> None:
        row = self.count % len(self.actions)
        self.observations[row] = fb.from_numpy(observation)
        self.next_observations[row] = fb.from_numpy(next_observation)
        self.actions[row], self.rewards[row], self.ended[row] = action, reward, ended
        self.count += 1

    def sample(self, size: int) -> tuple[fb.Tensor, ...]:
        rows = fb.randint(min(self.count, len(self.actions)), (size,))
        return tuple(
            table[rows] for table in (self.observations, self.actions, self.rewards, self.next_observations, self.ended)
        )


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Balance a pole on a cart by deep Q-learning.")
    parser.add_argument("--steps", type=int, default=20_000, help="number of actions (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=96, help="width of the network (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=10_000, help="size of the replay memory (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="transitions per step (default: %(default)s)")
    parser.add_argument("--gamma", type=float, default=0.99, help="discount factor of rewards (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate (default: %(default)s)")
    parser.add_argument(
        "--follow", type=float, default=0.01, help="update rate of the target network (default: %(default)s)"
    )
    parser.add_argument("--every", type=int, default=2000, help="steps between checkpoints (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/dqn"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


@fb.no_grad()
def choose(network: nn.Module, observation: Observation, exploration: float) -> int:
    if exploration > 0 and fb.rand(()).item() < exploration:
        return int(fb.randint(2, ()).item())
    return int(network(fb.from_numpy(observation)).argmax().item())


def learn(
    network: nn.Module, target: nn.Module, optimizer: fb.optim.Optimizer, memory: Memory, args: argparse.Namespace
) -> None:
    observations, actions, rewards, next_observations, ended = memory.sample(args.batch_size)
    with fb.no_grad():
        best = network(next_observations).argmax(1, keepdim=True)
        future = target(next_observations).gather(1, best).squeeze(1).masked_fill(ended, 0.0)
    q_values = network(observations).gather(1, actions[:, None]).squeeze(1)
    loss = nn.functional.smooth_l1_loss(q_values, rewards + args.gamma * future)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimizer.step()
    with fb.no_grad():
        for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, args.follow)


def play(
    environment: Environment,
    network: nn.Module,
    target: nn.Module,
    optimizer: fb.optim.Optimizer,
    memory: Memory,
    steps: range,
    args: argparse.Namespace,
) -> list[float]:
    """Take steps in the environment and train the network after each one.

    Returns: the rewards of the episodes that ended during these steps.
    """
    rewards, episode = [], 0.0
    observation, _ = environment.reset(seed=args.seed + steps.start)
    for step in tqdm(steps, desc=f"Steps to {steps.stop}", unit="step", leave=False, disable=None):
        action = choose(network, observation, max(0.05, 1 - step / 5000))
        next_observation, reward, terminated, truncated, _ = environment.step(action)
        memory.add(observation, action, float(reward), next_observation, terminated)
        observation, episode = next_observation, episode + float(reward)
        if terminated or truncated:
            rewards.append(episode)
            observation, episode = environment.reset()[0], 0.0
        if memory.count >= 500:
            learn(network, target, optimizer, memory, args)
    return rewards


def test(network: nn.Module, seeds: range) -> float:
    """Return the mean reward of episodes without exploration."""
    environment = gymnasium.make("CartPole-v1")
    total = 0.0
    for seed in seeds:
        observation, _ = environment.reset(seed=seed)
        over = False
        while not over:
            observation, reward, terminated, truncated, _ = environment.step(choose(network, observation, 0.0))
            total += float(reward)
            over = terminated or truncated
    return total / len(seeds)


def draw(rewards: list[float], path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.add_subplot(xlabel="episode", ylabel="reward")
    axis.plot(rewards, ".-", linewidth=0.5)
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    environment = gymnasium.make("CartPole-v1")
    fb.manual_seed(args.seed)
    network = nn.Sequential(nn.Linear(4, args.hidden), nn.ReLU(), nn.Linear(args.hidden, args.hidden), nn.ReLU())
    network.append(nn.Linear(args.hidden, 2))
    target = copy.deepcopy(network)
    optimizer = fb.optim.Adam(network.parameters(), lr=args.lr)
    memory = Memory(args.memory)
    step, rewards, best = 0, [], -1.0
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        network.load_state_dict(state["network"])
        target.load_state_dict(state["target"])
        optimizer.load_state_dict(state["optimizer"])
        vars(memory).update(state["memory"])
        step, rewards, best = state["step"], state["rewards"], state["best"]
        print(f"Resuming after step {step}, from {checkpoint}")

    while step < args.steps:
        # A new episode begins after each checkpoint, so that a resumed run equals an uninterrupted one.
        fb.manual_seed(1_000_003 * args.seed + step)
        steps = range(step, min(step + args.every, args.steps))
        rewards += play(environment, network, target, optimizer, memory, steps, args)
        step = steps.stop
        result = test(network, range(10_000, 10_005))
        print(f"Step {step}/{args.steps}  mean reward of five tests {result:.1f}", flush=True)
        if result >= best:
            best = result
            fb.save(network.state_dict(), args.output / "best.safetensors")
        state = {"network": network.state_dict(), "target": target.state_dict(), "optimizer": optimizer.state_dict()}
        fb.save({**state, "memory": vars(memory), "step": step, "rewards": rewards, "best": best}, checkpoint)

    network.load_state_dict(fb.load(args.output / "best.safetensors"))
    draw(rewards, args.output / "rewards.png")
    print(f"Mean reward of ten episodes of the best network: {test(network, range(20_000, 20_010)):.1f} of 500")


if __name__ == "__main__":
    main()
