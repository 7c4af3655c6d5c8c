"""The overload object of an operator that a program defines."""

from __future__ import annotations

import inspect
from typing import Any

from flambeau import Tensor
from flambeau.library._custom_op import CustomOpDef, _registered
from flambeau.library._function_schema import FunctionSchema
from flambeau.library._overloads import OpOverload, OpOverloadPacket


class CustomOverload(OpOverload):
    """The overload of an operator that a program defines."""

    def __init__(self, definition: CustomOpDef) -> None:
        namespace, _, name = definition._qualname.partition("::")
        name, _, overload = name.partition(".")
        schema = FunctionSchema.parse(definition._schema)
        packet = OpOverloadPacket(namespace, name, definition, {overload or "default": schema})
        super().__init__(packet, overload or "default", schema, definition)
        vars(packet)[self._overloadname] = self
        self.definition, self.dispatch_rules = definition, definition._dispatch_rules

    def without_defaults(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments, of which there is one for every parameter, without those that equal their defaults."""
        positional = list(args)
        parameters = list(self.definition._signature.parameters.values())
        while positional and _is_default(parameters[len(positional) - 1], positional[-1]):
            positional.pop()
        named = {k: v for k, v in kwargs.items() if not _is_default(self.definition._signature.parameters[k], v)}
        return tuple(positional), named

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.definition(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # the methods that register something
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
