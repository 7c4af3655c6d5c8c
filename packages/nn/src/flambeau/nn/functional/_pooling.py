"""Pooling functions that combine the pooling operators of tensor-core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from math import inf, prod
from typing import Any, Literal, overload

from flambeau import Tensor, _core, avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d, rand
from flambeau._overridable import overridable

Size = int | Sequence[int]
OptionalSize = int | None | Sequence[int | None]

_WITH_INDICES = """Return the maxima of `{pool}` and their indices, regardless of ``return_indices``.

>>> values, indices = nn.functional.{name}({example})
>>> values.item(), indices.item()
(3.0, 3)
"""


def adaptive_avg_pool2d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """Average over windows that divide ``(..., H, W)`` into ``output_size`` parts. None keeps the size of a dimension.

    >>> nn.functional.adaptive_avg_pool2d(fb.arange(4.0).reshape(1, 2, 2), 1)
    tensor([[[1.5000]]])
    """
    return _core._adaptive_avg_pool2d(input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """Compute `adaptive_avg_pool2d` over three dimensions.

    >>> nn.functional.adaptive_avg_pool3d(fb.zeros(1, 3, 8, 8, 8), 2).shape
    flambeau.Size([1, 3, 2, 2, 2])
    """
    return _core._adaptive_avg_pool3d(input, output_size)


@overload
def adaptive_max_pool1d(input: Tensor, output_size: OptionalSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool1d(
    input: Tensor, output_size: OptionalSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


@overload
def adaptive_max_pool1d(
    input: Tensor, output_size: OptionalSize, return_indices: bool
) -> Tensor | tuple[Tensor, Tensor]: ...


def adaptive_max_pool1d(
    input: Tensor, output_size: OptionalSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the maxima of ``output_size`` windows that cover the last dimension.

    Args:
        input: ``(N, C, L)`` or ``(C, L)``.
        output_size: number of windows; None keeps the size.
        return_indices: if True, also return the positions of the maxima along the last dimension.
    Returns: ``(N, C, output_size)`` or ``(C, output_size)``, or a pair of these with ``return_indices``.

    >>> nn.functional.adaptive_max_pool1d(fb.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    return _core._adaptive_max_pool1d(input, output_size, bool(return_indices))


@overload
def adaptive_max_pool2d(input: Tensor, output_size: OptionalSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool2d(
    input: Tensor, output_size: OptionalSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


@overload
def adaptive_max_pool2d(
    input: Tensor, output_size: OptionalSize, return_indices: bool
) -> Tensor | tuple[Tensor, Tensor]: ...


def adaptive_max_pool2d(
    input: Tensor, output_size: OptionalSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the maxima of windows that cover the last two dimensions.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        output_size: number of windows in each dimension; None keeps the size.
        return_indices: if True, also return the positions of the maxima in the flattened image.
    Returns: ``(N, C, *output_size)`` or ``(C, *output_size)``, or a pair of these with ``return_indices``.

    >>> nn.functional.adaptive_max_pool2d(fb.arange(12.0).reshape(1, 3, 4), (1, 2))
    tensor([[[ 9., 11.]]])
    """
    return _core._adaptive_max_pool2d(input, output_size, bool(return_indices))


@overload
def adaptive_max_pool3d(input: Tensor, output_size: OptionalSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool3d(
    input: Tensor, output_size: OptionalSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


@overload
def adaptive_max_pool3d(
    input: Tensor, output_size: OptionalSize, return_indices: bool
) -> Tensor | tuple[Tensor, Tensor]: ...


def adaptive_max_pool3d(
    input: Tensor, output_size: OptionalSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the maxima of windows that cover the last three dimensions.

    Args:
        input: ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        output_size: number of windows in each dimension; None keeps the size.
        return_indices: if True, also return the positions of the maxima in the flattened volume.
    Returns: ``(N, C, *output_size)`` or ``(C, *output_size)``, or a pair of these with ``return_indices``.

    >>> nn.functional.adaptive_max_pool3d(fb.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([3., 7.])
    """
    return _core._adaptive_max_pool3d(input, output_size, bool(return_indices))


def _with_indices(pool: Callable[..., Any], position: int, example: str) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a pooling function that always returns indices.

    Args:
        pool: the pooling function to call.
        position: position of the argument ``return_indices`` of ``pool``.
        example: arguments for the docstring's example; the maximum of the only window must have the index 3.
    """

    @wraps(pool)
    def with_indices(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        if len(args) > position:
            args = (*args[:position], True, *args[position + 1 :])
        else:
            options["return_indices"] = True
        values, indices = pool(*args, **options)
        return values, indices

    name = with_indices.__name__ = with_indices.__qualname__ = f"{pool.__name__}_with_indices"
    with_indices.__doc__ = _WITH_INDICES.format(pool=pool.__name__, name=name, example=example)
    return overridable(with_indices)


_LINE, _IMAGE, _VOLUME = (f"fb.arange(4.0).reshape({shape})" for shape in ("1, 4", "1, 2, 2", "1, 1, 2, 2"))

max_pool1d_with_indices = _with_indices(max_pool1d, 6, f"{_LINE}, 4")
max_pool2d_with_indices = _with_indices(max_pool2d, 6, f"{_IMAGE}, 2")
max_pool3d_with_indices = _with_indices(max_pool3d, 6, f"{_VOLUME}, (1, 2, 2)")
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d, 2, f"{_LINE}, 1")
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d, 2, f"{_IMAGE}, 1")
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d, 2, f"{_VOLUME}, 1")


def _repeat_for_dims(value: Size, dims: int) -> tuple[int, ...]:
    sizes = (value,) * dims if isinstance(value, int) else tuple(value)
    return sizes * dims if len(sizes) == 1 else sizes


# Power-average pooling


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """Compute ``sum(x**p)**(1 / p)`` of each window, with ``norm_type`` as ``p``; for infinity, the maximum of ``|x|``.

    >>> nn.functional.lp_pool1d(fb.tensor([[3.0, 4.0]]), 2.0, 2)
    tensor([[5.]])
    """
    if norm_type == inf:
        return max_pool1d(input.abs(), kernel_size, stride, ceil_mode=ceil_mode)
    mean = avg_pool1d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _root(mean, prod(_repeat_for_dims(kernel_size, 1)), norm_type)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """Compute `lp_pool1d` over two dimensions.

    >>> nn.functional.lp_pool2d(fb.ones(1, 1, 4, 4), 2, 2).squeeze()
    tensor([[2., 2.],
            [2., 2.]])
    """
    if norm_type == inf:
        return max_pool2d(input.abs(), kernel_size, stride, ceil_mode=ceil_mode)
    mean = avg_pool2d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _root(mean, prod(_repeat_for_dims(kernel_size, 2)), norm_type)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """Compute `lp_pool1d` over three dimensions.

    >>> nn.functional.lp_pool3d(fb.ones(1, 1, 4, 4, 4), 2, 2).shape
    flambeau.Size([1, 1, 2, 2, 2])
    """
    if norm_type == inf:
        return max_pool3d(input.abs(), kernel_size, stride, ceil_mode=ceil_mode)
    mean = avg_pool3d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _root(mean, prod(_repeat_for_dims(kernel_size, 3)), norm_type)


def _root(mean: Tensor, count: int, power: float) -> Tensor:
    return (mean.sign() * mean.abs().relu() * count).pow(1.0 / power)


# Pooling over random windows


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the maxima of windows at random positions in ``(N, C, H, W)`` or ``(C, H, W)``.

    Args:
        kernel_size: size of the windows.
        output_size: number of windows in each dimension. Give either this or ``output_ratio``.
        output_ratio: number of windows as a fraction, in (0, 1), of the input's size.
        return_indices: if True, also return the indices of the maxima.
        _random_samples: ``(N, C, 2)`` in [0, 1), which determine the window positions of each image.
    Raises: ValueError if neither or both of size and ratio are given, or for a ratio outside (0, 1).
    Source: Graham 2014, arXiv:1412.6071.

    >>> nn.functional.fractional_max_pool2d(fb.zeros(1, 1, 8, 8), 2, output_size=3).shape
    flambeau.Size([1, 1, 3, 3])
    """
    values, indices = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return (values, indices) if return_indices else values


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Compute `fractional_max_pool2d` over three dimensions.

    >>> nn.functional.fractional_max_pool3d(fb.zeros(1, 1, 8, 8, 8), 2, output_size=3).shape
    flambeau.Size([1, 1, 3, 3, 3])
    """
    values, indices = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return (values, indices) if return_indices else values


fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d, 4, f"{_IMAGE}, 2, output_size=1")
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d, 4, f"{_VOLUME}, (1, 2, 2), output_size=1")


def _fractional(
    dims: int,
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None,
    output_ratio: float | Sequence[float] | None,
    samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the pooled tensor and the indices of the maxima, for 2 or 3 spatial dimensions."""
    name = f"fractional_max_pool{dims}d"
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"{name} requires specifying either an output_size or an output_ratio, got output_size={output_size} and "
            f"output_ratio={output_ratio}"
        )
    windows: Any = output_size
    if output_ratio is not None:
        ratios = (output_ratio,) * dims if isinstance(output_ratio, (int, float)) else tuple(output_ratio)
        if not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name} requires output_ratio to be between 0 and 1, got {output_ratio}")
        windows = [int(s * r) for s, r in zip(input.shape[-dims:], ratios, strict=True)]
    for option, value in (("kernel_size", kernel_size), ("output_size", windows)):
        if not isinstance(value, int) and len(value) != dims:
            raise RuntimeError(f"{name}: {option} must either be a single int or a tuple of {dims} ints, got {value}")
    if samples is not None and samples.ndim == 3:  # ignore entries beyond the batch size
        samples = samples[: 1 if input.ndim == dims + 1 else input.shape[0]]
    if samples is None and input.ndim in (dims + 1, dims + 2) and input.is_floating_point():
        # Drawn here and not in the operator, so that vmap applies its randomness mode
        images = 1 if input.ndim == dims + 1 else input.shape[0]
        samples = rand(images, input.shape[-dims - 1], dims, dtype=input.dtype, device=input.device)
    pool = _core._fractional_max_pool2d if dims == 2 else _core._fractional_max_pool3d
    return pool(input, kernel_size, windows, samples)
