"""Atomic replacement of files: a name refers to the complete old or the complete new file at any time."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces ``path`` atomically when the block ends without an exception.

    The bytes are written to a temporary file in the same folder, flushed to the disk, and then renamed. If the block
    fails, the temporary file is removed and ``path`` is unchanged. Links are followed and permissions are kept. A
    special file, such as a device or a pipe, cannot be replaced and is written directly.

    Raises: OSError with the name ``path``; PermissionError if the file exists and is read-only.
    """
    target = os.path.realpath(path)
    exists = os.path.exists(target)
    if exists and not os.path.isfile(target):
        try:
            with open(target, "wb") as file:
                yield file
        except OSError as error:
            raise _with_path(error, path) from None
        return
    if exists and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))

    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".flambeau-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if exists:
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            raise _with_path(error, path) from None
        raise
    _flush_folder(folder)


def _with_path(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """Return a copy of the error with the caller's path. An error without ``errno`` is returned unchanged."""
    if error.errno is None:
        return error
    return type(error)(error.errno, os.strerror(error.errno), os.fspath(path))


def _flush_folder(folder: str) -> None:
    """Flush the folder, so that the rename survives a power failure on systems that support this."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
