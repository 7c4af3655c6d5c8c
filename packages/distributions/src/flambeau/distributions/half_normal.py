"""The half normal distribution: the absolute value of a centred normal variable."""

import math
from typing import Any

from flambeau import Tensor

from ._half import Half
from .distribution import Shape
from .normal import Normal
from .transforms import AbsTransform

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """Half normal distribution: ``p(x) = sqrt(2 / pi) exp(-x**2 / (2 scale**2)) / scale``.

    Args:
        scale: standard deviation of the normal distribution, positive, a tensor or a number.
    Support: the nonnegative numbers. Gradient: through ``rsample``, ``scale * |epsilon|``.

    >>> HalfNormal(2.0).mean
    tensor(1.5958)
    """

    base_dist: Normal

    def __init__(self, scale: Tensor | float, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "HalfNormal":
        new = self._get_checked_instance(HalfNormal, _instance)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.square() * (1 - 2 / math.pi)
