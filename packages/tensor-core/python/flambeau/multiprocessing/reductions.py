"""Pickling of tensors for other processes as a file descriptor of the memory and a description of the view."""

from __future__ import annotations

import os
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any

from flambeau import Tensor, _core
from flambeau.storage import UntypedStorage

__all__ = ["install", "rebuild_tensor", "reduce_tensor"]

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
    handle = DupFd(_core._shared_descriptor(tensor))
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


def _map_received(handle: Any, size: int) -> Tensor:
    if handle is None:
        return _core.empty(0, dtype=_core.uint8, device="cpu")
    descriptor = handle.detach()
    try:
        return _core._from_shared(descriptor, size)
    finally:
        os.close(descriptor)


def install() -> None:
    """Register `reduce_tensor` with the pickler of queues, pipes and processes.

    >>> fb.multiprocessing.reductions.install()
    """
    ForkingPickler.register(Tensor, reduce_tensor)
