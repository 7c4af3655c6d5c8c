"""Registries of a module's parameters, buffers and submodules, which are synchronised with its attributes.

Note [Registries]: PyTorch keeps registered values in three dictionaries and finds ``self.weight`` in ``__getattr__``,
which Python calls after the usual lookup failed. Reading a registered value is therefore several times as slow as
reading an attribute. Other attributes are also slower, because Python has no fast path for classes with
``__getattr__``. A call of a small layer reads several attributes. In flambeau, every registered value is also an
ordinary instance attribute, and `Module` has no ``__getattr__``. Each value is therefore stored twice. The following
parts keep the dictionaries and the attributes in sync:

- ``__setattr__``, ``__delattr__`` and the ``register_*`` methods of `Tree` write to both;
- `Registry` is the type of the three dictionaries, because programs write to them (``model._modules["head"] = other``).
  Its reference to the module is weak, so that a module is freed when the last reference to the module is deleted,
  without the garbage collector;
- registries are copied and pickled as dictionaries, and ``__setstate__`` makes them registries of the new module.

Note [Reading through]: a user's class may define a ``__getattr__`` that calls ``super().__getattr__``, or it may call
``self.__getattr__(name)``. It expects that Python calls ``__getattr__`` for every read of a registered value, and that
a base class has this method. A class may also define a ``__setattr__`` that itself registers values, or that replaces a
registry with an ordinary dictionary. These classes get `ReadThrough` as their last base and keep registered values only
in the registries, as in PyTorch. Other classes are not affected. `read_through` recognises these classes by the names
and strings in the code of their methods.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any, Self

from flambeau._suggestions import unknown_attribute

_REGISTRIES = ("_parameters", "_buffers", "_modules")


class Registry(dict[str, Any]):
    """Dictionary whose entries are also attributes of its module: see Note [Registries]."""

    __slots__ = ("_owner",)

    _stands_for = dict  # pytrees treat a registry as a dictionary
    _owner: weakref.ref[Any]

    @classmethod
    def of(cls, owner: Any, entries: Mapping[str, Any]) -> Self:
        """Return a registry of a module that already has these entries as attributes."""
        registry = cls(entries)
        registry._owner = weakref.ref(owner)
        return registry

    def _attributes(self) -> dict[str, Any]:
        owner = self._owner()
        return {} if owner is None or owner._reads_through else vars(owner)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._attributes()[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._attributes().pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        """Remove an entry and return its value."""
        if name in self:
            self._attributes().pop(name, None)
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """Remove the last entry and return its name and value."""
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        """Remove all entries."""
        for name in list(self):
            del self[name]

    def update(self, *entries: Any, **named: Any) -> None:
        """Add or replace entries."""
        for name, value in dict(*entries, **named).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the entry ``name``. If it does not exist, add it with the value ``default`` first."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class ReadThrough:
    """Base of module classes that read registered values through ``__getattr__``: see Note [Reading through]."""

    def __getattr__(self, name: str) -> Any:
        for registry in _REGISTRIES:
            if name in (entries := vars(self).get(registry, {})):
                return entries[name]
        raise unknown_attribute(self, name)


def read_through(cls: Any) -> None:
    """Add `ReadThrough` to the bases of a class if a method of the class needs it: see Note [Reading through]."""
    if not cls._reads_through and (_names_getattr(cls) or _registers_by_itself(cls)):
        cls.__bases__ = (*cls.__bases__, ReadThrough)
        cls._reads_through = True


def _names_getattr(cls: type) -> bool:
    functions = [each for each in vars(cls).values() if isinstance(each, FunctionType)]
    return any("__getattr__" in each.__code__.co_names for each in functions)


def _registers_by_itself(cls: type) -> bool:
    setter = vars(cls).get("__setattr__")
    return isinstance(setter, FunctionType) and not _words(setter.__code__).isdisjoint(_REGISTRIES)


def _words(code: CodeType) -> set[Any]:
    """Return the names and strings in the code of a function and of the functions that it defines."""
    nested = [each for each in code.co_consts if isinstance(each, CodeType)]
    strings = [each for each in code.co_consts if isinstance(each, str)]
    return {*code.co_names, *strings}.union(*map(_words, nested))
