"""Self-attention within the windows of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import nn
from flambeau.nn._leaf_functions import wrap


def relative_position_index(height: int, width: int) -> fb.Tensor:
    """For each two pixels of a window, which of its ``(2 height - 1) (2 width - 1)`` offsets is between them.

    Returns: ``(height * width, height * width)``, int64.

    >>> relative_position_index(1, 3)
    tensor([[2, 1, 0],
            [3, 2, 1],
            [4, 3, 2]])
    """
    rows, columns = (at.flatten() for at in fb.meshgrid(fb.arange(height), fb.arange(width), indexing="ij"))
    down, right = rows[:, None] - rows, columns[:, None] - columns
    return (down + height - 1) * (2 * width - 1) + right + width - 1


def windows(x: fb.Tensor, height: int, width: int) -> fb.Tensor:
    """The windows of images, ``(N, H, W, C)`` to ``(N, H / height * W / width, height * width, C)``."""
    n, rows, columns, channels = x.shape
    tiles = x.reshape(n, rows // height, height, columns // width, width, channels).transpose(2, 3)
    return tiles.reshape(n, (rows // height) * (columns // width), height * width, channels)


def from_windows(x: fb.Tensor, rows: int, columns: int, height: int, width: int) -> fb.Tensor:
    """The images that :func:`windows` were made of, ``(N, rows, columns, C)``."""
    tiles = x.reshape(len(x), rows // height, columns // width, height, width, x.shape[-1]).transpose(2, 3)
    return tiles.reshape(len(x), rows, columns, x.shape[-1])


class ShiftedWindowAttention(nn.Module):
    """Self-attention within the windows of an image, with a bias for how pixels lie to each other.

    Args:
        dim, num_heads: channels and heads.
        window_size, shift_size: of the windows, and by how much they are shifted; rows and columns.
        qkv_bias, proj_bias: whether the layers have biases.
        attention_dropout, dropout: their probabilities.
    Raises: ValueError for sizes that are not two numbers.

    Shapes: ``(N, H, W, dim)`` to the same.
    """

    relative_position_index: fb.Tensor

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError(f"window_size and shift_size must be of length 2, got {window_size} and {shift_size}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.make_position_bias()
        self.register_buffer("relative_position_index", relative_position_index(*window_size).flatten())

    def make_position_bias(self) -> None:
        """The parameters of :meth:`position_bias`, and the factor of the cosines where scores are such."""
        self.logit_scale: nn.Parameter | None = None
        offsets = (2 * self.window_size[0] - 1) * (2 * self.window_size[1] - 1)
        self.relative_position_bias_table = nn.Parameter(fb.empty(offsets, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def position_bias(self) -> fb.Tensor:
        """Each head's bias for each two pixels, ``(1, num_heads, pixels, pixels)``."""
        table, index = self.relative_position_bias_table, self.relative_position_index
        return _get_relative_position_bias(table, index, self.window_size)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        bias = self.position_bias()
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            self.window_size,
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
def _get_relative_position_bias(table: fb.Tensor, index: fb.Tensor, window_size: Sequence[int]) -> fb.Tensor:
    pixels = window_size[0] * window_size[1]
    return table[index].view(pixels, pixels, -1).permute(2, 0, 1).unsqueeze(0)


@wrap
def shifted_window_attention(
    input: fb.Tensor,
    qkv_weight: fb.Tensor,
    proj_weight: fb.Tensor,
    relative_position_bias: fb.Tensor,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: fb.Tensor | None = None,
    proj_bias: fb.Tensor | None = None,
    logit_scale: fb.Tensor | None = None,
    training: bool = True,
) -> fb.Tensor:
    """Self-attention within the windows of ``(N, H, W, C)``; with ``logit_scale`` the scores are cosines by a factor.

    A traced model has this as one node. See :class:`ShiftedWindowAttention`.
    """
    height, width = input.shape[1:3]
    size = (window_size[0], window_size[1])
    x = nn.functional.pad(input, (0, 0, 0, -width % size[1], 0, -height % size[0]))
    rows, columns = x.shape[1:3]
    sides = zip((rows, columns), size, shift_size, strict=True)
    shift = [by if side > window else 0 for side, window, by in sides]  # none where one window is all
    bias = relative_position_bias[0]
    if any(shift):
        x = x.roll((-shift[0], -shift[1]), (1, 2))
        bias = bias + _apart(bias, rows, columns, size, shift)
    if logit_scale is not None and qkv_bias is not None:  # there keys have no bias
        of_query, of_key, of_value = qkv_bias.chunk(3)
        qkv_bias = fb.cat([of_query, fb.zeros_like(of_key), of_value])
    qkv = nn.functional.linear(windows(x, *size), qkv_weight, qkv_bias)
    query, key, value = qkv.unflatten(-1, (3, num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
    if logit_scale is None:
        query = query * query.shape[-1] ** -0.5
    else:
        query = nn.functional.normalize(query, dim=-1) * logit_scale.clamp(max=math.log(100.0)).exp()
        key = nn.functional.normalize(key, dim=-1)
    drop = attention_dropout if training else 0.0
    x = nn.functional.scaled_dot_product_attention(query, key, value, bias, drop, scale=1.0)
    x = nn.functional.linear(x.transpose(2, 3).flatten(3), proj_weight, proj_bias)
    x = from_windows(nn.functional.dropout(x, dropout, training), rows, columns, *size)
    if any(shift):
        x = x.roll((shift[0], shift[1]), (1, 2))
    return x[:, :height, :width]


def _apart(like: fb.Tensor, rows: int, columns: int, size: tuple[int, int], shift: Sequence[int]) -> fb.Tensor:
    """-100 for two pixels that only the shift around the edges has put into one window, ``(windows, 1, n, n)``."""
    parts = []
    for length, window, by in ((rows, size[0], shift[0]), (columns, size[1], shift[1])):
        at = fb.arange(length, device=like.device)
        parts.append((at >= length - window).long() + (at >= length - by).long())
    part = windows((3 * parts[0][:, None] + parts[1])[None, :, :, None], *size)[0, :, :, 0]
    return (part[:, None, :, None] != part[:, None, None, :]).to(like.dtype) * -100.0


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Scores are cosines by a learnt factor, and the bias comes of a network of the logarithm of how pixels lie."""

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

    def position_bias(self) -> fb.Tensor:
        """Each head's bias for each two pixels, ``(1, num_heads, pixels, pixels)``."""
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * fb.sigmoid(_get_relative_position_bias(table, self.relative_position_index, self.window_size))
