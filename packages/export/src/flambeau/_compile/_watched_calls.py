"""Watch the calls of a captured function, because guards cannot detect the state on which impure C functions depend."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flambeau import Tensor, _core

from ._guards import is_library

if TYPE_CHECKING:
    from ._capture_trace import CaptureTrace

# Modules whose C functions return results that depend only on the arguments.
_PURE_MODULES = {
    "builtins", "math", "cmath", "_operator", "operator", "itertools", "functools", "_functools", "collections",
    "_collections", "_collections_abc", "re", "_sre", "_string", "_struct", "_weakref", "_abc", "_heapq", "_bisect",
    "unicodedata", "_typing", "typing", "numpy", "numpy.core._multiarray_umath", "numpy._core._multiarray_umath",
}  # fmt: skip
_OPAQUE = "flambeau.library._custom_op"
_PURE_FUNCTIONS = {sys.getrecursionlimit, sys.getrefcount, sys.intern, sys.is_finalizing}
_IMPURE_BUILTINS = {"print", "input", "open", "exec", "eval", "breakpoint", "__import__", "compile"}
_PURE_OWNERS = (
    bool, int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, range, slice, type, type(None),
    types.MappingProxyType, types.ModuleType,
)  # fmt: skip


@contextmanager
def watch_calls(trace: CaptureTrace) -> Iterator[None]:
    """Watch which Python code runs in this context, and give up if it calls an impure C function.

    The results of impure functions depend on more than the arguments, or the functions have side effects. Guards cannot
    detect this.
    """

    def check(frame: types.FrameType, called: Any) -> bool:
        if _is_pure(called):
            return True
        if trace.open and not _is_internal_call(frame):
            trace.give_up(f"a call of {getattr(called, '__qualname__', called)} cannot be captured")
        return False

    if sys.getprofile() is not None:  # do not replace the hook of a profiler or debugger
        yield
        return
    trace.executed = set()
    _core._watch_calls(trace.executed, check)
    try:
        yield
    finally:
        _core._watch_calls(None, None)


def _is_internal_call(frame: types.FrameType | None) -> bool:
    """Return True if flambeau, an import, the garbage collector or a custom operator makes a call.

    A custom operator is one operator of the program, whatever its kernel calls.
    """
    collecting = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    own = None  # None while all frames so far belong to the standard library
    while frame is not None:
        file = frame.f_code.co_filename
        name = frame.f_globals.get("__name__", "")
        if file.startswith("<frozen importlib") or frame.f_code in collecting or name == _OPAQUE:
            return True
        if own is None and name.startswith(("flambeau.", "torch.")):
            own = True
        elif own is None and not is_library(file):
            own = False
        frame = frame.f_back
    return bool(own)


def _is_pure(called: Any) -> bool:
    """Return True if a call has no effect that a compiled program would have to repeat."""
    module = getattr(called, "__module__", None)
    owner = getattr(called, "__self__", None)
    if module is None and owner is not None and not isinstance(owner, types.ModuleType):
        module = type(owner).__module__
    name = module.partition(".")[0] if isinstance(module, str) else ""
    if name in ("flambeau", "torch") or isinstance(owner, Tensor):
        return True
    if module == "builtins" and called.__name__ in _IMPURE_BUILTINS:
        return False
    if isinstance(called, types.BuiltinFunctionType) and module == "sys":
        return called in _PURE_FUNCTIONS
    if owner is None or isinstance(owner, types.ModuleType):
        return module is None or module in _PURE_MODULES
    if getattr(type(owner), called.__name__, None) is getattr(object, called.__name__, called):
        return True  # methods that every object has
    return isinstance(owner, _PURE_OWNERS) or type(owner).__module__ in _PURE_MODULES
