"""Patches that are active during tracing: calls and attributes of modules, and wrapped functions.

Note [Traced modules]: while any thread traces, ``Module.__call__`` and ``Module.__getattribute__`` are replaced by
functions that call the tracer, which can replace parameters, buffers and submodules. In other threads these functions
behave like the original functions. After tracing, the original functions are restored, so that `Module` has no
overhead.
"""

from __future__ import annotations

import builtins
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flambeau import Tensor
from flambeau.nn import Module
from flambeau.nn._leaf_functions import wrapped

from ._functions import ProxyDispatchMode, find_proxy

if TYPE_CHECKING:
    from ._symbolic_trace import Tracer
    from .proxy import Proxy

_call = Module.__call__
_read = object.__getattribute__
_lock = threading.RLock()
_traces: list[tuple[int, Callable[..., Any], Callable[..., Any]]] = []  # thread, call hook, attribute hook


def _traced_call(self: Module, *args: Any, **kwargs: Any) -> Any:
    own = _own_trace()
    return _call(self, *args, **kwargs) if own is None else own[1](self, args, kwargs)


def _traced_read(self: Module, name: str) -> Any:
    value = _read(self, name)
    if isinstance(value, (Tensor, Module)) and (own := _own_trace()) is not None:
        variables = _read(self, "__dict__")
        if any(name in variables.get(registry, ()) for registry in ("_parameters", "_buffers", "_modules")):
            return own[2](name, value)
    return value


def _own_trace() -> Any:
    """Return the innermost trace of this thread, or None."""
    me = threading.get_ident()
    return next((trace for trace in reversed(_traces) if trace[0] == me), None)


class _PatchedGlobals:
    """Global variables that are replaced with wrappers, for one trace."""

    def __init__(self, tracer: Tracer) -> None:
        self._autowrapped = tracer._autowrap_function_ids
        self._originals: list[tuple[dict[str, Any], str, bool, Any]] = []
        self._searched: set[int] = set()

    def replace(self, variables: dict[str, Any], name: str, value: Any) -> None:
        if getattr(value, "_fx_wrapper", False):
            return  # patched by an enclosing trace
        self._originals.append((variables, name, name in variables, variables.get(name)))
        variables[name] = _wrapper(value)

    def autowrap(self, variables: dict[str, Any]) -> None:
        """Wrap the functions in global variables that the tracer wraps automatically."""
        if id(variables) in self._searched:
            return
        self._searched.add(id(variables))
        for name, value in list(variables.items()):
            if not name.startswith("_") and callable(value) and id(value) in self._autowrapped:
                self.replace(variables, name, value)

    def restore(self) -> None:
        for variables, name, was_there, value in reversed(self._originals):
            if was_there:
                variables[name] = value
            else:
                del variables[name]


@contextmanager
def tracing(tracer: Tracer, function: Any) -> Iterator[None]:
    """Route calls and attributes of modules to ``tracer`` in this context. Calls of wrapped functions become nodes."""
    cache: dict[str, Proxy] = {}
    patched = _PatchedGlobals(tracer)

    def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        patched.autowrap(getattr(module.forward, "__globals__", {}))
        return tracer.call_module(module, functools.partial(_call, module), args, kwargs)

    def read(name: str, value: Any) -> Any:
        return tracer.getattr(name, value, cache)

    trace = (threading.get_ident(), call, read)
    with _lock:
        _traces.append(trace)
        if len(_traces) == 1:
            Module.__call__ = _traced_call  # type: ignore[method-assign, assignment]
            Module.__getattribute__ = _traced_read  # type: ignore[method-assign, assignment]
    try:
        for variables, name, value in marked_functions():
            patched.replace(variables, name, value)
        for searched in (getattr(function, "__globals__", {}), *map(vars, tracer._autowrap_search)):
            patched.autowrap(searched)
        with ProxyDispatchMode():
            yield
    finally:
        patched.restore()
        with _lock:
            _traces.remove(trace)
            if not _traces:
                del Module.__call__, Module.__getattribute__


def marked_functions() -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield ``(variables of its module, name, function)`` for each function that `wrap` has marked."""
    for (_, name), variables in list(wrapped.items()):
        if name in variables:
            yield variables, name, variables[name]
        elif hasattr(builtins, name):  # otherwise the module has deleted the function
            yield variables, name, getattr(builtins, name)


def _wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its calls with traced values become nodes."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        proxy = find_proxy(args, kwargs)
        if proxy is None:
            return function(*args, **kwargs)
        result = proxy.tracer.create_proxy("call_function", function, args, kwargs)
        result.node.meta["is_wrapped"] = True
        return result

    wrapper._fx_wrapper = True  # type: ignore[attr-defined]
    return wrapper
