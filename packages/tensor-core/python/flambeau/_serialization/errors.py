"""Errors in files and their messages."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class FormatError(RuntimeError):
    """Error for bytes that violate the format. The message describes the problem; the caller adds the file name."""


class ForeignFormatError(FormatError, NotImplementedError):
    """Error for a known format, or known contents, that flambeau cannot read."""


class UnsafePickleError(FormatError):
    """Error for a file that requests an operation that could run code."""


def damaged(what: str, expected: int, found: int) -> FormatError:
    """Return the error for ``what``, a part of a file, whose checksum is ``found`` instead of ``expected``."""
    return FormatError(
        f"damaged: {what} has the checksum {found:08x} instead of {expected:08x}; get the file again from its source, "
        "or pass check_crc32=False to load it as it is"
    )


@contextlib.contextmanager
def add_file_name(f: Any) -> Iterator[None]:
    """Convert format errors in the block to errors that contain the file name."""
    try:
        yield
    except FormatError as error:
        kind: type[Exception] = RuntimeError
        if isinstance(error, ForeignFormatError):
            kind = NotImplementedError
        elif isinstance(error, UnsafePickleError):
            import pickle

            kind = pickle.UnpicklingError
        name = os.fspath(f) if isinstance(f, str | os.PathLike) else getattr(f, "name", type(f).__name__)
        raise kind(f"cannot load {name!r}: {error}") from error.__cause__
