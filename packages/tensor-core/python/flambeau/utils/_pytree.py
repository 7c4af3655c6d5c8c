"""Pytrees: flatten nested containers of arguments and results into their leaves, and rebuild them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

from flambeau import Size, Tensor

PyTree = Context = Any
KeyEntry: TypeAlias = Any
KeyPath = tuple[KeyEntry, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class SequenceKey:
    """Index of a child in a list, a tuple or another sequence."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Sequence[Any]) -> Any:
        """Return the child."""
        return sequence[self.idx]


@dataclasses.dataclass(frozen=True, slots=True)
class MappingKey:
    """Key of a child in a dictionary."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Mapping[Any, Any]) -> Any:
        """Return the child."""
        return mapping[self.key]


@dataclasses.dataclass(frozen=True, slots=True)
class GetAttrKey:
    """Name of the attribute that holds a child, as in a named tuple."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """Return the child."""
        return getattr(obj, self.name)


class NodeDef(NamedTuple):
    """Functions for one container type: flatten it into children and a context, rebuild it, and name the children.

    ``keys`` returns a key for each child, such as `SequenceKey`.
    """

    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[list[Any], Any], Any]
    keys: Callable[[Any], list[KeyEntry]]


def _indices(tree: Any) -> list[KeyEntry]:
    return [SequenceKey(i) for i in range(len(tree))]


def _names(tree: Any) -> list[KeyEntry]:
    return [MappingKey(key) for key in tree]


def _mapping(kind: Callable[[Any], Any]) -> NodeDef:
    return NodeDef(
        lambda t: (list(t.values()), list(t)),
        lambda children, keys: kind(zip(keys, children, strict=True)),
        _names,
    )


def _rebuild_default(children: list[Any], context: Any) -> Any:
    factory, keys = context
    return defaultdict(factory, zip(keys, children, strict=True))


class _NamedResults:
    """Key in `SUPPORTED_NODES` that all types of `flambeau.return_types` and other struct sequences share."""


# Maps each container type to its functions. All named tuples share the entry ``namedtuple``.
SUPPORTED_NODES: dict[Any, NodeDef] = {
    tuple: NodeDef(lambda t: (list(t), None), lambda children, _: tuple(children), _indices),
    list: NodeDef(lambda t: (t, None), lambda children, _: list(children), _indices),
    Size: NodeDef(lambda t: (list(t), None), lambda children, _: tuple(children), _indices),
    _NamedResults: NodeDef(lambda t: (list(t), type(t)), lambda children, kind: kind(children), _indices),
    deque: NodeDef(lambda t: (list(t), t.maxlen), lambda children, most: deque(children, maxlen=most), _indices),
    dict: _mapping(dict),
    OrderedDict: _mapping(OrderedDict),
    defaultdict: NodeDef(lambda t: (list(t.values()), (t.default_factory, list(t))), _rebuild_default, _names),
    namedtuple: NodeDef(  # noqa: PYI024, a key
        lambda t: (list(t), type(t)),
        lambda children, kind: kind(*children),
        lambda t: [GetAttrKey(name) for name in t._fields],
    ),
}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_fn: Callable[[list[Any], Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    """Register a class as a container.

    Args:
        cls: the class.
        flatten_fn: function that returns the children of a container and a context.
        unflatten_fn: function that rebuilds a container from its children and its context.
        flatten_with_keys_fn: function that returns pairs of a key and a child, and a context. Without it, the keys are
            the indices of the children.
        serialized_type_name, to_dumpable_context, from_dumpable_context: accepted for compatibility with PyTorch; no
            effect.
    Raises: ValueError if the class is already registered.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")

    def flatten(tree: Any) -> tuple[list[Any], Any]:
        children, context = flatten_fn(tree)
        return list(children), context

    def keys(tree: Any) -> list[KeyEntry]:
        if flatten_with_keys_fn is None:
            return _indices(flatten(tree)[0])
        return [key for key, _ in flatten_with_keys_fn(tree)[0]]

    SUPPORTED_NODES[cls] = NodeDef(flatten, unflatten_fn, keys)


def register_dataclass(
    cls: type,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Register a dataclass as a container of its fields.

    Fields in ``drop_field_names`` get their default values when an instance is rebuilt. ``field_names`` is required if
    ``cls`` is not a dataclass. The constructor of ``cls`` must then accept the fields by name.

    >>> from dataclasses import dataclass
    >>> from flambeau.utils import _pytree
    >>> @dataclass
    ... class Point:
    ...     x: int
    ...     y: int
    >>> _pytree.register_dataclass(Point)
    >>> _pytree.tree_map(lambda n: n + 1, Point(1, 2))
    Point(x=2, y=3)
    """
    if field_names is None:
        if not dataclasses.is_dataclass(cls):
            raise ValueError(f"register_dataclass: {cls} is not a dataclass; pass field_names=")
        field_names = [field.name for field in dataclasses.fields(cls) if field.init]
    names = [name for name in field_names if name not in (drop_field_names or ())]
    register_pytree_node(
        cls,
        lambda tree: ([getattr(tree, name) for name in names], None),
        lambda children, _: cls(**dict(zip(names, children, strict=True))),
    )
    SUPPORTED_NODES[cls] = SUPPORTED_NODES[cls]._replace(keys=lambda tree: [GetAttrKey(name) for name in names])


def register_constant(cls: type) -> None:
    """Register a class as a container without leaves: an instance is part of the structure.

    Raises: TypeError if the class does not define ``__eq__``, or if its instances have no hash.
    """
    if cls.__eq__ is object.__eq__:  # type: ignore[comparison-overlap]
        raise TypeError("register_constant(cls) expects `cls` to have a non-default `__eq__` implementation.")
    if cls.__hash__ is None:
        raise TypeError("register_constant(cls) expects `cls` to have a non-default `__hash__` implementation.")
    register_pytree_node(cls, lambda constant: ([], constant), lambda _, constant: constant)


def _get_node_type(tree: Any) -> Any:
    """Return the key of a container in `SUPPORTED_NODES`."""
    kind = type(tree)
    if kind in SUPPORTED_NODES:
        return kind
    if isinstance(tree, tuple):
        if hasattr(tree, "_fields"):
            return namedtuple  # noqa: PYI024
        if hasattr(tree, "n_sequence_fields"):
            return _NamedResults
    return getattr(kind, "_stands_for", kind) if isinstance(tree, dict) else kind


def is_structseq_class(cls: type) -> bool:
    """Return True for a type of named results such as ``return_types.max``, or another struct sequence of CPython."""
    return cls.__bases__ == (tuple,) and isinstance(getattr(cls, "n_sequence_fields", None), int)


def is_structseq_instance(obj: object) -> bool:
    """Return True for an instance of a class for which `is_structseq_class` returns True."""
    return is_structseq_class(type(obj))


def is_structseq(obj: object) -> bool:
    """Return True for a class or an instance for which `is_structseq_class` or `is_structseq_instance` return True."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def is_namedtuple_class(cls: type) -> bool:
    """Return True for a class made by ``collections.namedtuple`` or ``typing.NamedTuple``, and for its subclasses."""
    return isinstance(cls, type) and issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def is_namedtuple_instance(obj: object) -> bool:
    """Return True for an instance of a class for which `is_namedtuple_class` returns True."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: object) -> bool:
    """Return True for a class or an instance of a named tuple. See `is_namedtuple_class`."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


class TreeSpec(NamedTuple):
    """Structure of a tree. ``type`` is None for a leaf."""

    type: Any
    context: Any
    children: Sequence[TreeSpec]

    @property
    def container(self) -> NodeDef | None:
        """The functions of the container type; None for a leaf."""
        return None if self.type is None else SUPPORTED_NODES[self.type]

    def is_leaf(self) -> bool:
        """Return True if the tree is a single leaf."""
        return self.type is None

    @property
    def num_leaves(self) -> int:
        """Number of leaves."""
        return 1 if self.type is None else sum(child.num_leaves for child in self.children)


class LeafSpec(TreeSpec):
    """Structure of a leaf."""

    __slots__ = ()

    def __new__(cls) -> Self:
        return super().__new__(cls, None, None, ())

    def __reduce__(self) -> tuple[type[LeafSpec], tuple[()]]:
        return LeafSpec, ()


LEAF = LeafSpec()
IsLeaf = Callable[[Any], bool] | None
Tree = TypeVar("Tree")


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """Return the leaves of a tree of tuples, named tuples, lists and dictionaries, and its structure.

    ``is_leaf`` is called for every subtree. A subtree for which it returns True is a leaf.

    >>> from flambeau.utils._pytree import tree_flatten, tree_unflatten
    >>> leaves, spec = tree_flatten({"a": 1, "b": (2, [3])})
    >>> leaves, tree_unflatten([leaf * 10 for leaf in leaves], spec)
    ([1, 2, 3], {'a': 10, 'b': (20, [30])})
    """
    leaves: list[Any] = []
    return leaves, _flatten_into(leaves, tree, is_leaf)


def _flatten_into(leaves: list[Any], tree: Any, is_leaf: IsLeaf) -> TreeSpec:
    kind = None if isinstance(tree, Tensor) or (is_leaf and is_leaf(tree)) else _get_node_type(tree)
    container = SUPPORTED_NODES.get(kind)
    if container is None:
        leaves.append(tree)
        return LEAF
    children, context = container.flatten_fn(tree)
    return TreeSpec(kind, context, tuple(_flatten_into(leaves, child, is_leaf) for child in children))


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec) -> list[Any] | None:
    """Return one value for each leaf of a structure, from a tree with this structure or with a prefix of it.

    If ``tree`` has a value at the position of a subtree, the value is repeated for each leaf of the subtree. Return
    None if the structures do not match.
    """
    _, own = tree_flatten(tree)
    if own.container is None:
        return [tree] * treespec.num_leaves
    if treespec.container is not own.container or len(treespec.children) != len(own.children):
        return None
    if isinstance(tree, dict):
        keys = treespec.context if isinstance(treespec.context, list) else treespec.context[1]
        if set(tree) != set(keys):
            return None
        entries = [tree[key] for key in keys]
    else:
        entries = list(tree)
    flat: list[Any] = []
    for entry, child in zip(entries, treespec.children, strict=True):
        part = _broadcast_to_and_flatten(entry, child)
        if part is None:
            return None
        flat += part
    return flat


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """Rebuild a tree from its leaves and its structure.

    Raises: ValueError if the number of leaves does not match.
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten: expected {treespec.num_leaves} leaves, got {len(leaves)}")
    return _unflatten(iter(leaves), treespec)


def _unflatten(leaves: Iterator[Any], spec: TreeSpec) -> Any:
    if spec.container is None:
        return next(leaves)
    return spec.container.unflatten_fn([_unflatten(leaves, child) for child in spec.children], spec.context)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """Return the leaves of a tree, from left to right."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterator[Any]:
    """Iterate over the leaves of a tree.

    >>> list(tree_iter({"a": [1, 2]}))
    [1, 2]
    """
    return iter(tree_leaves(tree, is_leaf))


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Return True if a tree is a single leaf.

    >>> tree_is_leaf(1), tree_is_leaf([1])
    (True, False)
    """
    return tree_structure(tree, is_leaf) is LEAF


_is_leaf = tree_is_leaf  # previous name in PyTorch


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list[Any]:
    """Return the leaves of the arguments of a call."""
    return tree_leaves((args, kwargs))


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """Return the structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Apply a function to every leaf of a tree, and to the corresponding parts of the other trees.

    Raises: ValueError if the structures do not match.
    """
    if isinstance(tree, Tensor) and not rests:
        return func(tree)
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [_leaves_like(spec, rest) for rest in rests]
    return _unflatten(map(func, leaves, *others), spec)


def _leaves_like(spec: TreeSpec, tree: Any) -> list[Any]:
    """Return the subtrees of ``tree`` that correspond to the leaves of ``spec``."""
    if spec.container is None:
        return [tree]
    children = _children_like(spec, tree) if _get_node_type(tree) == spec.type else None
    if children is None or len(children) != len(spec.children):
        raise ValueError(f"tree_map: the trees have different structures at {tree!r}")
    return [leaf for part, child in zip(spec.children, children, strict=True) for leaf in _leaves_like(part, child)]


def _children_like(spec: TreeSpec, tree: Any) -> list[Any] | None:
    """Return the children in the order of ``spec``, or None if the keys or contexts differ."""
    assert spec.container is not None
    children, context = spec.container.flatten_fn(tree)
    if not isinstance(tree, dict):
        return children if context == spec.context else None
    keys = spec.context[1] if isinstance(tree, defaultdict) else spec.context
    return [tree[key] for key in keys] if set(keys) == set(tree) else None


def tree_map_(func: Callable[..., Any], tree: Tree, *rests: Any, is_leaf: IsLeaf = None) -> Tree:
    """Call a function with every leaf, ignore the results, and return the tree."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


Kinds = type | tuple[type, ...] | Callable[[Any], bool]


def _chooser(kinds: Kinds) -> Callable[[Any], bool]:
    return (lambda leaf: isinstance(leaf, kinds)) if isinstance(kinds, type | tuple) else kinds


def tree_map_only(type_or_types_or_pred: Kinds, func: Callable[[Any], Any], tree: Any, is_leaf: IsLeaf = None) -> Any:
    """Apply a function only to leaves of some types, or to leaves that satisfy a predicate. Keep the other leaves.

    >>> from flambeau.utils._pytree import tree_map_only
    >>> tree_map_only(int, lambda n: n + 1, [1, "a", {"b": 2}])
    [2, 'a', {'b': 3}]
    """
    chosen = _chooser(type_or_types_or_pred)
    return tree_map(lambda leaf: func(leaf) if chosen(leaf) else leaf, tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Kinds, func: Callable[[Any], Any], tree: Tree, is_leaf: IsLeaf = None
) -> Tree:
    """Call ``func`` with the leaves that `tree_map_only` selects, ignore the results, and return the tree."""
    tree_map_only(type_or_types_or_pred, func, tree, is_leaf)
    return tree


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Return True if the predicate is true for every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Return True if the predicate is true for at least one leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(type_or_types: Kinds, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Return True if the predicate is true for every leaf of some types."""
    return all(map(pred, filter(_chooser(type_or_types), tree_leaves(tree, is_leaf))))


def tree_any_only(type_or_types: Kinds, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Return True if the predicate is true for at least one leaf of some types."""
    return any(map(pred, filter(_chooser(type_or_types), tree_leaves(tree, is_leaf))))


def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """Return the leaves with their paths, which `keystr` formats, and the structure of a tree.

    >>> from flambeau.utils._pytree import keystr, tree_flatten_with_path
    >>> [keystr(path) for path, _ in tree_flatten_with_path({"a": 1, "b": [2, 3]})[0]]
    ["['a']", "['b'][0]", "['b'][1]"]
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    return list(zip(_paths(tree, spec, ()), leaves, strict=True)), spec


def tree_leaves_with_path(tree: Any, is_leaf: IsLeaf = None) -> list[tuple[KeyPath, Any]]:
    """Return the leaves of a tree with their paths. See `tree_flatten_with_path`."""
    return tree_flatten_with_path(tree, is_leaf)[0]


def _paths(tree: Any, spec: TreeSpec, path: KeyPath) -> Iterator[KeyPath]:
    if spec.container is None:
        yield path
        return
    children = spec.container.flatten_fn(tree)[0]
    for key, child, part in zip(spec.container.keys(tree), children, spec.children, strict=True):
        yield from _paths(child, part, (*path, key))


def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Apply a function of the path and the leaf to every leaf. See `tree_map`."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [_leaves_like(spec, rest) for rest in rests]
    return _unflatten(map(func, _paths(tree, spec, ()), leaves, *others), spec)


def keystr(kp: KeyPath) -> str:
    """Format the path of a leaf as the source code that follows the name of the tree, such as ``['a'][0]``."""
    return "".join(map(str, kp))


def _dict_flatten(d: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    """Return the values of an instance of a `dict` subclass, and its keys as context, for `register_pytree_node`."""
    return list(d.values()), list(d)


def _dict_unflatten(values: Iterable[Any], context: Iterable[Any]) -> dict[Any, Any]:
    """Return a dictionary of these values and keys."""
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(d: dict[Any, Any]) -> tuple[list[tuple[KeyEntry, Any]], list[Any]]:
    """Return pairs of a `MappingKey` and a value, and the keys."""
    return list(zip(_names(d), d.values(), strict=True)), list(d)


def _list_flatten(items: list[Any]) -> tuple[list[Any], None]:
    """Return the items of an instance of a `list` subclass, without a context, for `register_pytree_node`."""
    return items, None


def _list_unflatten(items: Iterable[Any], context: None) -> list[Any]:
    """Return a list of these items."""
    return list(items)


def _list_flatten_with_keys(items: list[Any]) -> tuple[list[tuple[KeyEntry, Any]], None]:
    """Return pairs of a `SequenceKey` and an item, without a context."""
    return list(zip(_indices(items), items, strict=True)), None
