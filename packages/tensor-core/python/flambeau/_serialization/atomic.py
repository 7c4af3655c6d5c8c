"""Writing a file so that its name always means a whole file: the old one or the new one."""

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
    """Binary file that takes the place of ``path``, all at once, when the block ends without an exception.

    The bytes go to a temporary file in the same folder, reach the disk, and are then renamed; if the block fails the
    temporary file is removed and ``path`` is as it was. Links are followed and permissions kept. What is no ordinary
    file (a device, a pipe) cannot be replaced and is written to directly.

    Raises: OSError naming ``path``, PermissionError if it is there and read-only.
    """
    target = os.path.realpath(path)
    exists = os.path.exists(target)
    if exists and not os.path.isfile(target):
        try:
            with open(target, "wb") as file:
                yield file
        except OSError as error:
            raise _named(error, path) from None
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
            raise _named(error, path) from None
        raise
    _flush_folder(folder)


def _named(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The error with the path that the caller gave: writing to a full disk names none."""
    if error.errno is None:
        return error
    return type(error)(error.errno, os.strerror(error.errno), os.fspath(path))


def _flush_folder(folder: str) -> None:
    """Make the renaming itself survive a power cut, where the system can promise that."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
