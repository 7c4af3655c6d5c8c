"""Broadcast shapes and multi-dimensional indices."""

from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau._operator import operator


def broadcast_shapes(*shapes: Sequence[int] | int) -> Size:
    """Return the common shape to which the shapes broadcast. Raise RuntimeError if they do not match.

    This is not an operator, because the starred parameter of an operator unpacks a single sequence, which is a shape
    here.

    >>> flambeau.broadcast_shapes((2, 1), (3,))
    flambeau.Size([2, 3])
    """
    lists = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    width = max((len(s) for s in lists), default=0)
    result = [1] * width
    for shape in lists:
        for i, size in enumerate(shape, width - len(shape)):
            if size < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({size}): ({size})")
            if size not in (1, result[i]) and result[i] != 1:
                raise RuntimeError(
                    f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(map(str, lists))}"
                )
            result[i] = size if result[i] == 1 else result[i]
    return Size(result)


@operator()
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Convert flat indices into indices for a tensor of ``shape``: one int64 tensor per dimension.

    Raises ValueError for floating-point ``indices`` or a negative size.

    >>> flambeau.unravel_index(flambeau.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype is _core.bool:
        raise ValueError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if any(s < 0 for s in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    coordinates = []
    rest = indices.to(_core.int64)
    for size in reversed(sizes):
        coordinates.append(rest % size if size else rest)
        rest = rest // size if size else rest
    return tuple(reversed(coordinates))
