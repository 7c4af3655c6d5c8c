"""Names of ``torch._dynamo``, PyTorch's private compiler; flambeau does not compile."""

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
    """Type of compiled modules in PyTorch. flambeau's ``compile`` returns the module, so there are no instances."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("OptimizedModule: flambeau compiles nothing; compile() returns the module itself")


def graph_break(msg: str = "") -> None:
    """Do nothing: there is no graph to break."""


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Do nothing: no graph depends on memory addresses."""


class TransformGetItemToIndex(contextlib.nullcontext[None]):
    """Context in which PyTorch's `vmap` accepts batched ints as indices; flambeau's `vmap` always does."""
