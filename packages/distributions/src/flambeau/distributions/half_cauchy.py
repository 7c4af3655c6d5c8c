"""The half Cauchy distribution: the absolute value of a Cauchy variable."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from ._half import Half
from .cauchy import Cauchy
from .distribution import Shape
from .transforms import AbsTransform

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """Half Cauchy distribution: ``p(x) = 2 / (pi scale (1 + (x / scale)**2))``. The mean is infinite.

    Args:
        scale: median, positive, a tensor or a number.
    Support: the nonnegative numbers. Gradient: through ``rsample``, ``scale * |epsilon|``.

    >>> HalfCauchy(2.0).cdf(fb.tensor([2.0, 20.0]))
    tensor([0.5000, 0.9365])
    """

    base_dist: Cauchy

    def __init__(self, scale: Tensor | float, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "HalfCauchy":
        new = self._get_checked_instance(HalfCauchy, _instance)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def mean(self) -> Tensor:
        return fb.full_like(self.scale, fb.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return super().log_prob(fb.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device))
