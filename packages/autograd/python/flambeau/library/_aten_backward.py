"""Operators of ``flambeau.ops.aten`` that compute derivatives of other operators, as functions that call operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor


def _threshold(grad_output: Tensor, input: Tensor, threshold: float) -> Tensor:
    return flambeau.where(input <= threshold, 0, grad_output)


def _sigmoid(grad_output: Tensor, output: Tensor) -> Tensor:
    return grad_output * (output * (1 - output))


def _tanh(grad_output: Tensor, output: Tensor) -> Tensor:
    return grad_output * (1 - output * output)


def _silu(grad_output: Tensor, input: Tensor) -> Tensor:
    gate = flambeau.sigmoid(input)
    return grad_output * gate * (1 + input * (1 - gate))


def _gelu(grad_output: Tensor, input: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate == "none":
        slope = flambeau.special.ndtr(input) + input * flambeau.exp(-0.5 * input * input) / math.sqrt(2 * math.pi)
        return grad_output * slope
    scale = math.sqrt(2 / math.pi)
    bend = flambeau.tanh(scale * (input + 0.044715 * input**3))
    slope = 0.5 * (1 + bend) + 0.5 * input * (1 - bend * bend) * scale * (1 + 3 * 0.044715 * input**2)
    return grad_output * slope


def _softmax(grad_output: Tensor, output: Tensor, dim: int, input_dtype: Any) -> Tensor:
    weighted = grad_output * output
    return (weighted - output * weighted.sum(dim, keepdim=True)).to(input_dtype)


def _log_softmax(grad_output: Tensor, output: Tensor, dim: int, input_dtype: Any) -> Tensor:
    return (grad_output - flambeau.exp(output) * grad_output.sum(dim, keepdim=True)).to(input_dtype)


def _select(grad_output: Tensor, input_sizes: Sequence[int], dim: int, index: int) -> Tensor:
    whole = grad_output.new_zeros(input_sizes)
    return flambeau.select_scatter(whole, grad_output, dim, index)


def _slice(grad_output: Tensor, input_sizes: Sequence[int], dim: int, start: int, end: int, step: int) -> Tensor:
    whole = grad_output.new_zeros(input_sizes)
    return flambeau.slice_scatter(whole, grad_output, dim, start, end, step)


def _embedding(grad_output: Tensor, indices: Tensor, num_weights: int, padding_idx: int, scale: bool) -> Tensor:
    rows = grad_output.reshape(-1, grad_output.shape[-1])
    flat_indices = indices.reshape(-1)
    if padding_idx >= 0:
        rows = rows * (flat_indices != padding_idx).unsqueeze(1)
    if scale:
        rows = rows / flambeau.bincount(flat_indices, minlength=num_weights)[flat_indices].unsqueeze(1)
    return rows.new_zeros((num_weights, rows.shape[1])).index_add(0, flat_indices, rows)


def _convolution(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the input, the weight and the bias; None for those that ``output_mask`` excludes."""
    higher = flambeau.is_grad_enabled()
    sources = [
        (x.view_as(x) if higher and x.requires_grad else x.detach().requires_grad_()) if wanted else x
        for x, wanted in zip((input, weight), output_mask, strict=False)
    ]
    results: list[Any] = [None, None]
    if any(output_mask[:2]):
        with flambeau.enable_grad():
            x, w = sources
            result = flambeau.convolution(
                x, w, None, list(stride), list(padding), list(dilation), transposed, list(output_padding), groups
            )
            wanted = [x for x, needed in zip(sources, output_mask, strict=False) if needed]
            gradients = iter(flambeau.autograd.grad(result, wanted, grad_output, create_graph=higher))
        results = [next(gradients) if needed else None for needed in output_mask[:2]]
    dims = [0, *range(2, grad_output.dim())]
    return *results, grad_output.sum(dims) if output_mask[2] else None


OPERATORS: dict[str, Callable[..., Any]] = {
    "_log_softmax_backward_data": _log_softmax,
    "_softmax_backward_data": _softmax,
    "convolution_backward": _convolution,
    "embedding_dense_backward": _embedding,
    "gelu_backward": _gelu,
    "select_backward": _select,
    "sigmoid_backward": _sigmoid,
    "silu_backward": _silu,
    "slice_backward": _slice,
    "tanh_backward": _tanh,
    "threshold_backward": _threshold,
}
