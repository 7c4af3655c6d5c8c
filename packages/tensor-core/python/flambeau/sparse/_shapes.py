"""Transposition, concatenation, broadcasting, and insertion and removal of dimensions of size 1."""

from __future__ import annotations

import math
from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._compressed import BscTensor, BsrTensor, CompressedTensor, CscTensor, CsrTensor
from flambeau.sparse._conversion import to_coo, to_layout_of
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._tensor import SparseTensor, implements


def dimension(dim: int, count: int) -> int:
    """Return a dimension as a non-negative number. Raise IndexError if it is out of range."""
    if not -count <= dim < count:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {dim})")
    return dim % count


def wrapped_dim_and_kind(dim: int, tensor: CooTensor) -> tuple[int, bool]:
    """Return a dimension as a non-negative number, and True if it is sparse."""
    dim = dimension(dim, tensor.ndim)
    return dim, dim < tensor.sparse_dim()


@implements("transpose", "swapaxes", "swapdims")
def transpose(tensor: SparseTensor, dim0: int, dim1: int) -> SparseTensor:
    """Swap two batch dimensions, two sparse or two dense dimensions. A transposed CSR matrix has the layout CSC."""
    first, second = dimension(dim0, tensor.ndim), dimension(dim1, tensor.ndim)
    order = list(range(tensor.ndim))
    order[first], order[second] = second, first
    if isinstance(tensor, CompressedTensor):
        kinds = [_kind_of_dimension(tensor, dim) for dim in (first, second)]
        if kinds[0] != kinds[1]:
            raise RuntimeError(
                "transpose(): can only transpose dimensions of the same type (Batch, Sparse, Dense), got "
                f"{first}({kinds[0]}) and {second}({kinds[1]})"
            )
        return _permuted_compressed(tensor, order)
    if first == second:
        return tensor._like(tensor._val)
    if max(first, second) >= tensor.sparse_dim() > min(first, second):
        raise RuntimeError(
            "sparse transpose: transposed dimensions must be sparse. "
            f"Got sparse_dim: {tensor.sparse_dim()}, d0: {first}, d1: {second}"
        )
    return _permuted(to_coo(tensor), order)


def _kind_of_dimension(tensor: CompressedTensor, dim: int) -> str:
    dim -= tensor._batch_dims
    return "Batch" if dim < 0 else "Sparse" if dim < 2 else "Dense"


_TRANSPOSED = {CsrTensor: CscTensor, CscTensor: CsrTensor, BsrTensor: BscTensor, BscTensor: BsrTensor}


def _permuted_compressed(tensor: CompressedTensor, order: list[int]) -> CompressedTensor:
    """Permute batch dimensions, rows and columns, and dense dimensions. Swapped rows and columns change the layout."""
    batch, block = tensor._batch_dims, list(range(tensor._batch_dims + 1, tensor._batch_dims + 1 + tensor.block_dims))
    swapped = order[batch] != batch
    kind: type[CompressedTensor] = _TRANSPOSED[type(tensor)] if swapped else type(tensor)
    entries = [*order[:batch], batch]
    dense = [dim - 1 + tensor.block_dims for dim in order[batch + 2 :]]
    values = tensor._val.permute(*entries, *(block[::-1] if swapped else block), *dense)
    offsets, indices = tensor._ptr.permute(*entries), tensor._idx.permute(*entries)
    return kind.of(offsets, indices, values, [tensor._size[dim] for dim in order])


@implements("permute")
def permute(tensor: Any, *axes: Any, dims: Any = None) -> SparseTensor:
    """Permute the dimensions. Sparse dimensions must stay before dense dimensions."""
    listed = axes if dims is None else dims
    listed = list(listed[0] if len(listed) == 1 and not isinstance(listed[0], int) else listed)
    order = [dimension(dim, tensor.ndim) for dim in listed]
    if len(order) != tensor.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {tensor.ndim} is not equal to len(dims) = {len(order)}"
        )
    if len(set(order)) != len(order):
        raise RuntimeError("permute: duplicate dims are not allowed.")
    if isinstance(tensor, CompressedTensor):
        if any(_kind_of_dimension(tensor, dim) != _kind_of_dimension(tensor, at) for at, dim in enumerate(order)):
            raise RuntimeError("permute: only dimensions of the same type (batch, sparse, dense) can be exchanged")
        return _permuted_compressed(tensor, order)
    result = _permuted(tensor, order)
    return result._coalesced_(tensor._coal and listed == list(range(tensor.ndim)))  # as in PyTorch


def _permuted(tensor: CooTensor, order: list[int]) -> CooTensor:
    """Return a COO tensor with permuted dimensions. It stays coalesced only if no sparse dimension moves."""
    count = tensor.sparse_dim()
    if any(dim >= count for dim in order[:count]):
        raise RuntimeError(
            "permute(sparse_coo): transpositions between sparse and dense dimensions are not allowed. "
            "Only transpositions within sparse and dense dimensions are supported."
        )
    size = [tensor._size[dim] for dim in order]
    indices, values = tensor._ind, tensor._val
    moved = order[:count] != list(range(count))
    if moved:
        indices = flambeau.stack([indices[dim] for dim in order[:count]])
    if order[count:] != list(range(count, tensor.ndim)):
        values = values.permute(0, *(dim - count + 1 for dim in order[count:]))
    result = CooTensor.of(indices, values, size, tensor._coal and not moved)
    _reuse_pattern(tensor, result, moved)
    return result


def _reuse_pattern(tensor: CooTensor, transposed: CooTensor, moved: bool) -> None:
    """Reuse the cached pattern of a matrix for its transpose. ``moved`` is True if the dimensions were swapped."""
    cached = tensor._known.get("pattern")
    if moved and tensor.ndim == 2 and cached is not None and cached[0] == tensor._versions():
        transposed._known["pattern"] = transposed._versions(), cached[1].transposed


@implements("movedim", "moveaxis")
def movedim(tensor: SparseTensor, source: Any, destination: Any) -> SparseTensor:
    """Move dimensions to other positions. The other dimensions keep their order."""
    pairs = ([source], [destination]) if isinstance(source, int) else (list(source), list(destination))
    sources, targets = ([dimension(dim, tensor.ndim) for dim in dims] for dims in pairs)
    if not len(sources) == len(targets) == len(set(sources)) == len(set(targets)):
        raise RuntimeError(
            f"movedim: expected the same number of distinct dimensions in source and destination, got {source} and "
            f"{destination}"
        )
    order = [dim for dim in range(tensor.ndim) if dim not in sources]
    for target, dim in sorted(zip(targets, sources, strict=True)):
        order.insert(target, dim)
    return permute(tensor, order)


@implements("t")
def t(tensor: Any) -> SparseTensor:
    """Return the transpose of a matrix."""
    if tensor.ndim > 2 or tensor.dense_dim():
        raise RuntimeError(
            "t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got "
            f"{tensor.sparse_dim()} sparse and {tensor.dense_dim()} dense dimensions"
        )
    return transpose(tensor, 0, 1) if tensor.ndim == 2 else tensor._like(tensor._val)


@implements(".T", ".mT")
def transposed(tensor: Any) -> SparseTensor:
    """Return the transpose of a matrix."""
    return transpose(tensor, -2, -1)


@implements(".H", ".mH", "adjoint")
def adjoint(tensor: Any) -> SparseTensor:
    """Return the conjugate transpose of a matrix."""
    swapped = transpose(tensor, -2, -1)
    return swapped._like(swapped._val.conj()) if tensor.is_complex() else swapped


@implements("cat", "concat", "concatenate")
def cat(tensors: Any, dim: int = 0) -> SparseTensor:
    """Concatenate sparse tensors along a sparse or a dense dimension."""
    parts = list(tensors)
    for position, part in enumerate(parts):
        if not isinstance(part, SparseTensor):
            raise RuntimeError(f"Concatenating sparse tensors, but a dense tensor was found at position {position}.")
    if any(isinstance(part, CompressedTensor) for part in parts):
        joined: Any = cat([to_coo(part) for part in parts], dim)
        return to_layout_of(joined, parts[0])
    first: CooTensor = parts[0]
    dim, sparse = wrapped_dim_and_kind(dim, first)
    for position, part in enumerate(parts):
        if part.sparse_dim() != first.sparse_dim() or part.ndim != first.ndim:
            raise RuntimeError(
                "All tensors must have the same sparse_dim and dense_dim: "
                f"{first.sparse_dim()}, {first.dense_dim()}, but tensor at position {position} has "
                f"{part.sparse_dim()}, {part.dense_dim()}."
            )
        if _sizes_without(part, dim) != _sizes_without(first, dim):
            raise RuntimeError(
                f"All tensors must have the same shape: {list(first._size)} (except in the concatenating dimension), "
                f"but found shape: {list(part._size)} at position {position}"
            )
    size = list(first._size)
    size[dim] = sum(part._size[dim] for part in parts)
    dtype = parts[0].dtype
    for part in parts[1:]:
        dtype = flambeau.promote_types(dtype, part.dtype)
    values, indices, begin = [], [], 0
    for part in parts:
        value, index = part._val.to(dtype), part._ind
        if sparse:
            index = _shifted(index, dim, begin) if begin else index
        else:
            around = [0, 0] * (first.ndim - dim - 1) + [begin, size[dim] - begin - part._size[dim]]
            value = flambeau.constant_pad_nd(value, around)
        values.append(value)
        indices.append(index)
        begin += part._size[dim]
    coalesced = sparse and dim == 0 and all(part._coal for part in parts)
    return CooTensor.of(flambeau.cat(indices, 1), flambeau.cat(values), size, coalesced)


def _sizes_without(tensor: CooTensor, dim: int) -> list[int]:
    return [length for axis, length in enumerate(tensor._size) if axis != dim]


def _shifted(indices: Tensor, dim: int, by: int) -> Tensor:
    moved = indices.clone()
    moved[dim] += by
    return moved


@implements("stack")
def stack(tensors: Any, dim: int = 0) -> SparseTensor:
    """Join sparse tensors of equal size along a new dimension."""
    parts = list(tensors)
    axis = dimension(dim, parts[0].ndim + 1)
    return cat([unsqueeze(to_coo(part), axis) for part in parts], axis)


@implements("hstack")
def hstack(tensors: Any) -> SparseTensor:
    """Concatenate along the second dimension, or along the first for 1-D tensors."""
    parts = list(tensors)
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@implements("vstack", "row_stack")
def vstack(tensors: Any) -> SparseTensor:
    """Concatenate along the first dimension. 1-D tensors become rows."""
    return cat([unsqueeze(part, 0) if part.ndim == 1 else part for part in tensors], 0)


@implements("unsqueeze")
def unsqueeze(tensor: Any, dim: int) -> CooTensor:
    """Insert a dimension of size 1. It is sparse if it is before or directly after the sparse dimensions."""
    tensor = to_coo(tensor)
    dim, count = dimension(dim, tensor.ndim + 1), tensor.sparse_dim()
    size = [*tensor._size[:dim], 1, *tensor._size[dim:]]
    if dim > count:
        return CooTensor.of(tensor._ind, tensor._val.unsqueeze(dim - count + 1), size, tensor._coal)
    zeros = tensor._ind.new_zeros((1, tensor._ind.shape[1]))
    indices = flambeau.cat((tensor._ind[:dim], zeros, tensor._ind[dim:]))
    return CooTensor.of(indices, tensor._val, size, tensor._coal)


@implements("squeeze")
def squeeze(tensor: Any, dim: Any = None) -> CooTensor:
    """Remove all dimensions of size 1, or only the dimensions in ``dim`` that have size 1."""
    tensor = to_coo(tensor)
    wanted = range(tensor.ndim) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    gone = {axis for axis in (dimension(d, tensor.ndim) for d in wanted) if tensor._size[axis] == 1}
    count = tensor.sparse_dim()
    remaining = [axis for axis in range(count) if axis not in gone]
    indices = tensor._ind if len(remaining) == count else tensor._ind[remaining]
    values = tensor._val
    for axis in sorted((axis for axis in gone if axis >= count), reverse=True):
        values = values.squeeze(axis - count + 1)
    size = [length for axis, length in enumerate(tensor._size) if axis not in gone]
    return CooTensor.of(indices, values, size, tensor._coal)


def broadcast_to(tensor: CooTensor, size: Any) -> CooTensor:
    """Broadcast to ``size``. New dimensions are sparse. Gradient: defined for the values.

    Entries are repeated along sparse dimensions. The values are expanded along dense dimensions.
    """
    size = tuple(size)
    if tuple(tensor._size) == size:
        return tensor
    _core.empty(tensor._size, device="meta").expand(size)  # to raise an error if the size does not match
    new = len(size) - tensor.ndim
    count = new + tensor.sparse_dim()
    values = tensor._val.expand(tensor._nnz(), *size[count:])
    repeated = [dim for dim in range(count) if dim < new or tensor._size[dim - new] != size[dim]]
    if not repeated:
        return CooTensor.of(tensor._ind, values, size, tensor._coal)
    remaining = [dim for dim in range(count) if dim not in repeated]
    lengths = [size[dim] for dim in repeated]
    grid = flambeau.arange(math.prod(lengths), device=values.device)
    entries = flambeau.arange(tensor._nnz(), device=values.device)
    if not remaining or max(repeated) < min(
        remaining
    ):  # repeat the list of entries, otherwise each entry, to keep their order
        grid, entries = grid.repeat_interleave(entries.shape[0]), entries.repeat(grid.shape[0])
        ordered = True
    else:
        grid, entries = grid.repeat(entries.shape[0]), entries.repeat_interleave(grid.shape[0])
        ordered = max(remaining) < min(repeated)
    rows = dict(zip(repeated, flambeau.unravel_index(grid, lengths), strict=True))
    rows.update((dim, tensor._ind[dim - new].index_select(0, entries)) for dim in remaining)
    indices = flambeau.stack([rows[dim] for dim in range(count)])
    return CooTensor.of(indices, values.index_select(0, entries), size, tensor._coal and ordered)
