"""What programs call operators, and the arguments of a call as programs have them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import flambeau
from flambeau import _core

from ._numbers import TRACED, plain
from ._structure import replaced

NATIVE: Mapping[str, int] = _core._program_operators()
OPERATOR = type(flambeau.add)
# Parameters that say where and how a result is kept, not what it is.
DROPPED = {"layout", "requires_grad", "pin_memory", "out", "generator", "non_blocking"}


def quoted(name: str) -> str:
    """A name as it stands in a program's text behind ``@``."""
    return name if name and not set(name) & set(" ,()[]='#\\\n") else text_of(name)


def text_of(value: str) -> str:
    """A string as it stands in a program's text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def missing_of(name: str, count: int) -> str:
    """Why a program cannot call an operator; empty where it can."""
    if name not in NATIVE:
        return "programs have no such operator"
    return "" if NATIVE[name] == count else f"programs call it with {NATIVE[name]} arguments, not {count}"


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Calls a function with plain numbers."""
    return func(*replaced(args, TRACED, plain), **replaced(kwargs, TRACED, plain))


_PREFIXES = {"flambeau.linalg": "linalg_", "flambeau.nn.functional": "nn_", "flambeau.special": "special_"}


def name_of(func: Any) -> str:
    """What a program calls an operator; for an attribute, its name."""
    if func.__name__ in ("__get__", "__set__"):
        return f"{func.__self__.__name__}.{func.__name__}"
    if type(func) is not OPERATOR:
        return str(func.__name__)
    prefixed: str = _PREFIXES.get(func.__module__, "") + func.__name__
    return prefixed if prefixed in NATIVE or func.__name__ not in NATIVE else func.__name__


_signature = functools.lru_cache(None)(inspect.signature)


def bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the parameters, defaults included; a starred parameter has a list."""
    if type(func) is not OPERATOR:
        return {str(i): a for i, a in enumerate(args)} | kwargs
    signature = _signature(func)
    given = signature.bind(*args, **kwargs)
    given.apply_defaults()
    arguments = dict(given.arguments)
    if arguments.get("out") is None:
        arguments.pop("out", None)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            values = arguments[name]
            single = len(values) == 1 and isinstance(values[0], tuple | list)
            arguments[name] = list(values[0] if single else values)
    return arguments


def spread(function: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of an operator's Python function, whose starred parameter takes no sequence."""
    code = getattr(function, "__code__", None)
    if code is None or not code.co_flags & inspect.CO_VARARGS or len(args) != code.co_argcount + 1:
        return args
    last = args[-1]
    return (*args[:-1], *last) if isinstance(last, tuple | list) else args
