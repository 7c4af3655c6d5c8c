"""Context managers and decorators that enable or disable gradient recording in the current thread."""

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
    """Mixin that makes a grad mode usable as a decorator. The mode is active during every call of the function.

    For generators and coroutines, the mode is active during each step, but not between the steps.
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
        """Run a generator or coroutine, with the mode active in every step."""
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
    """Context manager and decorator that disables recording. Parentheses are optional for the decorator.

    >>> import flambeau
    >>> with flambeau.no_grad():
    ...     flambeau.is_grad_enabled()
    False
    """

    __slots__ = ()


class enable_grad(_EnableGrad, _Decorator):
    """Context manager and decorator that enables recording, even within ``no_grad``.

    >>> with fb.no_grad():
    ...     with fb.enable_grad():
    ...         fb.is_grad_enabled()
    True
    """

    __slots__ = ()


class set_grad_enabled(_SetGradEnabled, _Decorator):
    """Set grad mode immediately. If used as a context manager, restore the previous mode at the end of the block.

    Args:
        mode: True enables recording, False disables it.

    >>> is_training = False
    >>> with fb.set_grad_enabled(is_training):
    ...     fb.is_grad_enabled()
    False
    """

    __slots__ = ()

    def __call__(self, function: F) -> F:
        self.__exit__(None, None, None)  # as a decorator, the mode applies only to the function
        return super().__call__(function)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unset, (self.mode,)

    def __repr__(self) -> str:
        return f"{_core._library_name()}.set_grad_enabled(mode={self.mode})"


def _unset(mode: bool) -> set_grad_enabled:
    """Create a ``set_grad_enabled`` object without changing the current mode."""
    guard = set_grad_enabled(mode)
    guard.__exit__(None, None, None)
    return guard


class inference_mode(_InferenceMode, _Decorator):
    """Context manager and decorator like ``no_grad``, with further restrictions on tensors created inside.

    Tensors created inside the block have no version counter and cannot take part in a graph. They can be read outside
    the block. Changing them in place or saving them for the backward pass raises RuntimeError. ``clone()`` outside
    returns a normal tensor. ``inference_mode(False)`` enables recording.

    >>> import flambeau
    >>> with flambeau.inference_mode():
    ...     flambeau.zeros(2).is_inference()
    True
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return inference_mode, (self.mode,)
