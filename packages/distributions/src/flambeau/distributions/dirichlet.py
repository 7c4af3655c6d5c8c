"""The Dirichlet distribution on the simplex."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Shape
from .exp_family import ExponentialFamily

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Dirichlet distribution: ``p(x) = gamma(sum a) / prod gamma(a_i) * prod x_i**(a_i - 1)``, ``a = concentration``.

    Args:
        concentration: ``(*, K)``, positive.
    Support: points ``(K,)`` of the simplex. Gradient: through ``rsample``, by implicit reparameterisation of each
        coordinate's marginal beta distribution; the other coordinates scale in proportion.
    Source: Figurnov, Mohamed, Mnih 2018, arXiv:1805.08498; Jankowiak, Obermeyer 2018, arXiv:1806.01851.

    >>> Dirichlet(fb.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    concentration: Tensor

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Dirichlet":
        return self._expanded(Dirichlet, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """The mode. If all concentrations are below 1, this is the corner with the largest concentration."""
        excess = (self.concentration - 1).clamp(min=0)
        corner = fb.one_hot(self.concentration.argmax(-1), self.concentration.shape[-1]).to(excess.dtype)
        below = (self.concentration < 1).all(-1, True)
        return fb.where(below, corner, excess / excess.sum(-1, True))

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.square() * (total + 1))

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        return fb._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return fb.xlogy(a - 1, value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        a, total = self.concentration, self.concentration.sum(-1)
        k = a.shape[-1]
        normalizer = a.lgamma().sum(-1) - total.lgamma()
        return normalizer - (k - total) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.lgamma().sum(-1) - x.sum(-1).lgamma()
