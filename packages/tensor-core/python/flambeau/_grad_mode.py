"""Grad mode: contexts and decorators that turn recording on and off in the current thread."""

import functools
import inspect
import types
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from flambeau import _core
from flambeau._core import _EnableGrad, _InferenceMode, _NoGrad, _SetGradEnabled

F = TypeVar("F", bound=Callable[..., Any])


class _Decorator:
    """A grad mode that, called with a function, sets itself for every call of it.

    Of a generator and of a coroutine the steps run in the mode, and what happens between them does not.
    """

    __slots__ = ()

    clone: Callable[[], AbstractContextManager[None]]

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from self._steps(function(*args, **kwargs)))

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return await _awaitable(self._steps(function(*args, **kwargs)))

        if inspect.iscoroutinefunction(function):
            return coroutine  # type: ignore[return-value]
        return generator if inspect.isgeneratorfunction(function) else wrapper  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def _steps(self, steps: Any) -> Generator[Any, Any, Any]:
        """Goes through a generator or coroutine, every step in the mode."""
        step, value = steps.send, None
        while True:
            try:
                with self.clone():
                    item = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                step, value = steps.send, (yield item)
            except GeneratorExit:
                with self.clone():
                    steps.close()
                raise
            except BaseException as error:
                step, value = steps.throw, error


@types.coroutine
def _awaitable(steps: Any) -> Generator[Any, Any, Any]:
    return (yield from steps)


class no_grad(_NoGrad, _Decorator):
    """Nothing is recorded inside; as a context manager or a decorator, with or without parentheses.

    >>> import flambeau
    >>> with flambeau.no_grad():
    ...     flambeau.is_grad_enabled()
    False
    """

    __slots__ = ()


class enable_grad(_EnableGrad, _Decorator):
    """Operations are recorded inside, even within ``no_grad``."""

    __slots__ = ()


class set_grad_enabled(_SetGradEnabled, _Decorator):
    """Sets grad mode at once, and back again if used as a context manager."""

    __slots__ = ()

    def __call__(self, function: F) -> F:
        self.__exit__(None, None, None)  # the mode is the function's
        return super().__call__(function)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unset, (self.mode,)

    def __repr__(self) -> str:
        return f"{_core._library_name()}.set_grad_enabled(mode={self.mode})"


def _unset(mode: bool) -> set_grad_enabled:
    """A mode to be entered that was not set when it was made."""
    made = set_grad_enabled(mode)
    made.__exit__(None, None, None)
    return made


class inference_mode(_InferenceMode, _Decorator):
    """As ``no_grad``, and what is made inside never takes part in a graph, nor counts its changes in place.

    ``inference_mode(False)`` records. A tensor made inside can be read everywhere, but not changed in place outside,
    and not saved for a derivative: RuntimeError. ``clone()`` outside makes an ordinary tensor of it.

    >>> import flambeau
    >>> with flambeau.inference_mode():
    ...     flambeau.zeros(2).is_inference()
    True
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return inference_mode, (self.mode,)
