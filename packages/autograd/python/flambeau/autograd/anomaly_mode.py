"""Detection of the call that returned a NaN or an infinity.

Anomaly mode checks forward and backward passes for NaN. `detect_nonfinite` checks forward passes for both values.
"""

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
    """Function and context manager that sets anomaly mode for all threads.

    The context manager restores the previous mode at the end of the block.

    In anomaly mode, every recorded operator stores the Python call that ran it. These events raise RuntimeError:

    - An operator with a recorded result returns a NaN although no argument contains one. NaNs in the inputs, NaNs
      passed as numbers, and results computed under ``no_grad()`` do not raise.
    - A node of the backward pass returns a NaN. The error has a note with the forward call.

    Other exceptions in a node also get this note. The error about a saved tensor that was changed in place gets it as
    well. Anomaly mode slows down the program. It has no cost when it is disabled.

    Args:
        mode: if True, enable anomaly mode.
        check_nan: if False, do not check for NaN.
        check_forward: if False, check for NaN in the backward pass only. Use this for programs that compute a NaN and
            mask it later.

    >>> x = fb.tensor(0.0, requires_grad=True)
    >>> with fb.autograd.set_detect_anomaly(True, check_forward=False):
    ...     (x.sqrt() * 0).backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output...
    """

    def __init__(self, mode: bool, check_nan: bool = True, check_forward: bool = True) -> None:
        self._former = _engine.anomaly()
        _engine.set_anomaly(mode, check_nan, check_forward)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.set_anomaly(*self._former)


class detect_anomaly:
    """Context manager that enables anomaly mode. See :class:`set_detect_anomaly`.

    >>> import flambeau
    >>> x = flambeau.tensor([0.0, 1.0], requires_grad=True)
    >>> with flambeau.autograd.detect_anomaly():
    ...     (x - 1).sqrt().mean()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    RuntimeError: sqrt gave nan in 1 of the 2 elements of its result of shape [2] ..., first at index [0], ...
    >>> with flambeau.autograd.detect_anomaly():
    ...     try:
    ...         (x.sqrt() * 0).sum().backward()
    ...     except RuntimeError as error:
    ...         print(error)
    Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True, check_forward: bool = True) -> None:
        self._checks = check_nan, check_forward

    def __enter__(self) -> None:
        self._former = _engine.anomaly()
        _engine.set_anomaly(True, *self._checks)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.set_anomaly(*self._former)


def set_anomaly_enabled(mode: bool, check_nan: bool = True, check_forward: bool = True) -> None:
    """Set anomaly mode for all threads. See :class:`set_detect_anomaly`.

    >>> fb.set_anomaly_enabled(True, check_nan=False)
    >>> fb.is_anomaly_enabled(), fb.is_anomaly_check_nan_enabled()
    (True, False)
    >>> fb.set_anomaly_enabled(False)
    """
    _engine.set_anomaly(mode, check_nan, check_forward)


def is_anomaly_enabled() -> bool:
    """Return True if anomaly mode is enabled. See `set_anomaly_enabled`."""
    return bool(_engine.anomaly()[0])


def is_anomaly_check_nan_enabled() -> bool:
    """Return True if anomaly mode checks for NaN when it is enabled. See `set_anomaly_enabled`."""
    return bool(_engine.anomaly()[1])
