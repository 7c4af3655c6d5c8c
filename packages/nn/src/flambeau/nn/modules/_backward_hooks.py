"""Backward hooks of modules. They run when gradients reach the outputs of a module, and then its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from flambeau import Tensor
from flambeau.autograd import Function

from ._hooks import Hook

Gradients = tuple[Tensor | None, ...]


class BackwardHookFunction(Function):
    """Identity function of tensors. In the backward pass, ``on_backward`` receives and may replace the gradients."""

    @staticmethod
    def forward(ctx: Any, on_backward: Callable[[Gradients], Gradients], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.on_backward = on_backward
        ctx.set_materialize_grads(False)
        gated = tuple(tensor.view_as(tensor) for tensor in tensors)
        pairs = zip(tensors, gated, strict=True)
        ctx.mark_non_differentiable(*(out for tensor, out in pairs if not tensor.requires_grad))
        return gated

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *ctx.on_backward(gradients)


class Boundary:
    """The identity nodes around one call of a module.

    Gradients reach the output node first. This node runs the pre-hooks and stores the resulting gradients. The input
    node runs the hooks with the gradients of the inputs and of the outputs. If no input needs a gradient, there is no
    input node, and the output node runs all hooks.
    """

    def __init__(self, module: Any, pre_hooks: tuple[Hook, ...], hooks: tuple[Hook, ...]) -> None:
        self.module, self.pre_hooks, self.hooks = module, pre_hooks, hooks
        self.input_count = 0
        self.watches_inputs = False
        self.grad_output: Gradients | None = None

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return ``args`` with their tensors passed through an identity node."""
        self.input_count = len(args)
        watched, self.watches_inputs = _pass_through(args, self._run_at_inputs)
        return watched

    def watch_outputs(self, result: Any) -> Any:
        """Return ``result``, a tensor or a tuple with tensors, passed through an identity node."""
        if isinstance(result, tuple):
            watched, _ = _pass_through(result, self._run_at_outputs)
            return type(result)(*watched) if hasattr(result, "_fields") else watched
        if isinstance(result, Tensor):
            return _pass_through((result,), self._run_at_outputs)[0][0]
        warnings.warn(
            "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
            f"but received {type(result)}",
            stacklevel=4,
        )
        return result

    def _run_at_outputs(self, grad_output: Gradients) -> Gradients:
        for hook in self.pre_hooks:
            grad_output = _replace_gradients(hook(self.module, grad_output), grad_output, "pre hook", "grad_output")
        self.grad_output = grad_output
        if not self.watches_inputs:
            given = self._run_at_inputs((None,) * self.input_count)
            if any(gradient is not None for gradient in given):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for "
                    "all gradients."
                )
        return grad_output

    def _run_at_inputs(self, grad_input: Gradients) -> Gradients:
        if self.grad_output is None:  # no gradient reached the outputs, as in double backward
            return grad_input
        for hook in self.hooks:
            replacement = hook(self.module, grad_input, self.grad_output)
            grad_input = _replace_gradients(replacement, grad_input, "hook", "grad_input")
        self.grad_output = None
        return grad_input


def _pass_through(values: tuple[Any, ...], notify: Callable[[Gradients], Gradients]) -> tuple[tuple[Any, ...], bool]:
    """Return ``values`` with tensors passed through an identity node, and True if autograd records any of them.

    Args:
        notify: function that receives the gradients of ``values`` and returns the gradients to use.
    """
    positions = [position for position, value in enumerate(values) if isinstance(value, Tensor)]
    if not any(values[position].requires_grad for position in positions):
        return values, False

    def on_backward(gradients: Gradients) -> Gradients:
        spread: list[Tensor | None] = [None] * len(values)
        for position, gradient in zip(positions, gradients, strict=True):
            spread[position] = gradient
        result = notify(tuple(spread))
        return tuple(result[position] for position in positions)

    gated = BackwardHookFunction.apply(on_backward, *(values[position] for position in positions))
    out = list(values)
    for position, tensor in zip(positions, gated, strict=True):
        out[position] = tensor
    return tuple(out), any(tensor.grad_fn is not None for tensor in gated)


def _replace_gradients(replacement: Any, gradients: Gradients, hook: str, name: str) -> Gradients:
    if replacement is None:
        return gradients
    if isinstance(replacement, Tensor):
        replacement = (replacement,)
    if len(replacement) != len(gradients):
        raise RuntimeError(
            f"Backward {hook} returned an invalid number of {name}, "
            f"got {len(replacement)}, but expected {len(gradients)}"
        )
    return tuple(replacement)


def watch_last_operation(module: Any, result: Any, hooks: tuple[Hook, ...]) -> None:
    """Register ``hooks`` on the graph node that computed the first tensor in ``result``, the module's output."""
    while not isinstance(result, Tensor):
        if not result or not isinstance(result, (tuple, list, dict)):
            return
        result = next(iter(result.values() if isinstance(result, dict) else result))
    if result.grad_fn is None:
        return
    for hook in hooks:
        result.grad_fn.register_hook(partial(hook, module))
