"""Batching rules of operators that accept leading batch dimensions. The mapped dimension becomes the first of them."""

import functools
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.pointwise import aligned
from flambeau.func._rules import Call, UnbatchableError, batching, composition


@batching(
    "linalg.det linalg.slogdet linalg.matrix_exp linalg.pinv linalg.cond linalg.matrix_rank det slogdet logdet "
    "matrix_exp pinverse"
)
def one_matrix(call: Call) -> Any:
    """Apply an operator whose only tensor argument is a matrix, such as ``linalg.det``, to a batch of matrices."""
    x, *rest = call.values
    if call.is_batched(x) and not any(isinstance(other, Tensor) for other in rest):
        _require_rank(call, x, 2)
        return call.run((x.value, *rest))
    raise UnbatchableError("vmap: arguments other than the matrix must be equal for all elements of the batch")


def _require_rank(call: Call, x: Tensor, rank: int) -> None:
    if x.ndim < rank:
        raise RuntimeError(
            f"{call.operator.__name__}: The input tensor must have at least {rank} dimensions, got shape "
            f"{list(x.shape)}"
        )


@batching("linalg.lstsq")
def lstsq(call: Call) -> Any:
    """Apply ``lstsq`` to a batch. A vector as the right-hand side is converted to a matrix with one column."""
    a, b, *rest = call.values
    _require_rank(call, a, 2)
    is_vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    right = call.batch(b).unsqueeze(-1) if is_vector else call.batch(b)
    rank = max(a.ndim, right.ndim - 1)
    result = call.run((aligned(call.batch(a), rank), aligned(right, rank), *rest))
    solution = result[0].squeeze(-1) if is_vector else result[0]
    left_out = (t.new_empty(call.size, 0) if t.shape == (0,) else t for t in result[1:])
    return type(result)((solution, *left_out))


@composition("linalg.multi_dot", "chain_matmul")
def multi_dot(tensors: Any) -> Any:
    """Return the product of matrices, computed from left to right."""
    return functools.reduce(flambeau.matmul, tensors)


@composition("cross", "linalg.cross")
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Return the cross product along ``dim``, or along the first dimension of size 3 if ``dim`` is None."""
    input, other = flambeau.broadcast_tensors(input, other)
    if dim is None:
        dim = next((i for i, size in enumerate(input.shape) if size == 3), -1)
    if input.shape[dim] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]}")
    a, b = input.movedim(dim, 0), other.movedim(dim, 0)
    parts = [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]
    return flambeau.stack(parts).movedim(0, dim)


@batching("fft.fftn fft.ifftn fft.rfftn fft.irfftn fft.hfftn fft.ihfftn")
def transforms(call: Call) -> Any:
    """Apply an n-dimensional Fourier transform to a batch.

    If ``dim`` is None, transform the last ``len(s)`` dimensions, or all dimensions if ``s`` is None as well.
    """
    x, s, dim, norm = call.values
    if dim is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise RuntimeError(f"Got shape with {count} values but input tensor only has {x.ndim} dimensions.")
        dim = range(x.ndim - count, x.ndim)
    dims = (dim,) if isinstance(dim, int) else dim
    if x.ndim == 0:
        raise UnbatchableError("vmap: transforms of 0-D tensors have no batching rule")
    return call.run((x.value, s, [d % x.ndim + 1 for d in dims], norm))


@composition("block_diag")
def block_diag(tensors: Any) -> Tensor:
    """Return the block-diagonal matrix."""
    blocks = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    blocks = [t.reshape(1, -1) if t.ndim < 2 else t for t in blocks]
    columns, before, rows = sum(t.shape[1] for t in blocks), 0, []
    for t in blocks:
        behind = columns - before - t.shape[1]
        rows.append(flambeau.constant_pad_nd(t, (before, behind)))
        before += t.shape[1]
    return flambeau.cat(rows)
