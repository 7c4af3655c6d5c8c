"""Containers of modules: `Sequential`, `ModuleList` and `ModuleDict`."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any, Self, overload

from ._parameters import ParameterDict as ParameterDict, ParameterList as ParameterList
from .module import Module, indent


def _kind(value: object) -> str:
    return type(value).__name__


def _pairs(modules: Iterable[Any]) -> Iterator[tuple[str, Module]]:
    """Yield the pairs of key and module in ``modules``, after a check of each pair."""
    hint = '; write ModuleDict({"name": module})'
    for index, entry in enumerate(modules):
        element = f"ModuleDict update sequence element #{index}"
        if not isinstance(entry, Iterable):
            raise TypeError(f"{element} should be Iterable, but is {_kind(entry)}{hint}")
        if len(pair := tuple(entry)) != 2:
            raise ValueError(f"{element} has length {len(pair)}; 2 is required{hint}")
        yield pair


class _Numbered(Module):
    """Base class of `Sequential` and `ModuleList`, whose submodules have the names "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __contains__(self, module: object) -> bool:
        return any(module is held for held in self)

    def _get_abs_string_index(self, index: int) -> str:
        """Return the name of the module at ``index``. Negative indices count from the end."""
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"index {position} is out of range for {type(self).__name__} of length {len(self)}")
        return list(self._modules)[position]

    def _fill(self, modules: Iterable[Module]) -> None:
        """Replace all submodules with ``modules``, numbered from 0."""
        listed: list[Any] = list(modules)
        for module in listed:
            if not isinstance(module, Module):
                from ._hints import not_a_module

                raise TypeError(not_a_module(module))
        for name in list(self._modules):
            delattr(self, name)
        for position, module in enumerate(listed):
            self.add_module(str(position), module)

    @overload
    def __getitem__(self, idx: int) -> Any: ...

    @overload
    def __getitem__(self, idx: slice) -> Self: ...

    def __getitem__(self, idx: int | slice) -> Any:
        if isinstance(idx, slice):
            return self._slice(idx)
        return self._modules[self._get_abs_string_index(idx)]

    def _slice(self, index: slice) -> Self:
        return type(self)(list(self)[index])

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, self._get_abs_string_index(idx), module)

    def __delitem__(self, idx: int | slice) -> None:
        held = list(self)
        if not isinstance(idx, slice):
            self._get_abs_string_index(idx)
        del held[idx]
        self._fill(held)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        iterable: Any = modules
        if not isinstance(iterable, Iterable):
            name = type(self).__name__
            hint = f"; write {name}([module])" if isinstance(iterable, Module) else ""
            raise TypeError(f"{name}.extend should be called with an iterable, but got {_kind(iterable)}{hint}")
        for module in list(iterable):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Insert a module before the module at ``index``. The indices of the following modules increase by 1."""
        held = list(self)
        held.insert(index, module)
        self._fill(held)
        return self

    def pop(self, index: int = -1) -> Any:
        """Remove and return the module at ``index``. The indices of the following modules decrease by 1."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Iterable[Module]) -> Self:
        return self[:].extend(other)

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


class Sequential(_Numbered):
    """Apply modules one after the other: ``Sequential(a, b)(x)`` is ``b(a(x))``.

    Args: modules, or one dictionary of modules by name.

    A Sequential supports indexing, slicing and the methods of a list.

    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    def _slice(self, index: slice) -> Self:
        return type(self)(dict(list(self._modules.items())[index]))

    def _get_item_by_idx(self, iterator: Iterable[Any], idx: int) -> Any:
        """Return the element of ``iterator``, which has one element per module, at ``idx``. Subclasses call this."""
        position = list(self._modules).index(self._get_abs_string_index(idx))
        return next(islice(iterator, position, None))

    def __mul__(self, times: int) -> Self:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return type(self)(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """List whose items are registered as submodules. It has no ``forward``.

    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        lines = []
        start = 0
        for text, group in groupby(map(repr, self)):
            count = len(list(group))
            entry = f"({start}): {text}" if count == 1 else f"({start}-{start + count - 1}): {count} x {text}"
            lines.append(indent(entry))
            start += count
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """Dictionary whose values are registered as submodules. It has no ``forward``.

    >>> heads = nn.ModuleDict({"class": nn.Linear(4, 10), "box": nn.Linear(4, 2)})
    >>> heads["box"].out_features, "class" in heads
    (2, True)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._modules:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the pairs of name and module."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by name, replacing existing ones."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"ModuleDict.update should be called with an iterable of key/value pairs, but got {_kind(modules)}"
                '; write ModuleDict({"name": module})'
            )
        for key, module in modules.items() if isinstance(modules, (Mapping, ModuleDict)) else _pairs(modules):
            self[key] = module

    def pop(self, key: str) -> Any:
        """Remove the module named ``key`` and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Remove all modules."""
        for key in list(self):
            del self[key]


class Container(Module):
    """Module with the given submodules. Deprecated: subclass `Module` instead. See `Module`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        warnings.warn(
            "nn.Container is deprecated. All of its functionality is now implemented in nn.Module. Subclass that "
            "instead.",
            stacklevel=2,
        )
        for name, module in kwargs.items():
            self.add_module(name, module)
