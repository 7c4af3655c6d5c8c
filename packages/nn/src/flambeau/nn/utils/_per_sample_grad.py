"""Gradients of each example of a batch, from one backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau import Tensor, func
from flambeau.autograd import Function
from flambeau.utils._pytree import tree_leaves, tree_map

from ..modules.module import Module

__all__ = ["call_for_per_sample_grads"]


def call_for_per_sample_grads(
    module: Module, *, batch_size: int | None = None, loss_reduction: str = "sum", batch_first: bool = True
) -> Callable[..., Any]:
    """Return a function that calls the module, and whose backward pass computes the gradients of each example.

    The backward pass stores these gradients in ``parameter.grad_sample``, with the examples in the first dimension, and
    leaves ``parameter.grad`` unchanged. A second backward pass adds to ``grad_sample``. The function calls the module
    inside `flambeau.func.vmap`: each example is a batch of size 1, and dropout draws different numbers for each
    example.

    Args:
        module: the module.
        batch_size: the number of examples. None means the batch size of the tensor arguments, which must all have the
            same batch size.
        loss_reduction: the loss's reduction over the batch, ``"sum"`` or ``"mean"``. With ``"mean"``, the gradients are
            multiplied by the batch size.
        batch_first: if True, the examples are in the first dimension of arguments and results, else in the second.
    Raises: RuntimeError if an argument is invalid or a parameter already has a ``grad_sample``.

    >>> import flambeau as fb
    >>> model = fb.nn.Linear(4, 3)
    >>> call_for_per_sample_grads(model)(fb.randn(5, 4)).sum().backward()
    >>> model.weight.grad_sample.shape, model.weight.grad
    (flambeau.Size([5, 3, 4]), None)
    """
    if loss_reduction not in ("sum", "mean"):
        raise RuntimeError(f"Expected loss_reduction argument to be sum or mean, got {loss_reduction}")
    if not isinstance(module, Module):
        raise RuntimeError(f"Module passed must be nn.Module, got {type(module).__name__}")
    if not (batch_size is None or isinstance(batch_size, int)):
        raise RuntimeError(f"Batch size passed must be None or an integer, got {type(batch_size).__name__}")
    if batch_size is not None and batch_size < 1:
        raise RuntimeError(f"Batch size must be positive, got {batch_size}")
    for name, parameter in module.named_parameters():
        if getattr(parameter, "grad_sample", None) is not None:
            raise RuntimeError(
                f"call_for_per_sample_grads: the parameter {name!r} has a grad_sample already, to which the new "
                "gradients would be added; set it to None first"
            )
    dim = 0 if batch_first else 1

    @functools.wraps(module.forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        size = _size_of_batch((args, kwargs), dim) if batch_size is None else batch_size
        scale = size if loss_reduction == "mean" else 1
        parameters = {
            name: _PerSample.apply(parameter, size, scale)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

        def call_one(parameters: dict[str, Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            args, kwargs = tree_map(lambda x: x.unsqueeze(dim) if isinstance(x, Tensor) else x, (args, kwargs))
            return tree_map(lambda y: y.squeeze(dim), func.functional_call(module, parameters, args, kwargs))

        call_arguments = args, kwargs
        in_dims = (0, *tree_map(lambda x: dim if isinstance(x, Tensor) else None, call_arguments))
        return func.vmap(call_one, in_dims=in_dims, out_dims=dim, randomness="different")(parameters, *call_arguments)

    return call


def _size_of_batch(arguments: Any, dim: int) -> int:
    sizes = {leaf.shape[dim] for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)}
    if not sizes:
        raise RuntimeError(
            "Unable to find a tensor in the passed args and kwargs, whose size would be the batch size. Please specify "
            "it explicitly using the batch_size argument of call_for_per_sample_grads"
        )
    if len(sizes) > 1:
        raise RuntimeError(
            f"When computing batch size, found inputs with the batch sizes {sorted(sizes)}. Please specify it "
            "explicitly using the batch_size argument of call_for_per_sample_grads"
        )
    return sizes.pop()


class _PerSample(Function):
    """A copy of a parameter for each example. The backward pass adds to ``grad_sample`` instead of ``grad``."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, size: int, scale: int) -> Tensor:
        ctx.parameter, ctx.scale = parameter, scale
        return parameter.unsqueeze(0).expand(size, *parameter.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        gradient = gradient * ctx.scale if ctx.scale != 1 else gradient.clone()
        before = getattr(ctx.parameter, "grad_sample", None)
        ctx.parameter.grad_sample = gradient if before is None else before + gradient
        return None, None, None
