"""Whether a backward run may use several threads: accepted for PyTorch's sake, runs stay in the calling thread."""

from types import TracebackType

_enabled = True


def is_multithreading_enabled() -> bool:
    """What set_multithreading_enabled was last given."""
    return _enabled


class set_multithreading_enabled:
    """Sets the flag at once, and back again if used as a context manager. A run stays in its thread either way."""

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
