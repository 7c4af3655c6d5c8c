"""MNASNet."""

from __future__ import annotations

from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ._initialization import init_convolutional, make_divisible
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

_NORM = partial(nn.BatchNorm2d, momentum=1 - 0.9997)  # TensorFlow's momentum is 1 minus PyTorch's


class _InvertedResidual(nn.Module):
    """Expansion, a depthwise convolution, and projection, with a residual connection if the shapes match."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.apply_residual = in_channels == out_channels and stride == 1
        self.layers = nn.Sequential(
            *(nn.Conv2d(in_channels, wide, 1, bias=False), _NORM(wide), nn.ReLU(inplace=True)),
            *_depthwise(wide, kernel_size, stride),
            *(nn.Conv2d(wide, out_channels, 1, bias=False), _NORM(out_channels)),
        )

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.layers(input)
        return result + input if self.apply_residual else result


def _depthwise(channels: int, kernel_size: int, stride: int) -> tuple[nn.Module, ...]:
    geometry = (kernel_size, stride, kernel_size // 2)
    conv = nn.Conv2d(channels, channels, *geometry, groups=channels, bias=False)
    return conv, _NORM(channels), nn.ReLU(inplace=True)


_CHANNELS = (32, 16, 24, 40, 80, 96, 192, 320)
_STACKS = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


class MNASNet(nn.Module):
    """MNASNet: a network that was found by an architecture search for mobile devices.

    This is the variant B1, without squeeze and excitation.

    Args:
        alpha: positive factor for the number of channels of each layer.
        num_classes: number of classes.
        dropout: probability of the dropout before the last layer.
    Raises: ValueError if ``alpha`` is not positive.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Tan et al. 2018, arXiv:1807.11626.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = MNASNet(alpha=0.35, num_classes=10)
    >>> model(fb.zeros(1, 3, 224, 224, device="meta")).shape
    flambeau.Size([1, 10])
    """

    _version = 2  # in torchvision's version 1, the number of channels of the stem does not depend on alpha

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        stem, first, *widths = (make_divisible(channels * alpha, 8) for channels in _CHANNELS)
        stacks, inputs = [], first
        for width, (kernel, stride, expansion, repeats) in zip(widths, _STACKS, strict=True):
            repeated = [_InvertedResidual(width, width, kernel, 1, expansion) for _ in range(repeats - 1)]
            stacks.append(nn.Sequential(_InvertedResidual(inputs, width, kernel, stride, expansion), *repeated))
            inputs = width
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False), _NORM(stem), nn.ReLU(inplace=True)),
            *_depthwise(stem, 3, 1),
            *(nn.Conv2d(stem, first, 1, bias=False), _NORM(first)),
            *stacks,
            *(nn.Conv2d(inputs, 1280, 1, bias=False), _NORM(1280), nn.ReLU(inplace=True)),
        )
        head = nn.Linear(1280, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), head)
        init_convolutional(self, linear_std=None)
        nn.init.kaiming_uniform_(head.weight, mode="fan_out", nonlinearity="sigmoid")
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(self.layers(x).mean([2, 3]))
        return scores


@register_model
def mnasnet0_5(**options: Any) -> MNASNet:
    """Build :class:`MNASNet` with half the channels (2,218,512 parameters)."""
    return MNASNet(0.5, **options)


@register_model
def mnasnet0_75(**options: Any) -> MNASNet:
    """Build :class:`MNASNet` with three quarters of the channels (3,170,208 parameters)."""
    return MNASNet(0.75, **options)


@register_model
def mnasnet1_0(**options: Any) -> MNASNet:
    """Build :class:`MNASNet` (4,383,312 parameters)."""
    return MNASNet(1.0, **options)


@register_model
def mnasnet1_3(**options: Any) -> MNASNet:
    """Build :class:`MNASNet` with 1.3 times the channels (6,282,256 parameters)."""
    return MNASNet(1.3, **options)
