"""RoI align, which resamples regions of feature maps to one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import flambeau as fb
from flambeau import nn
from flambeau.autograd import Function
from flambeau.library import extension_op

from ._regions import Boxes, check_numbers, pair, shaped_as_regions

# Cost of a multiplication in a sum of indexed rows, relative to the cost of a multiplication in a matrix product.
_PRODUCTS_PER_READ = 16


class _Reading(NamedTuple):
    """Pixels that the sampling points of each bin read along one dimension, and their weights.

    Both arrays have the shape ``(K, bins, 2 * points)``.
    """

    pixels: np.ndarray
    weights: np.ndarray


class _WeightedRows(Function):
    """Weighted sum of the rows ``indices`` of a table. The backward pass uses the same kernel."""

    @staticmethod
    def forward(ctx: Any, table: fb.Tensor, indices: fb.Tensor, weights: fb.Tensor) -> fb.Tensor:
        ctx.save_for_backward(indices, weights)
        ctx.rows = len(table)
        return nn.functional.embedding_bag(indices, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx: Any, grad: fb.Tensor) -> tuple[fb.Tensor, None, None]:
        indices, weights = ctx.saved_tensors
        order = indices.flatten().argsort()
        ends = fb.bincount(indices.flatten(), minlength=ctx.rows).cumsum(0)
        starts = fb.cat([ends.new_zeros(1), ends[:-1]])
        bags, shares = order // indices.shape[1], weights.flatten()[order]
        rows = nn.functional.embedding_bag(bags, grad, starts, mode="sum", per_sample_weights=shares)
        return rows, None, None


def roi_align(
    input: fb.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> fb.Tensor:
    """Divide each region into a grid of bins, and average each bin over bilinear samples at points in the bin.

    Args:
        input: ``(N, C, H, W)``.
        boxes: ``(K, 5)`` of batch index and x1, y1, x2, y2, or N tensors ``(L, 4)``.
        output_size: height and width of the grid, or one number for both.
        spatial_scale: factor that converts box coordinates to coordinates of the feature map.
        sampling_ratio: number of points in a bin along each side; if not positive, the number of pixels in the bin.
        aligned: if True, shift the boxes by half a pixel, so that pixel centres are aligned correctly; if False, boxes
            have at least the size of a pixel.
    Returns: ``(K, C, *output_size)``; 0 for empty regions, if ``sampling_ratio`` is not positive. Gradient: defined for
        ``input``, to any order.
    Raises: ValueError for shapes that do not match.
    Source: He et al. 2017, arXiv:1703.06870.

    >>> map = fb.arange(16.0).view(1, 1, 4, 4)
    >>> roi_align(map, [fb.tensor([[0.5, 0.5, 2.5, 2.5]])], output_size=2, aligned=True)
    tensor([[[[2.5000, 3.5000],
              [6.5000, 7.5000]]]])
    """
    rois = shaped_as_regions(input, boxes)
    height, width = pair(output_size)
    aligned_regions: fb.Tensor = _roi_align(input, rois, spatial_scale, height, width, sampling_ratio, aligned)
    return aligned_regions


@extension_op("torchvision::roi_align")
def _roi_align(
    input: fb.Tensor,
    rois: fb.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> fb.Tensor:
    """Average samples in each bin of each box. Boxes with the same number of samples per bin are read together."""
    check_numbers(input, rois)
    height, width = pooled_height, pooled_width
    result = input.new_zeros((len(rois), input.shape[1], height, width))
    if result.numel() == 0:
        return result + 0 * input.sum()  # the added 0 connects the result to the input for autograd
    corners = rois[:, 1:].detach().cpu().double().numpy() * spatial_scale - (0.5 if aligned else 0.0)
    numbers = rois[:, 0].detach().cpu().numpy().astype(np.int64)
    x1, y1, x2, y2 = corners.T
    heights, widths = y2 - y1, x2 - x1
    if not aligned:
        heights, widths = np.maximum(heights, 1.0), np.maximum(widths, 1.0)
    points = np.stack([_points(heights, height, sampling_ratio), _points(widths, width, sampling_ratio)], 1)
    empty = (points == 0).any(1)
    kinds, kind_of = np.unique(np.maximum(points, 1), axis=0, return_inverse=True)
    parts, positions = [], []
    for kind, (down, across) in enumerate(kinds):
        of_kind = np.flatnonzero(kind_of.reshape(-1) == kind)
        rows = _read(y1[of_kind], heights[of_kind], height, int(down), input.shape[2])
        columns = _read(x1[of_kind], widths[of_kind], width, int(across), input.shape[3])
        parts.append(_resampled(input, numbers[of_kind], rows, columns))
        positions.append(of_kind)
    pooled = parts[0] if len(parts) == 1 else fb.cat(parts)[fb.from_numpy(np.argsort(np.concatenate(positions)))]
    if empty.any():
        pooled = pooled.masked_fill(fb.from_numpy(empty).to(input.device)[:, None, None, None], 0)
    return pooled


@_roi_align.register_fake
def _shape(
    input: fb.Tensor,
    rois: fb.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> fb.Tensor:
    return input.new_empty((rois.shape[0], input.shape[1], pooled_height, pooled_width))


@_roi_align.register_onnx
def _as_node(
    g: Any, input: Any, rois: Any, spatial_scale: float, pooled_height: int, pooled_width: int, sampling_ratio: int,
    aligned: bool,
) -> Any:  # fmt: skip
    corners = g.op("Slice", rois, g.constant([1]), g.constant([5]), g.constant([1]))
    numbers = g.cast(g.op("Gather", rois, g.constant(0), axis=1), fb.int64, rois.dtype)
    return g.op(
        "RoiAlign", input, g.cast(corners, input.dtype, rois.dtype), numbers, spatial_scale=float(spatial_scale),
        output_height=pooled_height, output_width=pooled_width, sampling_ratio=max(sampling_ratio, 0),
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )  # fmt: skip


@_roi_align.register_decomposition(in_programs=True)
def _by_operators(
    input: fb.Tensor,
    rois: fb.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    """Compute `roi_align` with tensor operators, or return NotImplemented if the number of points is not fixed."""
    if sampling_ratio <= 0:
        return NotImplemented
    count, channels, rows, columns = input.shape
    x1, y1, x2, y2 = (rois[:, 1:].to(fb.float64) * spatial_scale - (0.5 if aligned else 0.0)).unbind(1)
    heights, widths = y2 - y1, x2 - x1
    if not aligned:
        heights, widths = heights.clamp(min=1.0), widths.clamp(min=1.0)
    down = _read_by_operators(y1, heights, pooled_height, sampling_ratio, rows)
    across = _read_by_operators(x1, widths, pooled_width, sampling_ratio, columns)
    lines = (rois[:, :1].to(fb.int64) * rows).unsqueeze(2) + down[0]
    indices = (lines * columns)[:, :, None, :, None] + across[0][:, None, :, None, :]
    weights = (down[1][:, :, None, :, None] * across[1][:, None, :, None, :]).to(input.dtype)
    bins, reads = pooled_height * pooled_width, 4 * sampling_ratio**2
    table = input.permute(0, 2, 3, 1).reshape(count * rows * columns, channels)
    regions = rois.shape[0]
    summed = nn.functional.embedding_bag(
        indices.reshape(regions * bins, reads), table, mode="sum",
        per_sample_weights=weights.reshape(regions * bins, reads),
    )  # fmt: skip
    by_bin = summed.reshape(regions, bins, channels).transpose(1, 2)
    return by_bin.reshape(regions, channels, pooled_height, pooled_width)


def _read_by_operators(
    starts: fb.Tensor, lengths: fb.Tensor, bins: int, points: int, size: int
) -> tuple[fb.Tensor, fb.Tensor]:
    """Compute the pixels and weights of a :class:`_Reading`."""
    steps = (fb.arange(bins * points, dtype=fb.float64, device=starts.device) + 0.5) / (bins * points)
    positions = starts[:, None] + steps * lengths[:, None]
    known = ((positions >= -1.0) & (positions <= size)).to(fb.float64) / points
    inside = positions.clamp(min=0).minimum(fb.full_like(positions, size - 1))
    below = inside.floor()
    above = (below + 1).minimum(fb.full_like(positions, size - 1))
    share = inside - below
    shape = (starts.shape[0], bins, 2 * points)
    pixels = fb.stack([below, above], -1).reshape(shape).to(fb.int64)
    return pixels, fb.stack([(1 - share) * known, share * known], -1).reshape(shape)


def _points(lengths: np.ndarray, bins: int, sampling_ratio: int) -> np.ndarray:
    """Return the number of points in the bins of each region along one dimension, 0 for an empty region."""
    if sampling_ratio > 0:
        return np.full(len(lengths), sampling_ratio)
    return np.maximum(np.ceil(lengths / bins), 0).astype(np.int64)


def _read(starts: np.ndarray, lengths: np.ndarray, bins: int, points: int, size: int) -> _Reading:
    steps = (np.arange(bins * points) + 0.5) / (bins * points)
    positions = starts[:, None] + steps * lengths[:, None]
    known = ((positions >= -1.0) & (positions <= size)) / points
    inside = np.clip(positions, 0, size - 1)
    below = np.minimum(inside.astype(np.int64), size - 1)
    above = np.minimum(below + 1, size - 1)
    share = inside - below
    shape = (len(starts), bins, 2 * points)
    pixels = np.stack([below, above], -1).reshape(shape)
    return _Reading(pixels, np.stack([(1 - share) * known, share * known], -1).reshape(shape))


def _resampled(input: fb.Tensor, numbers: np.ndarray, rows: _Reading, columns: _Reading) -> fb.Tensor:
    """Compute the values of all bins, ``(K, C, bins, bins)``, by the method with the lower estimated cost."""
    height, width = input.shape[2:]
    (_, down, reads_down), (_, across, reads_across) = rows.pixels.shape, columns.pixels.shape
    reads = down * across * reads_down * reads_across
    products = (down * height * width + down * width * across) / _PRODUCTS_PER_READ
    return (_by_reading if reads < products else _by_products)(input, numbers, rows, columns)


def _by_reading(input: fb.Tensor, numbers: np.ndarray, rows: _Reading, columns: _Reading) -> fb.Tensor:
    """Compute each bin as a weighted sum of the rows of a table that has one row for each pixel."""
    count, channels, height, width = input.shape
    (regions, down, _), across = rows.pixels.shape, columns.pixels.shape[1]
    starts = (numbers * height)[:, None, None]
    indices = ((starts + rows.pixels) * width)[:, :, None, :, None] + columns.pixels[:, None, :, None, :]
    weights = rows.weights[:, :, None, :, None] * columns.weights[:, None, :, None, :]
    bins = regions * down * across
    table = input.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    summed: fb.Tensor = _WeightedRows.apply(
        table,
        fb.from_numpy(indices.reshape(bins, -1)).to(input.device),
        fb.from_numpy(weights.reshape(bins, -1)).to(input),
    )
    return summed.view(regions, down * across, channels).transpose(1, 2).reshape(regions, channels, down, across)


def _by_products(input: fb.Tensor, numbers: np.ndarray, rows: _Reading, columns: _Reading) -> fb.Tensor:
    """Compute each region as ``rows @ map @ columns.T``. This is possible because sampling is bilinear on a grid."""
    down, across = (_dense(reading, size) for reading, size in zip((rows, columns), input.shape[2:], strict=True))
    parts, positions = [], []
    for number in np.unique(numbers):
        of_image = np.flatnonzero(numbers == number)
        along_y, along_x = fb.from_numpy(down[of_image]).to(input), fb.from_numpy(across[of_image]).to(input)
        lines = fb.tensordot(along_y, input[int(number)], ([2], [1]))  # (K, bins, C, W)
        parts.append(fb.einsum("kicw,kjw->kcij", lines, along_x))
        positions.append(of_image)
    return fb.cat(parts)[fb.from_numpy(np.argsort(np.concatenate(positions)))]


def _dense(reading: _Reading, size: int) -> np.ndarray:
    """Return the weight of each pixel in each bin: ``(K, bins, size)``."""
    regions, bins, reads = reading.pixels.shape
    bin_of = np.repeat(np.arange(regions * bins), reads) * size
    counted = np.bincount(bin_of + reading.pixels.reshape(-1), reading.weights.reshape(-1), regions * bins * size)
    return counted.reshape(regions, bins, size)


class RoIAlign(nn.Module):
    """Layer that applies :func:`roi_align`, with the same arguments.

    >>> pool = RoIAlign(output_size=(7, 7), spatial_scale=1 / 16, sampling_ratio=2)
    >>> pool(fb.zeros(1, 8, 14, 14), [fb.tensor([[0.0, 0.0, 100.0, 50.0], [10.0, 10.0, 80.0, 80.0]])]).shape
    flambeau.Size([2, 8, 7, 7])
    """

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
