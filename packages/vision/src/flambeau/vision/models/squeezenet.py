"""SqueezeNet."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)


class Fire(nn.Module):
    """Fire module: a 1x1 convolution to few channels, then parallel 1x1 and 3x3 convolutions."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        sides = [self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))]
        return fb.cat(sides, 1)


# For each version: channels and kernel size of the first convolution, and the modules. M is max pooling. A Fire module
# is written as the channels of the squeeze layer, a comma, and the channels of each of the two expand layers.
_FIRES = {
    "1_0": ((96, 7), "M 16,64 16,64 32,128 M 32,128 48,192 48,192 64,256 M 64,256"),
    "1_1": ((64, 3), "M 16,64 16,64 M 32,128 32,128 M 48,192 48,192 64,256 64,256"),
}


class SqueezeNet(nn.Module):
    """SqueezeNet: a small network with the accuracy of AlexNet and a fiftieth of its parameters.

    Args:
        version: ``"1_0"`` for the version of the paper, ``"1_1"`` for a version with about a third of the computation.
        num_classes: number of classes.
        dropout: probability of the dropout before the last convolution.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Iandola et al. 2016, arXiv:1602.07360.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = SqueezeNet("1_1", num_classes=10)
    >>> f"{sum(parameter.numel() for parameter in model.parameters()):,}"
    '727,626'
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _FIRES:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        (channels, kernel_size), modules = _FIRES[version]
        layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel_size=kernel_size, stride=2), nn.ReLU(inplace=True)]
        for entry in modules.split():
            if entry == "M":
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
                continue
            squeezed, expanded = map(int, entry.split(","))
            layers.append(Fire(channels, squeezed, expanded, expanded))
            channels = 2 * expanded
        self.features = nn.Sequential(*layers)
        final = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), final, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is final:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.flatten(self.classifier(self.features(x)), 1)


@register_model
def squeezenet1_0(**options: Any) -> SqueezeNet:
    """Build :class:`SqueezeNet` 1.0, the version of the paper (1,248,424 parameters)."""
    return SqueezeNet("1_0", **options)


@register_model
def squeezenet1_1(**options: Any) -> SqueezeNet:
    """Build :class:`SqueezeNet` 1.1, which needs less computation (1,235,496 parameters)."""
    return SqueezeNet("1_1", **options)
