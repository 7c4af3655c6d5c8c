"""The CPU as a device among others: what programs that are written for any accelerator ask of it."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

if TYPE_CHECKING:
    from flambeau.cpu import amp as amp

__all__ = [
    "Stream",
    "amp",
    "current_device",
    "current_stream",
    "device_count",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


class Stream:
    """The order in which the CPU works, which is the program's own: waiting for it is no wait."""

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Stream) -> None:
        """Waits for what another stream has to do so far: nothing."""

    def synchronize(self) -> None:
        """Waits for what is to be done: nothing."""


_stream = Stream()


def is_available() -> bool:
    """Whether there is a CPU."""
    return True


def is_initialized() -> bool:
    """Whether it is ready."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """``"cpu"``."""
    return "cpu"


def set_device(device: Any) -> None:
    """Chooses the CPU, which is chosen."""


def synchronize(device: Any = None) -> None:
    """Waits for operators to be done, which they are when they return."""


def current_stream(device: Any = None) -> Stream:
    """The only stream."""
    return _stream


def stream(stream: Stream | None) -> AbstractContextManager[None]:
    """A context in which work goes to a stream; there is one order of work only, so it changes nothing."""
    return nullcontext()


if not TYPE_CHECKING:  # so that type checkers report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "amp":
            return importlib.import_module("flambeau.cpu.amp")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
