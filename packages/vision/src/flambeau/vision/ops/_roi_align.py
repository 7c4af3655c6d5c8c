"""Regions of feature maps, resampled to one size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import flambeau as fb
from flambeau import nn

Boxes = fb.Tensor | Sequence[fb.Tensor]


def roi_align(
    input: fb.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> fb.Tensor:
    """The mean of each of a grid of bins of each region, read bilinearly at points within it.

    As reading is bilinear and the points are a grid, each region is two matrix products: ``rows @ map @ columns.T``.

    Args:
        input: ``(N, C, H, W)``.
        boxes: ``(K, 5)`` of the number in the batch and x1, y1, x2, y2, or N tensors ``(L, 4)``.
        output_size: height and width of the grid, or one number for both.
        spatial_scale: of the map's coordinates over the boxes'.
        sampling_ratio: points in a bin along each side; not positive for as many as it has pixels.
        aligned: the middles of pixels are half a pixel from their edges, which is right, not at them.
    Returns: ``(K, C, *output_size)``. Gradient: input.
    Raises: ValueError for shapes that do not fit.
    Source: He et al. 2017, arXiv:1703.06870.
    """
    rois = _as_rois(input, boxes)
    height, width = (output_size, output_size) if isinstance(output_size, int) else output_size
    corners = rois[:, 1:].detach().cpu().double().numpy() * spatial_scale - (0.5 if aligned else 0.0)
    smallest = 0.0 if aligned else 1.0
    x1, y1, x2, y2 = corners.T
    rows = _weights(y1, np.maximum(y2 - y1, smallest), height, input.shape[2], sampling_ratio)
    columns = _weights(x1, np.maximum(x2 - x1, smallest), width, input.shape[3], sampling_ratio)
    maps = input[rois[:, 0].to(fb.int64)]
    along_y, along_x = (fb.from_numpy(weights).to(input)[:, None] for weights in (rows, columns))
    return along_y @ maps @ along_x.transpose(-1, -2)


def _as_rois(input: fb.Tensor, boxes: Boxes) -> fb.Tensor:
    if input.ndim != 4:
        raise ValueError(f"input should be (N, C, H, W); got shape {tuple(input.shape)}")
    if not isinstance(boxes, fb.Tensor):
        if len(boxes) != len(input) or any(each.ndim != 2 or each.shape[1] != 4 for each in boxes):
            shapes = [tuple(each.shape) for each in boxes]
            raise ValueError(f"boxes should be a list of {len(input)} tensors (L, 4), one for each map; got {shapes}")
        numbers = [fb.full((len(each), 1), float(index)).to(each) for index, each in enumerate(boxes)]
        boxes = fb.cat([fb.cat([number, each], 1) for number, each in zip(numbers, boxes, strict=True)])
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(f"The boxes tensor shape is not correct as Tensor[K, 5]; got {tuple(boxes.shape)}")
    if len(boxes) and not (boxes[:, 0].min() >= 0 and boxes[:, 0].max() < len(input)):
        raise ValueError(f"boxes name maps from 0 to {len(input) - 1}; got {boxes[:, 0].tolist()}")
    return boxes


def _weights(starts: np.ndarray, lengths: np.ndarray, bins: int, size: int, sampling_ratio: int) -> np.ndarray:
    """``(K, bins, size)``, how much each pixel counts in each bin of one dimension."""
    weights = np.zeros((len(starts), bins, size))
    for index, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        points = sampling_ratio if sampling_ratio > 0 else max(int(np.ceil(length / bins)), 1)
        places = start + (np.arange(bins * points) + 0.5) * (length / (bins * points))
        known = (places >= -1.0) & (places <= size)
        inside = np.clip(places, 0, size - 1)
        below = np.minimum(inside.astype(int), size - 1)
        above = np.minimum(below + 1, size - 1)
        share = inside - below
        bin_of = np.arange(bins * points) // points
        np.add.at(weights[index], (bin_of, below), (1.0 - share) * known / points)
        np.add.at(weights[index], (bin_of, above), share * known / points)
    return weights


class RoIAlign(nn.Module):
    """:func:`roi_align` as a layer."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: fb.Tensor, rois: Boxes) -> fb.Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def __repr__(self) -> str:
        return (
            f"RoIAlign(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned})"
        )
