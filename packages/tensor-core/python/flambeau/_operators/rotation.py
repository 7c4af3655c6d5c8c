"""Rotations by quarter turns."""

from collections.abc import Sequence

from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True)
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """``input`` rotated by ``k`` quarter turns from the first towards the second of ``dims``; a copy. Gradient: input.

    Raises RuntimeError unless there are two different dimensions.

    >>> flambeau.rot90(flambeau.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.dim() < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.dim()}")
    first, second = dims
    if (first - second) % input.dim() == 0:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {first} and dim1 = {second}")
    for d in dims:
        if not -input.dim() <= d < input.dim():
            raise RuntimeError(f"Rotation dim{dims.index(d)} out of range, dim{dims.index(d)} = {d}")
    k %= 4
    if k == 2:
        return input.flip(first, second)
    if k == 0:
        return input.clone()
    return input.flip(second if k == 1 else first).transpose(first, second)
