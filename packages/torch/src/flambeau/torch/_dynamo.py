"""What programs use of ``torch._dynamo``, PyTorch's private compiler: flambeau compiles nothing."""

import contextlib
from typing import Any

from flambeau.compiler import allow_in_graph, assume_constant_result, disable, is_compiling, reset

__all__ = [
    "OptimizedModule",
    "TransformGetItemToIndex",
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "graph_break",
    "is_compiling",
    "mark_static_address",
    "reset",
]


class OptimizedModule:
    """What PyTorch's ``compile`` makes of a module. Flambeau's returns the module itself, so that nothing is one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("OptimizedModule: flambeau compiles nothing; compile() returns the module itself")


def graph_break(msg: str = "") -> None:
    """Nothing: there is no graph to be cut."""


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Nothing: no graph depends on where a tensor's memory is."""


class TransformGetItemToIndex(contextlib.nullcontext[None]):
    """Within it, PyTorch's `vmap` takes mapped numbers as indices; flambeau's always does."""
