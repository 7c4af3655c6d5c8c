"""Reentrant checkpointing: a node whose derivative runs the function again, and then a nested backward pass."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor
from flambeau._core import _random_position
from flambeau.autograd import _engine
from flambeau.autograd._backward import backward
from flambeau.autograd._function import Function
from flambeau.autograd.checkpoint._autocast import autocast_restorer
from flambeau.random import _repeated_random_numbers

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
        ctx.function, ctx.position = function, _random_position() if preserve else None
        ctx.autocast_again = autocast_restorer()
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.save_for_backward(*(a if isinstance(a, Tensor) else None for a in args))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        """Run the function again with autograd and the same random numbers, then propagate the gradients."""
        if not is_checkpoint_valid():
            raise RuntimeError(SELECTIVE)
        pairs_of_inputs = zip(ctx.saved_tensors, ctx.others, strict=True)
        inputs = detach_variable(tuple(other if tensor is None else tensor for tensor, other in pairs_of_inputs))
        drawing = nullcontext() if ctx.position is None else _repeated_random_numbers(ctx.position)
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


def detach_variable(inputs: Any) -> tuple[Any, ...]:
    """Return the arguments with each tensor detached from its graph. ``requires_grad`` does not change.

    Args:
        inputs: a tuple of tensors and other values.
    Raises: RuntimeError if ``inputs`` is not a tuple.

    >>> import flambeau
    >>> x = flambeau.ones(2, requires_grad=True)
    >>> (detached,) = detach_variable((x * 2,))
    >>> detached.is_leaf, detached.requires_grad
    (True, True)
    """
    if not isinstance(inputs, tuple):
        kind = type(inputs).__name__
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {kind}")
    return tuple(
        value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value for value in inputs
    )


def is_checkpoint_valid() -> bool:
    """Return True if the current backward pass computes the gradients of all leaves, so that it can be nested."""
    return not _engine.run_is_selective()


def check_backward_validity(inputs: Iterable[Any], stacklevel: int = 2) -> None:
    """Warn if none of the inputs requires grad, because reentrant checkpointing then gives no gradients.

    Args:
        inputs: arguments of the checkpointed function.
        stacklevel: see ``warnings.warn``.

    >>> import flambeau, warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     check_backward_validity([flambeau.ones(2)])
    >>> print(caught[0].message)
    None of the inputs have requires_grad=True. Gradients will be None
    """
    if not any(isinstance(value, Tensor) and value.requires_grad for value in inputs):
        warnings.warn(NO_INPUT, stacklevel=stacklevel)


def run_reentrant(function: Callable[..., T], args: tuple[Any, ...], preserve_rng_state: bool) -> T:
    """Implement ``checkpoint`` with ``use_reentrant=True``."""
    if flambeau.is_grad_enabled():
        check_backward_validity(args, stacklevel=4)
    result: T = _Reentrant.apply(function, preserve_rng_state, *args)
    return result
