"""Statistics, reductions and cumulative functions."""

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import KINDS, axes, normal

Axis = int | tuple[int, ...] | None


def all(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Test if all elements are true along the axes (default: all axes).

    >>> fb.array_api.all(fb.tensor([[True, False], [True, True]]), axis=1)
    tensor([False,  True])
    """
    return _over_axes(flambeau.all, x != 0, axis, keepdims)


def any(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Test if any element is true along the axes (default: all axes).

    >>> fb.array_api.any(fb.tensor([[True, False], [False, False]]), axis=1)
    tensor([ True, False])
    """
    return _over_axes(flambeau.any, x != 0, axis, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Count the nonzero elements along the axes (default: all axes).

    >>> fb.array_api.count_nonzero(fb.tensor([[0, 5], [6, 7]]), axis=1)
    tensor([1, 2])
    """
    return _over_axes(flambeau.sum, x != 0, axis, keepdims)


def max(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the largest element along the axes (default: all axes), or NaN if an element is NaN.

    >>> fb.array_api.max(fb.tensor([[1, 9], [8, 2]]), axis=0)
    tensor([8, 9])
    """
    return _over_axes(flambeau.amax, x, axis, keepdims)


def min(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element along the axes (default: all axes), or NaN if an element is NaN.

    >>> fb.array_api.min(fb.tensor([[1, 9], [8, 2]]), axis=0)
    tensor([1, 2])
    """
    return _over_axes(flambeau.amin, x, axis, keepdims)


def mean(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the arithmetic mean along the axes (default: all axes).

    >>> fb.array_api.mean(fb.tensor([[1.0, 2.0], [3.0, 6.0]]), axis=1, keepdims=True)
    tensor([[1.5000],
            [4.5000]])
    """
    return _over_axes(flambeau.mean, x, axis, keepdims)


def std(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the standard deviation. ``correction`` is subtracted from the number of elements.

    >>> fb.array_api.std(fb.tensor([1.0, 3.0])), fb.array_api.std(fb.tensor([1.0, 3.0]), correction=1)
    (tensor(1.), tensor(1.4142))
    """
    return _over_axes(flambeau.std, x, axis, keepdims, correction=correction)


def var(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the variance. ``correction`` is subtracted from the number of elements.

    >>> fb.array_api.var(fb.tensor([1.0, 3.0])), fb.array_api.var(fb.tensor([1.0, 3.0]), correction=1)
    (tensor(1.), tensor(2.))
    """
    return _over_axes(flambeau.var, x, axis, keepdims, correction=correction)


def sum(x: Tensor, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Sum along the axes (default: all axes). By default, integers are summed in int64 or uint64.

    >>> fb.array_api.sum(fb.tensor([200, 100], dtype=fb.uint8))
    tensor(300, dtype=flambeau.uint64)
    """
    return _over_axes(flambeau.sum, x, axis, keepdims, dtype=_accumulation_dtype(x, dtype))


def prod(x: Tensor, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Multiply along the axes (default: all axes). By default, integers are multiplied in int64 or uint64.

    >>> fb.array_api.prod(fb.tensor([[1, 2], [3, 4]]), axis=(0, 1))
    tensor(24)
    """
    dtype = _accumulation_dtype(x, dtype)
    x = x.to(dtype, copy=not axes(axis, x.ndim))
    for dim in sorted(axes(axis, x.ndim), reverse=True):
        x = flambeau.prod(x, dim, keepdims, dtype=dtype)
    return x


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Return cumulative sums along an axis, with a leading 0 if ``include_initial``.

    >>> fb.array_api.cumulative_sum(fb.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _cumulative("cumulative_sum", flambeau.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Return cumulative products along an axis, with a leading 1 if ``include_initial``.

    >>> fb.array_api.cumulative_prod(fb.tensor([1, 2, 3]), include_initial=True)
    tensor([1, 1, 2, 6])
    """
    return _cumulative("cumulative_prod", flambeau.cumprod, 1, x, axis, dtype, include_initial)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Return the n-th differences of adjacent elements along an axis, after adding ``prepend`` and ``append``.

    >>> fb.array_api.diff(fb.tensor([1, 4, 9]), append=fb.tensor([16]))
    tensor([3, 5, 7])
    """
    return flambeau.diff(x, n, normal(axis, x.ndim), prepend, append)


def _over_axes(reduce: Callable[..., Tensor], x: Tensor, axis: Axis, keepdims: bool, **options: Any) -> Tensor:
    """Reduce over the axes. If ``axis`` is an empty tuple, reduce each element separately."""
    dims = axes(axis, x.ndim)
    if dims or x.ndim == 0:
        return reduce(x, dims or None, keepdim=keepdims, **options) if dims else reduce(x.reshape(1), 0, **options)
    return reduce(x.unsqueeze(-1), -1, **options)


def _accumulation_dtype(x: Tensor, dtype: flambeau.dtype | None) -> flambeau.dtype:
    """Return the dtype in which sums and products are accumulated."""
    if dtype is not None or x.dtype.is_floating_point or x.dtype.is_complex:
        return dtype or x.dtype
    return flambeau.uint64 if x.dtype in KINDS["unsigned integer"] else flambeau.int64


def _cumulative(
    name: str, scan: Any, first: int, x: Tensor, axis: int | None, dtype: Any, include_initial: bool
) -> Tensor:
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"{name}(): axis is required for an array with {x.ndim} dimensions")
        axis = 0
    axis = normal(axis, x.ndim)
    result: Tensor = scan(x, axis, dtype=_accumulation_dtype(x, dtype))
    if not include_initial:
        return result
    start = flambeau.full([1 if a == axis else n for a, n in enumerate(x.shape)], first, dtype=result.dtype)
    return flambeau.cat([start, result], axis)
