"""AlexNet."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)


class AlexNet(nn.Module):
    """AlexNet: five convolutions and three linear layers, with the sizes of Krizhevsky's paper of 2014.

    Args:
        num_classes: number of classes.
        dropout: probability of the dropouts before the first two linear layers.

    Shapes: ``(N, 3, H, W)``, with H and W at least 63 (224 in the paper); the result is ``(N, num_classes)``.
    Source: Krizhevsky 2014, arXiv:1404.5997.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = AlexNet(num_classes=10, dropout=0.2)
    >>> model.classifier[6], model(fb.zeros(1, 3, 224, 224, device="meta")).shape
    (Linear(in_features=4096, out_features=10, bias=True), flambeau.Size([1, 10]))
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.avgpool(self.features(x))
        scores: fb.Tensor = self.classifier(fb.flatten(features, 1))
        return scores


@register_model
def alexnet(**options: Any) -> AlexNet:
    """Build :class:`AlexNet` (61,100,840 parameters)."""
    return AlexNet(**options)
