"""Replacement of subgraphs that match a pattern."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flambeau.nn import Module

from ._matching import InternalMatch, SubgraphMatcher
from ._symbolic_trace import symbolic_trace
from .graph import Graph
from .graph_module import GraphModule, _at
from .node import Node

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]

Program = Callable[..., Any] | Graph | GraphModule


class Match(NamedTuple):
    """Match that `replace_pattern` replaced: the last node, and a map from nodes of the pattern to nodes of the graph.

    >>> traced = fb.fx.symbolic_trace(lambda x: (x + 1).relu())
    >>> [match] = fb.fx.replace_pattern(traced, lambda x: x.relu(), lambda x: x.tanh())
    >>> match.anchor.target
    'relu'
    """

    anchor: Node
    nodes_map: dict[Node, Node]


@dataclass
class ReplacedPatterns:
    """Replaced match and the new nodes. See `replace_pattern_with_filters`."""

    anchor: Node
    nodes_map: dict[Node, Node]
    replacements: list[Node] = field(default_factory=list)


def replace_pattern(gm: GraphModule, pattern: Program, replacement: Program) -> list[Match]:
    """Replace all subgraphs of a module that match ``pattern`` with ``replacement``.

    Args:
        gm: the module, which is changed in place.
        pattern, replacement: functions or modules with the same parameters and results, which are traced.
    Returns: the matches.
    Raises: ValueError if the pattern has nodes that its result does not use.

    >>> from flambeau import fx
    >>> traced = fx.symbolic_trace(lambda x, y: fb.cat([x, y]).sum() + 1)
    >>> found = fx.replace_pattern(traced, lambda a, b: fb.cat([a, b]).sum(), lambda a, b: fb.stack([a, b]).max())
    >>> print(traced.code.strip())
    def forward(self, x, y):
        stack = flambeau.stack([x, y]);  x = y = None
        max_1 = stack.max();  stack = None
        add = max_1 + 1;  max_1 = None
        return add
    """
    replaced = replace_pattern_with_filters(gm, pattern, replacement)
    return [Match(match.anchor, match.nodes_map) for match in replaced]


def replace_pattern_with_filters(
    gm: GraphModule,
    pattern: Program,
    replacement: Program | None = None,
    match_filters: list[Callable[[InternalMatch, Graph, Graph], bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[[InternalMatch, Graph, Graph], Graph] | None = None,
) -> list[ReplacedPatterns]:
    """Replace matches like `replace_pattern`. Filters can reject matches, and a callback can select the replacement.

    Args:
        gm: the module, which is changed in place.
        pattern, replacement: functions, graphs or modules with the same parameters and results.
        match_filters: functions of the match, the graph and the pattern. A match is replaced if all return True.
        ignore_literals: if True, constants of the pattern match any constants.
        replacement_callback: function that returns the replacement of a match, instead of ``replacement``.
    Returns: a list of `ReplacedPatterns`.

    >>> from flambeau.fx.subgraph_rewriter import replace_pattern_with_filters
    >>> traced = fb.fx.symbolic_trace(lambda x: (x + 2) * 3)
    >>> found = replace_pattern_with_filters(traced, lambda x: x + 1, lambda x: x - 5, ignore_literals=True)
    >>> found[0].replacements, traced(fb.ones(1))
    ([sub], tensor([-12.]))
    """
    original, searched = gm.graph, _graph_of(pattern)
    matches = [
        match
        for match in SubgraphMatcher(searched, ignore_literals).match(original)
        if all(wanted(match, original, searched) for wanted in match_filters or ())
    ]
    assert replacement is not None or replacement_callback is not None, (
        "Must provide either a replacement GraphModule or a replacement callback"
    )
    fixed = None if replacement is None else _graph_of(replacement)
    changed: dict[Node, Any] = {}
    replaced = []
    for match in matches:
        new = replacement_callback(match, original, searched) if replacement_callback is not None else fixed
        assert new is not None
        replaced.append(_replace(original, searched, match, new, changed))
    gm.recompile()
    if isinstance(replacement, Module):
        _copy_attributes(gm, replacement)
    return replaced


def _graph_of(program: Program) -> Graph:
    if isinstance(program, Graph):
        return program
    return program.graph if isinstance(program, GraphModule) else symbolic_trace(program).graph


def _replace(
    graph: Graph, pattern: Graph, match: InternalMatch, replacement: Graph, changed: dict[Node, Any]
) -> ReplacedPatterns:
    """Replace a match with a graph. ``changed`` maps removed nodes to their replacements."""
    inputs = [node for node in replacement.nodes if node.op == "placeholder"]
    assert len(inputs) == len(match.placeholder_nodes), (
        f"Placeholder count mismatch: {len(match.placeholder_nodes)} vs {len(inputs)}"
    )
    for node, value in list(match.nodes_map.items()):
        if node.op == "placeholder" and isinstance(value, Node):
            match.nodes_map[node] = changed.get(value, value)
    arguments = [changed.get(value, value) if isinstance(value, Node) else value for value in match.placeholder_nodes]
    values: dict[Node, Any] = dict(zip(inputs, arguments, strict=True))
    users = [user for node in match.returning_nodes for user in node.users]
    point = min(users) if users else max(match.returning_nodes).next
    with graph.inserting_before(point):
        results = graph.graph_copy(replacement, values)
    results = (results,) if isinstance(results, Node) else results
    assert len(results) == len(match.returning_nodes), (
        f"Returning nodes count mismatch: {len(match.returning_nodes)} vs {len(results)}"
    )
    replacements = [value for node, value in values.items() if node not in inputs]
    for former, result in zip(match.returning_nodes, results, strict=True):
        former.replace_all_uses_with(result)
        changed[former] = result
    for node in reversed(pattern.nodes):
        if node.op not in ("placeholder", "output"):
            graph.erase_node(match.nodes_map[node])
    return ReplacedPatterns(match.anchors[0], match.nodes_map, replacements)


def _copy_attributes(gm: GraphModule, replacement: Module) -> None:
    """Copy to ``gm`` the attributes of ``replacement`` that its nodes use."""
    gm.delete_all_unused_submodules()
    for node in gm.graph.nodes:
        path = str(node.target)
        if node.op not in ("call_module", "get_attr") or _at(gm, path) is not None:
            continue
        attribute = _at(replacement, path)
        if attribute is None:
            raise RuntimeError(
                f"Attempted to create a {node.op} node during subgraph rewriting with target {path}, but the "
                "referenced attribute does not exist in the replacement GraphModule"
            )
        if isinstance(attribute, Module):
            gm.add_submodule(path, copy.deepcopy(attribute))
        else:
            setattr(gm, path, copy.deepcopy(attribute))
    gm.graph.lint()
