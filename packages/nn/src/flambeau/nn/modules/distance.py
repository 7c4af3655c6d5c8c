"""Distances between the vectors of two batches."""

from __future__ import annotations

from flambeau import Tensor

from .. import functional as F
from .module import Module


class PairwiseDistance(Module):
    """The ``norm``-norm of ``x1 - x2 + eps`` over the last dimension.

    >>> nn.PairwiseDistance(eps=0.0)(fb.tensor([[3.0, 4.0]]), fb.zeros(1, 2))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """``x1 . x2 / max(|x1| * |x2|, eps)`` over ``dim``.

    >>> nn.CosineSimilarity()(fb.tensor([[1.0, 0.0]]), fb.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
