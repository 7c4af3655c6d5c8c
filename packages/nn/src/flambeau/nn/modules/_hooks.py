"""The tables of functions that run around a module's forward and backward passes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from flambeau.utils.hooks import RemovableHandle, new_handle

Hook = Callable[..., Any]


class Hooks:
    """The tables of hooks around calls, in the order in which they run, and which of them want more than others."""

    def __init__(self) -> None:
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()
        # Of the last operation: what `register_backward_hook` registers.
        self.node: OrderedDict[int, Hook] = OrderedDict()
        self.with_kwargs: dict[int, bool] = {}
        self.always_call: dict[int, bool] = {}

    def add_forward_pre(self, hook: Hook, prepend: bool, with_kwargs: bool) -> RemovableHandle:
        handle = new_handle(self.forward_pre, hook, prepend)
        self.with_kwargs[handle.id] = with_kwargs
        return handle

    def add_forward(self, hook: Hook, prepend: bool, with_kwargs: bool, always_call: bool) -> RemovableHandle:
        handle = new_handle(self.forward, hook, prepend)
        self.with_kwargs[handle.id], self.always_call[handle.id] = with_kwargs, always_call
        return handle

    def registered(self) -> bool:
        """Whether there is a hook; what was said of those that are gone does not count."""
        return any((self.forward_pre, self.forward, self.backward_pre, self.backward, self.node))

    def before(self, others: Hooks | None) -> Hooks:
        """All hooks, these first."""
        both = Hooks()
        for name, table in vars(self).items():
            vars(both)[name].update(table)
            vars(both)[name].update(getattr(others, name, {}))
        return both


# The hooks of every module; empty as long as none was registered.
EVERYWHERE: list[Hooks] = []


def hooks_everywhere() -> Hooks:
    """The hooks of every module."""
    if not EVERYWHERE:
        EVERYWHERE.append(Hooks())
    return EVERYWHERE[0]
