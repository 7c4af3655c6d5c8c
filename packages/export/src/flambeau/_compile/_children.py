"""Compile the modules that an uncompiled function calls.

Note [Children]
If no program can represent a function, it runs in Python, and each module that it calls is compiled separately. If a
module cannot be captured either, the modules that it calls are compiled instead. Hooks of these modules run in Python,
before and after the programs of their ``forward``. A program of a few operators takes less time than the check of its
guards and is not used. If all programs are that small, the function runs without compiled modules.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flambeau._naming import own_module
from flambeau.nn import Module
from flambeau.nn.modules._hooks import calling_forward_by

from ._guards import Compiled, Snapshot, UnguardedError

if TYPE_CHECKING:
    from ._custom_backend import CustomBackend
    from ._function import Programs


TRIALS = {4, 8, 16, 32, 64}  # numbers of calls after which `do_not_pay` is evaluated


class Children:
    """Modules that a function can reach, with their programs.

    Args:
        function: a function or module that runs uncompiled.
        all_sizes, backend: see `Programs`.
    Attributes:
        do_not_pay: True if all programs of the modules are so small that checking their guards takes longer.
    """

    def __init__(self, function: Callable[..., Any], all_sizes: bool, backend: CustomBackend | None) -> None:
        self._root, self._all_sizes, self._backend = function, all_sizes, backend
        self._reachable: set[int] | None = None
        self._programs: dict[int, Programs] = {}
        self._calls = 0
        self.do_not_pay = False

    @property
    def programs(self) -> list[Programs]:
        """The programs of the modules that were called."""
        return list(self._programs.values())

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function, and compile the modules that it calls."""
        if self._reachable is None:
            self._reachable = _modules(self._root)
        if function is self._root:
            self._calls += 1
            if self._calls in TRIALS:
                self.do_not_pay = all(programs.do_not_pay for programs in self.programs)
        if not self._reachable or self.do_not_pay:
            return function(*args, **kwargs)
        with calling_forward_by(self._forward):
            return function(*args, **kwargs)

    def _forward(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the compiled ``forward`` of a submodule, or the original one if compilation is impossible or slower."""
        programs = self._programs.get(id(module))
        if programs is not None and programs.__wrapped__ != module.forward:  # the method was replaced
            del self._programs[id(module)]
            programs = None
        if programs is None:
            if module is self._root or id(module) not in (self._reachable or ()) or _is_operator(module):
                return module.forward(*args, **kwargs)
            if isinstance(vars(module).get("forward"), Compiled):  # compiled by `Module.compile`
                with calling_forward_by(None):
                    return module.forward(*args, **kwargs)
            programs = self._programs_of(module)
        if programs.do_not_pay:
            return module.forward(*args, **kwargs)  # the modules that this module calls are still compiled
        with calling_forward_by(None):
            return programs(*args, **kwargs)

    def _programs_of(self, module: Module) -> Programs:
        from ._function import Programs

        name, backend = type(module).__name__, copy.copy(self._backend)
        programs = Programs(module.forward, False, name, self._all_sizes, self, backend)
        return self._programs.setdefault(id(module), programs)


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
