"""TorchScript's operators on numbers, strings, lists and dictionaries."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any


def _floor_of(function: Callable[[float], int]) -> Callable[[Any], Any]:
    return lambda x: x if isinstance(x, int) else function(x)


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[key] = value
    return container


def _delete(container: Any, key: Any) -> None:
    del container[key]


def _slice(
    value: Sequence[Any], start: int | None = None, end: int | None = None, step: int | None = 1
) -> Sequence[Any]:
    return value[start:end:step]


def _format(text: str, *values: Any) -> str:
    """Replace each ``{}`` in ``text`` with a value. Other fields could access attributes and are not supported."""
    first, *rest = text.split("{}")
    if len(rest) > len(values):
        raise RuntimeError(f"Too few arguments for format string: {text}")
    return first + "".join(f"{value}{part}" for value, part in zip(values, rest, strict=False))


def _percent(text: str, values: Any) -> str:
    return text % (tuple(values) if isinstance(values, tuple | list) else values)


def _range_length(start: int, stop: int, step: int) -> int:
    return len(range(start, stop, step))


def _sorted_in_place(values: list[Any], reverse: bool = False) -> None:
    values.sort(reverse=reverse)


def _listed(value: Any) -> list[Any]:
    return list(value)


def _added(a: Any, b: Any, alpha: Any = 1) -> Any:
    return list(a) + list(b) if isinstance(a, list | tuple) else a + b * alpha if alpha != 1 else a + b


def _split(text: str, separator: str | None = None, most: int = -1) -> list[str]:
    return text.split(separator, most)


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_FLOATS = "acos acosh asin asinh atan atan2 atanh copysign cos cosh degrees erf erfc exp expm1 fabs fmod frexp gamma "
_FLOATS += "isfinite isinf isnan ldexp lgamma log log10 log1p log2 modf radians sin sinh sqrt tan tanh gcd factorial"
_TEXT = "capitalize center count endswith expandtabs find index isalnum isalpha isdecimal isdigit isidentifier islower "
_TEXT += "isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition replace rfind rindex rjust "
_TEXT += "rpartition rsplit rstrip splitlines startswith strip swapcase title upper zfill"
_CONTAINERS = "append clear copy extend get insert pop popitem remove reverse setdefault update count index"

# Functions by name. If an argument is a tensor, the tensor operator of that name is called instead.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in _FLOATS.split()},
    **{name: getattr(operator, name) for name in _COMPARISONS},
    "Delete": _delete,
    "Bool": bool,
    "Complex": complex,
    "Float": float,
    "Int": int,
    "__and__": operator.and_,
    "__contains__": operator.contains,
    "__derive_index": lambda index, start, step: start + index * step,
    "__getitem__": operator.getitem,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "__lshift__": operator.lshift,
    "__not__": operator.not_,
    "__or__": operator.or_,
    "__range_length": _range_length,
    "__rshift__": operator.rshift,
    "__xor__": operator.xor,
    "_set_item": _set_item,
    "abs": abs,
    "add": _added,
    "add_": _added,
    "all": all,
    "any": any,
    "bin": bin,
    "ceil": _floor_of(math.ceil),
    "chr": chr,
    "dict": dict,
    "div": operator.truediv,
    "divmod": divmod,
    "floor": _floor_of(math.floor),
    "floor_divide": operator.floordiv,
    "floordiv": operator.floordiv,
    "format": _format,
    "hash": hash,
    "hex": hex,
    "items": lambda mapping: list(mapping.items()),
    "keys": _listed,
    "len": len,
    "list": _listed,
    "mathremainder": math.remainder,
    "mul": operator.mul,
    "neg": operator.neg,
    "oct": oct,
    "ord": ord,
    "percentFormat": _percent,
    "pow": operator.pow,
    "remainder": operator.mod,
    "round": round,
    "slice": _slice,
    "sort": _sorted_in_place,
    "sorted": builtins.sorted,
    "split": _split,
    "str": str,
    "sub": lambda a, b, alpha=1: a - b * alpha,
    "sum": sum,
    "true_divide": operator.truediv,
    "values": lambda mapping: list(mapping.values()),
}
METHODS = frozenset((*_TEXT.split(), *_CONTAINERS.split()))


def method(name: str) -> Callable[..., Any]:
    """Return a function that calls method ``name`` of a string, list or dictionary."""

    def call(value: Any, *args: Any) -> Any:
        if type(value) not in (str, list, dict) or not hasattr(value, name):
            owner = f"a value of type '{type(value).__name__}'"
            raise RuntimeError(f"the archive's code calls the method {name!r} of {owner}, which is not allowed")
        return getattr(value, name)(*args)

    return call
