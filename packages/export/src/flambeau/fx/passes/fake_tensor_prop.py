"""Propagation of shapes and dtypes through a graph with tensors without elements."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor
from flambeau._subclasses.fake_tensor import FakeTensorMode
from flambeau.utils import _pytree

from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..node import Node

__all__ = ["FakeTensorProp"]


class FakeTensorProp(Interpreter):
    """Interpreter that runs a graph on fake tensors and stores the results of nodes as ``meta["val"]``.

    Args:
        module: the graph module.
        mode: the mode of the fake tensors. The default is a new mode that also accepts the module's parameters.

    >>> from flambeau import fx
    >>> from flambeau.fx.passes.fake_tensor_prop import FakeTensorProp
    >>> traced = fx.symbolic_trace(lambda x: fb.cat([x, x]).sum(1))
    >>> result = FakeTensorProp(traced).propagate(fb.ones(2, 3))
    >>> [(node.name, tuple(node.meta["val"].shape)) for node in traced.graph.nodes]
    [('x', (2, 3)), ('cat', (4, 3)), ('sum_1', (4,)), ('output', (4,))]
    """

    def __init__(self, module: GraphModule, mode: FakeTensorMode | None = None) -> None:
        super().__init__(module)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True) if mode is None else mode

    def run_node(self, n: Node) -> Any:
        """Run a node and store its result if it holds tensors."""
        result = super().run_node(n)
        if any(isinstance(leaf, Tensor) for leaf in _pytree.tree_leaves(result)):
            n.meta["val"] = result
        return result

    def propagate(self, *args: Any) -> Any:
        """Convert the tensors in ``args`` to fake tensors, run the graph on them, and return its result."""
        fake = [self._mode.from_tensor(each) if isinstance(each, Tensor) else each for each in args]
        return self.propagate_dont_convert_inputs(*fake)

    def propagate_dont_convert_inputs(self, *args: Any) -> Any:
        """Run the graph on fake tensors of the mode, and return its result."""
        with self._mode:
            return self.run(*args)
