"""Detection of the first NaN or infinity in a forward pass."""

from types import TracebackType

from flambeau.autograd import _engine


class NonfiniteError(ArithmeticError):
    """Error for an operator that returned a NaN or an infinity.

    >>> with fb.autograd.detect_nonfinite():
    ...     try:
    ...         fb.tensor([0.0]).log()
    ...     except fb.autograd.NonfiniteError as error:
    ...         print(str(error)[:12])
    log gave inf
    """


class detect_nonfinite:
    """Context manager in which the first operator that returns a NaN or an infinity raises NonfiniteError.

    The message contains the operator, the number of these elements in its result, and the line of the call. The check
    reads every result, which costs time. Views and uninitialised memory are not checked.

    Args:
        nan, inf: if True, detect this value. Use ``inf=False`` for programs that use infinities as masks.

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
