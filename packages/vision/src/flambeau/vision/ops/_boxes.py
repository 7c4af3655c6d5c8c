"""Boxes in images, ``(N, 4)`` of ``(x1, y1, x2, y2)`` with ``x1 <= x2`` and ``y1 <= y2``."""

from __future__ import annotations

import numpy as np

import flambeau as fb

_FORMATS = ("xyxy", "xywh", "cxcywh")


def check_boxes(boxes: fb.Tensor, name: str = "boxes") -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} should have shape [N, 4] with rows (x1, y1, x2, y2), got shape {list(boxes.shape)}")


def as_floats(boxes: fb.Tensor) -> fb.Tensor:
    """Convert boxes of half precision or integers to float32."""
    return boxes if boxes.dtype in (fb.float32, fb.float64) else boxes.to(fb.float32)


def widened(boxes: fb.Tensor) -> fb.Tensor:
    """Convert boxes to a dtype in which areas do not overflow: float32 for half precision, int64 for integers."""
    return as_floats(boxes) if boxes.is_floating_point() else boxes.to(fb.int64)


def box_area(boxes: fb.Tensor) -> fb.Tensor:
    """Return the area of each box, ``(N,)``: float32 for boxes of half precision, int64 for integers.

    >>> box_area(fb.tensor([[0.0, 0.0, 2.0, 3.0]]))
    tensor([6.])
    """
    check_boxes(boxes)
    wide = widened(boxes)
    return (wide[:, 2] - wide[:, 0]) * (wide[:, 3] - wide[:, 1])


def _box_inter_union(boxes1: fb.Tensor, boxes2: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Return the areas of intersection and union of all pairs, ``(N, M)``."""
    check_boxes(boxes1, "boxes1")
    check_boxes(boxes2, "boxes2")
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    low = fb.maximum(boxes1[:, None, :2], boxes2[:, :2])
    high = fb.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    return intersection, box_area(boxes1)[:, None] + box_area(boxes2) - intersection


def box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor) -> fb.Tensor:
    """Return the intersection over union (IoU) of all pairs of boxes.

    Args:
        boxes1: ``(N, 4)``.
        boxes2: ``(M, 4)``.
    Returns: ``(N, M)`` in 0..1, float32 for boxes of half precision. Gradient: defined for both sets of boxes.

    >>> box_iou(fb.tensor([[0.0, 0.0, 2.0, 2.0]]), fb.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    intersection, union = _box_inter_union(boxes1, boxes2)
    return intersection / union


def generalized_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor) -> fb.Tensor:
    """Return the generalised IoU of all pairs of boxes.

    The generalised IoU is :func:`box_iou` minus the fraction of the smallest enclosing box that neither box covers.

    Args:
        boxes1: ``(N, 4)``.
        boxes2: ``(M, 4)``.
    Returns: ``(N, M)`` in -1..1. Gradient: defined for both sets of boxes.
    Source: Rezatofighi et al. 2019, arXiv:1902.09630.

    >>> generalized_box_iou(fb.tensor([[0.0, 0.0, 2.0, 2.0]]), fb.tensor([[4.0, 0.0, 6.0, 2.0]]))
    tensor([[-0.3333]])
    """
    intersection, union = _box_inter_union(boxes1, boxes2)
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    low = fb.minimum(boxes1[:, None, :2], boxes2[:, :2])
    high = fb.maximum(boxes1[:, None, 2:], boxes2[:, 2:])
    hull = (high - low)[..., 0] * (high - low)[..., 1]
    return intersection / union - (hull - union) / hull


def box_convert(boxes: fb.Tensor, in_fmt: str, out_fmt: str) -> fb.Tensor:
    """Convert boxes ``(..., 4)`` between ``"xyxy"``, ``"xywh"`` (corner, size) and ``"cxcywh"`` (centre, size).

    Raises: ValueError for an unsupported format.

    >>> box_convert(fb.tensor([[1.0, 2.0, 4.0, 6.0]]), "xyxy", "cxcywh")
    tensor([[2.5000, 4.0000, 3.0000, 4.0000]])
    """
    if in_fmt not in _FORMATS or out_fmt not in _FORMATS:
        raise ValueError(f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return fb.stack((a, b, c, d), -1)


def clip_boxes_to_image(boxes: fb.Tensor, size: tuple[int, int]) -> fb.Tensor:
    """Clip boxes ``(..., 4)`` to an image of size ``(height, width)``.

    >>> clip_boxes_to_image(fb.tensor([[-2.0, 1.0, 12.0, 5.0]]), (8, 10))
    tensor([[ 0.,  1., 10.,  5.]])
    """
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return fb.stack((x, y), -1).reshape(boxes.shape)


def remove_small_boxes(boxes: fb.Tensor, min_size: float) -> fb.Tensor:
    """Return the indices of the boxes with a width and height of at least ``min_size``.

    >>> boxes = fb.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 1.0, 9.0]])
    >>> boxes[remove_small_boxes(boxes, min_size=2)]
    tensor([[0., 0., 9., 9.]])
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return fb.where((sides >= min_size).all(1))[0]


def masks_to_boxes(masks: fb.Tensor) -> fb.Tensor:
    """Return the bounding boxes of masks ``(N, H, W)``, from the first to the last pixel: ``(N, 4)``, float32.

    An empty mask has the box ``(0, 0, 0, 0)``.
    Raises: ValueError for a wrong number of dimensions.

    >>> mask = fb.zeros(1, 8, 10)
    >>> mask[0, 2:5, 3:9] = 1
    >>> masks_to_boxes(mask)
    tensor([[3., 2., 8., 4.]])
    """
    if masks.ndim != 3:
        raise ValueError(f"masks should have shape [N, H, W], got shape {list(masks.shape)}")
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    for index, mask in enumerate(masks.cpu().numpy() != 0):
        y, x = np.nonzero(mask)
        if len(x):
            boxes[index] = x.min(), y.min(), x.max(), y.max()
    return fb.from_numpy(boxes)
