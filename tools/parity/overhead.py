"""``python -m tools.parity.overhead``: what a small call costs, as a ratio to PyTorch, for every operator of the table.

Each variant is called with the smallest of its sample inputs, by turns in both libraries; the quickest batch counts.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from tqdm import tqdm

from tools.parity.bridge import flat, to_flambeau
from tools.parity.cells import quiet
from tools.parity.rebind import rebind, unseeded
from tools.parity.scope import reason_to_skip, title

BATCH = 2e-3  # seconds
SMALL = 4096  # numbers in a sample's tensors, at most


def main() -> None:
    """Print a line for each variant, slowest first, and the median."""
    parser = argparse.ArgumentParser(prog="overhead", description=__doc__)
    parser.add_argument("-k", default="", metavar="REGEX", help="only the variants whose name matches")
    parser.add_argument("--batches", type=int, default=9, help="batches of each library")
    options = parser.parse_args()
    torch.set_num_threads(1)  # PyTorch's quickest for small calls
    chosen = [op for op in op_db if re.search(options.k, title(op)) and not reason_to_skip(op)]
    rows = [row for op in tqdm(chosen, disable=None, leave=False) if (row := measured(op, options.batches))]
    for ratio, name, ours, theirs in sorted(rows, reverse=True):
        print(f"{ratio:6.2f}  {name:44} {ours * 1e6:8.2f} us  PyTorch {theirs * 1e6:8.2f} us")
    ratios = [row[0] for row in rows]
    if ratios:
        above = sum(r > 0.35 for r in ratios)
        print(f"median {statistics.median(ratios):.3f}; {above} of {len(ratios)} above 0.35")


def measured(op: Any, batches: int) -> tuple[float, str, float, float] | None:
    """Ratio, name and both times; None where either cannot be called."""
    dtypes = op.supported_dtypes("cpu")
    if not dtypes:
        return None
    dtype = torch.float32 if torch.float32 in dtypes else min(dtypes, key=str)
    with quiet():
        for sample in smallest_first(op, dtype):
            theirs = bound(unseeded(op.op), [sample.input, *sample.args], sample.kwargs)
            try:
                theirs()
                args = [to_flambeau(a, rebind, copy=True) for a in (sample.input, *sample.args)]
                ours = bound(rebind(unseeded(op.op), op.name), args, to_flambeau(sample.kwargs, rebind))
                ours()
            except Exception:
                continue
            return by_turns(title(op), ours, theirs, batches)
    return None


def smallest_first(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    """The small sample inputs that are not empty."""
    samples = []
    with contextlib.suppress(Exception):
        samples = list(op.sample_inputs("cpu", dtype))

    def size(sample: Any) -> int:
        leaves = flat([sample.input, *sample.args, *sample.kwargs.values()])
        return sum(t.numel() for t in leaves if isinstance(t, torch.Tensor))

    return iter(sorted((s for s in samples if 0 < size(s) <= SMALL), key=size))


def bound(call: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Callable[[], Any]:
    """The call without arguments, as a statement of a program would make it."""
    names = {"call": call, **{f"a{i}": a for i, a in enumerate(args)}, **{f"k_{k}": v for k, v in kwargs.items()}}
    listed = [*(f"a{i}" for i in range(len(args))), *(f"{k}=k_{k}" for k in kwargs)]
    return eval(f"lambda: call({', '.join(listed)})", names)


def by_turns(
    name: str, ours: Callable[[], Any], theirs: Callable[[], Any], batches: int
) -> tuple[float, str, float, float]:
    """The quickest batch of each, taken by turns."""
    best = [float("inf")] * 2
    counts = [repeats(call) for call in (ours, theirs)]
    for _ in range(batches):
        for k, call in enumerate((ours, theirs)):
            best[k] = min(best[k], timed(call, counts[k]) / counts[k])
    return best[0] / best[1], name, best[0], best[1]


def repeats(call: Callable[[], Any]) -> int:
    """How many calls fill a batch."""
    timed(call, 3)
    return max(1, int(BATCH / (timed(call, 5) / 5)))


def timed(call: Callable[[], Any], count: int) -> float:
    """Seconds for some calls."""
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
