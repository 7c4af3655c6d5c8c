"""Operators that C++ libraries register: TORCH_LIBRARY calls the functions of this module."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from flambeau.library._custom_op import CustomOpDef, registry
from flambeau.library._declared_op import declare
from flambeau.library._library import definition_of

# Keys of PyTorch's dispatcher whose kernels are ignored: version counters, autocast and the choice of a device are
# implemented elsewhere.
_IGNORED = ("ADInplaceOrView", "Autocast", "AutocastCPU", "AutocastCUDA", "BackendSelect", "QuantizedCPU")

_namespaces: dict[str, str] = {}  # places where the namespaces were first defined
_waiting: dict[str, list[tuple[str, Callable[..., Any]]]] = {}  # kernels of operators that are not declared yet


def begin(namespace: str, file: str, line: str) -> None:
    """Record where TORCH_LIBRARY defines a namespace. Raises: RuntimeError if another file defines it too."""
    location = f"{file}:{line}"
    if _namespaces.setdefault(namespace, location) != location:
        raise RuntimeError(
            f"Only a single TORCH_LIBRARY can be used to register the namespace {namespace}; please put all of your "
            f"definitions in a single TORCH_LIBRARY block, or use TORCH_LIBRARY_FRAGMENT. Previous registration of "
            f"TORCH_LIBRARY was at {_namespaces[namespace]}; latest registration was at {location}"
        )


def define(namespace: str, declaration: str) -> None:
    """Declare an operator.

    Raises: ValueError for a text that is not a schema, RuntimeError if the operator exists.
    """
    op = declare(f"{namespace}::{declaration}")
    for key, kernel in _waiting.pop(op._qualname, ()):
        op.implement(key, _by_position(op, kernel))


def implement(namespace: str, name: str, key: str, kernel: Callable[..., Any]) -> None:
    """Register the kernel of an operator for a dispatch key, now or when the operator is declared."""
    qualname = f"{namespace}::{name}"
    if key in _IGNORED:
        return
    if qualname not in registry and namespace != "aten":
        _waiting.setdefault(qualname, []).append((key, kernel))
        return
    op = definition_of(qualname)
    op.implement(key, _by_position(op, kernel))


def _by_position(op: CustomOpDef, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel with keyword-only arguments for a C++ function, which gets them by position."""
    if not op._keywords:
        return kernel

    def call(*args: Any, **named: Any) -> Any:
        return kernel(*args, *(named[name] for name in op._keywords))

    return call


def operator(qualname: str) -> Callable[..., Any]:
    """Return the operator with the name ``namespace::name`` for C++. Raises: RuntimeError if it does not exist."""
    if qualname.startswith("aten::"):
        from flambeau.library._aten import resolve

        return resolve(qualname)
    if qualname not in registry:
        raise RuntimeError(f"Could not find schema for {qualname}.")
    return registry[qualname]


def load_library(path: str) -> None:
    """Load a C++ library, whose operators are then available in ``flambeau.ops``.

    Raises: OSError if it cannot be loaded, for example because it was built against PyTorch.
    """
    try:
        ctypes.CDLL(path)
    except OSError as error:
        if "libtorch" in str(error) or "libc10" in str(error) or "undefined symbol" in str(error):
            raise OSError(
                f"{path}: this library was built against PyTorch ({error}); rebuild it against flambeau with "
                "torch.utils.cpp_extension, after flambeau.torch.install()"
            ) from None
        raise
