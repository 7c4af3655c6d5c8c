"""The Kumaraswamy distribution on the unit interval."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import broadcast_all, euler_constant

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Kumaraswamy distribution: ``p(x) = a b x**(a - 1) (1 - x**a)**(b - 1)``.

    It is similar to the beta distribution, but has a simple quantile function.

    Args:
        concentration1: ``a``, positive; broadcasts with ``b``.
        concentration0: ``b``, positive.
    Support: ``[0, 1]``. Gradient: through ``rsample``, ``(1 - u**(1 / b))**(1 / a)``.

    >>> Kumaraswamy(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    concentration1: Tensor
    concentration0: Tensor

    def __init__(
        self, concentration1: Tensor | float, concentration0: Tensor | float, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(fb.zeros_like(self.concentration0), 1.0, validate_args=validate_args)
        super().__init__(base, _transforms(self.concentration1, self.concentration0), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Kumaraswamy":
        new = self._get_checked_instance(Kumaraswamy, _instance)
        new.concentration1 = self.concentration1.expand(batch_shape)
        new.concentration0 = self.concentration0.expand(batch_shape)
        super().expand(batch_shape, _instance=new)
        return new

    def _moment(self, n: int) -> Tensor:
        """Return ``E[x**n] = b B(1 + n / a, b)``."""
        ratio, b = 1 + n / self.concentration1, self.concentration0
        return (b.log() + ratio.lgamma() + b.lgamma() - (ratio + b).lgamma()).exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """The mode. NaN if a concentration is below 1 or both are 1: then the density has no maximum inside (0, 1)."""
        a, b = self.concentration1, self.concentration0
        mode = ((a - 1) / (a * b - 1)).pow(1 / a)
        return fb.where((a >= 1) & (b >= 1), mode, fb.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1).square()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return a.log() + b.log() + fb.xlogy(a - 1, value) + fb.special.xlog1py(b - 1, -value.pow(a))

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_constant
        return (1 - 1 / b) + (1 - 1 / a) * harmonic - a.log() - b.log()


def _transforms(a: Tensor, b: Tensor) -> list[Any]:
    return [PowerTransform(b.reciprocal()), AffineTransform(1.0, -1.0), PowerTransform(a.reciprocal())]
