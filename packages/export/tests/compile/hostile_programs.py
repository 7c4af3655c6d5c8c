"""Compare random functions with their compiled forms, in a process that `tools.fuzz` monitors."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from random_programs import random_program

import flambeau as fb

TARGETS = [*(f"programs {i}" for i in range(16)), *(f"training {i}" for i in range(16))]
SIZES = [(3, 4), (3, 4), (5, 7), (1, 4), (0, 3), (33, 70), (2, 1)]


def check(seed: int) -> None:
    """Call a random function and its compiled form with tensors of several sizes and require identical results."""
    function = random_program(seed)
    compiled = fb.compile(function)
    draw = random.Random(seed)
    with_gradients = draw.random() < 0.3
    for call, (n, m) in enumerate(SIZES):
        fb.manual_seed(seed + call)
        x, y = fb.randn(n, m), fb.randn(n, m) if draw.random() < 0.7 else fb.randn(1, m).expand(n, m)
        outcomes = []
        for run in (function, compiled):
            given = [x.clone(), y.clone()]
            leaf = given[0].requires_grad_(with_gradients)
            given[0] = given[0] * 1 if with_gradients else given[0]
            fb.manual_seed(1)
            outcomes.append(outcome(run, given, leaf))
        first, second = outcomes
        assert len(first) == len(second), f"program {seed}: {first} and {second}"
        for a, b in zip(first, second, strict=True):
            assert same(a, b), f"program {seed}, sizes {n}, {m}: {a} and {b}"


def check_training(seed: int) -> None:
    """Train with a random function and its compiled form and require the same losses, gradients and weights."""
    function = random_program(seed)
    outcomes: list[list[Any]] = []
    for compiles in (False, True):
        weight = fb.ones((), requires_grad=True)
        step = training_step(function, weight, random.Random(seed))
        run = fb.compile(step) if compiles else step
        outcomes.append([])
        for call, (n, m) in enumerate(SIZES):
            fb.manual_seed(seed + call)
            with fb.no_grad():
                weight.fill_(0.5 + call / 8)
            x, y = fb.randn(n, m), fb.randn(n, m)
            try:
                losses = run(x, y)
            except (RuntimeError, IndexError, ValueError, TypeError) as error:
                losses = [type(error)]
            gradient = None if weight.grad is None else weight.grad.detach().clone()
            outcomes[-1] += [*losses, gradient, weight.detach().clone(), x, y]
    for a, b in zip(*outcomes, strict=True):
        assert same(a, b), f"training with program {seed}: {a} and {b}"


def training_step(function: Any, weight: Any, draw: random.Random) -> Any:
    """Return a function that differentiates a random function once or twice and updates a weight."""
    clears, twice, keeps = draw.random() < 0.7, draw.random() < 0.3, draw.random() < 0.3

    def step(x: Any, y: Any) -> list[Any]:
        if clears:
            weight.grad = None
        smooth = [t for t in function(x * weight, y) if t.requires_grad]
        if not smooth:
            return []
        loss = sum((t * t).mean() for t in smooth)
        loss.backward(retain_graph=keeps, create_graph=twice)
        if twice and weight.grad.requires_grad:
            penalty = weight.grad * weight.grad
            weight.grad = None
            penalty.backward()
        with fb.no_grad():
            weight.sub_(weight.grad.clamp(-1, 1), alpha=0.1)
        return [loss]

    return step


def outcome(run: Any, given: list[Any], leaf: Any) -> list[Any]:
    """Return results, arguments and gradient of a call, and which of them share memory; or the exception's type."""
    try:
        results = [*run(*given), *given]
        if smooth := [t for t in results if t.requires_grad]:
            sum((t * t).sum() for t in smooth).backward()
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return [type(error)]
    aliases = [a.data_ptr() == b.data_ptr() for i, a in enumerate(results) for b in results[:i]]
    return [*results, leaf.grad, aliases]


def same(a: Any, b: Any) -> bool:
    """Compare values with ==, and tensors by their metadata and, up to rounding, their elements."""
    if not isinstance(a, fb.Tensor):
        return bool(a == b)
    if (a.shape, a.dtype, a.stride(), a.requires_grad) != (b.shape, b.dtype, b.stride(), b.requires_grad):
        return False
    return fb.allclose(a, b, 1e-6, 1e-6, equal_nan=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20, help="number of programs per target")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--memory", type=int, default=0, help="ignored")
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--only", nargs="+", default=TARGETS)
    o = parser.parse_args()
    for name in o.only:
        for number in range(o.first, o.first + o.calls):
            if o.journal:
                entry = {"only": name, "seed": o.seed, "first": number}
                o.journal.write_text(json.dumps(entry) + "\n")
            attack = check_training if name.startswith("training") else check
            attack(o.seed * 1_000_003 + TARGETS.index(name) * 10_007 + number)


if __name__ == "__main__":
    main()
