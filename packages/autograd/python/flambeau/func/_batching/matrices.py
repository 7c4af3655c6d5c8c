"""Batching rules of matrix decompositions, solvers and products. The mapped dimension becomes the first dimension."""

from collections.abc import Iterator
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._rules import Call, batching, check_arguments, composition

# Number of matrix or vector dimensions of each tensor parameter.
_RANKS = {"A": 2, "B": 2, "LU": 2, "LD": 2, "LU_data": 2, "input": 2, "input2": 2, "other": 2}
_RANKS |= {"pivots": 1, "LU_pivots": 1, "tau": 1}


def _run(call: Call, values: Any) -> Any:
    """Run the operator on the batched values of its arguments, with the same number of batch dimensions for all."""
    ranks = [_RANKS.get(name, 0) if isinstance(x, Tensor) else None for name, x in _named(call, values)]
    before = max(x.ndim - rank for x, rank in zip(values, ranks, strict=True) if rank is not None)
    lined_up = []
    for x, rank in zip(values, ranks, strict=True):
        if rank is None:
            lined_up.append(x)
            continue
        if x.ndim < rank:
            raise RuntimeError(f"{call.operator.__name__}: expected matrices, got shape {list(x.shape)}")
        whole = call.batch(x)
        lined_up.append(whole.reshape(call.size, *(1,) * (before - x.ndim + rank), *x.shape))
    return call.run(lined_up)


def _named(call: Call, values: Any) -> Iterator[tuple[str, Any]]:
    return zip(call.operator.parameters, values, strict=True)


@batching(
    "linalg.cholesky linalg.cholesky_ex linalg.lu_factor linalg.lu_factor_ex linalg.lu linalg.lu_solve "
    "linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve linalg.inv linalg.inv_ex linalg.qr "
    "linalg.householder_product linalg.solve_triangular linalg.eigh linalg.eigvalsh linalg.eig linalg.eigvals "
    "linalg.svd linalg.svdvals linalg.matrix_power cholesky cholesky_solve cholesky_inverse triangular_solve lu "
    "lu_unpack inverse qr svd geqrf ormqr matrix_power"
)
def of_matrices(call: Call) -> Any:
    """Apply a matrix decomposition or a related operator (inverse, power, solver with factors) to batched matrices."""
    return _run(call, call.values)


@batching("orgqr")
def of_reflectors(call: Call) -> Any:
    """Apply ``orgqr``, an alias of ``linalg.householder_product``, to batched matrices."""
    input, tau = call.values
    return call.run([call.batch(input), call.batch(tau)])


@batching("lu_solve")
def lu_solve(call: Call) -> Any:
    """Apply ``lu_solve``, which has the parameters of ``linalg.lu_solve`` in another order, to batched matrices."""
    return _run(call, call.values)


@batching("linalg.solve", "linalg.solve_ex")
def solve(call: Call) -> Any:
    """Apply ``solve`` to batched systems. A vector as the right-hand side is converted to a matrix with one column."""
    A, B, *rest = call.values
    if B.ndim != 1 and not (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]):
        return _run(call, call.values)
    matrices, columns = call.batch(A), call.batch(B).unsqueeze(-1)
    ones = (1,) * (matrices.ndim - columns.ndim)
    result = call.run([matrices, columns.reshape(call.size, *ones, *columns.shape[1:]), *rest])
    if isinstance(result, Tensor):
        return result.squeeze(-1)
    return type(result)((result[0].squeeze(-1), result[1]))


@composition("inner")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return the inner products over the last dimensions."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return flambeau.tensordot(input, other, ([-1], [-1]))


@composition("tensordot")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Compute ``tensordot`` as one matrix product."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    check_arguments("tensordot", a, b, dims)
    if isinstance(dims, int):
        first, second = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    first, second = [d % a.ndim for d in first], [d % b.ndim for d in second]
    rows = [d for d in range(a.ndim) if d not in first]
    columns = [d for d in range(b.ndim) if d not in second]
    shape = [a.shape[d] for d in rows] + [b.shape[d] for d in columns]
    x = a.permute((*rows, *first)).flatten(len(rows)) if first else a.permute(rows).unsqueeze(-1)
    y = b.permute(*second, *columns)
    x = x.reshape(-1, x.shape[-1])
    return (x @ y.reshape(x.shape[-1], -1)).reshape(shape)


@composition("kron")
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Return the Kronecker product."""
    dims = max(input.ndim, other.ndim)
    a = (1,) * (dims - input.ndim) + tuple(input.shape)
    b = (1,) * (dims - other.ndim) + tuple(other.shape)
    shape_a, shape_b = [n for size in a for n in (size, 1)], [n for size in b for n in (1, size)]
    return (input.reshape(shape_a) * other.reshape(shape_b)).reshape([m * n for m, n in zip(a, b, strict=True)])


@composition("dist")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """Return the norm of the difference."""
    return (input - other).norm(p)


@composition("pairwise_distance")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """Return the p-norm of the difference of each pair of rows, with ``eps`` added to the difference."""
    return (x1 - x2 + eps).norm(p, dim=-1, keepdim=keepdim)


@composition("cosine_similarity")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return the inner products of normalised vectors along ``dim``."""
    shape = flambeau.broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    lengths = [x.norm(2, dim=dim, keepdim=True).clamp(min=eps) for x in (x1, x2)]
    return ((x1 / lengths[0]) * (x2 / lengths[1])).sum(dim)


@composition("cdist")
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """Return the p-norm of the difference of each row of ``x1`` and each row of ``x2``."""
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, dim=-1)
