"""Student's t distribution."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Distribution, Shape
from .utils import broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Student's t distribution.

    ``p(x) = gamma((df + 1) / 2) / (gamma(df / 2) sqrt(pi df) scale) (1 + z**2 / df)**(-(df + 1) / 2)`` with
    ``z = (x - loc) / scale``.

    Args:
        df: degrees of freedom, positive; broadcasts with ``loc`` and ``scale``.
        loc: centre.
        scale: positive.
    Support: the real numbers. Gradient: through ``rsample``, which draws a normal and a gamma variable.

    >>> StudentT(3.0).variance
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    df: Tensor
    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        df: Tensor | float,
        loc: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "StudentT":
        return self._expanded(StudentT, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """The mean. NaN if ``df <= 1``."""
        return fb.where(self.df > 1, self.loc, fb.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance. Infinite if ``1 < df <= 2``, NaN if ``df <= 1``."""
        variance = fb.where(self.df > 2, self.scale.square() * self.df / (self.df - 2), fb.inf)
        return fb.where(self.df > 1, variance, fb.nan)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        normal = fb.randn(shape, dtype=self.df.dtype, device=self.df.device)
        chi2 = 2 * fb._standard_gamma((self.df / 2).expand(shape))
        return self.loc + self.scale * normal * (chi2 / self.df).rsqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, half = (value - self.loc) / self.scale, 0.5 * (self.df + 1)
        normalizer = self.scale.log() + 0.5 * (self.df * math.pi).log() + (0.5 * self.df).lgamma() - half.lgamma()
        return -half * (z.square() / self.df).log1p() - normalizer

    def entropy(self) -> Tensor:
        a, half = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = a.lgamma() + 0.5 * math.log(math.pi) - half.lgamma()
        return self.scale.log() + half * (half.digamma() - a.digamma()) + 0.5 * self.df.log() + log_beta
