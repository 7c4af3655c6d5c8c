"""The logistic normal distribution on the simplex."""

from typing import Any

from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import StickBreakingTransform

__all__ = ["LogisticNormal"]


class LogisticNormal(TransformedDistribution):
    """Distribution of points ``(K,)`` of the simplex: the stick-breaking transform of ``K - 1`` normal variables.

    Args:
        loc: mean of the normal variables, ``(*, K - 1)``; broadcasts with ``scale``.
        scale: standard deviation of the normal variables, positive.
    Support: points of the simplex. Gradient: through ``rsample``.

    >>> LogisticNormal(fb.zeros(2), fb.ones(2)).sample().shape
    flambeau.Size([3])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand((1,))
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "LogisticNormal":
        new = self._get_checked_instance(LogisticNormal, _instance)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def loc(self) -> Tensor:
        """The mean of the normal variables."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the normal variables."""
        return self.base_dist.base_dist.scale
