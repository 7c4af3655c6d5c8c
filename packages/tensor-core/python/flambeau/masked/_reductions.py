"""Reductions over the elements that a mask lets through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._masks import _canonical_dim, _input_mask, filled

Dims = int | Sequence[int] | None

_SMALL = (flambeau.uint8, flambeau.bool, flambeau.int8, flambeau.int16, flambeau.int32)


def _summed_dtype(input: Tensor, dtype: Any) -> Any:
    return dtype or (flambeau.int64 if input.dtype in _SMALL else input.dtype)


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the sum of the elements that count; 0 where none does.

    Args:
        input: a tensor of any dtype.
        dim: dimensions to reduce; all if None.
        keepdim: keep these dimensions with the size 1.
        dtype: dtype of the result; int64 for smaller integers if None.
        mask: True for the elements that count, of a shape that broadcasts to the input's; all if None.

    >>> x = flambeau.tensor([[1, 2], [3, 4]])
    >>> flambeau.masked.sum(x, 1, mask=x != 2)
    tensor([1, 7])
    """
    dims = _canonical_dim(dim, input.ndim)
    return filled("sum", input, mask).sum(dims, keepdim=bool(keepdim), dtype=_summed_dtype(input, dtype))


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the product of the elements that count; 1 where none does. Arguments are those of `sum`.

    >>> x = flambeau.tensor([[1, 2], [3, 4]])
    >>> flambeau.masked.prod(x, mask=x != 3)
    tensor(8)
    """
    result = filled("prod", input, mask).to(_summed_dtype(input, dtype))
    for place in reversed(_canonical_dim(dim, input.ndim)):
        result = result.prod(place, keepdim=bool(keepdim))
    return result


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the largest element that counts; the dtype's least value where none does. Arguments are those of `sum`.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.amax(x, mask=x != 3)
    tensor(2.)
    """
    dims = _canonical_dim(dim, input.ndim)
    return filled("amax", input, mask).amax(dims, bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the smallest element that counts; the dtype's greatest value where none does. Arguments as of `sum`.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.amin(x, mask=x != 1)
    tensor(2.)
    """
    dims = _canonical_dim(dim, input.ndim)
    return filled("amin", input, mask).amin(dims, bool(keepdim)).to(dtype or input.dtype)


def argmax(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the index of the largest element that counts, in the input's dtype unless ``dtype`` is given.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.argmax(x, mask=x != 3, dtype=flambeau.int64)
    tensor(2)
    """
    return flambeau.argmax(filled("argmax", input, mask), dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the index of the smallest element that counts, in the input's dtype unless ``dtype`` is given.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.argmin(x, mask=x != 1, dtype=flambeau.int64)
    tensor(2)
    """
    return flambeau.argmin(filled("argmin", input, mask), dim, bool(keepdim)).to(dtype or input.dtype)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """Return how many elements count."""
    counting = flambeau.ones(input.shape, dtype=flambeau.bool, device=input.device)
    return sum(counting if mask is None else _input_mask(input, mask=mask), dim, keepdim=keepdim)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the mean of the elements that count; NaN where none does. Arguments are those of `sum`.

    Raises: ValueError for a dtype that is neither floating nor complex.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.mean(x, mask=x != 3)
    tensor(1.5000)
    """
    wanted = dtype or input.dtype
    if not (wanted.is_floating_point or wanted.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {wanted}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=wanted, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the median of the elements that count, the lower of two; NaN where none does. Arguments as of `sum`.

    Raises: ValueError if none counts somewhere and the dtype has no NaN.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.median(x, mask=x != 1)
    tensor(2.)
    """
    exact = input if input.is_floating_point() else input.to(flambeau.float32)
    (place,) = _canonical_dim(dim, input.ndim)
    result = flambeau.nanmedian(filled("median", exact, mask), place, keepdim).values
    if exact is input:
        return result
    if result.isnan().any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return result.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return ``log(sum(exp(x)))`` of the elements that count; minus infinity where none does. Arguments as of `sum`.

    >>> x = flambeau.tensor([0.0, 3.0, 0.0])
    >>> flambeau.masked.logsumexp(x, 0, mask=x != 3)
    tensor(0.6931)
    """
    dims = _canonical_dim(dim, input.ndim)
    return filled("logsumexp", input, mask).logsumexp(dims, keepdim=keepdim).to(dtype or input.dtype)


def norm(
    input: Tensor,
    ord: float | None = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the vector norm of the elements that count.

    Args:
        ord: order of the norm.
        The others are those of `sum`.

    >>> x = flambeau.tensor([3.0, 7.0, 4.0])
    >>> flambeau.masked.norm(x, mask=x != 7)
    tensor(5.)
    """
    values, dims = filled("norm", input, mask, ord), _canonical_dim(dim, input.ndim)
    order = 2.0 if ord is None else ord
    return flambeau.linalg.vector_norm(values, order, dims, bool(keepdim), dtype=dtype or input.dtype)


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the variance of the elements that count.

    Args:
        unbiased: divide by their number minus 1 rather than their number; the default.
        correction: subtracted from their number, instead of ``unbiased``.
        The others are those of `sum`.

    >>> x = flambeau.tensor([1.0, 7.0, 3.0])
    >>> flambeau.masked.var(x, mask=x != 7)
    tensor(2.)
    """
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    taken_off = correction if correction is not None else 0 if unbiased is False else 1
    exact = input.dtype if input.is_floating_point() or input.is_complex() else flambeau.float32
    wanted = dtype or exact
    computed = wanted if wanted.is_floating_point or wanted.is_complex else flambeau.float32
    count = _count(input, dim, True, mask)
    away = input - sum(input, dim, keepdim=True, dtype=wanted, mask=mask) / count
    total = sum(away * away.conj(), dim, keepdim=keepdim, dtype=computed, mask=mask)
    degrees = count.reshape(total.shape)
    if taken_off != 0:
        real = flambeau.zeros((), dtype=computed).real.dtype
        degrees = (degrees.to(real) - taken_off).clamp(min=0)
    return (total / degrees).to(wanted)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the standard deviation of the elements that count. Arguments are those of `var`.

    >>> x = flambeau.tensor([1.0, 7.0, 3.0])
    >>> flambeau.masked.std(x, unbiased=False, mask=x != 7)
    tensor(1.)
    """
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()
