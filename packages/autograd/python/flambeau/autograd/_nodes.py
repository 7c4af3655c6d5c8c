"""Python interface of graph nodes: hooks, saved tensors, edges."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import Node
from flambeau.autograd._handle import RemovableHandle


class GradientEdge(NamedTuple):
    """The target of a tensor's gradient: output ``output_nr`` of ``node``. It can replace the tensor in `backward`."""

    node: Node
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Return the gradient edge of a tensor that requires grad. For a leaf, the node is its AccumulateGrad node.

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
    """Increment the version counter of one or several tensors, after an in-place change by other code."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        _engine.bump_version(t)


def _register_hook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Call ``fn(grad_inputs, grad_outputs)`` after the node ran. A tuple that it returns replaces ``grad_inputs``."""
    return RemovableHandle(_engine.register_node_hook(self, fn))


def _register_prehook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Call ``fn(grad_outputs)`` before the node runs. If it returns a tuple, this replaces ``grad_outputs``."""
    return RemovableHandle(_engine.register_node_prehook(self, fn))


# Maps the names in _saved_<name> attributes to positions of an operator's inputs.
_INPUTS = {"self": 0, "input": 0, "other": 1, "exponent": 1, "mat2": 1, "weight": 1}


def _getattr(self: Node, name: str) -> Any:
    """Return ``_saved_result``, ``_saved_self`` or ``_saved_other``, or an attribute of a Function's context."""
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
    """Return the saved tensors in the order in which the derivative uses them. Raise RuntimeError if freed."""
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
