"""Operators by their names: ``flambeau.ops.namespace.name``, and what is registered for one that is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, overload

from flambeau._suggestions import unknown_attribute
from flambeau.library._aten import Aten, aten
from flambeau.library._custom_op import CustomOpDef, registry
from flambeau.library._custom_overload import packet_of
from flambeau.library._library import definition_of
from flambeau.library._overloads import OpOverloadPacket
from flambeau.library._own_operators import OwnOperators, own
from flambeau.library._registration import load_library

F = TypeVar("F", bound=Callable[..., Any])


class _Namespace:
    def __init__(self, name: str) -> None:
        self._name = self.name = name

    def __getattr__(self, name: str) -> OpOverloadPacket:
        packet = packet_of(f"{self._name}::{name}")
        if packet is None:
            raise unknown_attribute(self, name, f"'_OpNamespace' '{self._name}'")
        return packet

    def __dir__(self) -> list[str]:
        own = (qualname.split("::") for qualname in registry)
        return sorted({name.partition(".")[0] for namespace, name in own if namespace == self._name})


class _Operators:
    """The operators that programs define, by namespace, and flambeau's own, which PyTorch calls ``aten``'s."""

    def __getattr__(self, name: str) -> _Namespace | Aten | OwnOperators:
        if name == "aten":
            return aten
        if name == "flambeau":
            return own
        if name.startswith("_"):
            raise AttributeError(f"flambeau.ops has no attribute '{name}'")
        return _Namespace(name)

    def load_library(self, path: str) -> None:
        """Load a C++ library that registers operators with TORCH_LIBRARY.

        ``torch.utils.cpp_extension`` builds such libraries under the alias ``torch``.

        Raises: OSError if it cannot be loaded, as one that was built against PyTorch.
        """
        load_library(os.fspath(path))

    def __dir__(self) -> list[str]:
        return sorted({"aten", *(qualname.partition("::")[0] for qualname in registry)})


ops = _Operators()


def register_autograd(
    op: str | CustomOpDef,
    backward: Callable[..., Any],
    /,
    *,
    setup_context: Callable[..., Any] | None = None,
    lib: Any = None,
) -> None:
    """``CustomOpDef.register_autograd`` of an operator or of the one of a name."""
    definition_of(op).register_autograd(backward, setup_context=setup_context)


@overload
def register_fake(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_fake(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_fake(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Register a fake for an operator or its name, as `CustomOpDef.register_fake`; without ``func`` a decorator."""
    return definition_of(op).register_fake if func is None else definition_of(op).register_fake(func)


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
    return definition_of(op).register_kernel(device_types, func)


@overload
def register_vmap(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_vmap(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_vmap(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """``CustomOpDef.register_vmap`` of an operator or of the one of a name; without ``func`` a decorator."""
    return definition_of(op).register_vmap(func)


@overload
def register_torch_dispatch(
    op: str | CustomOpDef, torch_dispatch_class: type, func: None = None, /, *, lib: Any = None
) -> Callable[[F], F]: ...


@overload
def register_torch_dispatch(op: str | CustomOpDef, torch_dispatch_class: type, func: F, /, *, lib: Any = None) -> F: ...


def register_torch_dispatch(
    op: str | CustomOpDef, torch_dispatch_class: type, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """``CustomOpDef.register_torch_dispatch`` of an operator or of the one of a name; without ``func`` a decorator."""
    return definition_of(op).register_torch_dispatch(torch_dispatch_class, func)


def register_autocast(op: str | CustomOpDef, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> NoReturn:
    """Raise NotImplementedError: autocast leaves operators that a program defines in the dtypes that they are given."""
    raise NotImplementedError("register_autocast: cast the arguments in the operator's function")
