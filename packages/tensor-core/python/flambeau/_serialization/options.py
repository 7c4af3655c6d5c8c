"""Process-wide options of saving and loading."""

from __future__ import annotations

import enum
import mmap
import sys

_MAP_PRIVATE: int = getattr(mmap, "MAP_PRIVATE", 0)  # Windows has no such flags


class LoadEndianness(enum.Enum):
    """Byte order of files that do not specify a byte order, such as files of PyTorch before 2.1.

    See `set_default_load_endianness`.
    """

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Options:
    endianness: LoadEndianness | None = None
    checksums = True


def get_default_load_endianness() -> LoadEndianness | None:
    """Return the byte order for files that do not specify it. None means the byte order of this machine.

    See `set_default_load_endianness`.
    """
    return _Options.endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order for files that do not specify it.

    Args:
        endianness: the byte order. None means the byte order of this machine.
    Raises: TypeError for another type.

    >>> fb.serialization.set_default_load_endianness(fb.serialization.LoadEndianness.BIG)
    >>> fb.serialization.get_default_load_endianness()
    <LoadEndianness.BIG: 3>
    >>> fb.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError(
            "Invalid argument type in function set_default_load_endianness: expected a LoadEndianness or None, got "
            f"{type(endianness).__name__}"
        )
    _Options.endianness = endianness


def default_byte_order() -> str:
    """Return the byte order for files that do not specify it, spelled as in ``sys.byteorder``."""
    if _Options.endianness in (None, LoadEndianness.NATIVE):
        return sys.byteorder
    return "big" if _Options.endianness is LoadEndianness.BIG else "little"


def get_default_mmap_options() -> int:
    """Return the flags with which ``load(mmap=True)`` maps files: ``mmap.MAP_PRIVATE``.

    >>> import mmap
    >>> fb.serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    True
    """
    return _MAP_PRIVATE


def set_default_mmap_options(flags: int) -> None:
    """Check the flags with which ``load(mmap=True)`` maps files. Only ``mmap.MAP_PRIVATE`` is supported.

    Raises: NotImplementedError for other flags, because changes of a tensor must not be written to the file.

    >>> import mmap
    >>> fb.serialization.set_default_mmap_options(mmap.MAP_SHARED)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    NotImplementedError: set_default_mmap_options: only mmap.MAP_PRIVATE is supported, got 1; ...
    """
    if flags != _MAP_PRIVATE:
        raise NotImplementedError(
            f"set_default_mmap_options: only mmap.MAP_PRIVATE is supported, got {flags}; "
            "flambeau.from_file(shared=True) maps a file that is to be changed"
        )


def get_crc32_options() -> bool:
    """Return True if saving computes checksums. See `set_crc32_options`."""
    return _Options.checksums


def set_crc32_options(compute_crc32: bool) -> None:
    """Enable or disable checksums in saved files. Without them, `load` cannot detect damage and zip tools fail.

    >>> fb.serialization.set_crc32_options(False)
    >>> fb.serialization.get_crc32_options()
    False
    >>> fb.serialization.set_crc32_options(True)
    """
    _Options.checksums = bool(compute_crc32)
