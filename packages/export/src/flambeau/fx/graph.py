"""Graph of a program: a list of nodes in execution order."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau.nn import Module

from ._codegen import CodeGen, PythonCode, TransformCode
from ._names import Namespace, snake_case
from ._table import table
from .node import LEGAL_OPS, Argument, Node, Target, map_arg

if TYPE_CHECKING:
    from .graph_module import GraphModule

__all__ = ["CodeGen", "Graph", "PythonCode"]

STILL_USED = "Tried to erase Node {node} but it still had {count} users in the graph: {users}!"
FOREIGN_ARGUMENT = """\
Argument '{arg}' of Node '{node}' does not belong to this Graph, but was used as an argument! If you are copying nodes \
from another graph, make sure to use ``arg_transform`` on node_copy() to remap values
{graph}"""
USED_TOO_EARLY = """\
Argument '{arg}' of Node '{node}' was used before it has been defined! Please check that Nodes in the graph are \
topologically ordered
{graph}"""


class _Nodes:
    """View of the nodes of a graph in order. Nodes may be erased, moved and inserted during iteration."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __len__(self) -> int:
        return self.graph._len

    def __iter__(self) -> Iterator[Node]:
        node = self.graph._root._next
        while node is not self.graph._root:
            if not node._erased:
                yield node
            node = node._next

    def __reversed__(self) -> Iterator[Node]:
        node = self.graph._root._prev
        while node is not self.graph._root:
            if not node._erased:
                yield node
            node = node._prev


class Graph:
    """Graph of a program; each step is a `Node`.

    Args:
        owning_module: the module that has this graph as its ``forward``.
        tracer_cls: class of the tracer that traces the code of a module again when the module is unpickled.

    >>> from flambeau import fx
    >>> graph = fx.Graph()
    >>> x = graph.placeholder("x")
    >>> output = graph.output(graph.call_function(fb.relu, (x,)))
    >>> print(graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %relu : [num_users=1] = call_function[target=flambeau.relu](args = (%x,), kwargs = {})
        return relu
    """

    def __init__(
        self,
        owning_module: GraphModule | None = None,
        tracer_cls: type | None = None,
        tracer_extras: dict[str, Any] | None = None,
    ) -> None:
        self.owning_module = owning_module
        self._tracer_cls = tracer_cls
        self._tracer_extras = tracer_extras
        self._len = 0
        self._positions: dict[Node, int] | None = None
        self._root = Node(self, "", "root", "", (), {})
        self._insert: Callable[[Node], None] = self._root.prepend
        self._graph_namespace = Namespace()
        self._codegen = CodeGen()

    @property
    def nodes(self) -> _Nodes:
        """Nodes in execution order."""
        return _Nodes(self)

    def _renumber(self) -> None:
        self._positions = None

    def _position(self, node: Node) -> int:
        if self._positions is None:
            self._positions = {other: position for position, other in enumerate(self.nodes)}
        return self._positions[node]

    def output_node(self) -> Node:
        """Return the output node, the last node of the graph."""
        node = self._root._prev
        assert node.op == "output", f"Expected output node, got op={node.op}"
        return node

    def find_nodes(self, *, op: str, target: Target | None = None, sort: bool = True) -> list[Node]:
        """Return the nodes with ``op`` and, if given, ``target``, which is required for ``call_function``."""
        assert op != "call_function" or target is not None, "target must not be None for call_function op"
        return [node for node in self.nodes if node.op == op and (target is None or node.target == target)]

    # Creation of nodes

    def create_node(
        self,
        op: str,
        target: Target,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Create a node with any ``op`` at the insertion point, by default the end. See `Node`."""
        assert op in LEGAL_OPS, f"op '{op}' is not in _legal_ops"
        assert args is None or isinstance(args, tuple), f"args must be a tuple, got {type(args)}"
        assert kwargs is None or isinstance(kwargs, dict), f"kwargs must be a dict, got {type(kwargs)}"
        name = self._graph_namespace.create_name(self._target_to_str(target) if name is None else name, None)
        node = Node(self, name, op, target, args or (), kwargs or {}, type_expr)
        self._graph_namespace.rename(node, name)
        self._insert(node)
        self._len += 1
        return node

    @staticmethod
    def _target_to_str(target: Any) -> str:
        name: str = target.__name__ if callable(target) else target
        if not callable(target) and name.startswith("__") and name.endswith("__"):
            name = name[2:-2]
        return snake_case(name)

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = inspect.Signature.empty) -> Node:
        """Add an input; ``*args`` and ``**kwargs`` are valid names."""
        args = () if default_value is inspect.Signature.empty else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """Add a node that reads a parameter, buffer or other attribute at a dotted path. Warn if it does not exist."""
        if self.owning_module is not None and not _has(self.owning_module, qualified_name):
            warnings.warn(
                "Attempted to insert a get_attr Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule, GraphModule.add_parameter to add the "
                "necessary Parameter, or nn.Module.register_buffer to add the necessary buffer",
                stacklevel=2,
            )
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(
        self,
        module_name: str,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Add a call of the submodule at a dotted path. Warn if the submodule does not exist."""
        if self.owning_module is not None and not _has(self.owning_module, module_name):
            warnings.warn(
                "Attempted to insert a call_module Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule",
                stacklevel=2,
            )
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(
        self,
        method_name: str,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Add a call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self,
        the_function: Callable[..., Any],
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any = None,
        name: str | None = None,
    ) -> Node:
        """Add a call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result: Argument, type_expr: Any = None) -> Node:
        """Add the output, which is the last node."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def inserting_before(self, n: Node | None = None) -> AbstractContextManager[None]:
        """Insert new nodes before ``n`` in this context; at the beginning if ``n`` is None."""
        assert n is None or n.graph is self, "Node to insert before is not in graph."
        return self._inserting(self._root.append if n is None else n.prepend)

    def inserting_after(self, n: Node | None = None) -> AbstractContextManager[None]:
        """Insert new nodes after ``n`` in this context; at the end if ``n`` is None."""
        assert n is None or n.graph is self, "Node to insert after is not in graph."
        return self._inserting(self._root.prepend if n is None else n.append)

    def _inserting(self, insert: Callable[[Node], None]) -> AbstractContextManager[None]:
        former, self._insert = self._insert, insert

        @contextmanager
        def point() -> Iterator[None]:
            try:
                yield
            finally:
                self._insert = former

        return point()

    # Copying and removing

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Argument] = lambda node: node) -> Node:
        """Copy a node of another graph. ``arg_transform`` maps the nodes in its arguments to nodes of this graph."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        copied = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        copied.meta = copy.copy(node.meta)
        return copied

    def graph_copy(self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False) -> Any:
        """Copy all nodes of another graph except the output. Return the copies of the nodes that are its result.

        Args:
            val_map: dictionary from nodes of ``g`` that are not copied to nodes of this graph. The copied nodes are
                added to it.
            return_output_node: if True, also return the output node of ``g``.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: dict[Any, Any] | None = None) -> Graph:
        copied = Graph(tracer_cls=self._tracer_cls, tracer_extras=self._tracer_extras)
        copied_output = copied.graph_copy(self, {}, return_output_node=True)
        copied._codegen = copy.deepcopy(self._codegen)
        if copied_output is not None:
            result, node = copied_output
            copied.output(result, type_expr=node.type).meta = copy.copy(node.meta)
        return copied

    def erase_node(self, to_erase: Node) -> None:
        """Remove a node. Raises RuntimeError if it has users or belongs to another graph."""
        if to_erase.users:
            raise RuntimeError(STILL_USED.format(node=to_erase, count=len(to_erase.users), users=to_erase.users))
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            warnings.warn(f"erase_node({to_erase}) on an already erased node", stacklevel=2)
            return
        to_erase._remove_from_list()
        to_erase._erased = True
        self._len -= 1
        to_erase._set_arguments(map_arg(to_erase.args, lambda _: None), map_arg(to_erase.kwargs, lambda _: None))

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Remove nodes without users and side effects. Return True if a node was removed.

        Args:
            is_impure_node: predicate for nodes to keep, instead of `Node.is_impure`.
        """
        self.lint()
        changed = False
        for node in reversed(self.nodes):
            stays = node.is_impure() if is_impure_node is None else is_impure_node(node)
            if not stays and not node.users:
                self.erase_node(node)
                changed = True
        return changed

    # Checks, code and text

    def lint(self) -> None:
        """Check that nodes use only earlier nodes of this graph, and that their targets exist.

        Raises: RuntimeError that describes the first problem.
        """
        names: set[str] = set()
        seen: set[Node] = set()
        for node in self.nodes:
            if node.graph is not self:
                raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
            for arg in node._input_nodes:
                if arg not in seen:
                    text = USED_TOO_EARLY if arg.graph is self else FOREIGN_ARGUMENT
                    raise RuntimeError(text.format(arg=arg, node=node, graph=self))
            seen.add(node)
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            names.add(node.name)
            if self.owning_module is not None and node.op in ("get_attr", "call_module"):
                self._check_path(node)

    def _check_path(self, node: Node) -> None:
        value: Any = self.owning_module
        path = str(node.target).split(".")
        for position, part in enumerate(path):
            value = getattr(value, part, None)
            above = ".".join(path[:position])
            if value is None:
                raise RuntimeError(
                    f"Node {node} target {node.target} references nonexistent attribute {part} of {above}"
                )
            if node.op == "call_module" and not isinstance(value, Module):
                raise RuntimeError(
                    f"Node {node} target {node.target} {part} of {above} does not reference an nn.Module"
                )

    def python_code(self, root_module: str, *, verbose: bool = False, **options: Any) -> PythonCode:
        """Generate the source of a function from the graph.

        Args:
            root_module: name of the module in the code, usually ``self``.
            verbose: if True, add known shapes and source locations as comments.
            options: ``include_stride``, ``include_device``, as for `GraphModule.print_readable`; ``colored``,
                ``expanded_def``, ``record_func`` and ``additional_meta`` are ignored.
        """
        namespace = Namespace()
        for node in self.nodes:
            node._repr_fn = lambda n: namespace.create_name(n.name, n)
        try:
            return self._codegen.python_code(self, root_module, namespace, verbose=verbose, options=options)
        finally:
            for node in self.nodes:
                node._repr_fn = None

    def set_codegen(self, codegen: CodeGen) -> None:
        """Set a custom `CodeGen`."""
        self._codegen = codegen

    def on_generate_code(
        self, make_transformer: Callable[[TransformCode | None], TransformCode]
    ) -> AbstractContextManager[None]:
        """Register a function that transforms the lines of the generated body, until the context ends.

        ``make_transformer`` receives the current transformer or None, and returns the transformer to use.
        """
        codegen = self._codegen
        former = codegen._body_transformer
        codegen._body_transformer = make_transformer(former)

        @contextmanager
        def transformed() -> Iterator[None]:
            try:
                yield
            finally:
                codegen._body_transformer = former

        return transformed()

    def process_inputs(self, *args: Any) -> Sequence[Any]:
        """Convert arguments of the generated function to inputs of the graph."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out: Any) -> Any:
        """Convert the output of the graph to the result of the generated function."""
        return self._codegen.process_outputs(out)

    def __str__(self) -> str:
        names: list[str] = []
        lines = [node.format_node(names) for node in self.nodes]
        return "\n    ".join([f"graph({', '.join(names)}):", *filter(None, lines)])

    def print_tabular(self) -> None:
        """Print the nodes as a table."""
        rows = [[node.op, node.name, node.target, node.args, node.kwargs] for node in self.nodes]
        print(table(["opcode", "name", "target", "args", "kwargs"], rows))


def _has(owner: Any, path: str) -> bool:
    for part in path.split("."):
        if not hasattr(owner, part):
            return False
        owner = getattr(owner, part)
    return isinstance(owner, (Module, flambeau.Tensor)) or owner is not None
