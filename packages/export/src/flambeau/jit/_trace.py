"""Recorder of programs: calls, numbers and in-place changes. See Note [Tracing]."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import OPERATOR_TYPES
from flambeau._tracing._autocast import ArgumentCasts, without_autocast
from flambeau._tracing._calls import DECOMPOSITIONS, DROPPED, Rule, bound, draws, run
from flambeau._tracing._numbers import TRACED, Number, Repeated, plain, symbol
from flambeau._tracing._recorder import RULES, Call, Recorder, Value, rule as recorder_rule
from flambeau._tracing._structure import leaves, replaced, source_location

from ._operators import NATIVE, missing_of, quoted

T = TypeVar("T")

# Operators whose results have undefined or random elements.
_UNSET = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided", "_rrelu"}
_TRAINING = {"batch_norm": 5, "instance_norm": 5}  # index of the argument that enables updates of running statistics
# Operators that have the same meaning for any number of dimensions.
_OF_ANY_RANK = {row["name"] for row in _core.pointwise_rows()} | {"linear", "gelu", "clamp", "to", "detach", "alias"}
_RULES: dict[str, Rule] = dict(RULES)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a recording rule ``(trace, func, **arguments)`` for operators of these names."""
    return recorder_rule(*names, rules=_RULES)


class Trace(Recorder):
    """Recorder of a program.

    Args:
        inputs: dictionary from names to input tensors.
        state: dictionary from names to parameters and buffers.
    """

    rules: ClassVar[dict[str, Rule]] = _RULES

    def __init__(self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.constants: dict[str, Tensor] = {}
        self._casts = ArgumentCasts(self)
        self._values: dict[int, tuple[Callable[[], Tensor | None], Value]] = {}  # by id
        self._count = 0
        self._state = frozenset(state)
        self._names = (f"constant_{i}" for i in itertools.count())
        self._recording = flambeau.is_grad_enabled()
        for name, tensor in state.items():
            if self.known(tensor) is None:
                self._keep(tensor, Value(f"@{quoted(name)}"))
        self._measured: dict[tuple[str, str, int], Number] = {}
        self._read_metadata = False
        self._required: set[tuple[str, str, str]] = set()
        self.inputs: list[Value] = []
        for name, tensor in inputs.items():
            if (known := self.known(tensor)) is not None and known.varies:
                raise NotImplementedError(
                    "the example inputs contain the same tensor twice: pass a different tensor for each input"
                )
            self.inputs.append(self._new(tensor, True, name))

    # --- values ---

    def _fresh(self, varies: bool = False, text: str = "") -> Value:
        self._count += 1
        return Value(f"%{self._count - 1}", varies, text)

    def _new(self, tensor: Tensor, varies: bool, text: str) -> Value:
        return self._keep(tensor, self._fresh(varies, text))

    def _keep(self, tensor: Tensor, value: Value) -> Value:
        self._values[id(tensor)] = self._reference(tensor), value
        return value

    @staticmethod
    def _reference(tensor: Tensor) -> Callable[[], Tensor | None]:
        """Return a function that returns ``tensor`` and keeps the tensor alive, so that its id stays unique."""
        return lambda: tensor

    def known(self, tensor: Tensor) -> Value | None:
        reference, value = self._values.get(id(tensor), (None, None))
        return value if reference is not None and reference() is tensor else None

    def _known_tensors(self) -> Iterator[tuple[Tensor, Value]]:
        for reference, value in self._values.values():
            if (tensor := reference()) is not None:
                yield tensor, value

    def value(self, tensor: Tensor) -> Value:
        if (known := self.known(tensor)) is not None:
            return known
        if (call := self._extension_call_of(tensor)) is not None:
            self.calls.append(call)
            call.results.append(value := self._new(tensor, True, call.name))
            return value
        name = next(n for n in self._names if n not in self._state)
        self.constants[name] = tensor.detach()
        return self._keep(tensor, Value(f"@{name}"))

    def constant(self, tensor: Tensor) -> Tensor:
        """Register a new constant tensor, and return it. Subclasses can override this."""
        return tensor

    def encoded(self, argument: Any) -> Any:
        """Return an argument with `Value` objects in place of tensors and traced numbers."""
        return replaced(argument, (Tensor, *TRACED), self._encoded)

    def _encoded(self, argument: Tensor | Number | Repeated) -> Any:
        if isinstance(argument, Number):
            return Value(argument.name) if argument.trace is self else argument.value
        if isinstance(argument, Repeated):
            return self._record_scalar_call("repeated", [argument.items, argument.times])
        return self.value(argument)

    def _record_scalar_call(self, name: str, arguments: list[Any]) -> Value:
        """Record a call with a result that is not a tensor."""
        call = Call(name, self.encoded(arguments), source_location(), [self._fresh()])
        self.calls.append(call)
        result: Value = call.results[0]
        return result

    # --- recording ---

    def note(
        self,
        name: str,
        arguments: list[Any],
        result: T,
        *,
        missing: str = "",
        lasting: bool = False,
        drawn: bool = False,
    ) -> T:
        """Record a call with its ``result``, a tensor or a structure of tensors, and return the result."""
        encoded = self.encoded(arguments)
        drawn = drawn or name in _UNSET
        lasting = lasting or drawn or (name in _TRAINING and arguments[_TRAINING[name]] is True)
        varies = self.varies(arguments) or bool(leaves(arguments, TRACED)) or drawn
        call = Call(name, encoded, source_location(), lasting=lasting, missing=missing)
        self.calls.append(call)
        tensors = leaves(result, Tensor)
        call.results += [self._new(tensor, varies, f"{name}(...)") for tensor in tensors]
        if self._recording and not flambeau.is_grad_enabled() and not missing:  # the program also uses no_grad
            for tensor in tensors:
                if tensor.is_floating_point() or tensor.is_complex():
                    value = self.value(tensor)
                    cut = self._new(tensor, varies, value.text)
                    self.calls.append(Call("detach", [value], source_location(), [cut]))
        return result

    @property
    def repeats(self) -> bool:
        """True if a second run gives the same result: no random numbers and no in-place changes."""
        checks = ("check_input", "require_", "without_derivative")
        return not any(call.lasting and not call.name.startswith(checks) for call in self.calls)

    def allow_any_rank(self) -> None:
        """Accept inputs with any number of dimensions if the program works for them.

        This is the case if the program has only pointwise operators and linear layers, and if Python has read no sizes
        or other properties of a traced tensor.
        """
        names = {call.name for call in self.calls if call.name != "check_input"}
        if not self._read_metadata and names <= _OF_ANY_RANK:
            self.calls = [call for call in self.calls if call.name != "check_input"]

    def number(self, name: str, compute: Callable[..., Any], *operands: Any) -> Any:
        """Compute a number from numbers and record the computation."""
        value = compute(*map(plain, operands))
        if not self.open:
            return value
        of_elements = any(o.of_elements for o in operands if isinstance(o, Number))
        texts = [o.text if isinstance(o, Number) else repr(o) for o in operands]
        text = f"{name.removeprefix('number_')}({', '.join(texts)})"
        return Number(self, value, self._record_scalar_call(name, [*operands]).name, text, of_elements)

    def measured(self, name: str, tensor: Tensor, dim: int | None, value: Any) -> Number:
        """Return a traced number read from a tensor: ``item``, ``numel`` or the ``size`` of a dimension."""
        known = self.value(tensor)
        key = (name, known.name, -1 if dim is None else dim)
        if name != "item" and key in self._measured:
            return self._measured[key]
        result = self._record_scalar_call(name, [tensor, *([] if dim is None else [dim])])
        text = f"{known.text or known.name}.{name}({'' if dim is None else dim})"
        made = self._measured[key] = Number(self, value, result.name, text, name == "item")
        return made

    def size(self, tensor: Tensor, dim: int) -> Number | int:
        size = tensor.shape[dim]
        return self.measured("size", tensor, dim, size) if self.varies(tensor) else size

    def decide(self, comparison: str, opposite: str, number: Number, other: Any, holds: bool) -> None:
        """Record that Python compared two numbers. The program is valid only for inputs with the same outcome."""
        self.require(comparison if holds else opposite, number, other)

    def read_number(self, number: Number) -> None:
        """Record that Python needs the value of a number that depends on elements of tensors."""
        self.warn_of_constant(number.text)

    def shown(self, number: Number) -> Any:
        """Return the plain number that is used when Python formats a traced number."""
        return number.value

    def require(self, comparison: str, number: Number, other: Any) -> None:
        """Record that the program is valid only for inputs that satisfy a comparison."""
        shown = other.text if isinstance(other, Number) else repr(other)
        key = (comparison, number.name, other.name if isinstance(other, Number) else repr(other))
        if key not in self._required:
            self._required.add(key)
            self.effect(f"require_{comparison}", [number, other, f"{number.text} {symbol(comparison)} {shown}"])

    def effect(self, name: str, arguments: list[Any], missing: str = "") -> None:
        """Record a call that has no results. If its first argument is a tensor, the call writes to it."""
        self.calls.append(Call(name, self.encoded(arguments), source_location(), lasting=True, missing=missing))
        if isinstance(arguments[0], Tensor) and self.varies(arguments):
            self._changed(arguments[0])

    def _changed(self, tensor: Tensor) -> None:
        """Mark all known tensors that share memory with ``tensor`` as dependent on the inputs."""
        memory = tensor.untyped_storage().data_ptr()
        for known, value in self._known_tensors():
            value.varies = value.varies or known.untyped_storage().data_ptr() == memory

    def sliced(self, tensor: Tensor, dim: int, key: slice) -> Tensor:
        """Return the view of the range ``key`` along dimension ``dim``."""
        if key == slice(None):
            return tensor
        parts = (key.start, key.stop, key.step)
        start, stop, step = (
            self.measured("item", part, None, part.item()) if isinstance(part, Tensor) else part for part in parts
        )
        result = tensor[(slice(None),) * dim + (slice(plain(start), plain(stop), plain(step)),)]
        self.note("slice", [tensor, dim, start, stop, 1 if step is None else step], result)
        return result

    # --- calls ---

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func.__name__ == "_change_autocast_depth":
            depth = func(*args)
            if depth <= 0:
                self._casts.clear()
            return depth
        if _core._is_autocast_enabled("cuda"):
            raise NotImplementedError("programs do not support autocast on GPUs: convert the dtype of the model")
        policy = _core._autocast_policy(func) if _core._is_autocast_enabled("cpu") else 0
        if not policy:
            return super().__torch_function__(func, types, args, kwargs)
        if (kwargs or {}).get("out") is None:  # calls with out= do not cast their arguments
            args, kwargs = self._casts.cast(policy, args, kwargs or {})
        with without_autocast():
            return super().__torch_function__(func, types, args, kwargs)

    def has(self, name: str) -> bool:
        return name in NATIVE

    def opened(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        function = super().opened(func, name, args, kwargs)
        if function is not None and function is DECOMPOSITIONS.get(name):
            run(func, args, kwargs)  # invalid arguments raise an error
        return function

    def decomposes(self, definition: Any) -> bool:
        return bool(definition._decomposed_in_programs)

    def custom_call(self, definition: Any, arguments: dict[str, Any]) -> Any:
        changed = [tensor for name in definition._mutated for tensor in leaves(arguments[name], Tensor)]
        self.encoded(changed)  # gives the changed tensors a value before the call
        values = [*arguments.values()]
        result = self.note(definition._qualname, values, run(definition, (), arguments), lasting=bool(changed))
        if self.varies(values):
            for tensor in changed:
                self._changed(tensor)
        return result

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Call an operator and record it, unless its results are arguments or contain no tensors."""
        result = run(func, args, kwargs)
        operands = leaves([args, kwargs], Tensor)
        if not leaves(result, Tensor) or (any(result is t for t in operands) and name != "contiguous"):
            self._read_metadata = self._read_metadata or self.varies(operands)
            return result  # for example a Python object, or dropout(x) in evaluation mode
        if type(func) not in OPERATOR_TYPES:  # attributes, and methods that are not operators
            if self.varies(args):
                self.note(name, [*args], result, missing="an attribute that programs do not have")
            return result
        try:
            arguments = _relevant_arguments(func, args, kwargs)
        except TypeError:
            return self.note(name, [*args], result, missing="an outdated order of arguments")
        generator = kwargs.get("generator")
        missing = "a custom generator" if generator is not None else missing_of(name, len(arguments))
        return self.note(name, arguments, result, missing=missing, drawn=draws(func))

    def in_place(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        function = None if name in NATIVE else getattr(Tensor, name[:-1], None)
        if function is not None and super().opened(function, name[:-1], args, kwargs) is not None:
            with self:
                return args[0].copy_(function(*args, **kwargs))
        arguments = _relevant_arguments(func, args, kwargs)
        before = args[0].shape
        self.value(args[0])
        result = run(func, args, kwargs)
        if args[0].shape != before or name in ("t_", "transpose_", "swapaxes_", "swapdims_", "as_strided_"):
            return self.note(name[:-1], arguments, args[0], missing=missing_of(name[:-1], len(arguments)))
        self.effect(name, arguments, missing_of(name, len(arguments)))
        return result

    def written_out(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        out = super().written_out(func, name, args, kwargs)
        run(func, args, kwargs)
        return out

    def write(self, tensor: Tensor, result: Tensor) -> None:
        self.effect("write_out", [tensor, result])

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        self.note("alias", [of], tensor)


def _relevant_arguments(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments of an operator in order, without the parameters in `DROPPED`."""
    arguments = {key: value for key, value in bound(func, args, kwargs).items() if key not in DROPPED}
    if arguments.get("device") is not None:
        arguments["device"] = flambeau.device(arguments["device"])
    return [*arguments.values()]
