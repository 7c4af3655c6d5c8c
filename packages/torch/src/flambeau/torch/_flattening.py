"""Names of PyTorch's private module ``torch._utils``: element sizes, flattened tensors, exceptions of workers."""

import sys
import traceback
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import flambeau
from flambeau import Tensor, cat, cuda, dtype, layout
from flambeau._serialization.rebuild import parameter as _rebuild_parameter, tensor_v2 as _rebuild_tensor_v2

__all__ = [
    "ExceptionWrapper",
    "KeyErrorMessage",
    "_element_size",
    "_flatten_dense_tensors",
    "_get_available_device_type",
    "_get_device_index",
    "_get_device_module",
    "_rebuild_parameter",
    "_rebuild_sparse_tensor",
    "_rebuild_tensor_v2",
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


def _get_device_module(device_type: str) -> ModuleType:
    """Return the module of a type of device, such as `flambeau.cuda`. Raises RuntimeError if there is none."""
    module: ModuleType | None = getattr(flambeau, device_type, None)
    if module is None:
        raise RuntimeError(f"Device '{device_type}' does not have a corresponding module flambeau.{device_type}.")
    return module


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """Return the index of a device.

    Args:
        device: a device, its name, an index, or None.
        optional: if True, return the index of the current GPU for a device without an index.
        allow_cpu: if True, return -1 for the CPU.
    Raises: ValueError for the CPU or a device without an index, unless the options allow them.
    """
    if isinstance(device, str):
        device = flambeau.device(device)
    if isinstance(device, flambeau.device) and device.type == "cpu":
        if not allow_cpu:
            raise ValueError(f"Expected a non cpu device, but got: {device}")
        return -1
    index: int | None = device.index if isinstance(device, flambeau.device) else device
    if index is None and not optional:
        raise ValueError(f"Expected a torch.device with a specified index or an integer, but got: {device}")
    return cuda.current_device() if index is None else index


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return views of a flat tensor with the shapes of ``tensors``."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))
