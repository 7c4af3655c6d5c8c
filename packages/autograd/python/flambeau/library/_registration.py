"""Operators that C++ libraries register: TORCH_LIBRARY calls the functions of this module."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.library._custom_op import CustomOpDef, register, registry
from flambeau.library._declarations import Declaration
from flambeau.library._extension_op import mapped
from flambeau.utils import _pytree

# The kinds of devices of the keys that kernels are registered for.
_DEVICES = {"CPU": "cpu", "CUDA": "cuda", "CompositeExplicitAutograd": None}
_COMPOSITE = ("", "CompositeImplicitAutograd")
_AUTOGRAD = ("Autograd", "AutogradCPU", "AutogradCUDA")
_IGNORED = ("ADInplaceOrView", "Autocast", "AutocastCPU", "AutocastCUDA", "BackendSelect", "QuantizedCPU")

_namespaces: dict[str, str] = {}  # where each was first defined
_waiting: dict[str, list[tuple[str, Callable[..., Any]]]] = {}  # kernels of operators that are not declared yet


class LibraryOpDef(CustomOpDef):
    """Operator that a library declares, and that has a kernel for some kinds of devices.

    A kernel for a device computes values, and `register_autograd` gives the operator its derivative. A composite kernel
    calls operators that record their own derivatives, and so does a kernel for autograd, which is called if there is
    something to record; it calls the operator again with recording switched off, which then calls the device's kernel.
    """

    def __init__(self, namespace: str, declaration: Declaration) -> None:
        def function(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError("the operator's kernels are called, not its declaration")

        function.__signature__ = declaration.signature  # type: ignore[attr-defined]
        parameters = declaration.signature.parameters.values()
        function.__annotations__ = {each.name: each.annotation for each in parameters}
        name = f"{namespace}::{declaration.name}"
        super().__init__(name, function, declaration.mutated, (), declaration.arguments)
        self.overload = declaration.overload or "default"
        self.__doc__ = f"Operator of a C++ library: {self._schema}"
        self._composite: Callable[..., Any] | None = None
        self._autograd: Callable[..., Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == self.__dict__.get("overload"):
            return self
        raise AttributeError(f"The underlying op of '{self._qualname}' has no overload name '{name}'", name=name)

    def overloads(self) -> list[str]:
        """Return the names of the overloads, of which there is one."""
        return [self.overload]

    def implement(self, key: str, kernel: Callable[..., Any]) -> None:
        """Take a kernel for a dispatch key of PyTorch. Raises: NotImplementedError for keys without a counterpart."""
        kernel = self._by_position(kernel)
        if key in _DEVICES:
            self.register_kernel(_DEVICES[key], kernel)
        elif key == "Meta":
            self.register_fake(kernel)
        elif key in _COMPOSITE:
            self._composite = kernel
        elif key in _AUTOGRAD:
            self._autograd = kernel
        elif key not in _IGNORED:
            raise NotImplementedError(f"{self._qualname}: flambeau has no kernels for the dispatch key {key}")

    def _by_position(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        """Return a kernel that also takes keyword-only arguments, which C++ functions get by position."""
        if not self._keywords:
            return kernel

        def call(*args: Any, **named: Any) -> Any:
            return kernel(*args, *(named[name] for name in self._keywords))

        return call

    def _recording_kernel(self, args: tuple[Any, ...]) -> Callable[..., Any] | None:
        """Return the kernel that records its own derivative, if it is the one to call."""
        given = [x for x in _pytree.tree_leaves(args) if isinstance(x, Tensor)]
        if self._autograd is not None and flambeau.is_grad_enabled() and any(x.requires_grad for x in given):
            return self._autograd
        if self._composite is None or (self._fake is not None and any(x.is_meta for x in given)):
            return None
        kind = next((x.device.type for x in given), "cpu")
        return None if kind in self._kernels or None in self._kernels else self._composite

    def _has_derivative(self) -> bool:
        return super()._has_derivative() or bool(self._composite or self._autograd)

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        kernel = self._recording_kernel(args)
        if kernel is None:
            return super()._run(args, named)
        result = kernel(*args, **named)
        for name, value in zip(self._signature.parameters, (*args, *named.values()), strict=True):
            if name in self._mutated and result is not None and _is_same(result, value):
                return value
        return result

    def _run_batched(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._recording_kernel(args) is None:
            return super()._run_batched(args, named)
        from flambeau.func._batching import functions

        leaves, nested = _pytree.tree_flatten((args, tuple(named.values())))
        return functions.apply(mapped(self, nested), *leaves)


def _is_same(result: Any, value: Any) -> bool:
    return isinstance(result, Tensor) and isinstance(value, Tensor) and result is value


def begin(namespace: str, file: str, line: str) -> None:
    """Note where TORCH_LIBRARY defines a namespace. Raises: RuntimeError if another place has done so."""
    place = f"{file}:{line}"
    if _namespaces.setdefault(namespace, place) != place:
        raise RuntimeError(
            f"Only a single TORCH_LIBRARY can be used to register the namespace {namespace}; please put all of your "
            f"definitions in a single TORCH_LIBRARY block, or use TORCH_LIBRARY_FRAGMENT. Previous registration of "
            f"TORCH_LIBRARY was at {_namespaces[namespace]}; latest registration was at {place}"
        )


def define(namespace: str, declaration: str) -> LibraryOpDef:
    """Declare an operator. Raises: RuntimeError for a text that is no declaration."""
    op = LibraryOpDef(namespace, Declaration.parse(declaration))
    known = registry.get(op._qualname)
    if isinstance(known, LibraryOpDef) and known.overload != op.overload:
        raise NotImplementedError(f"{op._qualname}: flambeau's operators of libraries have one overload each")
    register(op)
    for key, kernel in _waiting.pop(op._qualname, ()):
        op.implement(key, kernel)
    return op


def implement(namespace: str, name: str, key: str, kernel: Callable[..., Any]) -> None:
    """Give an operator a kernel for a dispatch key, now or when it is declared."""
    qualname = f"{namespace}::{name.partition('.')[0]}"
    op = registry.get(qualname)
    if op is None:
        _waiting.setdefault(qualname, []).append((key, kernel))
    elif isinstance(op, LibraryOpDef):
        op.implement(key, kernel)
    elif key in _DEVICES:
        op.register_kernel(_DEVICES[key], kernel)
    else:
        raise NotImplementedError(f"{qualname}: an operator of Python takes kernels for devices, not for {key}")


def operator(qualname: str) -> Callable[..., Any]:
    """Return the operator of a name ``namespace::name`` for C++. Raises: RuntimeError if there is none."""
    if qualname.startswith("aten::"):
        from flambeau.library._aten import resolve

        return resolve(qualname)
    if qualname not in registry:
        raise RuntimeError(f"Could not find schema for {qualname}.")
    return registry[qualname]


def load_library(path: str) -> None:
    """Load a C++ library, whose operators are then found below ``flambeau.ops``.

    Raises: OSError if it cannot be loaded, as a library that was built against PyTorch.
    """
    try:
        ctypes.CDLL(path)
    except OSError as error:
        if "libtorch" in str(error) or "libc10" in str(error) or "undefined symbol" in str(error):
            raise OSError(
                f"{path}: this library was built against PyTorch ({error}); build it again with flambeau, by "
                "torch.utils.cpp_extension under the alias torch"
            ) from None
        raise
