"""Layers that resize sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

from .. import functional as F
from ._inputs import check_no_input
from .module import Module
from .utils import options_of

Scale = float | Sequence[float]


class Upsample(Module):
    """Resize the spatial dimensions of ``(N, C, *)``, one to three of them.

    Args:
        size: size of the output: one number, or one number for each dimension. Give either this or ``scale_factor``.
        scale_factor: size of the output divided by the size of the input.
        mode: ``"nearest"``, ``"nearest-exact"``, ``"linear"``, ``"bilinear"``, ``"bicubic"``, ``"trilinear"`` or
            ``"area"``.
        align_corners: if True, align the centres of the corner pixels, otherwise their outer edges.
        recompute_scale_factor: if True, recompute the scale factor from the rounded output size.

    >>> nn.Upsample(scale_factor=2)(fb.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    scale_factor: Scale | None

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        check_no_input(self, size=size, scale_factor=scale_factor)
        self.size = size
        if isinstance(scale_factor, Sequence):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        options = (self.mode, self.align_corners, self.recompute_scale_factor)
        return F.interpolate(input, self.size, self.scale_factor, *options)

    def extra_repr(self) -> str:
        shown = "size" if self.scale_factor is None else "scale_factor"
        return f"{options_of(self, shown)}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of ``(N, C, H, W)`` by repeating pixels.

    >>> nn.UpsamplingNearest2d(scale_factor=2)(fb.tensor([[[[0.0, 1.0]]]])).squeeze()
    tensor([[0., 0., 1., 1.],
            [0., 0., 1., 1.]])
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of ``(N, C, H, W)`` with ``mode="bilinear"`` and ``align_corners=True``.

    >>> nn.UpsamplingBilinear2d(scale_factor=2)(fb.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])).shape
    flambeau.Size([1, 1, 4, 4])
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
