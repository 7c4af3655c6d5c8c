"""Mapping of a call from Python to an operator of ``ops.aten`` and its arguments. Note [Dispatch]."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor, _core
from flambeau._naming import own_module
from flambeau._operator import OPERATOR_TYPES
from flambeau.library import _aten_schemas
from flambeau.library._argument_types import bound
from flambeau.library._aten import aten
from flambeau.library._function_schema import FunctionSchema
from flambeau.library._overloads import OpOverload, OpOverloadPacket
from flambeau.library._own_operators import own

from . import (
    _conversions,
    _decompositions,
    _indexing,
    _layer_decompositions as _layer_decompositions,  # the import registers the decompositions
)

PREFIXES = {"flambeau.linalg": "linalg_", "flambeau.special": "special_", "flambeau.fft": "fft_"}
# Aliases of pointwise operators. PyTorch dispatches an alias as the operator itself.
_ALIASES: dict[str, str] = {alias: row["name"] for row in _core.pointwise_rows() for alias in row["aliases"]}
_SLOTS = {"__getitem__": _indexing.get, "__setitem__": _indexing.set_}
# Operators that accept a number as their second operand. PyTorch converts it to a 0-D tensor.
_NUMBERS_ARE_TENSORS = frozenset(
    name + suffix for name in ("add", "sub", "mul", "div", "true_divide", "floor_divide") for suffix in ("", "_")
)
# Operators that are dispatched although no result is a tensor.
_READS_VALUES = frozenset(("equal", "_local_scalar_dense", "is_nonzero"))
# Methods that are never dispatched: they read metadata, or belong to autograd, which runs before dispatch.
_NEVER_DISPATCHED = frozenset(
    (
        *("ndimension", "nelement", "element_size", "is_set_to", "_is_view", "__dlpack__"),
        *(
            "backward",
            "detach_",
            "register_hook",
            "register_post_accumulate_grad_hook",
            "requires_grad_",
            "retain_grad",
        ),
    )
)
# Operators with a number as the first operand, such as ``2 - x``, and the operators that compute them.
_REFLECTED: dict[str, Callable[[Any, Tensor], Any]] = {
    "add": lambda number, x: flambeau.add(x, number),
    "mul": lambda number, x: flambeau.mul(x, number),
    "sub": lambda number, x: flambeau.rsub(x, number),
    "div": lambda number, x: flambeau.mul(flambeau.reciprocal(x), number),
}
_SCALAR_TYPES = (bool, int, float)


class Call(NamedTuple):
    """A call of an overload, with arguments in the form of the overload's schema.

    Attributes:
        depends_on_types_alone: True if every call with arguments of these types selects the same overload.
        finish: function that converts the result to the type that the Python function returns.
    """

    overload: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    depends_on_types_alone: bool
    finish: Callable[[Any], Any]


class _Target(NamedTuple):
    """Target of a Python function: a function that replaces it, or an operator with the schemas of its overloads."""

    function: Callable[..., Any] | None
    packet: OpOverloadPacket | None
    schemas: tuple[FunctionSchema, ...] = ()


@functools.cache
def _own_operators() -> frozenset[str]:
    return frozenset(name.partition("(")[0] for name in _core._program_operators())


_targets: dict[Any, _Target | None] = {}


def _target(called: Any) -> _Target | None:
    """Return the target of a callable, or None if calls of it are not dispatched."""
    if called in _targets:
        return _targets[called]
    enabled = _core._dispatch_enabled(False)
    try:
        target = _targets[called] = _find_target(called)
    finally:
        _core._dispatch_enabled(enabled)
    if target is None and type(called) in OPERATOR_TYPES:
        _core._never_dispatch(called)
    return target


def _find_target(called: Any) -> _Target | None:
    """Return the target that represents a function of flambeau for __torch_dispatch__, or None."""
    name = getattr(called, "__name__", "")
    if name in ("__get__", "__set__"):
        attribute = getattr(called.__self__, "__name__", "")
        function = _conversions.ATTRIBUTES.get(attribute) if name == "__get__" else None
        return None if function is None else _Target(function, None)
    if name in _SLOTS:
        slot: Any = _SLOTS[name]
        return _Target(slot, None)
    name = PREFIXES.get(own_module(called), "") + name
    name = _ALIASES.get(name, name)
    if (function := _decompositions.DECOMPOSITIONS.get(name)) is not None:
        return _Target(function, None)
    if name in _NEVER_DISPATCHED:
        return None
    schemas = tuple(_aten_schemas.schemas_of(name).values())
    if any(_returns_tensors(schema) for schema in schemas) or name in _READS_VALUES:
        packet = getattr(aten, name, None)
        if packet is not None:
            return _Target(None, packet, parsing_order(name, schemas))
    if schemas:
        return None
    if {name, f"nn_{name}"} & _own_operators() or name in _core._rows:
        return _Target(None, own.overload(name, called).overloadpacket)
    return None


def _returns_tensors(schema: FunctionSchema) -> bool:
    return schema.is_mutable or any("Tensor" in each.type for each in schema.returns)


def parsing_order(name: str, schemas: tuple[FunctionSchema, ...]) -> tuple[FunctionSchema, ...]:
    """Sort schemas in the order in which PyTorch's argument parser tries them: tensors before numbers."""
    if name in _NUMBERS_ARE_TENSORS:
        schemas = tuple(schema for schema in schemas if not schema.overload_name.startswith("Scalar"))

    def rank(schema: FunctionSchema) -> tuple[int, int]:
        numbers = sum(argument.base_type in ("Scalar", "number") for argument in schema.positional)
        return numbers, len(schema.arguments)

    return tuple(sorted(schemas, key=rank))


def resolve(called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Resolve a call from Python.

    Return a `Call`, or the result if a decomposition computes it, or NotImplemented if the operator is not dispatched.
    """
    target = _target(called)
    if target is None:
        return NotImplemented
    if target.function is not None:
        return target.function(*args, **kwargs)
    assert target.packet is not None
    name = target.packet.__name__
    is_reflected = len(args) == 2 and isinstance(args[0], (*_SCALAR_TYPES, complex)) and isinstance(args[1], Tensor)
    if name in _REFLECTED and is_reflected and not kwargs:
        return _REFLECTED[name](*args)
    if kwargs.get("requires_grad") is True and target.schemas:
        rest = {key: value for key, value in kwargs.items() if key != "requires_grad"}
        return called(*args, **rest).requires_grad_()
    binding = _bind_schema(target, args, kwargs)
    if binding is not None:
        schema, given, named = binding
        overload = getattr(target.packet, schema.overload_name or "default")
        finish = _result_converter(called, schema)
        return Call(overload, given, named, finish is _identity and _is_plain(schema, args, given, named), finish)
    if target.schemas:
        return _resolve_out(called, target, args, kwargs)
    return Call(target.packet.default, args, kwargs, False, _identity)


def _bind_schema(
    target: _Target, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[FunctionSchema, tuple[Any, ...], dict[str, Any]] | None:
    """Return the first overload that accepts the call, with the arguments in its order, or None.

    Overloads that take plain numbers are preferred to those for which a number is wrapped in a tensor.
    """
    if kwargs.get("out", ...) is None:
        kwargs = {name: value for name, value in kwargs.items() if name != "out"}
    kwargs = _split_out(target.schemas, kwargs)
    writes = any(
        argument.is_out for schema in target.schemas for argument in schema.arguments if argument.name in kwargs
    )
    candidates = [s for s in target.schemas if any(a.is_out for a in s.arguments) == writes]
    for wrapped in (False, True):
        for schema in candidates:
            arguments = bound(schema, args, kwargs, wrapped)
            if arguments is not None:
                return schema, *arguments
    return None


def _split_out(schemas: tuple[FunctionSchema, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Replace a keyword argument ``out`` that is a tuple with one keyword argument for each result."""
    out = kwargs.get("out")
    if not isinstance(out, (tuple, list)):
        return kwargs
    for schema in schemas:
        names = [argument.name for argument in schema.arguments if argument.is_out]
        if len(names) == len(out) > 1:
            return {**{k: v for k, v in kwargs.items() if k != "out"}, **dict(zip(names, out, strict=True))}
    return kwargs


def _resolve_out(called: Any, target: _Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Resolve a call that matches no schema.

    If the call has an argument ``out``, run it without this argument and copy the result to ``out``. Otherwise, return
    a call of an operator in the namespace ``flambeau``.
    """
    if isinstance(out := kwargs.get("out"), Tensor):
        result = called(*args, **{name: value for name, value in kwargs.items() if name != "out"})
        return out.copy_(result) if out.shape == result.shape else out.resize_(result.shape).copy_(result)
    return Call(own.overload(called.__name__, called), args, kwargs, False, _identity)


def _is_plain(schema: FunctionSchema, args: tuple[Any, ...], bound: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Return True if every call with these argument types uses this schema and passes its arguments unchanged."""
    if named or len(args) != len(bound) or any(argument.required for argument in schema.positional[len(bound) :]):
        return False
    return all(
        a is b and argument.required and (isinstance(a, Tensor) or type(a) in _SCALAR_TYPES)
        for a, b, argument in zip(args, bound, schema.positional, strict=False)
    )


def _identity(result: Any) -> Any:
    return result


@functools.cache
def _result_type(name: str) -> Any:
    return getattr(flambeau.return_types, name, None)


def _result_converter(called: Any, schema: FunctionSchema) -> Callable[[Any], Any]:
    """Return a function that converts a result to the type that the Python function returns."""
    if len(schema.returns) > 1:
        name = PREFIXES.get(own_module(called), "") + called.__name__
        kind = _result_type(name)
        if kind is not None:
            return lambda result: kind(result) if type(result) in (tuple, list) else result
        return lambda result: tuple(result) if type(result) is list else result
    if len(schema.returns) == 1 and schema.returns[0].is_list:
        return lambda result: tuple(result) if type(result) is list else result
    return _identity
