"""Pickling of tensors for other processes as a file descriptor of the memory and a description of the view."""

from __future__ import annotations

import multiprocessing.reduction
import os
import sys
from multiprocessing.reduction import ForkingPickler
from typing import Any

from flambeau import Tensor, _core
from flambeau.storage import UntypedStorage

__all__ = ["install", "rebuild_tensor", "reduce_tensor"]

_READ_AND_WRITE = 6  # access rights FILE_MAP_READ and FILE_MAP_WRITE of Windows
_NO_GRAPH = (
    "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing "
    "process boundaries. If you just want to transfer the data, call detach() on the tensor before serializing "
    "(e.g., putting it on the queue)."
)


def reduce_tensor(tensor: Tensor) -> tuple[Any, ...]:
    """Return the pickle reduction of a tensor. A CPU tensor is moved to shared memory; other tensors are copied.

    Returns: a function and its arguments, as from ``__reduce__``.
    Raises: RuntimeError if the tensor is the result of a recorded operation.

    >>> x = fb.zeros(2)
    >>> rebuild, arguments = fb.multiprocessing.reductions.reduce_tensor(x)
    >>> _ = rebuild(*arguments).fill_(7.0)
    >>> x
    tensor([7., 7.])
    """
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(_NO_GRAPH)
    if tensor.device.type != "cpu":
        return tensor.__reduce_ex__(2)  # type: ignore[return-value]
    if not tensor.numel():
        view: tuple[Any, ...] = (0, tuple(tensor.shape), tuple(tensor.stride()))
        return rebuild_tensor, (None, 0, tensor.dtype, view, tensor.requires_grad, tensor.__dict__)
    tensor.share_memory_()
    handle = _duplicate(_core._shared_descriptor(tensor))
    view = (tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
    size = tensor.untyped_storage().nbytes()
    return rebuild_tensor, (handle, size, tensor.dtype, view, tensor.requires_grad, tensor.__dict__)


def rebuild_tensor(
    handle: Any, size: int, dtype: Any, view: tuple[Any, ...], requires_grad: bool, attributes: dict[str, Any]
) -> Tensor:
    """Rebuild a tensor that uses the same memory. See `reduce_tensor`."""
    tensor = _core.empty(0, dtype=dtype).set_(UntypedStorage(_map_received(handle, size)), *view)
    if requires_grad:
        tensor.requires_grad_()
    tensor.__dict__.update(attributes)
    return tensor


def _duplicate(descriptor: int) -> Any:
    """Return an object whose pickle carries a file descriptor, or a handle on Windows, to another process."""
    if sys.platform == "win32":
        return multiprocessing.reduction.DupHandle(descriptor, _READ_AND_WRITE)
    return multiprocessing.reduction.DupFd(descriptor)


def _close(descriptor: int) -> None:
    if sys.platform == "win32":
        import _winapi

        _winapi.CloseHandle(descriptor)
    else:
        os.close(descriptor)


def _map_received(handle: Any, size: int) -> Tensor:
    if handle is None:
        return _core.empty(0, dtype=_core.uint8, device="cpu")
    descriptor = handle.detach()
    try:
        return _core._from_shared(descriptor, size)
    finally:
        _close(descriptor)


def install() -> None:
    """Register `reduce_tensor` with the pickler of queues, pipes and processes.

    >>> fb.multiprocessing.reductions.install()
    """
    ForkingPickler.register(Tensor, reduce_tensor)
