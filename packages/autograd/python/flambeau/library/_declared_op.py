"""Operators that a program declares by a schema, and kernels by dispatch keys: ``Library`` is made of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from flambeau import _core
from flambeau.library._custom_op import CustomOpDef, register
from flambeau.library._function_schema import FunctionSchema

# The dispatch keys of kernels for a kind of device; None for all.
_DEVICES = {"CPU": "cpu", "CUDA": "cuda", "CompositeExplicitAutograd": None, "": None}
_AUTOGRAD = ("Autograd", "AutogradCPU", "AutogradCUDA")
_COMPOSITE = "CompositeImplicitAutograd"


def signature_of(schema: FunctionSchema) -> inspect.Signature:
    """Return the signature of a Python function with the arguments of a schema."""
    parameters = [
        inspect.Parameter(
            argument.name,
            inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if argument.required else argument.default_value,
        )
        for argument in schema.arguments
    ]
    return inspect.Signature(parameters)


class DeclaredOp(CustomOpDef):
    """An operator with a schema; kernels are registered by dispatch keys."""

    def __init__(self, schema: FunctionSchema) -> None:
        tensors = [argument.name for argument in schema.arguments if argument.type == "Tensor"]
        mutated = [argument.name for argument in schema.arguments if argument.is_write]
        self._declare(schema.text, signature_of(schema), tensors, mutated)
        self._composite: Callable[..., Any] | None = None
        self._above: Callable[..., Any] | None = None  # the kernel of the key Autograd
        self._call = _core._interceptable(self._callable())

    def implement(self, key: str, function: Callable[..., Any]) -> None:
        """Take the kernel of a dispatch key."""
        if key in _DEVICES:
            self.register_kernel(_DEVICES[key], function)
        elif key == "Meta":
            self.register_fake(function)
        elif key == _COMPOSITE:
            self._composite = function
        elif key in _AUTOGRAD:
            self._above = function
        else:
            raise NotImplementedError(
                f"{self._qualname}: flambeau has no kernels of the dispatch key {key!r}; it has "
                f"{', '.join(repr(each) for each in (*_DEVICES, 'Meta', _COMPOSITE, *_AUTOGRAD) if each)}"
            )

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._above is not None and not _below_autograd():
            return self._above(*args, **named)
        if self._composite is not None and not self._kernels:
            return self._composite(*args, **named)
        return super()._run(args, named)


def declare(schema: str) -> DeclaredOp:
    """Make an operator of a schema and register it. Raises: RuntimeError if there is one of its name."""
    from flambeau.library._custom_op import registry

    parsed = FunctionSchema.parse(schema)
    name = parsed.name + (f".{parsed.overload_name}" if parsed.overload_name else "")
    if name in registry:
        raise RuntimeError(
            f"Tried to register an operator ({schema}) with the same name and overload name multiple times."
        )
    made = DeclaredOp(parsed)
    register(made)
    return made


class BelowAutograd:
    """While this context runs, operators with a kernel of the key Autograd call their other kernels.

    PyTorch's ``torch._C._AutoDispatchBelowAutograd``.
    """

    _depth = 0

    def __enter__(self) -> None:
        BelowAutograd._depth += 1
        self._recording = _core._set_grad_enabled(False)

    def __exit__(self, *_: object) -> None:
        BelowAutograd._depth -= 1
        _core._set_grad_enabled(self._recording)


def _below_autograd() -> bool:
    return BelowAutograd._depth > 0
