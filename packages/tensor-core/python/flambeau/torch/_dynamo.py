"""What programs use of ``torch._dynamo``, PyTorch's private compiler: flambeau compiles nothing."""

from types import SimpleNamespace
from typing import Any

from flambeau.compiler import allow_in_graph, disable, is_compiling, reset

__all__ = ["OptimizedModule", "allow_in_graph", "config", "disable", "graph_break", "is_compiling", "reset"]

# What a program sets here changes nothing.
config = SimpleNamespace()


class OptimizedModule:
    """What PyTorch's ``compile`` makes of a module. Flambeau's returns the module itself, so that nothing is one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("OptimizedModule: flambeau compiles nothing; compile() returns the module itself")


def graph_break(msg: str = "") -> None:
    """Nothing: there is no graph to be cut."""
