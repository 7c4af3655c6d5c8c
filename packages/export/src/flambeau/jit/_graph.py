"""Conversion of programs to graphs of `flambeau.fx`."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flambeau import Tensor, _core
from flambeau.fx import Graph, Node, Proxy
from flambeau.fx.node import has_side_effect
from flambeau.fx.proxy import GraphAppendingTracer
from flambeau.library._library import definition_of

from ._replay import OWN, argument_list, call, parsed_call, python_call, tokens_of

# Checks of inputs and sizes. A graph does not contain them.
CHECKS = ("check_input", "require_", "without_derivative")
_NUMBERS = {"size", "numel", "stride", "repeated"}  # calls whose results are numbers
# Names of operators in programs, and the functions that Python's operators such as ``+`` become in graphs.
_PYTHON_OPERATORS = {"div": operator.truediv, "floor_divide": operator.floordiv, "remainder": operator.mod}
_PYTHON_OPERATORS |= {
    name: getattr(operator, name)
    for name in ("add", "sub", "mul", "matmul", "pow", "neg", "eq", "ne", "lt", "le", "gt", "ge")
}
# Functions of nodes for calls that have another name in Python.
_NODES: dict[str, Callable[..., Any]] = {"set_grad_mode": _core._set_grad_enabled, "number_int": int}
has_side_effect(_core._set_grad_enabled)


def is_number(name: str) -> bool:
    """Return True if a call computes a number from sizes or other numbers."""
    return name in _NUMBERS or name.startswith("number_")


@functools.lru_cache(1)
def _operators_of_tuples() -> frozenset[str]:
    """Return the names of operators whose results are tuples of tensors."""
    return frozenset(row["attribute"] for row in _core.signatures() if str(row["result"]).startswith("tuple[Tensor"))


def _returns_tuple(name: str) -> bool:
    """Return True if the result of an operator is a tuple or list, even if it has one element."""
    return definition_of(name)._gives_list if "::" in name else name in _operators_of_tuples()


def graph_of(text: str, methods: Collection[str] = (), examples: Mapping[str, Any] | None = None) -> Graph:
    """Return the graph of a program.

    The inputs of the program become placeholders, its parameters, buffers and constants ``get_attr`` nodes. The output
    is a tuple. The graph has no checks of sizes.

    Args:
        text: text of the program.
        methods: names of the values that are results of methods or of Python's operators, such as ``x + y``.
        examples: dictionary from names of values, such as ``%1`` and ``@weight``, to the objects that become
            ``meta["example_value"]`` and ``meta["val"]`` of nodes.
    """
    builder = _GraphBuilder(methods, examples or {})
    for line in text.splitlines():
        builder.add(tokens_of(line))
    builder.erase_unused_numbers()
    return builder.graph


def _describe(node: Node, example: Any) -> None:
    node.meta["example_value"] = node.meta["val"] = example


class _GraphBuilder(dict[str, Any]):
    """Graph under construction, and a dictionary from the names of values to their proxies."""

    def __init__(self, methods: Collection[str], examples: Mapping[str, Any]) -> None:
        self.graph = Graph()
        self._tracer = GraphAppendingTracer(self.graph)
        self._methods, self._examples = methods, examples
        self._numbers: list[Node] = []

    def __missing__(self, name: str) -> Any:
        """Add a node that reads a parameter, buffer or constant."""
        return self._keep(name, self._proxy(self.graph.get_attr(name[1:])))

    def _proxy(self, node: Node) -> Proxy:
        return Proxy(node, self._tracer)

    def _keep(self, name: str, value: Any) -> Any:
        self[name] = value
        if isinstance(value, Proxy) and name in self._examples:
            _describe(value.node, self._examples[name])
        return value

    def add(self, tokens: list[str]) -> None:
        """Add the nodes of one line of the program."""
        if tokens[0] == "input":
            placeholder = self.graph.placeholder(re.sub(r"\W+", "_", "_".join(tokens[2:])).strip("_"))
            placeholder.target = placeholder.name  # unlike the names of inputs, names of nodes are unique
            self._keep(tokens[1], self._proxy(placeholder))
        elif tokens[0] == "return":
            self.graph.output(self._tracer.create_arg(tuple(argument_list(tokens[1:], self))))
        elif not tokens[0].startswith(CHECKS):
            results, name, arguments = parsed_call(tokens, self)
            computed = self._called(name, arguments, is_method=bool(results) and results[0] in self._methods)
            if is_number(name):
                self._numbers.append(computed.node)
            if len(results) == 1 and not _returns_tuple(name):
                self._keep(results[0], computed)
                return
            for i, result in enumerate(results):
                self._keep(result, computed[i])
            if results and all(result in self._examples for result in results):
                _describe(computed.node, tuple(self._examples[result] for result in results))
            elif isinstance(computed, Proxy) and isinstance(arguments[0], Proxy):
                computed.node.meta.update(arguments[0].node.meta)  # an in-place operator returns its first argument

    def erase_unused_numbers(self) -> None:
        """Erase the nodes that compute numbers for checks."""
        for node in reversed(self._numbers):
            if not node.users:
                self.graph.erase_node(node)

    def _called(self, name: str, arguments: list[Any], is_method: bool) -> Any:
        """Add the nodes of a call, and return the proxy of its result."""
        if name in _NODES:
            return self._tracer.create_proxy("call_function", _NODES[name], tuple(arguments), {})
        if name == "set_at":
            return self._tracer.create_proxy("call_function", operator.setitem, (arguments[0], ..., arguments[1]), {})
        if name == "gradient_of":
            return self._tracer.create_proxy("call_function", getattr, (arguments[0], "grad"), {})
        if name in OWN or name.startswith("number_"):
            return call(name, arguments)
        function, args, kwargs = python_call(name, arguments)
        if is_method and name in _PYTHON_OPERATORS and not kwargs:
            return self._tracer.create_proxy("call_function", _PYTHON_OPERATORS[name], tuple(args), {})
        if is_method or vars(Tensor).get(function.__name__) is function:
            return self._tracer.create_proxy("call_method", function.__name__, tuple(args), kwargs)
        return self._tracer.create_proxy("call_function", function, tuple(args), kwargs)
