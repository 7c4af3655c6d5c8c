"""References to storages in a pickle."""

from __future__ import annotations

from typing import Any

from flambeau.storage import TypedStorage, UntypedStorage

from .errors import FormatError
from .rebuild import StorageType


def storage_of(identifier: Any) -> tuple[StorageType, str, str, int]:
    """Return the type, key, location and number of elements in a persistent id."""
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] not in ("storage", b"storage"):
        raise FormatError(f"damaged: {identifier!r} is not a valid reference to a storage")
    _, kind, key, location, numel = map(_text, identifier[:5])
    if not isinstance(kind, StorageType) or type(key) is not str or type(location) is not str:
        raise FormatError(f"damaged: {identifier!r} is not a valid reference to a storage")
    if type(numel) is not int or not 0 <= numel < 2**60:
        raise FormatError(f"damaged: a storage of {numel!r} elements is not valid")
    return kind, key, location, numel


def _text(value: Any) -> Any:
    """Decode a string that Python 2 wrote and ``encoding="bytes"`` kept as bytes. Return other values unchanged."""
    return value.decode("utf-8", "backslashreplace") if type(value) is bytes else value


def typed(storage: UntypedStorage, kind: StorageType) -> TypedStorage | UntypedStorage:
    """Return the storage with the type that the file's pickle states."""
    return storage if kind.dtype is None else TypedStorage(wrap_storage=storage, dtype=kind.dtype)


def swap_bytes(storage: UntypedStorage, kind: StorageType) -> None:
    """Swap the bytes of each element, for files from a machine with another byte order."""
    if kind.dtype is None:
        raise FormatError(
            "its unsigned integers were written on a machine with another byte order, which is not supported"
        )
    size = kind.itemsize // 2 if kind.dtype.is_complex else kind.itemsize
    if size > 1:
        elements = storage._bytes.numpy().view(f"u{size}")
        elements.byteswap(inplace=True)
