"""Captured programs: their common interface, and programs without pauses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flambeau import Tensor, _core

if TYPE_CHECKING:
    from ._guards import Snapshot
    from ._results import Structure
    from ._training import Option

EarlierCalls = Sequence[tuple[Any, Any]]  # functions with possible side effects that were called, and their results


@dataclass(frozen=True)
class NoMatch:
    """Result of a replay if no program fits the call.

    Attributes:
        reason: why the last program does not fit.
        earlier_calls: the calls with possible side effects that a `Tree` made before it stopped, with their results. A
            new capture must not repeat them. None if no tree stopped.
    """

    reason: str
    earlier_calls: EarlierCalls | None = None


class CapturedProgram(ABC):
    """Captured program of a function, with its guards.

    Attributes:
        snapshot: the guards.
        requires_late: True if a requirement on sizes follows a side effect. If the requirement is not met, the function
            cannot run again from its beginning.
        is_repeatable: True if the program has no side effects, so that the function can run after the program raised an
            error.
        fits_only_captured_sizes: True if the program is valid only for the sizes of the captured call.
        fixed_sizes: the key with the sizes of the arguments (`_Leaves.with_sizes`) if the program is valid only for
            these sizes, or None.
    """

    snapshot: Snapshot
    requires_late = False
    is_repeatable = False
    fits_only_captured_sizes = False
    fixed_sizes: Any = None

    @abstractmethod
    def run(self, tensors: Sequence[Tensor], earlier_calls: EarlierCalls | None) -> Any:
        """Return the function's result for the tensors among its arguments, or a `NoMatch`.

        Args:
            earlier_calls: the calls of the previous `NoMatch`, which the program does not repeat.
        """

    def compile(self, tensors: Sequence[Tensor]) -> None:
        """Pass the program to its custom backend if it has one.

        The default does nothing: a program with graph breaks passes each of its parts when the part first runs.
        """
        return

    @property
    @abstractmethod
    def graphs(self) -> list[tuple[str, Any]]:
        """The text and the parsed program of each part that runs without Python."""

    @property
    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Dictionary from each ``file:line`` in the texts to the path of the source file."""

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons why the program is divided, without repetitions."""
        return ()

    def quick_call(self, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, Any] | None:
        """Return the program for the fast path `_core._replay`, or None if that path does not support the arguments.

        Returns: the native call, and the function that builds the result from the tensors that the call returns. The
            function is None if the call returns the result itself.
        """
        return None


class Part:
    """Part of a program that runs without Python.

    Args:
        text: text of the part.
        state: dictionary from names to the tensors and options of optimizers that the part may read.
    Attributes:
        state: those that it reads, in order.
        fits_only_captured_sizes: True if the part is valid only for the sizes of the captured call.
    """

    fits_only_captured_sizes = False

    def __init__(self, text: str, state: Mapping[str, Tensor | Option]) -> None:
        self.text, self.native = text, _core._parse_program(text)
        self.state: tuple[Any, ...] = tuple(state[name] for name in _core._program_state(self.native))

    def compile(self, tensors: Sequence[Tensor]) -> None:
        """Do nothing. In the part of a custom backend, this method calls the backend."""

    def run(self, tensors: Sequence[Tensor], unmet: Any) -> Any:
        """Return the results for the inputs ``tensors``, or ``unmet`` if a requirement is not met."""
        return _core._run_program(self.native, tensors, self.state, unmet)


class SingleProgram(CapturedProgram):
    """Program without pauses.

    Args:
        part: the program.
        structure: structure of the results.
        returns_plain: True if the function returns a tensor or a plain tuple of tensors.
    """

    def __init__(
        self,
        part: Part,
        structure: Structure,
        snapshot: Snapshot,
        requires_late: bool,
        is_repeatable: bool,
        returns_plain: bool,
        files: Mapping[str, str],
    ) -> None:
        self.part, self.fits_only_captured_sizes = part, part.fits_only_captured_sizes
        self.snapshot, self.requires_late, self.is_repeatable = snapshot, requires_late, is_repeatable
        self._structure, self._returns_plain, self._files = structure, returns_plain, files

    @property
    def files(self) -> Mapping[str, str]:
        """Dictionary from each ``file:line`` in the text to the path of the source file."""
        return self._files

    @property
    def graphs(self) -> list[tuple[str, Any]]:
        """A list with one pair: the text of the program and the parsed program."""
        return [(self.part.text, self.part.native)]

    def compile(self, tensors: Sequence[Tensor]) -> None:
        """Pass the program to its custom backend if it has one."""
        self.part.compile(tensors)

    def run(self, tensors: Sequence[Tensor], earlier_calls: EarlierCalls | None) -> Any:
        """Return the function's result, or a `NoMatch` if the sizes of the tensors take another branch."""
        unmet = NoMatch("the sizes of the arguments lead to another branch", earlier_calls)
        results = self.part.run(tensors, unmet)
        return results if results is unmet else self._structure.packed(results)

    def quick_call(self, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, Any] | None:
        """Return the program for the fast path, which takes distinct contiguous tensors as positional arguments."""
        simple = (
            type(self.part) is Part and not kwargs and all(isinstance(a, Tensor) and a.is_contiguous() for a in args)
        )
        if not simple or self.requires_late or self.snapshot.views or len({id(a) for a in args}) < len(args):
            return None
        guards = self.snapshot.containers, self.snapshot.contents
        call = _core._compiled_call(self.part.native, args, self.part.state, *guards, self._structure.spec is None)
        return call, None if self._returns_plain else self._structure.packed
