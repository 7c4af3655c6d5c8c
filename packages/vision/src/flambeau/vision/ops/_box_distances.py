"""Distance IoU and complete IoU of boxes, and losses that use an IoU."""

from __future__ import annotations

import math

import flambeau as fb

from ._boxes import as_floats, box_iou, widened


def distance_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float = 1e-7) -> fb.Tensor:
    """Return the distance IoU of all pairs of boxes.

    The distance IoU is :func:`box_iou` minus a penalty: the squared distance of the centres divided by the squared
    diagonal of the smallest box that encloses both boxes.

    Args:
        boxes1: ``(N, 4)``.
        boxes2: ``(M, 4)``.
        eps: added to the squared diagonal.
    Returns: ``(N, M)`` in -1..1. Gradient: defined for both sets of boxes.
    Source: Zheng et al. 2020, arXiv:1911.08287.

    >>> distance_box_iou(fb.tensor([[0.0, 0.0, 2.0, 2.0]]), fb.tensor([[2.0, 0.0, 4.0, 2.0]]))
    tensor([[-0.2000]])
    """
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    return box_iou(boxes1, boxes2) - _distance(boxes1[:, None], boxes2, eps)


def complete_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float = 1e-7) -> fb.Tensor:
    """Return the complete IoU: :func:`distance_box_iou` minus a penalty for different aspect ratios.

    Arguments as in :func:`distance_box_iou`.

    Returns: ``(N, M)``. Gradient: defined for both sets of boxes.
    Source: Zheng et al. 2020, arXiv:1911.08287.

    >>> box = fb.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> wide = fb.tensor([[-1.0, 0.5, 3.0, 1.5]])
    >>> distance_box_iou(box, wide), complete_box_iou(box, wide)
    (tensor([[0.3333]]), tensor([[0.3155]]))
    """
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    iou = box_iou(boxes1, boxes2)
    return iou - _distance(boxes1[:, None], boxes2, eps) - _aspect(boxes1[:, None], boxes2, iou, eps)


def generalized_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """Compute one minus :func:`generalized_box_iou` for corresponding boxes.

    Args:
        boxes1, boxes2: ``(N, 4)`` or ``(4,)``, of equal shapes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        eps: added to denominators.
    Returns: ``(N,)`` or one number, float32 for boxes of half precision or integers.
    Raises: ValueError for an unsupported reduction. Gradient: defined for both sets of boxes.
    Source: Rezatofighi et al. 2019, arXiv:1902.09630.

    >>> generalized_box_iou_loss(fb.tensor([0.0, 0.0, 2.0, 2.0]), fb.tensor([0.0, 0.0, 2.0, 2.0])).item()
    0.0
    """
    boxes1, boxes2 = as_floats(boxes1), as_floats(boxes2)
    intersection, union = _pairs(boxes1, boxes2)
    width, height = _hull(boxes1, boxes2)
    hull = width * height
    return reduced(1 - intersection / (union + eps) + (hull - union) / (hull + eps), reduction)


def distance_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """Compute one minus :func:`distance_box_iou` for corresponding boxes.

    Args: as in :func:`generalized_box_iou_loss`.
    Source: Zheng et al. 2020, arXiv:1911.08287.

    >>> boxes = fb.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    >>> targets = fb.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
    >>> distance_box_iou_loss(boxes, targets)
    tensor([0.0000, 1.2000])
    """
    boxes1, boxes2 = as_floats(boxes1), as_floats(boxes2)
    intersection, union = _pairs(boxes1, boxes2)
    return reduced(1 - intersection / (union + eps) + _distance(boxes1, boxes2, eps), reduction)


def complete_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """Compute one minus :func:`complete_box_iou` for corresponding boxes.

    Args: as in :func:`generalized_box_iou_loss`.
    Source: Zheng et al. 2020, arXiv:1911.08287.

    >>> boxes = fb.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    >>> targets = fb.tensor([[0.0, 0.0, 2.0, 2.0], [-1.0, 0.5, 3.0, 1.5]])
    >>> complete_box_iou_loss(boxes, targets, reduction="mean")
    tensor(0.3423)
    """
    boxes1, boxes2 = as_floats(boxes1), as_floats(boxes2)
    intersection, union = _pairs(boxes1, boxes2)
    iou = intersection / (union + eps)
    return reduced(1 - iou + _distance(boxes1, boxes2, eps) + _aspect(boxes1, boxes2, iou, eps), reduction)


def _sides(boxes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    return boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]


def _pairs(boxes1: fb.Tensor, boxes2: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Return the areas of intersection and union of corresponding boxes."""
    low, high = fb.maximum(boxes1[..., :2], boxes2[..., :2]), fb.minimum(boxes1[..., 2:], boxes2[..., 2:])
    intersection = (high - low).clamp(min=0).prod(-1)
    (width1, height1), (width2, height2) = _sides(boxes1), _sides(boxes2)
    return intersection, width1 * height1 + width2 * height2 - intersection


def _hull(boxes1: fb.Tensor, boxes2: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Return width and height of the smallest boxes that enclose corresponding boxes."""
    low, high = fb.minimum(boxes1[..., :2], boxes2[..., :2]), fb.maximum(boxes1[..., 2:], boxes2[..., 2:])
    return (high - low).unbind(-1)  # type: ignore[return-value]


def _distance(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float) -> fb.Tensor:
    width, height = _hull(boxes1, boxes2)
    between = (boxes1[..., :2] + boxes1[..., 2:] - boxes2[..., :2] - boxes2[..., 2:]) / 2
    return between.square().sum(-1) / (width.square() + height.square() + eps)


def _aspect(boxes1: fb.Tensor, boxes2: fb.Tensor, iou: fb.Tensor, eps: float) -> fb.Tensor:
    """Return the penalty for different aspect ratios, with a weight that has no gradient."""
    (width1, height1), (width2, height2) = _sides(boxes1), _sides(boxes2)
    difference = (4 / math.pi**2) * (fb.atan(width1 / height1) - fb.atan(width2 / height2)).square()
    with fb.no_grad():
        factor = difference / (1 - iou + difference + eps)
    return factor * difference


def reduced(loss: fb.Tensor, reduction: str) -> fb.Tensor:
    """Return the loss unchanged, its mean (0 for no elements) or its sum, as ``reduction`` selects."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"Invalid Value for arg 'reduction': '{reduction}'. Supported: 'none', 'mean', 'sum'")
    if reduction == "mean" and loss.numel() > 0:
        return loss.mean()
    return loss if reduction == "none" else loss.sum()
