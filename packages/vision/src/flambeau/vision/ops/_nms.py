"""Non-maximum suppression."""

from __future__ import annotations

import flambeau as fb
from flambeau import _core

from ._boxes import check_boxes


def nms(boxes: fb.Tensor, scores: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """Apply non-maximum suppression: remove each box that overlaps too much with a box of a higher score.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: a box is removed if its :func:`box_iou` with a kept box is greater than this.
    Returns: the indices of the kept boxes, int64, by decreasing score.
    Raises: ValueError for shapes that do not match. Gradient: none.

    >>> boxes = fb.tensor([[0.0, 0.0, 2.0, 2.0], [0.1, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, fb.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    check_boxes(boxes)
    _check_per_box(boxes, scores, "scores")
    return _core._nms(boxes, scores, iou_threshold)


def batched_nms(boxes: fb.Tensor, scores: fb.Tensor, idxs: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """Apply :func:`nms` within each class, so that boxes of different classes do not remove each other.

    Args:
        boxes, scores, iou_threshold: as in :func:`nms`.
        idxs: the class of each box, ``(N,)``.
    Returns: the indices of the kept boxes, int64, by decreasing score.
    Raises: ValueError for shapes that do not match. Gradient: none.

    >>> boxes = fb.tensor([[0.0, 0.0, 2.0, 2.0], [0.1, 0.0, 2.0, 2.0], [0.2, 0.0, 2.0, 2.0]])
    >>> batched_nms(boxes, fb.tensor([0.5, 0.9, 0.7]), fb.tensor([1, 2, 1]), 0.5)
    tensor([1, 2])
    """
    check_boxes(boxes)
    _check_per_box(boxes, scores, "scores")
    _check_per_box(boxes, idxs, "idxs")
    return _core._nms(boxes, scores, iou_threshold, idxs)


def _check_per_box(boxes: fb.Tensor, values: fb.Tensor, name: str) -> None:
    if tuple(values.shape) != (len(boxes),):
        raise ValueError(
            f"{name} should have shape [{len(boxes)}], one element for each box, got shape {list(values.shape)}"
        )
