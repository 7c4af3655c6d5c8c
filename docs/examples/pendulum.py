"""Estimate a pendulum's length and friction from noisy observations, by gradients through an ODE solver.

    python pendulum.py
    python pendulum.py --measurements angles.csv      # columns: seconds, angle in radians

The angle of a pendulum satisfies angle'' = -(g / length) sin(angle) - friction angle'. The Runge-Kutta method solves
this equation for the current estimates, autograd differentiates the solution with respect to them, and Adam updates
them. Without ``--measurements`` the program simulates a pendulum of 0.7 m with a friction of 0.15/s. The folder
``--output`` contains ``pendulum.png`` and the checkpoint from which ``--resume`` continues.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

import flambeau as fb
from flambeau import nn

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'pendulum.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]

GRAVITY = 9.81


class Pendulum(nn.Module):
    """Pendulum with unknown parameters: the logarithms of length and friction, and the initial state."""

    def __init__(self, length: float, friction: float, angle: float, velocity: float) -> None:
        super().__init__()
        self.log_length = nn.Parameter(fb.tensor(math.log(length), dtype=fb.float64))
        self.log_friction = nn.Parameter(fb.tensor(math.log(friction), dtype=fb.float64))
        self.start = nn.Parameter(fb.tensor([angle, velocity], dtype=fb.float64))

    def slope(self, state: fb.Tensor) -> fb.Tensor:
        angle, velocity = state
        return fb.stack([velocity, -GRAVITY / self.log_length.exp() * angle.sin() - self.log_friction.exp() * velocity])

    def step(self, state: fb.Tensor, h: float) -> fb.Tensor:
        k1 = self.slope(state)
        k2 = self.slope(state + h / 2 * k1)
        k3 = self.slope(state + h / 2 * k2)
        k4 = self.slope(state + h * k3)
        return state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def forward(self, times: list[float]) -> fb.Tensor:
        """Return the angle at each of ``times``, which are ascending and begin with the start time."""
        states: list[fb.Tensor] = [self.start]
        for before, after in pairwise(times):
            count = max(1, math.ceil((after - before) / 0.03))
            state = states[-1]
            for _ in range(count):
                state = self.step(state, (after - before) / count)
            states.append(state)
        return fb.stack(states)[:, 0]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Find a pendulum's length and friction from observations.")
    parser.add_argument("--measurements", type=Path, help="CSV file of seconds and angles (default: simulated)")
    parser.add_argument(
        "--noise", type=float, default=0.05, help="noise of the simulated angles in radians (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=300, help="number of optimizer steps (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/pendulum"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


def measurements(args: argparse.Namespace) -> tuple[list[float], fb.Tensor]:
    """Return the times as floats, and the angles measured at these times."""
    if args.measurements:
        times, angles = np.loadtxt(args.measurements, delimiter=",", unpack=True)
        return times.tolist(), fb.from_numpy(angles)
    times = np.linspace(0, 6, 61).tolist()
    with fb.no_grad():
        angles = Pendulum(0.7, 0.15, 1.2, 0.0)(times)
    return times, angles + args.noise * fb.randn(len(times), dtype=fb.float64)


def draw(model: Pendulum, times: list[float], angles: fb.Tensor, history: History, path: Path) -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    fine = np.linspace(times[0], times[-1], 400).tolist()
    axis = figure.add_subplot(grid[0, :], xlabel="seconds", ylabel="angle")
    axis.plot(times, angles, ".", color="tab:gray", label="observed")
    with fb.no_grad():
        axis.plot(fine, model(fine), color="tab:blue", label="fitted")
    axis.legend()
    for place, name in enumerate(("length", "friction")):
        axis = figure.add_subplot(grid[1, place], xlabel="step", ylabel=name)
        axis.plot(history[name])
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.manual_seed(args.seed)
    times, angles = measurements(args)
    model = Pendulum(length=1.0, friction=0.5, angle=angles[0].item(), velocity=0.0)
    optimizer = fb.optim.Adam(model.parameters(), lr=args.lr)
    history: History = {"loss": [], "length": [], "friction": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        print(f"Resuming after step {len(history['loss'])}, from {checkpoint}")

    progress = tqdm(range(len(history["loss"]), args.steps), unit="step", leave=False, disable=None)
    for step in progress:
        # Fit the beginning first: with a wrong period, later angles are out of phase, and their gradients mislead.
        count = max(8, min(len(times), round(len(times) * 1.5 * (step + 1) / args.steps)))
        loss = nn.functional.mse_loss(model(times[:count]), angles[:count])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history["loss"].append(loss.item())
        history["length"].append(model.log_length.exp().item())
        history["friction"].append(model.log_friction.exp().item())
        progress.set_postfix(length=f"{history['length'][-1]:.4f}", refresh=False)
        if (step + 1) % 50 == 0 or step + 1 == args.steps:
            fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, checkpoint)

    draw(model, times, angles, history, args.output / "pendulum.png")
    print(f"Mean squared error: {history['loss'][-1]:.6f}")
    print(f"Length: {history['length'][-1]:.4f} m, friction: {history['friction'][-1]:.4f} /s")


if __name__ == "__main__":
    main()
