"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

import flambeau as fb

from ._boxes import check_boxes

# So many boxes are compared with all that follow at once.
_ROWS = 128


def nms(boxes: fb.Tensor, scores: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """Non-maximum suppression: of boxes that overlap by more than a threshold the one of the highest score.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: a box is left out if its :func:`box_iou` with one that was taken is greater.
    Returns: the indices of the boxes taken, int64, from the highest score down.
    Raises: ValueError for shapes that do not fit. Gradient: none.

    >>> boxes = fb.tensor([[0.0, 0.0, 2.0, 2.0], [0.1, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, fb.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    check_boxes(boxes)
    _check_per_box(boxes, scores, "scores")
    corners, ranks = _on_host(boxes, scores)
    order = np.argsort(-ranks, kind="stable")
    return fb.from_numpy(order[_taken(corners[order], iou_threshold)]).to(boxes.device)


def batched_nms(boxes: fb.Tensor, scores: fb.Tensor, idxs: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """:func:`nms` within each class: boxes of different ``idxs``, ``(N,)``, leave each other alone."""
    check_boxes(boxes)
    _check_per_box(boxes, scores, "scores")
    _check_per_box(boxes, idxs, "idxs")
    corners, ranks = _on_host(boxes, scores)
    classes = idxs.detach().cpu().numpy()
    order = np.lexsort((-ranks, classes))  # by class, and by score within each
    starts = np.flatnonzero(np.diff(classes[order])) + 1
    taken = [members[_taken(corners[members], iou_threshold)] for members in np.split(order, starts)]
    together = np.sort(np.concatenate(taken))
    return fb.from_numpy(together[np.argsort(-ranks[together], kind="stable")]).to(boxes.device)


def _check_per_box(boxes: fb.Tensor, values: fb.Tensor, name: str) -> None:
    if tuple(values.shape) != (len(boxes),):
        raise ValueError(f"{name} should be ({len(boxes)},), one for each box; got shape {tuple(values.shape)}")


def _on_host(boxes: fb.Tensor, scores: fb.Tensor) -> tuple[np.ndarray, np.ndarray]:
    corners, ranks = (values.detach().cpu().double().numpy() for values in (boxes, scores))
    return corners, ranks


def _taken(corners: np.ndarray, iou_threshold: float) -> np.ndarray:
    """The places of the boxes that are taken, of boxes in the order in which they are asked."""
    columns = np.ascontiguousarray(corners.T)
    places, taken = np.arange(len(corners)), [np.empty(0, dtype=np.int64)]
    while len(places):
        covers = _overlapping(columns[:, :_ROWS], columns, iou_threshold)
        among = covers[:, : len(covers)]
        rows: list[int] = []
        out = np.zeros(len(among), dtype=bool)
        for row in range(len(among)):
            if not out[row]:
                rows.append(row)
                out |= among[row]
        taken.append(places[rows])
        left = np.logical_not(np.any(covers[rows], axis=0))
        left[: len(among)] = False
        places, columns = places[left], columns[:, left]
    return np.concatenate(taken)


def _overlapping(first: np.ndarray, second: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Whether the boxes ``(4, N)`` and ``(4, M)`` overlap by more than the threshold: ``(N, M)``."""
    (x1, y1, x2, y2), (left, top, right, bottom) = first[..., None], second[:, None]
    widths = np.minimum(x2, right) - np.maximum(x1, left)
    heights = np.minimum(y2, bottom) - np.maximum(y1, top)
    shared = widths.clip(0) * heights.clip(0)
    together = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared
    return np.asarray(shared > iou_threshold * together)
