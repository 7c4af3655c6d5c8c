"""Decompositions of layers, which run if ``__torch_dispatch__`` is active. Note [Dispatch]."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor

from ._conversions import converted
from ._decompositions import decomposition, run


@decomposition("conv1d", "conv2d", "conv3d")
def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Call ``convolution`` with a batch dimension and with one number per spatial dimension."""
    spatial = weight.dim() - 2
    single = input.dim() == weight.dim() - 1
    if isinstance(padding, str):
        return _padded_by_name(input, weight, bias, stride, padding, dilation, groups)
    result = flambeau.convolution(
        input.unsqueeze(0) if single else input,
        weight,
        bias,
        _repeated(stride, spatial),
        _repeated(padding, spatial),
        _repeated(dilation, spatial),
        False,
        [0] * spatial,
        groups,
    )
    return result.squeeze(0) if single else result


def _repeated(value: Any, count: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values


def _padded_by_name(
    input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: str, dilation: Any, groups: int
) -> Tensor:
    spatial = weight.dim() - 2
    if padding == "valid":
        return _convolution(input, weight, bias, stride, 0, dilation, groups)
    total = [d * (k - 1) for d, k in zip(_repeated(dilation, spatial), weight.shape[2:], strict=True)]
    extra = [each % 2 for each in total]
    if any(extra):
        input = run("constant_pad_nd", "default", input, [side for each in reversed(extra) for side in (0, each)], 0)
    return _convolution(input, weight, bias, stride, [each // 2 for each in total], dilation, groups)


@decomposition("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Call ``convolution`` with ``transposed=True``, a batch dimension, and one number per spatial dimension."""
    spatial = weight.dim() - 2
    strides, paddings, dilations = (_repeated(each, spatial) for each in (stride, padding, dilation))
    single = input.dim() == weight.dim() - 1
    result = flambeau.convolution(
        input.unsqueeze(0) if single else input,
        weight,
        bias,
        strides,
        paddings,
        dilations,
        True,
        _repeated(output_padding, spatial),
        groups,
    )
    return result.squeeze(0) if single else result


@decomposition("softmax")
def _softmax(input: Tensor, dim: int, dtype: Any = None) -> Any:
    return run("_softmax", "default", input if dtype is None else converted(input, dtype), dim, False)


@decomposition("log_softmax")
def _log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Any:
    return run("_log_softmax", "default", input if dtype is None else converted(input, dtype), dim, False)


@decomposition("dropout")
def _dropout(input: Tensor, p: float = 0.5, train: bool = True, **options: Any) -> Tensor:
    train = options.get("training", train)
    if not train or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input * 0.0
    scale = flambeau.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input * scale


@decomposition("layer_norm")
def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    return run("native_layer_norm", "default", input, shape, weight, bias, eps)[0]
