"""The multinomial distribution: counts of K outcomes in a number of trials."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution, Shape

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """Multinomial distribution: ``p(x) = n! / prod x_k! * prod probs_k**x_k`` with ``n = total_count``.

    Args:
        total_count: number of trials, an int, the same for the whole batch.
        probs: ``(*, K)``, nonnegative weights. The distribution divides the weights by their sum.
        logits: ``(*, K)``, unnormalised log probabilities. Exactly one of ``probs`` and ``logits`` must be given.
    Support: counts ``(K,)`` that sum to ``total_count``, in the parameter's dtype.

    >>> Multinomial(3, probs=fb.tensor([1.0, 1.0])).log_prob(fb.tensor([1.0, 2.0])).exp()
    tensor(0.3750)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    _categorical: Categorical

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError(
                f"inhomogeneous total_count is not supported: expected an int, got {type(total_count).__name__}"
            )
        if total_count < 0:
            raise ValueError(f"Expected total_count to be a nonnegative int, got {total_count}")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Multinomial":
        new: Multinomial = self._get_checked_instance(Multinomial, _instance)
        new.total_count = self.total_count
        new._categorical = self._categorical.expand(batch_shape)
        return self._expanded(Multinomial, batch_shape, new)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The log probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``: ``batch_shape + (K,)``."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        sample_shape = Size(sample_shape)
        drawn = self._categorical.sample(Size((self.total_count,)) + sample_shape)
        drawn = drawn.movedim(0, -1)
        counts = self.probs.detach().new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add(-1, drawn, fb.ones_like(drawn, dtype=counts.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        likelihood = (value * self.logits).masked_fill((value == 0) & (self.logits == -fb.inf), 0)
        return (value.sum(-1) + 1).lgamma() + (likelihood - (value + 1).lgamma()).sum(-1)

    def entropy(self) -> Tensor:
        """Return ``n H(probs) - log n! + sum_k E[log x_k!]``, where each count ``x_k`` is binomial."""
        n = self.total_count
        counts = Binomial(n, self.probs)
        values = counts.enumerate_support(expand=False)
        factorials = (counts.log_prob(values).exp() * (values + 1).lgamma()).sum((0, -1))
        return n * self._categorical.entropy() - math.lgamma(n + 1) + factorials
