"""Fisher and Snedecor's F distribution."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Distribution, Shape
from .utils import broadcast_all

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """Distribution of the ratio of two chi-squared variables, each divided by its degrees of freedom.

    With ``a = df1 / 2``, ``b = df2 / 2``, ``r = df1 / df2``: ``p(x) = r**a x**(a - 1) (1 + r x)**-(a + b) / B(a, b)``.

    Args:
        df1, df2: degrees of freedom of the numerator and the denominator, positive. The arguments broadcast.
    Support: the positive numbers. Gradient: through ``rsample``, the ratio of two gamma variables.

    >>> FisherSnedecor(1.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    df1: Tensor
    df2: Tensor

    def __init__(self, df1: Tensor | float, df2: Tensor | float, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "FisherSnedecor":
        return self._expanded(FisherSnedecor, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """The mean. NaN if ``df2 <= 2``."""
        return fb.where(self.df2 > 2, self.df2 / (self.df2 - 2), fb.nan)

    @property
    def mode(self) -> Tensor:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return fb.where(self.df1 > 2, mode, fb.nan)

    @property
    def variance(self) -> Tensor:
        """The variance. NaN if ``df2 <= 4``."""
        df1, df2 = self.df1, self.df2
        variance = 2 * df2.square() * (df1 + df2 - 2) / (df1 * (df2 - 2).square() * (df2 - 4))
        return fb.where(df2 > 4, variance, fb.nan)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        above = fb._standard_gamma((self.df1 / 2).expand(shape)) / self.df1
        below = fb._standard_gamma((self.df2 / 2).expand(shape)) / self.df2
        tiny = fb.finfo(below.dtype).tiny
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
        return a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p() - log_beta
