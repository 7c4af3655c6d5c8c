"""The negative binomial distribution: the number of successes before a number of failures."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from ._probs_or_logits import Binary
from .distribution import Shape

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Binary):
    """Distribution of the number of successes before ``n = total_count`` failures.

    ``p(k) = gamma(n + k) / (gamma(n) k!) probs**k (1 - probs)**n``. A sample is drawn from a Poisson distribution whose
    rate is a gamma variable.

    Args:
        total_count: number of failures, nonnegative, not necessarily an integer; broadcasts with the other argument.
        probs: probability of success, in [0, 1).
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
    Support: the nonnegative integers, in the parameter's dtype.

    >>> NegativeBinomial(3.0, probs=fb.tensor(0.5)).mean
    tensor(3.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    total_count: Tensor

    def __init__(
        self,
        total_count: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        (self.total_count,) = self._set(probs, logits, total_count)
        self.total_count = self.total_count.type_as(self._param)
        super().__init__(self._param.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "NegativeBinomial":
        return self._expanded(NegativeBinomial, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        count, logits = self.total_count.detach(), self.logits.detach()
        return fb.poisson(fb._standard_gamma(count.expand(self._extended_shape(sample_shape))) * logits.exp())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        likelihood = n * fb.logsigmoid(-self.logits) + value * fb.logsigmoid(self.logits)
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        return likelihood + ways.masked_fill(n + value == 0, 0)
