"""GoogLeNet."""

from __future__ import annotations

from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)


class GoogLeNetOutputs(NamedTuple):
    """Outputs in training mode: logits of the main classifier and of the two auxiliary classifiers.

    >>> GoogLeNetOutputs._fields
    ('logits', 'aux_logits2', 'aux_logits1')
    """

    logits: fb.Tensor
    aux_logits2: fb.Tensor | None
    aux_logits1: fb.Tensor | None


class BasicConv2d(nn.Module):
    """Sequence of a convolution, a batch normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **geometry: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **geometry)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return nn.functional.relu(self.bn(self.conv(x)), inplace=True)


def halfway_normalized(x: fb.Tensor) -> fb.Tensor:
    """Convert images from the normalisation of torchvision's other models to a mean and standard deviation of 0.5."""
    mean, std = (x.new_tensor(values).view(-1, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (x * std + mean - 0.5) / 0.5


class _Inception(nn.Module):
    """Inception module: parallel convolutions of several sizes and a pooling layer.

    The largest convolution is 3x3, as in torchvision's published weights; in the paper it is 5x5.
    """

    def __init__(self, inputs: int, one: int, to_three: int, three: int, to_five: int, five: int, pooled: int) -> None:
        super().__init__()

        def reduced(few: int, outputs: int) -> nn.Sequential:
            reduction = BasicConv2d(inputs, few, kernel_size=1)
            return nn.Sequential(reduction, BasicConv2d(few, outputs, kernel_size=3, padding=1))

        self.branch1 = BasicConv2d(inputs, one, kernel_size=1)
        self.branch2 = reduced(to_three, three)
        self.branch3 = reduced(to_five, five)
        pooling = nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pooling, BasicConv2d(inputs, pooled, kernel_size=1))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class _AuxiliaryHead(nn.Module):
    """Auxiliary classifier in the middle of the network, for stronger gradients in training."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = fb.flatten(self.conv(nn.functional.adaptive_avg_pool2d(x, (4, 4))), 1)
        scores: fb.Tensor = self.fc2(self.dropout(nn.functional.relu(self.fc1(x), inplace=True)))
        return scores


class GoogLeNet(nn.Module):
    """GoogLeNet: nine Inception modules of parallel convolutions, and two auxiliary classifiers for training.

    Args:
        num_classes: number of classes.
        aux_logits: if True, the model has auxiliary classifiers and returns :class:`GoogLeNetOutputs` in training mode.
        transform_input: if True, convert images from the normalisation of torchvision's other models.
        init_weights: if True, initialise the weights as torchvision does; otherwise as the layers do by default.
        dropout, dropout_aux: dropout probabilities before the last layer and in the auxiliary classifiers.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Szegedy et al. 2014, arXiv:1409.4842.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = GoogLeNet(num_classes=10, init_weights=False)
    >>> result = model(fb.zeros(1, 3, 224, 224, device="meta"))
    >>> result.logits.shape, result.aux_logits1.shape
    (flambeau.Size([1, 10]), flambeau.Size([1, 10]))
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = _Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = _Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = _Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = _Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = _Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = _Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = _Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = _Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = _Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = _AuxiliaryHead(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = _AuxiliaryHead(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if not self.aux_logits:  # published files contain auxiliary classifiers, which this model does not have
            for name in [name for name in state_dict if name.removeprefix(prefix).startswith(("aux1.", "aux2."))]:
                del state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: fb.Tensor) -> GoogLeNetOutputs | fb.Tensor:
        if self.transform_input:
            x = halfway_normalized(x)
        with_heads = self.training and self.aux_logits
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        x = self.inception4a(self.maxpool3(self.inception3b(self.inception3a(x))))
        first = self.aux1(x) if with_heads and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x) if with_heads and self.aux2 is not None else None
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        scores: fb.Tensor = self.fc(self.dropout(fb.flatten(self.avgpool(x), 1)))
        return GoogLeNetOutputs(scores, second, first) if with_heads else scores


@register_model
def googlenet(**options: Any) -> GoogLeNet:
    """Build :class:`GoogLeNet` (13,004,888 parameters, including the auxiliary classifiers)."""
    return GoogLeNet(**options)
