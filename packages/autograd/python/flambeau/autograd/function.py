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

# Error message if a program differentiates a derivative that is decorated with @once_differentiable.
ONCE_DIFFERENTIABLE = "trying to differentiate twice a function that was marked with @once_differentiable"


class InplaceFunction(Function):
    """Base class for Functions that can change an input in place. ``Function`` supports this as well.

    >>> class Double(fb.autograd.function.InplaceFunction):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.mark_dirty(x)
    ...         return x.mul_(2)
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return 2 * grad
    >>> x = fb.ones(2, requires_grad=True)
    >>> Double.apply(x.clone()).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class _RaiseInBackward(Function):
    """Function that returns its arguments unchanged and whose ``backward`` raises an error."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Any) -> tuple[Any, ...]:
        return tensors[:count]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> NoReturn:
        raise RuntimeError(ONCE_DIFFERENTIABLE)


def once_differentiable(backward: Callable[..., T]) -> Callable[..., T]:
    """Mark a ``Function.backward`` that cannot be differentiated. An attempt to differentiate it raises RuntimeError.

    >>> class Square(fb.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     @fb.autograd.function.once_differentiable
    ...     def backward(ctx, grad):
    ...         return 2 * ctx.saved_tensors[0] * grad
    >>> x = fb.tensor(3.0, requires_grad=True)
    >>> fb.autograd.grad(Square.apply(x), x)
    (tensor(6.),)
    """

    @functools.wraps(backward)
    def wrapper(ctx: Any, *gradients: Any) -> T:
        with flambeau.no_grad():
            results = backward(ctx, *gradients)
        if not flambeau.is_grad_enabled() or not any(isinstance(g, Tensor) and g.requires_grad for g in gradients):
            return results
        listed = results if isinstance(results, tuple) else (results,)
        marked = _RaiseInBackward.apply(len(listed), *listed, *gradients)
        once: T = marked if isinstance(results, tuple) else marked[0]
        return once

    return wrapper
