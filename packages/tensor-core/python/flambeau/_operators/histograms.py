"""Histograms with given edges, of one or several dimensions."""

from collections.abc import Sequence
from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True, out=True)
def histogram(
    input: Tensor,
    bins: int | Tensor,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """How many elements are in each bin, as (hist, bin_edges); the last bin includes its right edge.

    Args:
        input: float32 or float64.
        bins: how many bins of equal width, or their edges, ascending.
        range: where the first bin begins and the last ends, else the range of the elements.
        weight: how much each element counts, of the input's shape and dtype.
        density: divide by the total and the widths, so that the integral is 1.
    Raises: RuntimeError for what does not fit together. Not differentiable.

    >>> import flambeau
    >>> flambeau.histogram(flambeau.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    limits = None if range is None else [float(limit) for limit in range]
    edges = _edges("histogram", input.reshape(-1, 1), [bins], limits)
    counts = _count("histogram", input.reshape(-1, 1), edges, weight, density)
    return _core._return_types["histogram"]((counts, edges[0]))


@operator()
def histogramdd(
    input: Tensor,
    bins: int | Sequence[int] | Sequence[Tensor],
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """How many points are in each cell of a grid, as (hist, bin_edges).

    Args:
        input: (..., n), the coordinates of points in n dimensions, float32 or float64.
        bins: for each dimension (or all) how many bins, or their edges.
        range: first and last edge of each dimension in turn, else the range of the points.
        weight, density: as in ``histogram``.
    Returns: the counts, one dimension for each coordinate, and a tuple of edges. Not differentiable.
    """
    if input.dim() < 2:
        raise RuntimeError(f"histogramdd(): input tensor should have at least 2 dimensions, but got {input.dim()}")
    n = input.size(-1)
    each = list(bins) if isinstance(bins, (list, tuple)) else [bins] * n
    if len(each) != n:
        raise RuntimeError(
            f"histogramdd(): expected {n} sequences of bins for a {n}-dimensional histogram but got {len(each)}"
        )
    points = input.reshape(-1, n)
    edges = _edges("histogramdd", points, each, None if range is None else [float(limit) for limit in range])
    counts = _count("histogramdd", points, edges, weight, density)
    return _core._return_types["histogramdd"]((counts, tuple(edges)))


def _edges(name: str, points: Tensor, bins: Sequence[Any], limits: list[float] | None) -> list[Tensor]:
    if points.dtype not in (_core.float32, _core.float64):
        raise NotImplementedError(f'"{name}" not implemented for {points.dtype}')
    edges = []
    for i, each in enumerate(bins):
        if not isinstance(each, Tensor):
            edges.append(_equal_bins(name, points.select(1, i), int(each), limits and limits[2 * i : 2 * i + 2], i))
            continue
        if each.dtype is not points.dtype:
            raise RuntimeError(
                f"{name}(): input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{points.dtype} and bins for dimension {i} with dtype {each.dtype}"
            )
        if each.dim() != 1 or each.numel() == 0:
            raise RuntimeError(f"{name}(): bins for dimension {i} should be a vector of edges, got {list(each.shape)}")
        edges.append(each)
    return edges


def _equal_bins(name: str, values: Tensor, count: int, limits: list[float] | None, dimension: int) -> Tensor:
    if count <= 0:
        raise RuntimeError(f"{name}(): bins must be > 0, but got {count} for dimension {dimension}")
    if limits:
        low, high = limits
        if low > high:
            raise RuntimeError(f"{name}(): min should not exceed max, but got min {low} max {high}")
    else:
        low, high = (values.min().item(), values.max().item()) if values.numel() else (0.0, 1.0)
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"{name}(): dimension {dimension}'s range [{low}, {high}] is not finite")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _core.linspace(low, high, count + 1, dtype=values.dtype)


def _count(name: str, points: Tensor, edges: list[Tensor], weight: Tensor | None, density: bool) -> Tensor:
    shape = [each.numel() - 1 for each in edges]
    inside = _core.ones(points.size(0), dtype=_core.bool)
    place = _core.zeros(points.size(0), dtype=_core.int64)
    for i, each in enumerate(edges):
        values = points.select(1, i).contiguous()
        inside = inside & (values >= each[0]) & (values <= each[-1])
        bin = (_core.searchsorted(each, values, right=True) - 1).clamp(0, max(shape[i] - 1, 0))
        place = place * shape[i] + bin
    total = 1
    for size in shape:
        total *= size
    if weight is not None:
        if weight.numel() != points.size(0):
            raise RuntimeError(
                f"{name}(): if weight tensor is provided it should have the same shape as the input tensor excluding "
                f"its innermost dimension, but got weight of shape {list(weight.shape)}"
            )
        if weight.dtype is not points.dtype:
            raise RuntimeError(
                f"{name}(): if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
                f"got {points.dtype} and {weight.dtype}"
            )
        weight = weight.reshape(-1)[inside]
    hist = _core.bincount(place[inside], weight, minlength=total)[:total].to(points.dtype).reshape(shape)
    if density:
        hist = hist / hist.sum()
        for i, each in enumerate(edges):
            hist = hist / each.diff().reshape([-1 if i == k else 1 for k, _ in enumerate(edges)])
    return hist
