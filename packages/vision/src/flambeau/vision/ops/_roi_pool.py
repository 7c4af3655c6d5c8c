"""Max pooling over regions of feature maps, and position-sensitive pooling, in which each bin reads other channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import flambeau as fb
from flambeau import nn

from ._regions import Boxes, as_regions, pair
from ._roi_align import roi_align

Size = int | Sequence[int]


def roi_pool(input: fb.Tensor, boxes: Boxes, output_size: Size, spatial_scale: float = 1.0) -> fb.Tensor:
    """Divide each region into a grid of bins, and return the maximum of each bin. Bins outside the map are 0.

    Args:
        input: ``(N, C, H, W)``.
        boxes: ``(K, 5)`` of batch index and x1, y1, x2, y2, or N tensors ``(L, 4)``; coordinates are rounded.
        output_size: height and width of the grid, or one number for both.
        spatial_scale: factor that converts box coordinates to coordinates of the feature map.
    Returns: ``(K, C, *output_size)``. Gradient: defined for ``input``; of several equal maxima, the first gets it.
    Raises: ValueError for shapes that do not match.
    Source: Girshick 2015, arXiv:1504.08083.

    >>> roi_pool(fb.arange(16.0).view(1, 1, 4, 4), [fb.tensor([[0.0, 0.0, 3.0, 2.0]])], (1, 2))
    tensor([[[[ 9., 11.]]]])
    """
    rois = as_regions(input, boxes)
    height, width = pair(output_size)
    numbers, corners = _whole(rois, spatial_scale)
    pooled = [input.new_zeros((0, input.shape[1], height, width)) + 0 * input.sum()] if len(rois) == 0 else []
    for number, (x1, y1, x2, y2) in zip(numbers, corners, strict=True):
        rows, columns = _bins(y1, y2 + 1, height, input.shape[2]), _bins(x1, x2 + 1, width, input.shape[3])
        pooled.append(_greatest(input[int(number)], rows, columns)[None])
    return fb.cat(pooled)


def _whole(rois: fb.Tensor, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the batch indices, and the corners rounded to pixels (halves are rounded away from zero)."""
    plain = rois.detach().cpu().numpy()
    scaled = plain[:, 1:] * plain.dtype.type(scale)
    return plain[:, 0].astype(np.int64), np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)


def _bins(start: int, end: int, count: int, size: int) -> np.ndarray:
    """Return start and end of each bin along a dimension, ``(count, 2)``. Adjacent bins may share a pixel."""
    step = np.float32(max(end - start, 1)) / np.float32(count)
    edges = np.arange(count + 1, dtype=np.float32) * step
    between = np.stack([np.floor(edges[:-1]), np.ceil(edges[1:])], 1).astype(np.int64)
    return np.clip(between + start, 0, size)


def _greatest(map: fb.Tensor, rows: np.ndarray, columns: np.ndarray) -> fb.Tensor:
    """Return the maximum of each bin of a map ``(C, H, W)``: ``(C, row bins, column bins)``.

    The maximum is computed first over columns, then over rows, so that the first of equal pixels gets the gradient.
    """
    (down, no_row), (across, no_column) = _positions(rows), _positions(columns)
    by_column = map[:, :, fb.from_numpy(across).to(map.device)].max(-1)[0]
    by_bin = by_column[:, fb.from_numpy(down).to(map.device)].max(2)[0]
    empty = fb.from_numpy(no_row[:, None] | no_column[None, :]).to(map.device)
    return by_bin.masked_fill(empty, 0)


def _positions(bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of each bin, padded to equal counts with the last pixel, and a mask of empty bins."""
    lengths = bins[:, 1] - bins[:, 0]
    positions = bins[:, :1] + np.arange(max(int(lengths.max()), 1))
    return np.clip(positions, 0, np.maximum(bins[:, 1:] - 1, 0)), lengths <= 0


def ps_roi_pool(input: fb.Tensor, boxes: Boxes, output_size: Size, spatial_scale: float = 1.0) -> fb.Tensor:
    """Divide each region into a grid of bins, and average each bin. Each bin reads a separate group of C channels.

    Args:
        input: ``(N, C * height * width, H, W)``, where ``(height, width)`` is ``output_size``.
        boxes, output_size, spatial_scale: as in :func:`roi_pool`.
    Returns: ``(K, C, *output_size)``, 0 for empty bins. As in torchvision, the last row and column of the map are
        ignored. Gradient: defined for ``input``, to any order.
    Raises: ValueError for shapes that do not match.
    Source: Dai et al. 2016, arXiv:1605.06409.

    >>> map = fb.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 6, 6)
    >>> ps_roi_pool(map, [fb.tensor([[0.0, 0.0, 4.0, 4.0]])], output_size=2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    rois = as_regions(input, boxes)
    height, width = pair(output_size)
    channels = _channels_of_bin(input, height, width)
    numbers, corners = _whole(rois, spatial_scale)
    pooled = [input.new_zeros((0, channels, height, width)) + 0 * input.sum()] if len(rois) == 0 else []
    for number, (x1, y1, x2, y2) in zip(numbers, corners, strict=True):
        down = _means(_bins(y1, y2, height, input.shape[2] - 1), input.shape[2])
        across = _means(_bins(x1, x2, width, input.shape[3] - 1), input.shape[3])
        maps = input[int(number)].view(channels, height, width, *input.shape[2:])
        along_y, along_x = fb.from_numpy(down).to(input), fb.from_numpy(across).to(input)
        pooled.append(fb.einsum("cijhw,ih,jw->cij", maps, along_y, along_x)[None])
    return fb.cat(pooled)


def _channels_of_bin(input: fb.Tensor, height: int, width: int) -> int:
    if input.shape[1] % (height * width):
        raise ValueError(
            f"input channels must be a multiple of pooling height * pooling width, got {input.shape[1]} for a grid of "
            f"{height} by {width}"
        )
    return input.shape[1] // (height * width)


def _means(bins: np.ndarray, size: int) -> np.ndarray:
    """Return the weight of each pixel in the mean of each bin: ``(bins, size)``."""
    pixels = np.arange(size)
    inside = (pixels >= bins[:, :1]) & (pixels < bins[:, 1:])
    shares: np.ndarray = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    return shares


def ps_roi_align(
    input: fb.Tensor, boxes: Boxes, output_size: Size, spatial_scale: float = 1.0, sampling_ratio: int = -1
) -> fb.Tensor:
    """Apply :func:`roi_align` with ``aligned=True``; each bin reads a separate group of C channels.

    Args:
        input: ``(N, C * height * width, H, W)``, where ``(height, width)`` is ``output_size``.
        boxes, output_size, spatial_scale, sampling_ratio: as in :func:`roi_align`.
    Returns: ``(K, C, *output_size)``. Gradient: defined for ``input``, to any order.
    Raises: ValueError for shapes that do not match.
    Source: Li et al. 2017, arXiv:1711.07264.

    >>> map = fb.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 6, 6)
    >>> ps_roi_align(map, [fb.tensor([[0.0, 0.0, 4.0, 4.0]])], output_size=2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    height, width = pair(output_size)
    channels = _channels_of_bin(input, height, width)
    every = roi_align(input, boxes, (height, width), spatial_scale, sampling_ratio, aligned=True)
    by_bin = every.view(len(every), channels, height * width, height * width)
    return by_bin.diagonal(dim1=2, dim2=3).reshape(len(every), channels, height, width)


class RoIPool(nn.Module):
    """Layer that applies :func:`roi_pool`, with the same arguments.

    >>> pool = RoIPool(output_size=(7, 7), spatial_scale=1 / 16)
    >>> pool(fb.zeros(1, 8, 14, 14), [fb.tensor([[0.0, 0.0, 100.0, 50.0]])]).shape
    flambeau.Size([1, 8, 7, 7])
    """

    def __init__(self, output_size: Size, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: fb.Tensor, rois: Boxes) -> fb.Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"


class PSRoIPool(RoIPool):
    """Layer that applies :func:`ps_roi_pool`, with the same arguments.

    >>> pool = PSRoIPool(output_size=3, spatial_scale=1 / 16)
    >>> pool(fb.zeros(1, 2 * 9, 14, 14), [fb.tensor([[0.0, 0.0, 100.0, 50.0]])]).shape
    flambeau.Size([1, 2, 3, 3])
    """

    def forward(self, input: fb.Tensor, rois: Boxes) -> fb.Tensor:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)


class PSRoIAlign(nn.Module):
    """Layer that applies :func:`ps_roi_align`, with the same arguments.

    >>> pool = PSRoIAlign(output_size=3, spatial_scale=1 / 16, sampling_ratio=2)
    >>> pool(fb.zeros(1, 2 * 9, 14, 14), [fb.tensor([[0.0, 0.0, 100.0, 50.0]])]).shape
    flambeau.Size([1, 2, 3, 3])
    """

    def __init__(self, output_size: Size, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: fb.Tensor, rois: Boxes) -> fb.Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"PSRoIAlign(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
