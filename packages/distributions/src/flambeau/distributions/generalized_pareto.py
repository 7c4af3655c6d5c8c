"""The generalised Pareto distribution of excesses over a threshold."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Distribution, Shape
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Generalised Pareto distribution: ``p(x) = (1 + k z)**(-1 / k - 1) / scale`` with ``k = concentration``.

    Here ``z = (x - loc) / scale``. For ``k = 0``, ``z`` has the exponential distribution with rate 1.

    Args:
        loc: threshold; broadcasts with ``scale`` and ``concentration``.
        scale: positive.
        concentration: tail index, of any sign.
    Support: ``x >= loc``, and ``x <= loc - scale / k`` for negative ``k``.
    Gradient: through ``rsample``, ``icdf(u)`` with uniform ``u``.
    Source: Hosking and Wallis 1987.

    >>> GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    loc: Tensor
    scale: Tensor
    concentration: Tensor

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        concentration: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "GeneralizedPareto":
        return self._expanded(GeneralizedPareto, batch_shape, _instance)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        end = fb.where(self.concentration < 0, self.loc - self.scale / self.concentration, fb.inf)
        return constraints.interval(self.loc, end)

    @property
    def mean(self) -> Tensor:
        """The mean. Infinite if ``concentration >= 1``."""
        k = self.concentration
        return fb.where(k < 1, self.loc + self.scale / (1 - k), fb.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance. Infinite if ``concentration >= 0.5``."""
        k = self.concentration
        return fb.where(k < 0.5, self.scale.square() / ((1 - k).square() * (1 - 2 * k)), fb.inf)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        u = fb.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u)

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Return whether each concentration is 0, and a divisor: the concentration, but 1 where it is 0."""
        zero = self.concentration.abs() < fb.finfo(self.concentration.dtype).eps
        return zero, self.concentration.masked_fill(zero, 1)

    def _log_survival(self, value: Tensor) -> Tensor:
        zero, k = self._shape()
        z = (value - self.loc) / self.scale
        # Where the concentration is near 0, use the Taylor series, so that the derivative is correct.
        return fb.where(zero, z * (0.5 * self.concentration * z - 1), -(k * z).log1p() / k)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (1 + self.concentration) * self._log_survival(value) - self.scale.log()

    def log_survival_function(self, value: Tensor) -> Tensor:
        """Return ``log(1 - cdf(value))``. The result is accurate in the tail."""
        if self._validate_args:
            self._validate_sample(value)
        return self._log_survival(value)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return ``log(cdf(value))``."""
        return self.cdf(value).log()

    def cdf(self, value: Tensor) -> Tensor:
        return -self.log_survival_function(value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        zero, k = self._shape()
        z = -(-value).log1p()
        near_zero = fb.where(z.isinf(), z, z * (0.5 * self.concentration * z + 1))
        return self.loc + self.scale * fb.where(zero, near_zero, (k * z).expm1() / k)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1
