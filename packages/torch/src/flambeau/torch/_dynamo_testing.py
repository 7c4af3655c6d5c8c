"""Module ``torch._dynamo.testing``: backends of `flambeau.compile` that record how often it compiles a function."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor, compile
from flambeau.fx import GraphModule

__all__ = ["CompileCounter", "CompileCounterWithBackend", "EagerAndRecordGraphs"]


class CompileCounter:
    """Backend that runs graphs unchanged, and counts them in ``frame_count`` and their calls in ``op_count``.

    >>> import flambeau as fb
    >>> counter = CompileCounter()
    >>> double = fb.compile(lambda x: x.sin() * 2, backend=counter)
    >>> _ = double(fb.ones(3)), double(fb.zeros(3))
    >>> counter.frame_count, counter.op_count
    (1, 2)
    """

    def __init__(self) -> None:
        self.clear()

    def __call__(self, gm: GraphModule, example_inputs: list[Tensor]) -> Callable[..., Any]:
        self._count(gm)
        forward: Callable[..., Any] = gm.forward
        return forward

    def _count(self, gm: GraphModule) -> None:
        self.frame_count += 1
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)

    def clear(self) -> None:
        """Set the counts to 0."""
        self.frame_count = self.op_count = 0


class CompileCounterWithBackend(CompileCounter):
    """Backend that counts like `CompileCounter`, records the graphs in ``graphs``, and compiles them.

    Args:
        backend: the backend that compiles the graphs, see `flambeau.compile`.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        super().__init__()

    def __call__(self, gm: GraphModule, example_inputs: list[Tensor]) -> Callable[..., Any]:
        self._count(gm)
        self.graphs.append(gm)
        compiled: Callable[..., Any] = compile(gm, backend=self.backend)
        return compiled

    def clear(self) -> None:
        """Set the counts to 0, and delete the recorded graphs."""
        super().clear()
        self.graphs: list[GraphModule] = []


class EagerAndRecordGraphs:
    """Backend that records the graphs in ``graphs`` and runs them unchanged."""

    def __init__(self) -> None:
        self.graphs: list[GraphModule] = []

    def __call__(self, gm: GraphModule, example_inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs.append(gm)
        forward: Callable[..., Any] = gm.forward
        return forward
