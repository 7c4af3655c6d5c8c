"""Pooling of regions from the level of a feature pyramid that matches their size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import flambeau as fb
from flambeau import nn

from ._boxes import box_area
from ._regions import numbered, pair
from ._roi_align import roi_align


class LevelMapper:
    """Mapping of boxes to levels of a feature pyramid.

    The level is ``floor(canonical_level + log2(sqrt(area) / canonical_scale))``, limited to ``[k_min, k_max]``. The
    result is the level minus ``k_min``.

    Args:
        k_min, k_max: lowest and highest level. The sides of the map of level k are ``2**-k`` of the image's sides.
        canonical_scale: side of the boxes that belong to ``canonical_level``.
        canonical_level: level of boxes with the side ``canonical_scale``.
        eps: added before rounding down.

    >>> LevelMapper(2, 5)([fb.tensor([[0.0, 0.0, 60.0, 60.0], [0.0, 0.0, 300.0, 300.0]])])
    tensor([0, 2])
    """

    def __init__(
        self, k_min: int, k_max: int, canonical_scale: int = 224, canonical_level: int = 4, eps: float = 1e-6
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.s0 = canonical_scale
        self.lvl0 = canonical_level
        self.eps = eps

    def __call__(self, boxlists: Sequence[fb.Tensor]) -> fb.Tensor:
        sides = fb.sqrt(fb.cat([box_area(boxes) for boxes in boxlists]))
        levels = fb.floor(self.lvl0 + fb.log2(sides / self.s0) + self.eps)
        return levels.clamp(self.k_min, self.k_max).to(fb.int64) - self.k_min


class MultiScaleRoIAlign(nn.Module):
    """Layer that applies :func:`~flambeau.vision.ops.roi_align` to each box on one of several feature maps.

    Larger boxes read smaller maps.

    Args:
        featmap_names: names of the maps to read, from the largest map to the smallest.
        output_size: height and width of the results, or one number for both.
        sampling_ratio: as in ``roi_align``.
        canonical_scale, canonical_level: as in :class:`LevelMapper`.

    Shapes: a dictionary of maps ``(N, C, H, W)``, N tensors ``(L, 4)`` of boxes in image coordinates, and N pairs
    ``(height, width)`` of the images. The result is ``(sum of L, C, *output_size)``. The first call infers the scales
    of the maps from the sizes of the images.
    Raises: ValueError without images.
    Source: Lin et al. 2016, arXiv:1612.03144, equation 1.

    >>> pool = MultiScaleRoIAlign(["0", "1"], 3, 2)
    >>> maps = {"0": fb.zeros(1, 5, 64, 64), "1": fb.zeros(1, 5, 32, 32)}
    >>> pool(maps, [fb.tensor([[0.0, 0.0, 100.0, 50.0]])], [(256, 256)]).shape
    flambeau.Size([1, 5, 3, 3])
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = pair(output_size)
        self.scales: list[float] | None = None
        self.map_levels: LevelMapper | None = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self, x: Mapping[str, fb.Tensor], boxes: Sequence[fb.Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> fb.Tensor:
        maps = [value for name, value in x.items() if name in self.featmap_names]
        if self.scales is None or self.map_levels is None:
            self.scales, self.map_levels = self._fitted(maps, image_shapes)
        rois = numbered(boxes)
        if len(maps) == 1:
            return roi_align(maps[0], rois, self.output_size, self.scales[0], self.sampling_ratio)
        levels = self.map_levels(boxes)
        # Write each level's results to rows of one tensor, so that a tracer knows that there is one row per region.
        pooled = maps[0].new_zeros((rois.shape[0], maps[0].shape[1], *self.output_size))
        for level, (features, scale) in enumerate(zip(maps, self.scales, strict=True)):
            indices = fb.where(levels == level)[0]
            part = roi_align(features, rois[indices], self.output_size, scale, self.sampling_ratio)
            pooled.index_copy_(0, indices, part.to(pooled.dtype))
        return pooled

    def _fitted(
        self, maps: Sequence[fb.Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> tuple[list[float], LevelMapper]:
        """Return the scales of the maps, which are powers of 2, and the level mapper."""
        if not image_shapes:
            raise ValueError("images list should not be empty")
        height = max(shape[0] for shape in image_shapes)
        levels = [-round(math.log2(each.shape[-2] / height)) for each in maps]
        mapper = LevelMapper(levels[0], levels[-1], self.canonical_scale, self.canonical_level)
        return [2.0**-level for level in levels], mapper

    def __repr__(self) -> str:
        return (
            f"MultiScaleRoIAlign(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
