"""S3D: Inception modules with convolutions that are factorised into space and time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv3dNormActivation
from .._published import published_in
from .._registry import register_video_model

__all__ = ["S3D", "SepInceptionBlock3D", "TemporalSeparableConv", "s3d"]

__getattr__ = published_in(__name__)

Norm = Callable[..., nn.Module]

# For each module: the numbers of channels of the input and of the branches, the arguments of `SepInceptionBlock3D`.
_MODULES = {
    "3": ((192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64)),
    "4": (
        *((480, 192, 96, 208, 16, 48, 64), (512, 160, 112, 224, 24, 64, 64), (512, 128, 128, 256, 24, 64, 64)),
        *((512, 112, 144, 288, 32, 64, 64), (528, 256, 160, 320, 32, 128, 128)),
    ),
    "5": ((832, 256, 160, 320, 32, 128, 128), (832, 384, 192, 384, 48, 128, 128)),
}


class TemporalSeparableConv(nn.Sequential):
    """Factorised convolution: a convolution over space, then a convolution over time.

    >>> layer = TemporalSeparableConv(4, 8, kernel_size=3, stride=2, padding=1, norm_layer=nn.BatchNorm3d)
    >>> layer(fb.zeros(1, 4, 8, 16, 16)).shape
    flambeau.Size([1, 8, 4, 8, 8])
    """

    def __init__(
        self, in_planes: int, out_planes: int, kernel_size: int, stride: int, padding: int, norm_layer: Norm
    ) -> None:
        size, step, pad = kernel_size, stride, padding
        convolution = partial(Conv3dNormActivation, norm_layer=norm_layer, bias=False)
        super().__init__(
            convolution(in_planes, out_planes, (1, size, size), (1, step, step), (0, pad, pad)),
            convolution(out_planes, out_planes, (size, 1, 1), (step, 1, 1), (pad, 0, 0)),
        )


class SepInceptionBlock3D(nn.Module):
    """Four parallel branches: a 1x1x1 convolution, two factorised 3x3x3 convolutions, and max pooling.

    >>> block = SepInceptionBlock3D(8, 4, 4, 6, 2, 3, 3, nn.BatchNorm3d)
    >>> block(fb.zeros(1, 8, 4, 6, 6)).shape  # 4 + 6 + 3 + 3 channels
    flambeau.Size([1, 16, 4, 6, 6])
    """

    def __init__(
        self,
        in_planes: int,
        b0_out: int,
        b1_mid: int,
        b1_out: int,
        b2_mid: int,
        b2_out: int,
        b3_out: int,
        norm_layer: Norm,
    ) -> None:
        super().__init__()
        pointwise = partial(Conv3dNormActivation, in_planes, kernel_size=1, norm_layer=norm_layer)
        self.branch0 = pointwise(b0_out)
        self.branch1 = nn.Sequential(pointwise(b1_mid), TemporalSeparableConv(b1_mid, b1_out, 3, 1, 1, norm_layer))
        self.branch2 = nn.Sequential(pointwise(b2_mid), TemporalSeparableConv(b2_mid, b2_out, 3, 1, 1, norm_layer))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), pointwise(b3_out))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class S3D(nn.Module):
    """S3D: nine Inception modules with convolutions that are factorised into space and time.

    Args:
        num_classes: number of classes.
        dropout: probability of the dropout before the last layer.
        norm_layer: normalisation; by default BatchNorm3d with ``eps=0.001`` and ``momentum=0.001``.

    Shapes: ``(N, 3, T, H, W)``, with at least 14 images of 224x224; the result is ``(N, num_classes)``.
    Source: Xie et al. 2017, arXiv:1712.04851.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = S3D(num_classes=10)
    >>> model(fb.zeros(1, 3, 16, 224, 224, device="meta")).shape
    flambeau.Size([1, 10])
    """

    def __init__(self, num_classes: int = 400, dropout: float = 0.2, norm_layer: Norm | None = None) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)
        modules = {
            stage: [SepInceptionBlock3D(*channels, norm_layer=norm) for channels in rows]
            for stage, rows in _MODULES.items()
        }
        self.features = nn.Sequential(
            TemporalSeparableConv(3, 64, 7, 2, 3, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            Conv3dNormActivation(64, 64, kernel_size=1, norm_layer=norm),
            TemporalSeparableConv(64, 192, 3, 1, 1, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            *modules["3"],
            nn.MaxPool3d(3, stride=2, padding=1),
            *modules["4"],
            nn.MaxPool3d(2, stride=2),
            *modules["5"],
        )
        self.avgpool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Conv3d(1024, num_classes, kernel_size=1))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(self.avgpool(self.features(x)))
        return scores.mean(dim=(2, 3, 4))


@register_video_model
def s3d(**options: Any) -> S3D:
    """Build :class:`S3D` (8,320,048 parameters)."""
    return S3D(**options)
