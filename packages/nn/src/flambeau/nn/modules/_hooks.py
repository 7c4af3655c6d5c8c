"""Hooks that run before and after a call of a module: tables of hooks, and the call that runs them.

Note [Hooks]: for a module without hooks, a call only makes two checks: ``_hooks`` is None until the module's first hook
is registered, and `GLOBAL_HOOKS` is empty until the first global hook is registered. Otherwise `call_with_hooks` runs
the global hooks and then the hooks of the module. For backward hooks, `call_with_hooks` imports `_backward_hooks`,
which watches the gradients at the inputs and outputs of the module.

`calling_forward_by` replaces the call of ``forward`` between the hooks. While one of these contexts is active,
`GLOBAL_HOOKS` is not empty, so that `call_with_hooks` handles every call.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flambeau.utils.hooks import RemovableHandle, new_handle, replaced_arguments

if TYPE_CHECKING:
    from ._calls import Caller

Hook = Callable[..., Any]


class Hooks:
    """Tables of hooks, in the order in which the hooks run, and their options. The keys are the ids of the handles."""

    def __init__(self) -> None:
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()
        # Hooks of the last operation, from `register_backward_hook`.
        self.node: OrderedDict[int, Hook] = OrderedDict()
        # A table of an option contains True for each hook that has the option.
        self.with_kwargs: dict[int, bool] = {}
        self.always_call: dict[int, bool] = {}

    def add_forward_pre(self, hook: Hook, prepend: bool, with_kwargs: bool) -> RemovableHandle:
        handle = new_handle(self.forward_pre, hook, prepend)
        if with_kwargs:
            self.with_kwargs[handle.id] = True
        return handle

    def add_forward(self, hook: Hook, prepend: bool, with_kwargs: bool, always_call: bool) -> RemovableHandle:
        handle = new_handle(self.forward, hook, prepend)
        if with_kwargs:
            self.with_kwargs[handle.id] = True
        if always_call:
            self.always_call[handle.id] = True
        return handle

    @property
    def full_or_node(self) -> OrderedDict[int, Hook]:
        """The table of backward hooks that is not empty; a module cannot have hooks in both tables."""
        return self.node or self.backward

    @full_or_node.setter
    def full_or_node(self, table: OrderedDict[int, Hook]) -> None:
        self.backward, self.node = table, OrderedDict()

    def registered(self) -> bool:
        """Return True if any hook is registered. Options are not checked, because options of removed hooks remain."""
        return any((self.forward_pre, self.forward, self.backward_pre, self.backward, self.node))

    def options(self, option: str, kind: str) -> dict[int, bool]:
        """Return ``{handle id: True}`` for each hook in the table ``kind`` that has the ``option``."""
        chosen = getattr(self, option)
        return {identity: True for identity in getattr(self, kind) if identity in chosen}

    def before(self, others: Hooks | None) -> Hooks:
        """Return new tables with these hooks followed by ``others``."""
        both = Hooks()
        for name, table in vars(self).items():
            vars(both)[name].update(table)
            vars(both)[name].update(getattr(others, name, {}))
        return both


# The global hooks, which run for every module. `GLOBAL_HOOKS` is empty, or contains `OF_ALL_MODULES` as its only item.
OF_ALL_MODULES = Hooks()
GLOBAL_HOOKS: list[Hooks] = []


def hooks_everywhere() -> Hooks:
    """Return the tables of global hooks, to which the caller may add a hook. From then on, every call checks them."""
    if not GLOBAL_HOOKS:
        GLOBAL_HOOKS.append(OF_ALL_MODULES)
    return OF_ALL_MODULES


def hook_table(hooks_of: Callable[[Any], Hooks], name: str) -> Any:
    """Return a property that reads and replaces the table ``name`` of ``hooks_of(owner)``."""

    def read(owner: Any) -> OrderedDict[int, Hook]:
        table: OrderedDict[int, Hook] = getattr(hooks_of(owner), name)
        return table

    return property(read, lambda owner, table: setattr(hooks_of(owner), name, table))


def _table_everywhere(name: str) -> Any:
    return hook_table(lambda module: hooks_everywhere(), name)


class ModuleWithHookTables(ModuleType):
    """Type of the Python module ``nn.modules.module``, which has the global hook tables under PyTorch's names."""

    _global_forward_pre_hooks = _table_everywhere("forward_pre")
    _global_forward_hooks = _table_everywhere("forward")
    _global_backward_pre_hooks = _table_everywhere("backward_pre")
    _global_backward_hooks = _table_everywhere("full_or_node")


ForwardCall = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


class _Thread(threading.local):
    call: ForwardCall | None = None


_thread = _Thread()
_lock = threading.Lock()
_uses = 0  # number of active `calling_forward_by` contexts in all threads


class calling_forward_by:
    """Context in which ``call(module, args, kwargs)`` replaces the ``forward`` of each module in this thread."""

    __slots__ = ("_call", "_former")

    def __init__(self, call: ForwardCall | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        global _uses
        self._former, _thread.call = _thread.call, self._call
        with _lock:
            _uses += 1
            hooks_everywhere()

    def __exit__(self, *_: object) -> None:
        global _uses
        _thread.call = self._former
        with _lock:
            _uses -= 1
            if _uses == 0 and not OF_ALL_MODULES.registered():
                GLOBAL_HOOKS.clear()


def _forward(module: Caller, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = _thread.call
    return module.forward(*args, **kwargs) if call is None else call(module, args, kwargs)


def call_with_hooks(module: Caller, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call ``module.forward``; run the global hooks and the module's own hooks before and after it."""
    if module._hooks is None and not OF_ALL_MODULES.registered():
        return _forward(module, args, kwargs)
    hooks = hooks_everywhere().before(module._hooks) if GLOBAL_HOOKS else module._own_hooks()
    pending = dict(hooks.forward)
    result = None
    try:
        args, kwargs = _run_pre_hooks(module, hooks, args, kwargs)
        boundary = None
        if hooks.backward or hooks.backward_pre:
            from ._backward_hooks import Boundary

            boundary = Boundary(module, tuple(hooks.backward_pre.values()), tuple(hooks.backward.values()))
            args = boundary.watch_inputs(args)
        result = _forward(module, args, kwargs)
        for identity, hook in hooks.forward.copy().items():
            pending.pop(identity, None)
            result = _run_forward_hook(module, hook, identity in hooks.with_kwargs, args, kwargs, result)
        if hooks.node:
            from ._backward_hooks import watch_last_operation

            watch_last_operation(module, result, tuple(hooks.node.values()))
        return result if boundary is None else boundary.watch_outputs(result)
    except Exception:
        _run_always_called(module, hooks, pending, args, kwargs, result)
        raise


def _run_pre_hooks(
    module: Caller, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for identity, hook in tuple(hooks.forward_pre.items()):
        if identity not in hooks.with_kwargs:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
            continue
        args, kwargs = replaced_arguments("forward pre-hook", hook(module, args, kwargs), args, kwargs)
    return args, kwargs


def _run_forward_hook(
    module: Caller, hook: Hook, with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    replaced = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
    return result if replaced is None else replaced


def _run_always_called(
    module: Caller, hooks: Hooks, pending: dict[int, Hook], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> None:
    for identity, hook in pending.items():
        if identity in hooks.always_call:
            try:
                result = _run_forward_hook(module, hook, identity in hooks.with_kwargs, args, kwargs, result)
            except Exception as error:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
                    f"error was raised in forward: {error}",
                    stacklevel=4,
                )
