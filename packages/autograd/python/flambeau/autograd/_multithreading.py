"""Setting for multithreaded backward passes, for compatibility with PyTorch. Passes run in the calling thread."""

from types import TracebackType

_enabled = True


def is_multithreading_enabled() -> bool:
    """Return the flag, True by default. See `set_multithreading_enabled`."""
    return _enabled


class set_multithreading_enabled:
    """Set the flag. As a context manager, restore it at the end of the block. The flag has no effect.

    >>> with fb.autograd.set_multithreading_enabled(False):
    ...     fb.autograd.is_multithreading_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        global _enabled
        self._former, _enabled = _enabled, mode
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _enabled
        _enabled = self._former
