"""The beta distribution on the unit interval."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Shape
from .exp_family import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Beta distribution: ``p(x) = x**(a - 1) (1 - x)**(b - 1) gamma(a + b) / (gamma(a) gamma(b))``.

    Args:
        concentration1: ``a``, positive; broadcasts with ``b``.
        concentration0: ``b``, positive.
    Support: ``[0, 1]``. Gradient: through ``rsample``, by implicit reparameterisation (at a constant quantile).

    >>> Beta(2.0, 6.0).mean
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
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Beta":
        return self._expanded(Beta, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        """The mode. If both concentrations are below 1, this is 0 or 1, whichever has the higher density nearby."""
        excess1, excess0 = (self.concentration1 - 1).clamp(min=0), (self.concentration0 - 1).clamp(min=0)
        end = (self.concentration1 >= self.concentration0).to(excess1.dtype)
        below = (self.concentration1 < 1) & (self.concentration0 < 1)
        return fb.where(below, end, excess1 / (excess1 + excess0))

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        """Draw samples: the first of the two coordinates of a Dirichlet sample. No sample is 0 or 1."""
        both = fb.stack([self.concentration1, self.concentration0], -1)
        return fb._sample_dirichlet(both.expand((*self._extended_shape(sample_shape), 2)))[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        likelihood = fb.xlogy(a - 1, value) + fb.special.xlog1py(b - 1, -value)
        return likelihood - self._log_normalizer(a, b)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        total = a + b
        moments = (a - 1) * a.digamma() + (b - 1) * b.digamma() - (total - 2) * total.digamma()
        return self._log_normalizer(a, b) - moments

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        return self.concentration1, self.concentration0

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        return x.lgamma() + y.lgamma() - (x + y).lgamma()
