"""The Bernoulli distribution: the result of one trial, 0 or 1."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor
from flambeau._core import _binary_cross_entropy_with_logits

from . import constraints
from ._probs_or_logits import Binary
from .distribution import Shape
from .exp_family import ExponentialFamily

__all__ = ["Bernoulli"]


class Bernoulli(Binary, ExponentialFamily):
    """Bernoulli distribution: ``p(x) = probs**x (1 - probs)**(1 - x)`` for ``x`` equal to 0 or 1.

    Args:
        probs: probability of 1, a tensor or a number.
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
    Support: 0 and 1, in the parameter's dtype.

    >>> Bernoulli(probs=0.25).log_prob(fb.tensor([0.0, 1.0]))
    tensor([-0.2877, -1.3863])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._set(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Bernoulli":
        return self._expanded(Bernoulli, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs == 0.5, fb.nan)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        probs = self.probs.detach()
        return fb.bernoulli(probs if sample_shape == () else probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits = self.logits
        if logits.shape != value.shape:
            logits, value = fb.broadcast_tensors(logits, value)
        return -_binary_cross_entropy_with_logits(logits, value)

    def entropy(self) -> Tensor:
        return _binary_cross_entropy_with_logits(self.logits, self.probs)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = fb.arange(2, dtype=self._param.dtype, device=self._param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1,) + self._batch_shape) if expand else values

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (fb.logit(self.probs),)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return fb.softplus(x)
