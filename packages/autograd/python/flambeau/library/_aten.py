"""``flambeau.ops.aten``: flambeau's operators by the names that they have in PyTorch's dispatcher."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, _extension_points

from . import _aten_operators

_FUNCTION = type(flambeau.add)  # what every operator of the registry is

# What PyTorch calls the ways to call an operator. Here it is the arguments that choose one, so that each of these calls
# the same function; their names are kept apart, for programs use them as keys.
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
    """Return the operator of that name or None: a function, an in-place method, or an operator of a layer."""
    if (written := _aten_operators.found(name)) is not None:
        return written
    if name.startswith("__"):
        return None
    if (layers := _extension_points.available("aten_layers")) is not None and (layer := layers(name)) is not None:
        return layer  # type: ignore[no-any-return]
    found = vars(flambeau).get(name)  # what loads on first use is no operator of the registry
    if isinstance(found, _FUNCTION):
        return found
    return getattr(Tensor, name, None) if name.endswith("_") and not name.startswith("_") else None


def resolve(name: str) -> Callable[..., Any]:
    """Return the operator of a name as files have it: ``aten::add.Tensor`` or ``aten::add``.

    Raises: NotImplementedError naming the operator if flambeau lacks it.
    """
    match = re.fullmatch(r"aten::(\w+)(\.\w+)?", name)
    found = None if match is None or hasattr(Aten, match[1]) else getattr(aten, match[1], None)
    if found is None:
        raise NotImplementedError(f"flambeau has no operator {name}")
    function: Callable[..., Any] = found._function
    return function


class Overload:
    """One way to call an operator: ``aten.add.Tensor``."""

    def __init__(self, function: Callable[..., Any], packet: str, overload: str) -> None:
        self._function, self._packet, self._overload = function, packet, overload
        self.__name__ = f"{packet}.{overload}"

    def name(self) -> str:
        """The name with its namespace; ``default`` is left out."""
        return f"aten::{self._packet}" + (f".{self._overload}" if self._overload != "default" else "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverload(op='aten.{self._packet}', overload='{self._overload}')>"

    def __str__(self) -> str:
        return f"aten.{self._packet}.{self._overload}"

    def __deepcopy__(self, memo: Any) -> Overload:
        return self


class Packet:
    """An operator with all ways to call it: ``aten.add``."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function, self.__name__ = function, name

    def __getattr__(self, overload: str) -> Overload:
        if overload not in _OVERLOADS:
            message = f"The underlying op of 'aten.{self.__name__}' has no overload name '{overload}'"
            raise AttributeError(message, name=overload, obj=self)
        # As an attribute: the same overload is the same object, as a key must be.
        self.__dict__[overload] = found = Overload(self._function, self.__name__, overload)
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"

    def __str__(self) -> str:
        return f"aten.{self.__name__}"

    def __deepcopy__(self, memo: Any) -> Packet:
        return self


class Aten:
    """The namespace of flambeau's own operators."""

    def __getattr__(self, name: str) -> Packet:
        function = _operator(name)
        if function is None:
            message = f"'_OpNamespace' 'aten' object has no attribute '{name}'"
            raise AttributeError(message, name=name, obj=self)
        # As an attribute: the same operator is the same object, and is looked up once.
        self.__dict__[name] = found = Packet(function, name)
        return found

    def __dir__(self) -> list[str]:
        return sorted(filter(_operator, {*_aten_operators.OPERATORS, *vars(flambeau), *dir(Tensor)}))


aten = Aten()
