"""Products of matrices, vectors and tensors, and equations in them."""

from collections.abc import Sequence

from flambeau._core import Tensor
from flambeau._core import linalg_inv as inv
from flambeau._core import linalg_solve as solve
from flambeau._operator import operator


def _count(sizes: Sequence[int]) -> int:
    total = 1
    for n in sizes:
        total *= n
    return total


@operator(out=True, autocast="float32")
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A for tensordot: of the linear map from its last dimensions to its first ``ind`` ones.

    Args:
        A: the product of the first ``ind`` sizes is that of the others.
    Returns: ``A.shape[ind:] + A.shape[:ind]``.
    Raises: LinAlgError if the map is singular.
    Gradient: A, any order.
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows, columns = A.shape[:ind], A.shape[ind:]
    if _count(rows) != _count(columns):
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{_count(columns)} != {_count(rows)}"
        )
    return inv(A.reshape(_count(rows), _count(columns))).reshape(*columns, *rows)


@operator(out=True, autocast="float32")
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The X with ``tensordot(A, X, X.dim()) == B``.

    Args:
        A: the first ``B.dim()`` dimensions have as many elements as B, and as many as the others.
        dims: dimensions of A to move to its end first.
    Raises: LinAlgError if the map is singular.
    Gradient: A and B, any order.
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
