"""Storages: the block of memory that a tensor shares with its views, as bytes or as elements of one dtype."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from flambeau import _core
from flambeau._core import Tensor
from flambeau._storage_buffers import elements
from flambeau._storage_casts import StorageCasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StorageBase", "TypedStorage", "UntypedStorage", "from_file"]


def from_file(
    filename: str | os.PathLike[str],
    shared: bool | None = None,
    size: int = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor with the contents of a file. The file is memory-mapped and read when elements are used.

    Args:
        filename: path of the file.
        shared: if True, changes of the tensor are written to the file, and the file is created or extended if needed.
            Otherwise changes stay private to the tensor.
        size: number of elements.
        dtype: dtype of the elements. None means the default dtype.
        layout, device: only `strided` and the CPU are supported.
        requires_grad: if True, autograd records operations on the tensor.
    Returns: a tensor of shape ``(size,)``.
    Raises: RuntimeError if the file is too short; NotImplementedError for another layout or device; ValueError if
        ``size`` is negative; FileNotFoundError.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     x = fb.from_file(file.name, shared=True, size=4, dtype=fb.uint8)
    ...     _ = x.fill_(65)
    ...     file.read()
    b'AAAA'
    """
    if layout not in (None, _core.strided) or (device is not None and _core.device(device).type != "cpu"):
        raise NotImplementedError(f"from_file makes dense tensors on the CPU, got layout={layout}, device={device}")
    kind = _core.get_default_dtype() if dtype is None else dtype
    if size < 0:
        raise ValueError(f"from_file: size must not be negative, got {size}")
    needed = size * kind.itemsize
    if not needed and shared:
        return _core.empty(0, dtype=kind, requires_grad=requires_grad)  # a file is created only if it has contents
    descriptor = os.open(filename, os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY, 0o666)
    try:
        found = os.fstat(descriptor).st_size
        if found < needed:
            if not shared:
                raise RuntimeError(
                    f"from_file: {size} elements of {kind} take {needed} bytes, but {os.fspath(filename)!r} has only "
                    f"{found}"
                )
            os.ftruncate(descriptor, needed)
        if not needed:
            return _core.empty(0, dtype=kind, requires_grad=requires_grad)
        mapping = mmap.mmap(descriptor, needed, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)
    return _core._frombuffer(mapping, dtype=_core.uint8).view(kind).requires_grad_(requires_grad)


class StorageBase:
    """Base class of untyped storages, for ``isinstance`` checks.

    >>> isinstance(fb.ones(2).untyped_storage(), fb.StorageBase)
    True
    """


class UntypedStorage(StorageBase):
    """Bytes of a tensor's memory. ``tensor.set_(storage, offset, size, stride)`` makes a tensor use this memory.

    Args:
        size: a number of bytes, which are set to zero; or a sequence of byte values; or a 1-D ``uint8`` tensor, whose
            memory the storage then shares.
        device: device of the bytes if ``size`` is a number or a sequence. The default is the CPU.

    >>> flambeau.zeros(2, 3)[0].untyped_storage().nbytes()
    24
    """

    is_sparse = False
    _filename: str | None = None

    def __init__(self, size: int | Sequence[int] | Tensor = 0, *, device: Any = None) -> None:
        made = _core.zeros if isinstance(size, int) else _core.tensor
        self._bytes = size if isinstance(size, Tensor) else made(size, dtype=_core.uint8, device=device or "cpu")

    @classmethod
    def from_file(cls, filename: str | os.PathLike[str], shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """Return a storage that maps the bytes of a file. See `from_file`."""
        made = cls(from_file(filename, shared, nbytes, dtype=_core.uint8))
        made._filename = os.fspath(filename) if shared and nbytes else None
        return made

    @classmethod
    def from_buffer(
        cls, buffer: Any, byte_order: str | None = None, count: int = -1, offset: int = 0, *, dtype: Any
    ) -> UntypedStorage:
        r"""Return a copy of the bytes of elements in an object's buffer.

        Args:
            buffer: object with a buffer, such as ``bytes``.
            byte_order: "native", "big" or "little" order of the bytes of an element. Required unless it has one byte.
            count: the number of elements. If negative, all elements after ``offset``.
            offset: the number of bytes to skip.
            dtype: dtype of the elements.

        >>> flambeau.UntypedStorage.from_buffer(b"\x00\x01", "big", dtype=flambeau.int16).tolist()
        [1, 0]
        """
        return elements(buffer, byte_order, count, offset, dtype).untyped_storage()

    @property
    def filename(self) -> str | None:
        """The file whose bytes `from_file` has mapped with ``shared=True``; None for other storages."""
        return self._filename

    @classmethod
    def _new_shared(cls, size: int, *, device: Any = "cpu") -> UntypedStorage:
        """Return a new storage of ``size`` bytes in memory that other processes can map."""
        return cls(size, device=device).share_memory_()

    def nbytes(self) -> int:
        """Return the number of bytes."""
        return self._bytes.numel()

    size = __len__ = nbytes

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the bytes as a 1-D array. Without this method, NumPy and `asarray` read the bytes one at a time."""
        array = self._bytes.numpy()
        array = array if dtype is None else array.astype(dtype, copy=False)
        return array.copy() if copy else array

    def _elements_as(self, dtype: Any) -> Tensor:
        """Return the elements for ``flambeau.tensor``: the bytes as integers, or elements of ``dtype``."""
        return self._bytes if dtype is None else _core.empty(0, dtype=dtype, device=self.device).set_(self)

    def element_size(self) -> int:
        """Return the size of an element in bytes, which is 1."""
        return 1

    def data_ptr(self) -> int:
        """Return the address of the first byte, or 0 on the meta device."""
        return 0 if self.device.type == "meta" else self._bytes.data_ptr()

    @property
    def _cdata(self) -> int:
        """An identifier that is equal only for storages with the same memory."""
        return _core._storage_identifier(self._bytes)

    def tolist(self) -> list[int]:
        """Return the bytes as a list of integers."""
        _require_elements(self)
        return self._bytes.tolist()  # type: ignore[no-any-return]

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> UntypedStorage: ...
    def __getitem__(self, index: int | slice) -> int | UntypedStorage:
        """Return one byte for an index. For a slice, return a storage that shares the memory."""
        _require_elements(self)
        if not isinstance(index, slice):
            return int(self._bytes[index])
        if index.step not in (None, 1):
            raise RuntimeError(f"Trying to slice with a step of {index.step}, but only a step of 1 is supported")
        return UntypedStorage(self._bytes[index])

    def __setitem__(self, index: int | slice, value: int) -> None:
        self._bytes[index] = value

    def fill_(self, value: int) -> UntypedStorage:
        """Set every byte to ``value``."""
        self._bytes.fill_(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool = False) -> UntypedStorage:
        """Copy the bytes of a storage of the same size into this storage."""
        self._bytes.copy_(source._bytes)
        return self

    def clone(self) -> UntypedStorage:
        """Return a copy of the storage."""
        return UntypedStorage(self._bytes.clone())

    def _on(self, there: Tensor) -> UntypedStorage:
        return self if there is self._bytes else type(self)(there)

    def cpu(self) -> UntypedStorage:
        """Return the storage on the CPU, or self if it is already there."""
        return self._on(self._bytes.cpu())

    def cuda(self, device: Any = None, non_blocking: bool = False) -> UntypedStorage:
        """Return the storage on a GPU (default: the current GPU), or self if it is already there."""
        return self._on(self._bytes.cuda(device, non_blocking))

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """Return the storage on a device, or self if it is already there."""
        return self._on(self._bytes.to(device, non_blocking=non_blocking))

    def resizable(self) -> bool:
        """Return True if `resize_` can change the size: the memory is not on a GPU and not shared between processes."""
        return not self.is_cuda and not self.is_shared()

    def resize_(self, size: int) -> UntypedStorage:
        """Change the size in bytes. Bytes that remain keep their values; new bytes are uninitialised.

        Existing tensors that use this storage keep their shapes. If the storage shrinks, its memory stays allocated, so
        that these tensors remain valid.
        Raises: RuntimeError for a negative size, and for memory that processes share; NotImplementedError on a GPU.
        """
        self._bytes = _core._storage_bytes(_core._resize_storage(self._bytes, size))
        return self

    def untyped(self) -> UntypedStorage:
        """Return self."""
        return self

    def is_shared(self) -> bool:
        """Return True if the memory is shared with other processes."""
        return self._bytes.is_shared()

    def share_memory_(self) -> UntypedStorage:
        """Move the storage to memory that other processes can map. See ``Tensor.share_memory_``."""
        self._bytes.share_memory_()
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """Return True if the memory is page-locked (pinned) for transfers to a GPU."""
        return self._bytes.is_pinned()

    def pin_memory(self, device: Any = None) -> UntypedStorage:
        """Return a copy in page-locked (pinned) memory, or self if the memory is pinned already."""
        return self._on(self._bytes.pin_memory())

    def get_device(self) -> int:
        """Return the index of the GPU that holds the memory, or -1 on the CPU."""
        return self._bytes.get_device()

    @property
    def is_cuda(self) -> bool:
        """True if the memory is on a GPU."""
        return self._bytes.is_cuda

    @property
    def device(self) -> _core.device:
        """The device that holds the memory."""
        return self._bytes.device

    def __deepcopy__(self, memo: dict[Any, Any]) -> UntypedStorage:
        """Copy the bytes once per ``copy.deepcopy``, even if several storages and tensors share them."""
        if not (address := self.data_ptr()):
            return self.clone()
        copies = memo.setdefault("flambeau storages", {})  # all other keys are object ids, which are numbers
        key = str(self.device), address
        if key not in copies:
            copies[key] = self.clone()
        return copies[key]  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return UntypedStorage, (self._bytes,)

    def __repr__(self) -> str:
        return _listed(self, f"{_core._library_name()}.storage.{type(self).__name__}(device={self.device})")


def _require_elements(storage: UntypedStorage | TypedStorage) -> None:
    if storage.device.type == "meta":
        raise NotImplementedError("Not available for 'meta' device type: a storage on this device has no elements")


def _listed(storage: UntypedStorage | TypedStorage, kind: str) -> str:
    """Format the elements, one per line, and a footer. Of many elements, show only the first and the last 500."""
    size, edge = len(storage), 500
    if storage.device.type == "meta":
        return f"...\n[{kind} of size {size}]"
    shown = range(size) if size <= 2 * edge else (*range(edge), *range(size - edge, size))
    lines = [f" {storage[i]}" for i in shown]
    if len(lines) < size:
        lines.insert(edge, " ...")
    return "\n".join([*lines, f"[{kind} of size {size}]"])


class TypedStorage(StorageCasts):
    """Typed view of an untyped storage, as returned by ``tensor.storage()``.

    Args:
        contents: the number of elements, which are set to zero, or the values of the elements.
        wrap_storage: an existing UntypedStorage to view. Cannot be combined with ``contents``.
        dtype: dtype of the elements. None means the default dtype.
        device: device of the elements if ``wrap_storage`` is None. The default is the CPU.

    >>> flambeau.tensor([1.0, 2.0]).storage().tolist()
    [1.0, 2.0]
    """

    is_sparse = False

    def __init__(
        self,
        contents: int | Sequence[Any] = 0,
        /,
        *,
        wrap_storage: UntypedStorage | None = None,
        dtype: Any = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        self.dtype = _core.get_default_dtype() if dtype is None else dtype
        if wrap_storage is None:
            made = _core.zeros if isinstance(contents, int) else _core.tensor
            wrap_storage = made(contents, dtype=self.dtype, device=device or "cpu").untyped_storage()
        elif contents:
            raise RuntimeError("TypedStorage: give either contents or wrap_storage, not both")
        self._untyped_storage = wrap_storage

    def _new_shared(self, size: int, *, device: Any = "cpu") -> TypedStorage:
        """Return a new storage of ``size`` elements of the same dtype in memory that other processes can map."""
        return TypedStorage(size, dtype=self.dtype, device=device).share_memory_()

    @property
    def _bytes(self) -> Tensor:
        return self._untyped_storage._bytes

    def _elements(self) -> Tensor:
        return _core.empty(0, dtype=self.dtype).set_(self._untyped_storage)

    def _elements_as(self, dtype: Any) -> Tensor:
        """Return the elements for ``flambeau.tensor``. Raise RuntimeError if ``dtype`` is not their dtype."""
        if dtype not in (None, self.dtype):
            raise RuntimeError(
                f"Expected a Storage of type {dtype} or an UntypedStorage, but got one of type {self.dtype}; "
                "convert it with tensor(storage).to(dtype)"
            )
        return self._elements()

    def untyped(self) -> UntypedStorage:
        """Return the untyped storage that has the same memory."""
        return self._untyped_storage

    def element_size(self) -> int:
        """Return the size of an element in bytes."""
        return self.dtype.itemsize

    def size(self) -> int:
        """Return the number of elements."""
        return self.nbytes() // self.element_size()

    __len__ = size

    def nbytes(self) -> int:
        """Return the number of bytes."""
        return self._untyped_storage.nbytes()

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes()

    def data_ptr(self) -> int:
        """Return the address of the first element, or 0 on the meta device."""
        return self._untyped_storage.data_ptr()

    @property
    def _cdata(self) -> int:
        """An identifier that is equal only for storages with the same memory."""
        return self._untyped_storage._cdata

    def tolist(self) -> list[Any]:
        """Return the elements as a list of numbers."""
        _require_elements(self)
        return self._elements().tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> Any:
        _require_elements(self)
        return self._elements()[index].item()

    def __setitem__(self, index: int, value: Any) -> None:
        self._elements()[index] = value

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element to ``value``."""
        self._elements().fill_(value)
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool = False) -> TypedStorage:
        """Copy the elements of a storage of the same size into this storage."""
        self._elements().copy_(source._elements())
        return self

    def clone(self) -> TypedStorage:
        """Return a copy of the storage."""
        return self._typed_over(self._untyped_storage.clone())

    def _typed_over(self, storage: UntypedStorage) -> TypedStorage:
        return self if storage is self._untyped_storage else TypedStorage(wrap_storage=storage, dtype=self.dtype)

    def resize_(self, size: int) -> TypedStorage:
        """Change the number of elements. See `UntypedStorage.resize_`."""
        self._untyped_storage.resize_(size * self.element_size())
        return self

    def is_shared(self) -> bool:
        """Return True if the memory is shared with other processes."""
        return self._untyped_storage.is_shared()

    def share_memory_(self) -> TypedStorage:
        """Move the storage to memory that other processes can map. See ``Tensor.share_memory_``."""
        self._untyped_storage.share_memory_()
        return self

    def cpu(self) -> TypedStorage:
        """Return the storage on the CPU, or self if it is already there."""
        return self._typed_over(self._untyped_storage.cpu())

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        """Return the storage on a GPU (default: the current GPU), or self if it is already there."""
        return self._typed_over(self._untyped_storage.cuda(device, non_blocking))

    def is_pinned(self, device: Any = None) -> bool:
        """Return True if the memory is page-locked (pinned) for transfers to a GPU."""
        return self._untyped_storage.is_pinned()

    def pin_memory(self, device: Any = None) -> TypedStorage:
        """Return a copy in page-locked (pinned) memory, or self if the memory is pinned already."""
        return self._typed_over(self._untyped_storage.pin_memory())

    def get_device(self) -> int:
        """Return the index of the GPU that holds the memory, or -1 on the CPU."""
        return self._untyped_storage.get_device()

    @property
    def is_cuda(self) -> bool:
        """True if the memory is on a GPU."""
        return self._untyped_storage.is_cuda

    @property
    def device(self) -> _core.device:
        """The device that holds the memory."""
        return self._untyped_storage.device

    def type(self, dtype: Any = None, non_blocking: bool = False) -> str | TypedStorage:
        """Return the name of the storage's type. With a dtype, return a storage of the converted elements."""
        if dtype is not None:
            return self._cast(dtype)
        from flambeau._storage_types import STORAGE_NAMES

        package = f"{_core._library_name()}{'.cuda' if self.is_cuda else ''}"
        return f"{package}.{STORAGE_NAMES[self.dtype]}"

    def _cast(self, dtype: Any) -> TypedStorage:
        if dtype == self.dtype:
            return self
        return TypedStorage(wrap_storage=self._elements().to(dtype).untyped_storage(), dtype=dtype)

    def __deepcopy__(self, memo: dict[Any, Any]) -> TypedStorage:
        return TypedStorage(wrap_storage=self._untyped_storage.__deepcopy__(memo), dtype=self.dtype)

    def _pickle_storage_type(self) -> str:
        """Return the name of PyTorch's storage class of the dtype."""
        from flambeau._storage_types import STORAGE_NAMES

        return STORAGE_NAMES[self.dtype]

    # PyTorch's names of the methods that do not warn; libraries call them.
    _size, _nbytes, _element_size, _data_ptr = size, nbytes, element_size, data_ptr
    _is_shared, _share_memory_, _resize_ = is_shared, share_memory_, resize_
    _setitem, _getitem, _deepcopy = __setitem__, __getitem__, __deepcopy__

    def __repr__(self) -> str:
        return _listed(self, f"{_core._library_name()}.storage.TypedStorage(dtype={self.dtype}, device={self.device})")


def _dtype_to_storage_type_map() -> dict[Any, str]:
    """Return the names of PyTorch's storage classes, by dtype."""
    from flambeau._storage_types import STORAGE_NAMES

    return STORAGE_NAMES
