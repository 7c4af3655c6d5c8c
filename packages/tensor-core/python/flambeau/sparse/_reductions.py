"""Reductions of sparse tensors: sums, softmax and norms."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor
from flambeau.sparse._conversion import to_coo, to_layout_of
from flambeau.sparse._coo import CooTensor, flat_keys, from_cache, summed
from flambeau.sparse._pointwise import merged
from flambeau.sparse._shapes import dimension
from flambeau.sparse._tensor import implements


@implements("sum")
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over all or some dimensions. The result is sparse if a sparse dimension remains.

    Gradient: defined for the values.
    """
    if input.dtype is flambeau.bool:  # count duplicate entries once
        input = merged(input)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        total: Tensor = input._val.sum(dtype=dtype)
        return total.reshape((1,) * input.ndim) if keepdim else total
    if isinstance(input, CompressedTensor) and not keepdim:
        raise RuntimeError("reduction operations on CSR tensors with keepdim=False is unsupported")
    listed = (dim,) if isinstance(dim, int) else tuple(dim)
    dims = {dimension(axis, input.ndim) for axis in listed}
    if len(dims) != len(listed):
        raise RuntimeError(f"sum: a dimension appears multiple times in {list(listed)}")
    coo = to_coo(input)
    count = coo.sparse_dim()
    values = coo._val
    dense = [axis - count + 1 for axis in dims if axis >= count]
    if dense:
        values = values.sum(dense, dtype=dtype, keepdim=keepdim)
    remaining = [axis for axis in range(count) if axis not in dims]
    if not remaining:
        values = values.sum(0, dtype=dtype)
        return values.reshape((1,) * count + tuple(values.shape)) if keepdim else values
    if dtype is not None or not (values.is_floating_point() or values.is_complex()):
        values = values.to(dtype or flambeau.int64)
    indices = coo._ind if len(remaining) == count else coo._ind[remaining]
    coalesced = coo._coal and len(remaining) == count
    size = [1 if axis in dims else length for axis, length in enumerate(coo._size) if keepdim or axis not in dims]
    if keepdim:
        indices = flambeau.stack(
            [coo._ind[axis] if axis not in dims else flambeau.zeros_like(coo._ind[axis]) for axis in range(count)]
        )
    result = CooTensor.of(indices, values, size, coalesced).coalesce()
    return to_layout_of(result, input)


@implements("_sparse_softmax", "softmax")
def softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the softmax over the stored elements along a dimension. Gradient: defined for the values."""
    return _normalised(input, dim, dtype, logarithm=False)


@implements("_sparse_log_softmax", "log_softmax")
def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the logarithm of `softmax`."""
    return _normalised(input, dim, dtype, logarithm=True)


def _normalised(input: Any, dim: int, dtype: Any, logarithm: bool) -> Tensor:
    coo = to_coo(input).coalesce()
    values = coo._val if dtype is None else coo._val.to(dtype)
    if not values.is_floating_point():
        raise NotImplementedError(f"softmax: not implemented for {values.dtype}")
    dim, count = dimension(dim, coo.ndim), coo.sparse_dim()
    if dim >= count:
        function = flambeau.log_softmax if logarithm else flambeau.softmax
        result = coo._like(function(values, dim - count + 1))
    elif values.numel() == 0:
        result = coo._like(values)
    else:
        result = coo._like(_over_groups(values, *_groups(coo, dim), logarithm))
    return to_layout_of(result, input)


def _groups(coo: CooTensor, dim: int) -> tuple[Tensor, int]:
    """Number the slices along a sparse dimension: return the slice number of each element, and the number of slices."""

    def find(tensor: CooTensor) -> tuple[Tensor, int]:
        others = [axis for axis in range(tensor.sparse_dim()) if axis != dim]
        keys = flat_keys(tensor._ind[others], [tensor._size[axis] for axis in others])
        unique, groups = flambeau.unique(keys, return_inverse=True)
        return groups, unique.shape[0]

    groups: tuple[Tensor, int] = from_cache(coo, f"slices along {dim}", find)
    return groups


def _over_groups(values: Tensor, groups: Tensor, count: int, logarithm: bool) -> Tensor:
    fixed = values.detach()
    lowest = flambeau.full((count, *values.shape[1:]), -flambeau.inf, dtype=values.dtype, device=values.device)
    largest = lowest.index_reduce(0, groups, fixed, "amax")
    shifted = values - largest.index_select(0, groups)
    powers = shifted.exp()
    totals = summed(powers, groups, count)
    if logarithm:
        return shifted - totals.log().index_select(0, groups)
    return powers / totals.index_select(0, groups)


@implements("any")
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return True if any element is not 0."""
    if dim is not None:
        raise NotImplementedError(
            "any: dim is not supported for sparse tensors, only the reduction over all dimensions"
        )
    return to_coo(input).coalesce()._val.any()


@implements("frobenius_norm")
def frobenius_norm(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return the 2-norm of all elements."""
    return norm(input, "fro", dim, keepdim)


@implements("norm", "vector_norm", "linalg_vector_norm")
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Return the p-norm of all elements."""
    if keepdim:
        raise RuntimeError("norm_sparse currently does not support keepdim=True")
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if dims and {dimension(axis, input.ndim) for axis in dims} != set(range(input.ndim)):
            raise RuntimeError(
                "norm_sparse currently only supports full reductions, so 'dim' must either be empty or contain all "
                "dimensions of the input"
            )
    if dtype is not None and p in ("fro", None):
        raise ValueError("dtype argument is not supported in frobenius norm")
    if dtype is not None:
        raise RuntimeError("norm_sparse currently does not support 'dtype' argument")
    order = 2.0 if p in ("fro", None) else float(p)
    if order < 0:
        raise NotImplementedError(f"norm: p must not be negative for a sparse tensor, got p={p}")
    return flambeau.norm(to_coo(input).coalesce()._val.reshape(-1), order)


@implements("mean")
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Raise NotImplementedError, as in PyTorch. Divide the sum by the number of elements instead."""
    raise NotImplementedError(
        f"mean: not implemented for tensors of the layout {input.layout}; divide sum() by numel()"
    )


@implements("count_nonzero")
def count_nonzero(input: Any, dim: Any = None) -> Tensor:
    """Return the number of elements that are not 0."""
    if dim is not None:
        raise NotImplementedError(
            "count_nonzero: dim is not supported for sparse tensors, only the reduction over all dimensions"
        )
    return flambeau.count_nonzero(to_coo(input).coalesce()._val)
