"""Regions of feature maps, in the format that RoI pooling expects."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as fb

Boxes = fb.Tensor | Sequence[fb.Tensor]


def as_regions(input: fb.Tensor, boxes: Boxes) -> fb.Tensor:
    """Return regions ``(K, 5)``, each with the batch index and the corners.

    Args:
        input: feature maps ``(N, C, H, W)``.
        boxes: regions ``(K, 5)``, or a sequence of N tensors ``(L, 4)``.
    Raises: ValueError for shapes and batch indices that do not match ``input``.
    """
    regions = shaped_as_regions(input, boxes)
    check_numbers(input, regions)
    return regions


def shaped_as_regions(input: fb.Tensor, boxes: Boxes) -> fb.Tensor:
    """Return regions like :func:`as_regions`, without checking the batch indices."""
    if input.ndim != 4:
        raise ValueError(f"input should have shape [N, C, H, W], got shape {list(input.shape)}")
    if not isinstance(boxes, fb.Tensor):
        if len(boxes) != len(input) or any(each.ndim != 2 or each.shape[1] != 4 for each in boxes):
            shapes = [list(each.shape) for each in boxes]
            raise ValueError(
                f"boxes should be a list of {len(input)} tensors of shape [L, 4], one per image, got shapes {shapes}"
            )
        return numbered(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(f"The boxes tensor shape is not correct as Tensor[K, 5], got {list(boxes.shape)}")
    return boxes


def check_numbers(input: fb.Tensor, regions: fb.Tensor) -> None:
    """Raise ValueError if the batch index of a region ``(K, 5)`` is out of range."""
    if len(regions) and not (regions[:, 0].min() >= 0 and regions[:, 0].max() < len(input)):
        raise ValueError(
            f"boxes[:, 0] should be indices of images from 0 to {len(input) - 1}, got {regions[:, 0].tolist()}"
        )


def numbered(boxes: Sequence[fb.Tensor]) -> fb.Tensor:
    """Concatenate the boxes ``(L, 4)`` of several images to regions ``(K, 5)``. Column 0 is the index of the image."""
    return fb.cat([fb.cat([fb.full_like(each[:, :1], index), each], 1) for index, each in enumerate(boxes)])


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width, given as two numbers or one number for both."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width
