"""Compare compiled random programs with the functions, in a process that `tools.fuzz` watches."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from random_programs import random_program

import flambeau as fb

TARGETS = [f"programs {i}" for i in range(16)]
SIZES = [(3, 4), (3, 4), (5, 7), (1, 4), (0, 3), (33, 70), (2, 1)]


def check(seed: int) -> None:
    """Call a random program and its compiled form with tensors of several sizes and require identical results."""
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


def outcome(run: Any, given: list[Any], leaf: Any) -> list[Any]:
    """Return results, changed arguments and the gradient of a call, or the type of its exception."""
    try:
        results = [*run(*given), *given]
        if smooth := [t for t in results if t.requires_grad]:
            sum((t * t).sum() for t in smooth).backward()
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return [type(error)]
    aliases = [a.data_ptr() == b.data_ptr() for i, a in enumerate(results) for b in results[:i]]
    return [*results, leaf.grad, aliases]


def same(a: Any, b: Any) -> bool:
    """Return True for identical tensors; gradients may differ in rounding."""
    if not isinstance(a, fb.Tensor):
        return bool(a == b)
    if (a.shape, a.dtype, a.stride(), a.requires_grad) != (b.shape, b.dtype, b.stride(), b.requires_grad):
        return False
    return fb.allclose(a, b, 1e-6, 1e-6, equal_nan=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20, help="programs of each target")
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
            check(o.seed * 1_000_003 + TARGETS.index(name) * 10_007 + number)


if __name__ == "__main__":
    main()
