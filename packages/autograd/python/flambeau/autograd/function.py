"""Custom operations with user-defined derivatives."""

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import flambeau
from flambeau import Tensor
from flambeau.autograd._engine import FunctionCtx
from flambeau.autograd._function import Function

T = TypeVar("T")

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]

# Error message for differentiating a derivative that is decorated with @once_differentiable.
ONCE_DIFFERENTIABLE = "trying to differentiate twice a function that was marked with @once_differentiable"


class InplaceFunction(Function):
    """Base class for Functions that can change an input in place. ``Function`` supports the same."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class _Once(Function):
    """Identity function with a ``backward`` that raises an error."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Any) -> tuple[Any, ...]:
        return tensors[:count]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> NoReturn:
        raise RuntimeError(ONCE_DIFFERENTIABLE)


def once_differentiable(backward: Callable[..., T]) -> Callable[..., T]:
    """Decorate a ``Function.backward`` that cannot be differentiated. Differentiating it raises RuntimeError."""

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
