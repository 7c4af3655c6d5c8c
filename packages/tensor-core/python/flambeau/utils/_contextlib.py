"""Base classes of context managers such as ``no_grad`` that can decorate functions, generators and coroutines."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from flambeau._grad_mode import _Decorator

__all__ = ["_DecoratorContextManager", "_NoParamDecoratorContextManager", "context_decorator"]

F = TypeVar("F", bound=Callable[..., Any])


class _DecoratorContextManager(_Decorator):
    """Base class of context managers that can decorate functions: every call runs inside a clone of the instance.

    A derived class defines ``__enter__`` and ``__exit__``, and ``clone`` if its ``__init__`` has parameters.
    """

    __reduce__ = object.__reduce__  # type: ignore[assignment]

    def __call__(self, orig_func: F) -> F:
        if inspect.isclass(orig_func):
            warnings.warn("Decorating classes is deprecated; decorate __init__ instead", FutureWarning, stacklevel=2)
            return super().__call__(lambda *args, **kwargs: orig_func(*args, **kwargs))  # type: ignore[return-value]
        return super().__call__(orig_func)

    def __enter__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __enter__")

    def __exit__(self, *error: object) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __exit__")

    def clone(self) -> Any:
        """Return a new context manager like this one."""
        return type(self)()


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """Base class of context managers without parameters that decorate functions with or without parentheses."""

    def __new__(cls, orig_func: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


class _FactoryDecorator(_Decorator):
    """Decorator that calls ``make`` for the context manager of each call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.clone = make


def context_decorator(ctx: Any, func: F) -> F:
    """Return ``func`` wrapped to run inside a context manager: ``ctx`` itself, or a new ``ctx()`` for each call."""
    if inspect.isclass(func):
        raise RuntimeError(f"Cannot decorate classes, got {func.__name__}; decorate its methods")
    return _FactoryDecorator(ctx if callable(ctx) else lambda: ctx)(func)
