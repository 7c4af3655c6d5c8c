"""Focal loss, for detectors with many easy negatives."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn

from ._box_distances import reduced


def sigmoid_focal_loss(
    inputs: fb.Tensor, targets: fb.Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> fb.Tensor:
    """Compute binary cross-entropy times ``(1 - p_t)**gamma``, which reduces the loss of well-classified examples.

    Args:
        inputs: logits.
        targets: tensor of the same shape, 0 or 1 in a floating dtype.
        alpha: weight of positive examples; negative examples have the weight ``1 - alpha``. -1 disables the weights.
        gamma: exponent; 0 gives cross-entropy, larger values reduce the loss of well-classified examples more.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Raises: ValueError for an unsupported alpha or reduction. Gradient: defined for ``inputs``, to any order.
    Source: Lin et al. 2017, arXiv:1708.02002.

    >>> scores, targets = fb.tensor([2.0, 0.0, -2.0]), fb.ones(3)
    >>> sigmoid_focal_loss(scores, targets, alpha=-1)
    tensor([0.0018, 0.1733, 1.6501])
    >>> sigmoid_focal_loss(scores, targets, alpha=-1, gamma=0)
    tensor([0.1269, 0.6931, 2.1269])
    """
    if not (0 <= alpha <= 1) and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    entropy = nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = fb.sigmoid(inputs)
    loss = entropy * (p * (1 - targets) + (1 - p) * targets) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return loss.mean() if reduction == "mean" else reduced(loss, reduction)  # the mean of an empty tensor is NaN
