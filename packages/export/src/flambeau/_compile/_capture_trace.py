"""Recorder of a compiled function, which stores why no program can represent the function."""

from __future__ import annotations

import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._calls import run
from flambeau._tracing._numbers import Number, traced_lengths
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves, source_location
from flambeau.jit._trace import Trace
from flambeau.utils import _pytree as pytree

from ._capture_failure import CaptureFailure, object_change
from ._guards import Snapshot, is_numpy_array
from ._logs import UnsupportedError
from ._modes import changed_mode, thread_modes
from ._pausing import PausingTrace, pausing_at_print
from ._training import RULES, Training
from ._watched_calls import watch_calls

_running = threading.local()  # the capture of this thread


def current() -> CaptureTrace | None:
    """Return the capture that runs in this thread, or None."""
    return getattr(_running, "trace", None)


# Calls that return no tensor and have no side effects. The guards compare the objects that their results depend on.
_QUERIES = {
    "dim", "ndim", "dtype", "device", "layout", "requires_grad", "is_leaf", "is_floating_point", "is_complex",
    "is_signed", "element_size", "itemsize", "is_cuda", "is_cpu", "is_meta", "is_sparse",
    "is_sparse_csr", "is_quantized", "is_nested", "is_mps", "is_xpu", "is_mkldnn", "get_device", "ndimension",
    "is_conj", "is_neg", "is_inference", "names", "name", "__len__", "result_type", "can_cast",
    "promote_types", "is_tensor", "__get__", "is_grad_enabled",
    "_is_autocast_enabled", "_is_autocast_caching", "_autocast_dtype", "_set_autocast_enabled", "_set_autocast_dtype",
    "_set_autocast_caching", "_change_autocast_depth", "_cuda_device_count", "_define", "_return_type",
}  # fmt: skip
# In-place operators that change the shape of a tensor instead of its elements.
_RESHAPES = {"t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_", "as_strided_"}
# Operators whose number of results depends on sizes. A program stops there for another number.
COUNT_DEPENDS_ON_SIZES = {
    "split", "chunk", "unbind", "tensor_split", "hsplit", "vsplit", "dsplit", "unsafe_split", "unsafe_chunk",
}  # fmt: skip
# Calls that programs cannot record, because they change how gradients flow or which memory a tensor uses.
_UNRECORDED = {"register_hook", "retain_grad", "requires_grad_", "detach_", "share_memory_", "set_", "resize_"}


def _of_data(trace: CaptureTrace, func: Any, **arguments: Any) -> Any:
    """Record a call that creates a tensor from Python data. Give up for an array, which Python can change later."""
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
        failure: why the function cannot be one program, or None.
        executed: the code that ran, or None if that is unknown.
        changed_at: index of the first recorded call that changes memory that outlives the call of the function, or
            None.
    """

    def __init__(
        self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], snapshot: Snapshot, fullgraph: bool
    ) -> None:
        super().__init__(inputs, state, fullgraph)
        self.failure: CaptureFailure | None = None
        self.executed: set[types.CodeType] | None = None
        self._making_constant = False
        self._first_modes = thread_modes()
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
        if self.failure is None:
            self.failure = CaptureFailure(f"{where}: {reason}")
            self.open = False
            if self._fullgraph:
                raise UnsupportedError(f"{self.failure.text} (fullgraph=True)")

    def is_input(self, tensor: Tensor) -> bool:
        """Return True if a tensor is an argument of the captured call."""
        return self.known(tensor) in self.inputs

    def is_reachable(self, value: Any) -> bool:
        return self._snapshot.holds(value)

    def note_change(self, what: str) -> None:
        """Stop recording because the function changes a Python object. Later calls without changes can be captured."""
        self.failure, self.open = self.failure or object_change(what), False

    def pause(self, function: Any, args: Any, kwargs: Any, reason: str, *, has_effects: bool = False) -> Any:
        if has_effects and self.open and (changed := self._changed_mode()) is not None:
            self.give_up(f"{reason}, while the {changed} differs from that at the start of the function")
        count = len(self.pauses)
        result = super().pause(function, args, kwargs, reason, has_effects=has_effects)
        if len(self.pauses) > count:
            self.training.begin_segment()
        return result

    def _changed_mode(self) -> str | None:
        was_open, self.open = self.open, False  # the calls that read the modes are not recorded
        try:
            return changed_mode(self._first_modes)
        finally:
            self.open = was_open

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
            self.constants[value.name[1:].strip("'")] = tensor  # not detached, because gradients flow to the tensor
            value.varies = True
        return value

    @contextmanager
    def making_constants(self) -> Iterator[None]:
        """Record unknown tensors as constants of the program while the context is active."""
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
        """True if the program changes memory that outlives the call, and a pause or a requirement on sizes follows.

        If the program then stops there, the function cannot run again from its beginning.
        """
        late = any(pause.position > self.changed_at for pause in self.pauses) if self.changed_at is not None else False
        return late or self.has_late_requirement(False)

    @property
    def has_effects(self) -> bool:
        """True if a recorded call has a side effect."""
        return any(map(_has_effect, self.calls))

    def has_late_requirement(self, draws: bool) -> bool:
        """Return True if a requirement on sizes follows a side effect, so that it can fail after the effect.

        Args:
            draws: True if the function draws random numbers. All side effects then count, not only `changed_at`.
        """
        first = self.changed_at
        if draws or self.training.has_effects:
            again = self.training.repeatable
            effects = (i for i, call in enumerate(self.calls) if _has_effect(call) and call.name not in again)
            first = next(effects, None)
        return first is not None and any(map(_is_requirement, self.calls[first:]))

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self.open and _core._is_autocast_enabled("cuda"):
            self.give_up("programs do not support autocast on GPUs")
        elif self.open and (func.__name__ in _UNRECORDED or _sets_attribute(func)):
            called = f"an assignment to Tensor.{func.__self__.__name__}" if _sets_attribute(func) else func.__name__
            self.give_up(f"programs do not support {called}")
        elif self.open and (kwargs or {}).get("generator") is not None:
            self.give_up("programs support only the default generator")
        elif self.open and (kwargs or {}).get("requires_grad"):
            self.give_up(f"programs do not support {func.__name__}() with requires_grad=True")
        elif self.open and not all(issubclass(kind, Tensor) for kind in types):
            return NotImplemented  # the class of an argument handles the call with operators, which are recorded
        if not self.open:
            uses_state = func.__name__ == "_optimizer_step"  # `run` would copy the state, which the step updates
            return func(*args) if uses_state else run(func, args, kwargs or {})
        try:
            return super().__torch_function__(func, types, args, kwargs)
        except Exception as error:  # the function may catch the exception and continue
            if self.failure is None:
                text = f"{func.__name__} raised {type(error).__name__}, and programs do not support exceptions"
                self.failure, self.open = CaptureFailure(f"{source_location()}: {text}"), False
            raise

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        result = super().operator(func, name, args, kwargs)
        if self.open and not leaves(result, (Tensor, Number)) and func.__name__ not in _QUERIES:
            self.give_up(f"the result of {name} is not a tensor")
        return result

    def in_place(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if name in _RESHAPES and (self.is_input(args[0]) or self.is_reachable(args[0])):
            self.give_up(f"programs do not support {name}() of a tensor that exists before the call")
            return run(func, args, kwargs)
        return super().in_place(func, name, args, kwargs)

    def written_out(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        operands = leaves([args, {key: value for key, value in kwargs.items() if key != "out"}], Tensor)
        dtypes = {tensor.dtype for tensor in operands if tensor.is_floating_point()}
        outs = [out for out in leaves(kwargs["out"], Tensor) if out.is_floating_point()]
        if dtypes and any({out.dtype} != dtypes for out in outs):  # the operator computes in the dtype of `out`
            self.give_up(f"programs do not support {name}() with out= of another dtype")
            return run(func, args, kwargs)
        return super().written_out(func, name, args, kwargs)

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


def _is_requirement(call: Call) -> bool:
    """Return True if a program stops at a call for some sizes."""
    return call.name.startswith("require_") or call.name in COUNT_DEPENDS_ON_SIZES


def _has_effect(call: Call) -> bool:
    return call.lasting and not call.name.startswith(("require_", "check_input", "without_derivative"))


def _sets_attribute(func: Any) -> bool:
    return bool(func.__name__ == "__set__" and func.__self__.__name__ != "grad")


def _is_leaf(trace: CaptureTrace, func: Any, input: Tensor) -> bool:
    """Return ``Tensor.is_leaf``. Give up if the result may differ in other calls."""
    if trace.open and input.requires_grad and trace.is_input(input):
        trace.give_up("programs do not support reading Tensor.is_leaf of an argument")
    result: bool = func(input)
    return result


def _is_same_size(trace: CaptureTrace, func: Any, input: Tensor, other: Tensor) -> bool:
    with trace:
        return bool(input.shape == other.shape)


def _is_contiguous(trace: CaptureTrace, func: Any, input: Tensor, memory_format: Any = None) -> bool:
    """Return ``Tensor.is_contiguous()``. For other memory formats, the result may depend on the sizes."""
    if trace.open and memory_format not in (None, flambeau.contiguous_format):
        trace.give_up(f"programs do not support is_contiguous(memory_format={memory_format})")
    result: bool = func(input, memory_format=memory_format or flambeau.contiguous_format)
    return result


def _nbytes(trace: CaptureTrace, func: Any, input: Tensor) -> Any:
    with trace:
        return input.numel() * input.element_size()


CaptureTrace.rules = {
    **Trace.rules,
    **RULES,
    "is_leaf.__get__": _is_leaf,
    "is_same_size": _is_same_size,
    "is_contiguous": _is_contiguous,
    "nbytes.__get__": _nbytes,
    **dict.fromkeys(
        ("tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "new_tensor", "from_dlpack"), _of_data
    ),
}


def run_recorded(trace: CaptureTrace, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function, and record its operators."""
    outer = current()
    _running.trace = trace
    try:
        with traced_lengths(), pausing_at_print(trace), trace.watching_extensions(), watch_calls(trace), trace:
            return function(*args, **kwargs)
    finally:
        _running.trace = outer
