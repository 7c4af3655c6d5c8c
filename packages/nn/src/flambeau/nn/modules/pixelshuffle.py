"""Layers that move values between channels and spatial positions."""

from __future__ import annotations

from flambeau import Tensor

from .. import functional as F
from ._inputs import check_no_input
from .module import Module
from .utils import options_of


class PixelShuffle(Module):
    """Rearrange ``(*, C * r**2, H, W)`` to ``(*, C, H * r, W * r)``, where r is the ``upscale_factor``.

    Source: Shi et al. 2016, arXiv:1609.05158.

    >>> nn.PixelShuffle(2)(fb.arange(4.0).reshape(1, 4, 1, 1))
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        check_no_input(self, upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return options_of(self, "upscale_factor")


class PixelUnshuffle(Module):
    """Rearrange ``(*, C, H * r, W * r)`` to ``(*, C * r**2, H, W)``, where r is the ``downscale_factor``.

    This is the inverse of `PixelShuffle`.

    >>> nn.PixelUnshuffle(2)(fb.zeros(1, 3, 4, 4)).shape
    flambeau.Size([1, 12, 2, 2])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        check_no_input(self, downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return options_of(self, "downscale_factor")
