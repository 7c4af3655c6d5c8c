"""Compilation, which programs ask for and which there is none of: operators run when they are called.

Functions and models come back as they are, so that a program written for a compiler runs unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, overload

from flambeau._settings import warn_once

F = TypeVar("F")

_AS_IT_IS = "flambeau does not compile: every operator runs when it is called. compile() returns what it is given."


@overload
def compile(
    model: None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Callable[[F], F]: ...


@overload
def compile(
    model: F,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> F: ...


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Returns the function or model that it is given, and warns of it once. A decorator, too.

    A ``backend`` that is a function is given a `flambeau.fx.GraphModule` and the tensors of a call, once for each shape
    and dtype of them, and what it returns is called instead. What cannot be traced runs as it is, with a warning.

    Raises: RuntimeError for both ``mode`` and ``options``, as PyTorch does.
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return partial(compile, backend=backend, mode=mode, options=options, disable=disable)
    if callable(backend) and not disable:
        from flambeau.fx._compile import compiled  # loads when it is needed

        return compiled(model, backend)
    if not disable:
        warn_once(_AS_IT_IS)
    return model


@overload
def disable(fn: None = None, recursive: bool = True, *, reason: str | None = None) -> Callable[[F], F]: ...


@overload
def disable(fn: F, recursive: bool = True, *, reason: str | None = None) -> F: ...


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Returns the function: nothing is compiled. Also a decorator with arguments."""
    return _same if fn is None else fn


def allow_in_graph(fn: F) -> F:
    """Returns the function."""
    return fn


def assume_constant_result(fn: F) -> F:
    """Returns the function."""
    return fn


def _same(fn: F) -> F:
    return fn


def is_compiling() -> bool:
    """Whether a compiler is looking on: False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def reset() -> None:
    """Forgets what was compiled: nothing."""


def cudagraph_mark_step_begin() -> None:
    """Marks the beginning of a step; does nothing."""


def list_backends(exclude_tags: tuple[str, ...] = ("debug", "experimental")) -> list[str]:
    """The compilers that there are: none."""
    return []


@contextlib.contextmanager
def set_stance(stance: str = "default", **options: Any) -> Iterator[None]:
    """For a block, how a compiler behaves; there is none."""
    yield
