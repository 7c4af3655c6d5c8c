"""Operators declared by a schema, with kernels for dispatch keys; the implementation of ``Library``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau.library._custom_op import KEYS_OF_OTHER_DEVICES, CustomOpDef, register, registry
from flambeau.library._extension_op import mapped
from flambeau.library._function_schema import Argument, FunctionSchema
from flambeau.utils import _pytree

_AUTOGRAD = ("Autograd", "AutogradCPU", "AutogradCUDA")
_COMPOSITE = ("", "CompositeImplicitAutograd")

# Kernels of operators that are not declared yet. The key is the operator's name.
_waiting_kernels: dict[str, list[tuple[str, Callable[..., Any]]]] = {}


def signature_of(schema: FunctionSchema) -> inspect.Signature:
    """Return the signature of a Python function with the arguments of a schema."""
    parameters = [
        inspect.Parameter(
            argument.name,
            inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if argument.required else _default(argument),
        )
        for argument in schema.arguments
    ]
    return inspect.Signature(parameters)


def _default(argument: Argument) -> Any:
    """Return the default value of an argument. The name of a dtype or layout is replaced with the object."""
    value = argument.default_value
    return getattr(flambeau, value, value) if isinstance(value, str) and argument.base_type != "str" else value


class DeclaredOp(CustomOpDef):
    """Operator that a schema declares and whose kernels are registered for dispatch keys.

    A kernel for a device computes values, and `register_autograd` sets the derivative of the operator. A composite
    kernel and a kernel for autograd call operators that record their own derivatives. The kernel for autograd is called
    while recording is enabled. If it calls the operator again with recording disabled, the kernel for the device runs.
    """

    _dispatch_keys = (*CustomOpDef._dispatch_keys, *_COMPOSITE[1:], *_AUTOGRAD)
    _may_alias = True

    def __init__(self, schema: FunctionSchema) -> None:
        tensors = [argument.name for argument in schema.arguments if argument.type == "Tensor"]
        mutated = [argument.name for argument in schema.arguments if argument.is_write]
        self._declare(schema.text, signature_of(schema), tensors, mutated)
        self.__doc__ = f"Operator that a program or a library declares: {schema.text}"
        self._composite: Callable[..., Any] | None = None
        self._autograd: Callable[..., Any] | None = None
        self._call = _core._interceptable(self._callable())

    def implement(self, key: str, function: Callable[..., Any]) -> None:
        """Register the kernel of a PyTorch dispatch key. Raises: NotImplementedError for an unsupported key."""
        if key in _COMPOSITE:
            self._composite = function
        elif key in _AUTOGRAD:
            self._autograd = function
        else:
            super().implement(key, function)

    def _recording_kernel(self, args: tuple[Any, ...]) -> Callable[..., Any] | None:
        """Return the autograd or composite kernel if the call should use one, otherwise None."""
        if self._autograd is not None and flambeau.is_grad_enabled():
            return self._autograd
        if self._composite is None:
            return None
        tensors = [x for x in _pytree.tree_leaves(args) if isinstance(x, Tensor)]
        if self._fake is not None and any(x.is_meta for x in tensors):
            return None
        kind = next((x.device.type for x in tensors), "cpu")
        return None if kind in self._kernels or None in self._kernels else self._composite

    def _has_derivative(self) -> bool:
        return super()._has_derivative() or bool(self._composite or self._autograd)

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        kernel = self._recording_kernel(args)
        return super()._run(args, named) if kernel is None else kernel(*args, **named)

    def _run_batched(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._recording_kernel(args) is None:
            return super()._run_batched(args, named)
        from flambeau.func._batching import functions

        leaves, nested = _pytree.tree_flatten((args, tuple(named.values())))
        return functions.apply(mapped(self, nested), *leaves)


def declare(schema: str) -> DeclaredOp:
    """Create an operator from a schema and register it. Raises: RuntimeError if an operator of this name exists."""
    parsed = FunctionSchema.parse(schema)
    name = parsed.name + (f".{parsed.overload_name}" if parsed.overload_name else "")
    if name in registry:
        raise RuntimeError(
            f"Tried to register an operator ({schema}) with the same name and overload name multiple times."
        )
    op = DeclaredOp(parsed)
    register(op)
    for key, function in _waiting_kernels.pop(op._qualname, ()):
        op.implement(key, function)
    return op


def implement(name: str, key: str, function: Callable[..., Any]) -> None:
    """Register the kernel of a named operator for a dispatch key.

    If the operator is not declared yet, the kernel is registered when it is declared.

    Raises: NotImplementedError for an unsupported key.
    """
    if name in registry:
        registry[name].implement(key, function)
    elif key in ("", *DeclaredOp._dispatch_keys) or key.removeprefix("Autograd") in KEYS_OF_OTHER_DEVICES:
        _waiting_kernels.setdefault(name, []).append((key, function))
    else:
        raise NotImplementedError(f"{name}: kernels for the dispatch key {key!r} are not supported")
