"""Functions that `flambeau.fx` does not trace into. Marking a function with `wrap` does not import fx."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound="str | Callable[..., Any]")

# For each marked function: the global variables of the module that marked it. The key is their id and the function's
# name.
wrapped: dict[tuple[int, str], dict[str, Any]] = {}


def wrap(fn_or_name: F) -> F:
    """Mark a function, so that tracing records each of its calls as one node and does not trace into the function.

    Call ``wrap`` at the top level of a module, or use it as a decorator.

    Args:
        fn_or_name: the function, or the name of a function that the code of the module calls, such as ``"len"``.
    Returns: the argument.
    Raises: NotImplementedError if ``wrap`` is called inside a function; RuntimeError if the argument is neither a
        function nor a name.

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
