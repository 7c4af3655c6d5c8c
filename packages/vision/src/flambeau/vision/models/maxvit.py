"""MaxViT."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops._layers import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ._published import published_in
from ._registry import register_model
from ._window_attention import relative_position_index

__getattr__ = published_in(__name__)

Layer = Callable[..., nn.Module]


class MBConv(nn.Module):
    """Inverted residual block: normalisation, expansion, a depthwise convolution, squeeze and excitation, projection.

    Args:
        in_channels, out_channels, stride: numbers of channels, and stride. If they change the shape, a pooling and a
            1x1 convolution adapt the input for the residual connection.
        expansion_ratio, squeeze_ratio: ratios of the numbers of inner and squeezed channels to ``out_channels``.
        activation_layer, norm_layer: activation and normalisation layers.
        p_stochastic_dropout: probability of skipping the convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Layer,
        norm_layer: Layer,
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        wide, few = int(out_channels * expansion_ratio), int(out_channels * squeeze_ratio)
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            pooling = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            self.proj = nn.Sequential(*pooling, nn.Conv2d(in_channels, out_channels, kernel_size=1))
        self.stochastic_depth = StochasticDepth(p_stochastic_dropout, "row")
        activated: dict[str, Any] = {"activation_layer": activation_layer, "norm_layer": norm_layer, "inplace": None}
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = Conv2dNormActivation(in_channels, wide, kernel_size=1, **activated)
        layers["conv_b"] = Conv2dNormActivation(wide, wide, stride=stride, groups=wide, **activated)
        layers["squeeze_excitation"] = SqueezeExcitation(wide, few, activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(wide, out_channels, kernel_size=1)
        self.layers = nn.Sequential(layers)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.proj(x) + self.stochastic_depth(self.layers(x))
        return result


class RelativePositionalMultiHeadAttention(nn.Module):
    """Self-attention within square windows, with a bias for the relative position of pixels.

    As for the published weights, scores are multiplied by ``feat_dim**-0.5`` instead of ``head_dim**-0.5``.

    Args:
        feat_dim, head_dim: number of features of all heads and of each head.
        max_seq_len: number of pixels of a window.
    Raises: ValueError unless ``feat_dim`` is a multiple of ``head_dim``.

    Shapes: ``(N, windows, max_seq_len, feat_dim)``; the result has the same shape.
    """

    relative_position_index: fb.Tensor

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.scale_factor = feat_dim**-0.5
        self.max_seq_len = max_seq_len
        side = int(max_seq_len**0.5)
        self.to_qkv = nn.Linear(feat_dim, 3 * feat_dim)
        self.merge = nn.Linear(feat_dim, feat_dim)
        self.relative_position_bias_table = nn.Parameter(fb.empty((2 * side - 1) ** 2, self.n_heads))
        self.register_buffer("relative_position_index", relative_position_index((side, side)))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self._at_once(x) if isinstance(x, fb.Tensor) else self._in_steps(x)

    def _at_once(self, x: fb.Tensor) -> fb.Tensor:
        query, key, value = self.to_qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self._position_bias()[0]
        attended = nn.functional.scaled_dot_product_attention(query, key, value, bias, scale=self.scale_factor)
        merged: fb.Tensor = self.merge(attended.transpose(2, 3).flatten(3))
        return merged

    def _in_steps(self, x: Any) -> fb.Tensor:
        """Compute the attention in separate steps for a traced model, so that the nodes have torchvision's names."""
        batch, parts, pixels, features = x.shape
        heads = (batch, parts, pixels, self.n_heads, self.head_dim)
        query, key, value = fb.chunk(self.to_qkv(x), 3, dim=-1)
        query = query.reshape(heads).permute(0, 1, 3, 2, 4)
        key = key.reshape(heads).permute(0, 1, 3, 2, 4)
        value = value.reshape(heads).permute(0, 1, 3, 2, 4)
        scores = fb.einsum("bghid,bghjd->bghij", query, key * self.scale_factor) + self._position_bias()
        attended = fb.einsum("bghij,bghjd->bghid", nn.functional.softmax(scores, dim=-1), value)
        merged: fb.Tensor = self.merge(attended.permute(0, 1, 3, 2, 4).reshape(batch, parts, pixels, features))
        return merged

    def _position_bias(self) -> fb.Tensor:
        index = self.relative_position_index.view(-1)
        bias = self.relative_position_bias_table[index].view(self.max_seq_len, self.max_seq_len, -1)
        return bias.permute(2, 0, 1).contiguous().unsqueeze(0)


class SwapAxes(nn.Module):
    """Layer that exchanges two dimensions."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """Layer that splits images ``(N, C, H, W)`` into windows ``(N, H / p[0] * W / p[1], p[0] * p[1], C)``."""

    def forward(self, x: fb.Tensor, p: tuple[int, int]) -> fb.Tensor:
        batch, channels, height, width = x.shape
        tiles = x.reshape(batch, channels, height // p[0], p[0], width // p[1], p[1]).permute(0, 2, 4, 3, 5, 1)
        return tiles.reshape(batch, (height // p[0]) * (width // p[1]), p[0] * p[1], channels)


class WindowDepartition(nn.Module):
    """Inverse of :class:`WindowPartition`, given the numbers of windows along the height and the width."""

    def forward(self, x: fb.Tensor, p: tuple[int, int], h_partitions: int, w_partitions: int) -> fb.Tensor:
        batch, _, _, channels = x.shape
        tiles = x.reshape(batch, h_partitions, w_partitions, *p, channels).permute(0, 5, 1, 3, 2, 4)
        return tiles.reshape(batch, channels, h_partitions * p[0], w_partitions * p[1])


class PartitionAttentionLayer(nn.Module):
    """Attention within parts of the image, and a perceptron. Both have a residual connection.

    Args:
        in_channels, head_dim: number of features of all heads and of each head.
        partition_size: number of rows and of columns of a part.
        partition_type: ``"window"`` for contiguous windows, ``"grid"`` for pixels on a grid over the whole image.
        grid_size: rows and columns of the image, multiples of ``partition_size``.
        mlp_ratio: ratio of the perceptron's hidden channels to ``in_channels``.
        activation_layer, norm_layer: activation of the perceptron, and normalisation before the attention.
        attention_dropout, mlp_dropout: dropout probabilities after the attention and after the perceptron.
        p_stochastic_dropout: probability of skipping the attention or the perceptron.
    Raises: ValueError for an unsupported type, and for a size that is not a multiple of ``partition_size``.

    Shapes: ``(N, in_channels, *grid_size)``; the result has the same shape.
    """

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: Layer,
        norm_layer: Layer,
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError(f"partition_type must be either 'grid' or 'window', got {partition_type!r}")
        if any(side % partition_size for side in grid_size):
            raise ValueError(f"grid size {grid_size} is not divisible by partition size {partition_size}")
        self.partition_type = partition_type
        self.grid_size = grid_size
        grid = partition_type == "grid"  # a part of a grid consists of the pixels at one position of all windows
        window_count = (grid_size[0] // partition_size, grid_size[1] // partition_size)
        self.p = window_count if grid else (partition_size, partition_size)
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.departition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, "row")

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        down, across = self.grid_size[0] // self.p[0], self.grid_size[1] // self.p[1]
        result: fb.Tensor = self.departition_op(self.departition_swap(x), self.p, down, across)
        return result


class MaxVitLayer(nn.Module):
    """MaxViT layer: :class:`MBConv`, then a :class:`PartitionAttentionLayer` for windows and one for a grid."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: tuple[int, int],
    ) -> None:
        super().__init__()
        ratios = (expansion_ratio, squeeze_ratio, stride)
        drops = (attention_dropout, mlp_dropout, p_stochastic_dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["MBconv"] = MBConv(
            in_channels, out_channels, *ratios, activation_layer, norm_layer, p_stochastic_dropout
        )
        for kind in ("window", "grid"):
            shape = (out_channels, head_dim, partition_size, kind, grid_size, mlp_ratio)
            layers[f"{kind}_attention"] = PartitionAttentionLayer(*shape, activation_layer, nn.LayerNorm, *drops)
        self.layers = nn.Sequential(layers)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.layers(x)
        return result


class MaxVitBlock(nn.Module):
    """Stage of MaxViT: a sequence of layers, of which the first halves the size."""

    def __init__(self, layers: Sequence[MaxVitLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class MaxVit(nn.Module):
    """MaxViT: four stages whose layers combine convolutions, attention within windows and attention over grids.

    Args:
        input_size: rows and columns of the images.
        stem_channels: number of channels of the first convolutions.
        partition_size: rows and columns of a window, and of a grid.
        block_channels, block_layers: channels and layers of each stage.
        head_dim: features of each head.
        stochastic_depth_prob: stochastic-depth probability of the last layer; smaller for earlier layers.
        norm_layer: normalisation of the convolutions; by default BatchNorm2d with ``eps=0.001`` and ``momentum=0.01``.
        activation_layer: activation of convolutions and perceptrons.
        squeeze_ratio, expansion_ratio: ratios of the numbers of squeezed and inner channels of the convolutions to the
            number of channels of the stage.
        mlp_ratio: ratio of the perceptrons' hidden channels to the channels of the stage.
        mlp_dropout, attention_dropout: dropout probabilities.
        num_classes: number of classes.
    Raises: ValueError if the image size of a stage is not a multiple of ``partition_size``.

    Shapes: ``(N, 3, *input_size)``; the result is ``(N, num_classes)``.
    Source: Tu et al. 2022, arXiv:2204.01697.

    >>> model = MaxVit(
    ...     input_size=(32, 32), stem_channels=4, partition_size=2, block_channels=[8, 16], block_layers=[1, 1],
    ...     head_dim=4, stochastic_depth_prob=0.1, num_classes=10,
    ... )
    >>> model(fb.zeros(1, 3, 32, 32)).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: Sequence[int],
        block_layers: Sequence[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Layer | None = None,
        activation_layer: Layer = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm = norm_layer or _NORM
        self.partition_size = partition_size
        stem: dict[str, Any] = {"norm_layer": norm, "activation_layer": activation_layer, "inplace": None}
        self.stem = nn.Sequential(
            Conv2dNormActivation(3, stem_channels, stride=2, **stem),
            Conv2dNormActivation(stem_channels, stem_channels, norm_layer=None, activation_layer=None),
        )
        options: dict[str, Any] = {
            "squeeze_ratio": squeeze_ratio,
            "expansion_ratio": expansion_ratio,
            "mlp_ratio": mlp_ratio,
            "norm_layer": norm,
            "activation_layer": activation_layer,
            "head_dim": head_dim,
            "mlp_dropout": mlp_dropout,
            "attention_dropout": attention_dropout,
            "partition_size": partition_size,
        }
        self.blocks = nn.ModuleList()
        size, inputs, done, last = _halved(input_size), stem_channels, 0, max(sum(block_layers) - 1, 1)
        for channels, count in zip(block_channels, block_layers, strict=True):
            size = _halved(size)
            layers = []
            for i in range(count):
                options |= {"stride": 1 if i else 2, "p_stochastic_dropout": stochastic_depth_prob * (done + i) / last}
                layers.append(MaxVitLayer(inputs, channels, grid_size=size, **options))
                inputs = channels
            self.blocks.append(MaxVitBlock(layers))
            done += count
        self.classifier = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(inputs)),
            *(nn.Linear(inputs, inputs), nn.Tanh(), nn.Linear(inputs, num_classes, bias=False)),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        scores: fb.Tensor = self.classifier(x)
        return scores


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


@register_model
def maxvit_t(**options: Any) -> MaxVit:
    """Build the tiny variant of :class:`MaxVit` for images of 224 pixels (30,919,624 parameters)."""
    options = {"input_size": (224, 224), "stochastic_depth_prob": 0.2, **options}
    shape: dict[str, Any] = {"block_channels": [64, 128, 256, 512], "block_layers": [2, 2, 5, 2], "head_dim": 32}
    return MaxVit(stem_channels=64, partition_size=7, **shape, **options)
