"""Numbers of floating-point operations of operators and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from flambeau import Tensor


class Count(NamedTuple):
    """Name and number of operations of a call, and the numbers of operations of the products in its derivative."""

    name: Any
    forward: int
    backward: tuple[int, ...] = ()
    backward_name: str = ""


def _product(name: str, count: int, one: Tensor, other: Tensor) -> Count:
    """Count a matrix product. The derivative for each factor is a product with the same number of operations."""
    needed = tuple(count for operand in (one, other) if operand.requires_grad)
    return Count(name, count, needed, "aten.bmm" if "bmm" in name else "aten.mm")


def _mm(result: Tensor, input: Tensor, mat2: Tensor, **_: Any) -> Count:
    return _product("aten.mm", 2 * input.shape[0] * prod(mat2.shape), input, mat2)


def _addmm(result: Tensor, input: Tensor, mat1: Tensor, mat2: Tensor, **_: Any) -> Count:
    return _mm(result, mat1, mat2)._replace(name="aten.addmm")


def _bmm(result: Tensor, input: Tensor, mat2: Tensor, **_: Any) -> Count:
    return _product("aten.bmm", 2 * input.shape[1] * prod(mat2.shape), input, mat2)


def _baddbmm(result: Tensor, input: Tensor, batch1: Tensor, batch2: Tensor, **_: Any) -> Count:
    return _bmm(result, batch1, batch2)._replace(name="aten.baddbmm")


def _matmul(result: Tensor, input: Tensor, other: Tensor, **_: Any) -> Count | None:
    if other.ndim == 1 or (input.ndim == 1 and other.ndim > 2):
        return None  # products with a vector are not counted
    name = "aten.mm" if min(input.ndim, other.ndim) < 3 else "aten.bmm"
    return _product(name, 2 * result.numel() * other.shape[-2], input, other)


def _linear(result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Count | None:
    if weight.ndim == 1:
        return None
    name = "aten.mm" if bias is None or not (input.ndim < 3 or input.is_contiguous()) else "aten.addmm"
    return _product(name, 2 * result.numel() * input.shape[-1], input, weight)


def _conv(dims: int, transposed: bool) -> Callable[..., Count]:
    def count(result: Tensor, input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Count:
        meets_kernel = input if transposed else result  # each of its elements is multiplied with the whole kernel
        batch = input.shape[0] if input.ndim == dims + 2 else 1
        positions = 2 * batch * prod(meets_kernel.shape[-dims:])
        forward = positions * prod(weight.shape)
        # For the weight's gradient PyTorch counts all pairs of channels, regardless of groups.
        of_weight = positions * prod(weight.shape[2:]) * input.shape[-dims - 1] * result.shape[-dims - 1]
        needed = [n for n, operand in ((forward, input), (of_weight, weight)) if operand.requires_grad]
        backward = (sum(needed),) if needed else ()
        return Count("aten.convolution", forward, backward, "aten.convolution_backward")

    return count


def _attention(result: Tensor, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Count:
    """Count two products for the forward pass, and five for the backward pass, which computes the scores again."""
    scores = 2 * prod(query.shape[:-1]) * key.shape[-2] * query.shape[-1]
    values = 2 * prod(query.shape[:-1]) * key.shape[-2] * value.shape[-1]
    name = "aten._scaled_dot_product_flash_attention"
    any_needed = query.requires_grad or key.requires_grad or value.requires_grad
    return Count(name, scores + values, (3 * scores + 2 * values,) if any_needed else (), f"{name}_backward")


FORMULAS: dict[str, Callable[..., Count | None]] = {
    "mm": _mm,
    "addmm": _addmm,
    "bmm": _bmm,
    "baddbmm": _baddbmm,
    "matmul": _matmul,
    "linear": _linear,
    "_scaled_dot_product_attention": _attention,
    **{f"conv{dims}d": _conv(dims, False) for dims in (1, 2, 3)},
    **{f"conv_transpose{dims}d": _conv(dims, True) for dims in (1, 2, 3)},
}
