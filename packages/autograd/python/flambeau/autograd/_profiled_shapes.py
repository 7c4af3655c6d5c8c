"""Shapes of the arguments of profiled operators."""

from typing import Any, NamedTuple

from flambeau.autograd import _engine
from flambeau.overrides import TorchFunctionMode

_MARKER = "<shapes>"  # name of the ranges that ShapeRecorder adds to the profile

# A tuple of _engine.stop_profile: (is_operator, name, start, duration, self time, bytes, parent, thread).
Call = tuple[Any, ...]


class _Arguments(NamedTuple):
    operator: str
    shapes: list[list[int]]


class ShapeRecorder(TorchFunctionMode):
    """Mode that records the shapes of the arguments of each call, and runs the call in a range named ``_MARKER``.

    A call creates three nested events: the intercepted call, the range, and the call that the mode makes. The third
    event has the time of the operator.
    """

    _handles_functions = False

    def __init__(self) -> None:
        self._arguments: list[_Arguments] = []  # one item for each range, in the order of the ranges

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Record the shapes of the arguments and run the operator in a range."""
        shapes = [list(each.shape) if hasattr(each, "shape") else [] for each in args]
        marked = _engine.enter_profiled(_MARKER)
        if marked:
            self._arguments.append(_Arguments(getattr(func, "__name__", ""), shapes))
        try:
            return func(*args, **kwargs or {})
        finally:
            if marked:
                _engine.leave_profiled()

    def assigned(self, calls: list[Call]) -> list[Call]:
        """Return the calls without the ranges and the intercepted calls, and with the shapes appended to each call."""
        parents = [call[6] for call in calls]
        ranges = [position for position, call in enumerate(calls) if call[1] == _MARKER]
        arguments = dict(zip(ranges, self._arguments, strict=True))
        shapes: dict[int, list[list[int]]] = {}
        removed = set(ranges)
        for position, (parent, call) in enumerate(zip(parents, calls, strict=True)):
            if parent in arguments and arguments[parent].operator == call[1]:
                shapes[position] = arguments[parent].shapes
                if parents[parent] >= 0 and calls[parents[parent]][1] == call[1]:
                    removed.add(parents[parent])
        # Maps the position of a call to its position in the result, or to its parent's position if it is removed.
        positions = {-1: -1}
        remaining: list[Call] = []
        for position, (*start, parent, thread) in enumerate(calls):
            around = positions[position] = positions[parent]
            if position not in removed:
                positions[position] = len(remaining)
                remaining.append((*start, around, thread, shapes.get(position, [])))
        return remaining
