"""Nested containers of arguments and results, taken apart into their leaves and put together again."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flambeau import Tensor


class Container(NamedTuple):
    """How one type of container is taken apart: into its children and what else it takes to rebuild it."""

    flatten: Callable[[Any], tuple[list[Any], Any]]
    unflatten: Callable[[list[Any], Any], Any]


def _rebuild_default(children: list[Any], context: Any) -> Any:
    factory, keys = context
    return defaultdict(factory, zip(keys, children, strict=True))


CONTAINERS: dict[type, Container] = {
    tuple: Container(lambda t: (list(t), None), lambda children, _: tuple(children)),
    list: Container(lambda t: (t, None), lambda children, _: list(children)),
    dict: Container(
        lambda t: (list(t.values()), list(t)), lambda children, keys: dict(zip(keys, children, strict=True))
    ),
    OrderedDict: Container(
        lambda t: (list(t.values()), list(t)), lambda children, keys: OrderedDict(zip(keys, children, strict=True))
    ),
    defaultdict: Container(lambda t: (list(t.values()), (t.default_factory, list(t))), _rebuild_default),
}
_NAMED = Container(lambda t: (list(t), type(t)), lambda children, kind: kind(*children))


def _container(tree: Any) -> Container | None:
    found = CONTAINERS.get(type(tree))
    if found is None and isinstance(tree, tuple) and (hasattr(tree, "_fields") or hasattr(tree, "n_sequence_fields")):
        return _NAMED if hasattr(tree, "_fields") else CONTAINERS[tuple]
    return found


class TreeSpec(NamedTuple):
    """The shape of a tree: of a leaf, ``container`` is None."""

    container: Container | None
    context: Any
    children: tuple["TreeSpec", ...]


LEAF = TreeSpec(None, None, ())


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree of tuples, named tuples, lists and dictionaries, and what puts them together again."""
    leaves: list[Any] = []
    return leaves, _flatten_into(leaves, tree)


def _flatten_into(leaves: list[Any], tree: Any) -> TreeSpec:
    container = None if isinstance(tree, Tensor) else _container(tree)
    if container is None:
        leaves.append(tree)
        return LEAF
    children, context = container.flatten(tree)
    return TreeSpec(container, context, tuple(_flatten_into(leaves, child) for child in children))


def tree_unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The tree of a shape that has the given leaves."""
    return _unflatten(iter(leaves), spec)


def _unflatten(leaves: Iterator[Any], spec: TreeSpec) -> Any:
    if spec.container is None:
        return next(leaves)
    return spec.container.unflatten([_unflatten(leaves, child) for child in spec.children], spec.context)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, from left to right."""
    return tree_flatten(tree)[0]


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with every leaf replaced by the function's result for it."""
    if isinstance(tree, Tensor):
        return function(tree)
    leaves, spec = tree_flatten(tree)
    return tree_unflatten([function(leaf) for leaf in leaves], spec)
