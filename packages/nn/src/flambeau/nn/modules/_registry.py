"""A module's registry of parameters, buffers or submodules: a dictionary that keeps the attributes in step."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Self


class Registry(dict[str, Any]):
    """What is put into it and taken out of it is an attribute of its module, too: see Note [Registries].

    Not of one that reads through ``__getattr__``: see Note [Reading through].

    Programs write ``model._modules["head"] = other``, and would else go on with the old one.
    """

    __slots__ = ("_owner",)

    _owner: weakref.ref[Any]

    @classmethod
    def of(cls, owner: Any, entries: Mapping[str, Any]) -> Self:
        """A registry of a module that has these entries, which are its attributes already."""
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
        """Take an entry out."""
        if name in self:
            self._attributes().pop(name, None)
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """Take the last entry out."""
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        """Take all entries out."""
        for name in list(self):
            del self[name]

    def update(self, *entries: Any, **named: Any) -> None:
        """Put entries in."""
        for name, value in dict(*entries, **named).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The entry of that name, put in where there was none."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
