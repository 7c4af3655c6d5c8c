"""Conversion of other libraries' GPU arrays to tensors, through the CUDA array interface."""

from __future__ import annotations

from typing import Any

from flambeau import _core
from flambeau._core import Tensor

_DTYPES = {
    "|b1": _core.bool,
    "|u1": _core.uint8,
    "|i1": _core.int8,
    **{f"<i{dtype.itemsize}": dtype for dtype in (_core.int16, _core.int32, _core.int64)},
    **{f"<u{dtype.itemsize}": dtype for dtype in (_core.uint16, _core.uint32, _core.uint64)},
    **{f"<f{dtype.itemsize}": dtype for dtype in (_core.float16, _core.float32, _core.float64)},
    **{f"<c{dtype.itemsize}": dtype for dtype in (_core.complex64, _core.complex128)},
}


def from_interface(array: Any) -> Tensor:
    """Return a tensor that shares the memory of an object with ``__cuda_array_interface__``.

    Raises: TypeError for an array with a mask or with an element type that tensors do not support; ValueError for
    memory that is not on a GPU, and for strides that are negative or not multiples of the element size.
    """
    interface = array.__cuda_array_interface__
    dtype = _DTYPES.get(interface["typestr"])
    if dtype is None:
        raise TypeError(f"elements of type {interface['typestr']!r} have no corresponding dtype")
    if interface.get("mask") is not None:
        raise TypeError("a masked array cannot be converted to a tensor")
    shape = tuple(interface["shape"])
    address, read_only = interface["data"]
    size = dtype.itemsize
    strides = interface.get("strides")
    if strides is None:
        strides, step = [], size
        for length in reversed(shape):
            strides.insert(0, step)
            step *= max(length, 1)
    if any(stride % size for stride in strides):
        raise ValueError(f"strides must be multiples of the element size of {size} bytes, got {list(strides)}")
    device = _core._cuda_device_of(address) if address else _core._cuda_current_device()
    in_elements = [stride // size for stride in strides]
    return _core._cuda_wrap(
        array, address or 0, shape, in_elements, dtype, device, not read_only, interface.get("stream")
    )
