"""Overloads of custom operators, and packets that select one of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from flambeau import Tensor
from flambeau.library._argument_types import bound
from flambeau.library._custom_op import CustomOpDef, _registered, packets, registry
from flambeau.library._function_schema import FunctionSchema
from flambeau.library._overloads import OpOverload, OpOverloadPacket


class CustomPacket(OpOverloadPacket):
    """A custom operator with all its overloads, in the order in which they were defined."""

    def __init__(self, qualname: str, definitions: Iterable[CustomOpDef]) -> None:
        namespace, _, name = qualname.partition("::")
        super().__init__(namespace, name, self, {})
        self._definitions: dict[str, CustomOpDef] = {}
        for definition in definitions:
            self.add(definition)

    def add(self, definition: CustomOpDef) -> None:
        """Add an overload."""
        overload = _overload_name(definition)
        self._definitions[overload] = definition
        self._schemas[overload] = FunctionSchema.parse(definition._schema)
        vars(self).pop(overload, None)

    def remove(self, definition: CustomOpDef) -> None:
        """Remove an overload."""
        overload = _overload_name(definition)
        del self._definitions[overload], self._schemas[overload]
        vars(self).pop(overload, None)

    def __getattr__(self, overload: str) -> OpOverload:
        definition = None if overload.startswith("__") else self._definitions.get(overload)
        if definition is None:
            return super().__getattr__(overload)  # raises AttributeError
        op = vars(self)[overload] = definition._opoverload
        return op

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the only overload, or the first one whose schema matches the arguments.

        If no schema matches, try again with numbers accepted as tensors and single items accepted as lists.
        """
        if len(self._definitions) == 1:
            return next(iter(self._definitions.values()))(*args, **kwargs)
        for wrapped in (False, True):
            for overload, schema in self._schemas.items():
                if bound(schema, args, kwargs, wrapped) is not None:
                    return self._definitions[overload](*args, **kwargs)
        types = ", ".join([*(type(x).__name__ for x in args), *(f"{k}={type(x).__name__}" for k, x in kwargs.items())])
        raise RuntimeError(
            f"Overloaded torch operator invoked from Python failed to match any schema:\n{self._qualified_op_name}() "
            f"does not take ({types}). Declarations:\n" + "\n".join(f"  {each}" for each in self._schemas.values())
        )


def _overload_name(definition: CustomOpDef) -> str:
    return definition._qualname.partition(".")[2] or "default"


def packet_of(qualname: str) -> CustomPacket | None:
    """Return the packet with a name such as ``namespace::name``, or None if the operator does not exist."""
    if (packet := packets.get(qualname)) is None:
        definitions = [op for op in registry.values() if op._packet_name == qualname]
        if not definitions:
            return None
        packet = packets[qualname] = CustomPacket(qualname, definitions)
    return packet


class CustomOverload(OpOverload):
    """An overload of a custom operator."""

    def __init__(self, definition: CustomOpDef) -> None:
        schema = FunctionSchema.parse(definition._schema)
        packet = packet_of(definition._packet_name) or CustomPacket(definition._packet_name, [definition])
        super().__init__(packet, _overload_name(definition), schema, definition)
        self.definition, self.dispatch_rules = definition, definition._dispatch_rules

    def without_defaults(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Remove keyword arguments and trailing positional arguments that equal their defaults.

        There must be an argument for every parameter.
        """
        positional = list(args)
        parameters = list(self.definition._signature.parameters.values())
        while positional and _is_default(parameters[len(positional) - 1], positional[-1]):
            positional.pop()
        named = {k: v for k, v in kwargs.items() if not _is_default(self.definition._signature.parameters[k], v)}
        return tuple(positional), named

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.definition(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # this finds methods of the definition, such as register_fake
        if name.startswith("__") or name == "definition":
            raise AttributeError(name)
        return getattr(self.definition, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _overload_of, (self.definition._qualname,)


def _is_default(parameter: inspect.Parameter, value: Any) -> bool:
    default = parameter.default
    if default is parameter.empty or isinstance(value, Tensor):
        return False
    return value is default or (type(value) is type(default) and bool(value == default))


def _overload_of(name: str) -> CustomOverload:
    return _registered(name)._opoverload
