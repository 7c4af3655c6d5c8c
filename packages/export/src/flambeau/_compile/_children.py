"""Compilation of the modules that an uncompiled function calls.

Note [Children]
If no program can represent a function, it runs in Python, and each module that it calls is compiled by itself, down to
modules that can be captured. Hooks of these modules run in Python, around the programs of their ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flambeau._naming import own_module
from flambeau.nn import Module
from flambeau.nn.modules._hooks import calling_forward_by

from ._guards import Compiled, Snapshot, UnguardedError

if TYPE_CHECKING:
    from ._function import Programs


class Children:
    """The modules that a function can reach, each with its own programs.

    Args:
        function: a function or module that runs uncompiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
        self._reachable: set[int] | None = None
        self._programs: dict[int, Programs] = {}

    @property
    def programs(self) -> list[Programs]:
        """The programs of the modules that were called, and of their children."""
        return [p for programs in list(self._programs.values()) for p in (programs, *programs.of_children)]

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function, and compile the modules that it calls."""
        if self._reachable is None:
            self._reachable = _modules(self._function)
        if not self._reachable:
            return self._function(*args, **kwargs)
        with calling_forward_by(self._forward):
            return self._function(*args, **kwargs)

    def _forward(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if module is self._owner or id(module) not in (self._reachable or ()) or _is_operator(module):
            return module.forward(*args, **kwargs)
        programs = self._programs.get(id(module))
        with calling_forward_by(None):
            if programs is None:
                forward: Any = module.forward
                if isinstance(forward, Compiled):  # by `Module.compile`
                    return module.forward(*args, **kwargs)
                from ._function import Programs

                programs = Programs(forward, False, type(module).__name__)
                programs = self._programs.setdefault(id(module), programs)
            return programs(*args, **kwargs)


def _modules(function: Callable[..., Any]) -> set[int]:
    """Return the ids of the modules that a function can reach; the function keeps them alive."""
    if isinstance(function, Module):
        return {id(module) for module in function.modules()}
    try:
        return Snapshot({"function": function}).modules
    except UnguardedError:
        return set()


def _is_operator(module: Module) -> bool:
    """Return True for layers such as `Linear`, which gain nothing from compilation."""
    return own_module(type(module)).startswith("flambeau.nn.") and not module._modules
