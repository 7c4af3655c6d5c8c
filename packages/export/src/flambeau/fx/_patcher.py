"""Private names of ``torch.fx._symbolic_trace`` that custom `Tracer.trace` methods of libraries use.

flambeau's tracer does not use them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

from flambeau.nn import Module

from ._functions import ProxyDispatchMode
from ._patches import _wrapper, marked_functions

_orig_module_call = Module.__call__
_orig_module_getattr = getattr


class ScriptObject:
    """Class for ``isinstance`` checks for TorchScript objects. flambeau has no instances of it."""


class _Patcher:
    """Context in which functions and methods are replaced, and in which functions of flambeau become nodes."""

    def __init__(self) -> None:
        self._context = ExitStack()
        self._visited: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._context.enter_context(ProxyDispatchMode())
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def patch(
        self, frame_dict: dict[str, Any], name: str, new_fn: Callable[..., Any], deduplicate: bool = True
    ) -> None:
        """Replace a global variable. If ``deduplicate`` is True, later calls do not replace ``new_fn``."""
        former = frame_dict[name] if name in frame_dict else getattr(builtins, name)
        if self._claim(former, new_fn, deduplicate):
            undo = (frame_dict.__setitem__, name, former) if name in frame_dict else (frame_dict.pop, name, None)
            self._context.callback(*undo)
            frame_dict[name] = new_fn

    def patch_method(self, cls: type, name: str, new_fn: Callable[..., Any], deduplicate: bool = True) -> None:
        """Replace a method if the class has it. In flambeau, for example, `Module` has no ``__getattr__``."""
        if hasattr(cls, name) and self._claim(getattr(cls, name), new_fn, deduplicate):
            undo = (setattr, cls, name, vars(cls)[name]) if name in vars(cls) else (delattr, cls, name)
            self._context.callback(*undo)
            setattr(cls, name, new_fn)

    def _claim(self, former: Any, new_fn: Any, deduplicate: bool) -> bool:
        new_fn.__fx_already_patched = deduplicate
        return not getattr(former, "__fx_already_patched", False)

    def visit_once(self, thing: object) -> bool:
        """Return True at the first call for an object."""
        is_new = id(thing) not in self._visited
        self._visited[id(thing)] = thing  # the reference keeps the object alive, so that its id stays unique
        return is_new


def _autowrap_check(patcher: _Patcher, frame_dict: dict[str, Any], function_ids: set[int]) -> None:
    """Wrap the functions with these ids in the global variables ``frame_dict``, so that their calls become nodes."""
    if patcher.visit_once(frame_dict):
        for name, value in list(frame_dict.items()):
            if not name.startswith("_") and callable(value) and id(value) in function_ids:
                patcher.patch(frame_dict, name, _wrapper(value))


def _patch_wrapped_functions(patcher: _Patcher) -> None:
    """Wrap the functions that `wrap` has marked, so that their calls become nodes."""
    for variables, name, function in marked_functions():
        patcher.patch(variables, name, _wrapper(function))
