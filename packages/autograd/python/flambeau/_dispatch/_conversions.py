"""Decompositions of conversions (of the dtype, of the device, to Python numbers) and of tensor attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, _core

from ._decompositions import DECOMPOSITIONS, decomposition, run


@decomposition("to")
def converted(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    other: Tensor | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    **options: Any,
) -> Tensor:
    """Convert as ``Tensor.to`` does, with one ``_to_copy`` call, or return the input if nothing changes."""
    switches = []
    for value in args:
        if isinstance(value, bool):
            switches.append(value)
        elif isinstance(value, flambeau.dtype):
            dtype = value
        elif isinstance(value, Tensor):
            other = value
        elif value is not None:
            device = value
    copy = copy or (len(switches) > 1 and switches[1])
    if other is not None:
        dtype, device = other.dtype, other.device
    changes: dict[str, Any] = {}
    if dtype is not None and (dtype is not input.dtype or copy):
        changes["dtype"] = dtype
    if device is not None and (_is_other_device(input, flambeau.device(device)) or copy):
        changes["device"] = flambeau.device(device)
    if memory_format is not None and memory_format is not flambeau.preserve_format:
        changes["memory_format"] = memory_format
    return run("_to_copy", "default", input, **changes) if changes or copy else input


def _is_other_device(input: Tensor, device: Any) -> bool:
    own = input.device
    return own.type != device.type or (device.index is not None and (own.index or 0) != device.index)


@decomposition("type_as")
def _type_as(input: Tensor, other: Tensor) -> Tensor:
    return converted(input, other=other)


@decomposition("cpu")
def _cpu(input: Tensor, memory_format: Any = None) -> Tensor:
    return converted(input, device="cpu")


@decomposition("cuda")
def _cuda(input: Tensor, device: Any = None, *rest: Any, **options: Any) -> Tensor:
    return converted(input, device="cuda" if device is None else device)


def _of_dtype(dtype: Any) -> Callable[..., Any]:
    return lambda x, memory_format=None: converted(x, dtype=dtype)


DECOMPOSITIONS.update(
    {
        name: _of_dtype(dtype)
        for name, dtype in {
            "float": flambeau.float32,
            "double": flambeau.float64,
            "half": flambeau.float16,
            "bfloat16": flambeau.bfloat16,
            "int": flambeau.int32,
            "long": flambeau.int64,
            "short": flambeau.int16,
            "char": flambeau.int8,
            "byte": flambeau.uint8,
            "bool": flambeau.bool,
            "cfloat": flambeau.complex64,
            "cdouble": flambeau.complex128,
        }.items()
    }
)


def _item(input: Tensor) -> Any:
    if input.numel() != 1:
        raise RuntimeError(f"a Tensor with {input.numel()} elements cannot be converted to Scalar")
    return run("_local_scalar_dense", "default", input)


DECOMPOSITIONS.update(
    item=_item,
    is_nonzero=lambda x: bool(_item(x)),
    __bool__=lambda x: bool(_item(x)),
    __int__=lambda x: int(_item(x)),
    __float__=lambda x: float(_item(x)),
    __index__=lambda x: int(_item(x)),
    __complex__=lambda x: complex(_item(x)),
    __iter__=lambda x: iter(flambeau.unbind(x, 0)),
    __contains__=lambda x, value: bool(_item((x == value).any())),
    positive=lambda x: x,
    allclose=lambda x, other, *args, **named: bool(_item(flambeau.isclose(x, other, *args, **named).all())),
)


def _raise_for_instances(name: str) -> Callable[..., Any]:
    """Return a decomposition that raises an error for subclass instances, which have no elements."""

    def reject(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if _core._is_dispatching_class(type(x)):
            raise RuntimeError(f".{name}() is not supported for tensor subclasses.")
        return NotImplemented

    return reject


DECOMPOSITIONS.update({name: _raise_for_instances(name) for name in ("tolist", "numpy")})


def _factory_decomposition(name: str) -> Callable[..., Any]:
    function = vars(flambeau).get(name) or getattr(_core, name)

    def make(*args: Any, **kwargs: Any) -> Any:
        enabled = _core._dispatch_enabled(False)
        try:
            tensor = function(*args, **kwargs)
        finally:
            _core._dispatch_enabled(enabled)
        return run("lift_fresh", "default", tensor)

    return make


DECOMPOSITIONS["tensor"] = _factory_decomposition("tensor")


def _reverse_dims(input: Tensor) -> Tensor:
    if input.dim() == 2:
        return flambeau.t(input)
    return input if input.dim() < 2 else input.permute(list(range(input.dim() - 1, -1, -1)))


def _conjugate_transpose(input: Tensor) -> Tensor:
    swapped = flambeau.transpose(input, -2, -1) if input.dim() >= 2 else input
    return swapped.conj() if input.is_complex() else swapped


def _complex_part(index: int) -> Callable[[Tensor], Tensor]:
    def part(input: Tensor) -> Tensor:
        if not input.is_complex():
            if index == 0:
                return input
            raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
        return flambeau.select(flambeau.view_as_real(input), -1, index)

    return part


ATTRIBUTES: dict[str, Callable[[Tensor], Tensor]] = {
    "T": _reverse_dims,
    "mT": lambda x: flambeau.transpose(x, -2, -1),
    "H": _conjugate_transpose,
    "mH": _conjugate_transpose,
    "real": _complex_part(0),
    "imag": _complex_part(1),
    "data": lambda x: x.detach(),
}
