"""Traversal of the nodes of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def every_node(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield all nodes, including the nodes of nested graphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from every_node(attribute.g.node)
