"""Masked operations whose results have the shape of their input."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor

from ._masks import filled, single_dim
from ._reductions import norm


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Return the cumulative sums of the included elements.

    Args:
        input: a tensor of any dtype.
        dim: dimension along which the sums are computed.
        dtype: dtype of the result. None means the dtype of the input.
        mask: True for the elements to include, broadcastable to the shape of the input. None means all elements.

    >>> x = flambeau.tensor([1, 2, 3])
    >>> flambeau.masked.cumsum(x, 0, mask=x != 2)
    tensor([1, 1, 4])
    """
    axis = single_dim(dim, input.ndim)
    return flambeau.cumsum(filled("cumsum", input, mask), axis, dtype=dtype).to(dtype or input.dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Return the cumulative products of the included elements. For the arguments, see `cumsum`.

    >>> x = flambeau.tensor([1, 2, 3])
    >>> flambeau.masked.cumprod(x, 0, mask=x != 2)
    tensor([1, 1, 3])
    """
    axis = single_dim(dim, input.ndim)
    return flambeau.cumprod(filled("cumprod", input, mask), axis, dtype=dtype).to(dtype or input.dtype)


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Return the softmax over the included elements, and 0 elsewhere. Rows without included elements are NaN.

    For the arguments, see `cumsum`.

    >>> x = flambeau.tensor([1.0, 5.0, 1.0])
    >>> flambeau.masked.softmax(x, 0, mask=x != 5)
    tensor([0.5000, 0.0000, 0.5000])
    """
    axis = single_dim(dim, input.ndim)
    return flambeau.softmax(filled("amax", input, mask), axis, dtype=dtype or input.dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Return the logarithm of `softmax`. For the arguments, see `cumsum`.

    >>> x = flambeau.tensor([1.0, 5.0, 1.0])
    >>> flambeau.masked.log_softmax(x, 0, mask=x != 5)
    tensor([-0.6931,    -inf, -0.6931])
    """
    axis = single_dim(dim, input.ndim)
    return flambeau.log_softmax(filled("amax", input, mask), axis, dtype=dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Return the softmax of the negative input over the included elements. For the arguments, see `cumsum`.

    >>> x = flambeau.tensor([1.0, 0.0, 1.0])
    >>> flambeau.masked.softmin(x, 0, mask=x != 0)
    tensor([0.5000, 0.0000, 0.5000])
    """
    axis = single_dim(dim, input.ndim)
    return flambeau.softmax(-filled("amin", input, mask), axis, dtype=dtype or input.dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Divide by the norm of the included elements. Other elements become 0.

    Args:
        ord: order of the norm.
        eps: lower bound of the divisor.

    For the other arguments, see `cumsum`.

    >>> x = flambeau.tensor([3.0, 7.0, 4.0])
    >>> flambeau.masked.normalize(x, 2.0, 0, mask=x != 7)
    tensor([0.6000, 0.0000, 0.8000])
    """
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return filled("sum", input, mask) / flambeau.maximum(length, length.new_full((), eps))


def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """Return ``log(exp(input) + exp(other))``, where masked-out elements count as minus infinity.

    Args:
        input, other: floating tensors.
        dtype: dtype of the result. None means the dtype of the input.
        input_mask, other_mask: True for the elements to include. None means all elements.

    >>> x = flambeau.tensor([0.0, 5.0])
    >>> flambeau.masked.logaddexp(x, flambeau.zeros(2), input_mask=x != 5)
    tensor([0.6931, 0.0000])
    """
    first, second = filled("logaddexp", input, input_mask), filled("logaddexp", other, other_mask)
    return flambeau.logaddexp(first, second).to(dtype or input.dtype)
