"""Functions that `flambeau.fx` does not trace into. They are marked here, so that marking does not load fx."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound="str | Callable[..., Any]")

# The variables of the module that marked a function, by their id and the function's name.
wrapped: dict[tuple[int, str], dict[str, Any]] = {}


def wrap(fn_or_name: F) -> F:
    """Mark a function whose calls become nodes of a graph. Call it at the top of a module, or use it as a decorator.

    Args:
        fn_or_name: the function, or the name of one that the module's code calls, such as ``"len"``.
    Returns: the argument.
    Raises: NotImplementedError if it is called in a function; RuntimeError if the argument is neither a function nor a
        name.

    >>> @fb.fx.wrap
    ... def positive(x):
    ...     return x if x.sum() > 0 else -x
    >>> traced = fb.fx.symbolic_trace(lambda x: positive(x) + 1)
    >>> [node.name for node in traced.graph.nodes]
    ['x', 'positive', 'add', 'output']
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name, got "
            f"{type(fn_or_name).__name__}"
        )
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    if caller is None or caller.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    wrapped[id(caller.f_globals), name] = caller.f_globals
    return fn_or_name
