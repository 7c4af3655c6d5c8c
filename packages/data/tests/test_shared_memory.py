"""Test that shared memory segments are written, sent, read and reused."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from flambeau.data import _shared_memory
from flambeau.data._shared_memory import Reader, Writer

FLOAT = np.dtype(np.float64)


@pytest.fixture
def writer() -> Iterator[Writer]:
    yield Writer()
    del _shared_memory._local.writer


def bytes_of(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def hand_over(writer: Writer, buffers: list[np.ndarray], reader: Reader) -> tuple[int, list[np.ndarray]]:
    """Write buffers to a segment, clear the list, and return the segment's number and the buffers as read."""
    layout = writer.place(buffers)
    buffers.clear()
    segment = writer.finish()
    handle = None if segment.handle is None else os.dup(segment.handle)
    segment.close_handle()
    dropped, writer.dropped = writer.dropped, []
    reader.open(segment.number, handle, segment.size, dropped)
    return segment.number, reader.buffers(segment.number, layout)


def test_arrays_pass_through_shared_memory_unchanged(writer: Writer) -> None:
    reader = Reader(4)
    for number in range(3):
        writer.begin()
        inside = writer.empty((100, 50), FLOAT)
        assert inside is not None
        inside[...] = number
        outside = np.arange(10) + number
        empty = np.zeros((0,), np.uint8)
        buffers = [bytes_of(outside), bytes_of(inside), empty]
        del inside
        _, found = hand_over(writer, buffers, reader)
        assert found[0].view(np.int64).tolist() == outside.tolist() and len(found[2]) == 0
        assert (found[1].view(np.float64) == number).all()
        assert all(buffer.ctypes.data % 64 == 0 for buffer in found[:2])


def test_a_segment_is_reused_after_its_last_reader(writer: Writer) -> None:
    reader, numbers, held = Reader(4), [], []
    for _ in range(6):
        writer.release(reader.take_released())
        writer.begin()
        number, found = hand_over(writer, [np.ones(50000, np.uint8)], reader)
        numbers.append(number)
        held = [*held, found][-2:]
    assert set(numbers) == {1, 2, 3}
    view = held[-1][0][10:20]
    held.clear()
    del found
    assert numbers[-1] not in reader.take_released()  # a view still exists
    del view
    assert numbers[-1] in reader.take_released()


def test_arrays_that_the_worker_keeps_are_copied(writer: Writer) -> None:
    reader = Reader(4)
    writer.begin()
    kept = writer.empty((100, 50), FLOAT)
    assert kept is not None
    kept[...] = 1
    _, (found,) = hand_over(writer, [bytes_of(kept)], reader)
    assert (found.view(np.float64) == 1).all()
    found[...] = 0
    assert (kept == 1).all()


def test_batches_beyond_the_limit_of_shared_segments_are_copied(writer: Writer) -> None:
    reader, held = Reader(2), []
    for number in range(5):
        writer.release(reader.take_released())
        writer.begin()
        held.append(hand_over(writer, [np.full(50000, number, np.uint8)], reader)[1][0])
    assert [array.base is None for array in held] == [False, False, True, True, True]
    assert [array[0] for array in held] == [0, 1, 2, 3, 4] and len(reader._segments) == 3


def test_larger_segments_replace_smaller_ones_as_batches_grow(writer: Writer) -> None:
    reader = Reader(4)
    for size in (20000, 500000, 20000, 500000):
        writer.release(reader.take_released())
        writer.begin()
        _, (found,) = hand_over(writer, [np.ones(size, np.uint8)], reader)
        assert len(found) == size and found.all()
        del found
    assert len(reader._segments) == 1  # both sides discarded the smaller segment


def test_failed_batches_do_not_occupy_segments(writer: Writer) -> None:
    reader = Reader(4)
    for _ in range(3):
        writer.begin()
        assert writer.empty((100, 50), FLOAT) is not None
    number, _ = hand_over(writer, [np.ones(40000, np.uint8)], reader)
    assert number == 1


def test_missing_space_for_shared_memory_raises(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    gc.collect()  # close files that earlier tests left open, before counting
    descriptors = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    writer.begin()
    assert writer.empty((100, 50), FLOAT) is None
    with pytest.raises(OSError, match="No space left"):
        writer.place([np.ones(40000, np.uint8)])
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_an_interrupt_while_segments_are_freed_is_not_lost(writer: Writer) -> None:
    def free_until_interrupted() -> None:
        reader = Reader(4)
        writer.begin()
        segment, _ = hand_over(writer, [np.ones(50000, np.uint8)], reader)
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        for _ in range(100_000):
            reader.buffers(segment, [(0, 1)])
            reader.take_released()

    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(200):
            with pytest.raises(KeyboardInterrupt):
                free_until_interrupted()
    finally:
        signal.signal(signal.SIGALRM, previous)
