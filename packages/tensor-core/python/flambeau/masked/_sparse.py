"""Masked reductions of sparse tensors.

The mask alone determines which elements are included. Included elements that the tensor does not store are 0.
"""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.sparse._conversion import from_dense, to_coo, to_sparse
from flambeau.sparse._coo import CooTensor, flat_keys, looked_up, summed
from flambeau.sparse._shapes import broadcast_to

from ._masks import _canonical_dim, _reduction_identity


def input_mask(input: Any, mask: Any) -> Tensor:
    """Return a mask with the dtype bool and the shape and layout of a sparse tensor."""
    result = _mask_for(to_coo(input), mask)
    return result if isinstance(input, CooTensor) else to_sparse(result, layout=input.layout)


def _mask_for(input: CooTensor, mask: Any) -> CooTensor:
    if mask.layout is flambeau.strided:
        return from_dense(flambeau.broadcast_to(mask, input.shape).to(flambeau.bool), input.sparse_dim())
    result = broadcast_to(to_coo(mask), input._size).coalesce()
    result = result._like(result._val.to(flambeau.bool))
    return result if result.sparse_dim() == input.sparse_dim() else from_dense(result.to_dense(), input.sparse_dim())


def reduced(name: str, input: Any, dim: Any, keepdim: bool, dtype: Any, mask: Any) -> Tensor:
    """Return the reduction ``name`` of the included elements of a COO or CSR tensor, in the same layout."""
    kind = str(input.layout).rpartition(".")[2]
    if kind not in ("sparse_coo", "sparse_csr"):
        raise ValueError(f"masked {name} expects strided, sparse_coo or sparse_csr tensor (got {input.layout} tensor)")
    if name == "mean" and kind == "sparse_coo":
        raise ValueError(f"masked mean expects strided or sparse_csr tensor (got {input.layout} tensor)")
    if mask is None and name != "sum":
        raise ValueError(f"masked {name} expects explicit mask for {kind} tensor input")
    if kind == "sparse_csr" and not keepdim:
        raise RuntimeError("reduction operations on CSR tensors with keepdim=False is unsupported")
    dims = _canonical_dim(dim, input.ndim)
    coo = to_coo(input)
    coo = coo.coalesce() if mask is None else _select_included(name, coo, _mask_for(coo, mask))
    coo = coo._like(coo._val.to(dtype))
    if name == "mean":
        total, count = (
            _reduce_dims(each, "sum", dims, keepdim) for each in (coo, coo._like(flambeau.ones_like(coo._val)))
        )
        result = total._like(total._val / count._val)
    else:
        result = _reduce_dims(coo, name, dims, keepdim)
    return result if kind == "sparse_coo" else to_sparse(result, layout=input.layout)


def _select_included(name: str, input: CooTensor, mask: CooTensor) -> CooTensor:
    """Return a tensor that stores exactly the included elements.

    In the dense part of a hybrid tensor, other elements become the identity of the reduction.
    """
    hybrid = mask.dense_dim() > 0
    included = (mask._val.flatten(1).any(1) if hybrid else mask._val).nonzero().reshape(-1)
    indices = mask._ind.index_select(1, included)
    values = looked_up(input, indices)
    if hybrid:
        identity: Any = _reduction_identity(name, values)
        values = flambeau.where(mask._val.index_select(0, included), values, identity)
    return CooTensor.of(indices, values, input._size, True)


def _reduce_dims(coo: CooTensor, name: str, dims: tuple[int, ...], keepdim: bool) -> CooTensor:
    """Reduce the stored elements over dimensions."""
    count, values = coo.sparse_dim(), coo._val
    for dim in reversed(dims):
        if dim >= count:
            values = _reduce_dim(name, values, dim - count + 1, keepdim)
    size = [1 if dim in dims else length for dim, length in enumerate(coo._size) if keepdim or dim not in dims]
    remaining = [dim for dim in range(count) if dim not in dims]
    if not remaining:
        return from_dense(_reduce_dim(name, values, 0, False).reshape(size))
    if len(remaining) == count:
        return CooTensor.of(coo._ind, values, size, coo._coal)
    sizes = [coo._size[dim] for dim in remaining]
    keys, groups = flambeau.unique(flat_keys(coo._ind[remaining], sizes), return_inverse=True)
    rows = dict(zip(remaining, flambeau.unravel_index(keys, sizes), strict=True))
    indices = [rows.get(dim, flambeau.zeros_like(keys)) for dim in range(count) if keepdim or dim in rows]
    return CooTensor.of(flambeau.stack(indices), _reduce_groups(name, values, groups, keys.shape[0]), size, True)


def _reduce_dim(name: str, values: Tensor, dim: int, keepdim: bool) -> Tensor:
    if name in ("sum", "prod"):
        result = getattr(values, name)(dim, keepdim=keepdim, dtype=values.dtype)
    elif values.shape[dim]:
        result = getattr(values, name)(dim, keepdim)
    else:
        size = [1 if axis == dim else length for axis, length in enumerate(values.shape) if keepdim or axis != dim]
        identity: Any = _reduction_identity(name, values)
        result = identity.expand(size)
    return result  # type: ignore[no-any-return]


def _reduce_groups(name: str, values: Tensor, groups: Tensor, count: int) -> Tensor:
    if name == "sum":
        return summed(values, groups, count)
    identity: Any = _reduction_identity(name, values)
    start = identity.expand(count, *values.shape[1:]).clone()
    result: Tensor = start.index_reduce(0, groups, values, name, include_self=name == "prod")
    return result
