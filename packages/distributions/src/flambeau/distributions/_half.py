"""Base class for distributions of the absolute value of a variable that is symmetric about 0."""

import math

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .transformed_distribution import TransformedDistribution


class Half(TransformedDistribution):
    """Base class of distributions of ``|x|``, where ``x`` has a ``scale`` and a density that is symmetric about 0."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    @property
    def scale(self) -> Tensor:
        """Scale of the symmetric distribution."""
        scale: Tensor = self.base_dist.scale
        return scale

    @property
    def mode(self) -> Tensor:
        return fb.zeros_like(self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return fb.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -fb.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        quantile: Tensor = self.base_dist.icdf((value + 1) / 2)
        return quantile

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
