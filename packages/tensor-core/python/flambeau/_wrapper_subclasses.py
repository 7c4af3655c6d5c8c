"""``Tensor._make_wrapper_subclass``: instances of Tensor subclasses that wrap other tensors and have no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import _core
from flambeau._core import Tensor


def _contiguous(size: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for each in reversed(size):
        strides.append(step)
        step *= max(each, 1)
    return tuple(reversed(strides))


def _channels_last(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor whose second dimension is the innermost."""
    order = (0, *range(2, len(size)), 1)
    strides = dict(zip(order, _contiguous(tuple(size[dim] for dim in order)), strict=True))
    return tuple(strides[dim] for dim in range(len(size)))


def make(
    cls: type[Tensor],
    size: Sequence[int],
    strides: Sequence[int] | None = None,
    storage_offset: int | None = None,
    memory_format: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    dispatch_sizes_strides_policy: str | None = None,
    dispatch_device: bool = False,
    dispatch_layout: bool = False,
    _extra_dispatch_keys: Any = None,
    storage_size: int | None = None,
) -> Any:
    """Return an instance of a class with ``__torch_dispatch__`` that has a shape, a dtype and a device, and no memory.

    The ``dispatch_`` arguments have no effect. To report other sizes or devices, a class defines these properties.
    """
    if not isinstance(cls, type) or not issubclass(cls, Tensor) or not _core._is_dispatching_class(cls):
        raise RuntimeError(f"{cls} must define __torch_dispatch__")
    shape = tuple(int(each) for each in size)
    if strides is None:
        strides = _channels_last(shape) if memory_format is _core.channels_last else _contiguous(shape)
    heeded = _core._overrides_heeded(False)
    try:
        wrapper = _core._wrapper(
            cls, shape, tuple(int(each) for each in strides), storage_offset or 0, dtype or _core.get_default_dtype()
        )
        _core._show_device(wrapper, _core.device("cpu" if device is None else device))
        return wrapper.requires_grad_(True) if requires_grad else wrapper
    finally:
        _core._overrides_heeded(heeded)
