"""DenseNet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)


class _DenseLayer(nn.Module):
    """Layer of a dense block: a 1x1 and a 3x3 convolution of the concatenated outputs of all earlier layers."""

    def __init__(self, features: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(features, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = drop_rate

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Published files use old names, such as norm.1.weight for norm1.weight.
        for key in [key for key in state_dict if key.startswith(prefix)]:
            part, _, name = key.removeprefix(prefix).partition(".")
            if part in ("norm", "conv") and name[:2] in ("1.", "2."):
                state_dict[f"{prefix}{part}{name}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: list[fb.Tensor]) -> fb.Tensor:
        bottleneck = self.conv1(self.relu1(self.norm1(fb.cat(features, 1))))
        result: fb.Tensor = self.conv2(self.relu2(self.norm2(bottleneck)))
        return nn.functional.dropout(result, self.drop_rate, self.training) if self.drop_rate > 0 else result


class _DenseBlock(nn.ModuleDict):
    """Sequence of layers. Each layer reads the concatenated outputs of all earlier layers."""

    def __init__(self, num_layers: int, features: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        for index in range(num_layers):
            layer = _DenseLayer(features + index * growth_rate, growth_rate, bn_size, drop_rate)
            self.add_module(f"denselayer{index + 1}", layer)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        features = [input]
        for layer in self.values():
            features.append(layer(features))
        return fb.cat(features, 1)


def _transition(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(inputs, outputs, kernel_size=1, stride=1, bias=False),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


class DenseNet(nn.Module):
    """DenseNet: dense blocks, in which each layer reads the outputs of all earlier layers.

    Transitions between blocks halve the number of channels and the image size.

    Args:
        growth_rate: number of channels that each layer adds.
        block_config: number of layers in each block.
        num_init_features: number of channels of the first convolution.
        bn_size: the number of inner channels of a layer is ``bn_size * growth_rate``.
        drop_rate: probability of the dropout after each layer.
        num_classes: number of classes.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Huang et al. 2016, arXiv:1608.06993.

    >>> model = DenseNet(growth_rate=4, block_config=[2, 2], num_init_features=8, num_classes=10)
    >>> model(fb.zeros(1, 3, 64, 64)).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        features = num_init_features
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, features, kernel_size=7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(features),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for number, layers in enumerate(block_config, 1):
            parts[f"denseblock{number}"] = _DenseBlock(layers, features, growth_rate, bn_size, drop_rate)
            features += layers * growth_rate
            if number != len(block_config):
                parts[f"transition{number}"] = _transition(features, features // 2)
                features //= 2
        parts["norm5"] = nn.BatchNorm2d(features)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(features, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(nn.functional.relu(self.features(x)), (1, 1))
        scores: fb.Tensor = self.classifier(fb.flatten(pooled, 1))
        return scores


@register_model
def densenet121(**options: Any) -> DenseNet:
    """Build :class:`DenseNet` with 121 layers (7,978,856 parameters)."""
    return DenseNet(32, (6, 12, 24, 16), 64, **options)


@register_model
def densenet161(**options: Any) -> DenseNet:
    """Build :class:`DenseNet` with 161 layers (28,681,000 parameters)."""
    return DenseNet(48, (6, 12, 36, 24), 96, **options)


@register_model
def densenet169(**options: Any) -> DenseNet:
    """Build :class:`DenseNet` with 169 layers (14,149,480 parameters)."""
    return DenseNet(32, (6, 12, 32, 32), 64, **options)


@register_model
def densenet201(**options: Any) -> DenseNet:
    """Build :class:`DenseNet` with 201 layers (20,013,928 parameters)."""
    return DenseNet(32, (6, 12, 48, 32), 64, **options)
