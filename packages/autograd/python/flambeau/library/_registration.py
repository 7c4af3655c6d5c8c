"""Functions that C++ libraries call to register operators with TORCH_LIBRARY."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from flambeau.library._custom_op import CustomOpDef, registry
from flambeau.library._declared_op import declare
from flambeau.library._library import definition_of

# Dispatch keys whose kernels are ignored, because flambeau does not need them: it implements version counters, autocast
# and the choice of a device elsewhere.
_IGNORED = ("ADInplaceOrView", "Autocast", "AutocastCPU", "AutocastCUDA", "BackendSelect", "QuantizedCPU")

_namespaces: dict[str, str] = {}  # the value is the file and line that first defined the namespace
_waiting: dict[str, list[tuple[str, Callable[..., Any]]]] = {}  # kernels of operators that are not declared yet


def begin(namespace: str, file: str, line: str) -> None:
    """Record where TORCH_LIBRARY defines a namespace. Raises: RuntimeError if it was already defined elsewhere."""
    location = f"{file}:{line}"
    if _namespaces.setdefault(namespace, location) != location:
        raise RuntimeError(
            f"Only a single TORCH_LIBRARY can be used to register the namespace {namespace}; please put all of your "
            f"definitions in a single TORCH_LIBRARY block, or use TORCH_LIBRARY_FRAGMENT. Previous registration of "
            f"TORCH_LIBRARY was at {_namespaces[namespace]}; latest registration was at {location}"
        )


def define(namespace: str, declaration: str) -> None:
    """Declare an operator by its schema without the namespace.

    Raises: ValueError if ``declaration`` is not a schema; RuntimeError if the operator exists.
    """
    op = declare(f"{namespace}::{declaration}")
    for key, kernel in _waiting.pop(op._qualname, ()):
        op.implement(key, _by_position(op, kernel))


def implement(namespace: str, name: str, key: str, kernel: Callable[..., Any]) -> None:
    """Register the kernel of an operator for a dispatch key. The operator may be declared later."""
    qualname = f"{namespace}::{name}"
    if key in _IGNORED:
        return
    if qualname not in registry and namespace != "aten":
        _waiting.setdefault(qualname, []).append((key, kernel))
        return
    op = definition_of(qualname)
    op.implement(key, _by_position(op, kernel))


def _by_position(op: CustomOpDef, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a C++ function, which takes all arguments by position, so that it accepts keyword-only arguments."""
    if not op._keywords:
        return kernel

    def call(*args: Any, **named: Any) -> Any:
        return kernel(*args, *(named[name] for name in op._keywords))

    return call


def operator(qualname: str) -> Callable[..., Any]:
    """Return the operator ``namespace::name``. C++ calls this function. Raises: RuntimeError if it does not exist."""
    if qualname.startswith("aten::"):
        from flambeau.library._aten import resolve

        return resolve(qualname)
    if qualname not in registry:
        raise RuntimeError(f"Could not find schema for {qualname}.")
    return registry[qualname]


def load_library(path: str) -> None:
    """Load a C++ library, whose operators are then available in ``flambeau.ops``.

    Raises: OSError if the library cannot be loaded, for example because it was built against PyTorch.
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
