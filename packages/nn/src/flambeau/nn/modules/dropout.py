"""Layers that drop values at random while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from flambeau import Tensor

from .. import functional as F
from ._inputs import check_no_input
from .module import Module
from .utils import options_of


class _DropoutNd(Module):
    _function: ClassVar[str]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_no_input(self, p=p, inplace=inplace)
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        function: Callable[..., Tensor] = getattr(F, self._function)
        return function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return options_of(self, "p", "inplace")


class Dropout(_DropoutNd):
    """In training mode, set each value to 0 with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Raises: ValueError for ``p`` outside [0, 1].
    Source: Srivastava et al. 2014, JMLR 15.

    >>> nn.Dropout(0.5).eval()(fb.ones(3))
    tensor([1., 1., 1.])
    """

    _function = "dropout"


class Dropout1d(_DropoutNd):
    """`Dropout` of whole channels of ``(N, C, L)`` or ``(C, L)``. Source: Tompson et al. 2015, arXiv:1411.4280.

    >>> nn.Dropout1d(0.5).eval()(fb.ones(2, 3)).sum()
    tensor(6.)
    """

    _function = "dropout1d"


class Dropout2d(_DropoutNd):
    """`Dropout` of whole channels of ``(N, C, H, W)``.

    >>> nn.Dropout2d(0.5).eval()(fb.ones(2, 3, 2, 2)).sum()
    tensor(24.)
    """

    _function = "dropout2d"


class Dropout3d(_DropoutNd):
    """`Dropout` of whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    >>> nn.Dropout3d(0.5).eval()(fb.ones(2, 3, 2, 2, 2)).sum()
    tensor(48.)
    """

    _function = "dropout3d"


class AlphaDropout(_DropoutNd):
    """Dropout for `SELU`: dropped values are set to SELU's negative limit; mean and variance are preserved.

    Source: Klambauer et al. 2017, arXiv:1706.02515.

    >>> nn.AlphaDropout(0.5).eval()(fb.ones(3))
    tensor([1., 1., 1.])
    """

    _function = "alpha_dropout"


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels.

    >>> nn.FeatureAlphaDropout(0.5).eval()(fb.ones(1, 3))
    tensor([[1., 1., 1.]])
    """

    _function = "feature_alpha_dropout"
