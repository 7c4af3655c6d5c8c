"""TorchScript's names. There is no script: functions and models come back as they are and run as Python.

`script` warns of it once; decorators that mark what a script leaves out do nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, overload
from typing import Final as Final  # annotates what a script would take for a constant

from flambeau._settings import warn_once

F = TypeVar("F")
T = TypeVar("T")

_AS_IT_IS = (
    "flambeau has no TorchScript: jit.script returns functions and models as they are, and they run as Python. "
    "jit.trace makes programs that run without it."
)


def script(obj: F, optimize: Any = None, *args: Any, **kwargs: Any) -> F:
    """Returns the function, class or model."""
    warn_once(_AS_IT_IS)
    return obj


def script_if_tracing(fn: F) -> F:
    """Returns the function: nothing is traced."""
    return fn


@overload
def ignore(drop: bool = False, **kwargs: Any) -> Callable[[F], F]: ...


@overload
def ignore(drop: F, **kwargs: Any) -> F: ...


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Marks a method that a script leaves to Python: returns it. Also a decorator with arguments."""
    return drop if callable(drop) else lambda function: function


def unused(fn: F) -> F:
    """Marks a method that a script leaves out: returns it."""
    return fn


def export(fn: F) -> F:
    """Marks a method that a script takes along: returns it."""
    return fn


def interface(obj: F) -> F:
    """Marks a class as an interface: returns it."""
    return obj


def _overload(func: F) -> F:
    """Marks one of a function's signatures: returns it. The last of the name is the function."""
    return func


_overload_method = _overload


def freeze(mod: F, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> F:
    """Returns the model."""
    return mod


def optimize_for_inference(mod: F, other_methods: list[str] | None = None) -> F:
    """Returns the model."""
    return mod


def is_scripting() -> bool:
    """Whether a script runs: False."""
    return False


def annotate(the_type: Any, the_value: T) -> T:
    """Returns the value, whatever its type is said to be."""
    return the_value


class Attribute(Generic[T]):
    """A value and the type that a script gives it."""

    def __init__(self, value: T, type: Any) -> None:
        self.value, self.type = value, type


class Future(Generic[T]):
    """The result of `fork`, which is there."""

    def __init__(self, value: T) -> None:
        self._value = value

    def wait(self) -> T:
        """The result."""
        return self._value

    value = wait

    def done(self) -> bool:
        """Whether the result is there: True."""
        return True


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """Runs the function now; `wait` gives its result."""
    return Future(func(*args, **kwargs))


def wait(future: Future[T]) -> T:
    """The result of `fork`."""
    return future.wait()


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """For a block, whether scripts are optimized; there are none."""
    yield


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """For a block, which fuser scripts use; there are none."""
    yield


def enable_onednn_fusion(enabled: bool) -> None:
    """Whether scripts fuse layers; there are none."""


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> None:
    """How scripts fuse; there are none."""
