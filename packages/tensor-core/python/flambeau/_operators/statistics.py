"""Statistics that combine reductions."""

from typing import Any

from flambeau._core import Tensor
from flambeau._operator import operator


@operator()
def var_mean(input: Tensor, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Variance and mean."""
    return input.var(dim, correction=correction, keepdim=keepdim), input.mean(dim, keepdim)


@operator()
def std_mean(input: Tensor, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean."""
    return input.std(dim, correction=correction, keepdim=keepdim), input.mean(dim, keepdim)
