"""Anonymous shared memory that a worker writes and the loader reads.

Note [Shared memory]
~~~~~~~~~~~~~~~~~~~~
A segment is an anonymous file (``memfd_create``) that both sides map. The worker passes its descriptor over the socket.
The file has no name and does not need ``/dev/shm``. It is deleted when the last process that maps it ends, even if this
process is killed. On systems without ``memfd_create``, a file in ``/dev/shm`` or a temporary file is used, and its name
is removed before the first write. On Windows, a segment is memory with a random name, and the worker passes the name.
If there is not enough memory, batches are sent through the socket.

A worker owns its segments and reuses them. The loader tells the worker which segments are no longer in use. All arrays
in a segment are views of one array. Both sides keep a weak reference to this array to detect that the segment is no
longer in use.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _shared_file

SMALL = 16384  # a batch with fewer bytes is sent through the socket, which is faster
_ALIGNMENT = 64
_local = threading.local()


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    """Allocate an array of this thread's current batch in shared memory. Return None to use ordinary memory."""
    writer: Writer | None = getattr(_local, "writer", None)
    return None if writer is None else writer.empty(shape, dtype)


class Segment:
    """Mapping of shared memory. The memory is unmapped when the last array that uses it is freed.

    Args:
        handle: handle of existing memory (see `_shared_file`), or None to allocate new memory. Raises: OSError if
            memory is exhausted.
    """

    def __init__(self, number: int, size: int, handle: int | None = None) -> None:
        self.number = number
        self.size = size
        self._handle: int | None = handle
        if handle is None:
            self._handle, self._memory = _shared_file.create(size)
        else:
            self._memory = _shared_file.attach(handle, size)

    def array(self) -> np.ndarray:
        """Return the bytes as an array. All other arrays in the segment are views of it."""
        return np.frombuffer(self._memory, dtype=np.uint8)

    @property
    def handle(self) -> int | None:
        """Handle for the other side, or None after it was closed."""
        return self._handle

    def close_handle(self) -> None:
        """Close the handle. The mapping stays valid."""
        if self._handle is not None:
            _shared_file.close(self._handle)
            self._handle = None


class Writer:
    """Allocator of segments in a worker. It stores each batch in one segment.

    ``begin`` opens a segment for a batch. ``empty`` allocates memory for the arrays of the batch, so that collation
    writes directly to the segment. ``place`` copies arrays from other memory. ``finish`` returns the segment.
    """

    def __init__(self) -> None:
        self.dropped: list[int] = []  # numbers of the segments that were discarded since the last batch
        self._free: list[Segment] = []
        self._busy: dict[int, Segment] = {}
        self._count = 0
        self._expected = 0
        self._open: Segment | None = None
        self._root: np.ndarray | None = None  # bytes of the open segment
        self._used = 0
        _local.writer = self

    def release(self, numbers: Sequence[int]) -> None:
        """Mark segments as free, because the loader no longer uses them."""
        self._free += [self._busy.pop(number) for number in numbers]

    def begin(self) -> None:
        """Open a segment of the last batch's size if a batch was made. Raises: OSError if memory is exhausted."""
        self.abandon()
        if self._expected:
            self._open_segment(self._expected)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        """Allocate an array in the open segment. Return None if the array does not fit."""
        size = math.prod(shape) * dtype.itemsize
        if self._open is None and not self._expected and size >= SMALL and not dtype.hasobject:
            with contextlib.suppress(OSError):  # if memory is exhausted, ``place`` raises the error later
                self._open_segment(size + 4 * SMALL)  # the size of the first batch is unknown
        start = self._used
        if self._root is None or not size or dtype.hasobject or start + size > len(self._root):
            return None
        self._used = start + _aligned(size)
        return self._root[start : start + size].view(dtype).reshape(shape)

    def place(self, buffers: Sequence[np.ndarray]) -> list[tuple[int, int]]:
        """Copy buffers that are not in the open segment to it. Return the offset and the length of each buffer.

        Raises: OSError if memory is exhausted.
        """
        needed = sum(_aligned(buffer.nbytes) for buffer in buffers)
        offsets = [self._offset(buffer) for buffer in buffers]
        moving = sum(_aligned(buffer.nbytes) for buffer, at in zip(buffers, offsets, strict=True) if at is None)
        if self._root is None or self._used + moving > len(self._root):
            self.abandon()  # the buffers keep their memory alive
            self._open_segment(needed)
            offsets = [None] * len(buffers)
        self._expected = needed
        return [(self._copy(b) if at is None else at, b.nbytes) for b, at in zip(buffers, offsets, strict=True)]

    def finish(self) -> Segment:
        """Close the open segment and return it for the loader.

        The dataset or the collate function may have kept a reference to an array of the segment. This array would
        change when the segment is reused. In this case the segment is not reused, and a copy of it is returned.
        """
        root_reference, used = self._watch(), self._used
        if (root := root_reference()) is not None:
            segment = self._forget()
            self._open_segment(segment.size)
            assert self._root is not None
            self._root[:used] = root[:used]
        segment = self._forget()
        self._busy[segment.number] = segment
        return segment

    def abandon(self) -> None:
        """Close the open segment, if a segment is open, without passing it to the loader."""
        if self._open is not None:
            root_reference = self._watch()
            segment = self._forget()
            if root_reference() is None:
                self._free.append(segment)
            else:
                self._drop(segment)

    def _watch(self) -> weakref.ref[np.ndarray]:
        assert self._root is not None
        root_reference = weakref.ref(self._root)
        self._root = None
        return root_reference

    def _forget(self) -> Segment:
        assert self._open is not None
        segment, self._open, self._root, self._used = self._open, None, None, 0
        return segment

    def _open_segment(self, size: int) -> None:
        fitting = [segment for segment in self._free if segment.size >= size]
        if fitting:
            self._open = fitting[-1]
            self._free.remove(self._open)
        else:
            while self._free:
                self._drop(self._free.pop())
            rounded = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
            self._count += 1
            self._open = Segment(self._count, rounded)
        self._root = self._open.array()

    def _drop(self, segment: Segment) -> None:
        if segment.handle is None:
            self.dropped.append(segment.number)
        segment.close_handle()

    def _offset(self, buffer: np.ndarray) -> int | None:
        if self._root is None:
            return None
        offset = _address(buffer) - _address(self._root)
        return offset if offset >= 0 and offset + buffer.nbytes <= len(self._root) else None

    def _copy(self, buffer: np.ndarray) -> int:
        target = self.empty(buffer.shape, buffer.dtype)
        if target is None:  # the buffer is empty
            return 0
        target[...] = buffer
        return target_offset if (target_offset := self._offset(target)) is not None else 0


class _Use(weakref.ref[np.ndarray]):
    """Weak reference to the bytes of a segment."""

    number: int  # number of the segment


class Reader:
    """Reader of the segments of one worker, in the loader.

    Args:
        most_held: maximum number of segments that batches in the program can occupy. Further batches are copied to
            ordinary memory, so that a program that keeps many batches does not use many segments.
    """

    def __init__(self, most_held: int) -> None:
        self._most_held = most_held
        self._segments: dict[int, Segment] = {}
        self._held: dict[int, _Use] = {}
        self._freed: list[_Use] = []  # references whose bytes were freed since the last call of `_collect`
        self._released: list[int] = []

    def open(self, number: int, handle: int | None, size: int, dropped: Sequence[int]) -> None:
        """Remove the segments that the worker has discarded, and map a new segment if a handle is given."""
        for other in dropped:
            del self._segments[other]
        if handle is not None:
            self._segments[number] = Segment(number, size, handle)
            self._segments[number].close_handle()

    def buffers(self, number: int, layout: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Return the buffers of a batch. The segment is in use until the last array that uses a buffer is freed."""
        root = self._segments[number].array()
        self._collect()
        if len(self._held) >= self._most_held:
            self._released.append(number)
            return [root[start : start + size].copy() for start, size in layout]
        # The callback is a C function. Python would discard a KeyboardInterrupt that is raised in a Python callback.
        use = self._held[number] = _Use(root, self._freed.append)
        use.number = number
        return [root[start : start + size] for start, size in layout]

    def take_released(self) -> list[int]:
        """Return the numbers of the segments that were freed since the last call."""
        self._collect()
        released, self._released = self._released, []
        return released

    def _collect(self) -> None:
        while self._freed:
            number = self._freed.pop().number
            del self._held[number]
            self._released.append(number)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
