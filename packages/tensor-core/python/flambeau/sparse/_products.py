"""Matrix products with at least one sparse matrix.

If the rows are sorted, the product with a dense matrix uses the kernel of ``embedding_bag``, with the values as
weights. The gradient of the dense matrix is a product with the transposed pattern, whose sort order is computed once
per pattern. The gradient of the values computes dot products of rows at the indices. Neither gradient creates a dense
matrix that has the size of the sparse matrix.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flambeau
from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau._operator import recorded
from flambeau._tensor_types import name_of
from flambeau.sparse._compressed import CompressedTensor, CscTensor, CsrTensor, offsets_of
from flambeau.sparse._compression import compressed
from flambeau.sparse._conversion import elements_of_rows, to_compressed, to_coo, to_layout_of
from flambeau.sparse._coo import CooTensor, flat_keys, from_cache
from flambeau.sparse._tensor import SparseTensor, implements, written

# Number of elements per block in the gradient of the values, so that a block fits in the cache.
_BLOCK = 1 << 17


class CompressedRows(NamedTuple):
    """Elements sorted by row: the order of the values (None: unchanged), the row offsets and the columns."""

    order: Tensor | None
    offsets: Tensor
    columns: Tensor


class Pattern:
    """Sparsity pattern of a matrix, with cached data for products."""

    def __init__(self, row: Tensor, column: Tensor, size: tuple[int, int], rows: CompressedRows | None = None) -> None:
        self.row, self.column, self.size = row, column, size
        self._rows = rows
        self._transposed: Pattern | None = None

    @property
    def rows(self) -> CompressedRows:
        """Elements sorted by row."""
        if self._rows is None:
            row, order = flambeau.sort(self.row, stable=True)
            self._rows = CompressedRows(order, offsets_of(row, self.size[0]), self.column.index_select(0, order))
        return self._rows

    @property
    def transposed(self) -> Pattern:
        """Pattern of the transposed matrix."""
        if self._transposed is None:
            self._transposed = Pattern(self.column, self.row, (self.size[1], self.size[0]))
            self._transposed._transposed = self
        return self._transposed


def pattern_of(matrix: SparseTensor) -> Pattern:
    """Return the pattern of a matrix, or of a batch of matrices as the blocks of one block-diagonal matrix."""
    pattern: Pattern = from_cache(matrix, "pattern", _find_pattern)
    return pattern


def _find_pattern(matrix: Any) -> Pattern:
    """Return the pattern of a matrix. Matrices that are sorted by row or by column need no sort here."""
    indices = matrix._element_indices()
    *batch, height, width = matrix._size[: indices.shape[0]]
    row, column = indices[-2].contiguous(), indices[-1].contiguous()
    if batch:
        number, count = flat_keys(indices[:-2], batch), Size(batch).numel()
        row, column = number * height + row, number * width + column
        height, width = count * height, count * width

    def sorted_by(line: Tensor, count: int, other: Tensor) -> CompressedRows:
        whole = isinstance(matrix, CompressedTensor) and not batch
        return CompressedRows(None, matrix._ptr.long() if whole else offsets_of(line, count), other)

    if isinstance(matrix, CscTensor):
        return Pattern(column, row, (width, height), sorted_by(column, width, row)).transposed
    by_row = isinstance(matrix, CsrTensor) or (isinstance(matrix, CooTensor) and matrix._coal)
    return Pattern(row, column, (height, width), sorted_by(row, height, column) if by_row else None)


def multiplied(pattern: Pattern, values: Tensor, dense: Tensor) -> Tensor:
    """Multiply a sparse matrix by a dense ``(columns, k)`` matrix. Gradient: defined for both, to any order."""
    if values.dtype not in (flambeau.float32, flambeau.float64) or values.numel() == 0 or dense.numel() == 0:
        terms = dense.index_select(0, pattern.column) * values[:, None]
        empty = flambeau.zeros((pattern.size[0], dense.shape[1]), dtype=terms.dtype, device=terms.device)
        return empty.index_add(0, pattern.row, terms)
    rows = pattern.rows
    weights, table = values.detach(), dense.detach()
    if rows.order is not None:
        weights = weights.index_select(0, rows.order)
    result = _core._embedding_bag(table, rows.columns, rows.offsets, True, 0, weights, -1, False)
    if not (values.requires_grad or dense.requires_grad):
        return result

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Any, ...]:
        (grad,), (weights, table) = grads, saved
        if grad is None:
            return None, None
        return (
            sampled(pattern, grad, table) if needs[0] else None,
            multiplied(pattern.transposed, weights, grad) if needs[1] else None,
        )

    return recorded("SparseAddmm", result, inputs=(values, dense), saved=(values, dense), derivative=derivative)


def sampled(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """Return the dot products of rows of ``left`` and ``right`` at the indices of the pattern, shape ``(nnz,)``."""
    step = max(1, _BLOCK // max(1, left.shape[1]))
    parts = [
        (left.index_select(0, row) * right.index_select(0, column)).sum(1)
        for row, column in zip(pattern.row.split(step), pattern.column.split(step), strict=True)
    ]
    return parts[0] if len(parts) == 1 else flambeau.cat(parts)


def _check(name: str, left: Any, right: Any) -> None:
    if left.dtype is not right.dtype:
        first, second = (name_of(each).rpartition(".")[2].removesuffix("Tensor") for each in (left, right))
        raise RuntimeError(f"{name}: mat1 dtype {first} does not match mat2 dtype {second}; expected the same dtype")
    if left.shape[-1] != right.shape[-2 if right.ndim > 1 else 0]:
        raise RuntimeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({_shape_text(left)} and {_shape_text(right)})"
        )
    for tensor in (left, right):
        if isinstance(tensor, SparseTensor) and tensor.dense_dim():
            raise RuntimeError(f"{name}: a sparse matrix must have no dense dimensions, got {tensor.dense_dim()}")


def _shape_text(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape))


@implements("mm", "spmm", "dsmm")
def mm(input: Any, mat2: Any) -> Tensor:
    """Return the product of two matrices: sparse if both are sparse, otherwise strided.

    Gradient: defined for both operands.
    """
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm: expected two matrices, got shapes {list(input.shape)} and {list(mat2.shape)}")
    _check("mm", input, mat2)
    if not isinstance(input, SparseTensor):
        return multiplied(pattern_of(mat2).transposed, mat2._elements(), input.t()).t()
    if not isinstance(mat2, SparseTensor):
        return multiplied(pattern_of(input), input._elements(), mat2)
    return _sparse_product(input, mat2)


_REDUCTIONS = ("sum", "mean", "amax", "amin")
_ALIASES = {"max": "amax", "min": "amin"}


def mm_reduced(mat1: Any, mat2: Any, reduce: str) -> Tensor:
    """Multiply a CSR matrix by a strided matrix, with the reduction ``reduce`` in place of the sum over products.

    ``reduce`` is sum, mean, amax (or max) or amin (or min). Gradient: defined for both matrices.
    """
    reduce = _ALIASES.get(reduce, reduce)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"sparse.mm: reduce must be one of {', '.join(_REDUCTIONS)}, got {reduce!r}")
    if not isinstance(mat1, CsrTensor) or isinstance(mat2, SparseTensor):
        raise RuntimeError(
            f"sparse.mm: reduce= requires a matrix of the layout {_core.sparse_csr} and a strided one, got "
            f"{mat1.layout} and {mat2.layout}; .to_sparse_csr() and .to_dense() convert them"
        )
    if mat1.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"sparse.mm: expected two matrices, got shapes {list(mat1.shape)} and {list(mat2.shape)}")
    _check("sparse.mm", mat1, mat2)
    if not mat1.is_floating_point():
        raise NotImplementedError(f"sparse.mm: reduce= requires a floating dtype, got {mat1.dtype}")
    pattern = pattern_of(mat1)
    if reduce in ("amax", "amin"):
        return _max_or_min_products(pattern, mat1._val, mat2, reduce)
    total = multiplied(pattern, mat1._val, mat2)
    return total if reduce == "sum" else total / mat1._ptr.diff().clamp(min=1).to(total.dtype)[:, None]


def _max_or_min_products(pattern: Pattern, values: Tensor, dense: Tensor, reduce: str) -> Tensor:
    """Return the largest or smallest product of each row, 0 for rows without elements.

    If several products equal the result, the first one receives the gradient.
    """
    terms = dense.index_select(0, pattern.column) * values[:, None]
    products = terms.detach()
    blank = flambeau.zeros((pattern.size[0], dense.shape[1]), dtype=terms.dtype, device=terms.device)
    result = blank.index_reduce(0, pattern.row, products, reduce, include_self=False)
    if not terms.requires_grad:
        return result
    count = products.shape[0]
    expected = result.index_select(0, pattern.row)
    is_extreme = (products == expected) | (products.isnan() & expected.isnan())
    numbers = flambeau.arange(count, device=products.device)[:, None]
    first = flambeau.full(blank.shape, count, device=products.device)  # index of the first product that is the extreme
    first = first.index_reduce(0, pattern.row, numbers.where(is_extreme, count), "amin")
    return flambeau.cat((terms, blank[:1])).gather(0, first)  # rows without elements read the added zeros


def _sparse_product(left: SparseTensor, right: SparseTensor) -> SparseTensor:
    """Multiply two sparse matrices: multiply each element of ``left`` by a row of ``right``, then add duplicates."""
    first = to_coo(left)
    second: Any = to_compressed(right, _core.sparse_csr)
    row, column = first._ind[0], first._ind[1]
    source, target = elements_of_rows(second._ptr, column)
    indices = flambeau.stack((row.index_select(0, source), second._idx.index_select(0, target)))
    values = first._val.index_select(0, source) * second._val.index_select(0, target)
    product = CooTensor.of(indices, values, (left._size[0], right._size[1]), False).coalesce()
    if not (isinstance(left, CompressedTensor) and isinstance(right, CompressedTensor)):
        return product
    return compressed(CsrTensor, product, product._size, left._ptr.dtype)


@implements("mv")
def mv(input: Any, vec: Any) -> Tensor:
    """Return the product of a sparse matrix and a vector. Gradient: defined for both operands."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(
            f"mv: two tensor dim should be 2 and 1, but got shapes {list(input.shape)} and {list(vec.shape)}"
        )
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"mv: expected self.size(-1) == vec.size(-1), but got shapes {list(input.shape)} and {list(vec.shape)}"
        )
    if isinstance(vec, SparseTensor):
        vec = vec.to_dense()
    _check("mv", input, vec)
    return multiplied(pattern_of(input), input._elements(), vec[:, None])[:, 0]


@implements("bmm")
def bmm(input: Any, mat2: Any) -> Tensor:
    """Return the products of two batches of matrices, one of which is sparse. Gradient: defined for both operands."""
    if input.ndim != 3 or mat2.ndim != 3 or input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: expected two 3D tensors with the same batch size, got {list(input.shape)} and {list(mat2.shape)}"
        )
    _check("bmm", input, mat2)
    if isinstance(input, SparseTensor) and isinstance(mat2, SparseTensor):
        raise NotImplementedError("bmm: at least one of the batches must be strided; convert one with .to_dense()")
    if not isinstance(input, SparseTensor):
        from flambeau.sparse._shapes import transpose

        return bmm(transpose(mat2, 1, 2), input.transpose(1, 2)).transpose(1, 2)
    flat = multiplied(pattern_of(input), input._elements(), mat2.flatten(0, 1))
    return flat.reshape(input.shape[0], input.shape[1], mat2.shape[2])


@implements("matmul", "__matmul__", "__rmatmul__")
def matmul(input: Any, other: Any) -> Tensor:
    """Call `mm`, `mv` or `bmm`, depending on the numbers of dimensions."""
    if input.ndim == 2 and other.ndim == 2:
        return mm(input, other)
    if input.ndim == 2 and other.ndim == 1:
        return mv(input, other)
    if input.ndim == 1 and other.ndim == 2:
        from flambeau.sparse._shapes import transpose

        return mv(transpose(other, 0, 1), input)
    if input.ndim == 3 and other.ndim == 3:
        return bmm(input, other)
    if isinstance(other, SparseTensor) and other.ndim == 2 and not isinstance(input, SparseTensor) and input.ndim > 2:
        return mm(input.reshape(-1, input.shape[-1]), other).reshape(*input.shape[:-1], other.shape[1])
    raise NotImplementedError(
        f"matmul: not implemented for the shapes {list(input.shape)} and {list(other.shape)} if one tensor is sparse"
    )


@implements("linear")
def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Return ``input @ weight.T + bias`` for a sparse input or weight."""
    from flambeau.sparse._shapes import transpose

    result = matmul(input, transpose(weight, 0, 1) if isinstance(weight, SparseTensor) else weight.t())
    return result if bias is None else result + bias


@implements("addmm")
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)``. Gradient: defined for all three operands."""
    product = mm(mat1, mat2)
    return _with_input(input, product, beta, alpha)


@implements("addmv")
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat @ vec)``."""
    return _with_input(input, mv(mat, vec), beta, alpha)


def _with_input(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        product = _in_layout_of(input, product)
        if isinstance(input, SparseTensor) or not input.requires_grad:
            return product
        everywhere = flambeau.ones((), dtype=flambeau.bool, device=input.device)
        return input.masked_fill(everywhere, 0) + product  # the gradient is 0, even if an element is infinite
    return (input if beta == 1 else input * beta) + product


def _in_layout_of(input: Tensor, product: Tensor) -> Tensor:
    """Convert a product to the layout of ``input``, in which their sum is computed."""
    if not isinstance(product, SparseTensor) or product.layout is input.layout:
        return product
    return to_layout_of(to_coo(product), input) if isinstance(input, SparseTensor) else product.to_dense()


@implements("hspmm", "hsmm")
def hspmm(mat1: Any, mat2: Tensor) -> CooTensor:
    """Return the product of a sparse and a dense matrix as a hybrid tensor that stores the nonzero rows.

    >>> s = fb.sparse_coo_tensor([[2], [0]], [5.0], (3, 2))
    >>> product = fb.hspmm(s, fb.ones(2, 4))
    >>> product.indices(), product.values()
    (tensor([[2]]), tensor([[5., 5., 5., 5.]]))
    """
    product = mm(mat1, mat2)
    rows = to_coo(mat1)._ind[0].unique()
    return CooTensor.of(rows[None], product.index_select(0, rows), product.shape, True)


hsmm = hspmm


@implements("smm")
def smm(mat1: Any, mat2: Tensor) -> CooTensor:
    """Return the product of a sparse and a dense matrix as a sparse matrix that stores full rows.

    >>> s = fb.sparse_coo_tensor([[2], [0]], [5.0], (3, 2))
    >>> fb.smm(s, fb.ones(2, 2))
    tensor(indices=tensor([[2, 2],
                           [0, 1]]),
           values=tensor([5., 5.]),
           size=(3, 2), nnz=2, layout=flambeau.sparse_coo)
    """
    hybrid = hspmm(mat1, mat2)
    rows, width = hybrid._ind[0], hybrid._val.shape[1]
    columns = flambeau.arange(width, device=rows.device).repeat(rows.shape[0])
    indices = flambeau.stack((rows.repeat_interleave(width), columns))
    return CooTensor.of(indices, hybrid._val.reshape(-1), hybrid._size, True)


@implements("sspaddmm", "saddmm")
def sspaddmm(input: Any, mat1: Any, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)`` as a sparse matrix, for sparse input and mat1.

    >>> s = fb.sparse_coo_tensor([[1], [0]], [5.0], (2, 2))
    >>> fb.sspaddmm(s, s, fb.ones(2, 2), beta=10).to_dense()
    tensor([[ 0.,  0.],
            [55.,  5.]])
    """
    return _with_input(input, smm(mat1, mat2), beta, alpha)


def _repeated(matrix: CompressedTensor, batch: Any) -> CompressedTensor:
    """Return a batch of shape ``batch`` that repeats one matrix."""
    offsets, indices, values = (part.expand(*batch, *part.shape) for part in (matrix._ptr, matrix._idx, matrix._val))
    return matrix.of(offsets, indices, values, (*batch, *matrix._size))


saddmm = sspaddmm


@implements("sampled_addmm")
def sampled_addmm(
    input: Any, mat1: Tensor, mat2: Tensor, *, beta: Any = 1.0, alpha: Any = 1.0, out: Any = None
) -> SparseTensor:
    """Return ``alpha * (mat1 @ mat2) + beta * input`` at the indices of ``input``, a CSR matrix or batch.

    If ``input`` is a single matrix, it is used for all matrices of a batch. Gradient: defined for all three operands.

    >>> pattern = flambeau.sparse_csr_tensor([0, 1, 2], [1, 0], [0.0, 0.0], (2, 2))
    >>> flambeau.sparse.sampled_addmm(pattern, flambeau.eye(2), flambeau.tensor([[1.0, 2.0], [3.0, 4.0]])).to_dense()
    tensor([[0., 2.],
            [3., 0.]])
    """
    if not isinstance(input, CsrTensor):
        raise RuntimeError(f"sampled_addmm: expected input to have the layout sparse_csr, got {input.layout}")
    if input.ndim == 2 and mat1.ndim > 2:
        input = _repeated(input, mat1.shape[:-2])
    if mat1.ndim != input.ndim or mat2.ndim != input.ndim:
        raise RuntimeError(
            f"sampled_addmm: expected mat1 and mat2 with {input.ndim} dimensions, like input, got shapes "
            f"{list(mat1.shape)} and {list(mat2.shape)}"
        )
    _check("sampled_addmm", mat1, mat2)
    if (*mat1.shape[:-1], mat2.shape[-1]) != tuple(input._size) or mat1.shape[:-2] != mat2.shape[:-2]:
        raise RuntimeError(
            f"sampled_addmm: the product of mat1 {list(mat1.shape)} and mat2 {list(mat2.shape)} must have the shape "
            f"of input, {list(input._size)}"
        )
    products = sampled(pattern_of(input), mat1.flatten(0, -2), mat2.transpose(-2, -1).flatten(0, -2))
    result: SparseTensor = input._like(products.reshape(input._val.shape) * alpha + input._val * beta)
    return result if out is None else written(out, result)
