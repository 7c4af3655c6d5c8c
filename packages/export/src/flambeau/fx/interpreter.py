"""Interpreter of graphs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from flambeau.nn import Module

from ._codegen import last_uses
from ._functions import ProxyDispatchMode
from ._symbolic_trace import Tracer
from .graph import Graph
from .graph_module import GraphModule
from .node import Argument, Node, Target, map_arg
from .proxy import Proxy

__all__ = ["Interpreter", "Transformer"]

NO_VALUE = "Node {node} referenced nonexistent value {arg}! Run Graph.lint() to diagnose such issues"


class Interpreter:
    """Interpreter that runs a graph node by node. Subclasses override the method for an ``op``, or `run_node`.

    Args:
        module: the module that owns the graph.
        garbage_collect_values: if True, free values after their last use.
        graph: a graph to run instead of ``module.graph``.

    >>> from flambeau import fx
    >>> class Negative(fx.Interpreter):
    ...     def call_function(self, target, args, kwargs):
    ...         return super().call_function(fb.neg if target is fb.relu else target, args, kwargs)
    >>> Negative(fx.symbolic_trace(lambda x: fb.relu(x))).run(fb.ones(2))
    tensor([-1., -1.])
    """

    def __init__(self, module: Module, garbage_collect_values: bool = True, graph: Graph | None = None) -> None:
        self.module = module
        self.submodules = dict(module.named_modules())
        self.graph: Graph = getattr(module, "graph") if graph is None else graph  # noqa: B009
        self.env: dict[Node, Any] = {}
        self.name = type(self).__name__
        self.garbage_collect_values = garbage_collect_values
        self.extra_traceback = True
        self.user_to_last_uses = last_uses(self.graph)

    def run(self, *args: Any, initial_env: dict[Node, Any] | None = None, enable_io_processing: bool = True) -> Any:
        """Run the graph on arguments and return its result.

        Args:
            initial_env: values of nodes. These nodes are not run.
            enable_io_processing: if True, flatten arguments and unflatten results as the graph's code generator does.
        Raises: any exception of a node, with the node added to the message.
        """
        self.env = {} if initial_env is None else initial_env
        self.args_iter: Iterator[Any] = iter(self.graph.process_inputs(*args) if enable_io_processing else args)
        for node in self.graph.nodes:
            if node not in self.env:
                try:
                    self.env[node] = self.run_node(node)
                except Exception as error:
                    self._add_node_note(error, node)
                    raise
            if self.garbage_collect_values:
                for done in self.user_to_last_uses.get(node, ()):
                    del self.env[done]
            if node.op == "output":
                result = self.env[node]
                return self.graph.process_outputs(result) if enable_io_processing else result
        return None

    def boxed_run(self, args_list: list[Any]) -> Any:
        """Run the graph on a list of arguments. The list is emptied, so that arguments can be freed early.

        Raises: RuntimeError if the number of arguments is wrong.
        """
        inputs = [node for node in self.graph.nodes if node.op == "placeholder"]
        if len(inputs) != len(args_list):
            raise RuntimeError(
                f"Interpreter.boxed_run expected {len(inputs)} arguments for placeholders but received {len(args_list)}"
            )
        values = dict(zip(inputs, args_list, strict=True))
        args_list.clear()
        return self.run(initial_env=values)

    def _add_node_note(self, error: Exception, node: Node) -> None:
        """Add the node to the message of an exception."""
        if not self.extra_traceback:
            return
        text = f"While executing {node.format_node()}"
        text = f"{error.args[0]}\n\n{text}" if error.args else text
        error.args = (f"{text}\nOriginal traceback:\n{node.stack_trace}", *error.args[1:])

    def run_node(self, n: Node) -> Any:
        """Run one node: look up its arguments, and call the method with the name of its ``op``."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Return the next argument, or the default value. Raises RuntimeError if neither exists."""
        if str(target).startswith("*"):
            return list(self.args_iter)
        for value in self.args_iter:
            return value
        if not args:
            raise RuntimeError(f"Expected positional argument for parameter {target}, but one was not passed in!")
        return args[0]

    def get_attr(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Return the attribute at a dotted path of the module."""
        return self.fetch_attr(str(target))

    def call_function(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function."""
        assert not isinstance(target, str), "target should not be a string for call_function"
        return target(*args, **kwargs)

    def call_method(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method of the first argument."""
        owner, *rest = args
        return getattr(owner, str(target))(*rest, **kwargs)

    def call_module(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Call a submodule."""
        return self.fetch_attr(str(target))(*args, **kwargs)

    def output(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result."""
        return args[0]

    def fetch_attr(self, target: str) -> Any:
        """Return the attribute at a dotted path of the module. Raises RuntimeError if it does not exist."""
        value: Any = self.module
        path = target.split(".")
        for position, part in enumerate(path):
            if not hasattr(value, part):
                raise RuntimeError(f"Node referenced nonexistent target {'.'.join(path[: position + 1])}")
            value = getattr(value, part)
        return value

    def fetch_args_kwargs_from_env(self, n: Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a node as values."""
        return self.map_nodes_to_values(n.args, n), self.map_nodes_to_values(n.kwargs, n)

    def map_nodes_to_values(self, args: Argument, n: Node) -> Any:
        """Replace nodes in arguments with their values. Raises RuntimeError if a node has no value."""

        def value(arg: Node) -> Any:
            if arg not in self.env:
                raise RuntimeError(NO_VALUE.format(node=n, arg=arg))
            return self.env[arg]

        return map_arg(args, value)


class _TransformerTracer(Tracer):
    def __init__(self, graph: Graph, root: Module) -> None:
        super().__init__()
        self.graph, self.root = graph, root

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        return True


class Transformer(Interpreter):
    """Interpreter that runs on proxies and creates a new module from the traced operations.

    >>> from flambeau import fx
    >>> class Negative(fx.Transformer):
    ...     def call_function(self, target, args, kwargs):
    ...         return super().call_function(fb.neg if target is fb.relu else target, args, kwargs)
    >>> print(Negative(fx.symbolic_trace(lambda x: fb.relu(x))).transform().code.strip())
    def forward(self, x):
        neg = flambeau.neg(x);  x = None
        return neg
    """

    def __init__(self, module: GraphModule) -> None:
        super().__init__(module)
        self.new_graph = Graph(tracer_cls=module.graph._tracer_cls)
        self.new_graph.set_codegen(module.graph._codegen)
        self.tracer = _TransformerTracer(self.new_graph, module)

    def placeholder(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Proxy:
        """Add an input to the new graph."""
        default = args[0] if args else inspect.Signature.empty
        return Proxy(self.new_graph.placeholder(str(target), default_value=default), self.tracer)

    def get_attr(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Proxy:
        """Add a node that reads an attribute to the new graph."""
        return self.tracer.create_proxy("get_attr", target, args, kwargs)

    def call_module(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Any:
        """Add a call of a submodule to the new graph."""
        module = self.fetch_attr(str(target))
        return self.tracer.call_module(module, module.forward, args, kwargs)

    def call_function(self, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Any]) -> Proxy:
        """Add a call of a function to the new graph."""
        assert callable(target)
        return self.tracer.create_proxy("call_function", target, args, kwargs)

    def transform(self) -> GraphModule:
        """Return the module of the new graph. It shares the parameters of the original module."""
        with ProxyDispatchMode():
            result = super().run(enable_io_processing=False)
        if result is None:
            raise RuntimeError("a graph without an output cannot be transformed")
        former = self.graph.output_node()
        made = self.new_graph.output(map_result(result), former.type)
        made.meta.update(former.meta)
        return GraphModule(self.module, self.new_graph)


def map_result(result: Any) -> Any:
    """Replace proxies in nested results with their nodes."""
    from .node import map_aggregate

    return map_aggregate(result, lambda value: value.node if isinstance(value, Proxy) else value)
