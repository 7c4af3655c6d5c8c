"""Stand-ins for subsystems that flambeau does not have, for programs that import their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

__all__ = ["unavailable_names"]

IS_ABSENT = "_is_absent"  # attribute that marks the functions and classes below


def unavailable_names(
    module: str, reason: str, functions: Sequence[str] = (), classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return functions and classes by name that raise NotImplementedError when they are called or instantiated.

    Args:
        module: name of the module that defines them in PyTorch.
        reason: text after the name in the error message, which names the missing feature and an alternative.
    """
    calls = {name: _unavailable_function(module, name, reason) for name in functions}
    return {**calls, **{name: _unavailable_class(module, name, reason) for name in classes}}


def _unavailable_function(module: str, name: str, reason: str) -> Callable[..., NoReturn]:
    def function(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{module}.{name}: {reason}")

    function.__module__, function.__name__, function.__qualname__ = module, name, name
    function.__doc__ = "Raise NotImplementedError."
    vars(function)[IS_ABSENT] = True
    return function


def _unavailable_class(module: str, name: str, reason: str) -> type:
    def reject(self: Any, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"{module}.{name}: {reason}")

    doc = "Raises NotImplementedError."
    return type(name, (), {"__init__": reject, "__module__": module, "__doc__": doc, IS_ABSENT: True})
