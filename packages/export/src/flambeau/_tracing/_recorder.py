"""Recorder of the operator calls of a program.

Note [Tracing]
A program runs once, and a mode intercepts every call (`CallMode`). A supported operator is recorded under its own name
with all its arguments; any other operator is decomposed into the operators that it calls. Tensors are identified by
object identity: an input, a result, a parameter or a buffer has a `Value` in the recording. Any other tensor argument
is a constant, which is stored with the recording. `flambeau.jit` preserves in-place changes; `flambeau.onnx` replaces
them (Note [Changes in place]).

Calls of functions in extension modules are not intercepted, so their results would appear to be constants. The
recorder therefore watches the tensors that extension modules read and create (Note [Extension watch]). If an extension
module reads a tensor that depends on the inputs, every tensor that it creates later is the result of a call that cannot
be recorded.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flambeau import Tensor, _core

from ._calls import CallMode, Rule
from ._numbers import Sizes, plain, warn
from ._structure import SourceLocation, foreign_call, leaves, replaced, source_location

RULES: dict[str, Rule] = {}


def rule(*names: str, rules: dict[str, Rule] = RULES) -> Callable[[Rule], Rule]:
    """Register a function ``(recorder, func, **arguments)`` for the calls of operators of these names."""

    def register(function: Rule) -> Rule:
        rules.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass(eq=False)
class Value:
    """Tensor or number of a recording.

    Attributes:
        name: name in the program, such as ``%5``, or ``@conv.weight`` for a parameter or buffer.
        varies: True if the value depends on the inputs.
        text: name in error messages.
    """

    name: str
    varies: bool = False
    text: str = ""


@dataclass(eq=False)
class Call:
    """Recorded call. The arguments are a list or a dictionary, with `Value` in place of tensors."""

    name: str
    arguments: Any
    location: SourceLocation
    results: list[Any] = field(default_factory=list)
    lasting: bool = False  # True if the call draws random numbers or has side effects
    missing: str = ""  # reason why the call cannot be recorded
    called: str = ""  # name of the call in the traced code, for error messages


class Recorder(CallMode):
    """Context manager that records the operators that are called in its context."""

    rules: ClassVar[dict[str, Rule]] = RULES
    fixed_as = "the program treats it as a constant, and might not generalize to other inputs"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.open = True
        self._extensions_read = False  # True after an extension module has read a tensor that depends on the inputs
        self._extension_calls: dict[int, tuple[Tensor, Call]] = {}  # tensors created after that, by id

    @abstractmethod
    def known(self, tensor: Tensor) -> Value | None:
        """Return the value of an input, a result or a constant; None for any other tensor."""

    @abstractmethod
    def value(self, tensor: Tensor) -> Value:
        """Return the value of a tensor; an unknown tensor becomes a constant."""

    @abstractmethod
    def size(self, tensor: Tensor, dim: int) -> Any:
        """Return the size of a dimension as a traced number."""

    @abstractmethod
    def write(self, tensor: Tensor, result: Tensor) -> None:
        """Record that ``tensor``, an ``out`` argument, takes the shape and elements of ``result``."""

    @abstractmethod
    def alias(self, tensor: Tensor, of: Tensor) -> None:
        """Record that ``tensor`` shares the memory of the known tensor ``of``."""

    @abstractmethod
    def custom_call(self, definition: Any, arguments: dict[str, Any]) -> Any:
        """Run an operator of `flambeau.library` and record it."""

    @abstractmethod
    def decomposes(self, definition: Any) -> bool:
        """Return True if an operator of `flambeau.library` is recorded as the operators that it calls."""

    def varies(self, structure: Any) -> bool:
        """Return True if a tensor in a structure depends on the inputs."""
        return any(map(self._depends_on_inputs, leaves(structure, Tensor)))

    def _depends_on_inputs(self, tensor: Tensor) -> bool:
        known = self.known(tensor)
        return self._extension_call_of(tensor) is not None if known is None else known.varies

    # --- calls ---

    def opened(self, func: Any, name: str, args: Any, kwargs: Any) -> Callable[..., Any] | None:
        """Extend `CallMode.opened`: a ``*_copy`` operator is decomposed into the view and a copy."""
        if name.endswith("_copy") and not self.has(name) and (view := getattr(Tensor, name[:-5], None)) is not None:
            return lambda *args, **kwargs: replaced(view(*args, **kwargs), Tensor, Tensor.clone)
        return super().opened(func, name, args, kwargs)

    def custom(self, definition: Any, func: Any, args: Any, kwargs: Any) -> Any:
        """Record an operator of `flambeau.library`, or its decomposition."""
        if self.decomposes(definition):
            with self:
                result = definition._decomposition(*args, **kwargs)
            if result is not NotImplemented:
                return result
        arguments = dict(zip(definition._signature.parameters, (*args, *kwargs.values()), strict=True))
        return self.custom_call(definition, arguments)

    def written_out(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Record a call and the assignment of its results to ``out``."""
        out = kwargs["out"]
        with self:
            new = func(*args, **{key: value for key, value in kwargs.items() if key != "out"})
        for tensor, result in zip(leaves(out, Tensor), leaves(new, Tensor), strict=True):
            self.write(tensor, result)
        return out

    def read(self, name: str, arguments: Any) -> None:
        """Warn if a call reads elements that depend on the inputs into Python."""
        if self.varies(arguments):
            self.warn_of_constant(name)

    def warn_of_constant(self, text: str) -> None:
        """Warn that Python read elements of a tensor, and that the program treats them as constants."""
        if self.open:
            warn(f"{source_location()}: {text} gives Python a value that depends on the inputs; {self.fixed_as}")

    # --- extension modules ---

    @contextmanager
    def watching_extensions(self) -> Iterator[None]:
        """Watch extension modules in this context, so that their results are not treated as constants."""
        former = _core._watch_extensions(self._note_extension_event)
        try:
            yield
        finally:
            _core._watch_extensions(former)

    def _note_extension_event(self, tensor: Tensor, event: str) -> None:
        if event == "exported":
            self.read("the memory of a tensor", tensor)
        elif event == "read":
            self._extensions_read = self._extensions_read or self._depends_on_inputs(tensor)
        elif self._extensions_read and self.open:
            name, reason, where = foreign_call()
            self._extension_calls[id(tensor)] = tensor, Call(name, [], where, missing=reason)

    def _extension_call_of(self, tensor: Tensor) -> Call | None:
        """Return the call of an extension module that created ``tensor`` from the inputs, or None."""
        return self._extension_calls.get(id(tensor), (None, None))[1]


@rule("shape.__get__")
def _shape(recorder: Recorder, func: Any, input: Tensor) -> Sizes:
    return Sizes(recorder.size(input, dim) for dim in range(input.dim()))


@rule("size")
def _size_of(recorder: Recorder, func: Any, input: Tensor, dim: Any = None) -> Any:
    if dim is None:
        return _shape(recorder, func, input)
    func(input, plain(dim))  # this raises an error if dim is out of range
    return recorder.size(input, operator.index(plain(dim)) % max(input.dim(), 1))


@rule("__len__")
def _length(recorder: Recorder, func: Any, self: Tensor) -> Any:
    func(self)
    return recorder.size(self, 0)


@rule("__iter__")
def _iterated(recorder: Recorder, func: Any, self: Tensor) -> Iterator[Tensor]:
    if self.dim():
        operator.index(recorder.size(self, 0))  # the program then requires this size in all runs
    with recorder:
        return iter(self.unbind(0))


@rule("apply")
def _record_function(recorder: Recorder, func: Any, **arguments: Any) -> Any:
    """Record the forward of a `flambeau.autograd.Function`, without its custom derivative."""
    values = list(arguments.values())
    with recorder:
        result = func.__wrapped__(*values)
    inputs = leaves(values, Tensor)
    for output in leaves(result, Tensor):
        if same := [t for t in inputs if output is not t and output.is_set_to(t)]:  # forward returned an argument
            recorder.alias(output, same[0])
    return result
