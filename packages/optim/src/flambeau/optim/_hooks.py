"""Hooks that run before and after a step of an optimizer, and before and after its state is saved or loaded."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import Any

from flambeau.utils.hooks import Hooks, RemovableHandle, new_handle, replaced_arguments

STEP_PRE_HOOKS: Hooks = OrderedDict()  # the hooks of all optimizers
STEP_POST_HOOKS: Hooks = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer.

    Args:
        hook: the function. The first element of ``args`` is also the optimizer. If the hook returns a pair, the pair
            replaces ``args`` and ``kwargs``.
    Returns: a handle that removes the hook.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)])
    >>> with register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("before a step")):
    ...     optimizer.step()
    before a step
    """
    return new_handle(STEP_PRE_HOOKS, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer.

    Args:
        hook: the function. The first element of ``args`` is also the optimizer.
    Returns: a handle that removes the hook.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)])
    >>> with register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("after a step")):
    ...     optimizer.step()
    after a step
    """
    return new_handle(STEP_POST_HOOKS, hook)


class Hooked:
    """Base class with the hooks of one optimizer.

    The first registration of a hook creates the dictionaries of hooks, because some subclasses do not
    call ``super().__init__()``.
    """

    _read_globals = (STEP_PRE_HOOKS, STEP_POST_HOOKS)  # see Note [Guards] in flambeau._compile
    _stepped = False  # a scheduler warns if it steps before the optimizer
    _stepping = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        step = getattr(cls, "step", None)  # another base class may define the step
        if isinstance(step, FunctionType) and not hasattr(step, "hooked"):
            cls.step = with_hooks(step)  # type: ignore[attr-defined]

    def _patch_step_function(self) -> None:
        """Do nothing, because every step already runs the hooks. Optimizers of other packages call this method."""

    def _accelerator_graph_capture_health_check(self) -> None:
        """Do nothing: steps do not depend on ``capturable``. Optimizers of other packages call this method."""

    _cuda_graph_capture_health_check = _accelerator_graph_capture_health_check  # the name in older versions of PyTorch

    def _table(self, kind: str) -> Hooks:
        tables: dict[str, Hooks] = vars(self).setdefault("_hooks", {})
        return tables.setdefault(kind, OrderedDict())

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before a step.

        The first element of ``args`` is also the optimizer. If the hook returns a pair, the pair replaces ``args`` and
        ``kwargs``.
        """
        return new_handle(self._table("step_pre"), hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after a step."""
        return new_handle(self._table("step_post"), hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before ``state_dict()``."""
        return new_handle(self._table("state_dict_pre"), hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after ``state_dict()``. A returned dictionary replaces the result."""
        return new_handle(self._table("state_dict_post"), hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading. A dictionary that the hook returns is loaded instead."""
        return new_handle(self._table("load_state_dict_pre"), hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after ``load_state_dict()``."""
        return new_handle(self._table("load_state_dict_post"), hook, prepend)

    def _call_hooks(self, kind: str) -> None:
        for hook in list(self._table(kind).values()):
            hook(self)

    def _filter_through_hooks(self, kind: str, value: Any) -> Any:
        for hook in list(self._table(kind).values()):
            changed = hook(self, value)
            value = value if changed is None else changed
        return value


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that also runs the hooks. If a step calls another step, the hooks run only once."""

    @functools.wraps(step)
    def hooked(self: Hooked, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        self._stepped = self._stepping = True
        try:
            own = vars(self).get("_hooks")
            if not (own or STEP_PRE_HOOKS or STEP_POST_HOOKS):
                return step(self, *args, **kwargs)
            arguments, kwargs = _after_pre_hooks(self, (self, *args), kwargs)
            result = step(*arguments, **kwargs)
            for hook in (*self._table("step_post").values(), *STEP_POST_HOOKS.values()):
                hook(self, arguments, kwargs)
            return result
        finally:
            self._stepping = False

    hooked.hooked = True  # type: ignore[attr-defined]
    return hooked


def _after_pre_hooks(
    optimizer: Hooked, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Run the pre-hooks. Return the arguments of the step, which the hooks may have replaced."""
    for hook in (*STEP_PRE_HOOKS.values(), *optimizer._table("step_pre").values()):
        args, kwargs = replaced_arguments("a step pre hook", hook(optimizer, args, kwargs), args, kwargs)
    return args, kwargs
