"""Results that are there later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A result that is set later, by `set_result` or by whom it was got from.

    >>> future = flambeau.futures.Future()
    >>> doubled = future.then(lambda done: done.value() * 2)
    >>> future.set_result(21)
    >>> doubled.wait()
    42
    """

    def __init__(self, *, devices: Sequence[Any] | None = None) -> None:
        self._set = threading.Event()
        self._lock = threading.RLock()
        self._result: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []

    def done(self) -> bool:
        """Whether the result, or the exception in its place, is there."""
        return self._set.is_set()

    def wait(self) -> T:
        """The result, which is waited for; raises the exception that was set in its place."""
        self._set.wait()
        return self.value()

    def value(self) -> T:
        """The result, which has to be there. Raises: RuntimeError if it is not."""
        if not self.done():
            raise RuntimeError("the result of this future is not there yet: use wait()")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[no-any-return]

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """A future of what ``callback(self)`` returns, which is called when the result is there."""
        following: Future[Any] = Future()
        self.add_done_callback(lambda done: _fill(following, callback, done))
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Have ``callback(self)`` called when the result is there, or at once if it is."""
        with self._lock:
            if not self._set.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def set_result(self, result: T) -> None:
        """Give the result. Raises: RuntimeError if there is one."""
        self._complete(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Give an exception in place of the result: `wait` and `value` raise it."""
        if not isinstance(result, BaseException):
            raise TypeError(f"set_exception takes an exception, not {type(result).__name__}")
        self._complete(None, result)

    def _complete(self, result: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._set.is_set():
                raise RuntimeError("this future has a result already")
            self._result, self._error = result, error
            self._set.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Awaited(Future[T]):
    """A future whose result someone has to go and get, which `wait` does.

    Args:
        ready: says whether the result can be had without waiting.
        obtain: waits for the result and returns it.
    """

    def __init__(self, ready: Callable[[], bool], obtain: Callable[[], T]) -> None:
        super().__init__()
        self._ready, self._obtain = ready, obtain

    def done(self) -> bool:
        if not self._set.is_set() and self._ready():
            self._get()
        return self._set.is_set()

    def wait(self) -> T:
        self._get()
        return super().wait()

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        def follow() -> Any:
            self._get()
            return callback(self)

        return Awaited(self.done, follow)

    def _get(self) -> None:
        with self._lock:
            if not self._set.is_set():
                _fill(self, lambda _: self._obtain(), self)


def _fill(future: Future[Any], function: Callable[[Any], Any], given: Any) -> None:
    """Complete a future by what a function returns or raises."""
    try:
        result = function(given)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future of all these futures, when all are done."""
    given = list(futures)

    def obtain() -> list[Future[Any]]:
        for future in given:
            try:
                future.wait()
            except Exception:
                continue
        return given

    return Awaited(lambda: all(future.done() for future in given), obtain)


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The results of all these futures; raises the first exception among them."""
    return [future.wait() for future in futures]
