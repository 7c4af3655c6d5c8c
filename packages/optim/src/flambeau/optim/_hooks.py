"""Functions that are called around an optimizer's step and around the saving and loading of its state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

Hooks = OrderedDict[int, Callable[..., Any]]
STEP_PRE_HOOKS: Hooks = OrderedDict()  # of all optimizers
STEP_POST_HOOKS: Hooks = OrderedDict()
_KINDS = ("step_pre", "step_post", "state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post")


class RemovableHandle:
    """Takes a hook off again: ``remove()``, or the end of a ``with`` block."""

    _next = 0

    def __init__(self, hooks: Hooks) -> None:
        RemovableHandle._next += 1
        self.id, self._hooks = RemovableHandle._next, hooks

    def remove(self) -> None:
        """Take the hook off; once more does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def _add(hooks: Hooks, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer."""
    return _add(STEP_PRE_HOOKS, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    return _add(STEP_POST_HOOKS, hook)


class Hooked:
    """An optimizer's own hooks."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hooks] = {kind: OrderedDict() for kind in _KINDS}

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before a step; a pair it returns replaces both."""
        return _add(self._hooks["step_pre"], hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after a step."""
        return _add(self._hooks["step_post"], hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before ``state_dict()``."""
        return _add(self._hooks["state_dict_pre"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after ``state_dict()``; what it returns, if anything, is returned."""
        return _add(self._hooks["state_dict_post"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; what it returns, if anything, is loaded."""
        return _add(self._hooks["load_state_dict_pre"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return _add(self._hooks["load_state_dict_post"], hook, prepend)

    def _call_hooks(self, kind: str) -> None:
        for hook in list(self._hooks[kind].values()):
            hook(self)

    def _replaced(self, kind: str, value: Any) -> Any:
        for hook in list(self._hooks[kind].values()):
            changed = hook(self, value)
            value = value if changed is None else changed
        return value
