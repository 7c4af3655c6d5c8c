"""Operations with derivatives of one's own."""

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import flambeau
from flambeau import Tensor
from flambeau.autograd._engine import FunctionCtx
from flambeau.autograd._function import Function

T = TypeVar("T")

__all__ = ["Function", "FunctionCtx", "once_differentiable"]

# Raised where a derivative under @once_differentiable is itself differentiated.
ONCE_DIFFERENTIABLE = "trying to differentiate twice a function that was marked with @once_differentiable"


class _Once(Function):
    """Passes gradients on, and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Any) -> tuple[Any, ...]:
        return tensors[:count]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> NoReturn:
        raise RuntimeError(ONCE_DIFFERENTIABLE)


def once_differentiable(backward: Callable[..., T]) -> Callable[..., T]:
    """Decorates a ``Function.backward`` that cannot be differentiated itself: trying to raises RuntimeError."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *gradients: Any) -> T:
        with flambeau.no_grad():
            results = backward(ctx, *gradients)
        if not flambeau.is_grad_enabled() or not any(isinstance(g, Tensor) and g.requires_grad for g in gradients):
            return results
        listed = results if isinstance(results, tuple) else (results,)
        marked = _Once.apply(len(listed), *listed, *gradients)
        once: T = marked if isinstance(results, tuple) else marked[0]
        return once

    return wrapper
