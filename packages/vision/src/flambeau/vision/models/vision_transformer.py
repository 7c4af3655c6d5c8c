"""The vision transformer."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ..ops._layers import MLP, Conv2dNormActivation
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Norm = Callable[[int], nn.Module]
_LAYER_NORM: Norm = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """Configuration of a layer of a convolutional stem: a convolution, a normalisation and an activation."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


class _Perceptron(MLP):
    """Perceptron of a block. It also loads parameters with the names of published files."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for number, old in enumerate(("linear_1", "linear_2")):
            for name in ("weight", "bias"):
                if f"{prefix}{old}.{name}" in state_dict:
                    state_dict[f"{prefix}{3 * number}.{name}"] = state_dict.pop(f"{prefix}{old}.{name}")
        super()._load_from_state_dict(state_dict, prefix, *rest)


class EncoderBlock(nn.Module):
    """Self-attention and a perceptron. Both are preceded by a normalisation and have a residual connection."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm = _LAYER_NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = _Perceptron(hidden_dim, [mlp_dim, hidden_dim], activation_layer=nn.GELU, dropout=dropout)
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)  # type: ignore[arg-type]

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        fb._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        normal = self.ln_1(input)
        attended, _ = self.self_attention(normal, normal, normal, need_weights=False)
        x = self.dropout(attended) + input
        result: fb.Tensor = x + self.mlp(self.ln_2(x))
        return result


class Encoder(nn.Module):
    """Encoder that adds position embeddings to the tokens, and applies the blocks and a normalisation."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm = _LAYER_NORM,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(fb.empty(1, seq_length, hidden_dim))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        sizes = (num_heads, hidden_dim, mlp_dim, dropout, attention_dropout)
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", EncoderBlock(*sizes, norm_layer)) for i in range(num_layers))
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        fb._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        result: fb.Tensor = self.ln(self.layers(self.dropout(input + self.pos_embedding)))
        return result


class VisionTransformer(nn.Module):
    """Vision transformer over the patches of an image and a class token. A linear layer classifies the class token.

    Args:
        image_size, patch_size: sides of the image and of a patch in pixels. ``image_size`` must be a multiple of
            ``patch_size``.
        num_layers, num_heads, hidden_dim, mlp_dim: numbers of layers, heads, channels and hidden channels of the
            encoder.
        dropout, attention_dropout: dropout probabilities.
        num_classes: number of classes.
        representation_size: size of an additional layer before the last layer; None for no additional layer.
        norm_layer: LayerNorm with ``eps=1e-6`` by default.
        conv_stem_configs: layers that replace the patches (Xiao et al. 2021, arXiv:2106.14881). The product of their
            strides must be ``patch_size``.
    Raises: ValueError for incompatible sizes, AssertionError for images of another size.

    Shapes: ``(N, 3, image_size, image_size)``; the result is ``(N, num_classes)``.
    Source: Dosovitskiy et al. 2020, arXiv:2010.11929.

    >>> model = VisionTransformer(
    ...     image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10
    ... )
    >>> model.encoder.pos_embedding.shape, model(fb.zeros(1, 3, 32, 32)).shape
    (flambeau.Size([1, 17, 16]), flambeau.Size([1, 10]))
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Norm = _LAYER_NORM,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"Input shape indivisible by patch size! {image_size} is not a multiple of {patch_size}")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        self.conv_proj = (
            _patchify(patch_size, hidden_dim) if conv_stem_configs is None else _stem(conv_stem_configs, hidden_dim)
        )
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.class_token = nn.Parameter(fb.zeros(1, 1, hidden_dim))
        shape = (num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout)
        self.encoder = Encoder(self.seq_length, *shape, norm_layer)
        head = nn.Linear(representation_size or hidden_dim, num_classes)
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
            _truncated(heads["pre_logits"], hidden_dim)
        heads["head"] = head
        self.heads = nn.Sequential(heads)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        patches = self._process_input(x)
        batch = patches.shape[0]
        tokens = fb.cat([self.class_token.expand(batch, -1, -1), patches], dim=1)
        scores: fb.Tensor = self.heads(self.encoder(tokens)[:, 0])
        return scores

    def _process_input(self, x: fb.Tensor) -> fb.Tensor:
        """Convert the patches to tokens, ``(N, patches, hidden_dim)``."""
        batch, _, height, width = x.shape
        fb._assert(height == self.image_size, f"Wrong image height! Expected {self.image_size} but got {height}!")
        fb._assert(width == self.image_size, f"Wrong image width! Expected {self.image_size} but got {width}!")
        rows, columns = height // self.patch_size, width // self.patch_size
        image: fb.Tensor = self.conv_proj(x)
        return image.reshape(batch, self.hidden_dim, rows * columns).permute(0, 2, 1)


def _patchify(patch_size: int, hidden_dim: int) -> nn.Module:
    """Return the convolution that maps each patch to a token."""
    layer = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
    _truncated(layer, 3 * patch_size * patch_size)
    return layer


def _stem(configs: Sequence[ConvStemConfig], hidden_dim: int) -> nn.Module:
    """Return a stem of small convolutions. The last convolution has no activation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for i, config in enumerate(configs):
        layers[f"conv_bn_relu_{i}"] = Conv2dNormActivation(channels, **config._asdict())
        channels = config.out_channels
    last = layers["conv_last"] = nn.Conv2d(channels, hidden_dim, kernel_size=1)
    nn.init.normal_(last.weight, std=math.sqrt(2 / hidden_dim))
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(layers)


def _truncated(layer: Any, fan_in: int) -> None:
    nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / fan_in))
    nn.init.zeros_(layer.bias)


def _vit(patch: int, layers: int, heads: int, hidden: int, mlp: int, **options: Any) -> VisionTransformer:
    return VisionTransformer(options.pop("image_size", 224), patch, layers, heads, hidden, mlp, **options)


@register_model
def vit_b_16(**options: Any) -> VisionTransformer:
    """Build the base variant of :class:`VisionTransformer` with patches of 16x16 pixels (86,567,656 parameters)."""
    return _vit(16, 12, 12, 768, 3072, **options)


@register_model
def vit_b_32(**options: Any) -> VisionTransformer:
    """Build the base variant of :class:`VisionTransformer` with patches of 32x32 pixels (88,224,232 parameters)."""
    return _vit(32, 12, 12, 768, 3072, **options)


@register_model
def vit_l_16(**options: Any) -> VisionTransformer:
    """Build the large variant of :class:`VisionTransformer` with patches of 16x16 pixels (304,326,632 parameters)."""
    return _vit(16, 24, 16, 1024, 4096, **options)


@register_model
def vit_l_32(**options: Any) -> VisionTransformer:
    """Build the large variant of :class:`VisionTransformer` with patches of 32x32 pixels (306,535,400 parameters)."""
    return _vit(32, 24, 16, 1024, 4096, **options)


@register_model
def vit_h_14(**options: Any) -> VisionTransformer:
    """Build the huge variant of :class:`VisionTransformer` with patches of 14x14 pixels (632,045,800 parameters)."""
    return _vit(14, 32, 16, 1280, 5120, **options)
