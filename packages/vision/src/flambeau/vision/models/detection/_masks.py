"""Conversion of object masks to the grids of boxes, and back to images."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as fb
from flambeau import nn

from ...ops import roi_align
from ._pasting import paste_masks


def maskrcnn_inference(x: fb.Tensor, labels: Sequence[fb.Tensor]) -> Sequence[fb.Tensor]:
    """Return the mask probabilities ``(L, 1, M, M)`` of the predicted classes for each image.

    ``x`` contains the scores of all boxes and classes, ``(sum of L, classes, M, M)``.

    >>> scores = fb.tensor([-9.0, 0.0, 9.0]).view(1, 3, 1, 1)  # scores of one box and three classes
    >>> maskrcnn_inference(scores, [fb.tensor([1])])[0]
    tensor([[[[0.5000]]]])
    """
    found = fb.cat(list(labels))
    masks = x.sigmoid()[fb.arange(len(found), device=found.device), found][:, None]
    return masks.split([len(each) for each in labels], 0)


def project_masks_on_boxes(gt_masks: fb.Tensor, boxes: fb.Tensor, matched_idxs: fb.Tensor, M: int) -> fb.Tensor:
    """Crop the matched mask to each box ``(L, 4)``, and resize the crops to ``(L, M, M)``.

    >>> mask = fb.zeros(1, 8, 8)
    >>> mask[0, 4:] = 1
    >>> project_masks_on_boxes(mask, fb.tensor([[0.0, 0.0, 8.0, 8.0]]), fb.tensor([0]), M=2)
    tensor([[[0.1250, 0.1250],
             [1.0000, 1.0000]]])
    """
    rois = fb.cat([matched_idxs.to(boxes)[:, None], boxes], 1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: fb.Tensor,
    proposals: Sequence[fb.Tensor],
    gt_masks: Sequence[fb.Tensor],
    gt_labels: Sequence[fb.Tensor],
    mask_matched_idxs: Sequence[fb.Tensor],
) -> fb.Tensor:
    """Compute the mean binary cross-entropy of the mask pixels of the true classes.

    Args:
        mask_logits: ``(sum of L, classes, M, M)``.
        proposals: for each image, the boxes ``(L, 4)``.
        gt_masks, gt_labels: for each image, the true masks ``(T, H, W)`` and classes ``(T,)``.
        mask_matched_idxs: for each image, the indices ``(L,)`` of the true objects that are matched with the boxes.

    >>> logits, boxes = fb.zeros(1, 2, 4, 4), fb.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> maskrcnn_loss(logits, [boxes], [fb.ones(1, 8, 8)], [fb.tensor([1])], [fb.tensor([0])])
    tensor(0.6931)
    """
    size = mask_logits.shape[-1]
    matched = list(zip(gt_labels, gt_masks, proposals, mask_matched_idxs, strict=True))
    labels = fb.cat([classes[index] for classes, _, _, index in matched])
    targets = fb.cat([project_masks_on_boxes(masks, boxes, index, size) for _, masks, boxes, index in matched])
    if targets.numel() == 0:
        return mask_logits.sum() * 0
    of_class = mask_logits[fb.arange(len(labels), device=labels.device), labels]
    return nn.functional.binary_cross_entropy_with_logits(of_class, targets)


def expand_boxes(boxes: fb.Tensor, scale: float) -> fb.Tensor:
    """Scale boxes ``(L, 4)`` about their centres.

    >>> expand_boxes(fb.tensor([[2.0, 2.0, 4.0, 4.0]]), 2.0)
    tensor([[1., 1., 5., 5.]])
    """
    middle, half = (boxes[:, 2:] + boxes[:, :2]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    return fb.cat([middle - half, middle + half], 1)


def paste_masks_in_image(masks: fb.Tensor, boxes: fb.Tensor, img_shape: tuple[int, int], padding: int = 1) -> fb.Tensor:
    """Resize masks ``(L, 1, M, M)`` to their boxes ``(L, 4)``, and paste them into empty images ``(L, 1, *img_shape)``.

    >>> boxes = fb.tensor([[10.0, 20.0, 38.0, 48.0]])
    >>> images = paste_masks_in_image(fb.ones(1, 1, 28, 28), boxes, (48, 64))
    >>> images.shape, images[0, 0, 30, 20], images[0, 0, 30, 50]
    (flambeau.Size([1, 1, 48, 64]), tensor(1.), tensor(0.))
    """
    size = masks.shape[-1]
    padded = nn.functional.pad(masks, (padding,) * 4)
    outer_boxes = expand_boxes(boxes, (size + 2 * padding) / size).to(fb.int64)
    pasted: fb.Tensor = paste_masks(padded, outer_boxes, *img_shape)
    return pasted
