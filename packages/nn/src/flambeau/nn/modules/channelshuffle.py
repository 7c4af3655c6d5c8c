"""A layer that interleaves groups of channels."""

from __future__ import annotations

from flambeau import Tensor

from .. import functional as F
from .module import Module
from .utils import options_of


class ChannelShuffle(Module):
    """Interleave the channels of ``groups`` groups. Source: Zhang et al. 2017, arXiv:1707.01083.

    >>> nn.ChannelShuffle(2)(fb.arange(4.0).reshape(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return options_of(self, "groups")
