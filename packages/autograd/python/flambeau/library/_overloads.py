"""Operator objects: ``ops.aten.add`` is a packet of overloads, ``ops.aten.add.Tensor`` is one of its overloads.

All overloads of an ``aten`` operator call the same function, which distinguishes them by the arguments. They are
separate objects, because programs compare overloads and use them as dictionary keys in ``__torch_dispatch__``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import flambeau
from flambeau import _core
from flambeau._operator import OPERATOR_TYPES
from flambeau.library._function_schema import FunctionSchema

Function = Callable[..., Any]


class OpOverload(_core._Forwarding):
    """One overload of an operator.

    Attributes:
        namespace: namespace of the operator, such as ``aten``.
        overloadpacket: the operator with all its overloads.
        dispatch_rules: dictionary from modes and classes to the functions that replace their ``__torch_dispatch__``;
            None for flambeau's own operators.
    """

    dispatch_rules: dict[type, Function] | None = None

    def __init__(
        self, packet: OpOverloadPacket, overload: str, schema: FunctionSchema | None, function: Function
    ) -> None:
        self._packet, self._overloadname, self._own_schema = packet, overload, schema
        self._function = function
        self._opname = packet.__name__
        self.namespace = packet.namespace
        self.__name__ = self.__qualname__ = f"{packet.__name__}.{overload}"
        self.__module__ = f"torch._ops.{packet.namespace}"
        self.tags: list[Any] = []
        self.composite = False  # True if PyTorch implements the overload with other operators
        self._forward = function if type(function) in OPERATOR_TYPES else None

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """The operator with all its overloads."""
        return self._packet

    @property
    def op(self) -> Function:
        """The function that the overload calls."""
        return self._function

    @property
    def _name(self) -> str:
        return self.name()

    @property
    def _schema(self) -> FunctionSchema:
        if self._own_schema is None:
            raise NotImplementedError(f"{self} has no schema, because PyTorch does not have this operator")
        return self._own_schema

    @property
    def is_view(self) -> bool:
        """True if results share memory with arguments."""
        return self._own_schema is not None and self._own_schema.is_view

    def name(self) -> str:
        """Return a name such as ``aten::add.Tensor``. The overload name ``default`` is omitted."""
        suffix = f".{self._overloadname}" if self._overloadname != "default" else ""
        return f"{self.namespace}::{self._opname}{suffix}"

    def has_kernel_for_dispatch_key(self, key: Any) -> bool:
        """Return True if ``key`` is CompositeImplicitAutograd and PyTorch has a kernel for it, else False."""
        return str(key).rpartition(".")[2] == "CompositeImplicitAutograd" and self.composite

    def decompose(self, *args: Any, **kwargs: Any) -> Any:
        """Call a composite operator, which calls other operators. Return NotImplemented for any other operator."""
        return self(*args, **kwargs) if self.composite else NotImplemented

    def redispatch(self, keyset: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the operator. ``keyset`` is ignored, because flambeau has no sets of dispatch keys."""
        return self(*args, **kwargs)

    def _call_checked(self, /, *args: Any, **kwargs: Any) -> Any:
        if not self.composite and _core._is_dispatched((args, list(kwargs.values()))):
            from flambeau import _dispatch

            return _dispatch.call(self, args, kwargs)
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self.namespace}.{self._opname}', overload='{self._overloadname}')>"

    def __str__(self) -> str:
        return f"{self.namespace}.{self._opname}.{self._overloadname}"

    def __deepcopy__(self, memo: Any) -> OpOverload:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _operator_named, (self.namespace, self._opname, self._overloadname)


class OpOverloadPacket:
    """An operator with all its overloads.

    Args:
        namespace, name: namespace and name of the operator, such as ``aten`` and ``add``.
        function: function that a call of the packet runs.
        schemas: dictionary from overload names to schemas; ``default`` is the name of an overload without a name.
        others: function that returns whether a name without a schema is also accepted as an overload.
        composite: function that returns whether PyTorch implements an overload with other operators.
    """

    def __init__(
        self,
        namespace: str,
        name: str,
        function: Function,
        schemas: dict[str, FunctionSchema],
        others: Callable[[str], bool] = lambda overload: False,
        composite: Callable[[str], bool] = lambda overload: False,
    ) -> None:
        self._function, self._schemas, self._others, self._composite = function, schemas, others, composite
        self.namespace, self.__name__ = namespace, name
        self.__module__ = f"torch._ops.{namespace}"
        self._qualified_op_name = f"{namespace}::{name}"

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("__") or not (overload in self._schemas or self._others(overload)):
            message = f"The underlying op of '{self}' has no overload name '{overload}'"
            raise AttributeError(message, name=overload, obj=self)
        op = OpOverload(self, overload, self._schemas.get(overload), self._function)
        op.composite = self._composite(overload)
        # Store the overload as an attribute: programs use it as a dictionary key, so it must remain the same object.
        self.__dict__[overload] = op
        return op

    @property
    def op(self) -> Function:
        """The function that the operator calls."""
        return self._function

    def overloads(self) -> list[str]:
        """Return the names of the overloads."""
        return list(self._schemas)

    def __iter__(self) -> Iterator[str]:
        return iter(self._schemas)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self._schemas]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if len(self._schemas) == 1:
            return getattr(self, next(iter(self._schemas)))(*args, **kwargs)
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __str__(self) -> str:
        return f"{self.namespace}.{self.__name__}"

    def __deepcopy__(self, memo: Any) -> OpOverloadPacket:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _operator_named, (self.namespace, self.__name__, None)


def _operator_named(namespace: str, name: str, overload: str | None) -> Any:
    """Return a packet, or one of its overloads. Copies and pickles of operators call this function."""
    packet = getattr(getattr(flambeau.ops, namespace), name)
    return packet if overload is None else getattr(packet, overload)


class HigherOrderOperator:
    """An operator that takes functions as arguments. flambeau has no such operators."""

    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("HigherOrderOperator is not supported; write a function that calls operators instead")
