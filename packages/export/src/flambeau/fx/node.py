"""Node of a graph: one step of a program and its inputs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import flambeau
from flambeau._naming import own_module
from flambeau.library._custom_op import CustomOpDef

from ._names import _get_qualified_name, type_repr
from .immutable_collections import immutable_dict, immutable_list

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["Argument", "Node", "Target", "has_side_effect", "map_aggregate", "map_arg"]

Target = Callable[..., Any] | str
Argument = Any  # a node, a constant, or nested tuples, lists, dictionaries and slices of them
base_types = (
    *(str, int, float, bool, complex),
    *(flambeau.dtype, flambeau.Tensor, flambeau.device, flambeau.memory_format, flambeau.layout),
)
LEGAL_OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output")
F = TypeVar("F", bound=Callable[..., Any])

_side_effectful_functions: set[Callable[..., Any]] = {operator.setitem, flambeau._assert}


def has_side_effect(fn: F) -> F:
    """Mark a function so that its calls are kept even if their results are unused.

    >>> @fb.fx.has_side_effect
    ... def log(x):
    ...     print(x)
    >>> graph = fb.fx.Graph()
    >>> call = graph.call_function(log, (graph.placeholder("x"),))
    >>> removed = graph.eliminate_dead_code()
    >>> list(graph.nodes)
    [x, log]
    """
    _side_effectful_functions.add(fn)
    return fn


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """Apply ``fn`` to all leaves of nested tuples, lists, dictionaries and slices.

    Lists and dictionaries become immutable.

    >>> from flambeau.fx.node import map_aggregate
    >>> map_aggregate((1, [2, {"a": 3}]), lambda n: n * 10)
    (10, [20, {'a': 30}])
    """
    kind = type(a)
    if kind is tuple:
        return tuple([map_aggregate(item, fn) for item in a])
    if isinstance(a, tuple):
        items = [map_aggregate(item, fn) for item in a]
        return kind(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, list):
        return immutable_list([map_aggregate(item, fn) for item in a])
    if isinstance(a, dict):
        return immutable_dict([(key, map_aggregate(value, fn)) for key, value in a.items()])
    if kind is slice:
        return slice(map_aggregate(a.start, fn), map_aggregate(a.stop, fn), map_aggregate(a.step, fn))
    return fn(a)


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """Apply ``fn`` to every node in nested tuples, lists, dictionaries and slices.

    >>> graph = fb.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> fb.fx.map_arg([x, (x, 2)], lambda node: node.name.upper())
    ['X', ('X', 2)]
    """
    assert callable(fn), "fx.map_arg(a, fn): fn must be a callable"
    return map_aggregate(a, lambda value: fn(value) if isinstance(value, Node) else value)


def _format_arg(arg: Any) -> str:
    if isinstance(arg, list):
        return f"[{', '.join(map(_format_arg, arg))}]"
    if isinstance(arg, tuple):
        return f"({', '.join(map(_format_arg, arg))}{',' if len(arg) == 1 else ''})"
    if isinstance(arg, dict):
        return f"{{{', '.join(f'{key}: {_format_arg(value)}' for key, value in arg.items())}}}"
    return f"%{arg}" if isinstance(arg, Node) else str(arg)


class Node:
    """Step of a `Graph`. Create it with methods of the graph, such as `Graph.call_function`.

    Args:
        graph: the graph that contains the node.
        name: name of the node's value in the generated code.
        op: ``placeholder`` (an input), ``get_attr`` (a parameter or buffer), ``call_function``, ``call_method``,
            ``call_module`` or ``output``.
        target: the function, the name of the method or of the input, or the path of the module or parameter.
        args, kwargs: arguments of the call; the default value of an input; the result for the output.
        return_type: annotation of the value.
    Raises: ValueError if the target is not valid for ``op``.

    >>> traced = fb.fx.symbolic_trace(lambda x: x.relu() + 1)
    >>> x, relu, add, output = traced.graph.nodes
    >>> relu.op, relu.target, add.args, list(relu.users)
    ('call_method', 'relu', (relu, 1), [add])
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        op: str,
        target: Target,
        args: tuple[Argument, ...],
        kwargs: dict[str, Argument],
        return_type: Any = None,
    ) -> None:
        if callable(target) != (op == "call_function") or not (callable(target) or isinstance(target, str)):
            wanted = "Callable" if op == "call_function" else "str"
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {flambeau.typename(target)} but a "
                f"{wanted} is expected"
            )
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users: dict[Node, None] = {}
        self._args: tuple[Argument, ...] = ()
        self._kwargs: dict[str, Argument] = {}
        self.meta: dict[str, Any] = {}
        self._input_nodes: dict[Node, None] = {}
        self._repr_fn: Callable[[Node], str] | None = None
        self._erased = False
        self._prev = self._next = self
        self._set_arguments(args, kwargs)

    # Linked list of nodes

    @property
    def next(self) -> Node:
        """Next node."""
        return self._next

    @property
    def prev(self) -> Node:
        """Previous node."""
        return self._prev

    def prepend(self, x: Node) -> None:
        """Move ``x``, a node of the same graph, before this node."""
        assert self.graph is x.graph, "Attempting to move a Node into a different Graph"
        if x is self:
            return
        x._remove_from_list()
        before = self._prev
        before._next, x._prev, x._next, self._prev = x, before, self, x
        self.graph._renumber()

    def append(self, x: Node) -> None:
        """Move ``x``, a node of the same graph, after this node."""
        self._next.prepend(x)

    def _remove_from_list(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev

    def __lt__(self, other: Node) -> bool:
        return self.graph._position(self) < other.graph._position(other)

    def __gt__(self, other: Node) -> bool:
        return other < self

    def __le__(self, other: Node) -> bool:
        return self is other or self < other

    def __ge__(self, other: Node) -> bool:
        return other <= self

    # Arguments

    @property
    def args(self) -> tuple[Argument, ...]:
        """Positional arguments. Assignment updates the ``users`` of the nodes in them."""
        return self._args

    @args.setter
    def args(self, args: tuple[Argument, ...]) -> None:
        self._set_arguments(args, self._kwargs)

    @property
    def kwargs(self) -> dict[str, Argument]:
        """Keyword arguments. Assignment updates the ``users`` of the nodes in them."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs: dict[str, Argument]) -> None:
        self._set_arguments(self._args, kwargs)

    def _set_arguments(self, args: tuple[Argument, ...], kwargs: dict[str, Argument]) -> None:
        """Replace the arguments, and update the users of the nodes in them."""
        for node in self._input_nodes:
            node.users.pop(self, None)
        input_nodes: dict[Node, None] = {}

        def collect(value: Any) -> Any:
            if isinstance(value, Node):
                input_nodes[value] = None
            return value

        self._args = map_aggregate(tuple(args), collect)
        self._kwargs = map_aggregate(dict(kwargs), collect)
        self._input_nodes = input_nodes
        for node in input_nodes:
            node.users[self] = None

    @property
    def all_input_nodes(self) -> list[Node]:
        """Nodes in ``args`` and ``kwargs`` without duplicates, in order."""
        return list(self._input_nodes)

    def update_arg(self, idx: int, arg: Argument) -> None:
        """Replace a positional argument."""
        args = list(self._args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx: int, arg: Argument) -> None:
        """Insert a positional argument at index ``idx``."""
        assert 0 <= idx <= len(self._args), f"insert_args index must be between 0 and len(self.args), got {idx}"
        self.args = (*self._args[:idx], arg, *self._args[idx:])

    def update_kwarg(self, key: str, arg: Argument) -> None:
        """Replace or add a keyword argument."""
        self.kwargs = {**self._kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Replace ``old_input`` with ``new_input`` in all arguments."""

        def other(node: Node) -> Node:
            return new_input if node is old_input else node

        self._set_arguments(map_arg(self._args, other), map_arg(self._kwargs, other))

    _replace_input_with = replace_input_with

    def replace_all_uses_with(
        self,
        replace_with: Node,
        delete_user_cb: Callable[[Node], bool] | None = None,
        *,
        propagate_meta: bool = False,
    ) -> list[Node]:
        """Replace this node with ``replace_with`` in the arguments of its users. Return the changed users.

        Args:
            delete_user_cb: if given, change only the users for which this function returns True.
            propagate_meta: if True, copy ``meta`` to ``replace_with``, whose ``meta`` must be empty.
        """
        if propagate_meta:
            assert not replace_with.meta, (
                "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but replace_with already has "
                ".meta keys"
            )
            replace_with.meta.update(self.meta)
        users = [user for user in list(self.users) if delete_user_cb is None or delete_user_cb(user)]
        for user in users:
            user.replace_input_with(self, replace_with)
        return users

    # Properties

    @property
    def stack_trace(self) -> str | None:
        """Stack trace of the node if the tracer has ``record_stack_traces`` set, else None."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace: str | None) -> None:
        self.meta["stack_trace"] = trace

    def is_impure(self, impure_random: bool = True) -> bool:
        """Return True if the node has side effects and must be kept even if it is unused."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            return self.target in _side_effectful_functions or _writes(self.target, self._kwargs, impure_random)
        if self.op == "call_method":
            return _in_place(str(self.target))
        if self.op == "call_module":
            owner = self.graph.owning_module
            assert owner is not None, "self.graph.owning_module not set for purity check"
            return bool(getattr(owner.get_submodule(str(self.target)), "_is_impure", False))
        return False

    def __repr__(self) -> str:
        return self._repr_fn(self) if self._repr_fn else self.name

    @staticmethod
    def _pretty_print_target(target: Any) -> str:
        if isinstance(target, str):
            return target
        module = getattr(target, "__module__", None)
        if module in ("builtins", "_operator"):
            return f"{module.lstrip('_')}.{target.__name__}"
        return _get_qualified_name(target)

    def format_node(
        self,
        placeholder_names: list[str] | None = None,
        maybe_return_typename: list[str] | None = None,
        *,
        include_tensor_metadata: bool = False,
    ) -> str | None:
        """Return the node as text: ``%add : [num_users=1] = call_function[target=operator.add](args = ...)``."""
        kind = f"{type_repr(self.type)} " if self.type is not None else ""
        if self.op == "placeholder":
            if placeholder_names:
                placeholder_names.append(str(self.target))
                return None
            default = f"(default={self._args[0]})" if self._args else ""
            return f"%{self.name} : {kind}[num_users={len(self.users)}] = {self.op}[target={self.target}]{default}"
        if self.op == "output":
            if self.type and maybe_return_typename:
                maybe_return_typename[0] = f" -> {type_repr(self.type)}"
            return f"return {self._args[0]}"
        about = f"[num_users={len(self.users)}] = {self.op}[target={self._pretty_print_target(self.target)}]"
        if self.op == "get_attr":
            return f"%{self.name} : {kind}{about}"
        known: Any = self.meta.get("val", self.meta.get("tensor_meta"))
        if include_tensor_metadata and hasattr(known, "dtype"):
            kind = f'Tensor "{known.dtype}{list(known.shape)}" '
        return f"%{self.name} : {kind}{about}(args = {_format_arg(self._args)}, kwargs = {_format_arg(self._kwargs)})"

    def _rename(self, candidate: str) -> None:
        if candidate != self.name:
            self.name = self.graph._graph_namespace.create_name(candidate, None)
            self.graph._graph_namespace.rename(self, self.name)


_RANDOM = frozenset({"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal"})
_RANDOM |= {"bernoulli", "multinomial", "poisson"}


def _in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def _writes(target: Any, kwargs: Iterable[str], impure_random: bool) -> bool:
    """Return True if a function of flambeau writes to arguments or, with ``impure_random``, draws random numbers."""
    if isinstance(target, CustomOpDef):
        return bool(target._mutated)
    name = getattr(target, "__name__", "")
    if not own_module(target).startswith("flambeau"):
        return False
    return _in_place(name) or "out" in kwargs or (impure_random and name in _RANDOM)
