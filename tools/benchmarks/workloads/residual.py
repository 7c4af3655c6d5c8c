"""ResNet-18 (He, Zhang, Ren, Sun 2015, arXiv:1512.03385), written with functions that both libraries have."""

from __future__ import annotations

from typing import Any

from ..workload import Library


def resnet18(library: Library) -> Any:
    """Return a ResNet-18 for photographs: four stages with two blocks per stage, 64 to 512 channels, 1000 classes."""
    nn = library.nn

    def convolution(i: int, o: int, size: int, stride: int) -> tuple[Any, Any]:
        return nn.Conv2d(i, o, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(o)

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, i: int, o: int, stride: int) -> None:
            super().__init__()
            self.main = nn.Sequential(*convolution(i, o, 3, stride), nn.ReLU(True), *convolution(o, o, 3, 1))
            self.shortcut = nn.Sequential(*convolution(i, o, 1, stride)) if i != o else nn.Identity()
            self.relu = nn.ReLU(True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.main(x) + self.shortcut(x))

    def stage(i: int, o: int) -> tuple[Any, Any]:
        return Block(i, o, 1 if i == o else 2), Block(o, o, 1)

    return nn.Sequential(
        *(*convolution(3, 64, 7, 2), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)),
        *(*stage(64, 64), *stage(64, 128), *stage(128, 256), *stage(256, 512)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)),
    )
