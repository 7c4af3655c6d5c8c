"""What can be asked of a tensor, about memory and kind. Where the answer could only come from a GPU it is no."""

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True)
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return input.dtype.is_signed


@operator()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return input.shape == other.shape


@operator(function=False, method=True)
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """Whether the memory is locked in place, so that a GPU copies from it and to it beside its other work."""
    return _core._cuda_is_pinned(input)


@operator(function=False, method=True)
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """A copy in memory that is locked in place: `to` a GPU with ``non_blocking=True`` then does not wait.

    The tensor itself where it is there already. Raises RuntimeError for a tensor of another device, and where there is
    no GPU, saying what is missing. Gradient: none.
    """
    if not _core._cuda_device_count():
        raise RuntimeError(f"pin_memory() needs a GPU: {_core._cuda_obstacle()}")
    return _core._cuda_pin_memory(input)


@operator(function=False, method=True)
def record_stream(input: Tensor, stream: Any) -> None:
    """Says that a stream uses the tensor's memory, besides the one that it was made on.

    The memory is not used again before that stream has come to where it stands when the last tensor over it is gone.
    """
    _core._cuda_record_stream(input, stream.device_index, stream.cuda_stream)


@operator(function=False, method=True)
def is_shared(input: Tensor) -> bool:
    """Whether the memory is shared with other processes (see `share_memory_`), or on a GPU."""
    return input.is_cuda or _core._shared_descriptor(input) >= 0


@operator(function=False, method=True)
def share_memory_(input: Tensor) -> Tensor:
    """Moves the storage, with all tensors that view it, to memory that other processes can have.

    Processes that are forked then see each other's changes; others receive it through `flambeau.multiprocessing`. The
    memory has no name, so nothing is left of it when the last of them ends. On a GPU this does nothing: other processes
    receive copies.
    """
    return input if input.is_cuda else _core._share_memory(input)


@operator(method=True)
def is_distributed(input: Tensor) -> bool:
    """Whether the tensor lies on several machines: False."""
    return False


@operator(method=True)
def get_device(input: Tensor) -> int:
    """The number of the GPU that the tensor is on; -1: it is on the CPU."""
    index = input.device.index
    return -1 if index is None else index


@operator(function=False, method=True)
def dim_order(input: Tensor) -> tuple[int, ...]:
    """The dimensions as they lie in memory, outermost first.

    >>> flambeau.zeros(2, 3, 4).transpose(0, 2).dim_order()
    (2, 1, 0)
    """
    stride = input.stride()
    return tuple(sorted(range(input.dim()), key=lambda dim: (-stride[dim], dim)))


@operator(function=False, method=True)
def apply_(input: Tensor, callable: Any) -> Tensor:
    """Puts ``callable(x)`` in the place of each element x, one after another in Python. No gradient.

    >>> flambeau.arange(3).apply_(lambda x: x * x)
    tensor([0, 1, 4])
    """
    return _mapped(input, callable, [input])


@operator(function=False, method=True)
def map_(input: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """Puts ``callable(x, y)`` in the place of each element x, with y from ``tensor``, which broadcasts. No gradient."""
    return _mapped(input, callable, [input, tensor])


@operator(function=False, method=True)
def map2_(input: Tensor, x: Tensor, y: Tensor, callable: Any) -> Tensor:
    """Puts ``callable(element, of x, of y)`` in the place of each element. No gradient."""
    return _mapped(input, callable, [input, x, y])


def _mapped(target: Tensor, function: Any, operands: list[Tensor]) -> Tensor:
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
    """The tensor itself, which is dense, or converted to a dtype."""
    return input if dtype is None else input.to(dtype)


@operator(function=False)
def _holds(condition: Tensor) -> bool:
    """Whether a condition is true everywhere: for checks of what a user gave, which vmap makes for the whole batch.

    Nothing is known of values on the meta device: there it is taken for true.
    """
    return condition.is_meta or bool(condition.all())
