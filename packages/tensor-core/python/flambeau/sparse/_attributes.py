"""Queries of the sizes, dtypes and devices of sparse tensors."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._conversion import parts_of
from flambeau.sparse._tensor import SparseTensor, implements


@implements("result_type")
def result_type(tensor1: Any, tensor2: Any) -> _core.dtype:
    """Return the dtype of an operation with two tensors or numbers."""
    return flambeau.result_type(_without_elements(tensor1), _without_elements(tensor2))


def _without_elements(value: Any) -> Any:
    return _core.empty(value.shape, dtype=value.dtype, device="meta") if isinstance(value, Tensor) else value


@implements("is_same_size")
def is_same_size(tensor: Tensor, other: Tensor) -> bool:
    """Return True if two tensors have the same size."""
    return tuple(tensor.shape) == tuple(other.shape)


@implements("get_device")
def get_device(tensor: SparseTensor) -> int:
    """Return the index of the GPU, or -1 for the CPU."""
    return tensor._val.get_device()


@implements("is_pinned")
def is_pinned(tensor: SparseTensor, device: Any = None) -> bool:
    """Return True if the indices and values are in page-locked memory."""
    return all(part.is_pinned() for part in parts_of(tensor))


@implements("is_contiguous")
def is_contiguous(tensor: SparseTensor, memory_format: Any = None) -> bool:
    """Return False, as in PyTorch."""
    return False


@implements("expand_as", "view_as", "reshape_as")
def expand_as(tensor: Tensor, other: Any) -> Tensor:
    """Expand a strided tensor to the size of a sparse tensor."""
    if isinstance(tensor, SparseTensor):
        raise NotImplementedError(f"expand_as: the first tensor must be strided, got the layout {tensor.layout}")
    return tensor.expand(other.shape)


@implements(".data=")
def set_data(tensor: Tensor, data: Any) -> NoReturn:
    """Raise RuntimeError: the data of a strided tensor cannot be replaced with a sparse tensor."""
    raise RuntimeError(
        "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have incompatible tensor type: "
        f"the layouts {tensor.layout} and {data.layout}"
    )
