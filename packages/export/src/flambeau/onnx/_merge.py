"""Merge of the traces of a program. Note [Dynamic dimensions]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau._tracing._recorder import Call
from flambeau._tracing._structure import leaves

from ._dynamic import DynamicInt, size_of
from ._sizes import Samples, Size
from ._trace import Trace
from ._values import Value


def needs_rounding(traces: Sequence[Trace], samples: Samples) -> bool:
    """Return True if a size in the traces is a fraction of a dynamic dimension, or a number is a remainder."""
    for call in traces[0].calls:
        if any(number.has_remainder for number in leaves(call.arguments, DynamicInt)):
            return True
    for values in zip(*(trace.values for trace in traces), strict=False):
        for sizes in zip(*(value.tensor.shape for value in values), strict=False):
            size = samples.through(sizes)
            if size is None or (isinstance(size, Size) and size.denominator > 1):
                return True
    return False


def merge(traces: Sequence[Trace], samples: Samples) -> None:
    """Merge all traces into the first trace. Numbers that differ between traces become sizes.

    Raises: RuntimeError if the program calls other operators for other sizes.
    """
    first = traces[0]
    _check_same_operators(traces)
    for values in zip(*(trace.values for trace in traces), strict=True):
        values[0].seen = [tuple(value.tensor.shape) for value in values]
        values[0].samples = samples
    for calls in zip(*(trace.calls for trace in traces), strict=True):  # in order: calls use earlier results
        calls[0].arguments = {
            name: _merged([call.arguments[name] for call in calls], samples, calls[0], name)
            for name in calls[0].arguments
        }
        for value in calls[0].results:
            _measure(value, samples)
    for call in first.calls:
        varies = bool(call.missing) or call.lasting or any(value.varies for value in leaves(call.arguments, Value))
        for value in call.results:
            value.varies = varies or bool(leaves(call.arguments, Size))


def same_operators(a: Trace, b: Trace) -> bool:
    """Return True if two traces contain the same operators."""
    return [call.name for call in a.calls] == [call.name for call in b.calls]


def _measure(value: Value, samples: Samples) -> None:
    """Register the unknown sizes of a value as dimensions that are measured when the file runs."""
    for axis, size in enumerate(value.shape_or_none):
        if size is None and value.varies:
            samples.measured[value.size_name(axis)] = [shape[axis] for shape in value.seen]


def _check_same_operators(traces: Sequence[Trace]) -> None:
    for calls in zip(*(trace.calls for trace in traces), strict=False):
        if len({call.name for call in calls}) > 1:
            raise RuntimeError(_operators_differ(calls))
    if len({len(trace.calls) for trace in traces}) > 1:
        longest = max(traces, key=lambda trace: len(trace.calls))
        call = longest.calls[min(len(trace.calls) for trace in traces)]
        raise RuntimeError(
            f"{call.location}: {call.name} is called only for some sizes of dynamic dimensions or counts of elements: "
            "write the model without a loop over them, or leave the dimension out of dynamic_axes"
        )


def _operators_differ(calls: Sequence[Call]) -> str:
    other = next(call for call in calls if call.name != calls[0].name)
    return (
        f"the model calls other operators for other sizes of dynamic dimensions or counts of elements: "
        f"{calls[0].name} ({calls[0].location}), but {other.name} ({other.location}). An ONNX file has one sequence of "
        "operators: leave the dimension out of dynamic_axes, or write the model without the branch"
    )


def _merged(seen: Sequence[Any], samples: Samples, call: Call, name: str) -> Any:
    """Merge an argument from its values ``seen`` in all traces. A number that differs becomes a size."""
    a = seen[0]
    if isinstance(a, DynamicInt) and (size := size_of(seen, samples)) is not None:
        return size
    seen = [int(x) if isinstance(x, DynamicInt) else x for x in seen]
    a = seen[0]
    if len({type(x) for x in seen}) > 1:
        raise RuntimeError(_unsupported_argument(call, name, seen))
    if isinstance(a, Value):
        if any(x.name != a.name for x in seen):
            raise RuntimeError(_unsupported_argument(call, name, ["another tensor"]))
        return a
    if isinstance(a, tuple | list):
        if len({len(x) for x in seen}) > 1:
            if alike := _repeated(seen, samples):
                return alike
            raise RuntimeError(_unsupported_argument(call, name, seen))
        items = [_merged(parts, samples, call, name) for parts in zip(*seen, strict=True)]
        return items if isinstance(a, list) else tuple(items)
    if isinstance(a, slice):
        parts = [[getattr(x, part) for x in seen] for part in ("start", "stop", "step")]
        return slice(*(_merged(part, samples, call, name) for part in parts))
    if isinstance(a, int) and not isinstance(a, bool):
        size = samples.through(seen)
        if size is None:
            raise RuntimeError(_unsupported_argument(call, name, seen))
        return size
    if isinstance(a, float | str | bool) and any(x != a and x == x for x in seen):
        raise RuntimeError(_unsupported_argument(call, name, seen))
    return a


class Repeated(list[Any]):
    """List that repeats one number; its length is a dynamic size."""

    def __init__(self, number: int | Size, times: int | Size) -> None:
        super().__init__([number, times])


def _repeated(seen: Sequence[Any], samples: Samples) -> Repeated | None:
    if not all(x and all(item == x[0] for item in x) and isinstance(x[0], int) for x in seen):
        return None
    number, times = samples.through([x[0] for x in seen]), samples.through([len(x) for x in seen])
    return None if number is None or times is None else Repeated(number, times)


def _unsupported_argument(call: Call, name: str, seen: Sequence[Any]) -> str:
    return (
        f"{call.location}: the argument {name!r} of {call.name} depends on the dynamic dimensions in a way that an "
        f"ONNX file cannot express (its values in the traces: {', '.join(map(str, seen))}): only sums and products of "
        "sizes can be exported"
    )
