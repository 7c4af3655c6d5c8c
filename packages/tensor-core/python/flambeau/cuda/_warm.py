"""Compile commonly used GPU kernels in advance and store them in the kernel cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import flambeau
from flambeau import _core

FLOATING = (flambeau.float32, flambeau.float16, flambeau.bfloat16)
INTEGERS = (flambeau.int64, flambeau.bool)

UNARY = (
    *("neg", "abs", "exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "sign", "sin", "cos", "tanh", "sigmoid"),
    *("erf", "relu", "isnan", "isfinite", "floor", "clone"),
)
ARITHMETIC = ("add", "sub", "mul", "div", "pow")
OF_TENSORS = ("maximum", "minimum")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCTIONS = ("sum", "mean", "amax", "amin", "prod", "var", "std", "argmax", "logsumexp", "softmax", "log_softmax")
REDUCTIONS_OF_INTEGERS = ("sum", "amax", "amin", "argmax", "all", "any", "cumsum", "sort")
ENTRY_POINTS = "flambeau.gpu_work"  # group of functions of other packages that have the interface of `operators`


def warm() -> None:
    """Run common operators on small tensors of common dtypes, and print a progress line."""
    work = list(everything())
    folder = Path(_core._cuda_cache_folder())
    before = _kernels(folder)
    failed = []
    for count, (name, function) in enumerate(work, 1):
        print(f"\r[{count:{len(str(len(work)))}}/{len(work)}] {name:40.40}", end="", flush=True, file=sys.stderr)
        try:
            function()
        except Exception as error:
            failed.append(f"{name}: {str(error).partition(chr(10))[0]}")
    flambeau.cuda.synchronize()
    print(file=sys.stderr)
    print(f"compiled {_kernels(folder) - before} modules; {_kernels(folder)} are in {folder}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)


def _kernels(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.cubin"))


def everything() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of each operator call and a function that runs it."""
    for dtype in (*FLOATING, *INTEGERS):
        kind = str(dtype).rpartition(".")[2]
        for name, function in operators(dtype):
            yield f"{kind} {name}", function
    for entry in entry_points(group=ENTRY_POINTS):
        work = entry.load()
        for dtype in FLOATING:
            for name, function in work(dtype):
                yield f"{str(dtype).rpartition('.')[2]} {name}", function


def _call(name: str, *arguments: Any) -> Any:
    return getattr(flambeau, name)(*arguments)


def operators(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield names and functions that run common operators on tensors of one dtype."""
    floating = dtype.is_floating_point
    x = flambeau.ones(8, 12, device="cuda").to(dtype)
    index = flambeau.arange(4, device="cuda")
    for name in UNARY if floating else ():
        yield name, partial(_call, name, x)
    with_numbers = (*(ARITHMETIC if dtype is not flambeau.bool else ()), *COMPARISONS)
    for name in with_numbers:
        yield f"{name} of a number", partial(_call, name, x, 2)
    for name in (*with_numbers, *OF_TENSORS):
        yield name, partial(_call, name, x, x)
        yield f"{name} of rows", partial(_call, name, x.t(), x[:, :1].t())
    for name in REDUCTIONS if floating else REDUCTIONS_OF_INTEGERS:
        yield name, partial(_call, name, x, 1)
        yield f"{name} of columns", partial(_call, name, x, 0)
    yield "sum of all", lambda: (x.sum(), x.any(), x.all())
    for target in (*FLOATING, *INTEGERS):
        yield f"to {target}", partial(x.to, target)
    yield "copies", lambda: (x.t().contiguous(), flambeau.cat([x, x]), flambeau.stack([x, x], 1), x.repeat(2, 1))
    yield "indexing", lambda: (x[index], x.index_select(1, index), x.gather(0, index.expand(4, 4)), x[x > 0])
    yield "where", lambda: (flambeau.where(x > 0, x, x), x.masked_fill(x > 0, 0), x.clamp(0, 1), x.tril())
    if floating:
        yield "random numbers", lambda: (flambeau.rand_like(x), flambeau.randn_like(x), x.bernoulli())
        yield "products", lambda: (x @ x.t(), x.t() @ x, flambeau.bmm(x[None], x.t()[None]), x @ x[0])
