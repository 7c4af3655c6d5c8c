"""Grad mode: contexts and decorators that turn recording on and off in the current thread."""

import functools
import inspect
import types
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from flambeau._core import _set_grad_enabled, _set_inference_mode

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """Sets grad mode for a ``with`` block or, as a decorator, for every call of a function.

    Of a generator and of a coroutine the steps run in the mode, and what happens between them does not.
    """

    __slots__ = ("_former", "mode")

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._former: list[bool] = []

    def clone(self) -> "_GradMode":
        """Another context of the same mode."""
        return _GradMode(self.mode)

    def __enter__(self) -> None:
        self._former.append(_set_grad_enabled(self.mode))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set_grad_enabled(self._former.pop())

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from self._steps(function(*args, **kwargs)))

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return await _awaitable(self._steps(function(*args, **kwargs)))

        if inspect.iscoroutinefunction(function):
            return coroutine  # type: ignore[return-value]
        return generator if inspect.isgeneratorfunction(function) else wrapper  # type: ignore[return-value]

    def _steps(self, steps: Any) -> Any:
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
def _awaitable(steps: Any) -> Any:
    return (yield from steps)


class no_grad(_GradMode):
    """Nothing is recorded inside; as a context manager or a decorator, with or without parentheses.

    >>> import flambeau
    >>> with flambeau.no_grad():
    ...     flambeau.is_grad_enabled()
    False
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(False)

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        instance = super().__new__(cls)
        if function is None:
            return instance
        _GradMode.__init__(instance, False)
        return instance(function)


class enable_grad(_GradMode):
    """Operations are recorded inside, even within ``no_grad``."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(True)

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        instance = super().__new__(cls)
        if function is None:
            return instance
        _GradMode.__init__(instance, True)
        return instance(function)


class set_grad_enabled(_GradMode):
    """Sets grad mode at once, and back again if used as a context manager."""

    __slots__ = ()

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._former.append(_set_grad_enabled(mode))

    def __enter__(self) -> None:
        if not self._former:
            super().__enter__()

    def __call__(self, function: F) -> F:
        _set_grad_enabled(self._former.pop())
        return super().__call__(function)


class inference_mode(_GradMode):
    """As ``no_grad``, and what is made inside never takes part in a graph, nor counts its changes in place.

    ``inference_mode(False)`` records. A tensor made inside can be read everywhere, but not changed in place outside,
    and not saved for a derivative: RuntimeError. ``clone()`` outside makes an ordinary tensor of it.

    >>> import flambeau
    >>> with flambeau.inference_mode():
    ...     flambeau.zeros(2).is_inference()
    True
    """

    __slots__ = ("_formerly", "inference")

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)  # as a decorator without parentheses

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)
        self.inference = mode
        self._formerly: list[bool] = []

    def __enter__(self) -> None:
        super().__enter__()
        self._formerly.append(_set_inference_mode(self.inference))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set_inference_mode(self._formerly.pop())
        super().__exit__(kind, value, trace)

    def clone(self) -> "inference_mode":
        return inference_mode(self.inference)
