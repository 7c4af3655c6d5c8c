"""Memory that a worker fills and the loader reads, without names.

Note [Shared memory]
~~~~~~~~~~~~~~~~~~~~
A segment is an anonymous file (``memfd_create``) mapped by both sides; the worker passes its descriptor over the
socket. It has no name that could be left behind, needs no ``/dev/shm`` and is gone with the last process that maps it,
however that one ends. Where the system has no such files, a file of ``/dev/shm`` takes their place whose name is
removed before anything is written; where that is too small, batches travel through the socket.

A worker owns its segments and uses them again: the loader tells it which ones nobody reads any more. Both sides know
that by a weak reference to the one array that all arrays in a segment are views of.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

FOLDER = "/dev/shm"
SMALL = 16384  # bytes in all below which a segment is not worth the trouble
_ALIGNMENT = 64
_local = threading.local()


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    """Memory for an array of the batch that this thread is making, or None where it is to be ordinary memory."""
    writer: Writer | None = getattr(_local, "writer", None)
    return None if writer is None else writer.empty(shape, dtype)


class Segment:
    """A mapping of a shared file. Its memory is unmapped with the last array made of it."""

    def __init__(self, number: int, descriptor: int, size: int) -> None:
        self.number = number
        self.size = size
        self._memory = mmap.mmap(descriptor, size)
        self._descriptor: int | None = descriptor

    def array(self) -> np.ndarray:
        """The bytes, as an array that all others are views of."""
        return np.frombuffer(self._memory, dtype=np.uint8)

    @property
    def descriptor(self) -> int | None:
        """What to pass to the other side, until it has it."""
        return self._descriptor

    def close_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def create_file(size: int) -> int:
    """The descriptor of a file of ``size`` bytes without a name. OSError where there is no room."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("flambeau-batch", os.MFD_CLOEXEC)
    else:
        import tempfile

        descriptor, path = tempfile.mkstemp(dir=FOLDER if os.path.isdir(FOLDER) else None)
        os.unlink(path)
    try:
        # Claims the memory: a write that finds no room would be a fatal signal, this is an error.
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Writer:
    """The worker's side: lays out one batch after the other in segments.

    ``begin`` opens a batch; ``empty`` gives memory for its arrays, so that collation writes them in place; ``place``
    copies what lies elsewhere; ``finish`` hands over.
    """

    def __init__(self) -> None:
        self.dropped: list[int] = []  # numbers of segments given up since the last batch
        self._free: list[Segment] = []
        self._busy: dict[int, Segment] = {}
        self._count = 0
        self._expected = 0
        self._open: Segment | None = None
        self._root: np.ndarray | None = None  # the bytes of the open segment
        self._used = 0
        _local.writer = self

    def release(self, numbers: Sequence[int]) -> None:
        """The loader is done with these segments."""
        self._free += [self._busy.pop(number) for number in numbers]

    def begin(self) -> None:
        """Open a segment as large as the last batch, if there was one. OSError where there is no room."""
        self.abandon()
        if self._expected:
            self._open_segment(self._expected)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        """An array in the open segment, or None where that has no room."""
        size = math.prod(shape) * dtype.itemsize
        if self._open is None and not self._expected and size >= SMALL and not dtype.hasobject:
            with contextlib.suppress(OSError):  # no room, which will be found out again when the batch is placed
                self._open_segment(size + 4 * SMALL)  # for the first batch, of unknown size
        start = self._used
        if self._root is None or not size or dtype.hasobject or start + size > len(self._root):
            return None
        self._used = start + _aligned(size)
        return self._root[start : start + size].view(dtype).reshape(shape)

    def place(self, buffers: Sequence[np.ndarray]) -> list[tuple[int, int]]:
        """Where in the open segment each buffer of bytes lies, as offset and length; those from elsewhere are copied.

        Raises: OSError where there is no room for them.
        """
        needed = sum(_aligned(buffer.nbytes) for buffer in buffers)
        offsets = [self._offset(buffer) for buffer in buffers]
        moving = sum(_aligned(buffer.nbytes) for buffer, at in zip(buffers, offsets, strict=True) if at is None)
        if self._root is None or self._used + moving > len(self._root):
            self.abandon()  # the buffers keep what they lie in alive
            self._open_segment(needed)
            offsets = [None] * len(buffers)
        self._expected = needed
        return [(self._copy(b) if at is None else at, b.nbytes) for b, at in zip(buffers, offsets, strict=True)]

    def finish(self) -> Segment:
        """Hand the open segment over to the loader.

        An array that the dataset or the collate function kept would change when the segment is used again. So such a
        segment is left to who kept it, and a copy is handed over.
        """
        kept, used = self._watch(), self._used
        if (root := kept()) is not None:
            segment = self._forget()
            self._open_segment(segment.size)
            assert self._root is not None
            self._root[:used] = root[:used]
        segment = self._forget()
        self._busy[segment.number] = segment
        return segment

    def abandon(self) -> None:
        """Close the open segment, if any, without handing it over."""
        if self._open is not None:
            kept = self._watch()
            segment = self._forget()
            if kept() is None:
                self._free.append(segment)
            else:
                self._drop(segment)

    def _watch(self) -> weakref.ref[np.ndarray]:
        assert self._root is not None
        kept = weakref.ref(self._root)
        self._root = None
        return kept

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
            self._open = Segment(self._count, create_file(rounded), rounded)
        self._root = self._open.array()

    def _drop(self, segment: Segment) -> None:
        if segment.descriptor is None:
            self.dropped.append(segment.number)
        segment.close_descriptor()

    def _offset(self, buffer: np.ndarray) -> int | None:
        if self._root is None:
            return None
        offset = _address(buffer) - _address(self._root)
        return offset if offset >= 0 and offset + buffer.nbytes <= len(self._root) else None

    def _copy(self, buffer: np.ndarray) -> int:
        target = self.empty(buffer.shape, buffer.dtype)
        if target is None:  # nothing to copy
            return 0
        target[...] = buffer
        return target_offset if (target_offset := self._offset(target)) is not None else 0


class Reader:
    """The loader's side: the segments of one worker.

    Args:
        most_held: of how many segments the program may hold batches; further batches are copied, so that keeping many
            costs ordinary memory and no descriptors.
    """

    def __init__(self, most_held: int) -> None:
        self._most_held = most_held
        self._segments: dict[int, Segment] = {}
        self._held: dict[int, weakref.ref[np.ndarray]] = {}
        self._released: list[int] = []

    def open(self, number: int, descriptor: int | None, size: int, dropped: Sequence[int]) -> None:
        """Take note of what a worker says of its segments; a descriptor comes with one that is not known yet."""
        for other in dropped:
            del self._segments[other]
        if descriptor is not None:
            self._segments[number] = Segment(number, descriptor, size)
            self._segments[number].close_descriptor()

    def buffers(self, number: int, layout: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The buffers of a batch. The segment counts as in use as long as anything made of them lives."""
        root = self._segments[number].array()
        if len(self._held) >= self._most_held:
            self._released.append(number)
            return [root[start : start + size].copy() for start, size in layout]
        held, released = self._held, self._released

        def release(_: object) -> None:
            del held[number]
            released.append(number)

        held[number] = weakref.ref(root, release)
        return [root[start : start + size] for start, size in layout]

    def take_released(self) -> list[int]:
        """The segments that came free since the last call."""
        released = self._released[:]
        del self._released[: len(released)]
        return released


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
