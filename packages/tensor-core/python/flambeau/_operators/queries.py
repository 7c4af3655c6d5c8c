"""Queries of the memory and the type of a tensor, and elementwise calls of Python functions."""

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True)
def is_signed(input: Tensor) -> bool:
    """Return True if the dtype can represent negative numbers.

    >>> fb.is_signed(fb.tensor([1])), fb.is_signed(fb.tensor([1], dtype=fb.uint8))
    (True, False)
    """
    return input.dtype.is_signed


@operator()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Return True if two tensors have the same shape."""
    return input.shape == other.shape


@operator(function=False, method=True)
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """Return True if the memory is page-locked (pinned), so that a GPU can copy asynchronously.

    >>> fb.tensor([1.0]).is_pinned()
    False
    """
    return _core._cuda_is_pinned(input)


@operator(function=False, method=True)
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """Return a copy in page-locked memory, from which a copy to a GPU with ``non_blocking=True`` is asynchronous.

    If the memory is already page-locked, return the tensor itself. Raises RuntimeError if the tensor is not on the CPU,
    or if no GPU is available (the message names the cause). Gradient: none.
    """
    if not _core._cuda_device_count():
        raise RuntimeError(f"pin_memory() requires a GPU: {_core._cuda_obstacle()}")
    return _core._cuda_pin_memory(input)


@operator(function=False, method=True)
def record_stream(input: Tensor, stream: Any) -> None:
    """Mark the memory of the tensor as used by a stream other than the one on which it was allocated.

    After the last tensor that uses the memory is deleted, the allocator does not reuse the memory until the work that
    is queued on the stream at that time is complete.
    """
    _core._cuda_record_stream(input, stream.device_index, stream.cuda_stream)


@operator(function=False, method=True)
def is_shared(input: Tensor) -> bool:
    """Return True if the memory is shared with other processes (see `share_memory_`) or is on a GPU.

    >>> fb.tensor([1.0]).is_shared()
    False
    """
    return input.is_cuda or _core._shared_descriptor(input) >= 0


@operator(function=False, method=True)
def share_memory_(input: Tensor) -> Tensor:
    """Move the storage, and all tensors that view it, to memory that other processes can map.

    Forked processes then see each other's changes. `flambeau.multiprocessing` sends the tensor to other processes. The
    memory is unnamed and is freed when the last process ends. On a GPU, this function does nothing, because other
    processes receive copies.
    """
    return input if input.is_cuda else _core._share_memory(input)


@operator(method=True)
def is_distributed(input: Tensor) -> bool:
    """Return False: distributed tensors are not supported.

    >>> fb.is_distributed(fb.tensor([1.0]))
    False
    """
    return False


@operator(method=True)
def get_device(input: Tensor) -> int:
    """Return the index of the GPU that holds the tensor, or -1 on the CPU.

    >>> fb.get_device(fb.tensor([1.0]))
    -1
    """
    index = input.device.index
    return -1 if index is None else index


@operator(function=False, method=True)
def dim_order(input: Tensor) -> tuple[int, ...]:
    """Return the dimensions in the order of their strides, outermost first.

    >>> flambeau.zeros(2, 3, 4).transpose(0, 2).dim_order()
    (2, 1, 0)
    """
    stride = input.stride()
    return tuple(sorted(range(input.dim()), key=lambda dim: (-stride[dim], dim)))


@operator(function=False, method=True)
def apply_(input: Tensor, callable: Any) -> Tensor:
    """Replace each element x by ``callable(x)``, one element at a time in Python. No gradient.

    >>> flambeau.arange(3).apply_(lambda x: x * x)
    tensor([0, 1, 4])
    """
    return _map_elements(input, callable, [input])


@operator(function=False, method=True)
def map_(input: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """Replace each element x by ``callable(x, y)``, with y from ``tensor``, which is broadcast. No gradient."""
    return _map_elements(input, callable, [input, tensor])


@operator(function=False, method=True)
def map2_(input: Tensor, x: Tensor, y: Tensor, callable: Any) -> Tensor:
    """Replace each element by ``callable(element, element of x, element of y)``. No gradient."""
    return _map_elements(input, callable, [input, x, y])


def _map_elements(target: Tensor, function: Any, operands: list[Tensor]) -> Tensor:
    if any(each.requires_grad for each in operands):
        raise RuntimeError("can't call apply_, map_ or map2_ on a tensor that requires grad; use .detach() first")
    columns = [each.expand(target.shape).reshape(-1).tolist() for each in operands]
    values = [function(*row) for row in zip(*columns, strict=True)]
    for value in values:
        if not isinstance(value, int | float | complex | Tensor):
            raise TypeError(f"the function must return a number, but returned {type(value).__name__}")
    return target.copy_(flambeau.tensor(values, dtype=target.dtype).reshape(target.shape))


@operator(function=False, method=True)
def to_dense(input: Tensor, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
    """Return a strided tensor unchanged, or converted to a dtype."""
    return input if dtype is None else input.to(dtype)


@operator(function=False)
def _holds(condition: Tensor) -> bool:
    """Return True if a condition holds for all elements. Used in argument checks; vmap checks the complete batch.

    The values of a meta tensor are unknown and treated as True.
    """
    return condition.is_meta or bool(condition.all())
