"""Balance a pole on a cart by REINFORCE, a policy gradient method.

    python reinforce.py
    python reinforce.py --resume --episodes 800

The policy returns the probability of each action. A baseline predicts the return. The gradient of the logarithmic
probability of an action is weighted by the difference between the return and the baseline. The folder ``--output``
contains the checkpoint, ``returns.png`` and ``episode.gif``, one episode of the trained policy. Requires gymnasium.
Source: Williams 1992, doi:10.1007/BF00992696.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.distributions import Categorical

try:
    import gymnasium
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'reinforce.py needs the package {error.name}: pip install "flambeau[examples]"')

Environment = gymnasium.Env[NDArray[np.float32], int]
Episode = tuple[fb.Tensor, fb.Tensor, list[float]]


class Agent(nn.Module):
    """Network that maps observations (N, 4) to scores of the two actions (N, 2) and to the expected return (N,)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.baseline = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, observations: fb.Tensor) -> tuple[Categorical, fb.Tensor]:
        return Categorical(logits=self.policy(observations)), self.baseline(observations).squeeze(-1)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Balance a pole on a cart by REINFORCE.")
    parser.add_argument("--episodes", type=int, default=400, help="number of episodes (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="episodes per step (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=64, help="width of the networks (default: %(default)s)")
    parser.add_argument("--gamma", type=float, default=0.99, help="discount factor of rewards (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (default: %(default)s)")
    parser.add_argument("--every", type=int, default=50, help="episodes between checkpoints (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/reinforce"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


@fb.no_grad()
def play(environment: Environment, agent: Agent, seed: int, greedy: bool = False) -> Episode:
    """Play one episode; return observations (T, 4), actions (T,) and rewards as floats."""
    observation, _ = environment.reset(seed=seed)
    observations, actions, rewards, over = [], [], [], False
    while not over:
        distribution = Categorical(logits=agent.policy(fb.from_numpy(observation)))
        action = distribution.logits.argmax() if greedy else distribution.sample()
        observations.append(observation)
        actions.append(action.item())
        observation, reward, terminated, truncated, _ = environment.step(actions[-1])
        rewards.append(float(reward))
        over = terminated or truncated
    return fb.from_numpy(np.stack(observations)), fb.tensor(actions), rewards


def returns_of(rewards: list[float], gamma: float) -> fb.Tensor:
    """Return the discounted sum of future rewards for each time step."""
    to_come, total = [], 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
        to_come.append(total)
    return fb.tensor(to_come[::-1])


def improve(agent: Agent, optimizer: fb.optim.Optimizer, episodes: list[Episode], gamma: float) -> None:
    observations = fb.cat([observations for observations, _, _ in episodes])
    actions = fb.cat([actions for _, actions, _ in episodes])
    returns = fb.cat([returns_of(rewards, gamma) for _, _, rewards in episodes])
    distribution, expected = agent(observations)
    advantage = returns - expected.detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    loss = -(distribution.log_prob(actions) * advantage).mean() - 0.01 * distribution.entropy().mean()
    loss = loss + 0.5 * nn.functional.smooth_l1_loss(expected, returns, beta=10.0) / 10
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
    optimizer.step()


def draw(history: list[int], path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.add_subplot(xlabel="episode", ylabel="seconds balanced")
    seconds = fb.tensor(history) / 50
    axis.plot(seconds, ".", markersize=2, alpha=0.5)
    if len(history) >= 20:
        axis.plot(range(19, len(history)), seconds.unfold(0, 20, 1).mean(1), label="mean of 20 episodes")
        axis.legend()
    figure.savefig(path, dpi=120)


def animate(observations: fb.Tensor, path: Path) -> None:
    """Save a GIF of every second observation, with the cart and the pole."""
    frames = []
    for position, _, angle, _ in observations[::2].tolist():
        frame = Image.new("P", (300, 150), 0)
        frame.putpalette([255, 255, 255, 60, 60, 60, 214, 39, 40, 180, 180, 180])
        pen = ImageDraw.Draw(frame)
        middle = 150 + 60 * position
        pen.line([0, 120, 300, 120], fill=3)
        pen.rectangle([middle - 20, 108, middle + 20, 120], fill=1)
        pen.line([middle, 108, middle + 80 * np.sin(angle), 108 - 80 * np.cos(angle)], fill=2, width=5)
        frames.append(frame)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, loop=0)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    environment = gymnasium.make("CartPole-v1")
    fb.manual_seed(args.seed)
    agent = Agent(args.hidden)
    optimizer = fb.optim.Adam(agent.parameters(), lr=args.lr)
    history: list[int] = []
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        agent.load_state_dict(state["agent"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        print(f"Resuming after episode {len(history)}, from {checkpoint}")

    progress = tqdm(total=args.episodes, initial=len(history), unit="episode", leave=False, disable=None)
    while len(history) < args.episodes:
        first = len(history)
        fb.manual_seed(1_000_003 * args.seed + first)
        episodes = [
            play(environment, agent, args.seed + first + i) for i in range(min(args.batch, args.episodes - first))
        ]
        improve(agent, optimizer, episodes, args.gamma)
        history += [len(rewards) for _, _, rewards in episodes]
        progress.update(len(episodes))
        if len(history) // args.every > first // args.every or len(history) >= args.episodes:
            recent = history[-args.every :]
            print(f"Episode {len(history)}/{args.episodes}  mean reward {sum(recent) / len(recent):.1f}", flush=True)
            state = {"agent": agent.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
            fb.save(state, checkpoint)
    progress.close()

    tests = [play(environment, agent, 10_000 + seed, greedy=True) for seed in range(10)]
    draw(history, args.output / "returns.png")
    animate(tests[0][0], args.output / "episode.gif")
    print(f"Mean reward of ten greedy episodes: {sum(len(rewards) for *_, rewards in tests) / 10:.1f} of 500")


if __name__ == "__main__":
    main()
