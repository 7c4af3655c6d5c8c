"""Memory without a name in the file system that processes share, on each operating system.

A *handle* is an integer by which a process opens the memory: a file descriptor, or on Windows a number in the name that
the system knows the memory by. Descriptors are sent through sockets of Unix, numbers like other data.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys

FOLDER = "/dev/shm"

if sys.platform == "win32":
    import _winapi

    def create(size: int) -> tuple[int, mmap.mmap]:
        """Return the handle and the mapping of ``size`` new bytes. Raises: OSError if memory is exhausted.

        Windows frees the memory when the last process that maps it ends or closes the mapping.
        """
        handle = secrets.randbits(63)
        return handle, mmap.mmap(-1, size, tagname=_name(handle))

    def attach(handle: int, size: int) -> mmap.mmap:
        """Map existing memory. Raises: OSError if no process maps it any more."""
        # mmap would create the memory. Opening it raises an error if it does not exist, and keeps it alive.
        opened = _winapi.OpenFileMapping(_winapi.FILE_MAP_READ, False, _name(handle))
        try:
            return mmap.mmap(-1, size, tagname=_name(handle))
        finally:
            _winapi.CloseHandle(opened)

    def close(handle: int) -> None:
        """Do nothing, because mappings alone keep the memory."""

    def _name(handle: int) -> str:
        return f"flambeau-batch-{handle}"

else:

    def create(size: int) -> tuple[int, mmap.mmap]:
        """Return a file descriptor and the mapping of ``size`` new bytes. Raises: OSError if memory is exhausted."""
        descriptor = _create_file()
        try:
            _reserve(descriptor, size)
            return descriptor, mmap.mmap(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise

    def attach(handle: int, size: int) -> mmap.mmap:
        """Map the memory that a file descriptor refers to."""
        return mmap.mmap(handle, size)

    def close(handle: int) -> None:
        """Close the file descriptor. Mappings stay valid."""
        os.close(handle)

    def _create_file() -> int:
        if sys.platform == "linux" and hasattr(os, "memfd_create"):  # some C libraries lack it
            return os.memfd_create("flambeau-batch")
        import tempfile

        descriptor, path = tempfile.mkstemp(dir=FOLDER if os.path.isdir(FOLDER) else None)
        os.unlink(path)
        return descriptor

    def _reserve(descriptor: int, size: int) -> None:
        if hasattr(os, "posix_fallocate"):  # lack of memory raises an error here, and not SIGBUS at a later write
            os.posix_fallocate(descriptor, 0, size)
        else:  # macOS
            os.ftruncate(descriptor, size)
