"""Capture training steps: the backward pass, gradients of leaves, steps of optimizers.

Note [Training steps]
A captured program contains the backward pass and the step of an optimizer as single instructions (Note [Training
programs] in tensor-core). Each run must find gradients in the same leaves as the capture, so the program begins with
a check of this. A post-accumulation hook could set or delete a gradient after the check, so a function with such hooks
runs uncompiled. Other hooks on leaves run at each replay.

The options of an optimizer's groups, such as the learning rate, are read at each replay. They are guarded instead if
the function's own code reads them. The first step of most optimizers creates their state, so the program is captured
at the second call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._calls import Rule
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves, source_location
from flambeau.jit._operators import quoted

if TYPE_CHECKING:
    from ._capture_trace import CaptureTrace
    from ._guards import Snapshot

Option = tuple[dict[str, Any], str, int]  # parameter group, name of the option, index in the option or -1

ABSENT = "the function uses the gradient of a tensor that it creates"


class Training:
    """Gradients and optimizers of a capture.

    Attributes:
        options: dictionary from names in the program to the optimizer options that each call reads.
        begun: checks that `begin` inserts at the beginning of the program.
        has_effects: True if the program changes gradients, autograd graphs or the state of an optimizer.
    """

    def __init__(self, trace: CaptureTrace, known: Iterable[Tensor]) -> None:
        self._trace = trace
        self._existed = {id(t): t.grad is not None for t in known if t.is_leaf}
        # Leaves and whether they had gradients before the call, by id. None: the first use assigns the gradient.
        self._leaves: dict[int, tuple[Tensor, bool | None]] = {}
        self._values: dict[int, Tensor | None] = {}  # gradients that were read or assigned, by id of the leaf
        self._first_grad_mode = self._grad_mode = flambeau.is_grad_enabled()
        self.has_effects = False
        self.options: dict[str, Option] = {}
        self.begun: list[Call] = []

    def record_effect(self, name: str, arguments: list[Any], written: Any = ()) -> None:
        """Record a call that changes gradients, autograd graphs or the tensors in ``written``."""
        trace = self._trace
        self.has_effects = True
        self.follow_grad_mode()
        trace.calls.append(Call(name, trace.encoded(arguments), source_location(), lasting=True))
        trace.written.update(t.untyped_storage().data_ptr() for t in leaves(written, Tensor))

    @property
    def is_used(self) -> bool:
        """True if the program reads or changes gradients."""
        return self.has_effects or bool(self._leaves)

    @property
    def has_changed_grad_mode(self) -> bool:
        """True if the grad mode has changed since the beginning of the function."""
        return flambeau.is_grad_enabled() is not self._first_grad_mode

    def begin_segment(self) -> None:
        """Reset the recorded grad mode, because each segment starts in the function's initial grad mode."""
        self._grad_mode = self._first_grad_mode

    def follow_grad_mode(self) -> None:
        """Record a call that sets the grad mode if it has changed since the last recorded call."""
        if (enabled := flambeau.is_grad_enabled()) is not self._grad_mode:
            self._grad_mode = enabled
            self._trace.calls.append(Call("set_grad_mode", [enabled], source_location(), lasting=True))

    def use(self, leaf: Tensor, assigned: bool) -> bool:
        """Register that the program reads or assigns the gradient of ``leaf``.

        Returns: False, after giving up, if the leaf did not exist before the call.
        """
        key = id(leaf)
        if key not in self._existed:
            self._trace.give_up(ABSENT)
            return False
        self._leaves.setdefault(key, (leaf, None if assigned else self._existed[key]))
        return True

    def read(self, leaf: Tensor, gradient: Tensor) -> None:
        """Record a read of ``leaf.grad`` with the value ``gradient``."""
        trace = self._trace
        if self._values.get(id(leaf)) is gradient:
            return
        if gradient.layout is not flambeau.strided:
            trace.give_up("a gradient is sparse, which programs do not support")
        elif trace.known(gradient) is not None:
            trace.give_up("a gradient is also another tensor of the function")
        else:
            self._values[id(leaf)] = gradient
            trace.note("gradient_of", [leaf], gradient)

    def assign(self, leaf: Tensor, gradient: Tensor | None) -> None:
        """Record the assignment of ``gradient`` or None to ``leaf.grad``."""
        self._values[id(leaf)] = gradient
        last = self._trace.calls[-1] if self._trace.calls else None
        if gradient is not None:
            self.record_effect("set_gradient", [leaf, gradient])
        elif last is not None and last.name == "clear_gradients":
            last.arguments[0].append(self._trace.value(leaf))
        else:
            self.record_effect("clear_gradients", [[leaf]])

    def are_gradients(self, params: list[Tensor], grads: list[Tensor]) -> bool:
        """Return True if ``grads`` are the gradients that the program last read or assigned for ``params``."""
        return all(self._values.get(id(p)) is g for p, g in zip(params, grads, strict=True))

    def number(self, group: dict[str, Any], name: str, position: int) -> Any:
        """Return an optimizer option as a program argument: a value that each call reads, or a constant.

        Args:
            position: index in the option if it is a sequence, such as ``betas``, else -1.
        """
        if not self._trace.is_reachable(group):  # the function created this group from constants
            return group[name] if position < 0 else group[name][position]
        for known, other in self.options.items():
            if other[0] is group and other[1:] == (name, position):
                return Value(f"@{quoted(known)}")
        known = f"option {len(self.options)}: {name}"
        self.options[known] = (group, name, position)
        return Value(f"@{quoted(known)}")

    @property
    def repeatable(self) -> set[str]:
        """Names of calls that may run twice, because the function runs again from its beginning if a check fails."""
        reads_first = any(exists is not None for _, exists in self._leaves.values())
        return {"set_grad_mode"} if reads_first else {"set_grad_mode", "clear_gradients"}

    def begin(self) -> None:
        """Insert the checks of gradients and optimizer state at the beginning of the program."""
        calls = list(self.begun)
        if self._leaves:
            tensors, exist = zip(*self._leaves.values(), strict=True)
            calls.append(
                Call("require_gradients", self._trace.encoded([[*tensors], [*exist]]), source_location(), lasting=True)
            )
        self._trace.calls[:0] = calls

    def release(self, snapshot: Snapshot) -> None:
        """Remove the guards of those options that the program reads at each call."""
        for group, name, _ in self.options.values():
            snapshot.release(group, name)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Suspend recording in this context, for Python hooks that run again at each replay."""
        trace = self._trace
        former, trace.open = _core._watch_extensions(None), False
        try:
            yield
        finally:
            trace.open = True
            _core._watch_extensions(former)


def read_gradient(trace: CaptureTrace, func: Any, input: Tensor) -> Tensor | None:
    """Return ``input.grad`` and record the read."""
    gradient: Tensor | None = func(input)
    if trace.training.use(input, assigned=False) and gradient is not None:
        trace.training.read(input, gradient)
    return gradient


def assign_gradient(trace: CaptureTrace, func: Any, input: Tensor, value: Tensor | None) -> None:
    """Assign ``value`` to ``input.grad`` and record the assignment."""
    func(input, value)
    if trace.training.use(input, assigned=True):
        trace.training.assign(input, value)


def run_backward(
    trace: CaptureTrace,
    func: Any,
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Run ``Tensor.backward`` and record it as one call. Python hooks run but are not recorded."""
    keep = create_graph if retain_graph is None else retain_graph
    chosen = [inputs] if isinstance(inputs, Tensor) else None if inputs is None else list(inputs)
    trace.value(self)
    if trace.open:
        with trace.training.paused():
            func(self, gradient, retain_graph, create_graph, inputs)
        trace.training.record_effect("run_backward", [self, gradient, bool(keep), bool(create_graph), chosen])
    else:
        func(self, gradient, retain_graph, create_graph, inputs)


def step_optimizer(
    trace: CaptureTrace, func: Any, rule: str, group: dict[str, Any], params: Any, grads: Any, state: Any
) -> None:
    """Run the native step of an optimizer and record it as one call.

    A step that creates the optimizer's state is not recorded.
    """
    training = trace.training
    options, names, uses = _core._optimizer_layout(rule, group)
    states = [[(state.get(param) or {}).get(name) for name in names] for param in params]
    func(rule, group, params, grads, state)
    if any(tensor is None for entry in states for tensor in entry):
        trace.note_change("the step creates the state of the optimizer")
        return
    numbers = [training.number(group, name, position) for name, position in options]
    separate = None if training.are_gradients(params, grads) else [*grads]
    flat = [tensor for entry in states for tensor in entry]
    training.record_effect("step_optimizer", [rule, numbers, [*params], separate, flat], written=[params, flat])
    if uses:
        training.begun.append(
            Call("require_state", trace.encoded([rule, numbers, uses]), source_location(), lasting=True)
        )


RULES: dict[str, Rule] = {
    "grad.__get__": read_gradient,
    "grad.__set__": assign_gradient,
    "backward": run_backward,
    "_optimizer_step": step_optimizer,
}
