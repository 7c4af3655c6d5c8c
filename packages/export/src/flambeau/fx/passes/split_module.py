"""Splitting of a module into submodules that run one after another."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flambeau.nn import Module

from ..graph import Graph
from ..graph_module import GraphModule, _at
from ..node import Node, map_arg

__all__ = ["Partition", "split_module"]


@dataclass
class Partition:
    """Part of a divided module: its nodes, inputs, outputs and dependencies. See `split_module`."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    inputs: dict[Node, None] = field(default_factory=dict)
    outputs: dict[Node, None] = field(default_factory=dict)
    dependencies: dict[str, None] = field(default_factory=dict)


def split_module(
    m: GraphModule,
    root_m: Module | None,
    split_callback: Callable[[Node], int],
    qualname_map: dict[str, str] | None = None,
    keep_original_order: bool | None = False,
    *,
    partition_affix: str | None = None,
    tuple_return: bool = False,
) -> GraphModule:
    """Split a module into submodules ``submod_0``, ``submod_1`` and so on.

    Args:
        m: the module. The result shares its parameters.
        root_m: ignored.
        split_callback: function that returns the number of the submodule for a node. The caller of the submodules reads
            parameters and passes them as arguments.
        qualname_map: dictionary to which the original path is added for each path in the submodules.
        keep_original_order: if True, partitions run in the order of their first nodes, instead of a topological order.
        partition_affix: text before the number in the names of partitions.
        tuple_return: if True, partitions return a tuple even for a single value.
    Raises: RuntimeError if partitions depend on each other cyclically.

    >>> from flambeau import fx
    >>> from flambeau.fx.passes.split_module import split_module
    >>> traced = fx.symbolic_trace(lambda x: (x + 1).relu().exp())
    >>> parts = split_module(traced, None, lambda node: int(node.name == "exp"))
    >>> print(parts.code.strip())
    def forward(self, x):
        submod_0 = self.submod_0(x);  x = None
        submod_1 = self.submod_1(submod_0);  submod_0 = None
        return submod_1
    """
    affix = f"{partition_affix}_" if partition_affix is not None else ""
    partition_of: dict[Node, str] = {}
    parts: dict[str, Partition] = {}
    for node in m.graph.nodes:
        if node.op in ("placeholder", "get_attr", "output"):
            continue
        name = f"submod_{affix}{split_callback(node)}"
        partition_of[node] = name
        parts.setdefault(name, Partition(name)).nodes.append(node)
    _connect(parts, partition_of, m.graph.output_node())
    order = list(parts) if keep_original_order else _in_order(parts)
    graph = Graph()
    values: dict[Node, Node] = {}
    modules: dict[str, Any] = {}
    for node in m.graph.nodes:
        if node.op in ("placeholder", "get_attr"):
            values[node] = graph.node_copy(node)
        if node.op == "get_attr":
            modules[str(node.target)] = _at(m, str(node.target))
    for name in order:
        part = parts[name]
        modules[name] = _part_module(m, part, tuple_return, qualname_map)
        inputs = tuple(values[node] for node in part.inputs)
        call = graph.create_node("call_module", name, inputs, name=name)
        _unpack(graph, call, part, tuple_return, values)
    output = m.graph.output_node()
    result = map_arg(output.args[0], lambda node: values[node])
    graph.output(result, output.type)
    return GraphModule(modules, graph)


def _connect(parts: dict[str, Partition], partition_of: dict[Node, str], output: Node) -> None:
    for name, part in parts.items():
        for node in part.nodes:
            for source in node.all_input_nodes:
                if partition_of.get(source) == name:
                    continue
                part.inputs[source] = None
                if source in partition_of:
                    parts[partition_of[source]].outputs[source] = None
                    part.dependencies[partition_of[source]] = None
    for source in output.all_input_nodes:
        if source in partition_of:
            parts[partition_of[source]].outputs[source] = None


def _in_order(parts: dict[str, Partition]) -> list[str]:
    """Return the names of the partitions in topological order."""
    done: list[str] = []
    while len(done) < len(parts):
        ready = [n for n, part in parts.items() if n not in done and all(d in done for d in part.dependencies)]
        if not ready:
            raise RuntimeError("cycle exists between partitions!")
        done += ready
    return done


def _part_module(
    m: GraphModule, part: Partition, tuple_return: bool, qualname_map: dict[str, str] | None
) -> GraphModule:
    """Return a module with the nodes of one partition."""
    graph = Graph()
    values = {node: graph.placeholder(node.name, type_expr=node.type) for node in part.inputs}
    root: dict[str, Any] = {}

    def renamed(path: str) -> str:
        name = path.replace(".", "_")
        root[name] = _at(m, path)
        if qualname_map is not None:
            qualname_map[f"{part.name}.{name}"] = path
        return name

    for node in part.nodes:
        args, kwargs = map_arg(node.args, lambda n: values[n]), map_arg(node.kwargs, lambda n: values[n])
        target = renamed(str(node.target)) if node.op == "call_module" else node.target
        values[node] = graph.create_node(node.op, target, args, kwargs, type_expr=node.type)
        values[node].meta = dict(node.meta)
    outputs = tuple(values[node] for node in part.outputs)
    graph.output(outputs if tuple_return or len(outputs) != 1 else outputs[0])
    return GraphModule(root, graph)


def _unpack(graph: Graph, call: Node, part: Partition, tuple_return: bool, values: dict[Node, Node]) -> None:
    if len(part.outputs) == 1 and not tuple_return:
        values[next(iter(part.outputs))] = call
        return
    for position, node in enumerate(part.outputs):
        values[node] = graph.call_function(operator.getitem, (call, position))
