"""Class names in error messages about the arguments of inherited constructors."""

from __future__ import annotations

from types import FunctionType


def name_constructor(cls: type) -> None:
    """Copy the ``__init__`` that a layer inherits from a private base class, and name the copy after the layer.

    Python's errors about arguments contain this name: ``Conv2d.__init__() got an unexpected keyword argument``.
    """
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    shared = vars(owner)["__init__"]
    if owner is cls or not owner.__name__.startswith("_") or not owner.__module__.startswith(__package__):
        return
    constructor = FunctionType(
        shared.__code__, shared.__globals__, shared.__name__, shared.__defaults__, shared.__closure__
    )
    constructor.__kwdefaults__ = shared.__kwdefaults__
    constructor.__annotations__ = shared.__annotations__
    constructor.__doc__ = shared.__doc__
    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    constructor.__module__ = shared.__module__
    cls.__init__ = constructor  # type: ignore[misc]
