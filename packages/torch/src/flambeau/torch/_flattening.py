"""Names of PyTorch's private module ``torch._utils``: element sizes, flattened tensors, exceptions of workers."""

import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from flambeau import Tensor, cat, cuda, dtype, layout

__all__ = [
    "ExceptionWrapper",
    "KeyErrorMessage",
    "_element_size",
    "_flatten_dense_tensors",
    "_get_available_device_type",
    "_rebuild_sparse_tensor",
    "_unflatten_dense_tensors",
]


class KeyErrorMessage(str):
    """Message for KeyError that keeps line breaks, although KeyError shows the repr of its argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """Exception that is handled in this process and can be raised again in another process.

    Args:
        exc_info: result of ``sys.exc_info()``.
        where: description of the location, for the message.
    """

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        kind, error, trace = exc_info or sys.exc_info()
        self.exc_type: Any = kind
        self.exc_msg = "".join(traceback.format_exception(kind, error, trace))
        self.where = where

    def reraise(self) -> NoReturn:
        """Raise an exception of the same type, or RuntimeError if the type cannot be created from a message only."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        try:
            error = self.exc_type(KeyErrorMessage(message) if self.exc_type is KeyError else message)
        except Exception:
            error = RuntimeError(message)
        raise error


def _rebuild_sparse_tensor(layout: layout, data: tuple[Any, ...]) -> Tensor:
    """Return a sparse tensor from its parts. Pickles of PyTorch's sparse tensors call this function."""
    from flambeau.sparse._pickling import rebuilt_from_file

    return rebuilt_from_file(layout, data, verified=True)


def _element_size(dtype: dtype) -> int:
    """Return the size of an element in bytes."""
    return dtype.itemsize


def _flatten_dense_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """Concatenate the elements of tensors of one dtype."""
    return cat([tensor.reshape(-1) for tensor in tensors])


def _get_available_device_type() -> str | None:
    """Return ``"cuda"`` if there is a GPU, otherwise None."""
    return "cuda" if cuda.is_available() else None


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return views of a flat tensor with the shapes of ``tensors``."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))
