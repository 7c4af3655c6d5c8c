"""Effects of a captured call that the guards and the recorded operators do not show."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._capture_trace import CaptureTrace
from ._guards import Snapshot
from ._modes import changed_mode, thread_modes
from ._pausing import version_of


class Effects:
    """Effects of one call of a function on its tensors, on random generators and on guarded objects.

    Attributes:
        rng_state: state of flambeau's generator before the call.
    """

    def __init__(self, trace: CaptureTrace, tensors: Sequence[Tensor], snapshot: Snapshot) -> None:
        self._trace, self._snapshot = trace, snapshot
        watched = [*tensors, *(tensor for tensor, _ in snapshot.tensors.values())]
        self._versions = [(tensor, version_of(tensor)) for tensor in watched]
        self._modes = thread_modes()
        self._settings = flambeau.default_generator._settings
        self._generators, self.rng_state = _generator_states(), flambeau.get_rng_state()

    def exist(self) -> bool:
        """Return True if the call had an effect that is visible after it, so that it must not be repeated."""
        changes = self._changed() or self._changes_generators()
        recorded = self._trace.changed_at is not None or self._trace.training.has_effects
        return bool(changes or recorded or self._snapshot.first_change() is not None)

    def unrecorded(self) -> str | None:
        """Describe an effect that the trace did not record, or return None."""
        if any(tensor.untyped_storage().data_ptr() not in self._trace.written for tensor in self._changed()):
            return "a call that is not an operator changes a tensor in place"
        if flambeau.default_generator._settings != self._settings:
            return "the function sets the seed or the state of flambeau's random number generator"
        if self._changes_generators():
            return "the function draws random numbers from Python's random or numpy.random"
        changed = changed_mode(self._modes)
        return f"the function changes the {changed} of its caller" if changed else None

    def _changes_generators(self) -> bool:
        set_again = flambeau.default_generator._settings != self._settings
        return set_again or _generator_states() != self._generators

    def _changed(self) -> list[Tensor]:
        return [tensor for tensor, version in self._versions if version_of(tensor) != version]


def _generator_states() -> tuple[Any, ...]:
    """Return the states of the global random generators of Python and, if it is imported, of NumPy."""
    states: list[Any] = [random.getstate()]
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        states.append(str(numpy_random.get_state()))
    return tuple(states)
