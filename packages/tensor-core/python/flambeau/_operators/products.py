"""Products of tensors made of matrix products and multiplications."""

import math
from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau._operators.broadcasting import broadcast_shapes

Number = int | float


@operator(method=True, out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times the whole of ``other``. Gradient: both.

    >>> flambeau.kron(flambeau.tensor([1, 10]), flambeau.tensor([2, 3]))
    tensor([ 2,  3, 20, 30])
    """
    dims = max(input.dim(), other.dim())
    a = (1,) * (dims - input.dim()) + tuple(input.shape)
    b = (1,) * (dims - other.dim()) + tuple(other.shape)
    apart = input.reshape([n for size in a for n in (size, 1)])
    inside = other.reshape([n for size in b for n in (1, size)])
    if dims:  # the last pair of dimensions laid out in both, so that the product runs along whole rows
        apart = apart.expand(*apart.shape[:-1], b[-1]).contiguous()
        inside = inside.expand(*inside.shape[:-2], a[-1], b[-1]).contiguous()
    return (apart * inside).reshape([m * n for m, n in zip(a, b, strict=True)])


@operator(out=True)
def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[int] | Sequence[Sequence[int]] | Tensor = 2) -> Tensor:
    """Sums of products over several dimensions: the last ``dims`` of ``a`` with the first of ``b``, or pairs of lists.

    Args:
        dims: a number, or the dimensions of ``a`` and those of ``b`` in the same order; a size of 1 is broadcast.
    Raises: RuntimeError where the sizes do not match.
    Gradient: both.

    >>> flambeau.tensordot(flambeau.ones(2, 3), flambeau.ones(3, 4), 1).shape
    flambeau.Size([2, 4])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims} for shapes {a.shape} and {b.shape}"
            )
        first, second = list(range(a.dim() - dims, a.dim())), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)  # type: ignore[assignment]
    if len(first) != len(second):
        raise RuntimeError(f"both dimension lists should have same length, got {first} and {second}")
    first = [d + a.dim() if d < 0 else d for d in first]
    second = [d + b.dim() if d < 0 else d for d in second]
    for i, j in zip(first, second, strict=True):
        if a.size(i) != b.size(j):
            if b.size(j) == 1:
                a = a.sum(i, keepdim=True, dtype=a.dtype)
            elif a.size(i) == 1:
                b = b.sum(j, keepdim=True, dtype=b.dtype)
            else:
                raise RuntimeError(
                    f"contracted dimensions need to match, but first has size {a.size(i)} in dim {i} and second has "
                    f"size {b.size(j)} in dim {j}"
                )
    kept_a = [d for d in range(a.dim()) if d not in first]
    kept_b = [d for d in range(b.dim()) if d not in second]
    shape = [a.size(d) for d in kept_a] + [b.size(d) for d in kept_b]
    length = math.prod(a.size(d) for d in first)
    rows = math.prod(a.size(d) for d in kept_a)
    columns = math.prod(b.size(d) for d in kept_b)
    left = a.permute(kept_a + first).reshape(rows, length)
    return (left @ b.permute(second + kept_b).reshape(length, columns)).reshape(shape)


@operator(method=True, out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimension of both; a scalar multiplies. Gradient: both.

    Raises RuntimeError where the last sizes differ.

    >>> flambeau.inner(flambeau.tensor([1, 2]), flambeau.tensor([[3, 4], [5, 6]]))
    tensor([11, 17])
    """
    if input.dim() == 0 or other.dim() == 0:
        return input * other
    if input.size(-1) != other.size(-1):
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@operator(method=True, out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three elements along ``dim``, by default the first dimension of that size.

    The other dimensions are broadcast. Raises RuntimeError where ``dim`` does not have three elements. Gradient: both.

    >>> flambeau.cross(flambeau.tensor([1, 0, 0]), flambeau.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        dim = next((d for d in range(input.dim()) if input.size(d) == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input of shape {list(input.shape)}")
    return _core._cross(input, other, dim)


def _scaled(input: Tensor, product: Tensor, beta: Number, alpha: Number) -> Tensor:
    """beta * input + alpha * product, once rounded; what is multiplied by no beta is not read."""
    if product.dtype is _core.bool:
        term = product if alpha else _core.zeros_like(product)
        return term | input if beta else term.expand(broadcast_shapes(term.shape, input.shape)).clone()
    term = product if alpha == 1 else product * alpha
    if beta == 0:
        dtype = _core.result_type(input, term)
        return term.to(dtype).expand(broadcast_shapes(term.shape, input.shape)).clone()
    return (input if beta == 1 else input * beta) + term


@operator(method=True, in_place=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``; ``input`` is broadcast, and not read where beta is 0.

    Gradient: input and both vectors.
    """
    if vec1.dim() != 1 or vec2.dim() != 1:
        raise RuntimeError(f"addr: Expected 1-D argument vec1 and vec2, but got {vec1.dim()}-D and {vec2.dim()}-D")
    shape = [vec1.numel(), vec2.numel()]
    dtype = _core.result_type(vec1, vec2)
    if not (dtype.is_floating_point or dtype.is_complex or dtype is _core.bool or input.is_floating_point()):
        for name, value in (("beta", beta), ("alpha", alpha)):
            if isinstance(value, float):
                raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    if dtype in (_core.float16, _core.bfloat16):
        vec1, vec2 = vec1.float(), vec2.float()
        return _scaled(input.float().expand(shape), vec1.unsqueeze(1) * vec2, beta, alpha).to(dtype)
    return _scaled(input.expand(shape), vec1.unsqueeze(1) * vec2, beta, alpha)
