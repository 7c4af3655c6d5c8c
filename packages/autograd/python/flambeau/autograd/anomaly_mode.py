"""Finding where a number went wrong: in the backward pass by anomaly mode, in the forward pass by detect_nonfinite."""

from types import TracebackType

from flambeau.autograd import _engine
from flambeau.autograd._nonfinite import NonfiniteError, detect_nonfinite

__all__ = [
    "NonfiniteError",
    "detect_anomaly",
    "detect_nonfinite",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "set_anomaly_enabled",
    "set_detect_anomaly",
]


class set_detect_anomaly:
    """Sets anomaly mode at once for all threads, and back again if used as a context manager.

    In anomaly mode every recorded operator remembers the Python call it was made by. A backward run raises RuntimeError
    at the first node that gives a NaN (unless ``check_nan`` is off), with a note of the forward call; so does every
    exception that passes through a node, and the error about a saved tensor that was changed in place.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._former = _engine.anomaly()
        _engine.set_anomaly(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.set_anomaly(*self._former)


class detect_anomaly:
    """Anomaly mode inside a ``with`` block. See :class:`set_detect_anomaly`.

    >>> import flambeau
    >>> x = flambeau.tensor(-1.0, requires_grad=True)
    >>> with flambeau.autograd.detect_anomaly():
    ...     y = x.sqrt()
    ...     try:
    ...         y.backward()
    ...     except RuntimeError as error:
    ...         print(error)
    Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._former = _engine.anomaly()
        _engine.set_anomaly(True, self._check_nan)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.set_anomaly(*self._former)


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Sets anomaly mode for all threads. See :class:`set_detect_anomaly`."""
    _engine.set_anomaly(mode, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return bool(_engine.anomaly()[0])


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, where it is on, looks for NaN."""
    return bool(_engine.anomaly()[1])
