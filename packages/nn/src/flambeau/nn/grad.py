"""Gradients of convolutions as functions of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from flambeau import Tensor, conv1d, conv2d, conv3d, enable_grad, zeros
from flambeau.autograd import grad

Size = int | Sequence[int]


def _of_input(convolution: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def gradient(
        input_size: Sequence[int],
        weight: Tensor,
        grad_output: Tensor,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Tensor:
        input = zeros(input_size, dtype=weight.dtype)
        return _gradient(convolution, input, weight, 0, grad_output, (stride, padding, dilation, groups))

    return _named(gradient, convolution, "input", "the input, which has ``input_size``,")


def _of_weight(convolution: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def gradient(
        input: Tensor,
        weight_size: Sequence[int],
        grad_output: Tensor,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Tensor:
        weight = zeros(weight_size, dtype=input.dtype)
        return _gradient(convolution, input, weight, 1, grad_output, (stride, padding, dilation, groups))

    return _named(gradient, convolution, "weight", "the weight, which has ``weight_size``,")


def _gradient(
    convolution: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    wanted: int,
    grad_output: Tensor,
    options: tuple[Any, ...],
) -> Tensor:
    operands = [input.detach(), weight.detach()]
    operands[wanted].requires_grad_()
    with enable_grad():
        stride, padding, dilation, groups = options
        output = convolution(*operands, None, stride, padding, dilation, groups)
    return cast(Tensor, grad(output, operands[wanted], grad_output)[0])


def _named(
    function: Callable[..., Tensor], convolution: Callable[..., Tensor], kind: str, what: str
) -> Callable[..., Tensor]:
    name = f"{convolution.__name__}_{kind}"
    function.__name__ = name
    function.__qualname__ = name
    function.__doc__ = (
        f"The gradient of `functional.{convolution.__name__}` with respect to {what} for a gradient ``grad_output`` of "
        "its output. Options as there."
    )
    return function


conv1d_input = _of_input(conv1d)
conv2d_input = _of_input(conv2d)
conv3d_input = _of_input(conv3d)
conv1d_weight = _of_weight(conv1d)
conv2d_weight = _of_weight(conv2d)
conv3d_weight = _of_weight(conv3d)
