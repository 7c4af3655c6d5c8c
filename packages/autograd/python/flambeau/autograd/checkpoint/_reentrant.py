"""Reentrant checkpointing: a node that reruns the function in its derivative, with a nested backward pass."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor
from flambeau._core import _random_place
from flambeau.autograd import _engine
from flambeau.autograd._backward import backward
from flambeau.autograd._function import Function
from flambeau.autograd.checkpoint._autocast import kept_autocast
from flambeau.random import _drawing_again

T = TypeVar("T")

SELECTIVE = (
    "When use_reentrant=True, checkpoint is incompatible with .grad() or passing an `inputs` parameter to .backward(). "
    "To resolve this error, you can either set use_reentrant=False, or call .backward() without passing the `inputs` "
    "argument."
)
UNNECESSARY = "none of output has requires_grad=True, this checkpoint() is not necessary"
NO_INPUT = "None of the inputs have requires_grad=True. Gradients will be None"


class _Reentrant(Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        ctx.function, ctx.place = function, _random_place() if preserve else None
        ctx.autocast_again = kept_autocast()
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.save_for_backward(*(a if isinstance(a, Tensor) else None for a in args))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        if _engine.run_is_selective():
            raise RuntimeError(SELECTIVE)
        inputs = [
            other if tensor is None else tensor.detach().requires_grad_(tensor.requires_grad)
            for tensor, other in zip(ctx.saved_tensors, ctx.others, strict=True)
        ]
        drawing = nullcontext() if ctx.place is None else _drawing_again(ctx.place)
        with flambeau.enable_grad(), drawing, ctx.autocast_again():
            outputs = ctx.function(*inputs)
        listed = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        pairs = [
            (o, g)
            for o, g in zip(listed, gradients, strict=True)
            if isinstance(o, Tensor) and o.requires_grad and g is not None
        ]
        if not pairs:
            raise RuntimeError(UNNECESSARY)
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return None, None, *(t.grad if isinstance(t, Tensor) else None for t in inputs)


def run_reentrant(function: Callable[..., T], args: tuple[Any, ...], preserve_rng_state: bool) -> T:
    """Implement ``checkpoint`` with ``use_reentrant=True``."""
    if flambeau.is_grad_enabled() and not any(isinstance(a, Tensor) and a.requires_grad for a in args):
        warnings.warn(NO_INPUT, stacklevel=3)
    result: T = _Reentrant.apply(function, preserve_rng_state, *args)
    return result
