"""Structure of a function's result, from which a replay builds the result with the tensors of a program."""

from __future__ import annotations

import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._numbers import TRACED, Number, Sizes, plain
from flambeau.nn import Module
from flambeau.utils import _pytree as pytree

from ._pausing import CONSTANTS

_CONTAINERS = (list, tuple, dict, OrderedDict, set, deque)
# The arguments are the results of a program, and a dictionary from ids to the objects that have been built.
_Build = Callable[[Sequence[Any], dict[int, Any]], Any]


@dataclass(frozen=True)
class Structure:
    """Structure of a function's result.

    Attributes:
        spec: the pytree structure, or None for a single tensor.
        leaves: for each leaf a constant or an existing object, None for a tensor or number that the program computes,
            or a builder of an object that the function creates.
        tensors: indices of the leaves that are None. Their values are the first results of the program, in order.
        objects: indices of the leaves that are builders, which each replay calls.
    """

    spec: Any
    leaves: tuple[Any, ...]
    tensors: tuple[int, ...]
    objects: tuple[int, ...]

    def packed(self, results: Sequence[Any]) -> Any:
        """Return the results in the structure that the function returned."""
        if self.spec is None:
            return results[0]
        out = list(self.leaves)
        for index, result in zip(self.tensors, results, strict=False):
            out[index] = result
        built: dict[int, Any] = {}
        for index in self.objects:
            out[index] = self.leaves[index](results, built)
        return pytree.tree_unflatten(out, self.spec)


def structure_of(result: Any, is_reachable: Callable[[Any], bool]) -> tuple[Structure, list[Any]]:
    """Return the structure of a result, and the tensors and numbers that a program has to return.

    Args:
        is_reachable: predicate for objects that existed before the call. Replays return these objects themselves.
    Raises: TypeError for new objects of classes that replays cannot build.
    """
    found, spec = pytree.tree_flatten(result)
    tensors = [i for i, leaf in enumerate(found) if _varies(leaf)]
    maker = _ResultBuilder([found[i] for i in tensors], is_reachable)
    leaves: list[Any] = []
    objects = []
    for i, leaf in enumerate(found):
        is_built = i not in tensors and (
            _holds_numbers(leaf) or not (isinstance(leaf, CONSTANTS) or is_reachable(leaf))
        )
        objects += [i] * is_built
        leaves.append(maker.build(leaf) if is_built else None if i in tensors else plain(leaf))
    single = isinstance(result, Tensor)
    return Structure(None if single else spec, tuple(leaves), tuple(tensors), tuple(objects)), maker.outputs


def _varies(value: Any) -> bool:
    """Return True for a tensor and for a number that this program computes, False for a number of an earlier trace."""
    return isinstance(value, Tensor) or (type(value) is Number and value.trace.open)


def _holds_numbers(value: Any) -> bool:
    """Return True for a traced shape, and for a slice with a number that this program computes."""
    return type(value) is Sizes or (isinstance(value, slice) and any(map(_varies, _parts(value))))


def _parts(value: slice) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


class _ResultBuilder:
    """Factory of functions that build copies of the objects in a result, with the tensors of another run."""

    def __init__(self, outputs: list[Any], is_reachable: Callable[[Any], bool]) -> None:
        self.outputs, self._is_reachable = outputs, is_reachable
        self._open: set[int] = set()
        self._builds: dict[int, _Build] = {}

    def build(self, value: Any) -> _Build:
        """Return a function that builds a copy of ``value`` from a run's results; add its tensors to ``outputs``."""
        if _varies(value):
            index = len(self.outputs)
            self.outputs.append(value)
            return lambda results, built: results[index]
        if type(value) is Sizes:
            sizes = [self.build(size) for size in value]
            return lambda results, built: flambeau.Size([size(results, built) for size in sizes])
        if isinstance(value, slice) and _holds_numbers(value):
            parts = [self.build(part) for part in _parts(value)]
            return lambda results, built: slice(*[part(results, built) for part in parts])
        if isinstance(value, CONSTANTS) or self._is_reachable(value):
            return lambda results, built: value
        if id(value) in self._builds:
            return self._builds[id(value)]
        if id(value) in self._open:
            raise TypeError(f"the function returns a {type(value).__name__} that contains itself")
        self._open.add(id(value))
        build = self._build_once(id(value), self._container(value) or self._instance(value))
        self._builds[id(value)] = build
        return build

    @staticmethod
    def _build_once(key: int, build: _Build) -> _Build:
        def once(results: Sequence[Any], built: dict[int, Any]) -> Any:
            if key not in built:
                built[key] = build(results, built)
            return built[key]

        return once

    def _container(self, value: Any) -> _Build | None:
        """Return a function that builds a dictionary, list, tuple or set, or None if the value is no such container."""
        cls = type(value)
        if isinstance(value, dict) and cls in (dict, OrderedDict, defaultdict):
            items = [(key, self.build(item)) for key, item in value.items()]
            factory = [value.default_factory] if isinstance(value, defaultdict) else []

            def dictionary(results: Sequence[Any], built: dict[int, Any]) -> Any:
                out: dict[Any, Any] = cls(*factory)
                out.update((key, item(results, built)) for key, item in items)
                return out

            return dictionary
        if cls in _CONTAINERS:
            parts = [self.build(item) for item in value]
            return lambda results, built: cls(part(results, built) for part in parts)
        if isinstance(value, tuple) and hasattr(cls, "_fields"):
            parts = [self.build(item) for item in value]
            return lambda results, built: cls(*[part(results, built) for part in parts])
        return None

    def _instance(self, value: Any) -> _Build:
        cls: Any = type(value)
        is_plain = all(getattr(cls, name) is getattr(object, name) for name in ("__new__", "__reduce_ex__"))
        if not is_plain or isinstance(value, Module | types.FunctionType) or not hasattr(value, "__dict__"):
            raise TypeError(f"the function returns a {cls.__name__}, which is neither a tensor nor a constant")
        attributes = {name: self.build(item) for name, item in vars(value).items()}

        def instance(results: Sequence[Any], built: dict[int, Any]) -> Any:
            out = cls.__new__(cls)
            vars(out).update({name: item(results, built) for name, item in attributes.items()})
            return out

        return instance


def plain_value(value: Any) -> Any:
    """Convert a traced number or shape to a plain one; return other values unchanged."""
    if isinstance(value, Sizes):
        return flambeau.Size([plain(size) for size in value])
    return value.value if type(value) is Number else plain(value) if isinstance(value, TRACED) else value


def plain_result(result: Any, is_reachable: Callable[[Any], bool]) -> Any:
    """Convert the traced numbers in the result of a call to plain ones.

    Objects that the call created are changed in place.
    """
    leaves = pytree.tree_leaves(result)
    for leaf in leaves:
        if not isinstance(leaf, (Tensor, *CONSTANTS)):
            _make_plain(leaf, is_reachable, set())
    return pytree.tree_map(plain_value, result) if any(type(x) in (*TRACED, Sizes) for x in leaves) else result


def _make_plain(value: Any, is_reachable: Callable[[Any], bool], seen: set[int]) -> None:
    """Replace the traced numbers in the attributes and items of an object in place."""
    if isinstance(value, (Tensor, *CONSTANTS)) or id(value) in seen or is_reachable(value):
        return
    seen.add(id(value))
    if isinstance(value, tuple | set):
        entries: list[tuple[Any, Any, Any]] = [(None, None, item) for item in value]
    elif isinstance(value, list):
        entries = [(value, i, item) for i, item in enumerate(value)]
    else:
        contents = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        entries = [(contents, key, item) for key, item in contents.items()]
    for container, key, item in entries:
        if container is not None and type(item) in (*TRACED, Sizes):
            container[key] = plain_value(item)
        else:
            _make_plain(item, is_reachable, seen)
