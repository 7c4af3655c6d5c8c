"""VGG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._initialization import init_convolutional
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

# Channels of 3x3 convolutions. M is a pooling layer that halves the size. The keys are the columns of table 1 of the
# paper.
_CONFIGURATIONS = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


class VGG(nn.Module):
    """VGG: a sequence of convolutions, then three linear layers.

    Args:
        features: the convolutions, with 512 output channels; see :func:`make_layers`.
        num_classes: number of classes.
        init_weights: if True, initialise the weights as torchvision does; otherwise as the layers do by default.
        dropout: probability of the dropouts after the first two linear layers.

    Shapes: ``(N, 3, H, W)``, with H and W at least 32 (224 in the paper); the result is ``(N, num_classes)``.
    Source: Simonyan and Zisserman 2014, arXiv:1409.1556.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = VGG(make_layers([64, "M", 128, "M", 512, "M"]), num_classes=10, init_weights=False)
    >>> model(fb.zeros(1, 3, 32, 32, device="meta")).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            init_convolutional(self)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.avgpool(self.features(x))
        scores: fb.Tensor = self.classifier(fb.flatten(features, 1))
        return scores


def make_layers(cfg: Sequence[str | int], batch_norm: bool = False) -> nn.Sequential:
    """Build a sequence of 3x3 convolutions with ReLU, and pooling layers.

    Args:
        cfg: the number of channels for each convolution, and ``"M"`` for each pooling layer.
        batch_norm: if True, a batch normalisation follows each convolution.
    """
    layers: list[nn.Module] = []
    channels = 3
    for entry in cfg:
        if entry == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, int(entry), kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(int(entry)))
        layers.append(nn.ReLU(inplace=True))
        channels = int(entry)
    return nn.Sequential(*layers)


def _vgg(configuration: str, batch_norm: bool = False, **options: Any) -> VGG:
    return VGG(make_layers(_CONFIGURATIONS[configuration].split(), batch_norm), **options)


@register_model
def vgg11(**options: Any) -> VGG:
    """Build :class:`VGG` with 8 convolutions (132,863,336 parameters)."""
    return _vgg("A", **options)


@register_model
def vgg11_bn(**options: Any) -> VGG:
    """Build :class:`VGG` with 8 convolutions and batch normalisation (132,868,840 parameters)."""
    return _vgg("A", batch_norm=True, **options)


@register_model
def vgg13(**options: Any) -> VGG:
    """Build :class:`VGG` with 10 convolutions (133,047,848 parameters)."""
    return _vgg("B", **options)


@register_model
def vgg13_bn(**options: Any) -> VGG:
    """Build :class:`VGG` with 10 convolutions and batch normalisation (133,053,736 parameters)."""
    return _vgg("B", batch_norm=True, **options)


@register_model
def vgg16(**options: Any) -> VGG:
    """Build :class:`VGG` with 13 convolutions (138,357,544 parameters)."""
    return _vgg("D", **options)


@register_model
def vgg16_bn(**options: Any) -> VGG:
    """Build :class:`VGG` with 13 convolutions and batch normalisation (138,365,992 parameters)."""
    return _vgg("D", batch_norm=True, **options)


@register_model
def vgg19(**options: Any) -> VGG:
    """Build :class:`VGG` with 16 convolutions (143,667,240 parameters)."""
    return _vgg("E", **options)


@register_model
def vgg19_bn(**options: Any) -> VGG:
    """Build :class:`VGG` with 16 convolutions and batch normalisation (143,678,248 parameters)."""
    return _vgg("E", batch_norm=True, **options)
