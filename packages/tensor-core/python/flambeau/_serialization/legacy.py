"""The file format of PyTorch before 1.6: a sequence of pickles followed by the storages."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from typing import IO, TYPE_CHECKING, Any, NoReturn

import flambeau
from flambeau.storage import TypedStorage, UntypedStorage

from . import archive_reader
from .archive_writer import write_all
from .errors import FormatError
from .interpreter import run as run_restricted
from .pickling import Pickler
from .rebuild import elements_read_later
from .storages import storage_of, typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .locations import Locations
    from .rebuild import StorageType

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
OPENING = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little")
COUNT = struct.Struct("<q")


def load(file: IO[bytes], locations: Locations, run: Callable[..., Any], pickle_arguments: dict[str, Any]) -> Any:
    """Load the object in a file, starting at its current position. Set the position to the end of the object."""
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    header = [run_restricted(file, _reject_storage) for _ in range(3)]
    if header[:2] != [MAGIC_NUMBER, PROTOCOL_VERSION] or not isinstance(header[2], dict):
        raise FormatError(f"its version of PyTorch's old format, {header[1]!r}, is not supported")
    if header[2].get("little_endian") is not True:
        raise FormatError("it was written on a machine with another byte order, which is not supported")
    storages = _Storages(locations, most=size)
    with elements_read_later() as actions:
        result = run(file, storages.persistent_load, **pickle_arguments)
    keys = run_restricted(file, _reject_storage)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages.roots):
        raise FormatError("damaged: the list of its storages does not match the storages in its pickle")
    for key in keys:
        storages.read(key, file)
    for action in actions:
        action()
    return result


class _Pickler(Pickler):
    view = (None,)  # no storage is a view of another storage


def save(obj: Any, file: IO[bytes], protocol: int) -> None:
    """Write ``obj`` to the file: a header, the pickle, the keys of the storages, and their elements."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": PROTOCOL_VERSION, "little_endian": sys.byteorder == "little", "type_sizes": sizes}
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        write_all(file, pickle.dumps(part, protocol))
    pickled = io.BytesIO()
    pickler = _Pickler(pickled, protocol)
    pickler.dump(obj)
    write_all(file, pickled.getbuffer())
    write_all(file, pickle.dumps([str(key) for key in range(len(pickler.storages))], protocol))
    for storage, size in pickler.storages_and_item_sizes():
        write_all(file, COUNT.pack(storage.nbytes() // size))
        if storage.nbytes():
            write_all(file, archive_reader.bytes_of(storage._bytes.cpu()))


def _reject_storage(identifier: Any) -> NoReturn:
    raise FormatError("damaged: it has a storage where none is expected")


class _Storages:
    """Storages that the pickle refers to. Their elements follow the pickle."""

    def __init__(self, locations: Locations, most: int) -> None:
        self.locations = locations
        self.left = most
        self.roots: dict[str, tuple[UntypedStorage, StorageType]] = {}
        self.views: dict[str, UntypedStorage] = {}

    def persistent_load(self, identifier: Any) -> TypedStorage | UntypedStorage:
        kind, key, location, numel = storage_of(identifier)
        if key not in self.roots:
            count = numel * kind.itemsize
            self.left -= count
            if self.left < 0:
                raise FormatError(f"truncated: it has fewer bytes than its storage of {count:,} bytes")
            storage = UntypedStorage(flambeau.empty(count, dtype=flambeau.uint8, device="cpu"))
            self.roots[key] = self.locations.place(storage, location), kind
        root, known_kind = self.roots[key]
        if kind is not known_kind:
            raise FormatError(f"damaged: the storage {key!r} has two types")
        view = identifier[5] if len(identifier) > 5 else None
        return typed(root if view is None else self.view(root, kind, view), kind)

    def view(self, root: UntypedStorage, kind: StorageType, description: Any) -> UntypedStorage:
        """Return a storage that views a part of ``root``. ``description`` is the part's key, offset and length."""
        key, offset, length = description
        if key not in self.views:
            start, count = offset * kind.itemsize, length * kind.itemsize
            if start < 0 or count < 0 or start + count > root.nbytes():
                raise FormatError(
                    f"damaged: a view of {length} elements at offset {offset} exceeds its storage of {root.nbytes()} "
                    "bytes"
                )
            if root.device.type != "cpu":
                raise FormatError(
                    "some of its storages are parts of others, which is only supported on the CPU; load it with "
                    "map_location='cpu'"
                )
            part = root._bytes[start : start + count]
            self.views[key] = _storage_over(part)
        return self.views[key]

    def read(self, key: str, source: IO[bytes]) -> None:
        storage, kind = self.roots[key]
        header = source.read(COUNT.size)
        if len(header) < COUNT.size or COUNT.unpack(header)[0] * kind.itemsize != storage.nbytes():
            raise FormatError(
                f"truncated or damaged: the storage {key!r} does not have the size that the pickle states"
            )
        if storage.device.type == "meta":
            source.seek(storage.nbytes(), io.SEEK_CUR)
        elif storage.nbytes():
            elements = storage._bytes.cpu()
            archive_reader.fill(source, archive_reader.bytes_of(elements))
            if elements is not storage._bytes:
                storage._bytes.copy_(elements)


def _storage_over(part: Any) -> UntypedStorage:
    """Return a storage that shares the memory of a 1-D byte tensor."""
    return UntypedStorage(
        flambeau._core._frombuffer(part.numpy(), dtype=flambeau.uint8) if part.numel() else part.clone()
    )
