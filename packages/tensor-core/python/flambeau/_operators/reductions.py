"""Reductions based on other reductions."""

from typing import Any

from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True, out=True)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean of the elements that are not NaN, over all or the given dimensions.

    Raises RuntimeError for integers. Gradient: defined for input, to any order.

    >>> fb.nanmean(fb.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    count = (input == input).sum(dim, keepdim)
    return input.nansum(dim, keepdim, dtype=dtype) / count
