"""A call of a module with the hooks around it, its own and those of every module."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ._hooks import EVERYWHERE, Hook, Hooks, hooks_everywhere

if TYPE_CHECKING:
    from ._calls import Caller


def call_with_hooks(module: Caller, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``module.forward`` between its hooks and those of every module."""
    hooks = hooks_everywhere().before(module._hooks) if EVERYWHERE else module._own_hooks()
    pending = dict(hooks.forward)
    result = None
    try:
        args, kwargs = _run_pre_hooks(module, hooks, args, kwargs)
        boundary = None
        if hooks.backward or hooks.backward_pre:
            from ._backward_hooks import Boundary

            boundary = Boundary(module, tuple(hooks.backward_pre.values()), tuple(hooks.backward.values()))
            args = boundary.watch_inputs(args)
        result = module.forward(*args, **kwargs)
        for identity, hook in hooks.forward.copy().items():
            pending.pop(identity, None)
            result = _run_forward_hook(module, hook, hooks.with_kwargs[identity], args, kwargs, result)
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
        if not hooks.with_kwargs[identity]:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
            continue
        replaced = hook(module, args, kwargs)
        if replaced is None:
            continue
        if not (isinstance(replaced, tuple) and len(replaced) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
            )
        args, kwargs = replaced
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
        if hooks.always_call[identity]:
            try:
                result = _run_forward_hook(module, hook, hooks.with_kwargs[identity], args, kwargs, result)
            except Exception as error:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
                    f"error was raised in forward: {error}",
                    stacklevel=4,
                )
