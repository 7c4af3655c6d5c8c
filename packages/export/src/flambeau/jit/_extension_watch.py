"""Watching the tensors that extension modules read and make, which no operator shows. See Note [Tracing]."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from flambeau import Tensor, _core

from ._structure import Place, foreign_place

C = TypeVar("C")  # a call, as a kind of trace records it


class ExtensionWatcher(Generic[C]):
    """Base class of traces that find out which tensors extension modules computed from the inputs."""

    def __init__(self) -> None:
        self._extensions_read = False  # whether an extension module read a tensor that depends on the inputs
        self._extension_calls: dict[int, tuple[Tensor, C]] = {}  # tensors that they made after that, by id

    @contextmanager
    def watching_extensions(self) -> Iterator[None]:
        """Context in which results of functions that are not operators are not mistaken for constants."""
        former = _core._watch_extensions(self._see_extension)
        try:
            yield
        finally:
            _core._watch_extensions(former)

    def _see_extension(self, tensor: Tensor, event: str) -> None:
        if event == "exported":
            self._see_export(tensor)
        elif event == "read":
            self._extensions_read = self._extensions_read or self._depends_on_inputs(tensor)
        elif self._extensions_read and (call := self._extension_call(*foreign_place())) is not None:
            self._extension_calls[id(tensor)] = tensor, call

    def _made_by_extension(self, tensor: Tensor) -> C | None:
        """Return the call of an extension module that made a tensor from the inputs, or None."""
        return self._extension_calls.get(id(tensor), (None, None))[1]

    @abstractmethod
    def _see_export(self, tensor: Tensor) -> None:
        """Handle a tensor whose memory is handed to Python."""

    @abstractmethod
    def _depends_on_inputs(self, tensor: Tensor) -> bool:
        """Return whether a tensor depends on the inputs."""

    @abstractmethod
    def _extension_call(self, name: str, reason: str, place: Place) -> C | None:
        """Return the call to record for a function that no program can call, or None to record nothing."""
