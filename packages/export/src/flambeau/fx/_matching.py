"""Search for subgraphs that match a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flambeau import Tensor

from .graph import Graph
from .graph_module import _at
from .node import Node


@dataclass
class InternalMatch:
    """Subgraph that matches a pattern.

    Attributes:
        anchors: the pattern's nodes that only the output node uses.
        nodes_map: maps nodes of the pattern to nodes of the graph, or to constants for inputs of the pattern.
        placeholder_nodes: matches of the pattern's inputs, in order.
        returning_nodes: nodes that compute the results of the pattern.
    """

    anchors: list[Node]
    nodes_map: dict[Node, Any] = field(default_factory=dict)
    placeholder_nodes: list[Any] = field(default_factory=list)
    returning_nodes: list[Node] = field(default_factory=list)


class SubgraphMatcher:
    """Search for a pattern in graphs. The inputs of the pattern match any value.

    The search compares a node of the pattern with a node of the graph, then their arguments, from the results
    backwards. The inner nodes of a match are not used outside the match, and matches do not overlap.

    Args:
        pattern: the graph to search for.
        ignore_literals: if True, constants of the pattern match any constants.
    Raises: ValueError if the pattern has no nodes, or nodes without users.
    """

    def __init__(self, pattern: Graph, ignore_literals: bool = False) -> None:
        if not len(pattern.nodes):
            raise ValueError("SubgraphMatcher cannot be initialized with an empty pattern")
        for node in pattern.nodes:
            if node.op != "output" and not node.is_impure() and not node.users:
                raise ValueError("SubgraphMatcher cannot be initialized with an pattern with dead code")
        self.ignore_literals = ignore_literals
        self.inputs = [node for node in pattern.nodes if node.op == "placeholder"]
        self.results = pattern.output_node().all_input_nodes
        self.anchors = [node for node in self.results if len(node.users) == 1]

    def match(self, graph: Graph) -> list[InternalMatch]:
        """Return all matches of the pattern, in the order of the graph."""
        matches: list[InternalMatch] = []
        taken: set[Node] = set()
        for nodes_map in self._from_anchor(0, graph, {}):
            inner = {n for p, n in nodes_map.items() if p.op != "placeholder"}
            if not inner & taken and self._contained(nodes_map):
                taken |= inner
                inputs, results = [nodes_map.get(p) for p in self.inputs], [nodes_map[p] for p in self.results]
                matches.append(InternalMatch(self.anchors, nodes_map, inputs, results))
        return matches

    def _from_anchor(self, position: int, graph: Graph, nodes_map: dict[Node, Any]) -> Iterator[dict[Node, Any]]:
        """Yield ``nodes_map`` extended by each combination of matches for the anchors from ``position`` on."""
        if position == len(self.anchors):
            yield nodes_map
            return
        for node in graph.nodes:
            trial = dict(nodes_map)
            if self._matches(self.anchors[position], node, trial):
                yield from self._from_anchor(position + 1, graph, trial)

    def _contained(self, nodes_map: dict[Node, Any]) -> bool:
        inner = {n for p, n in nodes_map.items() if p.op != "placeholder"}
        returned = [nodes_map[p] for p in self.results]
        return all(user in inner for node in inner if node not in returned for user in node.users)

    def _matches(self, pattern: Any, value: Any, nodes_map: dict[Node, Any]) -> bool:
        """Return True if ``pattern``, a node or argument, matches ``value``. Add the nodes to ``nodes_map``."""
        if isinstance(pattern, (list, tuple)) and isinstance(value, (list, tuple)):
            return len(pattern) == len(value) and all(
                self._matches(p, v, nodes_map) for p, v in zip(pattern, value, strict=True)
            )
        if not isinstance(pattern, Node):
            literal = not isinstance(value, Node) and type(pattern) is type(value) and bool(pattern == value)
            return literal or (self.ignore_literals and not isinstance(value, Node))
        if pattern in nodes_map:
            known = nodes_map[pattern]
            return known is value or (not isinstance(value, Node) and not isinstance(known, Node) and known == value)
        if pattern.op == "placeholder":
            nodes_map[pattern] = value
            return True
        if not isinstance(value, Node) or pattern.op != value.op or any(value is other for other in nodes_map.values()):
            return False
        same = _same_attribute(pattern, value) if pattern.op == "get_attr" else pattern.target == value.target
        if not same or list(pattern.kwargs) != list(value.kwargs):
            return False
        nodes_map[pattern] = value
        return self._matches(
            [*pattern.args, *pattern.kwargs.values()], [*value.args, *value.kwargs.values()], nodes_map
        )


def _same_attribute(pattern: Node, node: Node) -> bool:
    """Return True if the attributes that two ``get_attr`` nodes read are tensors of the same class."""
    one, other = (_at(n.graph.owning_module, str(n.target)) for n in (pattern, node))
    return isinstance(one, Tensor) and type(one) is type(other)
