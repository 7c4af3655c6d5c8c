"""Products of matrices, vectors and tensors, and equations in them."""

from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau.linalg._lu import inv, solve


@operator(out=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, as flambeau.matmul."""
    return _core.matmul(input, other)


@operator()
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of the matrices in the last two dimensions, as flambeau.diagonal: a view."""
    return _core.diagonal(A, offset, dim1, dim2)


@operator(out=True)
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross products of vectors of three elements along a dimension; the others broadcast.

    Gradient: both, any order.

    >>> flambeau.linalg.cross(flambeau.tensor([1.0, 0.0, 0.0]), flambeau.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return _core._cross(input, other, dim)


def _order(sizes: list[int]) -> list[list[int]]:
    """Where to cut each range of factors so that the multiplications are fewest: Cormen et al., section 15.2."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            cost[i][j], cut[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return cut


@operator(out=True)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two matrices or more, multiplied in the order that takes the fewest multiplications.

    Args:
        tensors: matrices; the first and the last may be vectors, a row and a column.
    Gradient: every one, any order.
    """
    factors = list(tensors)
    if len(factors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(factors)}")
    row, column = factors[0].dim() == 1, factors[-1].dim() == 1
    if row:
        factors[0] = factors[0].unsqueeze(0)
    if column:
        factors[-1] = factors[-1].unsqueeze(1)
    sizes = _matching_sizes(factors)
    if len(factors) == 2:
        result = factors[0] @ factors[1]
    elif len(factors) == 3:
        a, b, c = factors
        p, q, r, s = sizes
        result = (a @ b) @ c if p * r * (q + s) < q * s * (p + r) else a @ (b @ c)
    else:
        result = _multiplied(factors, _order(sizes), 0, len(factors) - 1)
    if row:
        result = result.squeeze(0)
    return result.squeeze(-1) if column else result


def _matching_sizes(factors: list[Tensor]) -> list[int]:
    shapes = [t.shape for t in factors]
    for position, shape in enumerate(shapes):
        if len(shape) != 2:
            ends = "1D or 2D" if position in (0, len(shapes) - 1) else "2D"
            raise RuntimeError(f"multi_dot(): tensor {position} must be {ends} but got {len(shape)}D")
        if position and shape[0] != shapes[position - 1][1]:
            raise RuntimeError(
                f"multi_dot(): tensors {position - 1} and {position} with shapes {list(shapes[position - 1])} and "
                f"{list(shape)} cannot be multiplied"
            )
    return [shapes[0][0], *[shape[1] for shape in shapes]]


def _multiplied(factors: list[Tensor], cut: list[list[int]], i: int, j: int) -> Tensor:
    if i == j:
        return factors[i]
    k = cut[i][j]
    return _multiplied(factors, cut, i, k) @ _multiplied(factors, cut, k + 1, j)


@operator()
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers ``x^0 ... x^(N - 1)`` of every element, along a last dimension: Vandermonde's matrix.

    Args:
        x: ``(*, n)``; a 0-d tensor counts as ``(1,)``.
        N: how many; n if it is None.
    Gradient: x.
    """
    if N is None:
        N = x.size(-1) if x.dim() else 1
    if N <= 1:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, got {N}")
    if x.dtype is _core.bool:
        raise RuntimeError("linalg.vander supports floating point, complex, and integer tensors, but got bool")
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        x = x.to(_core.int64)
    x = x.reshape(1) if not x.dim() else x
    x = x.unsqueeze(-1)
    return _core.cat([_core.ones_like(x), x.expand(*x.shape[:-1], N - 1).cumprod(-1)], -1)


def _count(sizes: Sequence[int]) -> int:
    total = 1
    for n in sizes:
        total *= n
    return total


@operator(out=True)
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


@operator(out=True)
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
