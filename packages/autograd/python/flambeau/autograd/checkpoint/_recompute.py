"""Non-reentrant checkpointing, based on hooks for saved tensors.

In the forward pass, the graph stores a slot (`_SavedPlaceholder`) instead of each saved tensor. When the backward pass
needs the tensor of a slot, the function runs again. In this run, hooks store the saved tensors in the slots, in the
same order. A slot releases its tensor when it is read, so that recomputed tensors are freed as soon as they are used.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NoReturn, TypeVar

import flambeau
from flambeau import Tensor
from flambeau._core import _random_position
from flambeau.autograd import _engine
from flambeau.autograd._function import Function
from flambeau.autograd._saved import saved_tensors_hooks
from flambeau.autograd.checkpoint._autocast import autocast_restorer
from flambeau.random import _repeated_random_numbers

T = TypeVar("T")

MISMATCH = (
    "checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
    "Number of tensors saved during forward: {forward}\n"
    "Number of tensors saved during recomputation: {again}.{debug}"
)
METADATA = (
    "checkpoint: Recomputed values for the following tensors have different metadata than during the forward pass.\n"
    "{lines}{debug}"
)
ALREADY_UNPACKED = (
    "checkpoint: Unpack is being triggered for a tensor that was already unpacked once. If you are calling "
    "ctx.saved_tensors in backward, make sure to do so only once."
)

_debug_enabled: bool | None = None
_early_stop_enabled = True


class CheckpointError(RuntimeError):
    """Error for a recomputation that does not save the same tensors as the original forward pass.

    >>> import flambeau
    >>> from flambeau.utils.checkpoint import checkpoint
    >>> sizes = iter([1, 2])
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> y = checkpoint(lambda t: t.expand(next(sizes)).sin(), x, use_reentrant=False)
    >>> try:
    ...     y.backward()
    ... except CheckpointError as error:
    ...     print(str(error).splitlines()[0])
    checkpoint: Recomputed values for the following tensors have different metadata than during the forward pass.
    """


class _StopRecomputationError(Exception):
    """Exception that stops the recomputation when all needed tensors are available."""


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Override the ``debug`` argument of `checkpoint` in a ``with`` block.

    Args:
        enabled: the value that replaces ``debug``, or None to use the argument.

    >>> import flambeau
    >>> from flambeau.utils.checkpoint import checkpoint
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> with set_checkpoint_debug_enabled(True):  # an error would list the saved tensors
    ...     checkpoint(flambeau.sin, x, use_reentrant=False).backward()
    >>> x.grad
    tensor(0.8776)
    """
    global _debug_enabled
    former, _debug_enabled = _debug_enabled, enabled
    try:
        yield
    finally:
        _debug_enabled = former


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Override the ``early_stop`` argument of `checkpoint` in a ``with`` block.

    Args:
        enable: if False, each recomputation runs to the end of the function.

    >>> import flambeau
    >>> from flambeau.utils.checkpoint import checkpoint
    >>> def function(x):
    ...     y = x.sin()
    ...     print("end of the function")
    ...     return y
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> with set_checkpoint_early_stop(False):
    ...     checkpoint(function, x, use_reentrant=False).backward()
    end of the function
    end of the function
    """
    global _early_stop_enabled
    former, _early_stop_enabled = _early_stop_enabled, enable
    try:
        yield
    finally:
        _early_stop_enabled = former


class _SavedPlaceholder:
    """Slot of a saved tensor. ``values`` maps backward passes to recomputed tensors, or None after reading."""

    __slots__ = ("__weakref__", "values")

    def __init__(self) -> None:
        self.values: dict[int, Tensor | None] = {}


class _SavedInputs(Function):
    """Node that saves the arguments, so that enclosing hooks receive them and in-place changes raise an error."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return flambeau.empty(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> NoReturn:
        raise AssertionError("nothing is computed from this node")


class _Frame:
    """State of one checkpointed call."""

    def __init__(self, run: Callable[..., Any], check: str, debug: bool, early_stop: bool) -> None:
        self.run, self.check, self.debug, self.early_stop = run, check, debug, early_stop
        self.inputs: Any = None  # function that returns the arguments
        self.slots: list[weakref.ref[_SavedPlaceholder]] = []
        self.metadata: list[str] = []
        self.recomputed: set[int] = set()  # numbers of the backward passes that have run the recomputation
        self.complete = False  # True after the forward pass

    def pack(self, tensor: Tensor) -> _SavedPlaceholder:
        slot = _SavedPlaceholder()
        self.slots.append(weakref.ref(slot))
        self.metadata.append(_metadata(tensor))
        return slot

    def unpack(self, slot: _SavedPlaceholder) -> Tensor:
        run = _engine.current_run()
        if run < 0 or run not in self.recomputed:
            self._recompute(run)
        if slot.values.get(run) is None:
            raise CheckpointError(ALREADY_UNPACKED)
        value = slot.values.pop(run)
        if run >= 0:
            slot.values[run] = None
        assert value is not None
        return value

    def _recompute(self, run: int) -> None:
        """Run the function again, and store the tensors that it saves for the backward pass ``run``."""
        recomputed: list[str] = []

        def pack(tensor: Tensor) -> Tensor:
            if len(recomputed) < len(self.slots) and (slot := self.slots[len(recomputed)]()) is not None:
                slot.values[run] = tensor
            recomputed.append(_metadata(tensor))
            if self.early_stop and len(recomputed) == len(self.slots):
                raise _StopRecomputationError
            return tensor

        with (
            flambeau.enable_grad(),
            saved_tensors_hooks(pack, lambda tensor: tensor),
            contextlib.suppress(_StopRecomputationError),
        ):
            self.run(*self.inputs())
        # If the function runs a backward pass, the recomputation starts before the forward pass is complete.
        self._compare(recomputed if self.complete else recomputed[: len(self.metadata)])
        if run >= 0:
            self.recomputed.add(run)

    def _compare(self, recomputed: list[str]) -> None:
        listing = "" if not self.debug else f"\nsaved in forward: {self.metadata}\nsaved in recomputation: {recomputed}"
        if len(recomputed) != len(self.metadata):
            raise CheckpointError(MISMATCH.format(forward=len(self.metadata), again=len(recomputed), debug=listing))
        if self.check == "none":
            return
        lines = [
            f"tensor at position {i}:\nsaved metadata: {a}\nrecomputed metadata: {b}"
            for i, (a, b) in enumerate(zip(self.metadata, recomputed, strict=True))
            if a != b
        ]
        if lines:
            raise CheckpointError(METADATA.format(lines="\n".join(lines), debug=listing))


def _metadata(tensor: Tensor) -> str:
    return f"{{'shape': {list(tensor.shape)}, 'dtype': {tensor.dtype}, 'device': {tensor.device}}}"


def _save_arguments(args: tuple[Any, ...]) -> Callable[[], tuple[Any, ...]]:
    """Save the tensors among the arguments in a graph node. Return a function that returns the arguments."""
    positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    others = [None if isinstance(a, Tensor) else a for a in args]
    anchor = flambeau.empty(0, requires_grad=True)
    with flambeau.enable_grad():
        node = _SavedInputs.apply(anchor, *(args[i] for i in positions)).grad_fn

    def inputs() -> tuple[Any, ...]:
        values = list(others)
        for i, tensor in zip(positions, node.saved_tensors, strict=True):
            values[i] = tensor.detach().requires_grad_(tensor.requires_grad)
        return tuple(values)

    return inputs


def run_recording(
    function: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    preserve_rng_state: bool,
    context_fn: Callable[[], Any],
    determinism_check: str,
    debug: bool,
    early_stop: bool,
) -> T:
    """Implement ``checkpoint`` with ``use_reentrant=False``."""
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism_check}")
    forward_context, recompute_context = context_fn()
    names = list(kwargs)
    position = _random_position() if preserve_rng_state else None
    autocast_again = autocast_restorer()

    def run_recomputed(*values: Any) -> None:
        positional, named = values[: len(args)], dict(zip(names, values[len(args) :], strict=True))
        with (
            nullcontext() if position is None else _repeated_random_numbers(position),
            autocast_again(),
            recompute_context,
        ):
            function(*positional, **named)

    if not flambeau.is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)
    debugged = debug if _debug_enabled is None else _debug_enabled
    frame = _Frame(run_recomputed, determinism_check, debugged, early_stop and _early_stop_enabled)
    frame.inputs = _save_arguments((*args, *kwargs.values()))
    with saved_tensors_hooks(frame.pack, frame.unpack), forward_context:
        result = function(*args, **kwargs)
    frame.complete = True
    return result
