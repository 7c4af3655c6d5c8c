"""Futures: results that become available later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """Result that is set later, by `set_result` or by the function that returned the future.

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
        """Return True if the future has a result or an exception."""
        return self._set.is_set()

    def wait(self) -> T:
        """Wait for the result and return it, or raise the exception that was set instead."""
        self._set.wait()
        return self.value()

    def value(self) -> T:
        """Return the result without waiting. Raises: RuntimeError if it is not available yet."""
        if not self.done():
            raise RuntimeError("the future has no result yet; use wait()")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[no-any-return]

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """Return a future for the result of ``callback(self)``, which is called when this future is complete."""
        following: Future[Any] = Future()
        self.add_done_callback(lambda done: _fill(following, callback, done))
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Call ``callback(self)`` when this future is complete, or immediately if it is already complete."""
        with self._lock:
            if not self._set.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def set_result(self, result: T) -> None:
        """Set the result. Raises: RuntimeError if the future is already complete."""
        self._complete(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set an exception instead of a result. `wait` and `value` then raise it."""
        if not isinstance(result, BaseException):
            raise TypeError(f"set_exception takes an exception, not {type(result).__name__}")
        self._complete(None, result)

    def _complete(self, result: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._set.is_set():
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future can only be marked "
                    "completed once."
                )
            self._result, self._error = result, error
            self._set.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Awaited(Future[T]):
    """Future that computes or fetches its result when a program waits for it.

    Args:
        ready: function that returns True if the result is available without waiting.
        obtain: function that waits for the result and returns it.
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


def _fill(future: Future[Any], function: Callable[[Any], Any], argument: Any) -> None:
    """Complete a future with the return value of a function or with the exception that it raises."""
    try:
        result = function(argument)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """Return a future that is complete when all ``futures`` are complete. Its result is the list of these futures.

    If one of the futures has an exception, the returned future has this exception.

    Raises: TypeError if an element is not a future.

    >>> futures = [fb.futures.Future(), fb.futures.Future()]
    >>> everything = fb.futures.collect_all(futures)
    >>> for result, future in enumerate(futures):
    ...     future.set_result(result)
    >>> [future.value() for future in everything.wait()]
    [0, 1]
    """
    listed = list(futures)
    for future in listed:
        if not isinstance(future, Future):
            raise TypeError(f"collect_all: expected futures, got {type(future).__name__}")

    def obtain() -> list[Future[Any]]:
        for future in listed:
            future.wait()
        return listed

    return Awaited(lambda: all(future.done() for future in listed), obtain)


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """Wait for all ``futures`` and return their results. Raise the exception of the first future that has one.

    >>> futures = [fb.futures.Future(), fb.futures.Future()]
    >>> for result, future in enumerate(futures):
    ...     future.set_result(result)
    >>> fb.futures.wait_all(futures)
    [0, 1]
    """
    return [future.value() for future in collect_all(futures).wait()]
