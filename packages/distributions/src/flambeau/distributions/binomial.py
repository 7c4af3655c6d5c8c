"""The binomial distribution: the number of successes in a number of trials."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from ._probs_or_logits import Binary
from .distribution import Shape

__all__ = ["Binomial"]


class Binomial(Binary):
    """Binomial distribution: ``p(k) = n! / (k! (n - k)!) probs**k (1 - probs)**(n - k)`` with ``n = total_count``.

    Args:
        total_count: number of trials, an integer or a tensor of integers that broadcasts.
        probs: probability of success.
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
    Support: the integers from 0 to total_count, in the parameter's dtype.
    Source: for ten or more expected successes, samples are drawn with the method of Hoermann 1993.

    >>> Binomial(4, probs=fb.tensor(0.5)).log_prob(fb.tensor(2.0)).exp()
    tensor(0.3750)
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    total_count: Tensor

    def __init__(
        self,
        total_count: Tensor | int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if isinstance(total_count, Tensor):  # the distribution has the dtype of probs or logits
            given = logits if probs is None else probs
            total_count = total_count.type_as(given) if isinstance(given, Tensor) else total_count
        (self.total_count,) = self._set(probs, logits, total_count)
        super().__init__(self._param.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Binomial":
        return self._expanded(Binomial, batch_shape, _instance)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return fb.minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return fb.binomial(self.total_count.detach().expand(shape), self.probs.detach().expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * self.logits - n * fb.softplus(self.logits)

    def entropy(self) -> Tensor:
        """Sum ``-p log p`` over all counts. Raises: NotImplementedError if ``total_count`` varies over the batch."""
        log_prob = self.log_prob(self._all_counts("entropy"))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = self._all_counts("enumerate_support")
        return values.expand((-1,) + self._batch_shape) if expand else values

    def _all_counts(self, purpose: str) -> Tensor:
        trials = int(self.total_count.max())
        if not (self.total_count == trials).all():
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{purpose}`.")
        values = fb.arange(1 + trials, dtype=self._param.dtype, device=self._param.device)
        return values.view((-1,) + (1,) * len(self._batch_shape))
