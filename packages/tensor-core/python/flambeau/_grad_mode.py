"""Grad mode: contexts and decorators that turn recording on and off in the current thread."""

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from flambeau._core import _set_grad_enabled

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """Sets grad mode for a ``with`` block or, as a decorator, for every call of a function or step of a generator."""

    __slots__ = ("_former", "mode")

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._former: list[bool] = []

    def __enter__(self) -> None:
        self._former.append(_set_grad_enabled(self.mode))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set_grad_enabled(self._former.pop())

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return _wrap_generator(self.mode, function)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(self.mode):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


def _wrap_generator(mode: bool, function: F) -> F:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step, value = generator.send, None
        while True:
            try:
                with _GradMode(mode):
                    item = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                step, value = generator.send, (yield item)
            except GeneratorExit:
                with _GradMode(mode):
                    generator.close()
                raise
            except BaseException as error:
                step, value = generator.throw, error

    return wrapper  # type: ignore[return-value]


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


class _InferenceDepth(threading.local):
    modes: tuple[bool, ...] = ()


_inference = _InferenceDepth()


class inference_mode(_GradMode):
    """As ``no_grad``; ``inference_mode(False)`` records.

    >>> import flambeau
    >>> with flambeau.inference_mode():
    ...     flambeau.is_inference_mode_enabled()
    True
    """

    __slots__ = ("inference",)

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)  # as a decorator without parentheses

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)
        self.inference = mode

    def __enter__(self) -> None:
        super().__enter__()
        _inference.modes += (self.inference,)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _inference.modes = _inference.modes[:-1]
        super().__exit__(kind, value, trace)


def is_inference_mode_enabled() -> bool:
    """Whether ``inference_mode`` is on in this thread."""
    return bool(_inference.modes) and _inference.modes[-1]
