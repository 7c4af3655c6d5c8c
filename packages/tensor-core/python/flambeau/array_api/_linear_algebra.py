"""Matrix and vector products."""

from collections.abc import Sequence

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import normal, operands


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the matrix product over the last two axes. The other axes are broadcast.

    >>> fb.array_api.matmul(fb.tensor([[1, 2], [3, 4]]), fb.tensor([1, 1]))
    tensor([3, 7])
    """
    return flambeau.matmul(*operands("matmul", x1, x2))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """Swap the last two axes. Raise ValueError if the array has fewer than two.

    >>> fb.array_api.matrix_transpose(fb.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose() needs an array with at least 2 dimensions, got shape {list(x.shape)}")
    return x.mT


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """Sum the products over the last axes of x1 and the first axes of x2, or over pairs of axes.

    >>> fb.array_api.tensordot(fb.tensor([[1, 2], [3, 4]]), fb.tensor([1, 10]), axes=1)
    tensor([21, 43])
    """
    x1, x2 = operands("tensordot", x1, x2)
    return flambeau.tensordot(x1, x2, axes)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the sum of conj(x1) * x2 along an axis. Raise ValueError if the sizes along the axis differ.

    >>> fb.array_api.vecdot(fb.tensor([[1, 2], [3, 4]]), fb.tensor([1, 10]))
    tensor([21, 43])
    """
    x1, x2 = operands("vecdot", x1, x2)
    if axis >= 0:
        raise ValueError(f"vecdot(): axis must be negative, got {axis}")
    normal(axis, x1.ndim), normal(axis, x2.ndim)
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot(): sizes {x1.shape[axis]} and {x2.shape[axis]} along axis {axis} differ")
    rows = x1.movedim(axis, -1).unsqueeze(-2)
    return flambeau.matmul(rows.conj() if x1.dtype.is_complex else rows, x2.movedim(axis, -1).unsqueeze(-1))[..., 0, 0]
