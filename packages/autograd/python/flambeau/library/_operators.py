"""Operators by their names: ``flambeau.ops.namespace.name``, and what is registered for one that is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, overload

from flambeau.library._aten import Aten, aten
from flambeau.library._custom_op import CustomOpDef, registry

F = TypeVar("F", bound=Callable[..., Any])


class _Namespace:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> CustomOpDef:
        try:
            return registry[f"{self._name}::{name}"]
        except KeyError:
            message = f"'_OpNamespace' '{self._name}' object has no attribute '{name}'"
            raise AttributeError(message, name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        own = (qualname.split("::") for qualname in registry)
        return sorted(name for namespace, name in own if namespace == self._name)


class _Operators:
    """The operators that programs define, by namespace, and flambeau's own, which PyTorch calls ``aten``'s."""

    def __getattr__(self, name: str) -> _Namespace | Aten:
        if name == "aten":
            return aten
        if name.startswith("_"):
            raise AttributeError(f"flambeau.ops has no attribute '{name}'")
        return _Namespace(name)

    def load_library(self, path: str) -> NoReturn:
        """Raise OSError: libraries of operators are built for PyTorch's C++ interface."""
        raise OSError(f"{path}: flambeau cannot load operators that are built for PyTorch; see flambeau.library")

    def __dir__(self) -> list[str]:
        return sorted({"aten", *(qualname.partition("::")[0] for qualname in registry)})


ops = _Operators()


def _named(op: str | CustomOpDef) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if not isinstance(op, str):
        raise ValueError(f"expected an operator or its name, got {type(op).__name__}")
    if op not in registry:
        raise RuntimeError(f"no operator {op!r} has been defined: see flambeau.library.custom_op")
    return registry[op]


def register_autograd(
    op: str | CustomOpDef,
    backward: Callable[..., Any],
    /,
    *,
    setup_context: Callable[..., Any] | None = None,
    lib: Any = None,
) -> None:
    """``CustomOpDef.register_autograd`` of an operator or of the one of a name."""
    _named(op).register_autograd(backward, setup_context=setup_context)


@overload
def register_fake(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_fake(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_fake(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """``CustomOpDef.register_fake`` of an operator or of the one of a name; without ``func`` a decorator."""
    return _named(op).register_fake if func is None else _named(op).register_fake(func)


@overload
def register_kernel(
    op: str | CustomOpDef, device_types: Any, func: None = None, /, *, lib: Any = None
) -> Callable[[F], F]: ...


@overload
def register_kernel(op: str | CustomOpDef, device_types: Any, func: F, /, *, lib: Any = None) -> F: ...


def register_kernel(
    op: str | CustomOpDef, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """``CustomOpDef.register_kernel`` of an operator or of the one of a name; without ``func`` a decorator."""
    return _named(op).register_kernel(device_types, func)


@overload
def register_vmap(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_vmap(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_vmap(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """``CustomOpDef.register_vmap`` of an operator or of the one of a name; without ``func`` a decorator."""
    return _named(op).register_vmap(func)
