"""Recorder that divides a program where Python code must run. Note [Segments]."""

from __future__ import annotations

import builtins
import operator
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._numbers import TRACED, Number, Sizes, plain
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves, source_location
from flambeau.jit._trace import Trace
from flambeau.utils import _pytree as pytree

from ._segments import MAX_PAUSES, Pause, rebuilt, result_key

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), flambeau.dtype, flambeau.device)
_MEMORY = {"numpy", "__array__", "__dlpack__", "to_dlpack"}  # calls that give Python the memory of a tensor


def version_of(tensor: Tensor) -> int:
    """Return the number of in-place changes of a tensor. It is not counted for inference tensors."""
    return 0 if tensor.is_inference() else tensor._version


class Raised:
    """Exception that a function raised at a pause; stored in place of its result."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class PausingTrace(Trace):
    """Recorder that divides the program where Python reads a value or calls a function that cannot be recorded.

    Args:
        fullgraph: if True, raise `UnsupportedError` instead of dividing the program.
    Attributes:
        pauses: the calls that divide the program.
        numbers: dictionary from the names of numbers in the program to the calls that compute them.
        performed: functions with possible side effects that were called at pauses, with their results.
        earlier_calls: functions with possible side effects that an earlier run called, and their results. This run
            returns these results and does not call the functions again.
    """

    def __init__(self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], fullgraph: bool) -> None:
        self._fullgraph = fullgraph
        self.pauses: list[Pause] = []
        self.numbers: dict[str, Call] = {}
        self.performed: list[tuple[Any, Any]] = []
        self.earlier_calls: deque[tuple[Any, Any]] = deque()
        super().__init__(inputs, state)

    @abstractmethod
    def give_up(self, reason: str) -> None:
        """Store why no program can represent the function, and stop recording. The function continues."""

    @abstractmethod
    def is_reachable(self, value: Any) -> bool:
        """Return True if an object existed before the call, so that a program may refer to it."""

    def _record_scalar_call(self, name: str, arguments: list[Any]) -> Value:
        value = super()._record_scalar_call(name, arguments)
        self.numbers[value.name] = self.calls[-1]
        return value

    # --- values that Python reads ---

    def read_call(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if not self.open or name in _MEMORY or not self.varies([args, kwargs]):
            return super().read_call(func, name, args, kwargs)
        return self.pause(func, args, kwargs, f"{name} gives Python a value that depends on a tensor")

    def read_number(self, number: Number) -> None:
        if self.open:
            self.pause(_identity, (number,), {}, f"{number.text} gives Python a value that depends on a tensor")

    def decide(self, comparison: str, opposite: str, number: Number, other: Any, holds: bool) -> None:
        if number.of_elements or (isinstance(other, Number) and other.of_elements):
            reason = f"Python branches on {number.text}, an element of a tensor"
            self.pause(getattr(operator, comparison), (number, other), {}, reason)
        else:
            super().decide(comparison, opposite, number, other, holds)

    def shown(self, number: Number) -> Any:
        return number.fixed()

    def constant_result(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function without recording it. Tensors in its result become constants of the program."""
        was_open, self.open = self.open, False
        try:
            result = _plain_call(function, args, kwargs)
        finally:
            self.open = was_open
        for tensor in leaves(result, Tensor):
            self.constant(tensor)
        return result

    # --- pauses ---

    def pause(self, function: Any, args: Any, kwargs: Any, reason: str, *, has_effects: bool = False) -> Any:
        """Call a function that cannot be recorded, divide the program there, and return the result.

        Args:
            has_effects: if True, the function may have side effects and must not be called twice.
        """
        where = source_location()
        if self.open and self._fullgraph:
            self.give_up(reason)  # raises an UnsupportedError
        result = self._call_once(function, args, kwargs) if has_effects else _plain_call(function, args, kwargs)
        if not self.open:
            return result
        problem = self._problem(args, kwargs, result)
        if problem:
            self.give_up(f"{reason}{problem}")
            return result
        key, tensors = result_key(result)
        encoded = rebuilt((tuple(args), dict(kwargs)), (Tensor, *TRACED), self._encoded)
        position = len(self.calls)
        given = tuple(self._new(tensor, True, "a result of Python").name for tensor in tensors)
        self.pauses.append(Pause(function, encoded, position, key, given, has_effects, f"{where}: {reason}"))
        return result

    def _problem(self, args: Any, kwargs: Any, result: Any) -> str:
        """Return the reason why later runs cannot repeat a call, or an empty string."""
        if len(self.pauses) >= MAX_PAUSES:
            return f", more than {MAX_PAUSES} times"
        for leaf in _leaves([args, kwargs]):
            if not isinstance(leaf, (Tensor, *TRACED, *CONSTANTS)) and not self.is_reachable(leaf):
                return f", and it receives a {type(leaf).__name__} that the compiled function created"
        for leaf in pytree.tree_leaves(result):
            if not isinstance(leaf, (Tensor, *CONSTANTS)):
                return f", and its result contains a {type(leaf).__name__}, which is neither a tensor nor a constant"
        if any(self.known(tensor) is not None for tensor in leaves(result, Tensor)):
            return ", and its result is a tensor that already exists"
        return ""

    def _call_once(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function that may have side effects. In a repeated run, return the earlier result instead."""
        if self.earlier_calls:
            called, result = self.earlier_calls.popleft()
            if called is not function:
                raise RuntimeError(
                    f"flambeau.compile: the first run of the function called {called}, but its repetition called "
                    f"{function}: the function must make the same calls each time"
                )
        else:
            result = self._call_checked(function, args, kwargs)
        self.performed.append((function, result))
        if isinstance(result, Raised):
            raise result.error
        return result

    def _call_checked(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        tensors = leaves([args, kwargs], Tensor)
        versions, was_open, self.open = [version_of(tensor) for tensor in tensors], self.open, False
        try:
            result = _plain_call(function, args, kwargs)
        except Exception as error:
            return Raised(error)
        finally:
            self.open = was_open
        if self.open and [version_of(tensor) for tensor in tensors] != versions:
            self.give_up(f"{getattr(function, '__qualname__', function)} changes an argument in place")
        return result


def _identity(value: Any) -> Any:
    return value


def _plain_call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    args, kwargs = rebuilt((tuple(args), dict(kwargs)), TRACED, plain)
    args, kwargs = rebuilt((args, kwargs), Sizes, flambeau.Size)
    return function(*args, **kwargs)


def _leaves(structure: Any) -> list[Any]:
    """Return the leaves of a structure that `rebuilt` can rebuild."""
    if type(structure) in (tuple, list, Sizes):
        return [leaf for item in structure for leaf in _leaves(item)]
    if type(structure) is dict:
        return [leaf for item in structure.values() for leaf in _leaves(item)]
    if type(structure) is slice:
        return _leaves([structure.start, structure.stop, structure.step])
    return [structure]


@contextmanager
def pausing_at_print(trace: PausingTrace) -> Iterator[None]:
    """Divide the program at each ``print`` of this thread in this context."""
    original, thread = builtins.print, threading.get_ident()

    def traced_print(*args: Any, **kwargs: Any) -> None:
        if threading.get_ident() == thread and (trace.open or trace.earlier_calls):
            trace.pause(original, args, kwargs, "a call of print cannot be captured", has_effects=True)
        else:
            original(*args, **kwargs)

    builtins.print = traced_print
    try:
        yield
    finally:
        builtins.print = original
