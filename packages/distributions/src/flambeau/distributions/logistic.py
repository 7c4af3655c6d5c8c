"""The logistic distribution, whose cumulative distribution function is the sigmoid function."""

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, SigmoidTransform
from .uniform import Uniform
from .utils import broadcast_all

__all__ = ["Logistic"]


class Logistic(TransformedDistribution):
    """Logistic distribution: ``p(x) = exp(-z) / (scale * (1 + exp(-z))**2)`` with ``z = (x - loc) / scale``.

    PyTorch does not have this class.

    Args:
        loc: mean; broadcasts with ``scale``.
        scale: positive.
    Support: the real numbers. Gradient: through ``rsample``, ``loc + scale * logit(u)``.

    >>> Logistic(0.0, 1.0).cdf(fb.tensor(0.0))
    tensor(0.5000)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        finfo = fb.finfo(self.loc.dtype)
        low = fb.full_like(self.loc, finfo.tiny)
        base = Uniform(low, fb.full_like(low, 1 - finfo.eps), validate_args=validate_args)
        transforms = [SigmoidTransform().inv, AffineTransform(self.loc, self.scale)]
        super().__init__(base, transforms, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Logistic":
        new = self._get_checked_instance(Logistic, _instance)
        new.loc, new.scale = self.loc.expand(batch_shape), self.scale.expand(batch_shape)
        super().expand(batch_shape, _instance=new)
        return new

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return (math.pi * self.scale).square() / 3

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = ((value - self.loc) / self.scale).abs()  # the density is symmetric; exp(-z) does not overflow
        return -z - 2 * (-z).exp().log1p() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return ((value - self.loc) / self.scale).sigmoid()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * value.logit()

    def entropy(self) -> Tensor:
        return self.scale.log() + 2
