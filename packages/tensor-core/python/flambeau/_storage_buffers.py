"""Conversion of the bytes of other objects to the elements of storages."""

from __future__ import annotations

import sys
from typing import Any

from flambeau import _core
from flambeau._core import Tensor


def elements(buffer: Any, byte_order: str | None, count: int, offset: int, dtype: Any) -> Tensor:
    """Return a copy of the elements in an object's buffer.

    Args:
        buffer: object with a buffer, such as ``bytes``.
        byte_order: "native", "big" or "little". Required unless elements have one byte.
        count: the number of elements. If negative, all elements after ``offset``.
        offset: the number of bytes to skip.
        dtype: dtype of the elements.
    """
    item = dtype.itemsize
    if item == 1:
        byte_order = "native"
    elif byte_order not in ("native", "big", "little"):
        raise ValueError(f"byte_order must be 'native', 'big' or 'little', got {byte_order!r}")
    data = bytearray(memoryview(buffer).cast("B")[offset : None if count < 0 else offset + count * item])
    if len(data) % item or (count >= 0 and len(data) < count * item):
        raise ValueError(
            f"from_buffer: {len(data)} bytes do not hold the requested elements of {dtype}, which take {item} bytes "
            "each"
        )
    return _decoded(data, dtype, byte_order not in ("native", sys.byteorder))


def _decoded(data: bytearray, dtype: Any, swap: bool) -> Tensor:
    if not data:
        return _core.empty(0, dtype=dtype)
    raw = _core._frombuffer(data, dtype=_core.uint8)
    if dtype is _core.bool:
        return raw != 0
    if swap:
        number = dtype.itemsize // (2 if dtype.is_complex else 1)
        raw = raw.view(-1, number).flip(1).flatten()
    return raw.view(dtype)
