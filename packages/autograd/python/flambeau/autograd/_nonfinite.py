"""The first NaN or infinity of a forward pass."""

from types import TracebackType

from flambeau.autograd import _engine


class NonfiniteError(ArithmeticError):
    """An operator gave a NaN or an infinity."""


class detect_nonfinite:
    """Inside, the operator whose result is the first to hold a NaN or an infinity raises NonfiniteError.

    The message names the operator, what its result holds, and the line that called it. Every result is read for that:
    it costs time. Views and uninitialised memory are not looked at.

    Args:
        nan, inf: what to look for. ``inf=False`` suits programs that mask with infinities.

    >>> import flambeau
    >>> with flambeau.autograd.detect_nonfinite():
    ...     flambeau.tensor([1.0, -1.0]).sqrt()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    flambeau.autograd._nonfinite.NonfiniteError: sqrt gave nan in 1 of the 2 elements of its result of shape [2] ...
    """

    def __init__(self, nan: bool = True, inf: bool = True) -> None:
        self._nan, self._inf = nan, inf

    def __enter__(self) -> None:
        _engine.start_finite_check(NonfiniteError, self._nan, self._inf)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.stop_finite_check()
