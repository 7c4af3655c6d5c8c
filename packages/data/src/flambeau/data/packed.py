"""A list in shared memory that worker processes read without copying it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from ._shared_memory import Segment

T_co = TypeVar("T_co", covariant=True)

_TEXT, _BYTES, _PICKLED = "text", "bytes", "pickled"


class PackedList(Sequence[T_co]):
    """Immutable list in one block of shared memory.

    Reading an item of a Python list changes the item's reference count, which writes to memory. A forked worker
    therefore copies every memory page that it reads, and each worker gets its own copy of the list. The memory of a
    PackedList is not written: each access creates a new object from the bytes of the item. Workers share the memory for
    all start methods.

    If all items are strings or all are bytes, they are stored directly. Otherwise the items are pickled.

    Args:
        items: the items to store.

    >>> names = PackedList(f"{number}.png" for number in range(1000))
    >>> len(names), names[-1], names[2:4]
    (1000, '999.png', ['2.png', '3.png'])
    """

    def __init__(self, items: Iterable[T_co] = ()) -> None:
        listed = list(items)
        kinds = set(map(type, listed))
        self._kind = _TEXT if kinds == {str} else _BYTES if kinds == {bytes} else _PICKLED
        pieces = [self._pack(item) for item in listed]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        contents = b"".join([ends.tobytes(), *pieces])
        self._map(None, len(listed), len(contents))
        self._bytes[:] = np.frombuffer(contents, dtype=np.uint8)

    def _map(self, handle: int | None, length: int, size: int) -> None:
        self._segment = Segment(0, max(1, size), handle)
        self._bytes = self._segment.array()[:size]
        self._ends = self._bytes[: 8 * length].view(np.int64)
        contents: Any = self._bytes[8 * length :]
        self._items = memoryview(contents)

    def _pack(self, item: Any) -> bytes:
        if self._kind == _TEXT:
            return item.encode("utf-8", "surrogatepass")  # type: ignore[no-any-return]
        return item if self._kind == _BYTES else pickle.dumps(item, protocol=5)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> list[T_co]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"index {index} is out of range for a PackedList of {len(self)} items")
        piece = self._items[self._ends[position - 1] if position else 0 : self._ends[position]]
        if self._kind == _TEXT:
            return str(piece, "utf-8", "surrogatepass")
        return bytes(piece) if self._kind == _BYTES else pickle.loads(piece)

    def __iter__(self) -> Iterator[T_co]:
        return (self[position] for position in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedList | list):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PackedList of {len(self)} items, {self._bytes.nbytes} bytes"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference to the shared memory if a process is being started. Otherwise pickle the items."""
        from multiprocessing import context, reduction  # the import is slow

        if context.get_spawning_popen() is None:
            return PackedList, (list(self),)
        assert self._segment.handle is not None
        memory: Any = self._segment.handle
        if sys.platform != "win32":
            memory = reduction.DupFd(memory)
        return _attach, (memory, self._kind, len(self), self._bytes.nbytes)

    def __del__(self) -> None:
        if hasattr(self, "_segment"):
            self._segment.close_handle()


def _attach(memory: Any, kind: str, length: int, size: int) -> PackedList[Any]:
    packed: PackedList[Any] = PackedList.__new__(PackedList)
    packed._kind = kind
    packed._map(memory if sys.platform == "win32" else memory.detach(), length, size)
    return packed
