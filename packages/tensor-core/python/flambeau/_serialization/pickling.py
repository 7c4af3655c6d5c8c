"""Writer of files for PyTorch: a pickle with PyTorch's names, and the storages that it refers to."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import IO, Any, ClassVar

import flambeau
from flambeau import Size, Tensor
from flambeau._methods import plain, slots_of
from flambeau.storage import TypedStorage, UntypedStorage

from . import names
from .archive_reader import bytes_of
from .archive_writer import ALIGNMENT, ArchiveWriter
from .names import Name

FORMAT_VERSION = b"3\n"


# The most common types in a pickle, which need no special handling.
_PLAIN = frozenset((str, int, float, bool, tuple, dict, list, OrderedDict, Name))
_STORAGES = (UntypedStorage, TypedStorage)


class _Reference:
    """Reference to a storage in the pickle."""

    def __init__(self, storage: UntypedStorage, dtype: Any) -> None:
        self.storage = storage
        self.dtype = dtype


# Only the pickler that is written in Python can write global names without an object.
_PythonPickler: Any = pickle._Pickler


class LocalObjectError(pickle.PicklingError, AttributeError):
    """Error of a pickler for a class or function that is local to a function.

    Depending on the version of Python, its pickler raises one or the other of the base classes.
    """


class Pickler(_PythonPickler):  # type: ignore[misc]
    dispatch: ClassVar[dict[type, Callable[[Any, Any], None]]] = dict(_PythonPickler.dispatch)

    view: tuple[None, ...] = ()  # fields after a storage's description in the pickle

    def __init__(self, file: IO[bytes], protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: list[UntypedStorage] = []
        self._seen: dict[tuple[int, int, Any], tuple[str, Any]] = {}

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if type(obj) is _Reference:
            return self._persistent_id(obj.storage, obj.dtype)
        if isinstance(obj, _STORAGES):
            return self._persistent_id(obj.untyped(), obj.dtype if isinstance(obj, TypedStorage) else None)
        return None

    def _persistent_id(self, storage: UntypedStorage, dtype: Any) -> tuple[Any, ...]:
        # Storages without memory have the same address but do not share anything.
        identity = storage.data_ptr(), storage.nbytes(), None if storage.nbytes() else dtype
        key, known_dtype = self._seen.setdefault(identity, (str(len(self.storages)), dtype))
        if known_dtype is not dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types: "
                f"{known_dtype} and {dtype}; save a clone() of one of them"
            )
        if int(key) == len(self.storages):
            self.storages.append(storage)
        kind = names.STORAGE_OF.get(dtype, names.UNTYPED_STORAGE)
        count = storage.nbytes() // (dtype.itemsize if dtype in names.STORAGE_OF else 1)
        return "storage", kind, key, str(storage.device), count, *self.view

    def storages_and_item_sizes(self) -> Iterator[tuple[UntypedStorage, int]]:
        """Yield each storage and the size of its elements in bytes. The pickle contains the number of elements."""
        for storage, (_, dtype) in zip(self.storages, self._seen.values(), strict=True):
            yield storage, dtype.itemsize if dtype in names.STORAGE_OF else 1

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind in _PLAIN:
            return NotImplemented
        if isinstance(obj, Tensor):
            return _reduce_tensor(obj)
        reduce = _REDUCERS.get(kind)
        return NotImplemented if reduce is None else reduce(obj)

    def save_name(self, obj: Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    dispatch[Name] = save_name

    def save_global(self, obj: Any, name: str | None = None) -> None:
        qualified: Any = name or getattr(obj, "__qualname__", "")
        if "<locals>" in qualified.split("."):
            raise LocalObjectError(f"Can't pickle local object {qualified!r}")
        super().save_global(obj, name)

    dispatch[types.FunctionType] = save_global

    def save_constant(self, obj: Any) -> None:
        self.save(names.of_constant(obj))

    dispatch[flambeau.dtype] = save_constant
    dispatch[flambeau.memory_format] = save_constant


def _reduce_tensor(tensor: Tensor) -> Any:
    """Return the function and arguments with which PyTorch's files rebuild a tensor."""
    reduce = getattr(tensor, "_reduce_for_pytorch", None)  # defined by parameters and sparse tensors
    if reduce is not None:
        return reduce()
    kind = type(tensor)
    if kind is not Tensor and kind.__reduce_ex__ is not Tensor.__reduce_ex__:
        return tensor.__reduce_ex__(2)
    rebuild, arguments = _reduce_plain(plain(tensor))
    if kind is Tensor and not tensor.__dict__:
        return rebuild, arguments
    name = names.TENSOR if kind is Tensor else kind
    slots = {} if kind is Tensor else slots_of(tensor)
    state = (tensor.__dict__, slots) if slots else tensor.__dict__ or None
    return names.REBUILD_FROM_TYPE, (rebuild, name, arguments, state)


def _reduce_plain(tensor: Tensor) -> tuple[Any, ...]:
    shape, stride = tuple(tensor.shape), tuple(tensor.stride())
    if tensor.device.type == "meta":
        return names.REBUILD_ON_META, (tensor.dtype, shape, stride, tensor.requires_grad)
    storage = tensor.untyped_storage()
    view: tuple[Any, ...] = (tensor.storage_offset(), shape, stride, tensor.requires_grad, OrderedDict())
    if tensor.dtype in names.STORAGE_OF:
        return names.REBUILD_TENSOR, (_Reference(storage, tensor.dtype), *view)
    return names.REBUILD_TENSOR_OF_DTYPE, (_Reference(storage, None), *view, tensor.dtype)


_REDUCERS: dict[Any, Callable[[Any], Any]] = {
    Size: lambda size: (names.SIZE, (tuple(size),)),
    flambeau.layout: lambda layout: (names.LAYOUT, (f"torch.{names.own_name(layout)}",)),
    flambeau.device: lambda device: (
        names.DEVICE,
        (device.type,) if device.index is None else (device.type, device.index),
    ),
}


def save(obj: Any, file: IO[bytes], protocol: int, root: str) -> None:
    """Write ``obj`` to the file.

    Args:
        root: the name of the folder in the archive.
    """
    pickled = io.BytesIO()
    pickler = Pickler(pickled, protocol)
    pickler.dump(obj)
    archive = ArchiveWriter(file, root)
    archive.write("data.pkl", pickled.getbuffer())
    archive.write(".format_version", b"1")
    archive.write(".storage_alignment", str(ALIGNMENT).encode())
    archive.write("byteorder", sys.byteorder.encode())
    for key, storage in enumerate(pickler.storages):
        archive.write(f"data/{key}", bytes_of(storage._bytes.cpu()) if storage.nbytes() else b"")
    archive.write("version", FORMAT_VERSION)
    archive.write(".data/serialization_id", archive.digest())
    archive.close()
