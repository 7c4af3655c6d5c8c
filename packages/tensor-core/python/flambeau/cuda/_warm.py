"""Compiles the kernels that programs commonly use, by using them: what is compiled once stays in the cache."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import flambeau
from flambeau import Tensor, _core

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
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "leaky_relu", "softplus", "mish")


def warm() -> None:
    """Runs common operators on small tensors of common dtypes, with a line that says how far it is."""
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
    print(f"compiled {_kernels(folder) - before} units; {_kernels(folder)} are in {folder}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)


def _kernels(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.cubin"))


def everything() -> Iterator[tuple[str, Callable[[], Any]]]:
    """The names of what is done, and what does it."""
    for dtype in (*FLOATING, *INTEGERS):
        kind = str(dtype).removeprefix("flambeau.")
        for name, function in operators(dtype):
            yield f"{kind} {name}", function
    if importlib.util.find_spec("flambeau.nn") is not None:
        for dtype in FLOATING:
            for name, function in layers(dtype):
                yield f"{str(dtype).removeprefix('flambeau.')} {name}, with its gradient", function


def _call(name: str, *arguments: Any) -> Any:
    return getattr(flambeau, name)(*arguments)


def operators(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Operators of one dtype."""
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


def layers(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Layers and losses of one dtype, forward and backward, and a step of an optimizer."""
    from flambeau import nn

    functional = nn.functional
    target = flambeau.zeros(8, dtype=flambeau.int64, device="cuda")

    def trained(layer: Any, *shape: int) -> None:
        layer = layer.to("cuda", dtype)
        x = flambeau.ones(*shape, device="cuda").to(dtype).requires_grad_()
        layer(x).float().square().mean().backward()

    def differentiated(function: Callable[[Tensor], Tensor]) -> None:
        x = flambeau.ones(8, 12, device="cuda").to(dtype).requires_grad_()
        function(x).float().sum().backward()

    yield "linear", lambda: trained(nn.Linear(12, 12), 8, 12)
    yield "convolution", lambda: trained(nn.Conv2d(3, 4, 3, padding=1), 2, 3, 8, 8)
    yield "batch norm", lambda: trained(nn.BatchNorm2d(3), 2, 3, 8, 8)
    yield "layer norm", lambda: trained(nn.LayerNorm(12), 8, 12)
    yield "max pool", lambda: trained(nn.MaxPool2d(2), 2, 3, 8, 8)
    yield "average pool", lambda: trained(nn.AdaptiveAvgPool2d(1), 2, 3, 8, 8)
    yield "dropout", lambda: differentiated(functional.dropout)
    for name in ACTIVATIONS:
        yield name, partial(differentiated, getattr(functional, name))
    yield (
        "attention",
        lambda: differentiated(lambda x: functional.scaled_dot_product_attention(*(x.view(1, 2, 4, 12),) * 3)),
    )
    yield "embedding", lambda: nn.Embedding(5, 12).to("cuda", dtype)(target).float().sum().backward()
    yield "cross entropy", lambda: differentiated(lambda x: functional.cross_entropy(x, target))
    yield "mean squared error", lambda: differentiated(lambda x: functional.mse_loss(x, x.detach()))
    if importlib.util.find_spec("flambeau.optim") is not None:
        yield "optimizers", lambda: _optimized(dtype)


def _optimized(dtype: Any) -> None:
    from flambeau import nn, optim

    for kind in (optim.SGD, optim.Adam, optim.AdamW):
        layer = nn.Linear(12, 12).to("cuda", dtype)
        optimizer = kind(layer.parameters(), lr=1e-3)
        layer(flambeau.ones(8, 12, device="cuda").to(dtype)).float().sum().backward()
        optimizer.step()
