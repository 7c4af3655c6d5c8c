"""Sums, products and quotients of sparse tensors with sparse tensors, strided tensors and numbers."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor
from flambeau.sparse._conversion import to_coo, to_layout_of, with_values
from flambeau.sparse._coo import CooTensor, flat_keys
from flambeau.sparse._pointwise import merged
from flambeau.sparse._shapes import broadcast_to
from flambeau.sparse._tensor import SparseTensor, implements

SPARSE_FIRST = "add(sparse, dense) is not supported. Use add(dense, sparse) instead."


def is_number(value: Any) -> bool:
    """Return True for a number or a strided 0-D tensor."""
    return not isinstance(value, Tensor) or (value.ndim == 0 and not isinstance(value, SparseTensor))


def _sizes(name: str, left: Any, right: Any) -> None:
    if tuple(left.shape) == tuple(right.shape):
        return
    if isinstance(left, CompressedTensor):
        raise RuntimeError(
            f"{name}: Expected input tensors to have the same shape, but got tensor `self` with shape "
            f"{list(left.shape)} and tensor `other` with shape {list(right.shape)}"
        )
    raise RuntimeError(
        f"{name}: expected sizes of 'self' and 'other' to match, but {list(left.shape)} != {list(right.shape)}"
    )


@implements("add", "__add__", "__radd__")
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Return ``input + alpha * other`` for two sparse tensors, or for a strided and a sparse tensor.

    Gradient: defined for both operands.
    """
    if not isinstance(other, SparseTensor):
        if isinstance(input, CompressedTensor) and isinstance(other, Tensor) and other.ndim:
            return _add_to_dense(other * alpha if alpha != 1 else other, input, 1)
        raise RuntimeError(SPARSE_FIRST)
    if isinstance(input, SparseTensor):
        return _sparse_sum(input, other, alpha)
    if is_number(input):
        raise RuntimeError(SPARSE_FIRST)
    return _add_to_dense(input, other, alpha)


def _add_to_dense(dense: Tensor, other: SparseTensor, alpha: Any) -> Tensor:
    """Return ``dense + alpha * other`` for a sparse ``other``."""
    try:
        dense = dense.expand(other.shape)
    except RuntimeError:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same size, but self has size {list(dense.shape)} while other "
            f"has size {list(other.shape)}, to which self cannot be expanded"
        ) from None
    dtype = flambeau.promote_types(dense.dtype, other.dtype)
    keys, values, flat = _flatten_operands(dense.to(dtype), other, alpha)
    return flat.index_add(0, keys, values.to(dtype)).reshape(dense.shape)


def _flatten_operands(dense: Tensor, other: SparseTensor, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return flat indices of ``other``, its values times ``alpha``, and ``dense`` with flattened sparse dimensions."""
    coo = to_coo(other)
    count = coo.sparse_dim()
    keys = flat_keys(coo._ind, coo._size[:count])
    return (
        keys,
        coo._val if alpha == 1 else coo._val * alpha,
        dense.reshape(-1, *coo._size[count:])
        if (dense.numel())
        else dense.new_zeros((coo._size[:count].numel(), *coo._size[count:])),
    )


@implements("add_")
def add_(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """Add in place. If ``input`` is contiguous, only the elements at the indices of ``other`` are written."""
    if isinstance(input, SparseTensor):
        result: Any = add(input, other, alpha=alpha)
        input._take_over(result._like(result._val.to(input.dtype)))
        return input
    _sizes("add_", input, other)
    if not input.is_contiguous():
        return input.copy_(_add_to_dense(input, other, alpha))
    if not flambeau.can_cast(other.dtype, input.dtype):
        raise RuntimeError(f"result type {other.dtype} can't be cast to the desired output type {input.dtype}")
    keys, values, flat = _flatten_operands(input, other, alpha)
    flat.index_add_(0, keys, values.to(input.dtype))
    return input


@implements("sub_", "subtract_")
def sub_(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """Subtract in place."""
    return add_(input, other, alpha=-alpha)


def _sparse_sum(input: Any, other: Any, alpha: Any) -> Tensor:
    _sizes("add", input, other)
    first, second = to_coo(input), to_coo(other)
    dtype = flambeau.promote_types(first.dtype, second.dtype)
    augend, addend = first._val.to(dtype), (second._val if alpha == 1 else second._val * alpha).to(dtype)
    if first._ind is second._ind:
        total = first._like(augend + addend)
    elif first.sparse_dim() != second.sparse_dim():
        total = _add_to_empty(first._like(augend), second._like(addend))
    else:
        values = flambeau.cat((augend, addend))
        total = CooTensor.of(flambeau.cat((first._ind, second._ind), 1), values, first._size, False)
        total = total.coalesce() if first._coal and second._coal else total
    return to_layout_of(total, input)


def _add_to_empty(first: CooTensor, second: CooTensor) -> CooTensor:
    """Return the sum of tensors with different sparse dimensions, one of which must be empty."""
    if first._nnz() and second._nnz():
        raise RuntimeError(
            "add: expected 'self' and 'other' to have same density, but 'self' has "
            f"{first.sparse_dim()} sparse dimensions while 'other' has {second.sparse_dim()} sparse dimensions"
        )
    return first if first._nnz() else second


@implements("sub", "subtract", "__sub__")
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Return ``input - alpha * other``. See `add`."""
    return add(input, other, alpha=-alpha)


@implements("rsub", "__rsub__")
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Return ``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@implements("mul", "multiply", "__mul__", "__rmul__")
def mul(input: Any, other: Any) -> Any:
    """Multiply a sparse tensor by a number, a strided or a sparse tensor. The result is sparse.

    Gradient: defined for both operands.
    """
    if not isinstance(input, SparseTensor):
        input, other = other, input
    if is_number(other):
        return input._like(input._val * other)
    if isinstance(other, SparseTensor):
        return _sparse_elements(input, other)
    coo = broadcast_to(to_coo(input), flambeau.broadcast_shapes(input._size, other.shape))
    there = other.expand(coo._size)[tuple(coo._ind)] if coo.sparse_dim() else other
    product = coo._like(coo._val * there)
    if isinstance(input, CooTensor) or product._size != input._size:
        return product
    return with_values(input, product._val)


def _multiply_by_scalar(input: Any, other: Any) -> Tensor:
    """Multiply two sparse tensors, one of which is 0-D: scale the tensor with more dimensions (or entries)."""
    tensor, scalar = sorted((input, other), key=lambda each: (each.ndim, each._nnz()), reverse=True)
    number = scalar.to_dense()
    dtype = flambeau.result_type(tensor, number) if tensor.ndim else flambeau.promote_types(input.dtype, other.dtype)
    return tensor._like(tensor._val.to(dtype) * number.to(dtype))  # type: ignore[no-any-return]


def _sparse_elements(input: Any, other: Any) -> Tensor:
    """Multiply two sparse tensors at the indices that both contain."""
    if input.ndim == 0 or other.ndim == 0:
        return _multiply_by_scalar(input, other)
    size = flambeau.broadcast_shapes(input._size, other._size)
    first = broadcast_to(to_coo(input).coalesce(), size).coalesce()
    second = broadcast_to(to_coo(other).coalesce(), size).coalesce()
    if first.sparse_dim() != second.sparse_dim():
        raise RuntimeError(
            "mul: both tensors must have the same number of sparse dimensions, got "
            f"{first.sparse_dim()} and {second.sparse_dim()}"
        )
    sizes = first._size[: first.sparse_dim()]
    keys, others = flat_keys(first._ind, sizes), flat_keys(second._ind, sizes)
    if others.numel() == 0 or keys.numel() == 0:
        shared, at = keys[:0], keys[:0]
    else:
        insertion_point = flambeau.searchsorted(others, keys).clamp(max=others.shape[0] - 1)
        shared = (others.index_select(0, insertion_point) == keys).nonzero().reshape(-1)
        at = insertion_point.index_select(0, shared)
    values = first._val.index_select(0, shared) * second._val.index_select(0, at)
    product = CooTensor.of(first._ind.index_select(1, shared), values, first._size, True)
    return to_layout_of(product, input)


def _check_divisor(other: Any, what: str = "division") -> Any:
    if not is_number(other):
        got = "a sparse divisor" if isinstance(other, SparseTensor) else f"shape {list(other.shape)} for divisor"
        raise RuntimeError(f"Sparse {what} requires a scalar or zero-dim dense tensor divisor (got {got})")
    return other


@implements("div", "divide", "true_divide", "__truediv__")
def div(input: SparseTensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Divide by a number or a strided 0-D tensor. Gradient: defined for both operands."""
    divisor = _check_divisor(other)
    tensor = input if rounding_mode is None else merged(input)
    return tensor._like(flambeau.div(tensor._val, divisor, rounding_mode=rounding_mode))


@implements("floor_divide", "__floordiv__")
def floor_divide(input: SparseTensor, other: Any) -> Tensor:
    """Divide by a number and round down."""
    return div(input, _check_divisor(other, "floor division"), rounding_mode="floor")


@implements("equal")
def equal(input: Any, other: Any) -> bool:
    """Return True if two sparse tensors have the same size, dtype and elements."""
    pair = _aligned(input, other)
    return pair is not None and input.dtype is other.dtype and flambeau.equal(*pair)


@implements("allclose")
def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Return True if the elements of two sparse tensors are close. Missing elements count as 0."""
    _sizes("allclose", input, other)
    if not (isinstance(input, SparseTensor) and isinstance(other, SparseTensor)):
        raise RuntimeError("allclose: expected two sparse tensors or two strided tensors, got one of each")
    first, second = to_coo(input).coalesce(), to_coo(other).coalesce()
    indices = flambeau.cat((first._ind, second._ind), 1)
    zeros = [flambeau.zeros_like(part._val.detach()) for part in (first, second)]
    left = CooTensor.of(indices, flambeau.cat((first._val.detach(), zeros[1])), first._size, False).coalesce()
    right = CooTensor.of(indices, flambeau.cat((zeros[0], second._val.detach())), first._size, False).coalesce()
    return flambeau.allclose(left._val, right._val, rtol, atol, equal_nan)


def _aligned(input: Any, other: Any) -> tuple[Tensor, Tensor] | None:
    """Return the values of two sparse tensors if they have the same size and indices, otherwise None."""
    if not (isinstance(input, SparseTensor) and isinstance(other, SparseTensor)) or input._size != other._size:
        return None
    first, second = to_coo(input).coalesce(), to_coo(other).coalesce()
    if first._ind.shape != second._ind.shape or not flambeau.equal(first._ind, second._ind):
        return None
    return first._val, second._val


@implements("is_nonzero", "__bool__")
def is_nonzero(tensor: SparseTensor) -> bool:
    """Return True if the single element is not 0."""
    if tensor.numel() != 1:
        count = "more than one value" if tensor.numel() else "no values"
        raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
    return bool(merged(tensor)._val.any())


@implements("item")
def item(tensor: SparseTensor) -> Any:
    """Return the single element as a number."""
    if tensor.numel() != 1:
        raise RuntimeError(f"a Tensor with {tensor.numel()} elements cannot be converted to Scalar")
    values = merged(tensor)._val
    return values.item() if values.numel() else _core.zeros((), dtype=tensor.dtype).item()
