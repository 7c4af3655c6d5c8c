"""Reductions over the elements that a mask includes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._masks import _canonical_dim, _input_mask, filled, single_dim

Dims = int | Sequence[int] | None

_SMALL = (flambeau.uint8, flambeau.bool, flambeau.int8, flambeau.int16, flambeau.int32)


def _summed_dtype(input: Tensor, dtype: Any) -> Any:
    return dtype or (flambeau.int64 if input.dtype in _SMALL else input.dtype)


def _reduce_sparse(
    name: str, input: Tensor, dim: Dims, keepdim: bool | None, dtype: Any, mask: Tensor | None
) -> Tensor:
    from ._sparse import reduced

    return reduced(name, input, dim, bool(keepdim), dtype, mask)


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the sum of the included elements, or 0 if no element is included.

    Args:
        input: a tensor of any dtype. For the layouts ``sparse_coo`` and ``sparse_csr``, the result is sparse, and
            reductions other than `sum` require a mask. ``sparse_csr`` also requires ``keepdim=True``.
        dim: dimensions to reduce. None means all dimensions.
        keepdim: if True, keep the reduced dimensions with size 1.
        dtype: dtype of the result. None means int64 for smaller integers, and the dtype of the input otherwise.
        mask: True for the elements to include, broadcastable to the shape of the input. None means all elements.

    >>> x = flambeau.tensor([[1, 2], [3, 4]])
    >>> flambeau.masked.sum(x, 1, mask=x != 2)
    tensor([1, 7])
    """
    if input.layout is not flambeau.strided:
        return _reduce_sparse("sum", input, dim, keepdim, _summed_dtype(input, dtype), mask)
    dims = _canonical_dim(dim, input.ndim)
    return filled("sum", input, mask).sum(dims, keepdim=bool(keepdim), dtype=_summed_dtype(input, dtype))


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the product of the included elements, or 1 if no element is included. For the arguments, see `sum`.

    >>> x = flambeau.tensor([[1, 2], [3, 4]])
    >>> flambeau.masked.prod(x, mask=x != 3)
    tensor(8)
    """
    if input.layout is not flambeau.strided:
        return _reduce_sparse("prod", input, dim, keepdim, _summed_dtype(input, dtype), mask)
    result = filled("prod", input, mask).to(_summed_dtype(input, dtype))
    for axis in reversed(_canonical_dim(dim, input.ndim)):
        result = result.prod(axis, keepdim=bool(keepdim))
    return result


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the largest included element, or the dtype's smallest value if no element is included.

    For the arguments, see `sum`.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.amax(x, mask=x != 3)
    tensor(2.)
    """
    if input.layout is not flambeau.strided:
        return _reduce_sparse("amax", input, dim, keepdim, dtype or input.dtype, mask)
    dims = _canonical_dim(dim, input.ndim)
    return filled("amax", input, mask).amax(dims, bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the smallest included element, or the dtype's largest value if no element is included.

    For the arguments, see `sum`.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.amin(x, mask=x != 1)
    tensor(2.)
    """
    if input.layout is not flambeau.strided:
        return _reduce_sparse("amin", input, dim, keepdim, dtype or input.dtype, mask)
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
    """Return the index of the largest included element. It has the input's dtype unless ``dtype`` is given.

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
    """Return the index of the smallest included element. It has the input's dtype unless ``dtype`` is given.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.argmin(x, mask=x != 1, dtype=flambeau.int64)
    tensor(2)
    """
    return flambeau.argmin(filled("argmin", input, mask), dim, bool(keepdim)).to(dtype or input.dtype)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """Return the number of included elements along ``dim``."""
    counting = flambeau.ones(input.shape, dtype=flambeau.bool, device=input.device)
    return sum(counting if mask is None else _input_mask(input, mask=mask), dim, keepdim=keepdim)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the mean of the included elements, or NaN if no element is included. For the arguments, see `sum`.

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
    if input.layout is not flambeau.strided:
        return _reduce_sparse("mean", input, dim, keepdim, wanted, mask)
    total = sum(input, dim, keepdim=keepdim, dtype=wanted, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return the median of the included elements, or NaN if no element is included. For the arguments, see `sum`.

    If there are two medians, the result is the lower median.

    Raises: ValueError if no element is included and the dtype is not floating-point.

    >>> x = flambeau.tensor([1.0, 3.0, 2.0])
    >>> flambeau.masked.median(x, mask=x != 1)
    tensor(2.)
    """
    exact = input if input.is_floating_point() else input.to(flambeau.float32)
    axis = single_dim(dim, input.ndim)
    result = flambeau.nanmedian(filled("median", exact, mask), axis, keepdim).values
    if exact is input:
        return result
    if result.isnan().any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return result.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Return ``log(sum(exp(x)))`` of the included elements, or minus infinity if no element is included. See `sum`.

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
    """Return the vector norm of the included elements.

    Args:
        ord: order of the norm.

    For the other arguments, see `sum`.

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
    """Return the variance of the included elements.

    Args:
        unbiased: if True (the default), divide by ``n - 1``, otherwise by the number n of included elements.
        correction: number that is subtracted from n. Cannot be combined with ``unbiased``.

    For the other arguments, see `sum`.

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
    """Return the standard deviation of the included elements. For the arguments, see `var`.

    >>> x = flambeau.tensor([1.0, 7.0, 3.0])
    >>> flambeau.masked.std(x, unbiased=False, mask=x != 7)
    tensor(1.)
    """
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()
