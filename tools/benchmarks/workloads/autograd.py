"""Automatic differentiation: the costs of recording, of a node, and of functions with derivatives in Python."""

from __future__ import annotations

from typing import Any

from ..workload import Code, Library, Workload, expression

GROUP = "autograd"
SMALL = (4, 4)


def chain(library: Library) -> Code:
    """Return the backward pass through 1,000 products, with a retained graph."""
    x = library.normal(*SMALL).requires_grad_()
    y = x
    for _ in range(1000):
        y = y * 1.001
    total = y.sum()
    return Code("total.backward(retain_graph=True)", {"total": total})


def round_trip(library: Library) -> Code:
    """Return the forward and the backward pass of a Function that saves its argument."""

    class Square(library.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (x,) = ctx.saved_tensors
            return gradient * x * 2

    x, ones = library.normal(*SMALL).requires_grad_(), library.fb.ones(*SMALL)
    return Code("square(x).backward(ones)", {"square": Square.apply, "x": x, "ones": ones})


def checkpointed(library: Library) -> Code:
    """Return the forward and the backward pass of a checkpointed function."""
    from_utils = __import__(f"{library.name}.utils.checkpoint", fromlist=["checkpoint"])
    x = library.normal(*SMALL).requires_grad_()
    names = {"checkpoint": from_utils.checkpoint, "f": lambda t: t.sin().exp(), "x": x}
    return Code("checkpoint(f, x, use_reentrant=False).sum().backward()", names)


ROWS = (
    Workload(GROUP, "a * b, recorded", expression("a * b", a=SMALL, b=SMALL, requires_grad="a b"), at_most=0.35),
    Workload(GROUP, "backward of 1,000 products", chain, at_most=0.25),
    Workload(GROUP, "Function, there and back", round_trip, at_most=0.4),
    Workload(GROUP, "checkpoint, there and back", checkpointed),
    Workload(
        GROUP, "x.unbind(), backward", expression("sum(x.unbind()).sum().backward()", x=(64, 16), requires_grad="x")
    ),
)
