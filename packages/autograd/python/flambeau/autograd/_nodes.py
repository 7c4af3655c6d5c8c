"""Python interface of graph nodes: hooks, saved tensors, edges."""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import Node
from flambeau.autograd._handle import RemovableHandle


class GradientEdge(NamedTuple):
    """The edge of the graph along which a tensor receives its gradient: output ``output_nr`` of ``node``.

    `backward` and `grad` accept an edge instead of the tensor.

    >>> x = fb.tensor(3.0, requires_grad=True)
    >>> edge = fb.autograd.graph.get_gradient_edge(x * x)
    >>> edge.node.name(), edge.output_nr
    ('MulBackward0', 0)
    """

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


def raise_in_backward(leaf: Tensor, message: str) -> Node:
    """Make the AccumulateGrad node of ``leaf`` raise RuntimeError when it runs, and return the node."""

    def fail(_: Any) -> None:
        raise RuntimeError(message)

    node = get_gradient_edge(leaf).node
    node.register_prehook(fail)
    return node


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Increment the version counter of one or several tensors, after a change that autograd did not see.

    >>> x = fb.tensor(3.0, requires_grad=True)
    >>> factor = fb.tensor(2.0)
    >>> y = x * factor
    >>> factor.numpy()[...] = 5.0  # autograd does not see this change
    >>> fb.autograd.graph.increment_version(factor)
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation...
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        _engine.bump_version(t)


def _register_hook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Call ``fn(grad_inputs, grad_outputs)`` after the node has run. A returned tuple replaces ``grad_inputs``."""
    return RemovableHandle(_engine.register_node_hook(self, fn))


def _register_prehook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Call ``fn(grad_outputs)`` before the node runs. A returned tuple replaces ``grad_outputs``."""
    return RemovableHandle(_engine.register_node_prehook(self, fn))


# Position of an argument among the tensor arguments, for operators without a schema.
_POSITIONS = {"self": 0, "input": 0, "other": 1, "exponent": 1, "mat2": 1, "weight": 1}


@functools.cache
def _schema_names() -> dict[str, str]:
    """Return the names of operators with schemas. The keys are the names without underscores, as in node names."""
    from flambeau.library import _aten_schemas

    return {name.replace("_", ""): name for name in _aten_schemas.names() if not name.endswith("_")}


@functools.cache
def _argument_and_result(node: str, count: int, part: str) -> tuple[int, int]:
    """Return the positions of ``part`` among the ``count`` tensor arguments and among the results of an operator.

    ``part`` is a name in PyTorch's schema, such as ``self`` or ``result``. A position is -1 if the name is not found.
    """
    from flambeau.library import _aten_schemas

    if part.startswith("result"):
        return -1, int(part.removeprefix("result") or 0) if part[
            len("result") :
        ].isdecimal() or part == "result" else -1
    operator = _schema_names().get(re.sub(r"Backward\d$", "", node).lower(), "")
    for schema in _aten_schemas.schemas_of(operator).values():
        tensors = [each.name for each in schema.arguments if each.base_type == "Tensor" and not each.is_out]
        results = [each.name for each in schema.returns]
        if part in results and not schema.is_mutable:
            return -1, results.index(part)
        if part in tensors and len(tensors) == count:
            return tensors.index(part), -1
    position = _POSITIONS.get(part, -1)
    return (position if position < count else -1), -1


def _saved_position(node: Node, part: str) -> int | None:
    """Return the position of an argument or result among the saved tensors, or None if it was not saved."""
    argument, result = _argument_and_result(node.name(), len(node.next_functions), part)
    for position, (saved_argument, saved_result) in enumerate(node._sources_of_saved):
        if saved_argument == argument >= 0 or saved_result == result >= 0:
            return position
    return None


def _getattr(self: Node, name: str) -> Any:
    """Return an attribute of a Function's context, or a tensor that the operator saved.

    ``_saved_self`` is the operator's argument that PyTorch's schema calls ``self``. ``_saved_result`` is the operator's
    result. ``_raw_saved_self`` is the `SavedTensor`.
    """
    context = None if name.startswith("__") else self._function_context
    if context is not None:
        return getattr(context, name)
    part = name.removeprefix("_raw").removeprefix("_saved_")
    if name in (f"_saved_{part}", f"_raw_saved_{part}") and (position := _saved_position(self, part)) is not None:
        return self._reference_to_saved(position) if name.startswith("_raw") else self._unpack_saved(position)
    raise AttributeError(f"{self.name()} has no attribute {name!r}")


def _saved_tensors(self: Node) -> tuple[Tensor | None, ...]:
    """Return the saved tensors in the order in which the derivative uses them.

    Operators save only the tensors that the requested gradients need. For a Function, the tuple also contains the
    arguments of ``save_for_backward`` that are None.

    Raises: RuntimeError if the saved tensors were freed.
    """
    if self._function_context is not None:
        saved: tuple[Tensor | None, ...] = self._function_context.saved_tensors
        return saved
    unpacked = (self._unpack_saved(position) for position in range(len(self._sources_of_saved)))
    return tuple(tensor for tensor in unpacked if tensor is not None)


for _name, _member in (
    ("register_hook", _register_hook),
    ("register_prehook", _register_prehook),
    ("__getattr__", _getattr),
    ("saved_tensors", property(_saved_tensors)),
):
    setattr(Node, _name, _member)
