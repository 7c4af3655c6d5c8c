"""Signatures of collectives, which the ranks of a group compare to detect different calls."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from flambeau import Tensor

from .reduce_op import ReduceOp

__all__ = ["TEXT_SIZE", "Signature", "mismatch"]

TEXT_SIZE = 256  # size in bytes of the text of a signature
_KEY = struct.Struct("<IIIiq")
_NOT_EQUAL = (
    "Detected mismatch between collectives on ranks: {calls}. All ranks of a group must make the same calls in the "
    "same order, with tensors of the same size and dtype"
)


@lru_cache(maxsize=256)
def _code(value: Any) -> int:
    """Return a hash of a name, an operation or a dtype that is the same in all processes."""
    return zlib.crc32(str(value).encode())


class Signature(NamedTuple):
    """Signature of a call of a collective, which must be the same on all ranks.

    Args:
        call: the collective's name.
        tensor: this rank's tensor, of which the dtype and the number of elements are compared; None if there is no
            tensor or if sizes may differ.
        op: reduction.
        root: rank that sends to or receives from all ranks; -1 for collectives without a root.
        shapes: shapes of the tensors that are packed into ``tensor``; the shapes must be the same on all ranks.
    """

    call: str
    tensor: Tensor | None = None
    op: ReduceOp | None = None
    root: int = -1
    shapes: Sequence[Sequence[int]] = ()

    def encoded(self) -> tuple[bytes, bytes]:
        """Return a short key that ranks compare, and `TEXT_SIZE` bytes of text that describe the call in errors."""
        call, tensor, op, root, shapes = self
        if tensor is None:
            return _encoded(call, op, root, (), None)
        return _encoded(call, op, root, tuple(map(tuple, shapes)) or (tuple(tensor.shape),), tensor.dtype)


@lru_cache(maxsize=4096)
def _encoded(call: str, op: ReduceOp | None, root: int, shapes: tuple[Any, ...], dtype: Any) -> tuple[bytes, bytes]:
    count = math.prod(shapes[0]) if len(shapes) == 1 else hash(shapes)
    key = _KEY.pack(_code(call), _code(dtype), _code(op), root, count)
    parts = [] if op is None else [op.name]
    parts += [] if root < 0 else [f"root {root}"]
    parts += [f"shape {', '.join(map(str, map(list, shapes)))}, dtype {dtype}"] if shapes else []
    return key, f"{call}({', '.join(parts)})".encode()[:TEXT_SIZE].ljust(TEXT_SIZE)


def mismatch(ranks: Sequence[int], texts: bytes | bytearray) -> RuntimeError:
    """Return the error for ranks whose signatures differ, given the texts of all of them."""
    shown = [texts[start : start + TEXT_SIZE].decode(errors="replace").rstrip() for start in _offsets(texts)]
    callers: dict[str, list[int]] = {}
    for rank, text in zip(ranks, shown, strict=True):
        callers.setdefault(text, []).append(rank)
    calls = "; ".join(f"{_ranks_that_call(ranks)} {text}" for text, ranks in callers.items())
    return RuntimeError(_NOT_EQUAL.format(calls=calls))


def _offsets(texts: bytes | bytearray) -> Iterator[int]:
    return iter(range(0, len(texts), TEXT_SIZE))


def _ranks_that_call(ranks: Sequence[int]) -> str:
    """Return "rank 1 calls" or "ranks 0, 2, 3 call"."""
    return f"rank {ranks[0]} calls" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))} call"
