"""Run the workloads of several threads at once: ``python -m tools.threads [--seconds N] [--threads N]``."""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import nn, optim

Workload = Callable[[], object]
SHARED = fb.randn(300, 300)
LONG = fb.randn(200_000)
IMAGES, FILTERS = fb.randn(4, 8, 24, 24), fb.randn(8, 8, 3, 3)


def operators() -> None:
    """Call kernels of several families on tensors that all threads read."""
    (SHARED @ SHARED).softmax(1).sum().item()
    LONG.exp().sort()
    LONG.cumsum(0)[LONG.argsort()[:100]].tolist()
    F.conv2d(IMAGES, FILTERS, padding=1).relu().mean()
    fb.fft.fft(LONG)
    fb.linalg.solve(SHARED[:60, :60] + fb.eye(60), SHARED[:60])
    fb.cat([LONG, LONG]).to(fb.float64).std()


def random_numbers() -> None:
    """Draw from the default generator, which all threads share."""
    fb.randn(100_000)
    fb.randperm(1000)
    F.dropout(LONG)


def gradients() -> None:
    """Record and run a graph with a tensor that other threads also use in their graphs."""
    x = SHARED.clone().requires_grad_()
    ((x @ SHARED).tanh() * SHARED).sum().backward()
    fb.autograd.grad((x.exp() * x).sum(), x, create_graph=True)[0].sum().backward()


def training(model: nn.Module) -> Workload:
    """Return a function that trains a copy of a model and calls the model itself, which all threads share."""

    def step() -> None:
        inputs = SHARED[:64, :32]
        copied = copy.deepcopy(model)
        optimizer = optim.AdamW(copied.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(copied(inputs), fb.arange(64) % 4).backward()
            optimizer.step()
        model(inputs).sum().backward()

    return step


def shared_leaf() -> Workload:
    """Return a function that runs a backward pass, which adds to the .grad of a leaf that all threads share."""
    leaf = fb.zeros(50_000, requires_grad=True)
    return lambda: (leaf.exp() * 2).sum().backward()


def memory() -> None:
    """Allocate blocks of many sizes, which other threads may free."""
    RECEIVED.append([fb.empty(n) for n in (1, 10, 1000, 5000, 100_000, 2_000_000)])
    if len(RECEIVED) > 20:
        RECEIVED.clear()


RECEIVED: list[list[fb.Tensor]] = []


def replaced_memory() -> Workload:
    """Return a function that replaces the memory of a tensor while other threads compute with it."""
    x = fb.ones(100_000)

    def run() -> None:
        x.data = fb.ones(100_000)
        x.exp().sum().item()

    return run


def files(folder: Path) -> Workload:
    """Return a function that writes and reads a separate file for each thread."""

    def run() -> None:
        path = folder / f"{threading.get_ident()}.safetensors"
        fb.save({"a": SHARED, "b": LONG}, path)
        fb.load(path)

    return run


def pool() -> None:
    """Change the number of kernel threads while other threads use them."""
    for count in (1, 3, 2):
        fb.set_num_threads(count)
        LONG.exp()


def run(workloads: list[Workload], threads: int, seconds: float) -> list[BaseException]:
    """Run the workloads in turn in each thread until the time is over. Return the exceptions that they raise."""
    end, errors = time.monotonic() + seconds, []

    def repeat(first: int) -> None:
        at = first
        try:
            while time.monotonic() < end:
                workloads[at % len(workloads)]()
                at += 1
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=repeat, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=6)
    arguments = parser.parse_args()
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.LayerNorm(64), nn.Linear(64, 4))
    with tempfile.TemporaryDirectory() as folder:
        workloads: list[Workload] = [operators, random_numbers, gradients, training(model), shared_leaf(), memory]
        workloads += [replaced_memory(), files(Path(folder)), pool]
        errors = run(workloads, arguments.threads, arguments.seconds)
    for error in errors:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if errors:
        sys.exit(1)
    print(f"{arguments.threads} threads ran for {arguments.seconds:g} seconds without an error")


if __name__ == "__main__":
    main()
