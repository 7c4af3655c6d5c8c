"""Inverses and solutions of linear equations of tensors."""

from collections.abc import Sequence

from flambeau._core import Tensor, linalg_inv as inv, linalg_solve as solve
from flambeau._operator import operator


def _count(sizes: Sequence[int]) -> int:
    total = 1
    for n in sizes:
        total *= n
    return total


@operator(out=True, autocast="float32")
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """Return the inverse of A, which is a linear map from its last dimensions to its first ``ind`` dimensions.

    Args:
        A: tensor. The product of its first ``ind`` sizes must equal the product of the others.
        ind: number of leading dimensions.
    Returns: a tensor of shape ``A.shape[ind:] + A.shape[:ind]``.
    Raises: LinAlgError if the map is singular; RuntimeError if ``ind`` or the sizes do not fit.
    Gradient: defined for A, to any order.

    >>> fb.linalg.tensorinv(fb.eye(6).reshape(2, 3, 6)).shape
    flambeau.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', got {ind}")
    rows, columns = A.shape[:ind], A.shape[ind:]
    if _count(rows) != _count(columns):
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{_count(columns)} != {_count(rows)}"
        )
    return inv(A.reshape(_count(rows), _count(columns))).reshape(*columns, *rows)


@operator(out=True, autocast="float32")
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """Return the solution X of ``tensordot(A, X, X.dim()) == B``.

    Args:
        A: tensor. The products of its first ``B.dim()`` sizes and of its other sizes must equal ``B.numel()``.
        B: tensor with the right-hand side.
        dims: dimensions of A that are moved to its end first.
    Returns: a tensor of shape ``A.shape[B.dim():]``.
    Raises: LinAlgError if the map is singular; RuntimeError if the sizes do not match.
    Gradient: defined for A and B, to any order.

    >>> fb.linalg.tensorsolve(fb.eye(6).reshape(2, 3, 6), fb.ones(2, 3)).shape
    flambeau.Size([6])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.dim() - len(dims), A.dim())))
    columns = A.shape[B.dim() :]
    if _count(columns) != _count(A.shape[: B.dim()]) or _count(columns) != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {_count(columns)} != {_count(A.shape[: B.dim()])}"
        )
    return solve(A.reshape(B.numel(), _count(columns)), B.flatten()).reshape(columns)
