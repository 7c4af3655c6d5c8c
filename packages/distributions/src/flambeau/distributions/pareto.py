"""The Pareto distribution."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .exponential import Exponential
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, ExpTransform
from .utils import broadcast_all

__all__ = ["Pareto"]


class Pareto(TransformedDistribution):
    """Pareto distribution: ``p(x) = alpha scale**alpha / x**(alpha + 1)`` for ``x >= scale``.

    Args:
        scale: the smallest value, positive; broadcasts with ``alpha``.
        alpha: tail index, positive.
    Support: ``x >= scale``.
    Gradient: through ``rsample``, ``scale * exp(e / alpha)`` with a standard exponential variable ``e``.

    >>> Pareto(1.0, 3.0).mean
    tensor(1.5000)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}

    scale: Tensor
    alpha: Tensor

    def __init__(self, scale: Tensor | float, alpha: Tensor | float, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(0, self.scale)], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Pareto":
        new = self._get_checked_instance(Pareto, _instance)
        new.scale, new.alpha = self.scale.expand(batch_shape), self.alpha.expand(batch_shape)
        super().expand(batch_shape, _instance=new)
        return new

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        """The mean. Infinite if ``alpha <= 1``."""
        return fb.where(self.alpha > 1, self.alpha * self.scale / (self.alpha - 1), fb.inf)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        """The variance. Infinite if ``alpha <= 2``."""
        variance = self.scale.square() * self.alpha / ((self.alpha - 1).square() * (self.alpha - 2))
        return fb.where(self.alpha > 2, variance, fb.inf)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (self.alpha / self.scale).log() + (self.alpha + 1) * (self.scale / value).log()

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())
