"""Operators in the code of an archive: ``torch.add``, ``ops.prim.dtype``, ``ops.torchvision.nms``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

import flambeau
from flambeau import Tensor
from flambeau.library._aten import resolve
from flambeau.library._custom_op import registry
from flambeau.library._custom_overload import packet_of

from . import _numbers

_OLDEST_DIVISION = 4  # first operator version in which integer division is true division

# Dictionaries from TorchScript's numbers for dtypes, layouts and memory formats to their names.
_DTYPES: dict[int, str] = dict(
    enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32", "complex64"))
)
_DTYPES |= {10: "complex128", 11: "bool", 15: "bfloat16", 23: "float8_e5m2", 24: "float8_e4m3fn"}
_DTYPES |= {27: "uint16", 28: "uint32", 29: "uint64"}
_CODES = {getattr(flambeau, name): code for code, name in _DTYPES.items() if hasattr(flambeau, name)}
_LAYOUTS = {0: "strided", 1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc"}
_MEMORY_FORMATS = {0: "contiguous_format", 1: "preserve_format", 2: "channels_last", 3: "channels_last_3d"}
_TABLES = {"dtype": _DTYPES, "layout": _LAYOUTS, "memory_format": _MEMORY_FORMATS}

# For each operator, the positions of arguments that are numbers of dtypes, layouts or memory formats.
_POSITIONS = {
    "is_contiguous": ((1, "memory_format"),),
    "log_softmax": ((2, "dtype"),),
    "softmax": ((2, "dtype"),),
    "to": ((1, "dtype"), (2, "dtype"), (4, "memory_format"), (5, "memory_format")),
    "view": ((1, "dtype"),),
}


def _named(kind: str, number: int) -> Any:
    name = _TABLES[kind].get(number)
    if name is None or not hasattr(flambeau, name):
        raise NotImplementedError(f"flambeau has no {kind} for PyTorch's number {number}")
    return getattr(flambeau, name)


@cache
def operator(path: str, version: int) -> Callable[..., Any]:
    """Return the operator with a name such as ``aten.add`` or ``prim.dtype``.

    If flambeau lacks the operator, NotImplementedError is raised only when it is called, because programs contain
    unused branches.

    Args:
        version: operator version of the archive.
    """
    namespace, _, name = path.partition(".")
    if namespace == "prim" and name in _PRIMITIVES:
        return _PRIMITIVES[name]
    if namespace == "aten":
        return _aten(name, version)
    if f"{namespace}::{name}" in registry:
        return registry[f"{namespace}::{name}"]
    if (packet := packet_of(f"{namespace}::{name}")) is not None:
        return packet
    return _unsupported(f"{namespace}::{name}")


def _unsupported(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"flambeau has no operator '{name}', which the archive's code calls")

    return call


def _aten(name: str, version: int) -> Callable[..., Any]:
    if name in _OTHER_OPERATORS:
        return _OTHER_OPERATORS[name]
    plain = _numbers.FUNCTIONS.get(name) or (_numbers.method(name) if name in _numbers.METHODS else None)
    try:
        of_tensors = _of_tensors(name, resolve(f"aten::{name}"))
    except NotImplementedError:
        if plain is not None:
            return plain
        return _unsupported(f"aten::{name}")
    if name in ("div", "div_") and version < _OLDEST_DIVISION:
        of_tensors = _older_division(of_tensors)
    return of_tensors if plain is None else _dispatch_on_tensors(of_tensors, plain)


def _dispatch_on_tensors(of_tensors: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if isinstance(arg, Tensor):
                return of_tensors(*args, **kwargs)
        return plain(*args, **kwargs)

    return call


def _older_division(divide: Callable[..., Any]) -> Callable[..., Any]:
    def call(input: Tensor, other: Any, **options: Any) -> Any:
        has_fractions = input.is_floating_point() or input.is_complex()
        fractional = isinstance(other, float) or (isinstance(other, Tensor) and other.is_floating_point())
        if has_fractions or fractional or "rounding_mode" in options:
            return divide(input, other, **options)
        return divide(input, other, rounding_mode="trunc")

    return call


def _of_tensors(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operator that accepts dtypes, layouts and memory formats as numbers, as in TorchScript code."""
    positions = _POSITIONS.get(name, ())

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("pin_memory", True) is None:
            del kwargs["pin_memory"]
        for key, value in kwargs.items():
            if key in _TABLES and type(value) is int:
                kwargs[key] = _named(key, value)
        for position, kind in positions:
            if position < len(args) and type(args[position]) is int:
                args = (*args[:position], _named(kind, args[position]), *args[position + 1 :])
        result = function(*args, **kwargs)
        return list(result) if type(result) is tuple and name in _LISTS else result

    return call


# Operators whose schema declares a list as the result.
_LISTS = frozenset(
    (
        *("broadcast_tensors", "chunk", "dsplit", "gradient", "hsplit", "meshgrid", "split", "split_with_sizes"),
        *("tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit", "where"),
    )
)


def _size(input: Tensor, dim: int | None = None) -> Any:
    return list(input.shape) if dim is None else input.size(dim)


def _tensor(data: Any, dtype: int | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    kind = None if dtype is None else _named("dtype", dtype)
    return flambeau.tensor(data, dtype=kind, device=device, requires_grad=requires_grad)


def _as_tensor(data: Any, dtype: int | None = None, device: Any = None) -> Tensor:
    return flambeau.as_tensor(data, dtype=None if dtype is None else _named("dtype", dtype), device=device)


def _warn(message: str, stacklevel: int = 2) -> None:
    warnings.warn(message, stacklevel=stacklevel + 1)


def _grad_enabled(enabled: bool) -> None:
    flambeau.set_grad_enabled(enabled)


_OTHER_OPERATORS: dict[str, Callable[..., Any]] = {
    "FloatImplicit": float,
    "IntImplicit": int,
    "ScalarImplicit": lambda tensor: tensor.item(),
    "as_tensor": _as_tensor,
    "device": flambeau.device,
    "is_autocast_enabled": flambeau.is_autocast_enabled,
    "is_grad_enabled": flambeau.is_grad_enabled,
    "is_scripting": lambda: True,
    "len": len,
    "set_grad_enabled": _grad_enabled,
    "size": _size,
    "stride": lambda tensor, dim=None: list(tensor.stride()) if dim is None else tensor.stride(dim),
    "tensor": _tensor,
    "wait": lambda value: value,  # `fork` has already run the function
    "warn": _warn,
}


# Primitives

_EXCEPTIONS = (
    *(ArithmeticError, AssertionError, AttributeError, IndexError, KeyError, LookupError, NotImplementedError),
    *(OverflowError, RuntimeError, StopIteration, TypeError, ValueError, ZeroDivisionError),
)
_RAISED = {f"builtins.{kind.__name__}": kind for kind in _EXCEPTIONS}


def _raise(message: Any, kind: str | None = None) -> NoReturn:
    raise _RAISED.get(kind or "", RuntimeError)(message)


def _unwrapped(value: Any) -> Any:
    if value is None:
        raise RuntimeError("Unwrapping null optional")
    return value


def _minimum(first: Any, *others: Any) -> Any:
    return (
        [min(pair) for pair in zip(first, *others, strict=True)] if _are_lists(first, others) else min(first, *others)
    )


def _maximum(first: Any, *others: Any) -> Any:
    return (
        [max(pair) for pair in zip(first, *others, strict=True)] if _are_lists(first, others) else max(first, *others)
    )


def _are_lists(first: Any, others: tuple[Any, ...]) -> bool:
    return bool(others) and isinstance(first, list)


def _print(*values: Any) -> None:
    print(*values)


_FLAGS = (
    "is_cpu is_cuda is_meta is_mkldnn is_nested is_quantized is_sparse requires_grad itemsize nbytes grad H T mT mH"
)
_PRIMITIVES: dict[str, Callable[..., Any]] = {
    **{name: (lambda tensor, name=name: getattr(tensor, name, False)) for name in _FLAGS.split()},
    **{name: (lambda tensor: False) for name in ("is_ipu", "is_maia", "is_mps", "is_mtia", "is_vulkan", "is_xla")},
    "NumToTensor": flambeau.tensor,
    "Print": _print,
    "RaiseException": _raise,
    "abs": abs,
    "data": lambda tensor: tensor.detach(),
    "device": lambda tensor: tensor.device,
    "dtype": lambda tensor: _CODES[tensor.dtype],
    "index": lambda device: device.index,
    "layout": lambda tensor: next(code for code, name in _LAYOUTS.items() if getattr(flambeau, name) is tensor.layout),
    "max": _maximum,
    "min": _minimum,
    "name": lambda tensor: None,
    "rangelist": lambda count: list(range(count)),
    "shape": _size,
    "tolist": lambda tensor, *types: tensor.tolist(),
    "type": lambda device: device.type,
    "unchecked_cast": lambda value: value,
    "unchecked_unwrap_optional": _unwrapped,
}
