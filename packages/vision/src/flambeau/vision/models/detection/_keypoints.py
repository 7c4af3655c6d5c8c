"""Conversion of keypoints to positions in heatmaps, which are grids over boxes, and back."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as fb
from flambeau import nn

from ._peaks import bicubic_peaks


def keypoints_to_heatmap(keypoints: fb.Tensor, rois: fb.Tensor, heatmap_size: int) -> tuple[fb.Tensor, fb.Tensor]:
    """Convert keypoints to pixel indices ``y * heatmap_size + x`` in a grid over their box.

    Args:
        keypoints: ``(L, points, 3)`` of x, y and visibility.
        rois: boxes ``(L, 4)``.
        heatmap_size: number of pixels along each side of the grid.
    Returns: the indices, and 1 for points that are visible and inside the box, 0 for other points; both are int64
        ``(L, points)``. The index of an invalid point is 0.

    >>> points = fb.tensor([[[5.0, 2.0, 1.0], [50.0, 2.0, 1.0]]])  # x, y and visibility
    >>> keypoints_to_heatmap(points, fb.tensor([[0.0, 0.0, 8.0, 8.0]]), heatmap_size=4)
    (tensor([[6, 0]]), tensor([[1, 0]]))
    """
    corners, ends = rois[:, None, :2], rois[:, None, 2:]
    positions = keypoints[..., :2]
    cells = ((positions - corners) * (heatmap_size / (ends - corners))).floor().to(fb.int64)
    cells = fb.where(positions == ends, heatmap_size - 1, cells)
    valid = ((cells >= 0) & (cells < heatmap_size)).all(-1) & (keypoints[..., 2] > 0)
    return (cells[..., 1] * heatmap_size + cells[..., 0]) * valid, valid.to(fb.int64)


def heatmaps_to_keypoints(maps: fb.Tensor, rois: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Resize the heatmaps of keypoints to their boxes, and return the positions of the maxima.

    Args:
        maps: scores ``(L, points, M, M)``.
        rois: boxes ``(L, 4)``.
    Returns: x, y and visibility (1) of each point ``(L, points, 3)``, and its score ``(L, points)``, both float32.

    >>> maps = fb.zeros(1, 1, 4, 4)
    >>> maps[0, 0, 1, 2] = 1
    >>> places, scores = heatmaps_to_keypoints(maps, fb.tensor([[10.0, 10.0, 14.0, 14.0]]))
    >>> places
    tensor([[[12.5000, 11.5000,  1.0000]]])
    """
    sizes = (rois[:, 2:] - rois[:, :2]).clamp(min=1)
    pixels = sizes.ceil()
    scores, cells = bicubic_peaks(maps, pixels.to(fb.int64))
    positions = (cells.to(fb.float32) + 0.5) * (sizes / pixels)[:, None] + rois[:, None, :2]
    visible = fb.ones_like(positions[..., :1])
    return fb.cat([positions, visible], 2).to(fb.float32), scores.to(fb.float32)


def keypointrcnn_loss(
    keypoint_logits: fb.Tensor,
    proposals: Sequence[fb.Tensor],
    gt_keypoints: Sequence[fb.Tensor],
    keypoint_matched_idxs: Sequence[fb.Tensor],
) -> fb.Tensor:
    """Compute the mean cross-entropy between heatmaps and the true pixels of visible points.

    Args:
        keypoint_logits: ``(sum of L, points, M, M)``.
        proposals: for each image, the boxes ``(L, 4)``.
        gt_keypoints: for each image, the true points ``(T, points, 3)``.
        keypoint_matched_idxs: for each image, the indices ``(L,)`` of the true objects that are matched with the boxes.
    Raises: ValueError for maps that are not square.

    >>> logits, boxes = fb.zeros(1, 1, 4, 4), fb.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> keypointrcnn_loss(logits, [boxes], [fb.tensor([[[5.0, 2.0, 1.0]]])], [fb.tensor([0])])  # log(16)
    tensor(2.7726)
    """
    height, width = keypoint_logits.shape[2:]
    if height != width:
        raise ValueError(
            "keypoint_logits height and width (last two elements of shape) should be equal. Instead got "
            f"H = {height} and W = {width}"
        )
    matched = zip(proposals, gt_keypoints, keypoint_matched_idxs, strict=True)
    heatmaps = [keypoints_to_heatmap(points[index], boxes, height) for boxes, points, index in matched]
    targets, valid = (fb.cat([each.flatten() for each in values]) for values in zip(*heatmaps, strict=True))
    counted = fb.where(valid)[0]
    if len(counted) == 0:
        return keypoint_logits.sum() * 0
    return nn.functional.cross_entropy(keypoint_logits.flatten(2).flatten(0, 1)[counted], targets[counted])


def keypointrcnn_inference(x: fb.Tensor, boxes: Sequence[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
    """Apply :func:`heatmaps_to_keypoints` to the boxes of each image.

    Args:
        x: scores ``(sum of L, points, M, M)``.
        boxes: boxes of each image, ``(L, 4)``.
    Returns: the points and the scores of each image.

    >>> boxes = [fb.tensor([[10.0, 10.0, 14.0, 14.0]]), fb.tensor([[0.0, 0.0, 4.0, 4.0]])]
    >>> points, scores = keypointrcnn_inference(fb.zeros(2, 17, 4, 4), boxes)
    >>> [each.shape for each in points]
    [flambeau.Size([1, 17, 3]), flambeau.Size([1, 17, 3])]
    """
    parts = x.split([len(boxes_of_image) for boxes_of_image in boxes], 0)
    keypoints = [heatmaps_to_keypoints(maps, boxes_of_image) for maps, boxes_of_image in zip(parts, boxes, strict=True)]
    return [positions for positions, _ in keypoints], [scores for _, scores in keypoints]
