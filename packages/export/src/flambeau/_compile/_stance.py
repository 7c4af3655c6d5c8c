"""Global setting (stance) that decides if compiled functions capture, replay or run uncompiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

STANCES = ("default", "force_eager", "eager_on_recompile", "fail_on_recompile", "eager_then_compile")
current = "default"


class set_stance:
    """Set whether compiled functions capture, replay or run uncompiled, in all threads.

    Can be called as a function, and used as a context manager or decorator that restores the former stance.

    Args:
        stance: "default" compiles; "force_eager" runs all functions uncompiled; "eager_on_recompile" runs existing
            programs, and runs functions without a matching program uncompiled; "fail_on_recompile" raises RuntimeError
            if no program matches; "eager_then_compile" runs the first call of a function uncompiled.
        skip_guard_eval_unsafe, force_backend: not supported.
    Raises: RuntimeError for other stances.

    >>> import flambeau
    >>> with flambeau.compiler.set_stance("force_eager"):
    ...     flambeau.compile(lambda x: x + 1)(flambeau.zeros(1))
    tensor([1.])
    """

    def __init__(
        self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None
    ) -> None:
        if stance not in STANCES:
            raise RuntimeError(f"invalid torch.compile stance {stance!r}, expected one of {', '.join(STANCES)}")
        if skip_guard_eval_unsafe or force_backend is not None:
            raise NotImplementedError("set_stance: skip_guard_eval_unsafe and force_backend are not supported")
        self._stance = stance
        self._former = self._set(stance)

    @staticmethod
    def _set(stance: str) -> str:
        global current
        former, current = current, stance
        return former

    def __enter__(self) -> Self:
        self._former = self._set(self._stance) if current != self._stance else self._former
        return self

    def __exit__(self, *_: object) -> None:
        self._set(self._former)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self._set(self._former)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with set_stance(self._stance):
                return function(*args, **kwargs)

        return wrapper
