"""Batching rules of operators that have shape arguments or change the shape."""

from collections.abc import Iterator
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.pointwise import aligned
from flambeau.func._rules import Call, batching, composition


def _sizes(sizes: Any) -> tuple[int, ...]:
    return tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)


@batching("view", "reshape", "view_copy")
def reshape(call: Call) -> Any:
    """Apply ``reshape`` or ``view`` to a batch. The batch dimension stays first."""
    x, size = call.values
    if isinstance(size, flambeau.dtype):
        if x.ndim == 0 and x.dtype.itemsize != size.itemsize:
            raise RuntimeError(f"self.dim() cannot be 0 to view {x.dtype} as {size} (different element sizes)")
        return call.run((x.value, size))
    sizes = list(_sizes(size))
    if sizes.count(-1) == 1 and call.size == 0:
        sizes[sizes.index(-1)] = flambeau.empty(x.shape).reshape(sizes).shape[sizes.index(-1)]
    return call.run((x.value, (call.size, *sizes)))


@batching("expand", "broadcast_to", "expand_copy", "sum_to_size")
def expand(call: Call) -> Any:
    """Apply ``expand`` to a batch. New dimensions are inserted after the batch dimension."""
    x, size = call.values
    sizes = _sizes(size)
    return call.run((aligned(x.value, len(sizes)), (call.size, *sizes)))


@batching("repeat", "tile")
def repeat(call: Call) -> Any:
    """Apply ``repeat`` or ``tile`` to a batch. Additional repeats insert dimensions after the batch dimension."""
    x, repeats = call.values
    counts = _sizes(repeats)
    if call.operator.__name__ == "tile":
        counts = (*(1,) * (x.ndim - len(counts)), *counts)
    return call.run((aligned(x.value, len(counts)), (1, *counts)))


@composition("view_as", "reshape_as")
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view with the shape of ``other``."""
    return input.reshape(other.shape)


@composition("expand_as")
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expand to the shape of ``other``."""
    return input.expand(other.shape)


@composition("ravel")
def ravel(input: Tensor) -> Tensor:
    """Flatten to one dimension."""
    return input.reshape(-1)


@composition("t", "t_copy", "T.__get__")
def t(input: Tensor) -> Tensor:
    """Return the tensor with all dimensions in reverse order, which is the transpose of a matrix."""
    return input.permute(*range(input.ndim - 1, -1, -1)) if input.ndim > 1 else input.view(input.shape)


@composition("H.__get__")
def adjoint(input: Tensor) -> Any:
    """Return the conjugate transpose."""
    return t(input).conj()


@composition("fliplr")
def fliplr(input: Tensor) -> Tensor:
    """Reverse the second dimension."""
    return input.flip(1)


@composition("flipud")
def flipud(input: Tensor) -> Tensor:
    """Reverse the first dimension."""
    return input.flip(0)


@composition("msort")
def msort(input: Tensor) -> Tensor:
    """Sort along the first dimension."""
    return input.sort(0)[0]


@composition("__iter__")
def iterate(input: Tensor) -> Iterator[Tensor]:
    """Iterate over the first dimension."""
    if input.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(input.unbind(0))


@composition("trace")
def trace(input: Tensor) -> Tensor:
    """Return the sum of the diagonal."""
    return input.diagonal().sum()


@composition("diag")
def diag(input: Tensor, diagonal: int) -> Tensor:
    """Return a diagonal matrix for a vector, or the diagonal of a matrix."""
    return input.diag_embed(diagonal) if input.ndim == 1 else input.diagonal(diagonal)


@composition("diagflat")
def diagflat(input: Tensor, offset: int) -> Tensor:
    """Return a matrix with the flattened tensor on its diagonal."""
    return input.reshape(-1).diag_embed(offset)


@batching("new_empty new_zeros new_ones new_full")
def new(call: Call) -> Any:
    """Create a batched tensor, so that each element of the batch can be written separately."""
    names, values = call.operator.parameters, call.value(call.values)
    return call.run([(call.size, *_sizes(v)) if name == "size" else v for name, v in zip(names, values, strict=True)])
