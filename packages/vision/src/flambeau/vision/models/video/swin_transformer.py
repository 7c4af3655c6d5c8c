"""Swin transformers over windows of image and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .._published import published_in
from .._registry import register_model
from ..swin_transformer import PatchMerging, SwinTransformerBlock

__all__ = ["PatchEmbed3d", "ShiftedWindowAttention3d", "SwinTransformer3d", "swin3d_b", "swin3d_s", "swin3d_t"]

__getattr__ = published_in(__name__)

Layer = Callable[..., nn.Module]
Sizes = Sequence[int]


def _padded(x: fb.Tensor, sizes: Sizes, multiples: Sizes, behind: int) -> fb.Tensor:
    """Zeros behind each of three dimensions, up to a multiple; ``behind`` further ones follow them."""
    missing = [-size % multiple for size, multiple in zip(sizes, multiples, strict=True)]
    return nn.functional.pad(x, [0] * (2 * behind) + [side for each in reversed(missing) for side in (0, each)])


def _windows(x: fb.Tensor, window: Sizes) -> fb.Tensor:
    """``(N, T, H, W, C)`` to ``(N, windows, pixels of a window, C)``."""
    counts = [size // side for size, side in zip(x.shape[1:4], window, strict=True)]
    sides = (n for pair in zip(counts, window, strict=True) for n in pair)
    tiles = x.reshape(len(x), *sides, x.shape[-1]).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return tiles.reshape(len(x), math.prod(counts), math.prod(window), x.shape[-1])


def _from_windows(x: fb.Tensor, sizes: Sizes, window: Sizes) -> fb.Tensor:
    """What :func:`_windows` was made of, ``(N, *sizes, C)``."""
    counts = [size // side for size, side in zip(sizes, window, strict=True)]
    tiles = x.reshape(len(x), *counts, *window, x.shape[-1]).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return tiles.reshape(len(x), *sizes, x.shape[-1])


class ShiftedWindowAttention3d(nn.Module):
    """Self-attention within the windows of a video, with a bias for how pixels lie to each other.

    Args:
        dim, num_heads: channels and heads.
        window_size, shift_size: of the windows, and by how much they are shifted; time, rows and columns.
        qkv_bias, proj_bias: whether the layers have biases.
        attention_dropout, dropout: their probabilities.
    Raises: ValueError for sizes that are not three numbers.

    Shapes: ``(N, T, H, W, dim)`` to the same. Windows are at most as large as the video.
    """

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
        if len(window_size) != 3 or len(shift_size) != 3:
            raise ValueError(f"window_size and shift_size must be of length 3, got {window_size} and {shift_size}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        offsets = math.prod(2 * side - 1 for side in window_size)
        self.relative_position_bias_table = nn.Parameter(fb.zeros(offsets, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _offsets(window_size))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        sizes = list(x.shape[1:4])
        window = [min(side, size) for side, size in zip(self.window_size, sizes, strict=True)]
        shift = [
            by if size > side else 0 for by, size, side in zip(self.shift_size, sizes, self.window_size, strict=True)
        ]
        padded = _padded(x, sizes, window, 1)
        wide = list(padded.shape[1:4])
        bias = self._position_bias(window)
        if any(shift):
            padded = padded.roll([-by for by in shift], (1, 2, 3))
            bias = bias + _apart(bias, wide, window, shift)
        query, key, value = (
            self.qkv(_windows(padded, window)).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        )
        drop = self.attention_dropout if self.training else 0.0
        attended = nn.functional.scaled_dot_product_attention(query, key, value, bias, drop)
        result = nn.functional.dropout(self.proj(attended.transpose(2, 3).flatten(3)), self.dropout, self.training)
        result = _from_windows(result, wide, window)
        if any(shift):
            result = result.roll(shift, (1, 2, 3))
        return result[:, : sizes[0], : sizes[1], : sizes[2]]

    def _position_bias(self, window: Sizes) -> fb.Tensor:
        """``(num_heads, pixels, pixels)``. Of smaller windows the pixels are those that a whole one begins with."""
        pixels = math.prod(window)
        index = self.relative_position_index[:pixels, :pixels].flatten()
        return self.relative_position_bias_table[index].view(pixels, pixels, -1).permute(2, 0, 1)


def _offsets(window: Sizes) -> fb.Tensor:
    """For each two pixels of a window, which of its offsets is between them: ``(pixels, pixels)``, int64."""
    places = fb.stack(fb.meshgrid(*(fb.arange(side) for side in window), indexing="ij")).flatten(1)
    index = fb.zeros(places.shape[1], places.shape[1], dtype=fb.int64)
    for at, side in zip(places, window, strict=True):
        index = index * (2 * side - 1) + at[:, None] - at + side - 1
    return index


def _apart(like: fb.Tensor, sizes: Sizes, window: Sizes, shift: Sizes) -> fb.Tensor:
    """-100 for two pixels that only the shift around the edges has put into one window, ``(windows, 1, n, n)``."""
    part = fb.zeros(1, *sizes, 1, dtype=fb.int64, device=like.device)
    for dimension, (size, by) in enumerate(zip(sizes, shift, strict=True)):
        around = (fb.arange(size, device=like.device) >= size - by).long()
        part = 2 * part + around.view([-1 if each == dimension + 1 else 1 for each in range(5)])
    own = _windows(part, window)[0, :, :, 0]
    return (own[:, None, :, None] != own[:, None, None, :]).to(like.dtype) * -100.0


class PatchEmbed3d(nn.Module):
    """Patches of a video as pixels: ``(N, in_channels, T, H, W)`` to ``(N, T', H', W', embed_dim)``."""

    def __init__(
        self, patch_size: Sizes, in_channels: int = 3, embed_dim: int = 96, norm_layer: Layer | None = None
    ) -> None:
        super().__init__()
        self.tuple_patch_size = (patch_size[0], patch_size[1], patch_size[2])
        self.proj = nn.Conv3d(in_channels, embed_dim, kernel_size=self.tuple_patch_size, stride=self.tuple_patch_size)
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        patches = self.proj(_padded(x, x.shape[2:], self.tuple_patch_size, 0))
        result: fb.Tensor = self.norm(patches.permute(0, 2, 3, 4, 1))
        return result


class SwinTransformer3d(nn.Module):
    """Stages of attention within windows, shifted in every other block, each of half the height and width of the last.

    Args:
        patch_size: time, rows and columns of the first patches.
        embed_dim: channels of the first stage.
        depths, num_heads: blocks and heads of each stage.
        window_size: time, rows and columns of the windows.
        mlp_ratio: of the perceptrons' inner channels to a stage's.
        dropout, attention_dropout: their probabilities.
        stochastic_depth_prob: with which the last block is left out; those before it with less.
        num_classes: how many scores come out.
        norm_layer: LayerNorm by default.
        block, downsample_layer, patch_embed: instead of the usual ones.

    Shapes: ``(N, 3, T, H, W)`` to ``(N, num_classes)``.
    Source: Liu et al. 2021, arXiv:2106.13230.
    """

    def __init__(
        self,
        patch_size: Sizes,
        embed_dim: int,
        depths: Sizes,
        num_heads: Sizes,
        window_size: Sizes,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 400,
        norm_layer: Layer | None = None,
        block: Layer | None = None,
        downsample_layer: Layer = PatchMerging,
        patch_embed: Layer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        norm, make = norm_layer or nn.LayerNorm, block or SwinTransformerBlock
        self.patch_embed = (patch_embed or PatchEmbed3d)(patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm)
        self.pos_drop = nn.Dropout(p=dropout)
        shifts = ([0, 0, 0], [side // 2 for side in window_size])
        options: dict[str, Any] = {"mlp_ratio": mlp_ratio, "dropout": dropout, "attention_dropout": attention_dropout}
        options |= {"norm_layer": norm, "attn_layer": ShiftedWindowAttention3d, "window_size": window_size}
        layers: list[nn.Module] = []
        total, done, dim = sum(depths), 0, embed_dim
        for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            if stage:
                layers.append(downsample_layer(dim, norm))
                dim *= 2
            drops = [stochastic_depth_prob * (done + i) / max(total - 1, 1) for i in range(depth)]
            blocks = (
                make(dim, heads, shift_size=shifts[i % 2], stochastic_depth_prob=drop, **options)
                for i, drop in enumerate(drops)
            )
            layers.append(nn.Sequential(*blocks))
            done += depth
        self.features = nn.Sequential(*layers)
        self.num_features = dim
        self.norm = norm(dim)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        scores: fb.Tensor = self.head(self.avgpool(features.permute(0, 4, 1, 2, 3)).flatten(1))
        return scores


def _swin(dim: int, depth: int, drop: float, **options: Any) -> SwinTransformer3d:
    heads = [dim // 32 << stage for stage in range(4)]
    shape = ([2, 4, 4], dim, [2, 2, depth, 2], heads, [8, 7, 7])
    return SwinTransformer3d(*shape, stochastic_depth_prob=options.pop("stochastic_depth_prob", drop), **options)


@register_model
def swin3d_t(**options: Any) -> SwinTransformer3d:
    """:class:`SwinTransformer3d`, tiny, 28,158,070 parameters."""
    return _swin(96, 6, 0.1, **options)


@register_model
def swin3d_s(**options: Any) -> SwinTransformer3d:
    """:class:`SwinTransformer3d`, small, 49,816,678 parameters."""
    return _swin(96, 18, 0.1, **options)


@register_model
def swin3d_b(**options: Any) -> SwinTransformer3d:
    """:class:`SwinTransformer3d`, base, 88,048,984 parameters."""
    return _swin(128, 18, 0.1, **options)
