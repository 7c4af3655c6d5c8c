"""The half Cauchy distribution: the size of a Cauchy number."""

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .cauchy import Cauchy
from .distribution import Shape
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__ = ["HalfCauchy"]


class HalfCauchy(TransformedDistribution):
    """``p(x) = 2 / (pi scale (1 + (x / scale)**2))``; its mean is infinite.

    Args:
        scale: median, positive, a tensor or a number.
    Support: the nonnegative numbers. Gradient: ``rsample`` is ``scale * |epsilon|``.

    >>> HalfCauchy(2.0).cdf(fb.tensor([2.0, 20.0]))
    tensor([0.5000, 0.9365])
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    base_dist: Cauchy

    def __init__(self, scale: Tensor | float, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "HalfCauchy":
        new = self._get_checked_instance(HalfCauchy, _instance)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def scale(self) -> Tensor:
        """The median."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return fb.full_like(self.scale, fb.inf)

    @property
    def mode(self) -> Tensor:
        return fb.zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = fb.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        return fb.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -fb.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
