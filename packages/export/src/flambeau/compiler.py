"""PyTorch's interface to compilation. flambeau has no compiler: operators run when they are called.

Functions and models are returned unchanged, so that programs written for a compiler run unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, overload

from flambeau._settings import warn_once

F = TypeVar("F")

_AS_IT_IS = "flambeau does not compile: every operator runs when it is called. compile() returns its argument."


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
    """Return the function or model unchanged, and warn once. Can be used as a decorator.

    If ``backend`` is a function, it is called with a `flambeau.fx.GraphModule` and the example tensors, once for each
    combination of shapes and dtypes. Its result is called instead of the model. If the model cannot be traced, it runs
    unchanged, with a warning.

    Raises: RuntimeError if both ``mode`` and ``options`` are given, as in PyTorch.
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return partial(compile, backend=backend, mode=mode, options=options, disable=disable)
    if callable(backend) and not disable:
        from flambeau.fx._compile import compiled  # imported on first use

        return compiled(model, backend)
    if not disable:
        warn_once(_AS_IT_IS)
    return model


@overload
def disable(fn: None = None, recursive: bool = True, *, reason: str | None = None) -> Callable[[F], F]: ...


@overload
def disable(fn: F, recursive: bool = True, *, reason: str | None = None) -> F: ...


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Return the function unchanged. Can be used as a decorator with arguments."""
    return _same if fn is None else fn


def allow_in_graph(fn: F) -> F:
    """Return the function unchanged."""
    return fn


def assume_constant_result(fn: F) -> F:
    """Return the function unchanged."""
    return fn


def _same(fn: F) -> F:
    return fn


def is_compiling() -> bool:
    """Return False: nothing is compiled."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def reset() -> None:
    """Do nothing: there is no compiled code."""


def cudagraph_mark_step_begin() -> None:
    """Do nothing."""


def list_backends(exclude_tags: tuple[str, ...] = ("debug", "experimental")) -> list[str]:
    """Return the names of the compilers: an empty list."""
    return []


@contextlib.contextmanager
def set_stance(stance: str = "default", **options: Any) -> Iterator[None]:
    """Do nothing in this context: there is no compiler."""
    yield
