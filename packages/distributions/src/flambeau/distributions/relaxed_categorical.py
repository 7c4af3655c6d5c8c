"""The one-hot categorical distribution, relaxed to the simplex so that draws are differentiable."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from ._relaxed import Relaxed
from .categorical import Categorical
from .distribution import Distribution, Shape
from .transforms import ExpTransform
from .utils import clamp_probs

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(Distribution):
    """Distribution of the logarithm of a relaxed one-hot vector: ``log_softmax((logits + gumbel) / temperature)``.

    Args:
        temperature: positive. Lower values give relaxed vectors closer to one-hot vectors.
        probs: ``(*, K)``, nonnegative weights.
        logits: ``(*, K)``, unnormalised log probabilities. Exactly one of ``probs`` and ``logits`` must be given.

    >>> ExpRelaxedCategorical(fb.tensor(1.0), probs=fb.ones(3)).rsample((2,)).shape
    flambeau.Size([2, 3])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector  # only vectors whose exponential is in the simplex are drawn
    has_rsample = True

    _categorical: Categorical

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "ExpRelaxedCategorical":
        new: ExpRelaxedCategorical = self._get_checked_instance(ExpRelaxedCategorical, _instance)
        new.temperature = self.temperature
        new._categorical = self._categorical.expand(batch_shape)
        return self._expanded(ExpRelaxedCategorical, batch_shape, new)

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``: ``batch_shape + (K,)``."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Tensor:
        """The log probabilities."""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._categorical.probs

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = clamp_probs(fb.rand(shape, dtype=self.logits.dtype, device=self.logits.device))
        return ((self.logits - (-u.log()).log()) / self.temperature).log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k: int = self._event_shape[0]
        scores = (self.logits - value * self.temperature).log_softmax(-1).sum(-1)
        return scores + math.lgamma(k) + (k - 1) * fb.as_tensor(self.temperature).log()


class RelaxedOneHotCategorical(Relaxed):
    """Continuous relaxation of OneHotCategorical: points of the simplex that are differentiable in the parameter.

    Args:
        temperature: positive. Lower values give draws closer to one-hot vectors.
        probs: ``(*, K)``, nonnegative weights.
        logits: ``(*, K)``, unnormalised log probabilities. Exactly one of ``probs`` and ``logits`` must be given.
    Support: points ``(K,)`` of the simplex.
    Gradient: through ``rsample``, ``softmax((logits + gumbel) / temperature)`` with Gumbel noise.
    Source: Maddison, Mnih, Teh 2016, arXiv:1611.00712; Jang, Gu, Poole 2016, arXiv:1611.01144.

    >>> RelaxedOneHotCategorical(fb.tensor(1.0), probs=fb.ones(3)).rsample((2,)).shape
    flambeau.Size([2, 3])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "RelaxedOneHotCategorical":
        new = self._get_checked_instance(RelaxedOneHotCategorical, _instance)
        super().expand(batch_shape, _instance=new)
        return new
