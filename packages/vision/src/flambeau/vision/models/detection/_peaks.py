"""Operator that finds the maxima of resized heatmaps. It uses a loop over boxes, an ONNX loop, or matrix products."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.library import extension_op

_RADIUS = 2  # number of elements on each side that bicubic interpolation reads


@extension_op("flambeau::bicubic_peaks")
def bicubic_peaks(maps: fb.Tensor, sizes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Resize each map with bicubic interpolation, and return its maximum, and the column and row of the maximum.

    Args:
        maps: ``(L, K, M, M)``, K maps for each of L boxes.
        sizes: for each box, the width and height to which its maps are resized: ``(L, 2)``, int64.
    Returns: the maxima ``(L, K)``, and their columns and rows ``(L, K, 2)``, int64.
    """
    scores, cells = maps.new_zeros(maps.shape[:2]), sizes.new_zeros((*maps.shape[:2], 2))
    for index, (width, height) in enumerate(sizes.tolist()):
        image_maps = maps[index][:, None]
        resized = nn.functional.interpolate(image_maps, size=(height, width), mode="bicubic", align_corners=False)
        best, flat_index = resized.flatten(1).max(1)
        scores[index] = best
        cells[index] = fb.stack([flat_index % width, flat_index // width], 1)
    return scores, cells


@bicubic_peaks.register_fake
def _shapes(maps: fb.Tensor, sizes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    return maps.new_empty(maps.shape[:2]), sizes.new_empty((*maps.shape[:2], 2))


@bicubic_peaks.register_decomposition(in_programs=True)
def _by_products(maps: fb.Tensor, sizes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Compute the result for all boxes at once: each map is resized to the largest box.

    Rows and columns beyond the size of a box repeat the last row and column, so that the first maximum is inside the
    box.
    """
    bounds = fb.cat([sizes, sizes.new_ones((1, 2))]).amax(0)
    width, height = bounds[0].item(), bounds[1].item()
    across = _cubic_weights(sizes[:, 0], width, maps.shape[3]).to(maps.dtype).transpose(1, 2)
    down = _cubic_weights(sizes[:, 1], height, maps.shape[2]).to(maps.dtype)
    rows = down[:, None] @ nn.functional.pad(maps, (_RADIUS,) * 4, mode="replicate")
    peaks = [(rows[:, point] @ across).flatten(1).max(1) for point in range(maps.shape[1])]
    flat_indices = fb.stack([flat_index for _, flat_index in peaks], 1)
    return fb.stack([best for best, _ in peaks], 1), fb.stack([flat_indices % width, flat_indices // width], 2)


def _cubic_weights(lengths: fb.Tensor, count: int, size: int) -> fb.Tensor:
    """Return the weight of each padded map element in each pixel: ``(L, count, size + 2 * _RADIUS)``.

    The weight at distance d is ``0.75 u^2 (u - 1) - 2 v^3`` with ``u = max(2 - d, 0)`` and ``v = max(1 - d, 0)``. This
    is the kernel of Keys 1981 with the parameter -0.75.
    """
    pixels = fb.arange(count, device=lengths.device).minimum(lengths[:, None] - 1)
    sources = (pixels + 0.5) * (size / lengths.to(fb.float64))[:, None] - 0.5
    elements = fb.arange(size + 2 * _RADIUS, dtype=fb.float64, device=lengths.device) - _RADIUS
    distances = (sources[:, :, None] - elements).abs()
    u, v = (2 - distances).clamp(min=0), (1 - distances).clamp(min=0)
    return 0.75 * u * u * (u - 1) - 2 * v**3


@bicubic_peaks.register_onnx
def _by_loop(g: Any, maps: Any, sizes: Any) -> Any:
    """Add an ONNX Loop over boxes with matrix products. The bicubic Resize of ONNX Runtime is much slower."""
    points, height, width = maps.shape_or_none[1:]
    reach = g.constant([0, 0, _RADIUS, _RADIUS] * 2)
    padded = g.op("Pad", g.cast(maps, fb.float32), reach, mode="edge")

    def body(number: Any) -> Any:
        own = g.op("Gather", sizes, number, axis=0)
        columns, rows = (g.op("Gather", own, g.constant(side), axis=0) for side in range(2))
        down, across = _cubic_nodes(g, rows, height), _cubic_nodes(g, columns, width)
        of_box = g.op("MatMul", down, g.op("Gather", padded, number, axis=0))
        resized = g.op("MatMul", of_box, g.op("Transpose", across, perm=[1, 0]))
        flat = g.op("Reshape", resized, g.constant([points, -1]))
        flat_index = g.op("ArgMax", flat, axis=1, keepdims=1)
        cell = g.op("Concat", g.op("Mod", flat_index, columns), g.op("Div", flat_index, columns), axis=1)
        score = g.op("Reshape", g.op("GatherElements", flat, flat_index, axis=1), g.constant([points]))
        return [(score, fb.float32, [points]), (cell, fb.int64, [points, 2])]

    scores, cells = g.loop(g.op("Shape", sizes, start=0, end=1), body)
    return [g.cast(scores, maps.dtype, fb.float32), cells]


def _cubic_nodes(g: Any, length: Any, size: int) -> Any:
    """Add the ONNX nodes that compute :func:`_cubic_weights` for one box."""
    wide = g.cast(length, fb.float64, fb.int64)
    half, one, zero = (g.constant(number, dtype=fb.float64) for number in (0.5, 1.0, 0.0))
    pixels = g.op("Add", g.op("Range", zero, wide, one), half)
    step = g.op("Div", g.constant(float(size), dtype=fb.float64), wide)
    sources = g.op("Sub", g.op("Mul", pixels, step), half)
    elements = g.constant(fb.arange(size + 2 * _RADIUS, dtype=fb.float64) - _RADIUS)
    distances = g.op("Abs", g.op("Sub", g.op("Unsqueeze", sources, g.constant([1])), elements))
    u, v = (g.op("Relu", g.op("Sub", g.constant(reach, dtype=fb.float64), distances)) for reach in (2.0, 1.0))
    outer = g.op("Mul", g.op("Mul", g.op("Mul", u, u), g.op("Sub", u, one)), g.constant(0.75, dtype=fb.float64))
    inner = g.op("Mul", g.op("Mul", g.op("Mul", v, v), v), g.constant(2.0, dtype=fb.float64))
    return g.cast(g.op("Sub", outer, inner), fb.float32, fb.float64)
