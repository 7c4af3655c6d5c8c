"""Capture one call of a function as a program."""

from __future__ import annotations

import functools
import random
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._calls import run
from flambeau._tracing._numbers import TRACED, Number, Sizes, traced_lengths
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves, source_location
from flambeau.jit._text import written
from flambeau.jit._trace import Trace
from flambeau.nn import Module
from flambeau.utils import _pytree as pytree

from ._containers import Contents
from ._guards import Snapshot, UnguardedError, is_numpy_array
from ._logs import UnsupportedError, log
from ._pausing import CONSTANTS, PausingTrace, pausing_at_print
from ._results import Structure, plain_result, plain_value, structure_of
from ._segments import Recording, Tree, UnmatchedRun, path_of, source_files
from ._training import CHANGES, RULES, USES_CONTAINERS, Option, Training
from ._watched_calls import watch_calls

_running = threading.local()  # the capture of this thread


def current() -> CaptureTrace | None:
    """Return the capture that runs in this thread, or None."""
    return getattr(_running, "trace", None)


# Calls that return no tensor and have no side effects. The guards compare the objects that their results depend on.
_QUERIES = {
    "dim", "ndim", "dtype", "device", "layout", "requires_grad", "is_leaf", "is_floating_point", "is_complex",
    "is_signed", "is_contiguous", "element_size", "itemsize", "is_cuda", "is_cpu", "is_meta", "is_sparse",
    "is_sparse_csr", "is_quantized", "is_nested", "is_mps", "is_xpu", "is_mkldnn", "get_device", "ndimension",
    "is_conj", "is_neg", "is_inference", "names", "name", "is_same_size", "__len__", "result_type", "can_cast",
    "promote_types", "is_tensor", "__get__", "is_grad_enabled",
    "_is_autocast_enabled", "_is_autocast_caching", "_cuda_device_count",
}  # fmt: skip
# Calls that programs cannot record, because they change how gradients flow or which memory a tensor uses.
_UNRECORDED = {"register_hook", "retain_grad", "requires_grad_", "detach_", "share_memory_", "set_", "resize_"}


def _of_data(trace: CaptureTrace, func: Any, **arguments: Any) -> Any:
    """Record the creation of a tensor from numbers. Give up if Python may change the numbers later (NumPy arrays)."""
    if func.__name__ in ("from_numpy", "frombuffer", "from_dlpack") or any(
        map(is_numpy_array, pytree.tree_leaves(arguments))
    ):
        trace.give_up(f"{func.__name__}() reads memory that Python can change")
        return run(func, list(arguments.values())[:1], dict(list(arguments.items())[1:]))
    with trace.making_constants():
        return Trace.rules["tensor"](trace, func, **arguments)


class CaptureTrace(PausingTrace):
    """Recorder that stores the reason if no program can represent the function, and lets the function continue.

    Attributes:
        reason: why the function cannot be one program, or None.
        executed: the code that ran, or None if that is unknown.
        changed_at: index of the first recorded call that changes memory that outlives the call of the function, or
            None.
    """

    def __init__(
        self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], snapshot: Snapshot, fullgraph: bool
    ) -> None:
        super().__init__(inputs, state, fullgraph)
        self.reason: str | None = None
        self.executed: set[types.CodeType] | None = None
        self._making_constant = False
        self.written: set[int] = set()  # addresses of storages that recorded calls change
        self._reachable, self._snapshot = snapshot.tensors, snapshot
        self._lasting_memory = {
            t.untyped_storage().data_ptr() for t, _ in [*self._known_tensors(), *snapshot.tensors.values()]
        }
        self.changed_at: int | None = None
        self.training = Training(self, [*inputs.values(), *(t for t, _ in snapshot.tensors.values())])
        self._recording = False  # `Training` records changes of grad mode instead
        for _, value in self._known_tensors():
            value.varies = True  # even for parameters, because their elements change between calls

    @staticmethod
    def _reference(tensor: Tensor) -> Callable[[], Tensor | None]:
        """Return a weak reference, so that the capture does not keep intermediate tensors alive."""
        return weakref.ref(tensor)

    def give_up(self, reason: str) -> None:
        """Store why no program can represent the function, and stop recording. The function continues.

        Raises: UnsupportedError if ``fullgraph`` is set.
        """
        where = source_location()
        if self.reason is None:
            self.reason = f"{where}: {reason}"
            self.open = False
            if self._fullgraph:
                raise UnsupportedError(f"{self.reason} (fullgraph=True)")

    def is_reachable(self, value: Any) -> bool:
        return self._snapshot.holds(value)

    def note_change(self, what: str) -> None:
        """Stop recording because the function changes a Python object. Later calls without changes can be captured."""
        self.reason, self.open = self.reason or f"{CHANGES} ({what})", False

    def pause(self, function: Any, args: Any, kwargs: Any, reason: str, *, has_effects: bool = False) -> Any:
        if has_effects and self.open and self.training.has_changed_grad_mode:
            self.give_up(f"{reason}, while the grad mode differs from that at the start of the function")
        count = len(self.pauses)
        result = super().pause(function, args, kwargs, reason, has_effects=has_effects)
        if len(self.pauses) > count:
            self.training.begin_segment()
        return result

    def _note_extension_event(self, tensor: Tensor, event: str) -> None:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if event == "read" and self.open and caller == "flambeau.autograd._backward":
            self.give_up("programs can compute gradients only with Tensor.backward()")
        super()._note_extension_event(tensor, event)

    def _depends_on_inputs(self, tensor: Tensor) -> bool:
        return super()._depends_on_inputs(tensor) or (self.known(tensor) is None and id(tensor) in self._reachable)

    def value(self, tensor: Tensor) -> Value:
        if (known := self.known(tensor)) is not None:
            return known
        outside = id(tensor) not in self._reachable and self._extension_call_of(tensor) is None
        if self.open and outside and not self._making_constant:
            self.give_up("the function uses a tensor that no recorded operator created")
        value: Value = super().value(tensor)
        if value.name.startswith("@") and not outside:
            self.constants[value.name[1:].strip("'")] = tensor  # not detached: gradients flow to it
            value.varies = True
        return value

    @contextmanager
    def making_constants(self) -> Iterator[None]:
        """Make unknown tensors constants of the program in this context."""
        self._making_constant = True
        try:
            yield
        finally:
            self._making_constant = False

    def constant(self, tensor: Tensor) -> Tensor:
        with self.making_constants():
            self.value(tensor)
        return tensor

    def warn_of_constant(self, text: str) -> None:
        if self.open:
            self.give_up(f"{text} gives Python a value that depends on a tensor")

    @property
    def has_effects_before_decision(self) -> bool:
        """True if the program changes memory that outlives the call, and a pause or requirement follows.

        If such a program stops at the pause or requirement, the function cannot run again from its beginning.
        """
        late = any(pause.position > self.changed_at for pause in self.pauses) if self.changed_at is not None else False
        return late or _has_late_requirement(self, False)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self.open and (flambeau.is_autocast_enabled("cpu") or flambeau.is_autocast_enabled("cuda")):
            self.give_up("autocast is enabled, which programs do not support")
        elif self.open and (func.__name__ in _UNRECORDED or _sets_attribute(func)):
            called = f"an assignment to Tensor.{func.__self__.__name__}" if _sets_attribute(func) else func.__name__
            self.give_up(f"programs do not support {called}")
        elif self.open and (kwargs or {}).get("generator") is not None:
            self.give_up("programs support only the default generator")
        elif self.open and (kwargs or {}).get("requires_grad"):
            self.give_up(f"programs do not support {func.__name__}() with requires_grad=True")
        elif self.open and not all(issubclass(kind, Tensor) for kind in types):
            return NotImplemented  # the class of an argument handles the call by operators, which are recorded
        if not self.open:
            uses_state = func.__name__ == "_optimizer_step"  # `run` would copy the state, which the step updates
            return func(*args) if uses_state else run(func, args, kwargs or {})
        return super().__torch_function__(func, types, args, kwargs)

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        result = super().operator(func, name, args, kwargs)
        if self.open and not leaves(result, (Tensor, Number)) and func.__name__ not in _QUERIES:
            self.give_up(f"the result of {name} is not a tensor")
        return result

    def note(self, name: str, arguments: list[Any], result: Any, **options: Any) -> Any:
        self.training.follow_grad_mode()
        count = len(self.calls)
        result = super().note(name, arguments, result, **options)
        if any(call.lasting for call in self.calls[count:]) and not options.get("drawn"):
            self._write(arguments, count)
        return result

    def effect(self, name: str, arguments: list[Any], missing: str = "") -> None:
        self.training.follow_grad_mode()
        if name == "without_derivative" and flambeau.is_grad_enabled():
            if any(tensor.requires_grad for tensor in leaves(arguments, Tensor)):
                self.give_up(f"a program cannot compute the gradient of {arguments[1]}")
        elif not name.startswith(("check_input", "require_")):
            self._write(arguments, len(self.calls))
        super().effect(name, arguments, missing)

    def _write(self, arguments: Any, position: int) -> None:
        memory = {t.untyped_storage().data_ptr() for t in leaves(arguments, Tensor)}
        self.written |= memory
        if self.changed_at is None and memory & self._lasting_memory:
            self.changed_at = position


def _sets_attribute(func: Any) -> bool:
    return bool(func.__name__ == "__set__" and func.__self__.__name__ != "grad")


CaptureTrace.rules = {
    **Trace.rules,
    **RULES,
    **dict.fromkeys(
        ("tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "new_tensor", "from_dlpack"), _of_data
    ),
}


@dataclass(repr=False)
class Captured:
    """Captured program of a function, with its state and its guards.

    Attributes:
        native: the parsed program.
        state: tensors that the program reads, and options of optimizers, in order.
        returns_tuple: True if the function returns a plain tuple of tensors.
        structure: structure of the results.
        requires_late: True if a requirement on sizes follows a side effect, so that a run for other sizes cannot be
            abandoned there.
        fixed_sizes: the key and sizes of the arguments (`_Leaves.with_sizes`) if the program is valid only for these
            sizes, or None.
        files: paths of the source files in the text, by ``file:line``.
    """

    native: Any
    text: str
    state: tuple[Tensor | Option, ...]
    structure: Structure
    snapshot: Snapshot
    requires_late: bool
    returns_tuple: bool
    fixed_sizes: Any = None
    files: Mapping[str, str] = field(default_factory=dict)

    def quick_call(self, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Return the program for the fast path `_core._replay`, or None if that path does not support such calls."""
        simple = not kwargs and all(isinstance(a, Tensor) and a.is_contiguous() for a in args)
        if not simple or self.requires_late or self.snapshot.views or len({id(a) for a in args}) < len(args):
            return None
        guards = self.snapshot.containers, self.snapshot.contents
        return _core._compiled_call(self.native, args, self.state, *guards, self.structure.spec is None)

    def run(self, tensors: Sequence[Tensor], unmet: Any) -> Any:
        """Return the function's result, or ``unmet`` if the sizes of the tensors take another branch."""
        results = _core._run_program(self.native, tensors, self.state, unmet)
        return results if results is unmet else self.structure.packed(results)

    @property
    def graphs(self) -> list[tuple[str, Any]]:
        """A list with one pair: the text of the program and the parsed program."""
        return [(self.text, self.native)]

    reasons: ClassVar[tuple[str, ...]] = ()


class _Effects:
    """Effects of one call of a function on its tensors, on random generators and on guarded objects.

    Attributes:
        rng_state: state of flambeau's generator before the call.
    """

    def __init__(self, trace: CaptureTrace, tensors: Sequence[Tensor], snapshot: Snapshot) -> None:
        self._trace, self._snapshot = trace, snapshot
        watched = [*tensors, *(tensor for tensor, _ in snapshot.tensors.values())]
        self._versions = [(tensor, tensor._version) for tensor in watched]
        self._generators, self.rng_state = _generator_states(), flambeau.get_rng_state()

    def exist(self) -> bool:
        """Return True if the call had an effect that is visible after it, so that it must not be repeated."""
        changes = self._changed() or _generator_states() != self._generators
        recorded = self._trace.changed_at is not None or self._trace.training.has_effects
        return bool(changes or recorded or self._snapshot.first_change() is not None)

    def unrecorded(self) -> str | None:
        """Describe an effect that the trace did not record, or return None."""
        if any(tensor.untyped_storage().data_ptr() not in self._trace.written for tensor in self._changed()):
            return "a call that is not an operator changes a tensor in place"
        if _generator_states() != self._generators:
            return "the function draws random numbers from Python's random or numpy.random"
        return None

    def _changed(self) -> list[Tensor]:
        return [tensor for tensor, version in self._versions if tensor._version != version]


def _generator_states() -> tuple[Any, ...]:
    """Return the states of the global random generators of Python and, if it is imported, of NumPy."""
    states: list[Any] = [random.getstate()]
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        states.append(str(numpy_random.get_state()))
    return tuple(states)


def capture(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: Sequence[Tensor],
    fullgraph: bool,
    unmatched: UnmatchedRun | None = None,
) -> tuple[Any, Captured | Tree | None, str]:
    """Run ``function(*args, **kwargs)`` and record it as a program.

    Args:
        tensors: the tensors among the arguments, without repetitions.
        unmatched: a replay that stopped at an unknown branch; this run repeats it from the beginning.
    Returns: the function's result; the program, or None; the reason why there is no program, or an empty string.
    Raises: UnsupportedError if ``fullgraph`` is set and no program can represent the function; any exception that the
        function raises.
    """
    contents = Contents((args, kwargs))
    objects = [leaf for leaf in contents.leaves if not isinstance(leaf, (Tensor, *CONSTANTS))]
    try:
        snapshot = Snapshot({"function": function, **{f"argument {i}": leaf for i, leaf in enumerate(objects)}})
    except UnguardedError as error:
        if fullgraph:
            raise UnsupportedError(f"{error} (fullgraph=True)") from None
        return function(*args, **kwargs), None, str(error)
    state, modules = _state_of(function, {id(t) for t in tensors})
    names = [f"input_{i}" for i in range(len(tensors))]
    trace = CaptureTrace(dict(zip(names, tensors, strict=True)), state, snapshot, fullgraph)
    trace.answers.extend(unmatched.answers if unmatched else ())
    for tensor, name in zip(tensors, names, strict=True):
        trace.effect("check_input", [tensor, name, tensor.dim()])
    effects = _Effects(trace, tensors, snapshot)
    try:
        traced_result = _run(trace, function, *args, **kwargs)
    except Exception as error:
        trace.open = False
        if isinstance(error, UnsupportedError) or effects.exist() or contents.have_changed():
            raise
        trace.answers.extend(trace.performed)
        flambeau.set_rng_state(effects.rng_state)
        repeat = functools.partial(_run, trace, function) if trace.performed else function
        result = repeat(*args, **kwargs)  # raises the exception again if the function itself raised it
        return _refusal(result, f"recording raised {type(error).__name__}: {error}", fullgraph)
    if (changed := snapshot.first_change()) is not None:
        _remove_traced_numbers(snapshot)
        trace.reason = trace.reason or f"{CHANGES} ({changed})"
    if contents.have_changed():
        trace.reason = trace.reason or USES_CONTAINERS[0]
    if contents.shares_container_with(traced_result):
        trace.reason = trace.reason or USES_CONTAINERS[1]
    trace.reason = trace.reason or effects.unrecorded()
    if trace.executed is None and snapshot.problem:
        trace.reason = trace.reason or snapshot.problem
    draws = not flambeau.equal(flambeau.get_rng_state(), effects.rng_state)
    captured: Captured | Tree | None = None
    if trace.reason is None and trace.pauses and trace.has_effects_before_decision:
        trace.reason = f"{trace.pauses[-1].reason}, after an in-place change of a tensor that exists before the call"
    if trace.reason is None:
        try:
            guards = snapshot if trace.executed is None else snapshot.narrowed(frozenset(trace.executed))
            captured = _program(trace, traced_result, names, state, modules, snapshot.holds, guards, draws)
        except (NotImplementedError, TypeError, UnguardedError, ValueError) as error:
            trace.reason = str(error)
    trace.open = False
    result = plain_result(traced_result, snapshot.holds)
    return (result, captured, "") if captured is not None else _refusal(result, str(trace.reason), fullgraph)


def _refusal(result: Any, reason: str, fullgraph: bool) -> tuple[Any, None, str]:
    if fullgraph and not reason.startswith((CHANGES, *USES_CONTAINERS)):
        raise UnsupportedError(f"{reason} (fullgraph=True)")
    return result, None, reason


def _state_of(function: Any, given: set[int]) -> tuple[dict[str, Tensor], dict[int, str]]:
    """Return the parameters and buffers of a module by name, and the paths of its submodules by id.

    Tensors with ids in ``given`` are left out. Both are empty if ``function`` is neither a module nor a method of one.
    """
    owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
    if not isinstance(owner, Module):
        return {}, {}
    state = dict(owner.named_parameters(remove_duplicate=False)) | dict(owner.named_buffers(remove_duplicate=False))
    return {n: t for n, t in state.items() if id(t) not in given}, {id(m): n for n, m in owner.named_modules()}


def _run(trace: CaptureTrace, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    outer = current()
    _running.trace = trace
    try:
        with traced_lengths(), pausing_at_print(trace), trace.watching_extensions(), watch_calls(trace), trace:
            return function(*args, **kwargs)
    finally:
        _running.trace = outer


def _remove_traced_numbers(snapshot: Snapshot) -> None:
    """Replace traced numbers that the function stored in its objects with plain ones."""
    for container in snapshot.containers:
        if not isinstance(container, dict | list):
            continue
        for key, value in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if type(value) in (*TRACED, Sizes):
                container[key] = plain_value(value)


def _program(
    trace: CaptureTrace,
    result: Any,
    names: Sequence[str],
    state: Mapping[str, Tensor],
    modules: Mapping[int, str],
    is_reachable: Callable[[Any], bool],
    snapshot: Snapshot,
    draws: bool,
) -> Captured | Tree:
    structure, outputs = structure_of(result, is_reachable)
    known: dict[str, Tensor | Option] = {**state, **trace.constants, **trace.training.options}
    if trace.pauses:
        if trace.training.is_used:
            raise NotImplementedError(f"{trace.pauses[0].reason}, in a function that reads or computes gradients")
        trace.open = False
        results = [trace.encoded(output).name for output in outputs]
        tensors = {**state, **trace.constants}
        path = path_of(Recording(tensors, trace.numbers, modules), trace.calls, trace.pauses, results, structure.packed)
        return Tree(path, [value.name for value in trace.inputs], snapshot, draws)
    trace.training.begin()
    trace.training.release(snapshot)
    text = written(trace, names, outputs, modules)
    native = _core._parse_program(text)
    log("graph", text)
    log("fusion", _core._program_plan(native))
    log("guards", "\n".join(snapshot.paths))
    return Captured(
        native,
        text,
        tuple(known[name] for name in _core._program_state(native)),
        structure,
        snapshot,
        _has_late_requirement(trace, draws),
        type(result) is tuple and all(isinstance(x, Tensor) for x in result),
        files=source_files(trace.calls),
    )


def _has_late_requirement(trace: CaptureTrace, draws: bool) -> bool:
    """Return True if a requirement on sizes follows a side effect. A run that fails it has already had the effect."""
    first = trace.changed_at
    if draws or trace.training.has_effects:
        again = trace.training.repeatable
        effects = (i for i, call in enumerate(trace.calls) if _has_effect(call) and call.name not in again)
        first = next(effects, None)
    return first is not None and any(call.name.startswith("require_") for call in trace.calls[first:])


def _has_effect(call: Call) -> bool:
    return call.lasting and not call.name.startswith(("require_", "check_input", "without_derivative"))
