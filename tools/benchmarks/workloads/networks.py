"""Networks for images and points, written once with functions that both libraries have."""

from __future__ import annotations

from typing import Any

from ..workload import Library

# Expansion factor, number of channels, number of blocks and stride of each stage of MobileNetV2.
MOBILE_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(library: Library) -> Any:
    """Return a MobileNetV2 (Sandler and others 2018, arXiv:1801.04381) of width 1 for 1000 classes."""
    nn = library.nn

    def convolution(i: int, o: int, size: int, stride: int = 1, groups: int = 1) -> tuple[Any, ...]:
        layer = nn.Conv2d(i, o, size, stride, size // 2, groups=groups, bias=False)
        return layer, nn.BatchNorm2d(o), nn.ReLU6(inplace=True)

    class Inverted(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
            super().__init__()
            wide = i * expansion
            self.main = nn.Sequential(
                *(convolution(i, wide, 1) if expansion > 1 else ()),
                *convolution(wide, wide, 3, stride, wide),
                *convolution(wide, o, 1)[:2],
            )
            self.adds = stride == 1 and i == o

        def forward(self, x: Any) -> Any:
            return x + self.main(x) if self.adds else self.main(x)

    layers, width = [*convolution(3, 32, 3, 2)], 32
    for expansion, channels, blocks, stride in MOBILE_STAGES:
        for block in range(blocks):
            layers.append(Inverted(width, channels, stride if block == 0 else 1, expansion))
            width = channels
    layers += [*convolution(width, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def unet(library: Library) -> Any:
    """Return a U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) of 32 to 256 channels."""
    fb, nn = library.fb, library.nn

    def double(i: int, o: int) -> Any:
        layers: list[Any] = []
        for channels in (i, o):
            layers += [nn.Conv2d(channels, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.down_1, self.down_2, self.down_3, self.middle = (
                double(i, o) for i, o in ((3, 32), (32, 64), (64, 128), (128, 256))
            )
            self.pool = nn.MaxPool2d(2)
            self.widen_3, self.widen_2, self.widen_1 = (
                nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in (128, 64, 32)
            )
            self.up_3, self.up_2, self.up_1 = (double(2 * c, c) for c in (128, 64, 32))
            self.head = nn.Conv2d(32, 1, 1)

        def forward(self, x: Any) -> Any:
            one = self.down_1(x)
            two = self.down_2(self.pool(one))
            three = self.down_3(self.pool(two))
            y = self.middle(self.pool(three))
            y = self.up_3(fb.cat([self.widen_3(y), three], 1))
            y = self.up_2(fb.cat([self.widen_2(y), two], 1))
            return self.head(self.up_1(fb.cat([self.widen_1(y), one], 1)))

    return UNet()


def pointnet(library: Library) -> Any:
    """Return the classifier of PointNet (Qi and others 2016, arXiv:1612.00593) without its alignment networks."""
    nn = library.nn

    def shared(i: int, o: int) -> tuple[Any, ...]:
        return nn.Conv1d(i, o, 1), nn.BatchNorm1d(o), nn.ReLU()

    def dense(i: int, o: int) -> tuple[Any, ...]:
        return nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()

    class PointNet(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.points = nn.Sequential(*shared(3, 64), *shared(64, 128), *shared(128, 1024))
            self.classes = nn.Sequential(*dense(1024, 512), *dense(512, 256), nn.Linear(256, 40))

        def forward(self, x: Any) -> Any:
            return self.classes(self.points(x).amax(2))

    return PointNet()


def gcn(library: Library) -> Any:
    """Return a graph convolutional network of two layers (Kipf, Welling 2016, arXiv:1609.02907)."""
    fb, nn = library.fb, library.nn

    class Convolution(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, i: int, o: int) -> None:
            super().__init__()
            self.linear = nn.Linear(i, o)

        def forward(self, x: Any, source: Any, target: Any, weight: Any) -> Any:
            y = self.linear(x)
            return fb.zeros_like(y).index_add(0, target, y[source] * weight[:, None])

    class GCN(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Convolution(256, 64), Convolution(64, 7)

        def forward(self, x: Any, source: Any, target: Any, weight: Any) -> Any:
            return self.two(fb.relu(self.one(x, source, target, weight)), source, target, weight)

    return GCN()
