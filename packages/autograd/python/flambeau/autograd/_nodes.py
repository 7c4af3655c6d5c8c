"""Nodes of the graph, seen from Python: hooks, what they saved, edges."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import Node
from flambeau.autograd._handle import RemovableHandle


class GradientEdge(NamedTuple):
    """Where a tensor's gradient goes: output ``output_nr`` of ``node``. It stands for the tensor in a run."""

    node: Node
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge of a tensor that requires grad; a leaf's leads to its AccumulateGrad node.

    >>> import flambeau
    >>> x = flambeau.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> edge = flambeau.autograd.graph.get_gradient_edge(y)
    >>> flambeau.autograd.grad(edge, x, flambeau.tensor(1.0))
    (tensor(6.),)
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"get_gradient_edge expects a Tensor, got {type(tensor).__name__}")
    return GradientEdge(*_engine.gradient_edge(tensor))


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Counts an in-place change that was made behind the library's back, of one tensor or several."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        _engine.bump_version(t)


def _register_hook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_inputs, grad_outputs)`` after the node has run; a tuple it returns replaces ``grad_inputs``."""
    return RemovableHandle(_engine.register_node_hook(self, fn))


def _register_prehook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_outputs)`` before the node runs; a tuple it returns replaces ``grad_outputs``."""
    return RemovableHandle(_engine.register_node_prehook(self, fn))


# What _saved_<name> calls the inputs of an operator.
_INPUTS = {"self": 0, "input": 0, "other": 1, "exponent": 1, "mat2": 1, "weight": 1}


def _getattr(self: Node, name: str) -> Any:
    """``_saved_result``, ``_saved_self`` and ``_saved_other``; of a Function's node, its context's attributes."""
    context = None if name.startswith("__") else self._function_context
    if context is not None:
        return getattr(context, name)
    wanted = name.removeprefix("_saved_")
    if wanted != name:
        for position, output, tensor in self._parts_saved:
            if (wanted == "result" and output == 0) or (position >= 0 and _INPUTS.get(wanted) == position):
                return tensor
    raise AttributeError(f"{self.name()} has no attribute {name!r}")


def _saved_tensors(self: Node) -> tuple[Tensor | None, ...]:
    """What the node saved for its derivative, in the order it reads them. RuntimeError once that was freed."""
    if self._function_context is not None:
        saved: tuple[Tensor | None, ...] = self._function_context.saved_tensors
        return saved
    return tuple(tensor for _, _, tensor in self._parts_saved)


for _name, _member in (
    ("register_hook", _register_hook),
    ("register_prehook", _register_prehook),
    ("__getattr__", _getattr),
    ("saved_tensors", property(_saved_tensors)),
):
    setattr(Node, _name, _member)
