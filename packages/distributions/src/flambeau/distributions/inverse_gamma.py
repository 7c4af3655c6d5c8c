"""The inverse gamma distribution."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .gamma import Gamma
from .transformed_distribution import TransformedDistribution
from .transforms import PowerTransform

__all__ = ["InverseGamma"]


class InverseGamma(TransformedDistribution):
    """Distribution of the reciprocal of a gamma variable: ``p(x) = rate**a x**(-a - 1) exp(-rate / x) / gamma(a)``.

    Here ``a = concentration``.

    Args:
        concentration: shape parameter, positive; broadcasts with ``rate``.
        rate: scale of the distribution and inverse scale of the gamma variable, positive.
    Support: the positive numbers. Gradient: through ``rsample``, as for Gamma.

    >>> InverseGamma(3.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    base_dist: Gamma

    def __init__(self, concentration: Tensor | float, rate: Tensor | float, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-base.rate.new_ones(())), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "InverseGamma":
        new = self._get_checked_instance(InverseGamma, _instance)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def concentration(self) -> Tensor:
        """The concentration of the gamma variable."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The rate of the gamma variable."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        """The mean. Infinite if ``concentration <= 1``."""
        return fb.where(self.concentration > 1, self.rate / (self.concentration - 1), fb.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        """The variance. Infinite if ``concentration <= 2``."""
        a = self.concentration
        return fb.where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), fb.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
