"""Convolutions in float32, forward alone and forward with all three gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..workload import Code, Library, Workload, expression


@dataclass(frozen=True)
class Shape:
    """One convolution of ``batch`` images of height and width ``size``, from ``inputs`` to ``outputs`` channels."""

    title: str
    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1


SHAPES = (
    Shape("LeNet 1, 64x1x28x28 to 6, 5x5", 64, 1, 6, 28, 5, padding=2),
    Shape("LeNet 2, 64x6x14x14 to 16, 5x5", 64, 6, 16, 14, 5),
    Shape("stem, 4x3x224x224 to 64, 7x7/2", 4, 3, 64, 224, 7, stride=2, padding=3),
    Shape("body, 8x64x56x56 to 64, 3x3", 8, 64, 64, 56, 3, padding=1),
    Shape("late, 8x256x14x14 to 256, 3x3", 8, 256, 256, 14, 3, padding=1),
    Shape("pointwise, 8x64x56x56 to 256, 1x1", 8, 64, 256, 56, 1),
    Shape("depthwise, 8x96x56x56, 3x3", 8, 96, 96, 56, 3, padding=1, groups=96),
)


def convolution(shape: Shape, gradients: bool) -> Callable[[Library], Code]:
    """Return a function that creates a ``conv2d`` with bias. If ``gradients`` is True, also compute its gradients."""

    def prepare(library: Library) -> Code:
        conv2d = library.functional.conv2d
        x = library.normal(shape.batch, shape.inputs, shape.size, shape.size)
        fan_in = shape.inputs // shape.groups
        w = library.normal(shape.outputs, fan_in, shape.kernel, shape.kernel, scale=(fan_in * shape.kernel**2) ** -0.5)
        b = library.normal(shape.outputs)

        def run() -> Any:
            return conv2d(x, w, b, stride=shape.stride, padding=shape.padding, groups=shape.groups)

        if not gradients:
            return Code(run)
        slope = library.normal(*run().shape)
        inputs = [tensor.requires_grad_(True) for tensor in (x, w, b)]
        grad = library.autograd.grad
        return Code(lambda: grad(run(), inputs, slope))

    return prepare


def _rows() -> Iterator[Workload]:
    for shape in SHAPES:
        yield Workload("convolutions", f"{shape.title}, forward", convolution(shape, gradients=False))
        yield Workload("convolutions", f"{shape.title}, with gradients", convolution(shape, gradients=True))


IMAGES = (64, 16, 32, 32)

ROWS = (
    *_rows(),
    Workload("convolutions", "max_pool2d 2, 64x16x32x32", expression("F.max_pool2d(x, 2)", x=IMAGES)),
    Workload("convolutions", "avg_pool2d 2, 64x16x32x32", expression("F.avg_pool2d(x, 2)", x=IMAGES)),
    Workload("convolutions", "adaptive_max_pool2d 1, 64x16x32x32", expression("F.adaptive_max_pool2d(x, 1)", x=IMAGES)),
)
