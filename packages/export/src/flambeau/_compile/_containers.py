"""Containers among the arguments of a compiled function, which a program can neither change nor return."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from flambeau.utils import _pytree as pytree


def _mutable_containers(tree: Any) -> Iterator[Any]:
    """Yield the containers in a pytree that are not tuples."""
    node = pytree.SUPPORTED_NODES.get(pytree._get_node_type(tree))
    if node is not None:
        if not isinstance(tree, tuple):
            yield tree
        for child in node.flatten_fn(tree)[0]:
            yield from _mutable_containers(child)


class Contents:
    """The leaves and the structure of the arguments before the call."""

    def __init__(self, arguments: Any) -> None:
        self._arguments = arguments
        self.leaves, self._structure = pytree.tree_flatten(arguments)
        # A class that is registered as a pytree node may create new leaves each time it is flattened.
        self._keeps_leaves = self._has_leaves(pytree.tree_leaves(arguments))

    def _has_leaves(self, leaves: list[Any]) -> bool:
        return len(leaves) == len(self.leaves) and all(map(operator.is_, leaves, self.leaves))

    def shares_container_with(self, result: Any) -> bool:
        """Return True if a container in the result is also in the arguments. A program would return a copy of it."""
        containers = {id(each) for each in _mutable_containers(self._arguments)}
        return bool(containers) and any(id(each) in containers for each in _mutable_containers(result))

    def have_changed(self) -> bool:
        """Return True if the contents of a container among the arguments have changed."""
        leaves, structure = pytree.tree_flatten(self._arguments)
        return structure != self._structure or (self._keeps_leaves and not self._has_leaves(leaves))
