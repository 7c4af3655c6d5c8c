"""Decompositions of layers into other operators."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._decompositions import DECOMPOSITIONS, decomposes


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


@decomposes
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return _scaled(flambeau.einsum("...i,oij,...j->...o", input1, weight, input2), None, bias)


@decomposes
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    groups = input.reshape(input.shape[0], num_groups, -1)
    x = flambeau.nn.functional.instance_norm(groups, eps=eps).reshape(input.shape)
    per_channel = (-1, *[1] * (input.ndim - 2))
    return _scaled(x, *(None if p is None else p.reshape(per_channel) for p in (weight, bias)))


@decomposes
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = flambeau.finfo(input.dtype).eps if eps is None else eps
    return _scaled(input / ((input * input).mean(dims, keepdim=True) + eps).sqrt(), weight, None)


@decomposes
def _scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Compute attention with a matrix of all scores. Source: Vaswani et al. 2017, arXiv:1706.03762."""
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = flambeau.ones(query.shape[-2], key.shape[-2], dtype=flambeau.bool).tril()
    if attn_mask is not None and attn_mask.dtype == flambeau.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1) @ value


# Images


@decomposes
def _unfold_windows(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Decompose ``nn.functional.unfold``, which returns the sliding windows of an image as columns."""
    pairs = [(x, x) if isinstance(x, int) else tuple(x) for x in (kernel_size, dilation, padding, stride)]
    (rows, columns), (pad_rows, pad_columns) = pairs[0], pairs[2]
    x: Tensor = flambeau.nn.functional.pad(input, (pad_columns, pad_columns, pad_rows, pad_rows))
    counts = []
    for index, (kernel, dilated, _, step) in enumerate(zip(*pairs, strict=True)):
        dim = -2 if index == 0 else -1
        count = (x.shape[dim] - dilated * (kernel - 1) - 1) // step + 1
        starts, offsets = flambeau.arange(count) * step, flambeau.arange(kernel) * dilated
        x = x.index_select(dim, (offsets.unsqueeze(1) + starts).reshape(-1))  # order: (offset, window)
        counts.append(count)
    lead = x.shape[:-2]
    x = x.reshape(*lead, rows, counts[0], columns, counts[1]).transpose(-3, -2)  # (*, C, rows, columns, y, x)
    return x.reshape(*lead[:-1], -1, counts[0] * counts[1])


@decomposes
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    if dim is None:
        dim = next(d for d, size in enumerate(input.shape) if size == 3)
    a, b = input.unbind(dim), other.unbind(dim)
    return flambeau.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)], dim)


@decomposes
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    difference = input - target
    squares: Tensor = difference * difference
    return squares if reduction == "none" else squares.sum() if reduction == "sum" else squares.mean()


@decomposes
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    r, n = upscale_factor, input.ndim
    x = input.unflatten(-3, (-1, r, r))  # (..., C, r, r, H, W)
    lead = tuple(range(n - 3))
    return x.permute(*lead, n - 3, n, n - 2, n + 1, n - 1).flatten(-2, -1).flatten(-3, -2)


@decomposes
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    r, n = downscale_factor, input.ndim
    x = input.unflatten(-1, (-1, r)).unflatten(-3, (-1, r))  # (..., C, H, r, W, r)
    lead = tuple(range(n - 3))
    return x.permute(*lead, n - 3, n - 1, n + 1, n - 2, n).flatten(-5, -3)


def windows(size: int, count: int) -> Tensor:
    """Return the weights ``(count, size)`` of adaptive average pooling from ``size`` to ``count`` elements."""
    rows = [[(i * size) // count, -(-(i + 1) * size // count)] for i in range(count)]
    return flambeau.tensor([[(a <= j < b) / (b - a) for j in range(size)] for a, b in rows])


def _adaptive_average(input: Tensor, output_size: Any, *, spatial: int) -> Tensor:
    wanted = [output_size] * spatial if isinstance(output_size, int) else list(output_size)
    for d, count in zip(range(-spatial, 0), wanted, strict=True):
        if count == 1:
            input = input.mean(d, keepdim=True)
        elif count not in (None, input.shape[d]):
            input = (input.transpose(d, -1) @ windows(input.shape[d], count).to(input.dtype).t()).transpose(d, -1)
    return input


for _name, _spatial in (("adaptive_avg_pool1d", 1), ("_adaptive_avg_pool2d", 2), ("_adaptive_avg_pool3d", 3)):
    DECOMPOSITIONS[_name] = functools.partial(_adaptive_average, spatial=_spatial)
