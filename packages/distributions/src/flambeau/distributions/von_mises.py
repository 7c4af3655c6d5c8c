"""The von Mises distribution on the circle."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor, no_grad

from . import constraints
from .distribution import Distribution, Shape
from .utils import broadcast_all

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Von Mises distribution: ``p(x) = exp(k cos(x - loc)) / (2 pi I0(k))`` with ``k = concentration``.

    The distribution approximates a normal distribution that is wrapped around a circle. ``variance`` is the circular
    variance, ``1 - I1(k) / I0(k)``.

    Args:
        loc: mean angle, in radians; broadcasts with ``concentration``.
        concentration: positive; approximately the inverse of the variance.
    Support: all angles. Samples are in ``[-pi, pi)``.
    Source: samples are drawn as in Best and Fisher 1979, "Efficient simulation of the von Mises distribution".

    >>> VonMises(fb.tensor(0.0), fb.tensor(1.0)).log_prob(fb.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    loc: Tensor
    concentration: Tensor

    def __init__(self, loc: Tensor | float, concentration: Tensor | float, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "VonMises":
        return self._expanded(VonMises, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """The mean angle."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance."""
        return 1 - fb.special.i1e(self.concentration) / fb.special.i0e(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        excess = (value - self.loc).cos() - 1
        return self.concentration * excess - math.log(2 * math.pi) - fb.special.i0e(self.concentration).log()

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            angle = _draw_centred(self.concentration.double().expand(shape)) + math.pi + self.loc.double()
            return (angle % (2 * math.pi) - math.pi).to(self.loc.dtype)


def _draw_centred(concentration: Tensor) -> Tensor:
    """Draw angles with mean 0 by rejection sampling from a wrapped Cauchy distribution.

    As in PyTorch, each round draws all elements and may replace elements that an earlier round accepted.
    """
    root = 1 + (1 + 4 * concentration.square()).sqrt()
    rho = (root - (2 * root).sqrt()) / (2 * concentration)
    r = fb.where(concentration < 1e-5, 1 / concentration + concentration, (1 + rho.square()) / (2 * rho))
    angle = fb.zeros_like(r)
    missing = fb.ones_like(r, dtype=fb.bool)
    while missing.any():
        u, accept, side = fb.rand((3, *r.shape), dtype=r.dtype, device=r.device).unbind()
        z = (math.pi * u).cos()
        f = (1 + r * z) / (r + z)
        c = concentration * (r - f)
        accepted = (c * (2 - c) - accept > 0) | ((c / accept).log() + 1 - c >= 0)
        drawn = (side - 0.5).sign() * f.clamp(-1, 1).acos()
        angle = fb.where(accepted, drawn, angle)
        missing = missing & ~accepted
    return angle
