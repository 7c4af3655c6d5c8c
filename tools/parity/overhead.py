"""``python -m tools.parity.overhead``: measure the time of a small call of every operator, as a ratio to PyTorch.

Each variant is called with its smallest sample input, or with a smaller input if that would compute hundreds of
results. The calls alternate between the libraries. The result is the time of the fastest batch, minus the time of an
empty loop.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import timeit
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import UnaryUfuncInfo
from tqdm import tqdm

from tools.parity.bridge import flat, to_flambeau
from tools.parity.cell import quiet
from tools.parity.rebind import rebind
from tools.parity.scope import reason_to_skip, title

BATCH = 2e-3  # seconds
SMALL = 4096  # largest number of elements in a sample's tensors
FEW = 16  # number of elements for an elementwise operator; with hundreds, the computation would dominate
# The shapes of the tensors for other operators whose smallest sample is too large.
SMALLER = {"grid_sampler_2d": ((1, 2, 3, 3), (1, 2, 2, 2))}


def main() -> None:
    """Print a line for each variant, slowest first, and the median."""
    parser = argparse.ArgumentParser(prog="overhead", description=__doc__)
    parser.add_argument("-k", default="", metavar="REGEX", help="measure only variants whose name matches")
    parser.add_argument("--batches", type=int, default=9, help="batches of each library")
    options = parser.parse_args()
    torch.set_num_threads(1)  # PyTorch is fastest with one thread for small calls
    chosen = [op for op in op_db if re.search(options.k, title(op)) and not reason_to_skip(op)]
    rows = [row for op in tqdm(chosen, disable=None, leave=False) if (row := measured(op, options.batches))]
    for ratio, name, ours, theirs in sorted(rows, reverse=True):
        print(f"{ratio:6.2f}  {name:44} {ours * 1e6:8.3f} us  PyTorch {theirs * 1e6:8.2f} us")
    ratios = [row[0] for row in rows]
    if ratios:
        above = sum(r > 0.35 for r in ratios)
        print(f"median {statistics.median(ratios):.3f}; {above} of {len(ratios)} above 0.35")


def measured(op: Any, batches: int) -> tuple[float, str, float, float] | None:
    """Return the ratio, the name and both times in seconds, or None if the call fails in one library."""
    dtypes = op.supported_dtypes("cpu")
    if not dtypes:
        return None
    dtype = torch.float32 if torch.float32 in dtypes else min(dtypes, key=str)
    with quiet():
        for sample in smallest_first(op, dtype):
            try:
                call, args, kwargs = without_seed(op.op, sample)
                theirs = statement(call, op.name, args, kwargs)
                theirs.timeit(1)
                ours_args = [to_flambeau(a, rebind, copy=True) for a in args]
                ours = statement(rebind(call, op.name), op.name, ours_args, to_flambeau(kwargs, rebind))
                ours.timeit(1)
            except Exception:
                continue
            return time_alternately(title(op), ours, theirs, batches)
    return None


def without_seed(function: Any, sample: Any) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return the function and the arguments that a function of PyTorch's table ``op_db`` calls after seeding.

    If ``function`` does not seed PyTorch's generator, return it with the arguments of the sample.
    """
    args = [sample.input, *sample.args]
    code = getattr(function, "__code__", None)
    if code is None or "wrapper_set_seed" not in code.co_names:
        return function, args, sample.kwargs
    namespace = {**function.__globals__, "wrapper_set_seed": lambda call, *args, **kwargs: (call, [*args], kwargs)}
    return types.FunctionType(code, namespace, "", function.__defaults__, function.__closure__)(*args, **sample.kwargs)


def smallest_first(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    """Yield the small, non-empty sample inputs, the smallest first."""
    samples = []
    with contextlib.suppress(Exception):
        samples = list(op.sample_inputs("cpu", dtype))
    for sample in samples:
        if isinstance(op, UnaryUfuncInfo):
            sample.input = sample.input.flatten()[:FEW].clone()
        elif shapes := SMALLER.get(op.name):
            tensors = [torch.rand(shape, dtype=dtype) for shape in shapes]
            sample.input, sample.args = tensors[0], (*tensors[1:], *sample.args[len(tensors) - 1 :])

    def size(sample: Any) -> int:
        leaves = flat([sample.input, *sample.args, *sample.kwargs.values()])
        return sum(t.numel() for t in leaves if isinstance(t, torch.Tensor))

    return iter(sorted((s for s in samples if 0 < size(s) <= SMALL), key=size))


def statement(call: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> timeit.Timer:
    """Return the call as a program would write it. If ``call`` is a lambda that calls a method, use the method."""
    names = {"call": call, **{f"a{i}": a for i, a in enumerate(args)}, **{f"k_{k}": v for k, v in kwargs.items()}}
    listed = [*(f"a{i}" for i in range(len(args))), *(f"{k}=k_{k}" for k in kwargs)]
    only_method = getattr(getattr(call, "__code__", None), "co_names", None) == (name,)
    text = f"a0.{name}({', '.join(listed[1:])})" if only_method else f"call({', '.join(listed)})"
    return timeit.Timer(text, globals=names)


def time_alternately(
    name: str, ours: timeit.Timer, theirs: timeit.Timer, batches: int
) -> tuple[float, str, float, float]:
    """Time both libraries in alternation. Return the ratio, the name and the times of the fastest batches per call.

    The time of an empty loop is subtracted.
    """
    timers = (ours, theirs, timeit.Timer())
    best = [float("inf")] * 3
    counts = [repeats(timer) for timer in timers]
    for _ in range(batches):
        for k, timer in enumerate(timers):
            best[k] = min(best[k], timer.timeit(counts[k]) / counts[k])
    ours_alone, theirs_alone = best[0] - best[2], best[1] - best[2]
    return ours_alone / theirs_alone, name, ours_alone, theirs_alone


def repeats(timer: timeit.Timer) -> int:
    """Return the number of calls in a batch."""
    timer.timeit(3)
    return max(1, int(BATCH / (timer.timeit(5) / 5)))


if __name__ == "__main__":
    main()
