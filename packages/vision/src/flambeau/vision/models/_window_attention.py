"""Self-attention within the windows of images and videos.

Windows have the dimensions rows and columns, or time, rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import flambeau as fb
from flambeau import nn
from flambeau.nn._leaf_functions import wrap

Sizes = Sequence[int]


def relative_position_index(window: Sizes) -> fb.Tensor:
    """Return an index of the relative position for each pair of pixels in a window.

    A side of length n has ``2 n - 1`` relative positions.

    Returns: ``(pixels, pixels)``, int64.

    >>> relative_position_index((1, 3))
    tensor([[2, 1, 0],
            [3, 2, 1],
            [4, 3, 2]])
    """
    index = fb.zeros(math.prod(window), math.prod(window), dtype=fb.int64)
    positions = fb.meshgrid(*(fb.arange(side) for side in window), indexing="ij")
    for position, side in zip(positions, window, strict=True):
        at = position.flatten()
        index = index * (2 * side - 1) + at[:, None] - at + side - 1
    return index


def pad_to_multiples(x: fb.Tensor, sizes: Sizes, multiples: Sizes, trailing: int) -> fb.Tensor:
    """Append zeros to dimensions up to ``multiples`` of the sizes. The last ``trailing`` dimensions are not padded."""
    missing = [-size % multiple for size, multiple in zip(sizes, multiples, strict=True)]
    return nn.functional.pad(x, [0] * (2 * trailing) + [side for each in reversed(missing) for side in (0, each)])


def windows(x: fb.Tensor, window: Sizes) -> fb.Tensor:
    """Split ``(N, *sizes, C)`` into windows: ``(N, windows, pixels per window, C)``."""
    n = len(window)
    counts = [size // side for size, side in zip(x.shape[1:-1], window, strict=True)]
    sides = (length for pair in zip(counts, window, strict=True) for length in pair)
    tiles = x.reshape(len(x), *sides, x.shape[-1]).permute(0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
    return tiles.reshape(len(x), math.prod(counts), math.prod(window), x.shape[-1])


def from_windows(x: fb.Tensor, sizes: Sizes, window: Sizes) -> fb.Tensor:
    """Invert :func:`windows`: return ``(N, *sizes, C)``."""
    n = len(window)
    counts = [size // side for size, side in zip(sizes, window, strict=True)]
    pairs = (dimension for k in range(1, n + 1) for dimension in (k, k + n))
    tiles = x.reshape(len(x), *counts, *window, x.shape[-1]).permute(0, *pairs, 2 * n + 1)
    return tiles.reshape(len(x), *sizes, x.shape[-1])


class ShiftedWindowAttention(nn.Module):
    """Self-attention within the windows of an image, with a bias for the relative position of pixels.

    Args:
        dim, num_heads: numbers of channels and heads.
        window_size, shift_size: size and shift of the windows, in rows and columns.
        qkv_bias, proj_bias: if True, the layers have biases.
        attention_dropout, dropout: dropout probabilities.
    Raises: ValueError for sizes that are not two numbers.

    Shapes: ``(N, H, W, dim)``; the result has the same shape.
    """

    dimensions: ClassVar[int] = 2
    relative_position_index: fb.Tensor

    def __init__(
        self,
        dim: int,
        window_size: Sizes,
        shift_size: Sizes,
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n = self.dimensions
        if len(window_size) != n or len(shift_size) != n:
            raise ValueError(f"window_size and shift_size must be of length {n}, got {window_size} and {shift_size}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.make_position_bias()
        self.register_buffer("relative_position_index", self.make_position_index())

    def make_position_index(self) -> fb.Tensor:
        """Return the buffer ``relative_position_index``, in the shape that published weights have."""
        return relative_position_index(self.window_size).flatten()

    def make_position_bias(self) -> None:
        """Create the parameters that :meth:`position_bias` reads. ``logit_scale`` is None unless scores are cosines."""
        self.logit_scale: nn.Parameter | None = None
        offsets = math.prod(2 * side - 1 for side in self.window_size)
        self.relative_position_bias_table = nn.Parameter(fb.empty(offsets, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def position_bias(self, window: Sizes) -> fb.Tensor:
        """Return the bias of each head for each pair of pixels: ``(1, num_heads, pixels, pixels)``."""
        return _get_relative_position_bias(self.relative_position_bias_table, self.relative_position_index, window)

    def window_for(self, x: fb.Tensor) -> Sizes:
        """Return the size of the windows of an input."""
        return self.window_size

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        window = self.window_for(x)
        bias = self.position_bias(window)
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            window,
            self.num_heads,
            self.shift_size,
            self.attention_dropout,
            self.dropout,
            self.qkv.bias,
            self.proj.bias,
            self.logit_scale,
            self.training,
        )


@wrap
def _get_relative_position_bias(table: fb.Tensor, index: fb.Tensor, window_size: Sizes) -> fb.Tensor:
    pixels = math.prod(window_size)
    return table[index].view(pixels, pixels, -1).permute(2, 0, 1).unsqueeze(0)


@wrap
def shifted_window_attention(
    input: fb.Tensor,
    qkv_weight: fb.Tensor,
    proj_weight: fb.Tensor,
    relative_position_bias: fb.Tensor,
    window_size: Sizes,
    num_heads: int,
    shift_size: Sizes,
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: fb.Tensor | None = None,
    proj_bias: fb.Tensor | None = None,
    logit_scale: fb.Tensor | None = None,
    training: bool = True,
) -> fb.Tensor:
    """Apply self-attention within the windows of ``(N, *sizes, C)``. With ``logit_scale``, scores are scaled cosines.

    In the graph of a traced model, this function is one node. See :class:`ShiftedWindowAttention`.
    """
    sizes, dimensions = input.shape[1:-1], tuple(range(1, input.ndim - 1))
    x = pad_to_multiples(input, sizes, window_size, 1)
    padded = x.shape[1:-1]
    # A dimension that fits into one window is not shifted.
    shift = [by if size > side else 0 for by, size, side in zip(shift_size, sizes, window_size, strict=True)]
    bias = relative_position_bias[0]
    if any(shift):
        x = x.roll([-by for by in shift], dimensions)
        bias = bias + _separation(bias, padded, window_size, shift)
    if logit_scale is not None and qkv_bias is not None:  # with cosine scores, keys have no bias
        of_query, of_key, of_value = qkv_bias.chunk(3)
        qkv_bias = fb.cat([of_query, fb.zeros_like(of_key), of_value])
    qkv = nn.functional.linear(windows(x, window_size), qkv_weight, qkv_bias)
    query, key, value = qkv.unflatten(-1, (3, num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
    if logit_scale is None:
        query = query * query.shape[-1] ** -0.5
    else:
        query = nn.functional.normalize(query, dim=-1) * logit_scale.clamp(max=math.log(100.0)).exp()
        key = nn.functional.normalize(key, dim=-1)
    drop = attention_dropout if training else 0.0
    x = nn.functional.scaled_dot_product_attention(query, key, value, bias, drop, scale=1.0)
    x = nn.functional.linear(x.transpose(2, 3).flatten(3), proj_weight, proj_bias)
    x = from_windows(nn.functional.dropout(x, dropout, training), padded, window_size)
    if any(shift):
        x = x.roll(shift, dimensions)
    return x[(slice(None), *(slice(size) for size in sizes))]


def _separation(like: fb.Tensor, sizes: Sizes, window: Sizes, shift: Sizes) -> fb.Tensor:
    """Return a mask ``(windows, 1, n, n)`` to add to the scores after a cyclic shift.

    The mask is -100 for two pixels that are in the same window only because the shift wraps around, otherwise 0.
    """
    part = fb.zeros(1, *sizes, 1, dtype=fb.int64, device=like.device)
    for dimension, (size, by) in enumerate(zip(sizes, shift, strict=True), start=1):
        wrapped = (fb.arange(size, device=like.device) >= size - by).long()
        part = 2 * part + wrapped.view([-1 if each == dimension else 1 for each in range(part.ndim)])
    region = windows(part, window)[0, :, :, 0]
    return (region[:, None, :, None] != region[:, None, None, :]).to(like.dtype) * -100.0


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Attention of Swin transformer V2.

    Scores are cosines times a learned factor. A network computes the biases from log-scaled relative positions.
    """

    relative_coords_table: fb.Tensor

    def make_position_bias(self) -> None:
        self.logit_scale = nn.Parameter(fb.full((self.num_heads, 1, 1), math.log(10.0)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, self.num_heads, bias=False)
        )
        sides = (fb.arange(1.0 - size, size) * (8 / (size - 1)) for size in self.window_size)
        offsets = fb.stack(fb.meshgrid(*sides, indexing="ij"), -1)
        table = offsets.sign() * (offsets.abs() + 1).log2() / 3
        self.register_buffer("relative_coords_table", table.unsqueeze(0))

    def position_bias(self, window: Sizes) -> fb.Tensor:
        """Return the bias of each head for each pair of pixels: ``(1, num_heads, pixels, pixels)``."""
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * fb.sigmoid(_get_relative_position_bias(table, self.relative_position_index, window))
