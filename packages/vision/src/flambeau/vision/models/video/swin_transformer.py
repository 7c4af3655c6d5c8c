"""Video Swin transformers: attention within windows over space and time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from .._published import published_in
from .._registry import register_video_model
from .._window_attention import (
    ShiftedWindowAttention,
    Sizes,
    _get_relative_position_bias,
    pad_to_multiples,
    relative_position_index,
)
from ..swin_transformer import PatchMerging, SwinTransformerBlock, init_linear, swin_stages

__all__ = ["PatchEmbed3d", "ShiftedWindowAttention3d", "SwinTransformer3d", "swin3d_b", "swin3d_s", "swin3d_t"]

__getattr__ = published_in(__name__)

Layer = Callable[..., nn.Module]


class ShiftedWindowAttention3d(ShiftedWindowAttention):
    """Self-attention within the windows of a video, with a bias for the relative position of pixels.

    Args:
        dim, num_heads: numbers of channels and heads.
        window_size, shift_size: size and shift of the windows, in time, rows and columns.
        qkv_bias, proj_bias: if True, the layers have biases.
        attention_dropout, dropout: dropout probabilities.
    Raises: ValueError for sizes that are not three numbers.

    Shapes: ``(N, T, H, W, dim)``; the result has the same shape. Windows are at most as large as the video.

    >>> attention = ShiftedWindowAttention3d(8, window_size=[2, 4, 4], shift_size=[1, 2, 2], num_heads=2)
    >>> attention(fb.zeros(1, 4, 8, 8, 8)).shape
    flambeau.Size([1, 4, 8, 8, 8])
    """

    dimensions = 3

    def make_position_index(self) -> fb.Tensor:
        return relative_position_index(self.window_size)

    def window_for(self, x: fb.Tensor) -> Sizes:
        return [min(side, size) for side, size in zip(self.window_size, x.shape[1:-1], strict=True)]

    def position_bias(self, window: Sizes) -> fb.Tensor:
        """Return the bias of each head for each pair of pixels.

        A window that is smaller than ``window_size`` uses the biases of the first pixels of a full window.
        """
        pixels = math.prod(window)
        index = self.relative_position_index[:pixels, :pixels].flatten()
        return _get_relative_position_bias(self.relative_position_bias_table, index, window)


class PatchEmbed3d(nn.Module):
    """Layer that maps the patches of a video ``(N, in_channels, T, H, W)`` to tokens ``(N, T', H', W', embed_dim)``.

    >>> PatchEmbed3d([2, 4, 4], embed_dim=16)(fb.zeros(1, 3, 8, 32, 32)).shape
    flambeau.Size([1, 4, 8, 8, 16])
    """

    def __init__(
        self, patch_size: Sizes, in_channels: int = 3, embed_dim: int = 96, norm_layer: Layer | None = None
    ) -> None:
        super().__init__()
        self.tuple_patch_size = (patch_size[0], patch_size[1], patch_size[2])
        self.proj = nn.Conv3d(in_channels, embed_dim, kernel_size=self.tuple_patch_size, stride=self.tuple_patch_size)
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        patches = self.proj(pad_to_multiples(x, x.shape[2:], self.tuple_patch_size, 0))
        result: fb.Tensor = self.norm(patches.permute(0, 2, 3, 4, 1))
        return result


class SwinTransformer3d(nn.Module):
    """Video Swin transformer: attention within windows. Every second block shifts the windows.

    Each stage has half the height and width of the previous stage.

    Args:
        patch_size: duration, height and width of the patches of the video.
        embed_dim: number of channels of the first stage.
        depths, num_heads: numbers of blocks and heads of each stage.
        window_size: duration, height and width of the windows.
        mlp_ratio: ratio of the perceptrons' hidden channels to the channels of the stage.
        dropout, attention_dropout: dropout probabilities.
        stochastic_depth_prob: stochastic-depth probability of the last block; smaller for earlier blocks.
        num_classes: number of classes.
        norm_layer: LayerNorm by default.
        block, downsample_layer, patch_embed: classes that replace the default layers.

    Shapes: ``(N, 3, T, H, W)``; the result is ``(N, num_classes)``.
    Source: Liu et al. 2021, arXiv:2106.13230.

    >>> model = SwinTransformer3d([2, 4, 4], 16, depths=[2], num_heads=[2], window_size=[2, 4, 4], num_classes=10)
    >>> model(fb.zeros(1, 3, 4, 16, 16)).shape
    flambeau.Size([1, 10])
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
        norm = norm_layer or nn.LayerNorm
        self.patch_embed = (patch_embed or PatchEmbed3d)(patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm)
        self.pos_drop = nn.Dropout(p=dropout)
        layers, dim = swin_stages(
            embed_dim,
            depths,
            num_heads,
            stochastic_depth_prob,
            downsample_layer,
            block or SwinTransformerBlock,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            dropout=dropout,
            attention_dropout=attention_dropout,
            norm_layer=norm,
            attn_layer=ShiftedWindowAttention3d,
        )
        self.features = nn.Sequential(*layers)
        self.num_features = dim
        self.norm = norm(dim)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(dim, num_classes)
        init_linear(self)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        scores: fb.Tensor = self.head(self.avgpool(features.permute(0, 4, 1, 2, 3)).flatten(1))
        return scores


def _swin(dim: int, depth: int, drop: float, **options: Any) -> SwinTransformer3d:
    heads = [dim // 32 << stage for stage in range(4)]
    shape = ([2, 4, 4], dim, [2, 2, depth, 2], heads, [8, 7, 7])
    return SwinTransformer3d(*shape, stochastic_depth_prob=options.pop("stochastic_depth_prob", drop), **options)


@register_video_model
def swin3d_t(**options: Any) -> SwinTransformer3d:
    """Build the tiny variant of :class:`SwinTransformer3d` (28,158,070 parameters)."""
    return _swin(96, 6, 0.1, **options)


@register_video_model
def swin3d_s(**options: Any) -> SwinTransformer3d:
    """Build the small variant of :class:`SwinTransformer3d` (49,816,678 parameters)."""
    return _swin(96, 18, 0.1, **options)


@register_video_model
def swin3d_b(**options: Any) -> SwinTransformer3d:
    """Build the base variant of :class:`SwinTransformer3d` (88,048,984 parameters)."""
    return _swin(128, 18, 0.1, **options)
