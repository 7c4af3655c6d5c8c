"""Shapes brought together: broadcasting, grids, products of sets, positions in a shape."""

import itertools
from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau._operator import operator


def broadcast_shapes(*shapes: Sequence[int] | int) -> Size:
    """The shape that tensors of the given shapes broadcast to; RuntimeError where they do not.

    Not an operator: a starred parameter of those takes a single sequence apart, which here is one shape.

    >>> flambeau.broadcast_shapes((2, 1), (3,))
    flambeau.Size([2, 3])
    """
    lists = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    width = max((len(s) for s in lists), default=0)
    result = [1] * width
    for shape in lists:
        for i, size in enumerate(shape, width - len(shape)):
            if size < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({size}): ({size})")
            if size not in (1, result[i]) and result[i] != 1:
                raise RuntimeError(
                    f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(map(str, lists))}"
                )
            result[i] = size if result[i] == 1 else result[i]
    return Size(result)


@operator()
def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids of vectors; ``indexing='xy'`` exchanges the first two dimensions, as NumPy does.

    Raises RuntimeError for tensors of more than one dimension or of different dtypes, and for another ``indexing``.

    >>> flambeau.meshgrid(flambeau.tensor([1, 2]), flambeau.tensor([3, 4, 5]))[1]
    tensor([[3, 4, 5],
            [3, 4, 5]])
    """
    vectors = list(tensors)
    if not vectors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for v in vectors:
        if v.dim() > 1:
            raise RuntimeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got: {v.shape}")
        if v.dtype is not vectors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
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


@operator()
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to choose one element of each vector, ``(product of sizes, vectors)``; a single vector as it is.

    >>> flambeau.cartesian_prod(flambeau.tensor([1, 2]), flambeau.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in tensors:
        if t.dim() != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {t.shape}")
    if len(tensors) == 1:
        return tensors[0]
    return _core.stack([g.flatten() for g in meshgrid(*tensors)], 1)


@operator()
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The subsets of ``r`` elements of a vector in lexicographic order, ``(count, r)``. Gradient: added back.

    >>> flambeau.combinations(flambeau.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.dim() != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {input.shape}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    grids = [g.flatten() for g in meshgrid(*[_core.arange(input.numel())] * r)]
    kept = _core.ones(grids[0].shape, dtype=_core.bool)
    for a, b in itertools.pairwise(grids):
        kept = kept & (a <= b if with_replacement else a < b)
    return _core.stack([input.index_select(0, g.masked_select(kept)) for g in grids], 1)


@operator()
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in a tensor read as one row, as coordinates in ``shape``: one int64 tensor for each dimension.

    Raises ValueError for a position outside of the shape, a floating ``indices`` or a negative size.

    >>> flambeau.unravel_index(flambeau.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype is _core.bool:
        raise ValueError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if any(s < 0 for s in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    coordinates = []
    rest = indices.to(_core.int64)
    for size in reversed(sizes):
        coordinates.append(rest % size if size else rest)
        rest = rest // size if size else rest
    return tuple(reversed(coordinates))
