"""Nested structures of inputs and outputs in files of PyTorch's ``torch.export``."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flambeau.jit._archive import entry, named_tuple

_SEQUENCES = {"builtins.tuple": tuple, "builtins.list": list, "torch.fx.immutable_collections.immutable_list": list}
_MAPPINGS = {
    "builtins.dict": dict,
    "collections.OrderedDict": OrderedDict,
    "torch.fx.immutable_collections.immutable_dict": dict,
}


class Tree:
    """Structure of nested tuples, lists and dictionaries.

    Args:
        kind: the type of the structure, or None for a leaf.
        keys: keys of a dictionary or field names of a named tuple.
    """

    def __init__(self, kind: Any, keys: Sequence[Any], children: Sequence[Tree]) -> None:
        self.kind, self.keys, self.children = kind, keys, children

    @classmethod
    def parse(cls, text: str, fields: Mapping[str, Sequence[str]]) -> Tree:
        """Return the structure that the JSON ``text`` of a file describes.

        Args:
            fields: field names of named tuples, by type name.
        Raises: NotImplementedError for structures of other types.
        """
        version, described = json.loads(text)
        if version != 1:
            raise NotImplementedError(
                f"the file describes structures in version {version}, but only version 1 can be read"
            )
        return cls._parsed(described, fields)

    @classmethod
    def _parsed(cls, described: Any, fields: Mapping[str, Sequence[str]]) -> Tree:
        """Return the tree that a decoded JSON description specifies."""
        kind, context = entry(described, "type"), entry(described, "context")
        children = [cls._parsed(child, fields) for child in entry(described, "children_spec")]
        if kind is None:
            return cls(None, (), ())
        if kind in _SEQUENCES:
            return cls(_SEQUENCES[kind], (), children)
        if kind in _MAPPINGS:
            return cls(_MAPPINGS[kind], json.loads(context), children)
        if kind == "collections.namedtuple":
            name = str(json.loads(context))
            own = fields.get(name)
            if own is None:
                raise NotImplementedError(f"the file does not contain the fields of the named tuple {name!r}")
            return cls(named_tuple(name.rpartition(".")[2], own), own, children)
        raise NotImplementedError(f"programs with inputs or outputs of the type {kind!r} cannot be read")

    def leaves(self, value: Any, path: str) -> Iterator[Any]:
        """Yield the leaves of ``value``, which must have this structure.

        Raises: TypeError if it has another structure; the message names the part, starting with ``path``.
        """
        if self.kind is None:
            yield value
        elif issubclass(self.kind, dict):
            if not isinstance(value, Mapping) or set(value) != set(self.keys):
                found = _described(value)
                raise TypeError(
                    f"the program expects a dictionary with the keys {list(self.keys)} for {path}, got {found}"
                )
            for key, child in zip(self.keys, self.children, strict=True):
                yield from child.leaves(value[key], f"{path}[{key!r}]")
        else:
            if not isinstance(value, tuple | list) or len(value) != len(self.children):
                found = _described(value)
                raise TypeError(f"the program expects {len(self.children)} values for {path}, got {found}")
            for i, child in enumerate(self.children):
                yield from child.leaves(value[i], f"{path}[{i}]")

    def packed(self, leaves: Iterator[Any]) -> Any:
        """Return a value of this structure with the given leaves in order."""
        if self.kind is None:
            return next(leaves)
        children = [child.packed(leaves) for child in self.children]
        if issubclass(self.kind, dict):
            return self.kind(zip(self.keys, children, strict=True))
        return self.kind(*children) if hasattr(self.kind, "_fields") else self.kind(children)


def _described(value: Any) -> str:
    """Describe an argument in an error message."""
    if isinstance(value, Mapping):
        return f"a dictionary with the keys {list(value)}"
    return f"{type(value).__name__} of length {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
