"""Serialisation of batches: the structure is pickled, and the contents of arrays are stored in shared memory."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _tensors
from ._shared_memory import SMALL, Reader, Segment, Writer


class _Pickler(pickle.Pickler):
    """Pickler that passes the contents of arrays and tensors as out-of-band buffers."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray and not obj.dtype.hasobject:
            if not (obj.flags.c_contiguous or obj.flags.f_contiguous):
                return np.ascontiguousarray(obj).__reduce_ex__(5)
        elif type(obj) in _tensors.TENSOR_TYPES:
            return _tensors.reduce_tensor(obj)
        return NotImplemented


def _dump(batch: Any) -> tuple[bytes, list[np.ndarray]]:
    """Return the pickled structure of a batch, and for each array a uint8 array that shares its memory."""
    file = io.BytesIO()
    buffers: list[np.ndarray] = []

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(np.frombuffer(buffer.raw(), dtype=np.uint8))

    _Pickler(file, protocol=5, buffer_callback=keep).dump(batch)
    return file.getvalue(), buffers


class Sender:
    """Serialiser of batches in a worker."""

    def __init__(self) -> None:
        self._writer: Writer | None = Writer()
        self._sharing_error: str | None = None

    def release(self, numbers: Sequence[int]) -> None:
        if self._writer is not None:
            self._writer.release(numbers)

    def begin(self) -> None:
        """Begin a batch. From now on, collation allocates arrays in shared memory."""
        if self._writer is not None:
            try:
                self._writer.begin()
            except OSError as error:
                self._stop_sharing(error)

    def pack(self, batch: list[Any]) -> tuple[Any, Segment | None]:
        """Return a picklable description of the batch ``batch[0]``, and its segment of shared memory, or None.

        The batch is removed from the list, so that no reference to the batch remains.
        """
        structure, buffers = _dump(batch.pop())
        placed = None
        if self._writer is not None and sum(buffer.nbytes for buffer in buffers) >= SMALL:
            try:
                placed = self._writer.place(buffers)
            except OSError as error:
                self._stop_sharing(error)
        if placed is None or self._writer is None:
            return (structure, [buffer.tobytes() for buffer in buffers], self._sharing_error), None
        buffers.clear()  # the writer can then detect other references to its memory
        segment = self._writer.finish()
        dropped, self._writer.dropped = self._writer.dropped, []
        return (structure, placed, segment.number, segment.size, dropped), segment

    def _stop_sharing(self, error: OSError) -> None:
        """Stop using shared memory."""
        self._writer = None
        self._sharing_error = str(error)


def unpack(description: Any, handle: int | None, reader: Reader) -> tuple[Any, str | None]:
    """Return the batch that ``Sender.pack`` described.

    The second value is the reason why the worker cannot use shared memory, or None if it uses shared memory.
    """
    if len(description) == 3:
        structure, contents, sharing_error = description
        return pickle.loads(structure, buffers=[bytearray(content) for content in contents]), sharing_error
    structure, layout, number, size, dropped = description
    reader.open(number, handle, size, dropped)
    return pickle.loads(structure, buffers=reader.buffers(number, layout)), None
