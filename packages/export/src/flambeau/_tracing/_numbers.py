"""Traced numbers: sizes and elements of tensors, and numbers that are computed from them.

Note [Traced numbers]
``x.view(len(x), -1)`` is the call ``view(8, -1)``, and the call does not show that 8 is a size of the input. So while a
program is traced, sizes are objects that record their origin. Sums, products and quotients of sizes are recorded as
calls, and an operator with a size as argument is recorded with a reference to it. The objects behave as ``int`` and
``float``. If Python needs a plain number (``range(n)``, ``math.sqrt(n)``, ``if n > 4``), they return the number and
record a requirement: the program is valid only for inputs with the same number. A run with other inputs raises an error
instead of computing a wrong result.

A cache such as ``functools.lru_cache`` can keep a traced number beyond the end of its trace. From then on, the object
acts as the plain number, also in operations with traced numbers of a later trace.
"""

from __future__ import annotations

import builtins
import contextlib
import math
import operator
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import flambeau

from ._structure import Opaque

if TYPE_CHECKING:
    from flambeau.jit._trace import Trace


class TracerWarning(Warning):
    """Warning that the traced code reads elements of a tensor; the program treats their values as constants.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     traced = fb.jit.trace(lambda x: x * float(x.sum()), fb.ones(2))
    >>> {warning.category.__name__ for warning in caught}
    {'TracerWarning'}
    """


_COMPARISONS = {
    "eq": ("==", "ne"),
    "ne": ("!=", "eq"),
    "lt": ("<", "ge"),
    "le": ("<=", "gt"),
    "gt": (">", "le"),
    "ge": (">=", "lt"),
}


# Arithmetic of two numbers in programs, by Python's names; programs add the prefix "number_".
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "truediv", "pow")
}


def plain(value: Any) -> Any:
    """Convert a traced number to a plain number and a `Repeated` to a list; return other values unchanged."""
    if isinstance(value, Repeated):
        return [plain(item) for item in value.items] * plain(value.times)
    return value.value if isinstance(value, Number) else value


class Number:
    """Traced number with a name in the program.

    Attributes:
        value: value in the traced run.
        name: name in the program.
        text: description of its origin, for error messages.
        of_elements: True if it depends on elements of tensors, not only on sizes.
    """

    __slots__ = ("name", "of_elements", "text", "trace", "value")

    def __init__(self, trace: Trace, value: Any, name: str, text: str, of_elements: bool) -> None:
        self.trace, self.value, self.name, self.text, self.of_elements = trace, value, name, text, of_elements

    def fixed(self) -> Any:
        """Return the plain number; all runs of the program are required to have the same number."""
        if self.of_elements:
            self.trace.read_number(self)
        elif self.trace.open:
            self.trace.require("eq", self, self.value)
        return self.value

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.value)

    def __index__(self) -> int:
        return operator.index(self.fixed())

    def __int__(self) -> int:
        return int(self.fixed())

    def __float__(self) -> float:
        return float(self.fixed())

    def __bool__(self) -> bool:
        if self.trace.open:
            self.trace.decide("ne", "eq", self, 0, bool(self.value))
        return bool(self.value)

    def __hash__(self) -> int:
        return hash(self.fixed())

    def __repr__(self) -> str:
        return repr(self.trace.shown(self))

    def __format__(self, spec: str) -> str:
        return format(self.trace.shown(self), spec)

    def __trunc__(self) -> Any:
        return self.trace.number("number_int", math.trunc, self)

    def __floor__(self) -> Any:
        return (self // 1).__trunc__()

    def __ceil__(self) -> Any:
        return -math.floor(-self)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.fixed(), digits)

    def __neg__(self) -> Any:
        return self.trace.number("number_neg", operator.neg, self)

    def __pos__(self) -> Number:
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    if TYPE_CHECKING:  # these methods are generated below

        def __add__(self, other: Any) -> Any: ...
        def __floordiv__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> bool: ...


class Repeated(list[Any], Opaque):
    """List ``[size] * length`` with a traced length. Operators accept it as one argument.

    Any other use makes the length a requirement of the program, as ``range(length)`` does.
    """

    def __init__(self, items: list[Any], times: Number) -> None:
        super().__init__(items * times.value)
        self.items, self.times = items, times

    def __iter__(self) -> Iterator[Any]:
        self.times.fixed()
        return super().__iter__()

    def __len__(self) -> int:
        self.times.fixed()
        return super().__len__()

    def __bool__(self) -> bool:
        return bool(self.items) and bool(self.times)

    def __getitem__(self, index: Any) -> Any:
        self.times.fixed()
        return super().__getitem__(index)


def _binary_methods(name: str, compute: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forwards(self: Number, other: Any) -> Any:
        if not self.trace.open:
            return compute(self.value, other)
        return self.trace.number(name, compute, self, _operand(other)) if _is_number(other) else NotImplemented

    def backwards(self: Number, other: Any) -> Any:
        if not self.trace.open:
            return compute(other, self.value)
        if isinstance(other, list) and name == "number_mul":
            return Repeated(other, self)
        return self.trace.number(name, compute, other, self) if _is_number(other) else NotImplemented

    return forwards, backwards


def _comparison(name: str, opposite: str, compute: Callable[[Any, Any], bool]) -> Callable[[Number, Any], Any]:
    def compare(self: Number, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        if not self.trace.open:
            return compute(self.value, other)
        holds = compute(self.value, plain(other))
        self.trace.decide(name, opposite, self, _operand(other), holds)
        return holds

    return compare


def _operand(value: Any) -> Any:
    """Convert a traced number whose trace has ended to a plain number; return other values unchanged."""
    return value.value if isinstance(value, Number) and not value.trace.open else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Number | int | float) and not isinstance(value, flambeau.Tensor)


for _name, _compute in ARITHMETIC.items():
    _forwards, _backwards = _binary_methods(f"number_{_name}", _compute)
    setattr(Number, f"__{_name}__", _forwards)
    setattr(Number, f"__r{_name}__", _backwards)
for _name, (_, _opposite) in _COMPARISONS.items():
    setattr(Number, f"__{_name}__", _comparison(_name, _opposite, getattr(operator, _name)))


def symbol(comparison: str) -> str:
    """Return Python's symbol for a comparison."""
    return _COMPARISONS[comparison][0]


TRACED = (Number, Repeated)


class Sizes(tuple[Any, ...]):
    """Shape with traced sizes."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return flambeau.Size

    def numel(self) -> Any:
        """Return the product of the sizes."""
        return math.prod(self)

    def __add__(self, other: Any) -> Sizes:
        return Sizes(tuple(self) + tuple(other))

    def __radd__(self, other: Any) -> Sizes:
        return Sizes(tuple(other) + tuple(self))

    def __getitem__(self, key: Any) -> Any:
        selected = tuple.__getitem__(self, key)
        return Sizes(selected) if isinstance(key, slice) else selected

    def __repr__(self) -> str:
        sizes = [size.trace.shown(size) if isinstance(size, Number) else size for size in self]
        return repr(flambeau.Size(sizes))


class _Tracing(threading.local):
    depth = 0  # number of active `traced_lengths` contexts of this thread


_tracing = _Tracing()
_len = builtins.len
_lock = threading.Lock()
_traces = 0  # number of active `traced_lengths` contexts of all threads


def _traced_len(obj: Any, /) -> int:
    if _tracing.depth and isinstance(obj, flambeau.Tensor) and obj.dim():
        return obj.size(0)
    return _len(obj)


@contextlib.contextmanager
def traced_lengths() -> Iterator[None]:
    """Make ``len(tensor)`` call ``tensor.size(0)``, which can be traced, for this thread in this context."""
    _count_traces(1)
    _tracing.depth += 1
    try:
        yield
    finally:
        _tracing.depth -= 1
        _count_traces(-1)


def _count_traces(change: int) -> None:
    global _traces
    with _lock:
        _traces += change
        builtins.len = _traced_len if _traces else _len


def warn(message: str) -> None:
    """Warn with a TracerWarning at the line of the traced program."""
    warnings.warn(message, TracerWarning, stacklevel=2)
