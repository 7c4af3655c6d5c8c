"""The typed storage classes, one for each dtype that has a storage class in PyTorch."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from flambeau import _core
from flambeau._storage_buffers import elements
from flambeau.storage import TypedStorage, UntypedStorage, from_file

# PyTorch's legacy names of typed storages. PyTorch saves elements of other dtypes as untyped storages.
STORAGE_DTYPES = {
    "DoubleStorage": _core.float64,
    "FloatStorage": _core.float32,
    "HalfStorage": _core.float16,
    "BFloat16Storage": _core.bfloat16,
    "LongStorage": _core.int64,
    "IntStorage": _core.int32,
    "ShortStorage": _core.int16,
    "CharStorage": _core.int8,
    "ByteStorage": _core.uint8,
    "BoolStorage": _core.bool,
    "ComplexDoubleStorage": _core.complex128,
    "ComplexFloatStorage": _core.complex64,
}


class _TypedStorageMeta(type):
    """Metaclass of the typed storages of one dtype. It supports construction and ``isinstance``."""

    dtype: Any
    is_cuda = False

    def __call__(
        cls,
        contents: int | Sequence[Any] = 0,
        /,
        *,
        wrap_storage: UntypedStorage | None = None,
        dtype: Any = None,
        device: Any = None,
        _internal: bool = False,
    ) -> Any:
        if dtype not in (None, cls.dtype):
            raise RuntimeError(f"{cls.__name__} holds elements of {cls.dtype}, not {dtype}; use TypedStorage")
        if cls.is_cuda and device is None and wrap_storage is None:
            device = "cuda"
        return TypedStorage(contents, wrap_storage=wrap_storage, dtype=cls.dtype, device=device)

    @property
    def _dtype(cls) -> Any:
        """The dtype. In PyTorch, the public attribute ``dtype`` can warn, but this private attribute does not."""
        return cls.dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype and instance.is_cuda == cls.is_cuda

    def from_file(cls, filename: str | os.PathLike[str], shared: bool = False, size: int = 0) -> TypedStorage:
        """Return the elements of a file. See `flambeau.from_file`."""
        mapped = from_file(filename, shared, size, dtype=cls.dtype)
        return TypedStorage(wrap_storage=mapped.untyped_storage(), dtype=cls.dtype)

    def from_buffer(cls, buffer: Any, byte_order: str | None = None, count: int = -1, offset: int = 0) -> TypedStorage:
        """Return a copy of the elements in an object's buffer.

        Args:
            buffer: object with a buffer, such as ``bytes``.
            byte_order: "native", "big" or "little". Required unless elements have one byte.
            count: the number of elements. If negative, all elements after ``offset``.
            offset: the number of bytes to skip.
        """
        copied = elements(buffer, byte_order, count, offset, cls.dtype)
        return TypedStorage(wrap_storage=copied.untyped_storage(), dtype=cls.dtype)


class _GPUTypedStorageMeta(_TypedStorageMeta):
    """Metaclass of the typed storages of one dtype on the GPU, such as ``flambeau.cuda.FloatStorage``."""

    is_cuda = True

    def from_buffer(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise RuntimeError: buffers are in the memory of the CPU."""
        raise RuntimeError("from_buffer: Not available for CUDA storage")

    from_file = _new_with_weak_ptr = _new_shared_filename = from_buffer


def _storage_type(name: str, dtype: Any, is_cuda: bool) -> _TypedStorageMeta:
    doc = f"Typed storage of {dtype} elements{' on the GPU' if is_cuda else ''}. See `TypedStorage`."
    metaclass: type[_TypedStorageMeta] = _GPUTypedStorageMeta if is_cuda else _TypedStorageMeta
    module = "flambeau.cuda" if is_cuda else "flambeau"
    return metaclass(name, (), {"__module__": module, "__doc__": doc, "dtype": dtype})


STORAGE_TYPES = {name: _storage_type(name, dtype, False) for name, dtype in STORAGE_DTYPES.items()}


@functools.cache
def cuda_storage_type(name: str) -> _TypedStorageMeta:
    """Return the class of GPU storages with this name. Raise KeyError if it does not exist."""
    return _storage_type(name, STORAGE_DTYPES[name], True)


STORAGE_NAMES = {dtype: name for name, dtype in STORAGE_DTYPES.items()}
