"""Matching of the arguments of a Python call with schemas, and their conversion to the types of a schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.library._function_schema import Argument, FunctionSchema

_REJECTED = object()
_NUMBERS = (bool, int, float, complex)
# Names of arguments in Python that differ from the names in schemas.
_RENAMED = {"axis": "dim", "keepdims": "keepdim", "input": "self", "x": "self", "self": "input", "tensor": "self"}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if isinstance(value, _NUMBERS):
        return value
    if isinstance(value, Tensor) and value.dim() == 0 and not value.requires_grad and type(value) is Tensor:
        return value.item()
    return _REJECTED


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) else _REJECTED


def _int(value: Any) -> Any:
    if _is_int(value):
        return value
    return (
        value.__index__() if hasattr(type(value), "__index__") and not isinstance(value, (bool, Tensor)) else _REJECTED
    )


def _device(value: Any) -> Any:
    if isinstance(value, flambeau.device):
        return value
    return flambeau.device(value) if isinstance(value, str) or _is_int(value) else _REJECTED


def _instance_checker(kind: Any) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else _REJECTED


_ELEMENTS: dict[str, Callable[[Any], Any]] = {
    "Tensor": _instance_checker(Tensor),
    "int": _int,
    "float": _float,
    "bool": lambda value: bool(value) if isinstance(value, (bool, int)) else _REJECTED,
    "Scalar": _number,
    "number": _number,
    "str": _instance_checker(str),
    "ScalarType": _instance_checker(flambeau.dtype),
    "Layout": _instance_checker(flambeau.layout),
    "Device": _device,
    "MemoryFormat": _instance_checker(flambeau.memory_format),
    "Generator": _instance_checker(flambeau.Generator),
}


def _convert(argument: Argument, value: Any, wrapped: bool) -> Any:
    """Convert ``value`` to the type of ``argument``. Return ``_REJECTED`` if this is not possible.

    If ``wrapped`` is True, a number is accepted instead of a tensor or a list.
    """
    if value is None:
        return None if argument.is_optional else _REJECTED
    convert = _ELEMENTS.get(argument.base_type, lambda value: value)
    if not argument.is_list:
        if wrapped and argument.base_type == "Tensor" and isinstance(value, _NUMBERS):
            return value
        return convert(value)
    if isinstance(value, (list, tuple)):
        optional = "?[" in argument.type
        items = [item if item is None and optional else convert(item) for item in value]
        return _REJECTED if any(item is _REJECTED for item in items) else items
    sized = argument.type.rstrip("?")[-2].isdigit()  # true for a list of fixed size, such as "int[2]"
    if argument.base_type in ("int", "float") and not isinstance(value, Tensor) and (sized or wrapped):
        item = convert(value)
        return item if item is _REJECTED else [item]
    return _REJECTED


def _collect_integers(schema: FunctionSchema, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Collect trailing integers in one list, so that ``view(2, 3)`` becomes ``view([2, 3])``."""
    for i, argument in enumerate(schema.positional[: len(args)]):
        is_last = i + 1 == len(schema.positional) < len(args)
        if is_last and argument.is_list and argument.base_type == "int" and all(map(_is_int, args[i:])):
            return (*args[:i], list(args[i:]))
    return args


def bound(
    schema: FunctionSchema, args: tuple[Any, ...], kwargs: dict[str, Any], wrapped: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Convert the arguments of a call to the form of a schema. Return None if they do not match the schema.

    Return the positional and the keyword arguments. Keyword-only arguments and trailing positional arguments that equal
    their defaults are omitted.
    """
    args = _collect_integers(schema, args)
    if len(args) > len(schema.positional):
        return None
    values = dict(zip((argument.name for argument in schema.positional), args, strict=False))
    for name, value in kwargs.items():
        known = name if name in schema.by_name else _RENAMED.get(name, name)
        if known not in schema.by_name and name == "input" and schema.arguments:
            known = schema.arguments[0].name
        if known in values:
            return None
        if known not in schema.by_name:
            if value is None or value is False:
                continue  # an option that only flambeau has, with its default value
            return None
        values[known] = value
    return _complete(schema, values, wrapped)


def _complete(
    schema: FunctionSchema, values: dict[str, Any], wrapped: bool
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Convert arguments to the types of a schema and fill in defaults. Return None if an argument does not fit."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    needed = 0
    for argument in schema.arguments:
        if argument.name in values:
            value = values[argument.name]
            if not argument.required and value is None and not argument.is_optional:
                value = argument.default_value  # the default is None in flambeau, but a number in PyTorch
            fitted = argument.default_value if _is_default(argument, value) else _convert(argument, value, wrapped)
            if fitted is _REJECTED:
                return None
        elif argument.required:
            if not (argument.is_optional and wrapped):
                return None
            fitted = None
        else:
            fitted = argument.default_value
        is_default = not argument.required and _is_default(argument, fitted)
        if not argument.kwarg_only:
            positional.append(fitted)
            needed = needed if is_default else len(positional)
        elif not is_default:
            named[argument.name] = fitted
    return tuple(positional[:needed]), named


def _is_default(argument: Argument, value: Any) -> bool:
    if argument.required or isinstance(value, Tensor):
        return False
    default = argument.default_value
    if value is default:
        return True
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple)):
        return list(value) == list(default)
    return type(value) is type(default) and bool(value == default)
