"""Functions of shapes."""

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import axes, broadcast, normal, positions, together


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """The arrays expanded to their common shape."""
    return tuple(flambeau.broadcast_tensors(*arrays)) if arrays else ()


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of the given shapes broadcast to; ValueError where they do not."""
    return broadcast(*shapes)


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """The array expanded to ``shape``."""
    return x.expand(shape)


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after another along an axis; flattened first if that is None."""
    arrays = together(arrays)
    if axis is None:
        return flambeau.cat([x.reshape(-1) for x in arrays])
    return flambeau.cat(arrays, normal(axis, arrays[0].ndim))


def expand_dims(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """The array with axes of size 1 where the result has ``axis``."""
    count = len(axis) if isinstance(axis, tuple) else 1
    for place in sorted(axes(axis, x.ndim + count)):
        x = x.unsqueeze(place)
    return x


def flip(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The elements in reverse order along the axes (all unless given)."""
    return flambeau.flip(x, axes(axis, x.ndim))


def moveaxis(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Tensor:
    """The axes moved from source to destination, the others in their order."""
    return flambeau.movedim(x, axes(source, x.ndim), axes(destination, x.ndim))


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """The axes in the given order."""
    return x.permute(axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Each element ``repeats`` times along an axis; of the flattened array if that is None."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    if isinstance(repeats, Tensor):
        repeats = positions(repeats)
    return flambeau.repeat_interleave(x, repeats, normal(axis, x.ndim))


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """The elements in another shape; ValueError if ``copy=False`` and they would have to be copied."""
    if copy:
        return x.clone().reshape(shape)
    if copy is None:
        return x.reshape(shape)
    try:
        return x.view(shape)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def roll(x: Tensor, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The elements moved along the axes, those that leave at one end entering at the other."""
    if axis is None:
        return flambeau.roll(x, shift)
    shifts = shift if isinstance(shift, tuple) else (shift,) * (len(axis) if isinstance(axis, tuple) else 1)
    places = axis if isinstance(axis, tuple) else (axis,) * len(shifts)
    return flambeau.roll(x, shifts, [normal(a, x.ndim) for a in places])


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """The array without axes of size 1; ValueError for another."""
    places = axes(axis, x.ndim)
    for place in places:
        if x.shape[place] != 1:
            raise ValueError(f"squeeze(): axis {place} has size {x.shape[place]}, not 1")
    return x.reshape([n for place, n in enumerate(x.shape) if place not in places])


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """The arrays along an additional axis."""
    arrays = together(arrays)
    return flambeau.stack(arrays, normal(axis, arrays[0].ndim + 1))


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """The array repeated along each axis."""
    return flambeau.tile(x, repetitions)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis."""
    return tuple(x.unbind(normal(axis, x.ndim)))


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The slices at ``indices`` along an axis, which may be left out of vectors only."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take(): axis is required for an array with {x.ndim} dimensions")
        axis = 0
    place: Any = (slice(None),) * normal(axis, x.ndim) + (positions(indices),)
    return x[place]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """``x`` at ``indices`` along an axis, the other positions being the same; both broadcast there."""
    return flambeau.take_along_dim(x, positions(indices), normal(axis, x.ndim))
