"""Conversion of sparse tensors to other layouts, dtypes and devices."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor, kind_of, layout_name
from flambeau.sparse._compression import blocks_of, compressed, entries_of, split
from flambeau.sparse._coo import CooTensor, flat_keys, from_cache, summed
from flambeau.sparse._tensor import SparseTensor, implements


def elements_of_rows(offsets: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return two indices of each element of the chosen rows: its row's index in ``chosen``, and its own index.

    The second index counts all stored elements of the matrix.
    """
    begins = offsets.index_select(0, chosen)
    counts = offsets.index_select(0, chosen + 1) - begins
    choice = flambeau.arange(counts.shape[0], device=counts.device).repeat_interleave(counts)
    ahead = counts.cumsum(0) - counts
    within = flambeau.arange(choice.shape[0], device=counts.device) - ahead.index_select(0, choice)
    return choice, begins.index_select(0, choice) + within


def _row_major(matrix: CompressedTensor) -> tuple[Tensor, Tensor | None, bool]:
    """Return row-major COO indices, the order of the elements (None: unchanged), and True if they are coalesced."""
    indices = matrix._element_indices()
    keys = flat_keys(indices, matrix._size[: indices.shape[0]])
    if bool((keys[1:] > keys[:-1]).all()):
        return indices, None, True
    order = flambeau.argsort(keys, stable=True)
    keys = keys.index_select(0, order)
    return indices.index_select(1, order), order, bool((keys[1:] > keys[:-1]).all())


@implements("to_sparse_coo")
def to_coo(tensor: Any) -> CooTensor:
    """Convert to the COO layout. The dimensions of a batch become sparse."""
    if isinstance(tensor, CooTensor):
        return tensor
    if isinstance(tensor, CompressedTensor):
        indices, order, coalesced = from_cache(tensor, "row-major", _row_major)
        values = tensor._elements() if order is None else tensor._elements().index_select(0, order)
        return CooTensor.of(indices, values, tensor._size, coalesced)
    return from_dense(tensor)


def with_values(matrix: CompressedTensor, values: Tensor) -> CompressedTensor:
    """Return a tensor with the indices of ``matrix`` and other values, given in the order of ``to_coo(matrix)``."""
    order = from_cache(matrix, "row-major", _row_major)[1]
    if order is not None:
        values = values.index_select(0, flambeau.argsort(order))
    return matrix._like(values.reshape(matrix._val.shape))


def from_dense(tensor: Tensor, sparse_dim: int | None = None) -> CooTensor:
    """Convert a strided tensor to COO: keep nonzero elements, or slices with a nonzero element."""
    count = tensor.ndim if sparse_dim is None else sparse_dim
    if not 0 <= count <= tensor.ndim:
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{tensor.ndim}] range, but {count} is given"
        )
    if count == 0 < tensor.ndim:
        raise RuntimeError("dense_to_sparse: sparse_dim argument must be >0 when self.dim()>0")
    mask = tensor.detach() != 0
    if count < tensor.ndim:
        mask = mask.flatten(count).any(-1)
    if count == 0:
        there = mask.reshape(1)
        indices = flambeau.zeros((0, int(there.sum())), dtype=flambeau.int64, device=tensor.device)
        return CooTensor.of(indices, tensor.reshape(1)[there], tensor.shape, True)
    indices = mask.nonzero().t().contiguous()
    return CooTensor.of(indices, tensor[tuple(indices)], tensor.shape, True)


def to_compressed(tensor: Any, layout: Any, blocksize: Any = None, dense_dim: int | None = None) -> SparseTensor:
    """Convert to a compressed layout. All matrices of a batch must have the same number of entries."""
    kind, name = kind_of(layout), f"to_{layout_name(layout)}"
    dense_dims = _dense_dims(name, tensor, dense_dim)
    batch_dims = tensor.ndim - dense_dims - 2
    if batch_dims < 0:
        raise RuntimeError(
            f"{name}: expected at least two dimensions that are not dense, got shape {list(tensor.shape)} with "
            f"{dense_dims} dense dimensions"
        )
    block = _blocksize(name, tensor, kind, blocksize, batch_dims)
    index_dtype = flambeau.int64
    if isinstance(tensor, CompressedTensor) and tensor._blocksize == block:
        if tensor.layout is layout:
            return tensor
        entries, index_dtype = entries_of(tensor), tensor._ptr.dtype
    elif isinstance(tensor, SparseTensor):
        entries = blocks_of(to_coo(tensor).coalesce(), block)
        index_dtype = tensor._ptr.dtype if isinstance(tensor, CompressedTensor) else index_dtype
    else:
        entries = from_dense(split(tensor, block, batch_dims), batch_dims + 2)
    return compressed(kind, entries, tensor.shape, index_dtype)


def _dense_dims(name: str, tensor: Any, dense_dim: int | None) -> int:
    if not isinstance(tensor, SparseTensor):
        return dense_dim or 0
    if dense_dim not in (None, tensor.dense_dim()):
        raise RuntimeError(
            f"{name}: dense_dim={dense_dim} is not supported for a sparse tensor with {tensor.dense_dim()} dense "
            "dimensions"
        )
    return tensor.dense_dim()


def _blocksize(
    name: str, tensor: Any, kind: type[CompressedTensor], blocksize: Any, batch_dims: int
) -> tuple[int, ...]:
    """Return the block size for a layout: ``blocksize`` or, by default, the block size of the tensor."""
    if not kind.block_dims:
        if blocksize is not None:
            raise RuntimeError(f"{name}: the layout has no blocks, but got blocksize={tuple(blocksize)}")
        return ()
    blocksize = (blocksize, blocksize) if isinstance(blocksize, int) else blocksize
    block = (
        tuple(blocksize) if blocksize is not None else tensor._blocksize if isinstance(tensor, CompressedTensor) else ()
    )
    if len(block) != 2 or min(block) < 1:
        raise RuntimeError(f"{name}: requires a blocksize of two positive integers, got {blocksize}")
    lengths = tuple(tensor.shape[batch_dims : batch_dims + 2])
    if lengths[0] % block[0] or lengths[1] % block[1]:
        raise RuntimeError(f"{name}: tensor sparse size {lengths} must be divisible by given blocksize {block}")
    return block


def to_layout_of(result: CooTensor, tensor: SparseTensor) -> SparseTensor:
    """Convert a COO tensor to the layout, block size and dtype of indices of another tensor."""
    if not isinstance(tensor, CompressedTensor):
        return result
    kind, batch_dims = type(tensor), result.sparse_dim() - 2
    block = _blocksize(f"to_{layout_name(kind.layout)}", result, kind, tensor._blocksize or None, batch_dims)
    return compressed(kind, blocks_of(result.coalesce(), block), result._size, tensor._ptr.dtype)


@implements("to_sparse")
def to_sparse(
    tensor: Any, sparse_dim: Any = None, *, layout: Any = None, blocksize: Any = None, **dense: Any
) -> SparseTensor:
    """Convert to a sparse layout. The default is COO."""
    if isinstance(sparse_dim, _core.layout):
        sparse_dim, layout = None, sparse_dim
    if any(value is not None for value in dense.values()) and set(dense) != {"dense_dim"}:
        raise TypeError(f"to_sparse() got an unexpected keyword argument {next(iter(dense))!r}")
    if layout is _core.strided and not isinstance(tensor, SparseTensor):
        return tensor  # type: ignore[no-any-return]
    dense_dim = dense.get("dense_dim")
    if layout not in (None, _core.sparse_coo):
        return to_compressed(tensor, layout, blocksize, dense_dim)
    if blocksize is not None:
        raise RuntimeError("to_sparse: the layout sparse_coo has no blocks, but the argument blocksize is given")
    if not isinstance(tensor, SparseTensor):
        return from_dense(tensor, sparse_dim if dense_dim is None else _sparse_dims(tensor, sparse_dim, dense_dim))
    if dense_dim is not None:
        raise RuntimeError("to_sparse: conversion from Sparse to Sparse with dense_dim argument given is not supported")
    if sparse_dim is not None and sparse_dim != tensor.sparse_dim():
        raise RuntimeError(
            "to_sparse: conversion from Sparse to Sparse with sparse_dim argument !=self.sparse_dim() is not supported"
        )
    return to_coo(tensor)


def _sparse_dims(tensor: Tensor, sparse_dim: Any, dense_dim: int) -> int:
    """Check the arguments of `to_sparse`, and return the number of dimensions that are not dense."""
    if sparse_dim is not None:
        raise TypeError("to_sparse() takes either sparse_dim or dense_dim, not both")
    if not 0 <= dense_dim <= tensor.ndim:
        raise RuntimeError(
            f"dense_to_sparse: dense_dim argument must be in [0,{tensor.ndim}] range, but {dense_dim} is given"
        )
    if dense_dim == tensor.ndim > 0:
        raise RuntimeError("dense_to_sparse: dense_dim argument must be !=self.dim() when self.dim()>0")
    return tensor.ndim - dense_dim


@implements("to_sparse_csr")
def to_sparse_csr(tensor: Any, dense_dim: int | None = None) -> SparseTensor:
    """Convert to the CSR layout."""
    return to_compressed(tensor, _core.sparse_csr, None, dense_dim)


@implements("to_sparse_csc")
def to_sparse_csc(tensor: Any, dense_dim: int | None = None) -> SparseTensor:
    """Convert to the CSC layout."""
    return to_compressed(tensor, _core.sparse_csc, None, dense_dim)


@implements("to_sparse_bsr")
def to_sparse_bsr(tensor: Any, blocksize: Any = None, dense_dim: int | None = None) -> SparseTensor:
    """Convert to the BSR layout, with blocks of ``(rows, columns)``."""
    return to_compressed(tensor, _core.sparse_bsr, blocksize, dense_dim)


@implements("to_sparse_bsc")
def to_sparse_bsc(tensor: Any, blocksize: Any = None, dense_dim: int | None = None) -> SparseTensor:
    """Convert to the BSC layout, with blocks of ``(rows, columns)``."""
    return to_compressed(tensor, _core.sparse_bsc, blocksize, dense_dim)


@implements("to_dense")
def to_dense(tensor: Any, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """Convert to a strided tensor. Gradient: defined for the values."""
    if not isinstance(tensor, SparseTensor):
        strided: Tensor = tensor if dtype is None else tensor.to(dtype)
        return strided
    indices = tensor._element_indices()
    size, count = tensor._size, indices.shape[0]
    keys = flat_keys(indices, size[:count])
    dense: Tensor = summed(tensor._elements(), keys, size[:count].numel()).reshape(size)
    return dense if dtype is None else dense.to(dtype)


@implements("clone")
def clone(tensor: SparseTensor, *, memory_format: Any = None) -> SparseTensor:
    """Copy the indices and values. The gradient passes through."""
    return _move_parts(tensor, lambda part: part.clone())


@implements("detach")
def detach(tensor: SparseTensor) -> SparseTensor:
    """Return the same elements, detached from the graph."""
    return tensor._like(tensor._val.detach())


def _move_parts(tensor: SparseTensor, move: Any) -> SparseTensor:
    """Apply ``move`` to the indices and values."""
    if isinstance(tensor, CooTensor):
        moved = CooTensor.of(move(tensor._ind), move(tensor._val), tensor._size, tensor._coal)
        return moved._coalesced_(tensor._coal)
    assert isinstance(tensor, CompressedTensor)
    return tensor.of(move(tensor._ptr), move(tensor._idx), move(tensor._val), tensor._size)


@implements("to")
def to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Convert the dtype or device: ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``."""
    if args and isinstance(args[0], SparseTensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    if not isinstance(tensor, SparseTensor):
        return tensor.to(*args, **kwargs)
    values = tensor._val.to(*args, **kwargs)
    if values is tensor._val:
        return tensor
    if values.device == tensor.device:
        if kwargs.get("copy"):
            return clone(tensor._like(values))
        return tensor._like(values)
    return _move_parts(tensor._like(values), lambda part: part.to(values.device))


@implements("type_as")
def type_as(tensor: SparseTensor, other: Tensor) -> Tensor:
    """Convert to the dtype of another tensor."""
    return to(tensor, other.dtype)


@implements("cpu")
def cpu(tensor: SparseTensor, memory_format: Any = None) -> Tensor:
    """Copy to the CPU, or return the tensor if it is already on the CPU."""
    return to(tensor, "cpu")


@implements("cuda")
def cuda(
    tensor: SparseTensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> SparseTensor:
    """Copy to a GPU, or return the tensor if it is already on this GPU."""
    values = tensor._val.cuda(device)
    return tensor if values is tensor._val else _move_parts(tensor._like(values), lambda part: part.to(values.device))


@implements("pin_memory")
def pin_memory(tensor: SparseTensor, device: Any = None) -> SparseTensor:
    """Copy to page-locked (pinned) memory."""
    return _move_parts(tensor, lambda part: part.pin_memory())


@implements("share_memory_")
def share_memory_(tensor: SparseTensor) -> SparseTensor:
    """Move the indices and values to memory that other processes can map."""
    for part in parts_of(tensor):
        part.share_memory_()
    return tensor


@implements("is_shared")
def is_shared(tensor: SparseTensor) -> bool:
    """Return True if the indices and values are in shared memory."""
    return all(part.is_shared() for part in parts_of(tensor))


def parts_of(tensor: SparseTensor) -> list[Tensor]:
    """Return the strided tensors that store a sparse tensor."""
    if isinstance(tensor, CooTensor):
        return [tensor._ind, tensor._val]
    assert isinstance(tensor, CompressedTensor)
    return [tensor._ptr, tensor._idx, tensor._val]


_DTYPES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "bool": "bool",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "cfloat": "complex64",
    "cdouble": "complex128",
}


def _register_conversion(name: str, dtype: Any) -> None:
    @implements(name)
    def convert(tensor: SparseTensor, memory_format: Any = None) -> Tensor:
        return to(tensor, dtype)


for _name, _dtype in _DTYPES.items():
    _register_conversion(_name, getattr(_core, _dtype))


@implements("type")
def type_(tensor: SparseTensor, dtype: Any = None, non_blocking: bool = False) -> str | SparseTensor:
    """Return the type name, such as ``"flambeau.sparse.FloatTensor"``, or convert to another type."""
    if dtype is None:
        module, _, name = tensor._val.type().rpartition(".")
        return f"{module}.sparse.{name}"
    if isinstance(dtype, str):
        dtype = dtype.replace("sparse.", "")
    return tensor._like(tensor._val.type(dtype))


@implements("copy_")
def copy_(tensor: Any, source: Any, non_blocking: bool = False) -> SparseTensor:
    """Copy from ``source``, a sparse tensor of the same size, in place."""
    if not (isinstance(tensor, SparseTensor) and isinstance(source, SparseTensor)):
        raise RuntimeError(
            f"copy_() between dense and sparse Tensors is not implemented! Found the layouts {tensor.layout} and "
            f"{source.layout}"
        )
    if tensor._size != source._size:
        raise RuntimeError(f"copy_(): the sizes {list(tensor._size)} and {list(source._size)} differ")
    other: Any = to(source, tensor.device, tensor.dtype)
    if other.layout is not tensor.layout:
        other = to_layout_of(to_coo(other), tensor)
    tensor._take_over(clone(other))
    return tensor


@implements("resize_as_")
def resize_as_(tensor: Any, other: Any, *, memory_format: Any = None) -> Tensor:
    """Resize to the size of another tensor in place."""
    if isinstance(tensor, SparseTensor):
        if memory_format is not None:
            raise RuntimeError("memory format option is only supported by strided tensors")
        return resize_as_sparse_(tensor, other)
    return tensor.resize_(other.shape, memory_format=memory_format)  # type: ignore[no-any-return]


@implements("resize_as_sparse_")
def resize_as_sparse_(tensor: Any, other: Any) -> SparseTensor:
    """Resize to the size of another sparse tensor of the same layout in place.

    A compressed tensor of another size takes the indices of ``other``, with values of 0.
    """
    if not isinstance(tensor, CooTensor) and any(isinstance(each, CompressedTensor) for each in (tensor, other)):
        return _resize_as_compressed(tensor, other)
    if not (isinstance(tensor, CooTensor) and isinstance(other, CooTensor)):
        raise RuntimeError(
            f"resize_as_sparse_: expected two tensors of the layout sparse_coo, got {tensor.layout} and {other.layout}"
        )
    if tensor._size != other._size or tensor.sparse_dim() != other.sparse_dim():
        sparse_resize_(tensor, other._size, other.sparse_dim(), other.dense_dim())
    return tensor


def _resize_as_compressed(tensor: Any, other: Any) -> SparseTensor:
    """Give ``tensor`` the size and the indices of ``other``. If they change, all values become 0."""
    for name, value in (("self", tensor), ("src", other)):
        if not isinstance(value, CompressedTensor):
            raise RuntimeError(
                f"resize_as_sparse_compressed_: {name}  expected sparse compressed tensor layout but got {value.layout}"
            )
    if tensor.layout is not other.layout:
        raise RuntimeError(
            "resize_as_sparse_compressed_tensor_: self and src must have the same layout, but got: self "
            f"({tensor.layout}) and source ({other.layout})"
        )
    if tensor._size != other._size or tensor._val.shape != other._val.shape:
        offsets, indices = other._ptr.to(tensor._ptr), other._idx.to(tensor._idx)  # to the dtype and device of tensor
        values = tensor._val.new_zeros(other._val.shape)
        tensor._take_over(type(tensor).of(offsets.clone(), indices.clone(), values, other._size))
    return tensor  # type: ignore[no-any-return]


@implements("sparse_resize_")
def sparse_resize_(tensor: CooTensor, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
    """Resize in place. The elements are kept, so the sizes of a tensor with elements must not shrink."""
    size = tuple(size)
    if sparse_dim + dense_dim != len(size):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{sparse_dim}, dense_dim = {dense_dim}"
        )
    if tensor._nnz():
        _check_growth(tensor, size, sparse_dim, dense_dim)
    values, dense = tensor._val, size[sparse_dim:]
    if tuple(values.shape[1:]) != dense:  # like resize_(): the elements keep their order
        grown = values.new_zeros((values.shape[0], *dense))
        grown.reshape(-1)[: values.numel()] = values.reshape(-1)
        values = grown
    indices = tensor._ind
    if indices.shape[0] != sparse_dim:
        indices = indices.new_zeros((sparse_dim, 0))
    tensor._take_over(CooTensor.of(indices, values, size, tensor._coal))
    return tensor


def _check_growth(tensor: CooTensor, size: tuple[int, ...], sparse_dim: int, dense_dim: int) -> None:
    """Raise RuntimeError if a tensor with elements cannot be resized."""
    count = tensor.sparse_dim()
    kinds = (
        ("sparse", (count, sparse_dim), (tensor._size[:count], size[:sparse_dim])),
        ("dense", (tensor.dense_dim(), dense_dim), (tensor._size[count:], size[sparse_dim:])),
    )
    what = "on a non-empty sparse tensor is not supported."
    for kind, (dim, new_dim), _ in kinds:
        if dim != new_dim:
            raise RuntimeError(f"changing the number of {kind} dimensions (from {dim} to {new_dim}) {what}")
    for kind, _, (sizes, new_sizes) in kinds:
        if any(new < old for new, old in zip(new_sizes, sizes, strict=True)):
            change = f"(from {list(sizes)} to {list(new_sizes)})"
            raise RuntimeError(f"shrinking the size of {kind} dimensions {change} {what}")


@implements("sparse_resize_and_clear_")
def sparse_resize_and_clear_(tensor: CooTensor, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
    """Resize in place and remove all elements."""
    tensor._take_over(CooTensor.of(tensor._ind[:, :0], tensor._val[:0].detach(), tensor._size, True))
    return sparse_resize_(tensor, size, sparse_dim, dense_dim)


@implements("zero_")
def zero_(tensor: CooTensor | CompressedTensor) -> SparseTensor:
    """Remove all elements, so that the tensor is zero."""
    blank: Any = zeros_like(tensor)
    tensor._take_over(blank)
    return tensor


@implements("zeros_like", "empty_like")
def zeros_like(
    tensor: CooTensor | CompressedTensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Return a tensor of the same size and layout without elements. ``layout=strided`` gives strided zeros."""
    if layout not in (None, _core.strided, tensor.layout):
        raise RuntimeError(
            f"zeros_like and empty_like with different sparse layout is not supported: expected {tensor.layout}, got "
            f"{layout}"
        )
    where, kind = device or tensor.device, dtype or tensor.dtype
    if layout is _core.strided:
        strided = flambeau.zeros(tuple(tensor._size), dtype=kind, device=where)
        if memory_format not in (None, _core.preserve_format):
            strided = strided.contiguous(memory_format=memory_format)
        return strided.requires_grad_(requires_grad)
    if memory_format is not None:
        raise RuntimeError("memory format option is only supported by strided tensors")
    batch = 0 if isinstance(tensor, CooTensor) else tensor._batch_dims
    shape = (*tensor._val.shape[:batch], 0, *tensor._val.shape[batch + 1 :])
    values = flambeau.zeros(shape, dtype=kind, device=where, requires_grad=requires_grad)
    if isinstance(tensor, CooTensor):
        return CooTensor.of(tensor._ind[:, :0].to(where), values, tensor._size, True)
    offsets = flambeau.zeros_like(tensor._ptr, device=where)
    return tensor.of(offsets, tensor._idx[..., :0].to(where), values, tensor._size)


@implements("new_zeros", "new_empty")
def new_zeros(tensor: Any, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> CooTensor:
    """Return a COO tensor without elements, by default with this dtype and device."""
    sizes = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    return flambeau.sparse_coo_tensor(
        sizes, dtype=dtype or tensor.dtype, device=device or tensor.device, requires_grad=requires_grad
    )
