"""The Bernoulli distribution, relaxed to the unit interval so that draws are differentiable."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from ._probs_or_logits import Binary
from ._relaxed import Relaxed
from .distribution import Shape
from .transforms import SigmoidTransform
from .utils import clamp_probs

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(Binary):
    """Distribution of the log odds of a relaxed Bernoulli variable: ``(logits + logit(u)) / temperature``.

    Args:
        temperature: positive. Lower values give relaxed variables closer to 0 and 1.
        probs: probability of 1, a tensor or a number.
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.

    >>> LogitRelaxedBernoulli(fb.tensor(1.0), probs=0.5).log_prob(fb.tensor(0.0))
    tensor(-1.3863)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        self._set(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "LogitRelaxedBernoulli":
        new = self._expanded(LogitRelaxedBernoulli, batch_shape, _instance)
        new.temperature = self.temperature
        return new

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = clamp_probs(fb.rand(shape, dtype=self.logits.dtype, device=self.logits.device))
        return (u.log() - (-u).log1p() + self.logits) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        difference = self.logits - value * self.temperature
        return fb.as_tensor(self.temperature).log() + difference - 2 * fb.softplus(difference)


class RelaxedBernoulli(Relaxed):
    """Continuous relaxation of the Bernoulli distribution: numbers in (0, 1) that are differentiable in the parameter.

    Args:
        temperature: positive. Lower values give draws closer to 0 and 1.
        probs: probability of 1, a tensor or a number.
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
    Support: ``[0, 1]``. Gradient: through ``rsample``, ``sigmoid((logits + logit(u)) / temperature)``.
    Source: Maddison, Mnih, Teh 2016, arXiv:1611.00712; Jang, Gu, Poole 2016, arXiv:1611.01144.

    >>> RelaxedBernoulli(fb.tensor(0.5), probs=fb.tensor([0.1, 0.9])).rsample().shape
    flambeau.Size([2])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "RelaxedBernoulli":
        new = self._get_checked_instance(RelaxedBernoulli, _instance)
        super().expand(batch_shape, _instance=new)
        return new
