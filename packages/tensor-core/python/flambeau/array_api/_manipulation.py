"""Manipulation functions: change the shape or the order of the elements of arrays."""

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import axes, broadcast, normal, positions, together


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Broadcast the arrays to their common shape."""
    return tuple(flambeau.broadcast_tensors(*arrays)) if arrays else ()


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape to which the shapes broadcast. Raise ValueError if there is none."""
    return broadcast(*shapes)


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """Broadcast the array to ``shape``."""
    return x.expand(shape)


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Concatenate arrays along an axis. If ``axis`` is None, flatten them first."""
    arrays = together(arrays)
    if axis is None:
        return flambeau.cat([x.reshape(-1) for x in arrays])
    return flambeau.cat(arrays, normal(axis, arrays[0].ndim))


def expand_dims(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Insert axes of size 1 at the positions ``axis`` of the result."""
    count = len(axis) if isinstance(axis, tuple) else 1
    for place in sorted(axes(axis, x.ndim + count)):
        x = x.unsqueeze(place)
    return x


def flip(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Reverse the order of the elements along the axes (default: all axes)."""
    return flambeau.flip(x, axes(axis, x.ndim))


def moveaxis(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Tensor:
    """Move axes from ``source`` to ``destination``. The other axes keep their order."""
    return flambeau.movedim(x, axes(source, x.ndim), axes(destination, x.ndim))


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """Permute the axes."""
    return x.permute(axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Repeat each element ``repeats`` times along an axis. If ``axis`` is None, flatten the array first."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    if isinstance(repeats, Tensor):
        repeats = positions(repeats)
    return flambeau.repeat_interleave(x, repeats, normal(axis, x.ndim))


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """Change the shape. With ``copy=False``, raise ValueError if a copy is required."""
    if copy:
        return x.clone().reshape(shape)
    if copy is None:
        return x.reshape(shape)
    try:
        return x.view(shape)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def roll(x: Tensor, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Shift the elements along the axes cyclically. If ``axis`` is None, shift the flattened array."""
    if axis is None:
        return flambeau.roll(x, shift)
    shifts = shift if isinstance(shift, tuple) else (shift,) * (len(axis) if isinstance(axis, tuple) else 1)
    places = axis if isinstance(axis, tuple) else (axis,) * len(shifts)
    return flambeau.roll(x, shifts, [normal(a, x.ndim) for a in places])


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Remove axes of size 1. Raise ValueError for an axis of another size."""
    places = axes(axis, x.ndim)
    for place in places:
        if x.shape[place] != 1:
            raise ValueError(f"squeeze(): axis {place} has size {x.shape[place]}, not 1")
    return x.reshape([n for place, n in enumerate(x.shape) if place not in places])


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Join the arrays along a new axis."""
    arrays = together(arrays)
    return flambeau.stack(arrays, normal(axis, arrays[0].ndim + 1))


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """Repeat the array along each axis."""
    return flambeau.tile(x, repetitions)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Split the array into its slices along an axis, which is removed."""
    return tuple(x.unbind(normal(axis, x.ndim)))


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """Return the slices at ``indices`` along an axis. The axis is optional only for 1-D arrays."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take(): axis is required for an array with {x.ndim} dimensions")
        axis = 0
    place: Any = (slice(None),) * normal(axis, x.ndim) + (positions(indices),)
    return x[place]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the elements of ``x`` at ``indices`` along an axis. The other axes are broadcast."""
    return flambeau.take_along_dim(x, positions(indices), normal(axis, x.ndim))
