"""Pickling of sparse tensors, also in PyTorch's file format."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from flambeau import _core
from flambeau._serialization import names
from flambeau._serialization.names import Name
from flambeau.sparse._compressed import CompressedTensor, layout_name
from flambeau.sparse._construction import sparse_compressed_tensor, sparse_coo_tensor
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._tensor import SparseTensor


def reduced(tensor: Any) -> tuple[Any, ...]:
    """Return the pickle reduction: the function that rebuilds the tensor, its arguments, and the attributes."""
    parts = (tensor._val.detach(), tuple(tensor._size))
    if isinstance(tensor, CooTensor):
        return _rebuilt_coo, (tensor._ind, *parts, tensor._coal, tensor.requires_grad), tensor.__dict__ or None
    offsets = (layout_name(tensor.layout), tensor._ptr, tensor._idx)
    return _rebuilt_compressed, (*offsets, *parts, tensor.requires_grad), tensor.__dict__ or None


def _rebuilt_coo(indices: Any, values: Any, size: Any, coalesced: bool, requires_grad: bool) -> CooTensor:
    return sparse_coo_tensor(indices, values, size, is_coalesced=coalesced, requires_grad=requires_grad)


def _rebuilt_compressed(
    layout: str, offsets: Any, indices: Any, values: Any, size: Any, requires_grad: bool
) -> CompressedTensor:
    kind = getattr(_core, layout)
    return sparse_compressed_tensor(offsets, indices, values, size, layout=kind, requires_grad=requires_grad)


def reduced_for_pytorch(tensor: Any) -> tuple[Any, ...]:
    """Return the pickle reduction in PyTorch's file format."""
    if getattr(tensor, "_is_param", False):
        return names.REBUILD_PARAMETER, (tensor.detach(), tensor.requires_grad, OrderedDict())
    values = tensor._val.detach()
    if isinstance(tensor, CooTensor):
        parts: Any = (tensor._ind, values, tensor._size, tensor._coal)
    else:
        parts = (tensor._ptr, tensor._idx, values, tensor._size)
    return Name.of("torch._utils", "_rebuild_sparse_tensor"), (tensor.layout, parts)


def rebuilt_from_file(layout: Any, parts: Any, verified: bool) -> SparseTensor:
    """Rebuild a tensor from a PyTorch file. The indices are verified because a file may contain anything.

    ``verified=False`` postpones the verification until the indices are read.
    """
    if layout is _core.sparse_coo:
        indices, values, size, *coalesced = parts
        if indices.dtype is not _core.int64:
            raise RuntimeError(f"the indices must have the dtype int64, got {indices.dtype}")
        return sparse_coo_tensor(
            indices, values, size, is_coalesced=bool(coalesced and coalesced[0]), check_invariants=verified
        )
    offsets, indices, values, size = parts
    if not {offsets.dtype, indices.dtype} <= {_core.int32, _core.int64}:
        raise RuntimeError(f"the indices must have the dtype int32 or int64, got {offsets.dtype} and {indices.dtype}")
    check = None if verified else False  # files may contain unsorted indices
    return sparse_compressed_tensor(offsets, indices, values, size, layout=layout, check_invariants=check)
