"""Losses that compare numbers or distributions with targets of the same shape."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor

from .. import functional as F
from ._loss import _Loss, _WeightedLoss


class MSELoss(_Loss):
    """Squared error ``(x - y)**2``.

    Raises: ValueError for shapes that would be broadcast against each other, such as ``(N, 1)`` and ``(N,)``.

    >>> nn.MSELoss()(fb.tensor([1.0, 2.0]), fb.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Absolute error ``|x - y|``.

    >>> nn.L1Loss()(fb.tensor([0.0, 3.0]), fb.tensor([0.5, 0.0]))
    tensor(1.7500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Smooth L1 loss: ``(x - y)**2 / (2 * beta)`` where ``|x - y| < beta``, ``|x - y| - beta / 2`` elsewhere.

    Source: Girshick 2015, arXiv:1504.08083.

    >>> nn.SmoothL1Loss()(fb.tensor([0.0, 3.0]), fb.tensor([0.5, 0.0]))
    tensor(1.3125)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Huber loss: ``(x - y)**2 / 2`` where ``|x - y| < delta``, ``delta * (|x - y| - delta / 2)`` elsewhere.

    Source: Huber 1964, doi:10.1214/aoms/1177703732.

    >>> nn.HuberLoss()(fb.tensor([0.0, 3.0]), fb.tensor([0.5, 0.0]))
    tensor(1.3125)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """Binary cross-entropy ``-(y * log(p) + (1 - y) * log(1 - p))`` of probabilities ``p``.

    Prefer `BCEWithLogitsLoss`, which is more accurate.

    >>> nn.BCELoss()(fb.tensor([0.9, 0.2]), fb.tensor([1.0, 0.0]))
    tensor(0.1643)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross-entropy of ``sigmoid(x)``, computed accurately for any ``x``.

    Args:
        weight: multiplies each element's loss.
        size_average, reduce: older spellings of ``reduction``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: multiplies the loss of the positive class.

    >>> nn.BCEWithLogitsLoss()(fb.tensor([2.0, -1.0]), fb.tensor([1.0, 0.0]))
    tensor(0.2201)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        weights: dict[str, Any] = {"weight": self.weight, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(input, target, reduction=self.reduction, **weights)


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence ``y * (log(y) - x)`` of log-probabilities ``x`` from probabilities ``y``.

    With ``log_target``, the target is ``log(y)``.

    ``reduction="batchmean"`` divides the sum by the batch size, which is the mathematical definition; ``"mean"``
    divides by the number of elements.

    >>> nn.KLDivLoss(reduction="batchmean")(fb.tensor([[0.5, 0.5]]).log(), fb.tensor([[0.9, 0.1]]))
    tensor(0.3681)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, "mean" if reduction == "batchmean" else reduction)
        if reduction == "batchmean":
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts ``y`` with Poisson distributions: ``exp(x) - y * x`` of log rates ``x``.

    Without ``log_input``, ``x`` are rates, and the loss is ``x - y * log(x + eps)``. ``full`` adds Stirling's
    approximation of ``log(y!)``.

    >>> nn.PoissonNLLLoss()(fb.tensor([0.0, 1.0]), fb.tensor([1.0, 2.0]))
    tensor(0.8591)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        options: dict[str, Any] = {"log_input": self.log_input, "full": self.full, "eps": self.eps}
        return F.poisson_nll_loss(log_input, target, reduction=self.reduction, **options)


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood of targets ``y`` with normal distributions of mean ``x`` and variance ``var``.

    The loss is ``(log(v) + (x - y)**2 / v) / 2`` with ``v = max(var, eps)``. ``full`` adds the constant
    ``log(2 * pi) / 2``. Source: Nix, Weigend 1994, doi:10.1109/ICNN.1994.374138.

    >>> nn.GaussianNLLLoss()(fb.tensor([1.0]), fb.tensor([3.0]), fb.tensor([4.0]))
    tensor(1.1931)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)
