"""Capture one call of a function as a program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._numbers import TRACED, Sizes
from flambeau._tracing._structure import leaves
from flambeau.jit._text import written
from flambeau.nn import Module

from ._capture_failure import CHANGES_ARGUMENT, RETURNS_ARGUMENT, CaptureFailure, object_change
from ._capture_trace import CaptureTrace, run_recorded
from ._containers import Contents
from ._effects import Effects
from ._guards import Snapshot, UnguardedError, UninitializedError
from ._logs import UnsupportedError, log
from ._pausing import CONSTANTS
from ._program import CapturedProgram, EarlierCalls, NoMatch, Part, SingleProgram
from ._results import plain_result, plain_value, structure_of
from ._segments import Recording, Tree, path_of, source_files

if TYPE_CHECKING:
    from ._custom_backend import CustomBackend


def capture(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: Sequence[Tensor],
    fullgraph: bool,
    earlier_calls: EarlierCalls | None = None,
    backend: CustomBackend | None = None,
) -> tuple[Any, CapturedProgram | CaptureFailure]:
    """Run ``function(*args, **kwargs)`` and record it as a program.

    Args:
        tensors: the tensors among the arguments, without repetitions.
        fullgraph: raise an exception where the function does something that programs do not support.
        earlier_calls: the calls of a replay that stopped at an unknown branch, with their results. This run starts from
            the beginning, but does not repeat these calls.
        backend: the custom backend that compiles the program, or None.
    Returns: the function's result; the program, or the reason why there is none.
    Raises: UnsupportedError if ``fullgraph`` is set and no program can represent the function; any exception that the
        function raises.
    """
    contents = Contents((args, kwargs))
    objects = [leaf for leaf in contents.leaves if not isinstance(leaf, (Tensor, *CONSTANTS))]
    try:
        snapshot = Snapshot({"function": function, **{f"argument {i}": leaf for i, leaf in enumerate(objects)}})
    except UninitializedError as error:
        return function(*args, **kwargs), CaptureFailure(str(error), may_end=True)
    except UnguardedError as error:
        if fullgraph:
            raise UnsupportedError(f"{error} (fullgraph=True)") from None
        return function(*args, **kwargs), CaptureFailure(str(error))
    return _Capture(function, contents, snapshot, tensors, fullgraph, earlier_calls or (), backend).run(args, kwargs)


class _Capture:
    """One recorded run of a function.

    Args:
        contents: the arguments before the run.
        snapshot: the objects that the function can reach, before the run.
        tensors, fullgraph, earlier_calls, backend: see `capture`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        contents: Contents,
        snapshot: Snapshot,
        tensors: Sequence[Tensor],
        fullgraph: bool,
        earlier_calls: EarlierCalls,
        backend: CustomBackend | None,
    ) -> None:
        self._function, self._contents, self._snapshot, self._tensors = function, contents, snapshot, tensors
        self._state, self._modules = _state_of(function, {id(t) for t in tensors})
        inputs = {f"input_{i}": tensor for i, tensor in enumerate(tensors)}
        self._names = list(inputs)
        self._backend = backend
        self._part_of: Callable[[str, Mapping[str, Any]], Part] = Part
        if backend is None:
            self._trace = CaptureTrace(inputs, self._state, snapshot, fullgraph)
        else:
            self._trace = trace = backend.trace(inputs, self._state, snapshot, fullgraph)
            self._part_of = functools.partial(backend.part, trace)
        self._trace.earlier_calls.extend(earlier_calls)
        for name, tensor in inputs.items():
            self._trace.effect("check_input", [tensor, name, tensor.dim()])
        self._effects = Effects(self._trace, tensors, snapshot)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, CapturedProgram | CaptureFailure]:
        """Run the function; return its result, and the program or the reason why there is none."""
        trace = self._trace
        try:
            result = run_recorded(trace, self._function, *args, **kwargs)
        except Exception as error:
            trace.open = False
            if isinstance(error, UnsupportedError) or self._effects.exist() or self._contents.have_changed():
                raise
            return self._run_again(args, kwargs), CaptureFailure(f"recording raised {type(error).__name__}: {error}")
        program = self._failure(result) or self._program(result)
        trace.open = False
        result = plain_result(result, self._snapshot.holds)
        if self._backend is not None and isinstance(program, CapturedProgram):
            program.compile(self._tensors)
            result = self._result_of_backend(program, result)
        return result, program

    def _result_of_backend(self, program: CapturedProgram, result: Any) -> Any:
        """Run the program that a custom backend compiled, and return its result.

        If the program changes a tensor that existed before the call, or if its result leads to another branch, return
        the function's own ``result``.
        """
        if self._trace.changed_at is not None:
            return result
        state = flambeau.get_rng_state()
        flambeau.set_rng_state(self._effects.rng_state)
        compiled = program.run(self._tensors, self._trace.performed)
        if isinstance(compiled, NoMatch):
            flambeau.set_rng_state(state)
            return result
        return compiled

    def _run_again(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Repeat a run that raised an exception without recording. The function may raise the exception again."""
        trace = self._trace
        trace.earlier_calls.extend(trace.performed)
        flambeau.set_rng_state(self._effects.rng_state)
        function = functools.partial(run_recorded, trace, self._function) if trace.performed else self._function
        return function(*args, **kwargs)

    def _failure(self, result: Any) -> CaptureFailure | None:
        """Return why no program can represent the run, or None if the recorded calls and effects show no reason."""
        trace, snapshot = self._trace, self._snapshot
        change = snapshot.first_change()
        if change is not None:
            _remove_traced_numbers(snapshot)
        if trace.failure is not None:
            return trace.failure
        if change is not None:
            return object_change(change)
        if self._contents.have_changed():
            return CHANGES_ARGUMENT
        if self._contents.shares_container_with(result):
            return RETURNS_ARGUMENT
        if (effect := self._effects.unrecorded()) is not None:
            return CaptureFailure(effect)
        if attributes := snapshot.names_among({name for tensor in self._tensors for name in vars(tensor)}):
            return CaptureFailure(
                f"the function may read the attribute {min(attributes)!r} of an argument that is a tensor"
            )
        if trace.executed is None and snapshot.problem:
            return CaptureFailure(snapshot.problem)
        if any(t.is_inference() for t in leaves(result, Tensor)) and not flambeau.is_inference_mode_enabled():
            return CaptureFailure("the function returns a tensor that it creates in inference mode")
        if trace.pauses and trace.has_effects_before_decision:
            reason = trace.pauses[-1].reason
            return CaptureFailure(f"{reason}, after an in-place change of a tensor that exists before the call")
        if self._backend is not None and trace.training.has_effects:
            return CaptureFailure("graphs for backends support neither changes of gradients nor steps of optimizers")
        if trace.pauses and trace.training.is_used:
            return CaptureFailure(f"{trace.pauses[0].reason}, in a function that reads or computes gradients")
        return None

    def _program(self, result: Any) -> CapturedProgram | CaptureFailure:
        """Return the program of the recorded run, or the reason why its calls or its result cannot be written."""
        trace = self._trace
        draws = not flambeau.equal(flambeau.get_rng_state(), self._effects.rng_state)
        try:
            executed = trace.executed
            guards = self._snapshot if executed is None else self._snapshot.narrowed(frozenset(executed))
            return self._tree(result, guards, draws) if trace.pauses else self._single_program(result, guards, draws)
        except (NotImplementedError, TypeError, UnguardedError, ValueError) as error:
            return CaptureFailure(str(error))

    def _tree(self, result: Any, guards: Snapshot, draws: bool) -> Tree:
        trace = self._trace
        structure, outputs = structure_of(result, self._snapshot.holds)
        trace.open = False
        results = [trace.encoded(output).name for output in outputs]
        state = {**self._state, **trace.constants}
        recording = Recording(state, trace.numbers, self._modules, lambda text: self._part_of(text, state))
        path = path_of(recording, trace.calls, trace.pauses, results, structure.packed)
        return Tree(path, [value.name for value in trace.inputs], guards, draws)

    def _single_program(self, result: Any, guards: Snapshot, draws: bool) -> SingleProgram:
        """Return the program of a call that was traced to its end, without a graph break."""
        trace = self._trace
        structure, outputs = structure_of(result, self._snapshot.holds)
        trace.training.begin()
        trace.training.release(guards)
        text = written(trace, self._names, outputs, self._modules)
        part = self._part_of(text, {**self._state, **trace.constants, **trace.training.options})
        program = SingleProgram(
            part,
            structure,
            guards,
            trace.has_late_requirement(draws),
            self._backend is None and not draws and not trace.has_effects,
            isinstance(result, Tensor) or (type(result) is tuple and all(isinstance(x, Tensor) for x in result)),
            source_files(trace.calls),
        )
        log("graph", part.text)
        log("fusion", _core._program_plan(part.native))
        log("guards", "\n".join(guards.paths))
        return program


def _state_of(function: Any, excluded: set[int]) -> tuple[Mapping[str, Tensor], Mapping[int, str]]:
    """Return the parameters and buffers of a module by name, and the paths of its submodules by id.

    Tensors with ids in ``excluded`` are left out. Both are empty if ``function`` is no module and no method of one.
    """
    owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
    if not isinstance(owner, Module):
        return {}, {}
    state = dict(owner.named_parameters(remove_duplicate=False)) | dict(owner.named_buffers(remove_duplicate=False))
    return {n: t for n, t in state.items() if id(t) not in excluded}, {id(m): n for n, m in owner.named_modules()}


def _remove_traced_numbers(snapshot: Snapshot) -> None:
    """Replace traced numbers that the function stored in its objects with plain ones."""
    for container in snapshot.containers:
        if not isinstance(container, dict | list):
            continue
        for key, value in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if type(value) in (*TRACED, Sizes):
                container[key] = plain_value(value)
