"""The flag for multithreaded backward passes, which has no effect. Backward passes run in the calling thread."""

from types import TracebackType

_enabled = True


def is_multithreading_enabled() -> bool:
    """Return the current value of the flag. The default is True. See `set_multithreading_enabled`."""
    return _enabled


class set_multithreading_enabled:
    """Function and context manager that sets the flag for multithreaded backward passes. The flag has no effect.

    It exists for compatibility with PyTorch. The context manager restores the previous value at the end of the block.

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
