"""Indexing of sparse tensors: slices, elements and masks."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor, offsets_of
from flambeau.sparse._conversion import clone, elements_of_rows, to_coo, to_layout_of, with_values
from flambeau.sparse._coo import CooTensor, looked_up
from flambeau.sparse._shapes import dimension, unsqueeze, wrapped_dim_and_kind
from flambeau.sparse._tensor import SparseTensor, implements


@implements("index_select")
def index_select(tensor: Any, dim: int, index: Tensor) -> Tensor:
    """Select the slices at ``index``. Gradient: defined for the values."""
    coo = to_coo(tensor)
    dim, sparse = wrapped_dim_and_kind(dim, coo)
    if index.ndim > 1 or index.dtype not in (flambeau.int64, flambeau.int32):
        raise RuntimeError(
            f"index_select(): Expected a 1-D index tensor of int32 or int64, got {index.ndim}-D of {index.dtype}"
        )
    index = index.reshape(-1).long()
    size = list(coo._size)
    length, size[dim] = size[dim], index.shape[0]
    if index.numel() and (int(index.amin()) < -length or int(index.amax()) >= length):
        raise IndexError(f"index_select(): index contains values outside of [{-length}, {length})")
    index = flambeau.where(index < 0, index + length, index)
    if not sparse:
        values = coo._val.index_select(dim - coo.sparse_dim() + 1, index)
        return CooTensor.of(coo._ind, values, size, coo._coal)
    where, order = flambeau.sort(coo._ind[dim], stable=True)
    offsets = offsets_of(where, length)
    target, element = elements_of_rows(offsets, index)
    source = order.index_select(0, element)
    indices = coo._ind.index_select(1, source)
    indices[dim] = target
    result = CooTensor.of(indices, coo._val.index_select(0, source), size, coo._coal and dim == 0)
    return to_layout_of(result, tensor)


@implements("select_copy")
def select_copy(tensor: Any, dim: int, index: int) -> Tensor:
    """Select the slice at an index, as a copy. See `select`."""
    selected = select(tensor, dim, index)
    return clone(selected) if isinstance(selected, SparseTensor) else selected


@implements("select")
def select(tensor: Any, dim: int, index: int) -> Tensor:
    """Select the slice at an index and remove the dimension. The result is strided if no sparse dimension remains.

    A row or column of a compressed tensor is a COO tensor.
    """
    dim = dimension(dim, tensor.ndim)
    length = tensor._size[dim]
    if not -length <= index < length:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(tensor._size)} at dimension {dim}"
        )
    index = int(index) % length
    size = [*tensor._size[:dim], *tensor._size[dim + 1 :]]
    if isinstance(tensor, CompressedTensor) and dim < tensor._batch_dims:
        offsets, indices = tensor._ptr.select(dim, index), tensor._idx.select(dim, index)
        return tensor.of(offsets, indices, tensor._val.select(dim, index), size)
    if isinstance(tensor, CompressedTensor) and dim >= tensor._batch_dims + 2:
        values = tensor._val.select(dim - 1 + tensor.block_dims, index)
        return tensor.of(tensor._ptr, tensor._idx, values, size)
    if isinstance(tensor, CompressedTensor) and tensor._batch_dims:
        raise NotImplementedError(
            "selecting sparse dimensions is not implemented for batched sparse compressed tensors; select a matrix of "
            "the batch first"
        )
    coo = to_coo(tensor)
    dim, sparse = wrapped_dim_and_kind(dim, coo)
    if not sparse:
        return CooTensor.of(coo._ind, coo._val.select(dim - coo.sparse_dim() + 1, index), size, coo._coal)
    positions = (coo._ind[dim] == index).nonzero().reshape(-1)
    values = coo._val.index_select(0, positions)
    if coo.sparse_dim() == 1:
        return values.sum(0, dtype=values.dtype) if values.dtype is not flambeau.bool else values.any(0)
    others = [axis for axis in range(coo.sparse_dim()) if axis != dim]
    return CooTensor.of(coo._ind[others].index_select(1, positions), values, size, coo._coal)


@implements("narrow_copy")
def narrow_copy(tensor: Any, dim: int, start: Any, length: int) -> Tensor:
    """Select ``length`` slices from ``start`` on."""
    if not 0 <= dim < tensor.ndim:
        raise RuntimeError(f"Dimension {dim} out of range. Expecting 0 <= dim < {tensor.ndim}.")
    return narrow(tensor, dim, start, length)


@implements("narrow")
def narrow(tensor: Any, dim: int, start: Any, length: int) -> Tensor:
    """Select ``length`` slices from ``start`` on. The result is a copy, not a view."""
    coo = to_coo(tensor)
    dim, sparse = wrapped_dim_and_kind(dim, coo)
    start = int(start)
    start = start + coo._size[dim] if start < 0 else start
    if length < 0 or start < 0 or start + length > coo._size[dim]:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({coo._size[dim]}).")
    size = list(coo._size)
    size[dim] = length
    if not sparse:
        values = coo._val.narrow(dim - coo.sparse_dim() + 1, start, length)
        result = CooTensor.of(coo._ind, values, size, coo._coal)
    else:
        positions = ((coo._ind[dim] >= start) & (coo._ind[dim] < start + length)).nonzero().reshape(-1)
        indices = coo._ind.index_select(1, positions)
        indices[dim] -= start
        result = CooTensor.of(indices, coo._val.index_select(0, positions), size, coo._coal)
    return to_layout_of(result, tensor)


@implements("__getitem__")
def get_item(tensor: Tensor, key: Any) -> Tensor:
    """Index with integers, slices, ``...``, None, and lists or 1-D tensors that index one dimension."""
    keys = list(key) if isinstance(key, tuple) else [key]
    there = sum(1 for one in keys if one is not None and one is not Ellipsis)
    if there > tensor.ndim:
        raise IndexError(f"too many indices for tensor of dimension {tensor.ndim}")
    if not any(one is Ellipsis for one in keys):
        keys.append(Ellipsis)
    at = next(axis for axis, one in enumerate(keys) if one is Ellipsis)
    keys[at : at + 1] = [slice(None)] * (tensor.ndim - there)
    result, dim = tensor, 0
    for one in keys:
        result, dim = _item(result, dim, one)
    return result


def _item(tensor: Any, dim: int, key: Any) -> tuple[Any, int]:
    """Apply a key to a dimension. Return the result and the next dimension."""
    if isinstance(key, Tensor) and key.ndim == 0 and not key.is_floating_point() and key.dtype is not flambeau.bool:
        key = int(key)
    if key is None:
        return (unsqueeze(tensor, dim) if isinstance(tensor, SparseTensor) else tensor.unsqueeze(dim)), dim + 1
    if isinstance(key, slice):
        start, stop, step = key.indices(tensor.shape[dim])
        if step != 1:
            if step < 0:
                raise ValueError("step must be greater than zero")
            return flambeau.index_select(tensor, dim, flambeau.arange(start, max(start, stop), step)), dim + 1
        length = max(0, stop - start)
        whole = length == tensor.shape[dim]
        return (tensor if whole else flambeau.narrow(tensor, dim, min(start, tensor.shape[dim]), length)), dim + 1
    if isinstance(key, (list, Tensor)):
        index = flambeau.as_tensor(key)
        if index.dtype is flambeau.bool and index.ndim == 1 and index.shape[0] == tensor.shape[dim]:
            index = index.nonzero().reshape(-1)
        if index.ndim == 1 and not isinstance(index, SparseTensor):
            return flambeau.index_select(tensor, dim, index), dim + 1
        raise NotImplementedError("a sparse tensor supports only integers, slices, lists and 1-D tensors as indices")
    return flambeau.select(tensor, dim, int(key)), dim


@implements("__setitem__")
def set_item(tensor: Tensor, key: Any, value: Any) -> NoReturn:
    """Raise TypeError: elements of a sparse tensor cannot be assigned."""
    if isinstance(tensor, SparseTensor):
        raise TypeError("Cannot assign to a sparse tensor")
    raise NotImplementedError("a sparse tensor cannot be assigned to elements of a strided one; use .to_dense()")


@implements("unbind", "__iter__")
def unbind(tensor: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the slices along a dimension."""
    if tensor.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return tuple(select(tensor, dim, index) for index in range(tensor._size[dimension(dim, tensor.ndim)]))


@implements("sparse_mask")
def sparse_mask(tensor: Any, mask: Any) -> Any:
    """Select the elements of a strided or sparse tensor at the indices of ``mask``.

    Gradient: defined for the elements.
    """
    if not isinstance(mask, SparseTensor):
        raise RuntimeError(f"sparse_mask(): the mask must be sparse, got the layout {mask.layout}")
    if tuple(tensor.shape) != tuple(mask._size):
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(tensor.shape)} but mask has size "
            f"{list(mask._size)}"
        )
    coo = to_coo(mask)
    if isinstance(tensor, SparseTensor):
        values = to_coo(tensor)
        if values.sparse_dim() != coo.sparse_dim():
            raise RuntimeError(
                f"sparse_mask(): self has {values.sparse_dim()} sparse dimensions, but the mask has {coo.sparse_dim()}"
            )
        masked = coo._like(looked_up(values, coo._ind))
    else:
        masked = coo._like(tensor[tuple(coo._ind)] if coo.sparse_dim() else tensor.expand(coo._nnz(), *tensor.shape))
    return with_values(mask, masked._val) if isinstance(mask, CompressedTensor) else masked
