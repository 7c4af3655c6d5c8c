"""Compiled functions and modules, which run captured programs if possible. Note [Compilation]."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import flambeau
from flambeau import Tensor, _core
from flambeau._settings import warn_once
from flambeau.nn import Module
from flambeau.utils import _pytree as pytree

from . import _stance
from ._capture import capture
from ._capture_failure import CaptureFailure
from ._children import Children
from ._guards import Compiled
from ._logs import UnsupportedError, log
from ._optimized_module import OptimizedModule
from ._pausing import CONSTANTS
from ._program import CapturedProgram, EarlierCalls, NoMatch
from ._segments import MAX_PATHS, Tree

if TYPE_CHECKING:
    from ._custom_backend import CustomBackend

_PLAIN = (Tensor, flambeau.nn.Parameter)  # classes without ``__torch_function__``
MAX_PROGRAMS = 8  # per function, as in PyTorch
MIN_OPERATORS = 8  # checking the guards of a smaller program takes longer than it saves

# Exceptions of operators. Hooks may raise others, for example to stop a recomputation of `checkpoint` early.
OPERATOR_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)

_NO_MATCH = object()  # returned by a replay whose inputs need another program
_capturing = threading.RLock()  # held by each capture, because it replaces `print` in all threads
# A function may fill its own caches during its first calls, so it runs uncompiled only after this number of calls that
# change Python objects.
MAX_CHANGES = 3
_functions: weakref.WeakSet[Programs] = weakref.WeakSet()


def _renew_lock() -> None:
    """Replace the lock in a forked process, where no other thread can release it."""
    global _capturing
    _capturing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def reset() -> None:
    """Delete all captured programs. The next call of each compiled function captures it again."""
    for programs in list(_functions):
        programs.clear()


class _Identity(NamedTuple):
    """Argument that is compared by identity."""

    type: type
    id: int


def _constant_key(value: Any) -> tuple[type, Any]:
    """Return a key that, unlike equality, distinguishes 0.0 from -0.0 and does not distinguish NaN from NaN."""
    return type(value), repr(value) if isinstance(value, float | complex) else value


class _Leaves:
    """Flattened arguments of a call.

    Attributes:
        key: hashable description of the arguments and modes that a program depends on, except sizes; None if an
            argument is of a tensor subclass that can intercept operators.
        tensors: the tensors without repetitions.
    """

    __slots__ = ("key", "sizes", "tensors")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs or not all(type(a) is Tensor for a in args):
            given, structure = pytree.tree_flatten((args, kwargs))
            spec = repr(structure)
        else:
            given, spec = list(args), ""
        self.tensors: list[Tensor] = []
        positions: dict[int, int] = {}
        self.key: Any = None
        if any(isinstance(leaf, Tensor) and type(leaf) not in _PLAIN for leaf in given):
            return
        looks: list[Any] = [spec]
        for leaf in given:
            if isinstance(leaf, Tensor):
                at = positions.setdefault(id(leaf), len(positions))
                if at == len(self.tensors):
                    self.tensors.append(leaf)
                contiguous = leaf.is_contiguous()
                looks.append((at, type(leaf), leaf.dtype, leaf.device, leaf.dim(), leaf.requires_grad, contiguous))
                if not contiguous:
                    looks.append(leaf.stride())
            else:  # ids stay valid, because the snapshot of a program keeps its objects alive
                known = isinstance(leaf, CONSTANTS)
                looks.append(_constant_key(leaf) if known else _Identity(type(leaf), id(leaf)))
        self.key = (
            *looks,
            flambeau.is_grad_enabled(),
            flambeau.is_inference_mode_enabled(),
            flambeau.get_default_dtype(),
            _core._get_default_device(),
            _core._autocast_state(),
        )

    @property
    def kind(self) -> Any:
        """The key with types in place of object ids. If a call cannot be captured, calls of its kind run uncompiled."""
        return tuple(item.type if isinstance(item, _Identity) else item for item in self.key)

    def with_sizes(self) -> Any:
        """Return the key extended by the shapes of the tensors."""
        return (self.key, *(tensor.shape for tensor in self.tensors))


class Programs(Compiled):
    """Captured programs of one function.

    Attributes:
        fullgraph: raise `UnsupportedError` if no program can represent a call.
        children: the modules that are compiled one by one if the function runs uncompiled.
        all_sizes: if True, a program is used for all sizes of tensors, unless the function branches on them.
        backend: the custom backend that compiles the programs, or None.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        fullgraph: bool,
        name: str,
        all_sizes: bool = True,
        children: Children | None = None,
        backend: CustomBackend | None = None,
    ) -> None:
        self._function, self.fullgraph, self._name, self.all_sizes = function, fullgraph, name, all_sizes
        self.backend = backend
        self.__wrapped__ = function
        self._of_caller = children
        self.clear()
        _functions.add(self)

    def clear(self) -> None:
        """Delete the programs and the reasons why calls run uncompiled."""
        self._quick: tuple[Any, ...] = ()  # fast path: the two values of `quick_call`, and `is_repeatable`
        self._captured: dict[Any, list[CapturedProgram]] = {}
        self._uncompiled: set[Any] = set()  # kinds of calls that run uncompiled
        self._reasons: dict[Any, str] = {}  # why calls have no program, by kind
        self._changes: dict[Any, int] = {}  # number of calls that changed Python objects, by kind
        self._count = 0
        self._last_reason = ""
        self._called = False
        self._do_not_pay: bool | None = None
        self.children = self._of_caller or Children(self._function, self.all_sizes, self.backend)
        if self.backend is not None:
            self.backend.clear()

    @property
    def captured(self) -> list[CapturedProgram]:
        """The programs, oldest first."""
        return [program for programs in self._captured.values() for program in programs]

    @property
    def failures(self) -> list[str]:
        """The reasons why calls run without a program."""
        return list(self._reasons.values())

    @property
    def do_not_pay(self) -> bool:
        """True if all programs have fewer than `MIN_OPERATORS` operators: guards cost more time than they save.

        False if a custom backend compiles the programs.
        """
        if self.backend is not None:
            return False
        if self._do_not_pay is None and (self._captured or self._uncompiled):
            texts = [text for program in self.captured for text, _ in program.graphs]
            self._do_not_pay = all(text.count(" = ") < MIN_OPERATORS for text in texts)
        return bool(self._do_not_pay)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and _stance.current != "force_eager":
            for call, pack, is_repeatable in self._quick:
                try:
                    result = _core._replay(call, args, _NO_MATCH)
                except OPERATOR_ERRORS:
                    if not is_repeatable:
                        raise
                    return self._function(*args)  # raises the exception again or handles it
                if result is not _NO_MATCH:
                    return result if pack is None else pack(result)
        leaves = None if _core._is_intercepting() else _Leaves(args, kwargs)
        if leaves is None or leaves.key is None or _stance.current == "force_eager":
            return self._function(*args, **kwargs)
        programs = self._captured.get(leaves.key)
        earlier_calls: EarlierCalls | None = None
        if programs is not None:
            for program in programs:
                try:
                    result = _replay(program, leaves, earlier_calls)
                except OPERATOR_ERRORS:
                    if not program.is_repeatable:
                        raise
                    return self._function(*args, **kwargs)
                if not isinstance(result, NoMatch):
                    return result
                self._last_reason, earlier_calls = result.reason, result.earlier_calls
        elif self._uncompiled and leaves.kind in self._uncompiled:
            return self.children.call(self._function, args, kwargs)
        return self._capture(leaves, args, kwargs, earlier_calls)

    def _capture(
        self, leaves: _Leaves, args: tuple[Any, ...], kwargs: dict[str, Any], earlier_calls: EarlierCalls | None
    ) -> Any:
        """Run the function, and store its program or the reason why there is none.

        Args:
            earlier_calls: the calls of a tree that stopped and their results, or None. They must not be repeated.
        """
        if self._count >= MAX_PROGRAMS and earlier_calls is None:
            if self._count == MAX_PROGRAMS:
                self._count += 1
                _warn_of_limit(self._name, self._last_reason)
            return self.children.call(self._function, args, kwargs)
        if _stance.current != "default" and earlier_calls is None and not self._may_capture():
            return self._function(*args, **kwargs)
        if not _capturing.acquire(blocking=earlier_calls is not None):
            return self._function(*args, **kwargs)
        try:
            if self._last_reason:
                log("guards", f"{self._name}: captured again, because {self._last_reason}")
            result, program = capture(
                self._function, args, kwargs, leaves.tensors, self.fullgraph, earlier_calls, self.backend
            )
            if isinstance(program, CaptureFailure):
                self._count += 1
                log("graph", f"{self._name} runs uncompiled: {program.text}")
                self._record_failure(leaves, program)
            else:
                self._keep(program, leaves, args, kwargs)
        finally:
            _capturing.release()
        return result

    def _may_capture(self) -> bool:
        """Return True if the stance allows a capture. Raises RuntimeError under "fail_on_recompile"."""
        if _stance.current == "fail_on_recompile":
            reason = f": {self._last_reason}" if self._last_reason else ""
            raise RuntimeError(f"Detected recompile of {self._name} under stance 'fail_on_recompile'{reason}")
        first, self._called = not self._called, True
        return _stance.current == "eager_then_compile" and not first

    def _keep(self, program: CapturedProgram, leaves: _Leaves, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Store a program for later calls, or add its path to an existing tree. If the tree is full, run eagerly."""
        programs = self._captured.get(leaves.key, [])
        if not self.all_sizes or program.requires_late or program.fits_only_captured_sizes:
            program.fixed_sizes = leaves.with_sizes()
        if isinstance(program, Tree):
            trees = (t for t in programs if isinstance(t, Tree) and t.fixed_sizes == program.fixed_sizes)
            tree = next((t for t in trees if t.add(program)), program)
            if tree.is_full:
                _warn_of_paths(self._name, tree.reasons[-1])
                self._record_failure(leaves, CaptureFailure(tree.reasons[-1]))
                return
            if tree is not program:
                return
        self._count += 1
        if program.fixed_sizes is None and (call := program.quick_call(args, kwargs)) is not None:
            self._quick = ((*call, program.is_repeatable), *self._quick)
        self._captured[leaves.key] = [program, *programs]
        self._reasons.pop(leaves.kind, None)

    def _record_failure(self, leaves: _Leaves, failure: CaptureFailure) -> None:
        """Run further calls of this kind uncompiled.

        If the reason may be temporary, this starts with the `MAX_CHANGES`-th such call.

        Raises: UnsupportedError if ``fullgraph`` is set, unless PyTorch can compile such functions.
        """
        kind = leaves.kind
        self._reasons[kind] = failure.text
        if self.backend is not None and not self.fullgraph:
            warn_once(f"compile: {self._name} cannot be captured and runs without compilation: {failure.text}")
        if failure.may_end:
            changes = self._changes[kind] = self._changes.get(kind, 0) + 1
            if changes < MAX_CHANGES:
                return
        if self.fullgraph and not failure.is_allowed_in_fullgraph:
            raise UnsupportedError(f"{failure.text} (fullgraph=True)")
        self._uncompiled.add(kind)
        self._captured.pop(leaves.key, None)
        if self.fullgraph:
            _warn_of_containers(self._name, failure.text)


def _replay(program: CapturedProgram, leaves: _Leaves, earlier_calls: EarlierCalls | None) -> Any:
    """Run a program if its sizes and guards fit the call; return the function's result or a `NoMatch`."""
    if program.fixed_sizes is not None and program.fixed_sizes != leaves.with_sizes():
        return NoMatch("the sizes of the arguments differ", earlier_calls)
    if (changed := program.snapshot.first_change()) is not None:
        return NoMatch(f"{changed} has changed", earlier_calls)
    return program.run(leaves.tensors, earlier_calls)


def _warn_of_paths(name: str, reason: str) -> None:
    import warnings

    warnings.warn(
        f"flambeau.compile: {name} took {MAX_PATHS} different paths and runs uncompiled from now on: {reason}",
        stacklevel=5,
    )


def _warn_of_containers(name: str, reason: str) -> None:
    import warnings

    warnings.warn(f"flambeau.compile: {name} runs uncompiled in spite of fullgraph=True: {reason}", stacklevel=5)


def _warn_of_limit(name: str, reason: str) -> None:
    import warnings

    warnings.warn(
        f"flambeau.compile: {name} was captured {MAX_PROGRAMS} times and runs uncompiled from now on. Reason for the "
        f"last capture: {reason or 'arguments of other types, dtypes or devices'}",
        stacklevel=4,
    )


class CompiledFunction(Programs):
    """Function that runs captured programs; its attributes are those of the original function.

    Attributes:
        bound_to_original: True for a compiled ``forward`` that belongs to one module and is not copied with it.
    """

    bound_to_original = True

    def __init__(
        self,
        function: Callable[..., Any],
        fullgraph: bool,
        all_sizes: bool = True,
        backend: CustomBackend | None = None,
    ) -> None:
        name = getattr(function, "__qualname__", repr(function))
        super().__init__(function, fullgraph, name, all_sizes, backend=backend)
        functools.update_wrapper(self, function)

    def __reduce__(self) -> str:
        name: str = getattr(self, "__qualname__", "")  # copies and pickles refer to the function by its name
        return name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return functools.partial(self, instance)


class CompiledModule(OptimizedModule):
    """Module that runs captured programs."""

    def __init__(
        self, module: Module, fullgraph: bool, all_sizes: bool = True, backend: CustomBackend | None = None
    ) -> None:
        super().__init__(module)
        self._set_programs(fullgraph, all_sizes, backend)

    def _set_programs(self, fullgraph: bool, all_sizes: bool, backend: CustomBackend | None) -> None:
        module = self._orig_mod
        programs = Programs(module, fullgraph, type(module).__name__, all_sizes, backend=backend)
        object.__setattr__(self, "programs", programs)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state["programs"] = self.programs.fullgraph, self.programs.all_sizes, self.programs.backend
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = state.pop("programs")
        super().__setstate__(state)
        self._set_programs(*options)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module."""
        return self.programs(*args, **kwargs)
