"""Generators of anchors. Anchors are boxes on a grid; predictions are relative to anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .image_list import ImageList


class AnchorGenerator(nn.Module):
    """Generator of boxes with several sizes and aspect ratios at each pixel of feature maps.

    Args:
        sizes: for each feature map, the square roots of the areas of the boxes, or a single number.
        aspect_ratios: for each feature map, the ratios of height to width; or one list for all maps.

    Shapes: an :class:`ImageList` and maps ``(N, C, H, W)``. The result is a list of N tensors
    ``(sum of H * W * sizes * ratios, 4)``.
    Raises: AssertionError if the numbers of feature maps and of sizes differ.
    Source: Ren et al. 2015, arXiv:1506.01497.

    >>> AnchorGenerator(((32,),), ((0.5, 1.0),)).cell_anchors
    [tensor([[-23., -11.,  23.,  11.],
            [-16., -16.,  16.,  16.]])]
    """

    def __init__(
        self,
        sizes: Sequence[Any] = ((128, 256, 512),),
        aspect_ratios: Sequence[Any] = ((0.5, 1.0, 2.0),),
    ) -> None:
        super().__init__()
        if not isinstance(sizes[0], list | tuple):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], list | tuple):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes = sizes
        self.aspect_ratios = aspect_ratios
        self.cell_anchors = [
            self.generate_anchors(size, ratio) for size, ratio in zip(sizes, aspect_ratios, strict=False)
        ]

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: fb.dtype = fb.float32,
        device: Any = None,
    ) -> fb.Tensor:
        """Return boxes ``(scales * ratios, 4)`` with the centre (0, 0), rounded to integers."""
        sizes = fb.as_tensor(scales, dtype=dtype, device=device)
        heights = fb.sqrt(fb.as_tensor(aspect_ratios, dtype=dtype, device=device))
        height, width = (ratio[:, None] * sizes for ratio in (heights, 1 / heights))
        corner = fb.stack([width.flatten(), height.flatten()], 1) / 2
        return fb.cat([-corner, corner], 1).round()

    def num_anchors_per_location(self) -> list[int]:
        """Return the number of boxes per pixel of each feature map."""
        return [len(size) * len(ratio) for size, ratio in zip(self.sizes, self.aspect_ratios, strict=False)]

    def grid_anchors(
        self, grid_sizes: Sequence[Sequence[int]], strides: Sequence[Sequence[int | fb.Tensor]]
    ) -> list[fb.Tensor]:
        """Return the boxes at all pixels of each feature map, ``(H * W * boxes, 4)``."""
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially have different sizes "
                "and aspect ratios. There needs to be a match between the number of feature maps passed and the number "
                f"of sizes / aspect ratios specified. Got {len(grid_sizes)} maps and {len(self.cell_anchors)} sizes"
            )
        anchors = []
        for (height, width), (down, across), cell in zip(grid_sizes, strides, self.cell_anchors, strict=True):
            y = fb.arange(height, dtype=fb.int32, device=cell.device)[:, None] * int(down)
            x = fb.arange(width, dtype=fb.int32, device=cell.device) * int(across)
            middles = fb.stack(fb.broadcast_tensors(x, y), -1).repeat(1, 1, 2)
            anchors.append((middles.view(-1, 1, 4) + cell).reshape(-1, 4))
        return anchors

    def forward(self, image_list: ImageList, feature_maps: Sequence[fb.Tensor]) -> list[fb.Tensor]:
        grids = [tuple(map.shape[-2:]) for map in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        cells = [cell.to(feature_maps[0]) for cell in self.cell_anchors]
        if any(cell is not old for cell, old in zip(cells, self.cell_anchors, strict=True)):
            self.cell_anchors = cells  # flambeau.compile can capture a call that does not change attributes
        anchors = fb.cat(self.grid_anchors(grids, [(height // grid[0], width // grid[1]) for grid in grids]))
        return [anchors for _ in image_list.image_sizes]


class DefaultBoxGenerator(nn.Module):
    """Generator of SSD's default boxes at each pixel of feature maps. Smaller maps have larger boxes.

    Args:
        aspect_ratios: for each feature map, ratios of width to height in addition to 1; their inverses are added.
        min_ratio, max_ratio: sides of the boxes of the first and of the last feature map, relative to the image.
            Ignored if ``scales`` is given.
        scales: sides of the boxes of each feature map, and one more number, relative to the image.
        steps: for each feature map, the distance of adjacent pixels of the map in the image. None computes it from the
            sizes of the image and the map.
        clip: if True, boxes are at most as large as the image.

    Shapes: an :class:`ImageList` and maps ``(N, C, H, W)``. The result is a list of N tensors
    ``(sum of H * W * boxes, 4)``.
    Raises: ValueError if the number of steps differs from the number of maps.
    Source: Liu et al. 2015, arXiv:1512.02325.

    >>> DefaultBoxGenerator([[2], [2, 3]]).num_anchors_per_location()
    [4, 6]
    """

    def __init__(
        self,
        aspect_ratios: Sequence[Sequence[float]],
        min_ratio: float = 0.15,
        max_ratio: float = 0.9,
        scales: Sequence[float] | None = None,
        steps: Sequence[int] | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError(
                f"aspect_ratios and steps should have the same length, got {len(aspect_ratios)} and {len(steps)}"
            )
        self.aspect_ratios = aspect_ratios
        self.steps = steps
        self.clip = clip
        last = len(aspect_ratios) - 1
        if scales is None and last == 0:
            scales = [min_ratio, max_ratio]
        elif scales is None:
            scales = [*(min_ratio + (max_ratio - min_ratio) * k / last for k in range(last + 1)), 1.0]
        self.scales = scales
        self._wh_pairs = [self._sides(k) for k in range(last + 1)]

    def _sides(self, k: int) -> fb.Tensor:
        """Return widths and heights ``(boxes, 2)`` for the k-th map: two squares, and two boxes per aspect ratio."""
        scale, between = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
        sides = [[scale, scale], [between, between]]
        for ratio in self.aspect_ratios[k]:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            sides += [[long, short], [short, long]]
        return fb.tensor(sides, device="cpu")

    def num_anchors_per_location(self) -> list[int]:
        """Return the number of boxes per pixel of each feature map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def forward(self, image_list: ImageList, feature_maps: Sequence[fb.Tensor]) -> list[fb.Tensor]:
        height, width = image_list.tensors.shape[-2:]
        size = fb.tensor([width, height], device=feature_maps[0].device)
        boxes = []
        for k, map in enumerate(feature_maps):
            middles = self._middles(k, (map.shape[-2], map.shape[-1]), (height, width)).to(map)
            sides = (self._wh_pairs[k].clamp(min=0, max=1) if self.clip else self._wh_pairs[k]).to(map)
            corners = [middles[:, None] - 0.5 * sides, middles[:, None] + 0.5 * sides]
            boxes.append(fb.cat([corner * size for corner in corners], -1).flatten(0, 1))
        together = fb.cat(boxes)
        return [together for _ in image_list.image_sizes]

    def _middles(self, k: int, grid: tuple[int, int], image: tuple[int, int]) -> fb.Tensor:
        """Return the centres (x, y) of the pixels of the k-th map, relative to the image's size: ``(H * W, 2)``."""
        step = None if self.steps is None else self.steps[k]
        counts = grid if step is None else (image[0] / step, image[1] / step)
        y, x = ((fb.arange(0, size) + 0.5) / count for size, count in zip(grid, counts, strict=True))
        return fb.stack(fb.broadcast_tensors(x, y[:, None]), -1).view(-1, 2)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(aspect_ratios={self.aspect_ratios}, clip={self.clip}, scales={self.scales}, "
            f"steps={self.steps})"
        )
