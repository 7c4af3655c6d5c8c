"""Finding the call that made a number go wrong: anomaly mode in both passes, detect_nonfinite in the forward pass."""

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
    """Anomaly mode, set at once for all threads, and reset at the end of a ``with`` block.

    In anomaly mode every recorded operator remembers the Python call that made it. These raise RuntimeError:

    - an operator whose result holds a NaN and has a history, while none of its arguments holds a NaN. A NaN in the
      inputs, or one that the caller passes as a number, is no error; neither is one computed under ``no_grad()``;
    - a node of the backward pass that gives a NaN, with a note that shows the forward call.

    Other exceptions that pass through a node get this note, too, as does the error about a saved tensor that was
    changed in place. All of this costs time; outside anomaly mode it costs nothing.

    Args:
        mode: True to enable anomaly mode.
        check_nan: False looks for NaN nowhere.
        check_forward: False looks for NaN in the backward pass only. Use it for programs that compute a NaN and mask
            it later.
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
    """Anomaly mode inside a ``with`` block. See :class:`set_detect_anomaly`.

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
    """Set anomaly mode for all threads. See :class:`set_detect_anomaly`."""
    _engine.set_anomaly(mode, check_nan, check_forward)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return bool(_engine.anomaly()[0])


def is_anomaly_check_nan_enabled() -> bool:
    """Return whether anomaly mode looks for NaN while it is on."""
    return bool(_engine.anomaly()[1])
