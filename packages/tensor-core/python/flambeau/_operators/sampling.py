"""Reading an image at arbitrary points: the operator, and its derivative's derivative.

Note [Differentiable taps]. A point reads a fixed number of pixels along each dimension, with weights that are
functions of its place between them. Where the derivative must itself be differentiated, places are computed without
history and the distance from the pixel to the left is given one by hand: its value, plus its slope times what the
coordinate moves.
"""

from __future__ import annotations

import itertools
from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator, recorded

_BILINEAR, _NEAREST, _BICUBIC = 0, 1, 2
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2
_CUBIC = -0.75  # Keys 1981


@operator()
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """Reads an image (N, C, H, W) at the points (N, h, w, 2) of a grid, or (N, C, D, H, W) at (N, d, h, w, 3).

    The coordinates -1 and 1 are the image's edges. Modes: 0 bilinear, 1 nearest, 2 bicubic; paddings: 0 zeros, 1
    border, 2 reflection.

    Gradient: both, any order. Source: Jaderberg et al. 2015, arXiv:1506.02025.
    """
    options = (interpolation_mode, padding_mode, align_corners)

    def derivative(grads: Any, saved: Any, needs: Any) -> Any:
        (grad,), (image, points) = grads, saved
        if _core.is_grad_enabled():
            return _gradients(grad, image, points, options, needs)
        of_image, of_points = _core._grid_sample_gradients(grad, image, points, *options, *needs)
        return of_image if needs[0] else None, of_points if needs[1] else None

    return recorded(
        "GridSampler",
        _core._grid_sample_values(input, grid, *options),
        inputs=(input, grid),
        saved=(input, grid),
        derivative=derivative,
    )


@operator()
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of images ``(N, C, H, W)``; RuntimeError for another rank."""
    _check_rank("grid_sampler_2d", 4, input, grid)
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@operator()
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of volumes ``(N, C, D, H, W)``; RuntimeError for another rank."""
    _check_rank("grid_sampler_3d", 5, input, grid)
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def _check_rank(name: str, rank: int, input: Tensor, grid: Tensor) -> None:
    if input.dim() != rank or grid.dim() != rank:
        raise RuntimeError(
            f"{name}(): expected {rank}D input and grid, but got input with sizes {list(input.shape)} and grid with "
            f"sizes {list(grid.shape)}"
        )


def _gradients(grad: Tensor, image: Tensor, grid: Tensor, options: tuple[int, int, bool], needs: Any) -> Any:
    """The gradients in differentiable operators, summed tap by tap."""
    batch, channels, *sizes = image.shape
    dims = len(sizes)
    points = grid.reshape(batch, 1, -1, dims)
    lines = [_line(points[..., d], sizes[dims - 1 - d], options) for d in range(dims)]
    flat_image, flat_grad = image.reshape(batch, channels, -1), grad.reshape(batch, channels, -1)
    of_image = _core.zeros_like(flat_image).detach()
    of_points: list[Any] = [0.0] * dims
    for taps in itertools.product(*lines):
        place: Any = 0
        inside: Any = True
        stride = 1
        for (index, seen, _, _), size in zip(taps, reversed(sizes), strict=True):
            place, stride, inside = place + index * stride, stride * size, seen & inside
        index = place.expand(flat_grad.shape)
        seen_grad = _core.where(inside, flat_grad, 0.0)
        if needs[0]:
            of_image = of_image.scatter_add(2, index, seen_grad * _product([tap[2] for tap in taps]))
        if needs[1]:
            share = (seen_grad * flat_image.gather(2, index)).sum(1, True)
            for d in range(dims):
                slope = _product([tap[3 if i == d else 2] for i, tap in enumerate(taps)])
                of_points[d] = of_points[d] + share * slope
    return (
        of_image.reshape(image.shape) if needs[0] else None,
        _core.stack(of_points, -1).reshape(grid.shape) if needs[1] else None,
    )


def _product(factors: list[Any]) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _line(x: Tensor, size: int, options: tuple[int, int, bool]) -> list[tuple[Tensor, Tensor, Any, Any]]:
    """The taps along one dimension: index, whether it is inside, weight, and the weight's derivative by ``x``."""
    mode, padding, align_corners = options
    half = (size - 1) / 2 if align_corners else size / 2
    fixed = x.detach()
    pixel, slope = fixed * half + (size - 1) / 2, _core.full_like(fixed, half)
    if mode != _BICUBIC:
        pixel, slope = _padded(pixel, slope, size, padding, align_corners)
    if mode == _NEAREST:
        return [_tap(pixel.round(), 1.0, 0.0 * x, size)]
    left = pixel.floor()
    share = pixel - left + slope * (x - fixed)
    if mode == _BILINEAR:
        return [_tap(left, 1 - share, -slope, size), _tap(left + 1, share, slope, size)]
    taps = []
    for k in range(-1, 3):
        place = left + k
        if padding != _ZEROS:
            place, _ = _padded(place, slope, size, padding, align_corners)
        weight, derivative = _cubic(share - k, near=k in (0, 1))
        taps.append(_tap(place, weight, derivative * slope, size))
    return taps


def _tap(place: Tensor, weight: Any, slope: Any, size: int) -> tuple[Tensor, Tensor, Any, Any]:
    inside = (place >= 0) & (place < size)
    return _core.where(inside, place, 0.0).long(), inside, weight, slope


def _cubic(distance: Tensor, near: bool) -> tuple[Tensor, Tensor]:
    """The kernel of cubic convolution and its derivative."""
    a, sign = _CUBIC, distance.detach().sign()
    d = distance * sign
    if near:
        return ((a + 2) * d - (a + 3)) * d * d + 1, sign * (3 * (a + 2) * d - 2 * (a + 3)) * d
    return ((d - 5) * d + 8) * d * a - 4 * a, sign * ((3 * d - 10) * d * a + 8 * a)


def _padded(pixel: Tensor, slope: Tensor, size: int, padding: int, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Places beyond the image brought back to it, and the slopes there."""
    if padding == _REFLECTION:
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        if span == 0:
            return 0 * pixel, 0 * slope
        distance = pixel - low
        slope = _core.where(distance < 0, -slope, slope)
        distance = distance.abs()
        odd = (distance / span).floor().remainder(2) != 0
        rest = distance.fmod(span)
        pixel = _core.where(odd, span - rest, rest) + low
        slope = _core.where(odd, -slope, slope)
    if padding != _ZEROS:
        slope = _core.where((pixel > 0) & (pixel < size - 1), slope, 0.0)
        pixel = pixel.clamp(0, size - 1)
    return pixel, slope
