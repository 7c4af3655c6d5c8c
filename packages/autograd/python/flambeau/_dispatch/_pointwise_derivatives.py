"""Derivatives of pointwise operators: the expressions in the operator table, evaluated by calling operators."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from types import CodeType
from typing import Any

import flambeau
from flambeau import Tensor, _core

from ._derivatives import Differentiated

_NAMES = ("x", "y", "z")
_OPERANDS = {*_NAMES, "grad", "result"}
_NUMBER = re.compile(r"c<V>\(([^()]*)\)")


class _Scope(dict[str, Any]):
    """Values of the names in an expression: operands, and functions, which are looked up when they are first used."""

    def __missing__(self, name: str) -> Any:
        return _function(name)


@functools.cache
def _function(name: str) -> Callable[..., Any] | None:
    """Return the function that ``name`` denotes in an expression, or None if no such operator exists."""
    if name == "real_part":
        return lambda x: x.real if isinstance(x, (Tensor, complex)) else x
    if name == "conj":
        return lambda x: x.conj() if isinstance(x, Tensor) and x.is_complex() else x
    if name == "where":
        return _where
    space, _, rest = name.partition("_")
    function = getattr(flambeau, name, None)
    if function is None and space == "special":
        function = getattr(flambeau.special, rest, None)
    function = _core._rows.get(name) if function is None else function
    return None if function is None else _accept_numbers(function)


def _where(condition: Any, yes: Any, no: Any) -> Any:
    """Return ``where(condition, yes, no)``, even if the condition is a Python bool."""
    if not isinstance(condition, Tensor):
        return yes if condition else no
    return flambeau.where(condition, yes, no)


def _accept_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of tensors. If all arguments are numbers, the wrapper returns a number."""

    def call(*args: Any) -> Any:
        if any(isinstance(argument, Tensor) for argument in args):
            return function(*args)
        return function(*(flambeau.scalar_tensor(argument, dtype=flambeau.float64) for argument in args)).item()

    return call


@functools.cache
def _expressions() -> dict[str, tuple[dict[str, Any], tuple[CodeType | None, ...]]]:
    """Return ``{name: (row, derivatives)}`` for the pointwise operators.

    ``row`` is the row of the operator table. ``derivatives`` has the compiled expression for each operand, or None if
    the derivative is zero or missing.
    """
    expressions = {}
    for row in _core.pointwise_rows():
        codes = tuple(
            None if text in ("none", "zero") else compile(_NUMBER.sub(r"\1", text), row["name"], "eval")
            for text in row["derivatives"]
        )
        expressions[row["name"]] = row, codes
    return expressions


@functools.cache
def rule_of(name: str) -> Callable[[Differentiated], tuple[Any, ...] | None] | None:
    """Return the derivative of the pointwise operator ``name``, or None if Python cannot evaluate its expression.

    Some expressions use functions that exist only in kernels.
    """
    entry = _expressions().get(name)
    if entry is None or not entry[0]["differentiable"]:
        return None
    functions = {each for code in entry[1] if code is not None for each in code.co_names} - _OPERANDS
    return functools.partial(_differentiated, *entry) if all(_function(each) for each in functions) else None


@functools.cache
def reads_result(name: str) -> bool:
    """Return True if a derivative of the pointwise operator ``name`` reads the result."""
    entry = _expressions().get(name)
    return entry is not None and any("result" in text for text in entry[0]["derivatives"])


def _operands(call: Differentiated, arity: int) -> list[Any] | None:
    """Return the operands of a call, with defaults for missing ones, or None if their number is not ``arity``."""
    values = list(call.args)
    if len(values) > arity:
        return None
    for argument in call.overload._schema.arguments[len(values) :]:
        if argument.kwarg_only:
            break
        values.append(argument.default_value)
    return values[:arity] if len(values) >= arity else None


def _differentiated(
    row: dict[str, Any], codes: tuple[CodeType | None, ...], call: Differentiated
) -> tuple[Any, ...] | None:
    """Evaluate the derivative expressions of a pointwise operator. Return None if they do not apply to the call."""
    operands = _operands(call, row["arity"])
    if operands is None or call.kwargs or any(tensor.is_complex() for tensor in call.tensors):
        return None
    (gradient,) = call.gradients
    if gradient is None:
        return (None,) * len(call.tensors)
    values = _Scope(zip(_NAMES, operands, strict=False), grad=gradient, result=call.results[0])
    gradients, at = [], 0
    for position, operand in enumerate(operands):
        if not isinstance(operand, Tensor):
            continue
        code = codes[position]
        needed, at = call.needs[at], at + 1
        gradients.append(None if code is None or not needed else eval(code, {}, values))
    return tuple(gradients) if len(gradients) == len(call.tensors) else None
