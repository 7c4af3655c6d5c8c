"""Signatures of collectives, by which the ranks of a group see that they make the same call."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from flambeau import Tensor

from .reduce_op import ReduceOp

__all__ = ["TEXT_SIZE", "Signature", "mismatch"]

TEXT_SIZE = 256  # bytes that a rank sends of its signature's text
_KEY = struct.Struct("<IIIiq")
_NOT_EQUAL = (
    "Detected mismatch between collectives on ranks: {calls}. All ranks of a group must make the same calls in the "
    "same order, with tensors of the same size and dtype"
)


@cache
def _code(value: Any) -> int:
    """Return a number that stands for a name, an operation or a dtype in all processes."""
    return zlib.crc32(str(value).encode())


class Signature(NamedTuple):
    """Call, operation, root and tensor of a collective. Ranks must agree on all but the tensor's shape.

    Args:
        call: the collective's name.
        tensor: this rank's tensor; None if there is none or if sizes may differ.
        op: how tensors are reduced.
        root: the rank that sends or receives; -1 if all ranks do the same.
        shapes: shapes of the tensors that are packed into ``tensor``, which must be equal.
    """

    call: str
    tensor: Tensor | None = None
    op: ReduceOp | None = None
    root: int = -1
    shapes: Sequence[Sequence[int]] = ()

    def key(self) -> bytes:
        """Return what ranks compare, in few bytes."""
        call, tensor, op, root, shapes = self
        count, dtype = (0, 0) if tensor is None else (tensor.numel(), _code(tensor.dtype))
        if shapes:
            count = hash((count, *map(tuple, shapes)))
        return _KEY.pack(_code(call), dtype, _code(op), root, count)

    def text(self) -> bytes:
        """Return what an error shows of this rank's call, in `TEXT_SIZE` bytes."""
        said = [] if self.op is None else [self.op.name]
        said += [] if self.root < 0 else [f"root {self.root}"]
        if self.tensor is not None:
            shapes = [tuple(shape) for shape in self.shapes or [self.tensor.shape]]
            said.append(f"shape {', '.join(map(str, shapes))}, dtype {self.tensor.dtype}")
        return f"{self.call}({', '.join(said)})".encode()[:TEXT_SIZE].ljust(TEXT_SIZE)


def mismatch(ranks: Sequence[int], texts: bytes | bytearray) -> RuntimeError:
    """Return the error for ranks whose signatures differ, given the texts of all of them."""
    shown = [texts[start : start + TEXT_SIZE].decode(errors="replace").rstrip() for start in _starts(texts)]
    callers: dict[str, list[int]] = {}
    for rank, text in zip(ranks, shown, strict=True):
        callers.setdefault(text, []).append(rank)
    calls = "; ".join(f"{_named(ranks)} {text}" for text, ranks in callers.items())
    return RuntimeError(_NOT_EQUAL.format(calls=calls))


def _starts(texts: bytes | bytearray) -> Iterator[int]:
    return iter(range(0, len(texts), TEXT_SIZE))


def _named(ranks: Sequence[int]) -> str:
    """Return "rank 1 calls" or "ranks 0, 2, 3 call"."""
    return f"rank {ranks[0]} calls" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))} call"
