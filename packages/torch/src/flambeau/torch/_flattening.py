"""Names of ``torch._utils``, PyTorch's private module: sizes of elements, and many tensors in one."""

from collections.abc import Iterable, Sequence

from flambeau import Tensor, cat, dtype

__all__ = ["_element_size", "_flatten_dense_tensors", "_unflatten_dense_tensors"]


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
