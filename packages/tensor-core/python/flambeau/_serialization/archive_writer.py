"""Sequential writer of the container of a .pt file: a zip archive of aligned, uncompressed entries.

Source: PKWARE, APPNOTE.TXT 6.3.10, .ZIP File Format Specification.
"""

from __future__ import annotations

import struct
from typing import IO, NamedTuple

from .._core import _crc32 as crc32
from .options import get_crc32_options

ALIGNMENT = 64
PADDING_FIELD = 0x4246  # extra field of a local header that pads the entry to the alignment
LONG_FIELD = 0x0001  # extra field for numbers that do not fit in 32 bits
LIMIT = 0xFFFFFFFF
MAX_ENTRIES = 0xFFFF
UTF8_NAMES = 0x800
FIRST_OF_1980 = 0x0021
LONG_VERSION = 45  # first version of the format with 64-bit fields

LOCAL = struct.Struct("<4sHHHHHLLLHH")
CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
END = struct.Struct("<4sHHHHLLH")
LONG_END = struct.Struct("<4sQHHLLQQQQ")
LONG_END_LOCATOR = struct.Struct("<4sLQL")


class _Entry(NamedTuple):
    name: bytes
    checksum: int
    size: int
    offset: int

    def description(self) -> tuple[int, ...]:
        size = min(self.size, LIMIT)
        return LONG_VERSION, UTF8_NAMES, 0, 0, FIRST_OF_1980, self.checksum, size, size, len(self.name)


class ArchiveWriter:
    """Writer of an archive that stores all entries in one folder.

    Args:
        file: binary file, of which only the method ``write`` is used.
        folder: name of the folder.
    """

    def __init__(self, file: IO[bytes], folder: str) -> None:
        self._file = file
        self._folder = folder
        self._entries: list[_Entry] = []
        self._position = 0

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Add an entry."""
        encoded = f"{self._folder}/{name}".encode("utf-8", "backslashreplace")
        checksum = crc32(content) if get_crc32_options() else 0
        entry = _Entry(encoded, checksum, len(content), self._position)
        extra = _long_field(*[entry.size] * 2) if entry.size >= LIMIT else b""
        padding = -(self._position + LOCAL.size + len(encoded) + len(extra) + 4) % ALIGNMENT
        extra += struct.pack("<HH", PADDING_FIELD, padding) + bytes(padding)
        self._write(LOCAL.pack(b"PK\3\4", *entry.description(), len(extra)) + encoded + extra)
        self._write(content)
        self._entries.append(entry)

    def digest(self) -> bytes:
        """Return 40 digits that identify the entries written so far."""
        sizes = repr([(entry.name, entry.size) for entry in self._entries]).encode()
        checksums = repr([entry.checksum for entry in self._entries]).encode()
        return f"{crc32(sizes):020}{crc32(checksums):020}".encode()

    def close(self) -> None:
        """Write the directory of the archive."""
        start = self._position
        for entry in self._entries:
            long = [number for number in (entry.size, entry.size, entry.offset) if number >= LIMIT]
            extra = _long_field(*long) if long else b""
            offset = min(entry.offset, LIMIT)
            header = CENTRAL.pack(b"PK\1\2", 0, *entry.description(), len(extra), 0, 0, 0, 0, offset)
            self._write(header + entry.name + extra)
        count, size = len(self._entries), self._position - start
        if count >= MAX_ENTRIES or start >= LIMIT:
            end = self._position
            self._write(LONG_END.pack(b"PK\6\6", LONG_END.size - 12, 45, 45, 0, 0, count, count, size, start))
            self._write(LONG_END_LOCATOR.pack(b"PK\6\7", 0, end, 1))
        shown = min(count, MAX_ENTRIES)
        self._write(END.pack(b"PK\5\6", 0, 0, shown, shown, min(size, LIMIT), min(start, LIMIT), 0))

    def _write(self, data: bytes | memoryview) -> None:
        write_all(self._file, data)
        self._position += len(data)


def _long_field(*numbers: int) -> bytes:
    return struct.pack(f"<HH{len(numbers)}Q", LONG_FIELD, 8 * len(numbers), *numbers)


_CHUNK_BYTES = 2**23  # bytes per write call


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write all data, even if ``file`` is unbuffered and accepts only a part per call.

    Signals are handled between the parts, so that Ctrl-C takes effect quickly on a slow disk.
    """
    left = memoryview(data)
    while left:
        piece = left[:_CHUNK_BYTES]
        written = file.write(piece)
        left = left[len(piece) if written is None else written :]
