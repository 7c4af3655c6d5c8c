"""Reader of the container of a .pt file: a zip archive of uncompressed entries, which can be memory-mapped.

Entries are located with the archive's directory. The directory is verified against the length of the file. The bytes of
an entry are verified against its checksum. A checksum of 0 is ignored, because PyTorch can be configured to omit
checksums. Mapped entries are not verified, because verification would read all their bytes.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from typing import IO, TYPE_CHECKING

import flambeau
from flambeau.storage import UntypedStorage

from .._core import _crc32 as crc32
from .errors import FormatError, damaged

if TYPE_CHECKING:
    from flambeau import Tensor

MAGIC = b"PK\x03\x04"
LOCAL_HEADER = struct.Struct("<4s22xHH")
MAX_PICKLE_BYTES = 2 << 30
_READ_ERRORS = (zipfile.BadZipFile, ValueError, OverflowError, EOFError, OSError, NotImplementedError, struct.error)
WIDEST_ELEMENT = 16
_CHUNK_BYTES = 1 << 19


def map_file(file: IO[bytes]) -> mmap.mmap:
    """Map a file into memory. Pages are read on first access, and a write creates a private copy of the page."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a non-empty 1-D uint8 tensor."""
    return tensor.numpy().data


def fill(file: IO[bytes], view: memoryview) -> None:
    """Read bytes until the view is full."""
    while view:
        got = file.readinto(view)  # type: ignore[attr-defined]
        if not got:
            raise FormatError(f"truncated: the file ended {len(view):,} bytes early while it was read")
        view = view[got:]


def fill_and_sum(file: IO[bytes], view: memoryview) -> int:
    """Read bytes until the view is full, and return their CRC-32."""
    checksum = 0
    for start in range(0, len(view), _CHUNK_BYTES):  # a piece is still in the cache when its checksum is computed
        piece = view[start : start + _CHUNK_BYTES]
        fill(file, piece)
        checksum = crc32(piece, checksum)
    return checksum


class ArchiveReader:
    """Reader of an archive, from a file or from a memory mapping of the file.

    Args:
        file: binary file with ``seek`` and ``readinto``.
        mapped: if True, map the elements instead of reading them.
        checked: if True, verify checksums.
    """

    def __init__(self, file: IO[bytes], mapped: bool, checked: bool = True) -> None:
        self._file = file
        self._checked = checked
        self._size = file.seek(0, io.SEEK_END)
        self._map = map_file(file) if mapped else None
        self._entries = {entry.filename: entry for entry in _directory(file)}
        pickles = [name for name in self._entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if not pickles:
            raise FormatError("it is a zip archive without the entry 'data.pkl', which every .pt file has")
        self._root = min(pickles, key=len).removesuffix("data.pkl")

    def has(self, name: str) -> bool:
        """Return True if the archive has an entry of this name."""
        return self._root + name in self._entries

    def names(self) -> list[str]:
        """Return the names of all entries."""
        return [name.removeprefix(self._root) for name in self._entries]

    def read(self, name: str, most: int = MAX_PICKLE_BYTES) -> bytes:
        """Return the bytes of an entry. Raise FormatError if it has more than ``most`` bytes."""
        start, count = self._data_range(name)
        if count > most:
            raise FormatError(f"its entry {name!r} has {count:,} bytes, more than the limit of {most:,}")
        self._file.seek(start)
        content = bytearray(count)
        self._fill(name, memoryview(content))
        return bytes(content)

    def storage(self, name: str, count: int) -> UntypedStorage:
        """Return the first ``count`` bytes of an entry as a storage."""
        start, found = self._data_range(name)
        if not 0 <= count <= found:
            raise FormatError(f"its entry {name!r} has {found:,} bytes, but its storage should have {count:,}")
        if self._map is not None and count and start % WIDEST_ELEMENT == 0:
            return UntypedStorage(
                flambeau._core._frombuffer(self._map, dtype=flambeau.uint8, count=count, offset=start)
            )
        self._file.seek(start)
        elements = flambeau.empty(count, dtype=flambeau.uint8, device="cpu")
        if count:
            self._fill(name, bytes_of(elements))
        return UntypedStorage(elements)

    def _fill(self, name: str, view: memoryview) -> None:
        """Read an entry, or the beginning of an entry, from the current position of the file."""
        entry = self._entries[self._root + name]
        if not (self._checked and entry.CRC and len(view) == entry.file_size):
            fill(self._file, view)
        elif (found := fill_and_sum(self._file, view)) != entry.CRC:
            raise damaged(f"its entry {name!r}", entry.CRC, found)

    def _data_range(self, name: str) -> tuple[int, int]:
        """Return the position and the number of the bytes of an entry."""
        entry = self._entries.get(self._root + name)
        if entry is None:
            raise FormatError(f"damaged: the archive has no entry {name!r}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise FormatError(f"its entry {name!r} is compressed or encrypted, which is not valid in a .pt file")
        header = bytearray(LOCAL_HEADER.size)
        if not 0 <= entry.header_offset <= self._size - len(header):
            raise FormatError(f"damaged: its entry {name!r} lies outside of the file")
        self._file.seek(entry.header_offset)
        fill(self._file, memoryview(header))
        magic, name_length, extra_length = LOCAL_HEADER.unpack(header)
        start = entry.header_offset + len(header) + name_length + extra_length
        if magic != MAGIC or start + entry.file_size > self._size:
            raise FormatError(f"damaged: its entry {name!r} does not start where the archive's directory says")
        return start, entry.file_size


def _directory(file: IO[bytes]) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except _READ_ERRORS as error:
        raise FormatError(f"truncated or damaged: the archive's directory cannot be read ({error})") from None
