"""Operators on shapes: broadcasting, grids, cutting and joining."""

import itertools
from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau._operator import operator


@operator()
def broadcast_shapes(*shapes: Sequence[int] | int) -> Size:
    """The shape that tensors of the given shapes broadcast to; RuntimeError where they do not."""
    probe = _core.empty(())
    lists = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    width = max((len(s) for s in lists), default=0)
    result = [1] * width
    for shape in lists:
        for i, size in enumerate(shape, width - len(shape)):
            if size not in (1, result[i]) and result[i] != 1:
                raise RuntimeError(
                    f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(map(str, lists))}"
                )
            result[i] = size if result[i] == 1 else result[i]
    return probe.expand(result).shape


@operator()
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape, as views."""
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return tuple(t.expand(shape) for t in tensors)


@operator()
def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids of vectors; ``indexing='xy'`` exchanges the first two dimensions, as NumPy does."""
    vectors = list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    swap = indexing == "xy" and len(vectors) > 1
    if swap:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = [v.numel() for v in vectors]
    grids = [v.reshape([-1 if i == k else 1 for i in range(len(vectors))]).expand(shape) for k, v in enumerate(vectors)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@operator(method=True)
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of nearly equal size, or cut at the given indices; views."""
    total = input.size(dim)
    if isinstance(indices_or_sections, int):
        if indices_or_sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {indices_or_sections}")
        small, larger = divmod(total, indices_or_sections)
        sizes = [small + 1] * larger + [small] * (indices_or_sections - larger)
        return tuple(input.split(sizes, dim))
    cuts = [0, *(min(max(i if i >= 0 else i + total, 0), total) for i in indices_or_sections), total]
    return tuple(input.narrow(dim, a, max(b - a, 0)) for a, b in itertools.pairwise(cuts))


@operator(out=True, aliases=("row_stack",))
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Rows stacked: vectors count as one row each."""
    return _core.cat([t.reshape(1, -1) if t.dim() < 2 else t for t in tensors], 0)


@operator()
def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal of one, zeros elsewhere."""
    blocks = [t.reshape(1, -1) if t.dim() < 2 else t for t in tensors]
    width = sum(b.size(1) for b in blocks)
    rows, left = [], 0
    for b in blocks:
        right = width - left - b.size(1)
        rows.append(_core.cat([b.new_zeros(b.size(0), left), b, b.new_zeros(b.size(0), right)], 1))
        left += b.size(1)
    return _core.cat(rows, 0)
