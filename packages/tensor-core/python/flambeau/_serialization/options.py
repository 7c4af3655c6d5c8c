"""Process-wide options of saving and loading."""

from __future__ import annotations

import enum
import mmap
import sys


class LoadEndianness(enum.Enum):
    """Byte order of files that do not specify it, which are those of PyTorch before 2.1."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Options:
    endianness: LoadEndianness | None = None
    checksums = True


def get_default_load_endianness() -> LoadEndianness | None:
    """Return the byte order for files that do not specify it. None means that of this machine."""
    return _Options.endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order for files that do not specify it."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _Options.endianness = endianness


def unsaid_byte_order() -> str:
    """Return the byte order for files that do not specify it, spelled as in ``sys.byteorder``."""
    if _Options.endianness in (None, LoadEndianness.NATIVE):
        return sys.byteorder
    return "big" if _Options.endianness is LoadEndianness.BIG else "little"


def get_default_mmap_options() -> int:
    """Return the flags with which ``load(mmap=True)`` maps files: ``mmap.MAP_PRIVATE``."""
    return mmap.MAP_PRIVATE


def set_default_mmap_options(flags: int) -> None:
    """Raise NotImplementedError for other flags than ``mmap.MAP_PRIVATE``, because changes must not reach the file."""
    if flags != mmap.MAP_PRIVATE:
        raise NotImplementedError(
            f"set_default_mmap_options: only mmap.MAP_PRIVATE is supported, got {flags}; "
            "flambeau.from_file(shared=True) maps a file that is to be changed"
        )


def get_crc32_options() -> bool:
    """Return True if saving computes checksums."""
    return _Options.checksums


def set_crc32_options(compute_crc32: bool) -> None:
    """Enable or disable checksums in saved files. Without them, `load` cannot detect damage and zip tools fail."""
    _Options.checksums = bool(compute_crc32)
