"""What is wrong with a file, and how that is said."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class FormatError(RuntimeError):
    """The bytes are not what the format says; the message says where, the caller adds the file's name."""


class ForeignFormatError(FormatError, NotImplementedError):
    """The bytes are in a format that is known, or hold something that is, but cannot be read."""


class RefusedError(FormatError):
    """The file asks for something that could run code."""


def damaged(what: str, expected: int, found: int) -> FormatError:
    """Return the error for bytes that differ from those that were saved."""
    return FormatError(
        f"damaged: {what} has the checksum {found:08x} instead of {expected:08x}; get the file again from its source, "
        "or pass check_crc32=False to load it as it is"
    )


@contextlib.contextmanager
def naming(f: Any) -> Iterator[None]:
    """Turn errors about what is in a file into those that name the file."""
    try:
        yield
    except FormatError as error:
        kind: type[Exception] = RuntimeError
        if isinstance(error, ForeignFormatError):
            kind = NotImplementedError
        elif isinstance(error, RefusedError):
            import pickle

            kind = pickle.UnpicklingError
        name = os.fspath(f) if isinstance(f, str | os.PathLike) else getattr(f, "name", type(f).__name__)
        raise kind(f"cannot load {name!r}: {error}") from error.__cause__
