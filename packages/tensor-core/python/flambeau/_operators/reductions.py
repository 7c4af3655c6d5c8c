"""Reductions made of others."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True, out=True)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are not NaN, over all or the given dimensions.

    Raises RuntimeError for integers. Gradient: those elements, any order.
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    count = (input == input).sum(dim, keepdim)
    return input.nansum(dim, keepdim, dtype=dtype) / count


@operator(method=True, in_place=True, out=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Every slice along ``dim`` scaled down to the p-norm ``maxnorm`` where it is larger.

    Raises RuntimeError for fewer than two dimensions, p <= 0 or a negative ``maxnorm``. Gradient: input.
    """
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p = {p}")
    if input.dim() < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if not -input.dim() <= dim < input.dim():
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.dim()}, {input.dim() - 1}], but got {dim})"
        )
    wide = input.float() if input.dtype in (_core.float16, _core.bfloat16) else input
    others = [d for d in range(input.dim()) if d != dim % input.dim()]
    norm = wide.norm(p, others, True)
    return (wide * _core.where(norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)).to(input.dtype)
