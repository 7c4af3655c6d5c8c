"""Sizes that record how they were computed.

Note [Traced sizes]
Most numbers that a program computes from sizes are determined from their values for several sizes
(Note [Dynamic dimensions]). This does not work for a remainder: ``-size % 8`` is 0 for every multiple of 8. So while a
program with dynamic dimensions is traced, sizes are ints that record sums, products, quotients and remainders. If a
number involves a remainder, the file contains the recorded computation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ._sizes import Samples, Size, plus, times
from ._values import Value


class DynamicInt(int):
    """Int that records its computation.

    Attributes:
        kind: ``"size"`` or the name of an operation.
        operands: a `Value` and a dimension, or the operands of the operation.
        has_remainder: True if the computation includes a remainder.
    """

    kind: str
    operands: tuple[Any, ...]
    has_remainder: bool

    @classmethod
    def of(cls, value: int, kind: str, *operands: Any) -> DynamicInt:
        """Return ``value`` as an int that records its computation."""
        size = cls(value)
        size.kind, size.operands = kind, operands
        size.has_remainder = kind == "mod" or any(getattr(x, "has_remainder", False) for x in operands)
        return size

    def __neg__(self) -> DynamicInt:
        return DynamicInt.of(-int(self), "mul", self, -1)


def _define(kind: str, compute: Callable[[Any, Any], Any]) -> None:
    def forwards(self: DynamicInt, other: Any) -> Any:
        if not isinstance(other, int) or isinstance(other, bool):
            return getattr(int, f"__{kind}__")(self, other)
        return DynamicInt.of(compute(int(self), int(other)), kind, self, other)

    def backwards(self: DynamicInt, other: Any) -> Any:
        if not isinstance(other, int) or isinstance(other, bool):
            return getattr(int, f"__r{kind}__")(self, other)
        return DynamicInt.of(compute(int(other), int(self)), kind, other, self)

    setattr(DynamicInt, f"__{kind}__", forwards)
    setattr(DynamicInt, f"__r{kind}__", backwards)


for _kind in ("add", "sub", "mul", "floordiv", "mod"):
    _define(_kind, getattr(operator, _kind))


def size_of(seen: Sequence[Any], samples: Samples) -> int | Size | None:
    """Return the symbolic size for a number that involves a remainder; None if it cannot be determined.

    Args:
        seen: the number in each trace, a `DynamicInt` if it was computed from sizes.
    """
    first = seen[0]
    if not isinstance(first, DynamicInt):
        return first if all(x == first for x in seen) else None
    if not all(isinstance(x, DynamicInt) and x.kind == first.kind for x in seen):
        return None
    if first.kind == "size":
        value, axis = first.operands
        assert isinstance(value, Value) and isinstance(axis, int)
        return value.shape_or_none[axis]
    left, right = (size_of(parts, samples) for parts in zip(*(x.operands for x in seen), strict=True))
    if left is None or right is None:
        return None
    if first.kind in ("add", "sub"):
        return plus(left, times(right, 1 if first.kind == "add" else -1))
    if first.kind == "mul":
        return times(left, right)
    if not isinstance(right, int) or right <= 0:
        return None
    values = [int(x) for x in seen]
    size = samples.computed_size("Div" if first.kind == "floordiv" else "Mod", left, right, values)
    if isinstance(size, Size):
        samples.recorded[tuple(values)] = size
    return size
