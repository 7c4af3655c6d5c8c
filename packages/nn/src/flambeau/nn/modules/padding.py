"""Layers that pad the input."""

from __future__ import annotations

from typing import ClassVar

from flambeau import Tensor

from .. import functional as F
from .module import Module
from .utils import Size, repeated


class _PadNd(Module):
    """Base class of layers that pad the last ``dimensions`` dimensions. A negative amount removes values."""

    dimensions: ClassVar[int]
    mode: ClassVar[str]
    value: float | None = None

    def __init__(self, padding: Size) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self.dimensions)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    mode = "constant"

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pad the last dimension with ``value``.

    Args:
        padding: an amount for both sides, or (left, right).
        value: the fill value.

    >>> nn.ConstantPad1d((1, 2), 7)(fb.zeros(1, 1))
    tensor([[7., 0., 7., 7.]])
    """

    dimensions = 1


class ConstantPad2d(_ConstantPadNd):
    """Pad an image with ``value``. ``padding``: one amount, or (left, right, top, bottom).

    >>> nn.ConstantPad2d(1, 9.0)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10])
    """

    dimensions = 2


class ConstantPad3d(_ConstantPadNd):
    """Pad a volume with ``value``. ``padding``: one amount, or (left, right, top, bottom, front, back).

    >>> nn.ConstantPad3d(1, 9.0)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10, 10])
    """

    dimensions = 3


class _ZeroPadNd(_PadNd):
    mode = "constant"
    value = 0.0


class ZeroPad1d(_ZeroPadNd):
    """Pad the last dimension with zeros.

    >>> nn.ZeroPad1d(1)(fb.zeros(1, 3, 8)).shape
    flambeau.Size([1, 3, 10])
    """

    dimensions = 1


class ZeroPad2d(_ZeroPadNd):
    """Pad an image with zeros.

    >>> nn.ZeroPad2d(1)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10])
    """

    dimensions = 2


class ZeroPad3d(_ZeroPadNd):
    """Pad a volume with zeros.

    >>> nn.ZeroPad3d(1)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10, 10])
    """

    dimensions = 3


class _ReflectionPadNd(_PadNd):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pad ``(N, C, L)`` or ``(C, L)`` with its reflection at the edge. The edge value is not repeated.

    Raises: RuntimeError for an amount that is not smaller than the size of the padded dimension.

    >>> nn.ReflectionPad1d(2)(fb.arange(3.0).reshape(1, 3))
    tensor([[2., 1., 0., 1., 2., 1., 0.]])
    """

    dimensions = 1


class ReflectionPad2d(_ReflectionPadNd):
    """`ReflectionPad1d` for images.

    >>> nn.ReflectionPad2d(1)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10])
    """

    dimensions = 2


class ReflectionPad3d(_ReflectionPadNd):
    """`ReflectionPad1d` for volumes.

    >>> nn.ReflectionPad3d(1)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10, 10])
    """

    dimensions = 3


class _ReplicationPadNd(_PadNd):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pad ``(N, C, L)`` or ``(C, L)`` with the values at its edges.

    >>> nn.ReplicationPad1d(1)(fb.arange(3.0).reshape(1, 3))
    tensor([[0., 0., 1., 2., 2.]])
    """

    dimensions = 1


class ReplicationPad2d(_ReplicationPadNd):
    """`ReplicationPad1d` for images.

    >>> nn.ReplicationPad2d(1)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10])
    """

    dimensions = 2


class ReplicationPad3d(_ReplicationPadNd):
    """`ReplicationPad1d` for volumes.

    >>> nn.ReplicationPad3d(1)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10, 10])
    """

    dimensions = 3


class _CircularPadNd(_PadNd):
    mode = "circular"


class CircularPad1d(_CircularPadNd):
    """Pad each end of ``(N, C, L)`` or ``(C, L)`` with the values at the other end.

    >>> nn.CircularPad1d(1)(fb.arange(3.0).reshape(1, 3))
    tensor([[2., 0., 1., 2., 0.]])
    """

    dimensions = 1


class CircularPad2d(_CircularPadNd):
    """`CircularPad1d` for images.

    >>> nn.CircularPad2d(1)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10])
    """

    dimensions = 2


class CircularPad3d(_CircularPadNd):
    """`CircularPad1d` for volumes.

    >>> nn.CircularPad3d(1)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 10, 10, 10])
    """

    dimensions = 3
