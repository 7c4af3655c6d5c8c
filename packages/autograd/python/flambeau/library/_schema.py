"""Inference of an operator's schema from the type annotations of the function that implements it."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import flambeau
from flambeau import Tensor

_NAMES = {
    Tensor: "Tensor",
    int: "SymInt",
    float: "float",
    bool: "bool",
    str: "str",
    int | float | bool: "Scalar",
    flambeau.dtype: "ScalarType",
    flambeau.device: "Device",
}
_OF_LISTS = (Tensor, int, float, bool, int | float | bool)


def infer_schema(prototype_function: Callable[..., Any], /, *, mutates_args: Any, op_name: str | None = None) -> str:
    """Return the schema of a function, in PyTorch's notation for the signatures of operators.

    Args:
        prototype_function: function with annotations of its parameters and of its result.
        mutates_args: names of the parameters that the function changes, or ``"unknown"`` if it may change any tensor.
        op_name: operator name with which the schema begins.
    Raises: ValueError for missing or unsupported annotations, and for unknown names.

    >>> def scaled(x: flambeau.Tensor, factor: float = 2.0) -> flambeau.Tensor: ...
    >>> infer_schema(scaled, mutates_args=())
    '(Tensor x, float factor=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)
    kinds = typing.get_type_hints(prototype_function)
    if mutates_args != "unknown" and isinstance(mutates_args, str):
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that are mutated or the string "
            f"'unknown', got {mutates_args!r}."
        )
    unknown = set() if mutates_args == "unknown" else set(mutates_args) - set(signature.parameters)
    if unknown:
        raise ValueError(
            f"mutates_args should contain the names of all args that the custom op mutates, or just the string "
            f'"unknown" if you don\'t know. {sorted(unknown)} are not arguments of {prototype_function.__name__}'
        )
    parts, starred = [], False
    for position, parameter in enumerate(signature.parameters.values()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"infer_schema(func): We do not support *args and **kwargs: {parameter}")
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        parts.append(_parameter(parameter, kinds, mutates_args, position))
    if "return" not in kinds:
        raise ValueError(f"infer_schema(func): {prototype_function.__name__} must have a return type annotation.")
    return f"{op_name or ''}({', '.join(parts)}) -> {_returned(kinds['return'])}"


def _parameter(parameter: inspect.Parameter, kinds: dict[str, Any], mutates: Any, position: int) -> str:
    """Return the declaration of a parameter in a schema, such as ``Tensor(a0!) x``."""
    if parameter.name not in kinds:
        raise ValueError(f"infer_schema(func): Parameter {parameter.name} must have a type annotation.")
    text = _kind(kinds[parameter.name], parameter.name)
    if text.startswith("Tensor") and (mutates == "unknown" or parameter.name in mutates):
        text = text.replace("Tensor", f"Tensor(a{position}!)", 1)
    elif mutates != "unknown" and parameter.name in mutates:
        raise ValueError(
            f"infer_schema(func): Parameter {parameter.name} is in mutates_args but is not a Tensor, its type is {text}"
        )
    if parameter.default is parameter.empty:
        return f"{text} {parameter.name}"
    default = f'"{parameter.default}"' if isinstance(parameter.default, str) else parameter.default
    if isinstance(default, flambeau.dtype | flambeau.device):
        default = str(default).rpartition(".")[2]
    return f"{text} {parameter.name}={default}"


def _kind(annotation: Any, name: str) -> str:
    """Return the type in a schema, such as ``Tensor?`` or ``int[]``, for the annotation of the parameter ``name``."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if types.NoneType in inner:
            rest = functools.reduce(operator.or_, (kind for kind in inner if kind is not types.NoneType))
            return f"{_kind(rest, name)}?"
    elif origin in (list, collections.abc.Sequence) and len(inner) == 1:
        if inner[0] in _OF_LISTS:
            return f"{_NAMES[inner[0]]}[]"
        if typing.get_origin(inner[0]) in (typing.Union, types.UnionType) and Tensor in typing.get_args(inner[0]):
            return "Tensor?[]"
    raise ValueError(
        f"infer_schema(func): Parameter {name} has unsupported type {annotation}. The valid types are Tensor, int, "
        "float, bool, str, int | float | bool, dtype and device, each with or without | None, and lists of tensors and "
        "numbers"
    )


def _returned(annotation: Any) -> str:
    if annotation in (None, types.NoneType):
        return "()"
    inner: Iterable[Any] = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and inner:
        return f"({', '.join(_kind(kind, 'returned') for kind in inner)})"
    return _kind(annotation, "returned")
