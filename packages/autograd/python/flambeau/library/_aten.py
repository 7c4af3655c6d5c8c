"""``flambeau.ops.aten``: flambeau's operators under the names that they have in PyTorch's dispatcher."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, _extension_points
from flambeau._operator import OPERATOR_TYPES
from flambeau._suggestions import unknown_attribute

from . import _aten_operators, _aten_schemas
from ._overloads import OpOverloadPacket

# Names of overloads that files may use for any operator, even if the operator has no schema with this name.
_OVERLOADS = frozenset(
    (
        *(
            "default",
            "Tensor",
            "Scalar",
            "Tensor_Scalar",
            "Tensor_Tensor",
            "Scalar_Tensor",
            "Tensor_mode",
            "Scalar_mode",
        ),
        *(
            "int",
            "int_Scalar",
            "ints",
            "dim",
            "dims",
            "dim_IntList",
            "dim_max",
            "dim_min",
            "dim_values",
            "dim_IntList_out",
        ),
        *(
            "self",
            "stable",
            "values",
            "values_stable",
            "correction",
            "sizes",
            "out",
            "low",
            "generator",
            "src",
            "value",
        ),
        *("reduce", "value_reduce", "two", "ScalarOpt_dim", "ScalarOpt_dtype", "ScalarOpt_dim_dtype", "p", "names"),
        *("memory_format", "start", "start_step", "complex", "indices", "sections", "split", "dtype", "grad_input"),
        *("self_int", "self_Tensor", "Tensor_out", "Scalar_out", "Tensor_Tensor_out", "ScalarSelf", "Scalar_Scalar"),
    )
)


def _operator(name: str) -> Callable[..., Any] | None:
    """Return the operator ``name`` (a function, an in-place method or a layer's operator), or None if not found."""
    if (written := _aten_operators.find_operator(name)) is not None:
        return written
    if name.startswith("__"):
        return None
    if (layers := _extension_points.available("aten_layers")) is not None and (layer := layers(name)) is not None:
        return layer  # type: ignore[no-any-return]
    function = vars(flambeau).get(name)  # this does not load lazy attributes of flambeau, which are never operators
    if isinstance(function, OPERATOR_TYPES):
        return function
    return getattr(Tensor, name, None) if name.endswith("_") and not name.startswith("_") else None


def resolve(name: str) -> Callable[..., Any]:
    """Return the operator for a name such as ``aten::add.Tensor`` or ``aten::add``, as files contain it.

    Raises: NotImplementedError if flambeau does not have the operator.
    """
    match = re.fullmatch(r"aten::(\w+)(\.\w+)?", name)
    overload = None if match is None or hasattr(Aten, match[1]) else getattr(aten, match[1], None)
    if overload is None:
        raise NotImplementedError(f"flambeau has no operator {name}")
    function: Callable[..., Any] = overload._function
    return function


def _packet(name: str, function: Callable[..., Any]) -> OpOverloadPacket:
    schemas = {overload or "default": schema for overload, schema in _aten_schemas.schemas_of(name).items()}
    return OpOverloadPacket(
        "aten",
        name,
        function,
        schemas,
        _OVERLOADS.__contains__,
        lambda overload: _aten_schemas.is_composite(name, "" if overload == "default" else overload),
    )


class Aten:
    """The namespace of flambeau's own operators."""

    def __getattr__(self, name: str) -> OpOverloadPacket:
        function = _operator(name)
        if function is None:
            raise unknown_attribute(self, name, "'_OpNamespace' 'aten'")
        # Store the packet as an attribute, so that each operator is looked up once and is always the same object.
        self.__dict__[name] = found = _packet(name, function)
        return found

    def __dir__(self) -> list[str]:
        return sorted(filter(_operator, {*_aten_operators.names(), *vars(flambeau), *dir(Tensor)}))


aten = Aten()
