"""Decompositions of operators for programs and file formats that lack them.

A decomposition takes the arguments of its operator. The operators that it calls are recorded, or decomposed in turn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor

from ._numbers import plain

F = TypeVar("F", bound=Callable[..., Any])

DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    # Pointwise
    "copysign": lambda input, other: flambeau.where(other < 0, -input.abs(), input.abs()),
    "addcdiv": lambda input, tensor1, tensor2, *, value=1: input + value * (tensor1 / tensor2),
    "addcmul": lambda input, tensor1, tensor2, *, value=1: input + value * (tensor1 * tensor2),
    "deg2rad": lambda input: input * (math.pi / 180),
    "erfc": lambda input: 1 - input.erf(),
    "exp2": lambda input: flambeau.pow(2.0, input),
    "expm1": lambda input: input.exp() - 1,
    "fmax": lambda input, other: flambeau.where(input != input, other, flambeau.where(input < other, other, input)),
    "fmin": lambda input, other: flambeau.where(input != input, other, flambeau.where(input > other, other, input)),
    "floor_divide": lambda input, other: flambeau.div(input, other, rounding_mode="floor"),
    "frac": lambda input: input - input.trunc(),
    "hardshrink": lambda input, lambd=0.5: flambeau.where(input.abs() > lambd, input, 0.0),
    "hardsigmoid": lambda input: (input / 6 + 0.5).clamp(0, 1),
    "hardtanh": lambda input, min_val=-1.0, max_val=1.0: input.clamp(min_val, max_val),
    "heaviside": lambda input, values: flambeau.where(input == 0, values, (input > 0).to(input.dtype)),
    "hypot": lambda input, other: (input * input + other * other).sqrt(),
    "lerp": lambda input, end, weight: input + weight * (end - input),
    "log10": lambda input: input.log() / math.log(10),
    "log1p": lambda input: (1 + input).log(),
    "log2": lambda input: input.log() / math.log(2),
    "logaddexp": lambda input, other: flambeau.stack(flambeau.broadcast_tensors(input, other)).logsumexp(0),
    "logaddexp2": lambda input, other: flambeau.logaddexp(input * math.log(2), other * math.log(2)) / math.log(2),
    "logit": lambda input, eps=None: _logit(input if eps is None else input.clamp(eps, 1 - eps)),
    "logsigmoid": lambda input: -flambeau.nn.functional.softplus(-input),
    "rad2deg": lambda input: input * (180 / math.pi),
    "relu6": lambda input: input.clamp(0, 6),
    "rsqrt": lambda input: 1 / input.sqrt(),
    "rsub": lambda input, other, *, alpha=1: other - alpha * input,
    "sgn": lambda input: input.sign(),
    "sinc": lambda input: flambeau.where(input == 0, 1.0, (input * math.pi).sin() / (input * math.pi)),
    "silu": lambda input: input * input.sigmoid(),
    "square": lambda input: input * input,
    "tanhshrink": lambda input: input - input.tanh(),
    "threshold": lambda input, threshold, value: flambeau.where(input > threshold, input, value),
    "true_divide": lambda input, other: input / other,
    "xlogy": lambda input, other: flambeau.where(input == 0, 0.0, input * other.log()),
    "trunc": lambda input: flambeau.where(input < 0, input.ceil(), input.floor()),
    # Products
    "addbmm": lambda input, batch1, batch2, *, beta=1, alpha=1: beta * input + alpha * batch1.bmm(batch2).sum(0),
    "addmv": lambda input, mat, vec, *, beta=1, alpha=1: beta * input + alpha * (mat @ vec),
    "addr": lambda input, vec1, vec2, *, beta=1, alpha=1: beta * input + alpha * vec1.outer(vec2),
    "baddbmm": lambda input, batch1, batch2, *, beta=1, alpha=1: beta * input + alpha * (batch1 @ batch2),
    "outer": lambda input, vec2: input.unsqueeze(1) * vec2,
    # Shapes and indices
    "argwhere": lambda input: input.nonzero(),
    "channel_shuffle": lambda input, groups: input.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2),
    "column_stack": lambda tensors: flambeau.cat([t if t.ndim > 1 else t.reshape(-1, 1) for t in tensors], 1),
    "diagflat": lambda input, offset=0: input.reshape(-1).diag_embed(offset),
    "diag": lambda input, diagonal=0: input.diagonal(diagonal) if input.ndim == 2 else input.diag_embed(diagonal),
    "fliplr": lambda input: input.flip(1),
    "flipud": lambda input: input.flip(0),
    "hstack": lambda tensors: flambeau.cat([_at_least_nd(t, 1) for t in tensors], int(tensors[0].ndim > 1)),
    "dstack": lambda tensors: flambeau.cat([_at_least_nd(t, 3) for t in tensors], 2),
    "index_fill": lambda input, dim, index, value: _put_slices(input, dim, index, value),
    "index_put": lambda input, indices, values, accumulate=False: _index_put(input, indices, values, accumulate),
    "one_hot": lambda input, num_classes=-1: (
        input.unsqueeze(-1) == flambeau.arange(int(input.max()) + 1 if num_classes < 0 else num_classes)
    ).long(),
    "take": lambda input, index: input.reshape(-1).index_select(0, index.reshape(-1)).reshape(index.shape),
    "take_along_dim": lambda input, indices, dim=None: (
        input.reshape(-1).gather(0, indices.reshape(-1)) if dim is None else input.gather(dim, indices)
    ),
    "trace": lambda input: input.diagonal().sum(),
    "vstack": lambda tensors: flambeau.cat([_at_least_nd(t, 2) for t in tensors]),
}


def decomposes(function: F) -> F:
    """Register a function as the decomposition of the operator with its name."""
    DECOMPOSITIONS[function.__name__] = function
    return function


def _logit(input: Tensor) -> Tensor:
    return (input / (1 - input)).log()


def _at_least_nd(tensor: Tensor, least: int) -> Tensor:
    """Add dimensions of size 1 until ``tensor`` has at least ``least`` dimensions (1, 2 or 3)."""
    if tensor.dim() >= least:
        return tensor
    return tensor.reshape(*[1] * (least - 1), -1) if least < 3 else _at_least_nd(tensor, 2).unsqueeze(-1)


def _at_least(*tensors: Tensor, least: int) -> Tensor | tuple[Tensor, ...]:
    raised = tuple(_at_least_nd(tensor, least) for tensor in tensors)
    return raised if len(raised) != 1 else raised[0]


for _least in (1, 2, 3):
    DECOMPOSITIONS[f"atleast_{_least}d"] = functools.partial(_at_least, least=_least)


def _index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool) -> Tensor:
    if accumulate:
        raise NotImplementedError("programs do not support index_put() with accumulate=True")
    return set_item(input, tuple(indices), values)


def _put_slices(input: Tensor, dim: int, index: Tensor, part: Any) -> Tensor:
    return set_item(input, (*[slice(None)] * (dim % input.ndim), index), part)


# Pointwise


@decomposes
def atan2(input: Tensor, other: Tensor) -> Tensor:
    half_turn = flambeau.where(input < 0, -math.pi, math.pi)
    angle = (input / other).atan() + flambeau.where(other < 0, half_turn, 0.0)
    return flambeau.where(other == 0, input.sign() * (math.pi / 2), angle)


@decomposes
def glu(input: Tensor, dim: int = -1) -> Tensor:
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


@decomposes
def nan_to_num(input: Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Tensor:
    if not input.is_floating_point():
        return input.clone()
    limits = flambeau.finfo(input.dtype)
    input = flambeau.where(input.isnan(), nan or 0.0, input)
    input = flambeau.where(input == math.inf, limits.max if posinf is None else posinf, input)
    return flambeau.where(input == -math.inf, limits.min if neginf is None else neginf, input)


@decomposes
def float_power(input: Any, exponent: Any) -> Any:
    is_complex = any((isinstance(x, Tensor) and x.is_complex()) or isinstance(x, complex) for x in (input, exponent))
    dtype = flambeau.complex128 if is_complex else flambeau.float64
    base, power = (x.to(dtype) if isinstance(x, Tensor) else x for x in (input, exponent))
    return base**power


@decomposes
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    dtype = flambeau.result_type(input, other)
    return input * flambeau.exp2(other.to(dtype if dtype.is_floating_point else flambeau.get_default_dtype()))


@decomposes
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    with flambeau.no_grad():
        same = input == other
        if equal_nan and input.is_floating_point():
            same = same | (input.isnan() & other.isnan())
        if not input.is_floating_point() and not input.is_complex():
            input, other = input.double(), other.double()
        near = (input - other).abs() <= atol + rtol * other.abs()
        result: Tensor = same | (near & (input - other).isfinite())
        return result


@decomposes
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    elements, tests = (x if isinstance(x, Tensor) else flambeau.tensor(x) for x in (elements, test_elements))
    matches: Tensor = (elements.unsqueeze(-1) == tests.reshape(-1)).any(-1)
    return ~matches if invert else matches


@decomposes
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    positions = flambeau.zeros(tuple(size), dtype=flambeau.int64) + (storage_offset or 0)
    for dim, (count, step) in enumerate(zip(size, stride, strict=True)):
        positions = positions + (flambeau.arange(count) * step).reshape(
            [-1 if d == dim else 1 for d in range(len(size))]
        )
    return input.take(positions)


@decomposes
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
    rows, columns = flambeau.arange(n, device=device), flambeau.arange(n if m is None else m, device=device)
    same = rows.unsqueeze(1) == columns
    return same.to(flambeau.get_default_dtype() if dtype is None else dtype)


@decomposes
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    if (dim1, dim2) != (-2, -1):
        raise NotImplementedError(f"programs support diag_embed() only with dim1=-2 and dim2=-1, got {dim1} and {dim2}")
    size = input.shape[-1] + abs(offset)
    padded = flambeau.nn.functional.pad(input, (max(offset, 0), max(-offset, 0)))
    rows, columns = flambeau.arange(size).unsqueeze(1), flambeau.arange(size)
    return flambeau.where(columns - rows == offset, padded.unsqueeze(-2 if offset >= 0 else -1), 0)


@decomposes
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Decompose the method ``unfold``, which returns sliding windows along one dimension."""
    count = (input.shape[dimension] - size) // step + 1
    positions = (flambeau.arange(count).unsqueeze(1) * step + flambeau.arange(size)).reshape(-1)
    windows = input.index_select(dimension, positions).unflatten(dimension, (count, size))
    return windows.movedim(dimension % input.ndim + 1, -1)


@decomposes
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Decompose einsum, in the contraction order for the operands' current sizes. Reshapes use traced sizes."""
    from flambeau._operators import einsum

    if not isinstance(equation, str):
        equation, operands = einsum._from_lists(equation, operands)
    shapes = [tensor.shape for tensor in operands]
    inputs, output, sizes = einsum._read(equation, tuple(tuple(map(plain, shape)) for shape in shapes))
    lengths: dict[str, Any] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, length in zip(labels, shape, strict=True):
            if plain(length) == sizes[label]:
                lengths.setdefault(label, length)
            # For a traced size, this comparison also records a requirement of the program.
            if length != (lengths[label] if plain(length) == sizes[label] else 1):
                raise AssertionError(
                    f"einsum: the equation {equation!r} does not fit operands of the shapes {[*map(list, shapes)]}"
                )
    tensors: list[Tensor] = list(operands)
    for step in einsum.plan(inputs, output, sizes, [tuple(map(plain, shape)) for shape in shapes], lengths):
        step(tensors)
    return tensors[0]


@decomposes
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    together = flambeau.zeros((), dtype=flambeau.bool)
    for tensor in tensors:
        together = together | flambeau.zeros_like(tensor, dtype=flambeau.bool)
    return tuple(tensor.expand_as(together) for tensor in tensors)


def _shift_frequencies(input: Tensor, dim: Any = None, *, forwards: bool) -> Tensor:
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return input.roll([input.shape[d] // 2 if forwards else -(input.shape[d] // 2) for d in dims], dims)


DECOMPOSITIONS["fftshift"] = functools.partial(_shift_frequencies, forwards=True)
DECOMPOSITIONS["ifftshift"] = functools.partial(_shift_frequencies, forwards=False)


@decomposes
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    out = input.clone()
    out.select(dim, index).copy_(src)
    return out


@decomposes
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    out = input.clone()
    out.diagonal(offset, dim1, dim2).copy_(src)
    return out


@decomposes
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1
) -> Tensor:
    out = input.clone()
    out[(slice(None),) * (dim % out.dim()) + (slice(start, end, step),)].copy_(src)
    return out


# Sums


@decomposes
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    dims = () if dim is None else dim
    return input.amin(dims, keepdim), input.amax(dims, keepdim)


@decomposes
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    values, positions = input.topk(k, dim, largest=False)
    results = values.narrow(dim, k - 1, 1), positions.narrow(dim, k - 1, 1)
    return results if keepdim else (results[0].squeeze(dim), results[1].squeeze(dim))


@decomposes
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    return flambeau.where(input.isnan(), 0, input).sum(dim, keepdim, dtype=dtype)


@decomposes
def nanprod(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    return flambeau.where(input.isnan(), 1, input).prod(dim, keepdim, dtype=dtype)


def _moments(input: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> tuple[Tensor, Tensor]:
    dims = tuple(range(input.ndim)) if dim is None or dim == () else (dim,) if isinstance(dim, int) else tuple(dim)
    fewer = int(unbiased) if unbiased is not None else 1 if correction is None else correction
    count = math.prod(input.shape[d] for d in dims)
    mean = input.mean(dims, keepdim=True)
    squares = (input - mean) * (input - mean)
    return squares.sum(dims, keepdim=keepdim) / (count - fewer), mean if keepdim else mean.squeeze(dims)


@decomposes
def var(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _moments(input, dim, unbiased, keepdim, correction)[0]


@decomposes
def std(*args: Any, **kwargs: Any) -> Tensor:
    return var(*args, **kwargs).sqrt()


@decomposes
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _moments(input, dim, unbiased, keepdim, correction)


@decomposes
def std_mean(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    variance, mean = var_mean(*args, **kwargs)
    return variance.sqrt(), mean


@decomposes
def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    dims = tuple(range(x.ndim)) if dim is None else dim
    sizes = (x if dtype is None else x.to(dtype)).abs()
    if ord == math.inf:
        return sizes.amax(dims, keepdim)
    if ord == -math.inf:
        return sizes.amin(dims, keepdim)
    if ord == 0:
        return (sizes != 0).to(sizes.dtype).sum(dims, keepdim)
    if ord in (1, 2):
        return sizes.sum(dims, keepdim) if ord == 1 else (sizes * sizes).sum(dims, keepdim).sqrt()
    return (sizes**ord).sum(dims, keepdim) ** (1 / ord)


@decomposes
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    return (input != 0).sum(dim)


# Distances


@decomposes
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    lengths = [(x * x).sum(dim).sqrt().clamp(min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (lengths[0] * lengths[1])


@decomposes
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@decomposes
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


@decomposes
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    i, j = flambeau.triu_indices(len(input), len(input), 1)
    return vector_norm(input[i] - input[j], p, -1)


# Changes in place


def put_at(whole: Tensor, positions: Tensor, part: Any) -> Tensor:
    """Return a copy of ``whole`` with ``part`` at the flat indices ``positions``."""
    part = part.to(whole.dtype) if isinstance(part, Tensor) else whole.new_full((), part)
    flat = whole.reshape(-1).scatter(0, positions.reshape(-1), part.expand(positions.shape).reshape(-1))
    return flat.reshape(whole.shape)


def set_item(whole: Tensor, key: Any, part: Any) -> Tensor:
    """Return a copy of ``whole`` after ``whole[key] = part``."""
    if isinstance(key, Tensor) and key.dtype == flambeau.bool:
        mask = key.reshape(*key.shape, *[1] * (whole.ndim - key.ndim))
        return flambeau.where(mask, part, whole).to(whole.dtype)
    positions = flambeau.arange(whole.numel()).reshape(whole.shape)[key]
    return put_at(whole, positions, part)


IN_PLACE: dict[str, Callable[..., Tensor]] = {
    "__setitem__": set_item,
    "copy_": lambda input, src, non_blocking=False: src.to(input.dtype).expand(input.shape),
    "fill_": lambda input, value: (
        value.to(input.dtype).expand(input.shape) if isinstance(value, Tensor) else flambeau.full_like(input, value)
    ),
    "zero_": lambda input: flambeau.zeros_like(input),
    "normal_": lambda input, mean=0, std=1, *, generator=None: flambeau.randn_like(input) * std + mean,
    "uniform_": lambda input, a=0, b=1, *, generator=None: flambeau.rand_like(input) * (b - a) + a,
}
