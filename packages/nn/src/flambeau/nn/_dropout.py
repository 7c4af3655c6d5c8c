"""Layers that drop values at random while training."""

from __future__ import annotations

from flambeau import Tensor

from . import functional as F
from ._module import Module


class Dropout(Module):
    """While training, set each value to zero with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Raises: ValueError for ``p`` outside [0, 1].
    Source: Srivastava et al. 2014, JMLR 15.

    >>> nn.Dropout(0.5).eval()(fb.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
