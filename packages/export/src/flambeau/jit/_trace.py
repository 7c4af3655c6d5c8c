"""Running a program while noting the operators that it calls, as a program that needs no Python.

Note [Tracing]
A mode is asked about every call (flambeau.overrides). An operator of the library that programs can call
(`flambeau._core._program_operators`) is noted under its own name, with all its arguments; what is written in Python
is opened, so that the operators that it is made of are seen; a key in brackets becomes the views and the selections
that it stands for. Tensors are known by identity: an input, a result, a parameter or buffer by its name; any other
tensor that an operator is given is a constant, and is kept with the program. Changes in place stay changes in place.

A call of an extension module's function is not intercepted, so that its result would be taken for a constant. The trace
therefore watches the tensors that extension modules read and make (Note [Extension watch]): a tensor that they make
after they read one that depends on the inputs is the result of a call that no program can make.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor
from flambeau.overrides import TorchFunctionMode

from ._extension_watch import ExtensionWatcher
from ._numbers import TRACED, Number, Repeated, plain, symbol, warn
from ._operators import DROPPED, NATIVE, OPERATOR, bound, missing_of, name_of, quoted, run, spread
from ._structure import Place, holds_batches, leaves, place, replaced

T = TypeVar("T")

_RULES: dict[str, Callable[..., Any]] = {}
_WITHOUT_EFFECT = {"requires_grad_", "detach_", "retain_grad", "register_hook", "share_memory_", "pin_memory"}
# What gives Python something to decide on and no tensor.
_READS = {"tolist", "numpy", "equal", "allclose", "is_nonzero", "__array__", "__contains__", "__float__", "__int__"}
_READS |= {"__index__", "__complex__", "__dlpack__", "to_dlpack"}
_NEW = {"tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "new_tensor", "from_dlpack"}
_RANDOM = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "bernoulli", "multinomial", "dropout"}
_RANDOM |= {"_rrelu", "empty", "empty_like", "new_empty"}
_TRAINING = {"batch_norm": 5, "instance_norm": 5}  # where an argument says that running statistics are updated


@dataclass
class Reference:
    """A value of the program, ``%5``, or a tensor of its state, ``@conv.weight``."""

    name: str


@dataclass(eq=False)
class Call:
    """An operator that was called: references, lists and constants in the place of its arguments."""

    name: str
    arguments: list[Any]
    results: list[Reference]
    place: Place
    lasting: bool  # it has an effect beside its results
    missing: str = ""  # why no program can call it


def rule(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Says how calls of these names are noted, by a function (trace, func, arguments by name) -> result."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            _RULES[name] = function
        return function

    return register


@dataclass
class _Known:
    tensor: Tensor  # held, so that no other has its identity
    reference: Reference
    varies: bool  # with what the program is given
    text: str = ""  # what errors call it


class Trace(ExtensionWatcher[Call], TorchFunctionMode):
    """The calls of what is run within it.

    Args:
        inputs: the tensors that the program is given, by its names for them.
        state: the tensors that it keeps.
    """

    def __init__(self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.constants: dict[str, Tensor] = {}
        self.open = True
        self._known: dict[int, _Known] = {}
        self._count = 0
        self._state = frozenset(state)
        self._names = (f"constant_{i}" for i in itertools.count())
        self._recording = flambeau.is_grad_enabled()
        for name, tensor in state.items():
            self._known.setdefault(id(tensor), _Known(tensor, Reference(f"@{quoted(name)}"), False))
        self._measured: dict[tuple[str, str, int], Number] = {}
        self._required: set[tuple[str, str, str]] = set()
        self.inputs = []
        for name, tensor in inputs.items():
            known = self._known.get(id(tensor))
            if known is not None and known.varies:
                raise NotImplementedError("one tensor is two of the example's inputs: give each of them its own")
            self.inputs.append(self._fresh())
            self._known[id(tensor)] = _Known(tensor, self.inputs[-1], True, name)

    # --- what the program knows ---

    def _fresh(self) -> Reference:
        self._count += 1
        return Reference(f"%{self._count - 1}")

    def reference(self, tensor: Tensor) -> Reference:
        """The name of a tensor; of one that has none, of a constant that it becomes."""
        known = self._known.get(id(tensor))
        if known is None and (call := self._made_by_extension(tensor)) is not None:
            self.calls.append(call)
            known = self._known[id(tensor)] = _Known(tensor, call.results[0], True, call.name)
        if known is None:
            name = next(n for n in self._names if n not in self._state)
            self.constants[name] = tensor.detach()
            known = self._known[id(tensor)] = _Known(tensor, Reference(f"@{name}"), False)
        return known.reference

    def varies(self, value: Any) -> bool:
        """Whether what stands in a structure depends on what the program is given."""
        return any(map(self._depends_on_inputs, leaves(value, Tensor)))

    def _depends_on_inputs(self, tensor: Tensor) -> bool:
        known = self._known.get(id(tensor))
        return self._made_by_extension(tensor) is not None if known is None else known.varies

    def encoded(self, value: Any) -> Any:
        """An argument with references in the place of tensors and traced numbers."""
        if isinstance(value, Number):
            return Reference(value.name)
        if isinstance(value, Repeated):
            call = Call(
                "repeated", [self.encoded(value.items), self.encoded(value.times)], [self._fresh()], place(), False
            )
            self.calls.append(call)
            return call.results[0]
        if isinstance(value, Tensor):
            return self.reference(value)
        if isinstance(value, tuple | list):
            return [self.encoded(item) for item in value]
        return value

    # --- noting ---

    def _see_export(self, tensor: Tensor) -> None:
        if self._depends_on_inputs(tensor):
            self.warn_of_constant("the memory of a tensor")

    def _extension_call(self, name: str, reason: str, place: Place) -> Call | None:
        return Call(name, [], [self._fresh()], place, False, reason) if self.open else None

    def note(self, name: str, arguments: list[Any], result: T, *, missing: str = "", lasting: bool = False) -> T:
        """Notes a call that gave ``result``, a tensor or a structure of tensors; returns it."""
        encoded = [self.encoded(a) for a in arguments]
        lasting = lasting or name in _RANDOM or (name in _TRAINING and arguments[_TRAINING[name]] is True)
        varies = self.varies(arguments) or bool(leaves(arguments, TRACED)) or name in _RANDOM
        call = Call(name, encoded, [], place(), lasting, missing)
        self.calls.append(call)
        for tensor in leaves(result, Tensor):
            call.results.append(self._fresh())
            self._known[id(tensor)] = _Known(tensor, call.results[-1], varies, f"{name}(...)")
        if self._recording and not flambeau.is_grad_enabled() and not missing:
            self._cut_history(result)
        return result

    def _cut_history(self, result: Any) -> None:
        """What is computed where no gradients are wanted has none when the program runs, either."""
        for tensor in leaves(result, Tensor):
            if tensor.is_floating_point() or tensor.is_complex():
                known, cut = self._known[id(tensor)], self._fresh()
                self.calls.append(Call("detach", [known.reference], [cut], place(), False))
                known.reference = cut

    @property
    def repeats(self) -> bool:
        """Whether a second run gives the same: nothing is drawn, and nothing changed."""
        checks = ("check_input", "require_", "without_derivative")
        return not any(call.lasting and not call.name.startswith(checks) for call in self.calls)

    def number(self, name: str, compute: Callable[..., Any], *operands: Any) -> Any:
        """The result of a computation of numbers, noted where one of them is traced."""
        value = compute(*map(plain, operands))
        if not self.open:
            return value
        of_elements = any(o.of_elements for o in operands if isinstance(o, Number))
        texts = [o.text if isinstance(o, Number) else repr(o) for o in operands]
        call = Call(name, [self.encoded(o) for o in operands], [self._fresh()], place(), False)
        self.calls.append(call)
        text = f"{name.removeprefix('number_')}({', '.join(texts)})"
        return Number(self, value, call.results[0].name, text, of_elements)

    def measured(self, name: str, tensor: Tensor, dim: int | None, value: Any) -> Number:
        """A number that an operator reads off a tensor: ``item``, ``numel`` or the ``size`` of a dimension."""
        self.reference(tensor)
        known = self._known[id(tensor)]
        key = (name, known.reference.name, -1 if dim is None else dim)
        if name != "item" and key in self._measured:
            return self._measured[key]
        arguments = [known.reference, *([] if dim is None else [dim])]
        call = Call(name, arguments, [self._fresh()], place(), False)
        self.calls.append(call)
        text = f"{known.text or known.reference.name}.{name}({'' if dim is None else dim})"
        made = self._measured[key] = Number(self, value, call.results[0].name, text, name == "item")
        return made

    def require(self, comparison: str, number: Number, other: Any) -> None:
        """Notes that the program holds only for inputs with which a comparison is true."""
        shown = other.text if isinstance(other, Number) else repr(other)
        encoded = self.encoded(other)
        key = (comparison, number.name, repr(encoded))
        if key not in self._required:
            self._required.add(key)
            arguments = [Reference(number.name), encoded, f"{number.text} {symbol(comparison)} {shown}"]
            self.calls.append(Call(f"require_{comparison}", arguments, [], place(), True))

    def effect(self, name: str, arguments: list[Any]) -> None:
        """Notes a call that writes to its first argument."""
        self.calls.append(Call(name, [self.encoded(a) for a in arguments], [], place(), True))
        if isinstance(arguments[0], Tensor) and self.varies(arguments):
            self._changed(arguments[0])

    def _changed(self, tensor: Tensor) -> None:
        """What was written to it varies with the inputs, and so do all tensors over its memory."""
        memory = tensor.untyped_storage().data_ptr()
        for known in self._known.values():
            known.varies = known.varies or known.tensor.untyped_storage().data_ptr() == memory

    def sliced(self, tensor: Tensor, dim: int, key: slice) -> Tensor:
        """The view of a range along a dimension."""
        if key == slice(None):
            return tensor
        parts = (key.start, key.stop, key.step)
        start, stop, step = (
            self.measured("item", part, None, part.item()) if isinstance(part, Tensor) else part for part in parts
        )
        result = tensor[(slice(None),) * dim + (slice(plain(start), plain(stop), plain(step)),)]
        self.note("slice", [tensor, dim, start, stop, 1 if step is None else step], result)
        return result

    def warn_of_constant(self, text: str) -> None:
        """Says that Python got the elements of a tensor, and goes on with what they were."""
        if self.open:
            warn(
                f"{place()}: {text} gives Python a value that depends on the inputs; in the program it is the constant "
                "that it was for these, and what is done with it is fixed as well"
            )

    # --- calls ---

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.open:
            return func(*args, **kwargs)
        if flambeau.is_autocast_enabled("cpu") or flambeau.is_autocast_enabled("cuda"):
            raise NotImplementedError(
                "flambeau.jit.trace does not see what autocast casts: trace outside of it, and convert the model"
            )
        if holds_batches(args, kwargs):
            return NotImplemented  # of func.vmap, whose rules call operators of tensors
        if (definition := getattr(func, "definition", None)) is not None:
            return self._registered(definition, func, args, kwargs)
        name = name_of(func)
        if name in _WITHOUT_EFFECT:
            return run(func, args, kwargs)
        if kwargs.get("out") is not None:
            return self._written_out(func, args, kwargs)
        if name in _RULES:
            return _RULES[name](self, func, **bound(func, args, kwargs))
        if name.endswith("_copy") and name not in NATIVE and hasattr(Tensor, name.removesuffix("_copy")):
            return self._copied(func, args, kwargs)
        if name in _NEW:
            return self._new(func, args, kwargs)
        if name in _READS:
            if self.varies([args, kwargs]):
                self.warn_of_constant(name)
            return run(func, args, kwargs)
        wrapped = getattr(func, "__wrapped__", None)
        if wrapped is not None:
            with self:
                return wrapped(*spread(wrapped, args), **kwargs)
        if type(func) is not OPERATOR:
            return self._other(func, name, args, kwargs)
        if name.endswith("_") and not name.endswith("__"):
            return self._in_place(func, name, args, kwargs)
        return self._operator(func, name, args, kwargs)

    def _registered(self, op: Any, func: Any, args: Any, kwargs: Any) -> Any:
        """Note a call of an operator of `flambeau.library`, with a value for every parameter."""
        if op._decomposed_in_programs:
            with self:
                result = op._decomposition(*args, **kwargs)
            if result is not NotImplemented:
                return result
        values = dict(zip(op._signature.parameters, (*args, *kwargs.values()), strict=True))
        changed = [tensor for name in op._mutated for tensor in leaves(values[name], Tensor)]
        self.encoded(changed)  # as they are before the call
        result = self.note(op._qualname, [*values.values()], run(func, args, kwargs), lasting=bool(changed))
        if self.varies([*values.values()]):
            for tensor in changed:
                self._changed(tensor)
        return result

    def _operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        result = run(func, args, kwargs)
        if not leaves(result, Tensor):
            return result
        try:
            arguments = [value for key, value in bound(func, args, kwargs).items() if key not in DROPPED]
        except TypeError:
            return self.note(name, [*args], result, missing="arguments in an order of old")
        if any(result is a for a in leaves([args, kwargs], Tensor)) and name not in ("contiguous",):
            return result  # such as dropout(x) outside of training
        generator = kwargs.get("generator")
        missing = "a generator of one's own" if generator is not None else missing_of(name, len(arguments))
        return self.note(name, arguments, result, missing=missing)

    def _in_place(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        base = getattr(getattr(Tensor, name[:-1], None), "__wrapped__", None)
        if base is not None and name not in NATIVE:
            with self:
                args[0].copy_(base(*spread(base, args), **kwargs))
            return args[0]
        arguments = [value for key, value in bound(func, args, kwargs).items() if key not in DROPPED]
        before = args[0].shape
        self.reference(args[0])
        encoded = list(arguments)
        result = run(func, args, kwargs)
        if args[0].shape != before or name in ("t_", "transpose_", "swapaxes_", "swapdims_", "as_strided_"):
            return self.note(name[:-1], encoded, args[0], missing=missing_of(name[:-1], len(arguments)))
        varies = self.varies(arguments)
        self.calls.append(
            Call(name, [self.encoded(a) for a in encoded], [], place(), True, missing_of(name, len(arguments)))
        )
        if varies:
            self._changed(args[0])
        return result

    def _written_out(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = kwargs["out"]
        with self:
            new = func(*args, **{key: value for key, value in kwargs.items() if key != "out"})
        targets, results = leaves(out, Tensor), leaves(new, Tensor)
        func(*replaced(args, TRACED, plain), **replaced(kwargs, TRACED, plain))
        for tensor, result in zip(targets, results, strict=True):
            self.effect("write_out", [tensor, result])
        return out

    def _copied(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Copies of what a view shows."""
        name = func.__name__.removesuffix("_copy")
        run(func, args, kwargs)
        with self:
            return replaced(getattr(args[0], name)(*args[1:], **kwargs), Tensor, Tensor.clone)

    def _new(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A tensor of numbers is the same in each run, but made anew: a program may change it."""
        result = run(func, args, kwargs)
        given = leaves([args[1:] if func.__name__ == "new_tensor" else args, kwargs], Tensor)
        data = next(iter(args[func.__name__ == "new_tensor" :]), None)
        if isinstance(data, list | tuple) and self.varies(given) and all(isinstance(t, Tensor) for t in data):
            with self:
                return flambeau.stack([t.detach().to(result) for t in data])
        if len(given) == 1 and self.varies(given):
            with self:
                same = given[0] if func.__name__ in ("as_tensor", "asarray") else given[0].detach()
                return same.to(result.dtype, copy=result is not given[0])
        if leaves([args, kwargs], Number) or self.varies(given):
            self.warn_of_constant(func.__name__)
        constant = result.detach().clone()
        return self.note("clone", [constant, None], result)

    def _other(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """An attribute, or a method of the type that is no operator."""
        result = run(func, args, kwargs)
        if leaves(result, Tensor) and not any(result is t for t in leaves(args, Tensor)) and self.varies(args):
            return self.note(name, list(args), result, missing="an attribute that programs do not have")
        return result
