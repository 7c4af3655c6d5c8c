"""Batching rules of matrix products, which are computed as products of batches of matrices."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._rules import Call, batching, composition

# Number of dimensions of each operand of a product.
_RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1)}


def _require(call: Call, *ranks: int) -> None:
    tensors = [x for x in call.values if isinstance(x, Tensor)]
    if any(t.ndim != rank for t, rank in zip(tensors, ranks, strict=True)):
        raise RuntimeError(
            f"{call.operator.__name__}: expected tensors of {', '.join(map(str, ranks))} dimensions, got shapes "
            f"{', '.join(str(list(t.shape)) for t in tensors)}"
        )


def product(call: Call, a: Any, b: Any) -> Tensor:
    """Compute matmul for each element of the batch."""
    x, y = call.value(a), call.value(b)
    if not call.is_batched(b) and b.ndim <= 2:  # the same matrix for the whole batch: use a single product
        return flambeau.matmul(x, y) if a.ndim > 0 else _rejected(a, b)
    if a.ndim == 0 or b.ndim == 0:
        _rejected(a, b)
    x = call.batch(a) if a.ndim > 1 else call.batch(a).unsqueeze(1)
    y = call.batch(b) if b.ndim > 1 else call.batch(b).unsqueeze(2)
    missing = x.ndim - y.ndim  # number of dimensions to insert after the batch dimension
    if missing > 0:
        y = y.reshape(y.shape[0], *(1,) * missing, *y.shape[1:])
    elif missing < 0:
        x = x.reshape(x.shape[0], *(1,) * -missing, *x.shape[1:])
    result = flambeau.matmul(x, y)
    if a.ndim == 1:
        result = result.squeeze(-2)
    return result.squeeze(-1) if b.ndim == 1 else result


def _rejected(a: Tensor, b: Tensor) -> Tensor:
    raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")


@batching("matmul", "linalg.matmul", "__matmul__")
def matmul(call: Call) -> Tensor:
    """Apply ``matmul`` to batched operands, which can be vectors, matrices or batches of matrices."""
    return product(call, *call.values)


@batching(*_RANKS)
def ranked_product(call: Call) -> Tensor:
    """Compute a product whose operands have a fixed number of dimensions, such as ``mm``."""
    _require(call, *_RANKS[call.operator.__name__])
    return product(call, *call.values)


@composition("vdot")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Return the inner product of two vectors with the first one conjugated."""
    return input.conj().dot(other)


@composition("linalg.vecdot")
def vecdot(x: Tensor, y: Tensor, dim: int = -1) -> Tensor:
    """Return inner products along a dimension with the first operand conjugated."""
    return (x.conj() * y).sum(dim)


@composition("outer", "ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the outer product."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: expected two vectors, got shapes {list(input.shape)} and {list(vec2.shape)}")
    return input.unsqueeze(1) * vec2


def _added(input: Tensor, result: Tensor, beta: Any, alpha: Any) -> Tensor:
    if not result.dtype.is_floating_point and not result.dtype.is_complex:
        beta, alpha = int(beta), int(alpha)
    scaled = result if alpha == 1 else result * alpha
    if beta == 0:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


@composition("addmm")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta * input + alpha * mat1 @ mat2."""
    return _added(input, mat1.mm(mat2), beta, alpha)


@composition("baddbmm")
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta * input + alpha * batch1 @ batch2."""
    return _added(input, batch1.bmm(batch2), beta, alpha)


@composition("addbmm")
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta * input + alpha * the sum of batch1 @ batch2."""
    return _added(input, batch1.bmm(batch2).sum(0), beta, alpha)


@composition("addmv")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta * input + alpha * mat @ vec."""
    return _added(input, mat.mv(vec), beta, alpha)


@batching("linear")
def linear(call: Call) -> Any:
    """Compute ``input @ weight.T + bias`` for each element of the batch."""
    x, weight, bias = call.values
    if not call.is_batched(weight) and not call.is_batched(bias):
        return call.run((x.value, weight, bias))
    w = call.value(weight)
    if weight.ndim != 2 or x.ndim == 0:
        raise RuntimeError(
            f"linear: expected an input with at least 1 dimension and a 2D weight, got shapes {list(x.shape)} and "
            f"{list(weight.shape)}"
        )
    if call.is_batched(weight):
        rows = call.batch(x)
        flat = rows.reshape(call.size, -1, rows.shape[-1]) if x.ndim != 2 else rows
        result = flambeau.bmm(flat, w.transpose(1, 2))
        if x.ndim != 2:
            result = result.reshape(call.size, *x.shape[:-1], w.shape[1])
    else:
        result = flambeau.linear(call.value(x), w)
    if bias is None:
        return result
    b = call.value(bias)
    return result + (b.reshape(call.size, *(1,) * (x.ndim - 1), b.shape[-1]) if call.is_batched(bias) else b)


@composition("addr")
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta * input + alpha * outer(vec1, vec2)."""
    return _added(input, outer(vec1, vec2), beta, alpha)


@composition("pdist")
def pdist(input: Tensor, p: float) -> Tensor:
    """Return the norms of the differences of all pairs of rows."""
    rows = input.shape[0]
    first, second = flambeau.triu_indices(rows, rows, 1).unbind(0)
    return flambeau.linalg.vector_norm(input[first] - input[second], p, -1)
