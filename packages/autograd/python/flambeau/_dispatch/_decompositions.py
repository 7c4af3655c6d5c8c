"""Decompositions of composite operators, which run if ``__torch_dispatch__`` is active. Note [Dispatch].

The operators have the dispatch key CompositeImplicitAutograd in PyTorch. The functions have the parameters of
flambeau's operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor, _core
from flambeau.library._aten import aten

Function = TypeVar("Function", bound=Callable[..., Any])
DECOMPOSITIONS: dict[str, Callable[..., Any]] = {}


def decomposition(*names: str) -> Callable[[Function], Function]:
    """Return a decorator that registers the decomposition of the named operators."""

    def register(function: Function) -> Function:
        DECOMPOSITIONS.update(dict.fromkeys(names, function))
        return function

    return register


def run(name: str, overload: str, *args: Any, **kwargs: Any) -> Any:
    """Call the overload ``ops.aten.<name>.<overload>``, for operators that have no Python function."""
    from flambeau import _dispatch

    return _dispatch.call(getattr(getattr(aten, name), overload), args, kwargs)


@decomposition("linear")
def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.dim() != 2:
        product = _matmul(input, weight.mT if weight.dim() > 2 else weight)
        return product if bias is None else product + bias
    if bias is None:
        return _matmul(input, flambeau.t(weight))
    if input.dim() == 2 and bias.dim() == 1:
        return flambeau.addmm(bias, input, flambeau.t(weight))
    if input.dim() > 2 and bias.dim() == 1 and input.is_contiguous():
        rows = input.view(-1, input.shape[-1])
        return flambeau.addmm(bias, rows, flambeau.t(weight)).view(*input.shape[:-1], weight.shape[0])
    return _matmul(input, flambeau.t(weight)) + bias


@decomposition("matmul", "__matmul__", "linalg_matmul")
def _matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    result = _product(input, other)
    return result if out is None else out.copy_(result)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply as ``matmul`` does, with the one of dot, mv, mm and bmm that fits the numbers of dimensions."""
    if a.dim() == 1 and b.dim() == 1:
        return flambeau.dot(a, b)
    if a.dim() == 2 and b.dim() == 1:
        return flambeau.mv(a, b)
    if a.dim() == 1 and b.dim() == 2:
        return flambeau.mm(a.unsqueeze(0), b).squeeze(0)
    if a.dim() == 2 and b.dim() == 2:
        return flambeau.mm(a, b)
    if a.dim() >= 3 and b.dim() in (1, 2):
        rows = a.reshape(-1, a.shape[-1])
        if b.dim() == 1:
            return flambeau.mv(rows, b).view(*a.shape[:-1])
        return flambeau.mm(rows, b).view(*a.shape[:-1], b.shape[-1])
    if a.dim() == 0 or b.dim() == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a.dim()}D and {b.dim()}D")
    left = a.unsqueeze(0) if a.dim() == 1 else a
    right = b.unsqueeze(-1) if b.dim() == 1 else b
    batch = flambeau.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    count = math.prod(batch)
    one = left.expand(*batch, *left.shape[-2:]).reshape(count, *left.shape[-2:])
    two = right.expand(*batch, *right.shape[-2:]).reshape(count, *right.shape[-2:])
    result = flambeau.bmm(one, two).view(*batch, left.shape[-2], right.shape[-1])
    if a.dim() == 1:
        return result.squeeze(-2)
    return result.squeeze(-1) if b.dim() == 1 else result


@decomposition("multi_dot", "linalg_multi_dot")
def _multi_dot(tensors: Any) -> Any:
    result = tensors[0]
    for each in tensors[1:]:
        result = flambeau.matmul(result, each)
    return result


def _sizes(values: tuple[Any, ...]) -> list[int]:
    return list(values[0]) if len(values) == 1 and isinstance(values[0], (tuple, list)) else list(values)


def _can_view(input: Tensor, size: list[int]) -> bool:
    enabled = _core._dispatch_enabled(False)
    try:
        twin = flambeau.empty_strided(tuple(input.shape), input.stride(), dtype=input.dtype, device="meta")
        twin.view(size)
    except RuntimeError:
        return False
    finally:
        _core._dispatch_enabled(enabled)
    return True


@decomposition("reshape")
def _reshape(input: Tensor, *shape: Any, **named: Any) -> Any:
    size = _sizes(shape or tuple(named.values()))
    if -1 in size:
        rest = math.prod(each for each in size if each != -1)
        if size.count(-1) > 1 or rest == 0 or input.numel() % rest:
            raise RuntimeError(f"shape '{size}' is invalid for input of size {input.numel()}")
        size[size.index(-1)] = input.numel() // rest
    elif math.prod(size) != input.numel():
        raise RuntimeError(f"shape '{size}' is invalid for input of size {input.numel()}")
    if _can_view(input, size):
        return input.view(size)
    return run("_unsafe_view", "default", input.clone(memory_format=flambeau.contiguous_format), size)


@decomposition("reshape_as")
def _reshape_as(input: Tensor, other: Tensor) -> Any:
    return _reshape(input, *other.shape)


@decomposition("view_as")
def _view_as(input: Tensor, other: Tensor) -> Tensor:
    return input.view(tuple(other.shape))


@decomposition("expand_as")
def _expand_as(input: Tensor, other: Tensor) -> Tensor:
    return input.expand(tuple(other.shape))


@decomposition("flatten", "ravel")
def _flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    if input.dim() == 0:
        return _reshape(input, 1)
    start, end = start_dim % input.dim(), end_dim % input.dim()
    if start == end:
        return input
    return _reshape(input, *input.shape[:start], -1, *input.shape[end + 1 :])


@decomposition("unflatten")
def _unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    dim %= input.dim()
    return (
        _reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])
        if -1 not in sizes
        else input.view(
            *input.shape[:dim],
            *(input.shape[dim] // -math.prod(sizes) if each == -1 else each for each in sizes),
            *input.shape[dim + 1 :],
        )
    )


@decomposition("chunk", "unsafe_chunk")
def _chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    return flambeau.split(input, max(-(-input.shape[dim] // chunks), 1), dim)


@decomposition("narrow")
def _narrow(input: Tensor, dim: int, start: Any, length: int) -> Any:
    start = int(start)
    start += input.shape[dim] if start < 0 else 0
    return run("slice", "Tensor", input, dim, start, start + length)


@decomposition("swapaxes", "swapdims")
def _transposed(input: Tensor, dim0: int, dim1: int) -> Tensor:
    return flambeau.transpose(input, dim0, dim1)


@decomposition("adjoint")
def _adjoint(input: Tensor) -> Tensor:
    swapped = flambeau.transpose(input, -2, -1)
    return swapped.conj() if input.is_complex() else swapped


@decomposition("movedim", "moveaxis")
def _movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    sources = [d % input.dim() for d in ([source] if isinstance(source, int) else source)]
    targets = [d % input.dim() for d in ([destination] if isinstance(destination, int) else destination)]
    rest = iter(d for d in range(input.dim()) if d not in sources)
    placed = dict(zip(targets, sources, strict=True))
    return input.permute([placed[d] if d in placed else next(rest) for d in range(input.dim())])


@decomposition("sum_to_size")
def _sum_to_size(input: Tensor, *size: Any) -> Tensor:
    target = _sizes(size)
    extra = input.dim() - len(target)
    dims = [d for d in range(input.dim()) if d < extra or (target[d - extra] == 1 and input.shape[d] != 1)]
    result = flambeau.sum(input, dims, keepdim=True) if dims else input
    return result.view(target) if extra else result


@decomposition("contiguous")
def _contiguous(input: Tensor, memory_format: Any = flambeau.contiguous_format) -> Tensor:
    if input.is_contiguous(memory_format=memory_format):
        return input
    return input.clone(memory_format=memory_format)
