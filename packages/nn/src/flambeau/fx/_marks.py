"""Functions that a program marks as leaves. This module loads nothing else, so that marking costs nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound="str | Callable[..., Any]")

# What `wrap` was asked for: the variables of a module, by their id and the name of the function.
wrapped: dict[tuple[int, str], dict[str, Any]] = {}


def wrap(fn_or_name: F) -> F:
    """Let calls of a function become nodes, which are not traced into; at the top of a module, also as a decorator.

    Args:
        fn_or_name: the function, or the name of one that the module's code calls, such as ``"len"``.
    Raises: NotImplementedError where it is called in a function; RuntimeError for what is neither.

    >>> from flambeau import fx
    >>> fx.wrap("len")
    'len'
    >>> [node.name for node in fx.symbolic_trace(lambda x: x * len(x)).graph.nodes]
    ['x', 'len_1', 'mul', 'output']
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    if caller is None or caller.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    wrapped[id(caller.f_globals), name] = caller.f_globals
    return fn_or_name
