"""Operator that pastes masks into images. It uses a loop over boxes or, in traced programs, matrix products."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn
from flambeau.library import extension_op


@extension_op("flambeau::paste_masks")
def paste_masks(masks: fb.Tensor, target_boxes: fb.Tensor, height: int, width: int) -> fb.Tensor:
    """Resize masks ``(L, 1, M, M)`` to boxes, and paste them into empty images ``(L, 1, height, width)``.

    ``target_boxes`` ``(L, 4)`` int64 contains the first column, first row, last column and last row of each box. Boxes
    may extend beyond the image.
    """
    result = masks.new_zeros((len(masks), 1, height, width))
    for index, (left, top, right, bottom) in enumerate(target_boxes.tolist()):
        size = (max(bottom - top + 1, 1), max(right - left + 1, 1))
        x0, x1 = max(left, 0), min(right + 1, width)
        y0, y1 = max(top, 0), min(bottom + 1, height)
        if x1 > x0 and y1 > y0:
            mask = masks[index : index + 1]
            stretched = nn.functional.interpolate(mask, size=size, mode="bilinear", align_corners=False)[0]
            result[index, :, y0:y1, x0:x1] = stretched[:, y0 - top : y1 - top, x0 - left : x1 - left]
    return result


@paste_masks.register_fake
def _shape(masks: fb.Tensor, target_boxes: fb.Tensor, height: int, width: int) -> fb.Tensor:
    return masks.new_empty((len(masks), 1, height, width))


@paste_masks.register_decomposition(in_programs=True)
def _by_products(masks: fb.Tensor, target_boxes: fb.Tensor, height: int, width: int) -> fb.Tensor:
    """Compute the result for all masks at once. This is slower, because it includes pixels outside the boxes."""
    left, top, right, bottom = target_boxes.unbind(1)
    down = _linear_weights(top, bottom, height, masks.shape[2]).to(masks.dtype)
    across = _linear_weights(left, right, width, masks.shape[3]).to(masks.dtype)
    return ((down @ masks[:, 0]) @ across.transpose(1, 2)).unsqueeze(1)


def _linear_weights(first: fb.Tensor, last: fb.Tensor, count: int, size: int) -> fb.Tensor:
    """Return weights ``(L, count, size)`` that interpolate ``size`` mask elements linearly at ``count`` pixels.

    ``first`` and ``last`` are the first and the last pixel of each of the L boxes. Pixels outside have weights of 0.
    """
    pixels = fb.arange(count, device=first.device) - first[:, None]
    inside = (pixels >= 0) & (pixels <= (last - first)[:, None])
    lengths = (last - first + 1).clamp(min=1).to(fb.float64)
    sources = ((pixels + 0.5) * (size / lengths)[:, None] - 0.5).clamp(min=0, max=size - 1)
    distances = (sources[:, :, None] - fb.arange(size, dtype=fb.float64, device=first.device)).abs()
    return (1 - distances).clamp(min=0) * inside[:, :, None]
