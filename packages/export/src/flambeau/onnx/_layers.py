"""Convolution, pooling, normalisation and interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau

from ._graph import Graph, Name, converts
from ._values import Value


def _each(value: Any, count: int) -> list[int]:
    """Return a list of one number per spatial dimension from an int or a sequence."""
    listed = [value] if isinstance(value, int) else list(value)
    return listed * count if len(listed) == 1 else listed


def _add_batch(g: Graph, input: Value, spatial: int) -> tuple[Any, bool]:
    """Return ``input`` with the batch dimension that ONNX requires, and True if this dimension was added."""
    if input.ndim == spatial + 2:
        return input, False
    return g.op("Unsqueeze", input, g.constant([0])), True


def _remove_batch(g: Graph, name: Name, alone: bool) -> Name:
    return g.op("Squeeze", name, g.constant([0])) if alone else name


# Convolutions


@converts("conv1d", "conv2d", "conv3d")
def convolution(
    g: Graph, input: Value, weight: Value, bias: Value | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Name:
    spatial = weight.ndim - 2
    images, alone = _add_batch(g, input, spatial)
    dilations, kernel = _each(dilation, spatial), weight.tensor.shape[2:]
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        pads = [*(t // 2 for t in total), *(t - t // 2 for t in total)]
    else:
        pads = _each(padding, spatial) * 2
    result = g.op(
        "Conv", images, weight, bias,
        kernel_shape=list(kernel), strides=_each(stride, spatial), pads=pads, dilations=dilations, group=groups,
    )  # fmt: skip
    return _remove_batch(g, result, alone)


@converts("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(
    g: Graph, input: Value, weight: Value, bias: Value | None, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Name:  # fmt: skip
    spatial = weight.ndim - 2
    images, alone = _add_batch(g, input, spatial)
    result = g.op(
        "ConvTranspose", images, weight, bias,
        kernel_shape=list(weight.tensor.shape[2:]), strides=_each(stride, spatial), pads=_each(padding, spatial) * 2,
        dilations=_each(dilation, spatial), group=groups, output_padding=_each(output_padding, spatial),
    )  # fmt: skip
    return _remove_batch(g, result, alone)


@converts("convolution")
def any_convolution(
    g: Graph, input: Value, weight: Value, bias: Value | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Name:  # fmt: skip
    if transposed:
        return transposed_convolution(g, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolution(g, input, weight, bias, stride, padding, dilation, groups)


# Pooling


def _pooled(
    g: Graph, kind: str, input: Value, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    **attributes: Any,
) -> Name:  # fmt: skip
    """Add a pooling node (``kind`` is the ONNX operator). ONNX needs the end padding of ceil_mode explicitly."""
    spatial = int(g.operator[-2])
    images, alone = _add_batch(g, input, spatial)
    kernel, strides = _each(kernel_size, spatial), _each(stride or kernel_size, spatial)
    pads, dilations = _each(padding, spatial), _each(dilation, spatial)
    ends = list(pads)
    if ceil_mode:
        shapes = zip(input.shape[-spatial:], kernel, strides, pads, dilations, strict=True)
        ends = [_end_padding(g, *shape) for shape in shapes]
    return _remove_batch(
        g,
        g.op(
            kind, images, kernel_shape=kernel, strides=strides, pads=[*pads, *ends], ceil_mode=int(ceil_mode),
            **({"dilations": dilations} if kind == "MaxPool" else {}), **attributes,
        ),
        alone,
    )  # fmt: skip


def _end_padding(g: Graph, size: Any, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Return the padding at the end of a dimension for a pool with ``ceil_mode=True``.

    PyTorch drops a last window that starts in the padding at the end, but some runtimes keep it. A smaller padding
    removes that window.
    """
    if not isinstance(size, int):
        return pad
    rest = size + 2 * pad - dilation * (kernel - 1) - 1
    is_dropped = rest % stride != 0 and -(-rest // stride) * stride >= size + pad
    if is_dropped and rest % stride > pad:
        raise NotImplementedError(f"{g.operator} with ceil_mode=True for a size of {size} cannot be exported")
    return pad - rest % stride if is_dropped else pad


@converts("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    g: Graph, input: Value, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    return_indices: bool = False,
) -> Name:  # fmt: skip
    if return_indices:
        raise NotImplementedError(f"{g.operator} with return_indices=True cannot be exported")
    return _pooled(g, "MaxPool", input, kernel_size, stride, padding, dilation, ceil_mode)


@converts("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(
    g: Graph, input: Value, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: Any = None,
) -> Name:  # fmt: skip
    if divisor_override is not None:
        raise NotImplementedError(f"{g.operator} with divisor_override cannot be exported")
    included = int(count_include_pad)
    return _pooled(g, "AveragePool", input, kernel_size, stride, padding, 1, ceil_mode, count_include_pad=included)


@converts("_adaptive_max_pool1d", "_adaptive_max_pool2d", "_adaptive_max_pool3d")
def adaptive_max_pool(g: Graph, input: Value, output_size: Any, **_: Any) -> Name:
    spatial = int(g.operator[-2])
    wanted = _each(output_size, spatial)
    images, alone = _add_batch(g, input, spatial)
    if all(count == 1 for count in wanted):
        return _remove_batch(g, g.op("GlobalMaxPool", images), alone)
    sizes = input.shape[-spatial:]
    if not all(isinstance(s, int) and s % count == 0 for s, count in zip(sizes, wanted, strict=True)):
        text = f"{g.operator} from {list(sizes)} to {list(wanted)} cannot be exported"
        raise NotImplementedError(f"{text}: the input sizes must be constant multiples of the output sizes")
    kernel = [int(str(s)) // count for s, count in zip(sizes, wanted, strict=True)]
    return _remove_batch(g, g.op("MaxPool", images, kernel_shape=kernel, strides=kernel), alone)


# Normalisation


@converts("batch_norm")
def batch_norm(
    g: Graph, input: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, training: bool, momentum: float, eps: float, **_: Any,
) -> Name:  # fmt: skip
    if training or running_mean is None or running_var is None:
        raise NotImplementedError("batch_norm with batch statistics cannot be exported: call model.eval() first")
    channels = running_mean.tensor.shape[0]
    scale = weight or g.constant(flambeau.ones(channels, dtype=input.dtype))
    shift = bias or g.constant(flambeau.zeros(channels, dtype=input.dtype))
    return g.op("BatchNormalization", input, scale, shift, running_mean, running_var, epsilon=float(eps))


@converts("instance_norm")
def instance_norm(
    g: Graph, input: Value, weight: Value | None, bias: Value | None, running_mean: Any, running_var: Any,
    use_input_stats: bool, momentum: float, eps: float, **_: Any,
) -> Name:  # fmt: skip
    if not use_input_stats:
        return batch_norm(g, input, weight, bias, running_mean, running_var, False, momentum, eps)
    channels = input.tensor.shape[1]
    scale = weight or g.constant(flambeau.ones(channels, dtype=input.dtype))
    shift = bias or g.constant(flambeau.zeros(channels, dtype=input.dtype))
    return g.op("InstanceNormalization", input, scale, shift, epsilon=float(eps))


@converts("layer_norm")
def layer_norm(
    g: Graph, input: Value, normalized_shape: Sequence[int], weight: Value | None, bias: Value | None, eps: float,
    **_: Any,
) -> Name:  # fmt: skip
    if any(not isinstance(size, int) for size in normalized_shape):
        raise NotImplementedError("layer_norm over dynamic dimensions cannot be exported")
    scale = weight or g.constant(flambeau.ones(tuple(normalized_shape), dtype=input.dtype))
    return g.op("LayerNormalization", input, scale, bias, axis=-len(normalized_shape), epsilon=float(eps))


# Images

INTERPOLATIONS = {"nearest": "nearest", "nearest-exact": "nearest", "linear": "linear", "bilinear": "linear"}
INTERPOLATIONS |= {"trilinear": "linear", "bicubic": "cubic"}


@converts("interpolate")
def interpolate(
    g: Graph, input: Value, size: Any, scale_factor: Any, mode: str, align_corners: bool | None,
    recompute_scale_factor: bool | None, antialias: bool,
) -> Name:  # fmt: skip
    if mode not in INTERPOLATIONS:
        raise NotImplementedError(f"interpolate with mode={mode!r} cannot be exported")
    spatial = input.ndim - 2
    if scale_factor is not None and not recompute_scale_factor:
        factors = list(scale_factor) if isinstance(scale_factor, tuple | list) else [scale_factor] * spatial
        scales, sizes = g.constant([1.0, 1.0, *map(float, factors)]), None
    else:
        scales, sizes = None, g.sizes([*input.shape[:2], *g.result.shape[2:]])
    corners = "align_corners" if align_corners else "asymmetric" if mode == "nearest" else "half_pixel"
    nearest = {"nearest": "floor", "nearest-exact": "round_prefer_ceil"}.get(mode)
    filtered = {"antialias": 1, "exclude_outside": 1} if antialias else {}
    return g.op(
        "Resize", input, None, scales, sizes, mode=INTERPOLATIONS[mode], coordinate_transformation_mode=corners,
        nearest_mode=nearest, cubic_coeff_a=-0.5 if antialias else -0.75, **filtered,
    )  # fmt: skip


@converts("grid_sample")
def grid_sample(g: Graph, input: Value, grid: Value, mode: Any, padding_mode: Any, align_corners: bool | None) -> Name:
    modes = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
    named = modes[mode] if g.opset >= 20 else mode
    return g.op(
        "GridSample", input, grid, mode=named, padding_mode=padding_mode, align_corners=int(bool(align_corners))
    )
