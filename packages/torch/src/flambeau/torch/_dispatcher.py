"""Functions of ``torch._C`` that query PyTorch's dispatcher for keys, kernels, schemas and modes."""

from __future__ import annotations

import enum
from typing import Any, Self

from flambeau import _core, no_grad as _AutoDispatchBelowAutograd, ops as _ops
from flambeau.library._custom_op import registry
from flambeau.library._function_schema import FunctionSchema

__all__ = [
    "DispatchKey",
    "FunctionSchema",
    "_AutoDispatchBelowAutograd",
    "_DisableTorchDispatch",
    "_TorchDispatchModeKey",
    "_dispatch_find_schema_or_throw",
    "_dispatch_get_all_op_names",
    "_dispatch_has_kernel",
    "_dispatch_has_kernel_for_dispatch_key",
    "_dispatch_isTensorSubclassLike",
    "_get_dispatch_stack_at",
    "_jit_get_schemas_for_operator",
    "_len_torch_dispatch_stack",
    "_pop_torch_dispatch_stack",
    "_push_on_torch_dispatch_stack",
    "parse_schema",
]

DispatchKey = enum.Enum(
    "DispatchKey",
    "Undefined CPU CUDA Meta Autograd AutogradCPU AutogradCUDA CompositeImplicitAutograd CompositeExplicitAutograd "
    "ADInplaceOrView Python PythonTLSSnapshot Functionalize PreDispatch BackendSelect AutocastCPU AutocastCUDA Dense",
)
_TorchDispatchModeKey = enum.Enum("_TorchDispatchModeKey", "FAKE PROXY FUNCTIONAL")
parse_schema = FunctionSchema.parse


class _DisableTorchDispatch:
    """Guard that disables modes and classes with ``__torch_dispatch__`` while the guard exists or is entered."""

    def __init__(self) -> None:
        self._former: bool | None = _core._dispatch_enabled(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._former is not None:
            _core._dispatch_enabled(self._former)
        self._former = None

    __del__ = __exit__


def _overload(name: str) -> Any:
    namespace, _, rest = name.partition("::")
    operator, _, overload = rest.partition(".")
    return getattr(getattr(getattr(_ops, namespace), operator), overload or "default")


def _dispatch_has_kernel(name: str) -> bool:
    """Return True if flambeau has an operator of this name."""
    try:
        _overload(name)
    except AttributeError:
        return False
    return True


def _dispatch_has_kernel_for_dispatch_key(name: str, key: Any) -> bool:
    """Return True if an operator has a kernel for a dispatch key.

    For flambeau's own operators, the result depends only on whether the operator is composite.
    """
    overload = _overload(name)
    key = str(key).rpartition(".")[2]
    definition = registry.get(name)
    if definition is None:
        return (
            bool(overload.has_kernel_for_dispatch_key(key))
            if key == "CompositeImplicitAutograd"
            else not overload.composite
        )
    kinds = {"CPU": "cpu", "CUDA": "cuda"}
    if key == "Meta":
        return definition._fake is not None
    return key in kinds and (kinds[key] in definition._kernels or None in definition._kernels)


def _dispatch_isTensorSubclassLike(tensor: Any) -> bool:
    """Return True if a tensor's class has ``__torch_dispatch__``."""
    return _core._is_dispatching_class(type(tensor))


def _dispatch_find_schema_or_throw(name: str, overload: str) -> FunctionSchema:
    """Return the schema of the overload ``overload`` of the operator ``name``."""
    schema: FunctionSchema = _overload(f"{name}.{overload}" if overload else name)._schema
    return schema


def _jit_get_schemas_for_operator(name: str) -> list[FunctionSchema]:
    """Return the schemas of all overloads of an operator."""
    namespace, _, operator = name.partition("::")
    packet = getattr(getattr(_ops, namespace), operator, None)
    return [] if packet is None else [getattr(packet, overload)._schema for overload in packet.overloads()]


def _dispatch_get_all_op_names() -> list[str]:
    """Return the names of all operators that have schemas."""
    packets = [getattr(_ops.aten, name) for name in dir(_ops.aten)]
    names = [getattr(packet, overload).name() for packet in packets for overload in packet.overloads()]
    return [*names, *registry]


def _len_torch_dispatch_stack() -> int:
    """Return the number of modes with ``__torch_dispatch__`` in this thread."""
    return len(_core._dispatch_modes())


def _get_dispatch_stack_at(position: int) -> Any:
    """Return the mode with ``__torch_dispatch__`` at a position in this thread's stack; 0 is the outermost mode."""
    return _core._dispatch_modes()[position]


def _push_on_torch_dispatch_stack(mode: Any) -> None:
    """Enter a mode with ``__torch_dispatch__``."""
    _core._push_dispatch_mode(mode)


def _pop_torch_dispatch_stack(mode_key: Any = None) -> Any:
    """Leave the innermost mode and return it."""
    return _core._pop_dispatch_mode()
