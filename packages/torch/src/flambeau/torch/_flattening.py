"""Names of ``torch._utils``, PyTorch's private module: sizes of elements, and many tensors in one."""

from collections.abc import Iterable, Sequence
from typing import Any

from flambeau import Tensor, cat, dtype, layout

__all__ = ["_element_size", "_flatten_dense_tensors", "_rebuild_sparse_tensor", "_unflatten_dense_tensors"]


def _rebuild_sparse_tensor(layout: layout, data: tuple[Any, ...]) -> Tensor:
    """Return a sparse tensor of its parts: what pickles of PyTorch's sparse tensors call."""
    from flambeau.sparse._pickling import rebuilt_from_file

    return rebuilt_from_file(layout, data)


def _element_size(dtype: dtype) -> int:
    """Return the size of an element in bytes."""
    return dtype.itemsize


def _flatten_dense_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """The elements of tensors of one dtype, one tensor after the other."""
    return cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Views of a flat tensor's elements that have the shapes of ``tensors``."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))
