"""The Swin transformer and its second version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import flambeau as fb
from flambeau import nn
from flambeau.nn._leaf_functions import wrap

from ..ops._layers import MLP, Permute, StochasticDepth
from ._published import published_in
from ._registry import register_model
from ._window_attention import ShiftedWindowAttention, ShiftedWindowAttentionV2, Sizes

__getattr__ = published_in(__name__)

Layer = Callable[..., Any]


@wrap
def _patch_merging_pad(x: fb.Tensor) -> fb.Tensor:
    """Concatenate the channels of each 2x2 block of pixels. Odd sizes are padded with zeros."""
    x = nn.functional.pad(x, (0, 0, 0, x.shape[-2] % 2, 0, x.shape[-3] % 2))
    return fb.cat([x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)], -1)


class PatchMerging(nn.Module):
    """Downsampling layer that merges 2x2 pixels: ``(..., H, W, C)`` gives ``(..., H / 2, W / 2, 2 C)``."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.reduction(self.norm(_patch_merging_pad(x)))
        return result


class PatchMergingV2(PatchMerging):
    """Variant of :class:`PatchMerging` that normalises after the reduction."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__(dim, norm_layer)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.norm(self.reduction(_patch_merging_pad(x)))
        return result


class SwinTransformerBlock(nn.Module):
    """Attention within windows, and a perceptron. Both have a normalisation and a residual connection.

    Args:
        dim, num_heads, window_size, shift_size: as in :class:`ShiftedWindowAttention`.
        mlp_ratio: ratio of the perceptron's hidden channels to ``dim``.
        dropout, attention_dropout: dropout probabilities.
        stochastic_depth_prob: probability of skipping the attention or the perceptron.
        norm_layer, attn_layer: classes of the normalisation and the attention; by default LayerNorm and the attention
            of the version.
    """

    attention: ClassVar[Layer] = ShiftedWindowAttention

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sizes,
        shift_size: Sizes,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Layer = nn.LayerNorm,
        attn_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        drops = {"attention_dropout": attention_dropout, "dropout": dropout}
        self.norm1 = norm_layer(dim)
        self.attn = (attn_layer or self.attention)(dim, window_size, shift_size, num_heads, **drops)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, dropout=dropout)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        result: fb.Tensor = x + self.stochastic_depth(self.mlp(self.norm2(x)))
        return result


class SwinTransformerBlockV2(SwinTransformerBlock):
    """Variant of :class:`SwinTransformerBlock` that normalises after the attention and after the perceptron."""

    attention = ShiftedWindowAttentionV2

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        result: fb.Tensor = x + self.stochastic_depth(self.norm2(self.mlp(x)))
        return result


def swin_stages(
    dim: int,
    depths: Sizes,
    num_heads: Sizes,
    stochastic_depth_prob: float,
    downsample_layer: Layer,
    block: Layer,
    *,
    window_size: Sizes,
    norm_layer: Layer,
    **options: Any,
) -> tuple[list[nn.Module], int]:
    """Return the stages with downsampling layers between them, and the number of channels of the last stage.

    Every second block shifts its windows. The probability of dropping a block grows from the first block to the last.
    """
    shifts = ([0] * len(window_size), [side // 2 for side in window_size])
    options |= {"window_size": window_size, "norm_layer": norm_layer}
    layers: list[nn.Module] = []
    total = sum(depths)
    rates = (stochastic_depth_prob * index / max(total - 1, 1) for index in range(total))
    for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        if stage:
            layers.append(downsample_layer(dim, norm_layer))
            dim *= 2
        blocks = [
            block(dim, heads, shift_size=shifts[i % 2], stochastic_depth_prob=next(rates), **options)
            for i in range(depth)
        ]
        layers.append(nn.Sequential(*blocks))
    return layers, dim


def init_linear(model: nn.Module) -> None:
    """Initialise all linear layers with truncated normal weights and zero biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class SwinTransformer(nn.Module):
    """Swin transformer: attention within windows. Every second block shifts the windows.

    Each stage has half the size of the previous stage.

    Args:
        patch_size: height and width of the patches of the image.
        embed_dim: number of channels of the first stage.
        depths, num_heads: numbers of blocks and heads of each stage.
        window_size: height and width of the windows.
        mlp_ratio: ratio of the perceptrons' hidden channels to the channels of the stage.
        dropout, attention_dropout: dropout probabilities.
        stochastic_depth_prob: stochastic-depth probability of the last block; smaller for earlier blocks.
        num_classes: number of classes.
        norm_layer: LayerNorm by default.
        block, downsample_layer: classes of the blocks and of the downsampling layers; they depend on the version.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 (in the second paper, 256); the result is ``(N, num_classes)``.
    Source: Liu et al. 2021, arXiv:2103.14030; the second version: Liu et al. 2021, arXiv:2111.09883.

    >>> model = SwinTransformer([4, 4], 16, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=10)
    >>> model(fb.zeros(1, 3, 32, 32)).shape
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
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        block: Layer | None = None,
        downsample_layer: Layer = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        norm = norm_layer or nn.LayerNorm
        size = (patch_size[0], patch_size[1])
        patches = nn.Conv2d(3, embed_dim, kernel_size=size, stride=size)
        stem = nn.Sequential(patches, Permute([0, 2, 3, 1]), norm(embed_dim))
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
        )
        self.features = nn.Sequential(stem, *layers)
        self.norm = norm(dim)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(dim, num_classes)
        init_linear(self)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.permute(self.norm(self.features(x)))
        scores: fb.Tensor = self.head(self.flatten(self.avgpool(features)))
        return scores


def _swin(dim: int, depth: int, window: int, drop: float, **options: Any) -> SwinTransformer:
    heads = [dim // 32 << stage for stage in range(4)]
    shape = ([4, 4], dim, [2, 2, depth, 2], heads, [window, window])
    return SwinTransformer(*shape, stochastic_depth_prob=options.pop("stochastic_depth_prob", drop), **options)


_V2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}


@register_model
def swin_t(**options: Any) -> SwinTransformer:
    """Build the tiny variant of :class:`SwinTransformer` (28,288,354 parameters)."""
    return _swin(96, 6, 7, 0.2, **options)


@register_model
def swin_s(**options: Any) -> SwinTransformer:
    """Build the small variant of :class:`SwinTransformer` (49,606,258 parameters)."""
    return _swin(96, 18, 7, 0.3, **options)


@register_model
def swin_b(**options: Any) -> SwinTransformer:
    """Build the base variant of :class:`SwinTransformer` (87,768,224 parameters)."""
    return _swin(128, 18, 7, 0.5, **options)


@register_model
def swin_v2_t(**options: Any) -> SwinTransformer:
    """Build the tiny variant of :class:`SwinTransformer`, version 2 (28,351,570 parameters)."""
    return _swin(96, 6, 8, 0.2, **{**_V2, **options})


@register_model
def swin_v2_s(**options: Any) -> SwinTransformer:
    """Build the small variant of :class:`SwinTransformer`, version 2 (49,737,442 parameters)."""
    return _swin(96, 18, 8, 0.3, **{**_V2, **options})


@register_model
def swin_v2_b(**options: Any) -> SwinTransformer:
    """Build the base variant of :class:`SwinTransformer`, version 2 (87,930,848 parameters)."""
    return _swin(128, 18, 8, 0.5, **{**_V2, **options})
