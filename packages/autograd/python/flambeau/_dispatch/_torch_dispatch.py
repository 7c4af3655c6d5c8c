"""Calls of the method ``__torch_dispatch__`` of modes and classes. Note [Dispatch]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import Tensor, _core

_pop, _push, _innermost = _core._pop_dispatch_mode, _core._push_dispatch_mode, _core._dispatch_mode
_holds_instance = _core._holds_instance


def call_handlers(overload: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of the innermost mode or, if no mode is active, the result of the arguments' classes."""
    mode = _innermost()
    if _holds_instance(args) or (kwargs and _holds_instance(list(kwargs.values()))):
        instances = _instances(args, kwargs)
        types: tuple[type, ...] = tuple(map(type, instances))
        if mode is None or any(getattr(kind, "called_before_modes", False) for kind in types):
            return call_classes(overload, types, args, kwargs)
    else:
        types = ()
        if mode is None:
            return overload(*args, **kwargs)
    result = _call_mode(mode, overload, types, args, kwargs)
    if result is NotImplemented:
        return call_classes(overload, types, args, kwargs)
    return result


def _call_mode(mode: Any, overload: Any, types: tuple[type, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a mode. The mode is inactive while its method runs."""
    _pop()
    try:
        if overload.dispatch_rules is not None and type(mode) in overload.dispatch_rules:
            return overload.dispatch_rules[type(mode)](mode, overload, types, args, kwargs)
        return mode.__torch_dispatch__(overload, types, args, kwargs)
    finally:
        _push(mode)


def call_classes(overload: Any, types: tuple[type, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the first result of the classes that is not NotImplemented. Raises: TypeError if no class returns one."""
    for kind in types:
        if overload.dispatch_rules is not None and kind in overload.dispatch_rules:
            result = overload.dispatch_rules[kind](kind, overload, types, args, kwargs)
        else:
            result = kind.__torch_dispatch__(overload, types, args, kwargs)  # type: ignore[attr-defined]
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"Multiple dispatch failed for '{overload}'; all __torch_dispatch__ handlers returned NotImplemented:\n\n"
        + "\n".join(f"  - tensor subclass {kind}" for kind in types)
    )


def _instances(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return one argument of each class with ``__torch_dispatch__``, from left to right, subclasses before bases."""
    instances: list[Any] = []
    for value in tensors_of((*args, *kwargs.values()) if kwargs else args):
        kind = type(value)
        if kind is Tensor or not _core._is_dispatching_class(kind) or any(type(each) is kind for each in instances):
            continue
        before = [i for i, other in enumerate(instances) if issubclass(kind, type(other))]
        instances.insert(before[0] if before else len(instances), value)
    return instances


def tensors_of(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among values, including those in nested lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif type(value) is list or type(value) is tuple:
            yield from tensors_of(value)
