"""Settings of saving and loading that hold for the whole process."""

from __future__ import annotations

import enum
import mmap
import sys


class LoadEndianness(enum.Enum):
    """The byte order of files that do not say theirs: those of PyTorch before 2.1."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Options:
    endianness: LoadEndianness | None = None
    checksums = True


def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order that is assumed of files that do not say theirs; None: this machine's."""
    return _Options.endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order that is assumed of files that do not say theirs."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _Options.endianness = endianness


def unsaid_byte_order() -> str:
    """The byte order of a file that does not say it, as ``sys.byteorder`` spells it."""
    if _Options.endianness in (None, LoadEndianness.NATIVE):
        return sys.byteorder
    return "big" if _Options.endianness is LoadEndianness.BIG else "little"


def get_default_mmap_options() -> int:
    """How ``load(mmap=True)`` maps files: ``mmap.MAP_PRIVATE``."""
    return mmap.MAP_PRIVATE


def set_default_mmap_options(flags: int) -> None:
    """Raises NotImplementedError for all but ``mmap.MAP_PRIVATE``: what is changed must not reach the file."""
    if flags != mmap.MAP_PRIVATE:
        raise NotImplementedError(
            f"set_default_mmap_options: only mmap.MAP_PRIVATE is supported, got {flags}; "
            "flambeau.from_file(shared=True) maps a file that is to be changed"
        )


def get_crc32_options() -> bool:
    """Return whether saving computes checksums."""
    return _Options.checksums


def set_crc32_options(compute_crc32: bool) -> None:
    """Set whether saving computes checksums, by which `load` notices damage and without which zip tools fail."""
    _Options.checksums = bool(compute_crc32)
