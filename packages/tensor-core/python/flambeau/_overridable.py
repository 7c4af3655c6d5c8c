"""Python functions that call operators, and whose calls ``__torch_function__`` can handle.

Note [Overridable functions]: an operator itself asks modes and classes with ``__torch_function__`` to handle its call.
A Python function such as ``nn.functional.dropout`` only calls operators. If the function itself also asked modes and
classes, each call would take longer, although few programs define classes with ``__torch_function__``. Therefore, the
functions are registered here, and their code objects are replaced as long as a class or a mode exists that can handle
calls. The replacement asks the class or mode first, and then runs the original code. The handlers receive the function
itself, no matter how a program has imported it. Without handlers, calls have no overhead.

A mode or class with the attribute ``_handles_functions = False`` handles only operators, also those that a function
calls. A class that is not derived from Tensor is known after the first operator has received one of its instances.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, NamedTuple, TypeVar

from flambeau import _core

Function = TypeVar("Function", bound=Callable[..., Any])


class _Overridable(NamedTuple):
    original: FunctionType  # a copy of the function that keeps the original code
    replacement: CodeType


_functions: dict[FunctionType, _Overridable] = {}
_lock = threading.RLock()  # a signal handler may enter a mode during _switch()
_replaced: bool | None = False  # None if only some functions are replaced


def overridable(function: Function) -> Function:
    """Let ``__torch_function__`` handle the calls of a function, and return the function.

    The code of a function with a closure cannot be replaced, because it refers to the closure's variables. For such a
    function, return an object that calls the handlers, if there are any, in every call.
    """
    if not isinstance(function, FunctionType):
        return function
    if function.__closure__ is not None:
        return _core._composite(function, 0)
    return function if function in _functions else _register(function)


def _register(function: Any) -> Any:
    original = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    original.__kwdefaults__ = function.__kwdefaults__
    original.__annotations__ = function.__annotations__
    known = _Overridable(original, _replacement(original, function))
    with _lock:
        _functions[function] = known
        if _replaced is not False:
            _install(function, known, True)
    return function


def original(function: Any) -> Any:
    """Return a function with the original code of an overridable function. Other objects are returned unchanged."""
    known = _functions.get(function) if isinstance(function, FunctionType) else None
    return function if known is None else known.original


def _template(*args: Any, **kwargs: Any) -> Any:
    composite: Any = "composite"
    return composite(*args, **kwargs)


def _replacement(original: FunctionType, function: FunctionType) -> CodeType:
    """Return the code of `_template` with a function that calls the handlers instead of the constant "composite"."""
    composite: Any = _core._composite(original, 0, function)
    constants: Any = tuple(composite if each == "composite" else each for each in _template.__code__.co_consts)
    code = original.__code__
    return _template.__code__.replace(co_consts=constants, co_name=code.co_name, co_qualname=code.co_qualname)


def _install(function: Any, known: _Overridable, replaced: bool) -> None:
    function.__code__ = known.replacement if replaced else known.original.__code__
    if replaced:
        function.__wrapped__ = known.original  # for inspect.signature
    else:
        vars(function).pop("__wrapped__", None)


def _switch() -> None:
    """Replace the code of all functions if a handler exists, otherwise restore the original code."""
    global _replaced
    with _lock:
        while _replaced is not (wanted := _core._functions_are_handled()):  # the result may change during the loop
            _replaced = None  # an exception or a fork may interrupt the loop
            for function, known in _functions.items():
                _install(function, known, wanted)
            _replaced = wanted


def _renew_lock() -> None:
    """Replace the lock in a forked process, because the thread that held the lock does not exist there."""
    global _lock
    _lock = threading.RLock()


_core._watch_function_handlers(_switch)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
