"""Losses of pairs and triplets: metric learning and ranking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import Tensor

from .. import functional as F
from ._loss import _Loss
from .distance import PairwiseDistance


class _MarginLoss(_Loss):
    """Base class of losses that are 0 beyond a ``margin``."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class HingeEmbeddingLoss(_MarginLoss):
    """Hinge loss of distances ``x``: ``x`` for targets of 1, and ``max(0, margin - x)`` for targets of -1.

    >>> nn.HingeEmbeddingLoss()(fb.tensor([0.5, 0.25]), fb.tensor([1, -1]))
    tensor(0.6250)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """Cosine loss: ``1 - cos(x1, x2)`` for targets of 1, and ``max(0, cos(x1, x2) - margin)`` for targets of -1.

    >>> loss = nn.CosineEmbeddingLoss()
    >>> loss(fb.tensor([[1.0, 0.0]]), fb.tensor([[1.0, 1.0]]), fb.tensor([1]))
    tensor(0.2929)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """Ranking loss ``max(0, -y * (x1 - x2) + margin)``.

    For targets ``y = 1``, ``x1`` should be greater than ``x2``; for ``y = -1``, ``x2`` should be greater than ``x1``.

    >>> nn.MarginRankingLoss(0.5)(fb.tensor([1.0]), fb.tensor([2.0]), fb.tensor([1]))
    tensor(1.5000)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """Triplet loss ``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the ``p``-norm as distance.

    Args:
        margin: required difference between the two distances; positive.
        p, eps: as in `PairwiseDistance`.
        swap: if True, use ``d(positive, negative)`` where it is smaller than ``d(anchor, negative)``.
        size_average, reduce: older spellings of ``reduction``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    Source: Balntas et al. 2016, doi:10.5244/C.30.119.

    >>> a, p, n = fb.tensor([[0.0]]), fb.tensor([[1.0]]), fb.tensor([[1.5]])
    >>> nn.TripletMarginLoss()(a, p, n)
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        _check_margin(self, margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        options: dict[str, Any] = {"margin": self.margin, "p": self.p, "eps": self.eps, "swap": self.swap}
        return F.triplet_margin_loss(anchor, positive, negative, reduction=self.reduction, **options)


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with a custom distance, a function of two tensors; `PairwiseDistance` if None.

    >>> a, p, n = fb.tensor([[0.0]]), fb.tensor([[1.0]]), fb.tensor([[1.5]])
    >>> nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(1))(a, p, n)
    tensor(0.5000)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        _check_margin(self, margin)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        options: dict[str, Any] = {"margin": self.margin, "swap": self.swap, "reduction": self.reduction}
        distance = self.distance_function
        return F.triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=distance, **options)


def _check_margin(loss: _Loss, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"{type(loss).__name__}: expected margin to be greater than 0, got {margin} instead")
