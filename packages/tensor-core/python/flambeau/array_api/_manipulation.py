"""Manipulation functions: change the shape or the order of the elements of arrays."""

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import axes, broadcast, normal, positions, promote_all


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Broadcast the arrays to their common shape.

    >>> [x.shape for x in fb.array_api.broadcast_arrays(fb.ones(3, 1), fb.ones(2))]
    [flambeau.Size([3, 2]), flambeau.Size([3, 2])]
    """
    return tuple(flambeau.broadcast_tensors(*arrays)) if arrays else ()


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape to which the shapes broadcast. Raise ValueError if they do not match.

    >>> fb.array_api.broadcast_shapes((3, 1), (2,))
    (3, 2)
    """
    return broadcast(*shapes)


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """Broadcast the array to ``shape``.

    >>> fb.array_api.broadcast_to(fb.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return x.expand(shape)


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Concatenate arrays along an axis. If ``axis`` is None, flatten them first.

    >>> fb.array_api.concat([fb.tensor([1, 2]), fb.tensor([0.5])])
    tensor([1.0000, 2.0000, 0.5000])
    """
    arrays = promote_all(arrays)
    if axis is None:
        return flambeau.cat([x.reshape(-1) for x in arrays])
    return flambeau.cat(arrays, normal(axis, arrays[0].ndim))


def expand_dims(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Insert axes of size 1 at the positions ``axis`` of the result.

    >>> fb.array_api.expand_dims(fb.ones(2, 3), axis=(0, 2)).shape
    flambeau.Size([1, 2, 1, 3])
    """
    count = len(axis) if isinstance(axis, tuple) else 1
    for dim in sorted(axes(axis, x.ndim + count)):
        x = x.unsqueeze(dim)
    return x


def flip(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Reverse the order of the elements along the axes (default: all axes).

    >>> fb.array_api.flip(fb.tensor([[1, 2], [3, 4]]), axis=1)
    tensor([[2, 1],
            [4, 3]])
    """
    return flambeau.flip(x, axes(axis, x.ndim))


def moveaxis(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Tensor:
    """Move axes from ``source`` to ``destination``. The other axes keep their order.

    >>> fb.array_api.moveaxis(fb.ones(2, 3, 4), 0, -1).shape
    flambeau.Size([3, 4, 2])
    """
    return flambeau.movedim(x, axes(source, x.ndim), axes(destination, x.ndim))


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """Permute the axes.

    >>> fb.array_api.permute_dims(fb.ones(2, 3, 4), (2, 0, 1)).shape
    flambeau.Size([4, 2, 3])
    """
    return x.permute(axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Repeat each element ``repeats`` times along an axis. If ``axis`` is None, flatten the array first.

    >>> fb.array_api.repeat(fb.tensor([1, 2]), fb.tensor([1, 3]))
    tensor([1, 2, 2, 2])
    """
    if axis is None:
        x, axis = x.reshape(-1), 0
    if isinstance(repeats, Tensor):
        repeats = positions(repeats)
    return flambeau.repeat_interleave(x, repeats, normal(axis, x.ndim))


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """Change the shape. With ``copy=False``, raise ValueError if a copy is required.

    >>> fb.array_api.reshape(fb.tensor([1, 2, 3, 4]), (2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    if copy:
        return x.clone().reshape(shape)
    if copy is None:
        return x.reshape(shape)
    try:
        return x.view(shape)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def roll(x: Tensor, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Shift the elements along the axes cyclically. If ``axis`` is None, shift the flattened array.

    >>> fb.array_api.roll(fb.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    if axis is None:
        return flambeau.roll(x, shift)
    shifts = shift if isinstance(shift, tuple) else (shift,) * (len(axis) if isinstance(axis, tuple) else 1)
    dims = axis if isinstance(axis, tuple) else (axis,) * len(shifts)
    return flambeau.roll(x, shifts, [normal(a, x.ndim) for a in dims])


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Remove axes of size 1. Raise ValueError for an axis of another size.

    >>> fb.array_api.squeeze(fb.ones(1, 3, 1), axis=0).shape
    flambeau.Size([3, 1])
    """
    dims = axes(axis, x.ndim)
    for dim in dims:
        if x.shape[dim] != 1:
            raise ValueError(f"squeeze(): axis {dim} has size {x.shape[dim]}, not 1")
    return x.reshape([n for dim, n in enumerate(x.shape) if dim not in dims])


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Join the arrays along a new axis.

    >>> fb.array_api.stack([fb.tensor([1, 2]), fb.tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    arrays = promote_all(arrays)
    return flambeau.stack(arrays, normal(axis, arrays[0].ndim + 1))


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """Repeat the array along each axis.

    >>> fb.array_api.tile(fb.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    return flambeau.tile(x, repetitions)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Split the array into its slices along an axis, which is removed.

    >>> fb.array_api.unstack(fb.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    return tuple(x.unbind(normal(axis, x.ndim)))


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """Return the slices at ``indices`` along an axis. The axis is optional only for 1-D arrays.

    >>> fb.array_api.take(fb.tensor([5, 6, 7]), fb.tensor([2, 0]))
    tensor([7, 5])
    """
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take(): axis is required for an array with {x.ndim} dimensions")
        axis = 0
    key: Any = (slice(None),) * normal(axis, x.ndim) + (positions(indices),)
    return x[key]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the elements of ``x`` at ``indices`` along an axis. The other axes are broadcast.

    >>> fb.array_api.take_along_axis(fb.tensor([[5, 6], [7, 8]]), fb.tensor([[1], [0]]))
    tensor([[6],
            [7]])
    """
    return flambeau.take_along_dim(x, positions(indices), normal(axis, x.ndim))
