"""The categorical distribution over K classes."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from ._probs_or_logits import exactly_one
from .distribution import Distribution, Shape
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Categorical"]


class Categorical(Distribution):
    """Categorical distribution over K classes: ``p(k) = probs[..., k]``.

    Args:
        probs: ``(*, K)``, nonnegative weights. The distribution divides the weights by their sum.
        logits: ``(*, K)``, unnormalised log probabilities. Exactly one of ``probs`` and ``logits`` must be given. The
            attribute ``logits`` is normalised.
    Support: the integers from 0 to K - 1, int64.

    >>> Categorical(probs=fb.tensor([1.0, 3.0])).log_prob(fb.tensor([0, 1]))
    tensor([-1.3863, -0.2877])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        exactly_one(probs, logits)
        given: Any = logits if probs is None else probs
        if not isinstance(given, Tensor):
            name = "logits" if probs is None else "probs"
            raise TypeError(
                f"Categorical: {name} must be a Tensor, got {type(given).__name__}; write flambeau.tensor()"
            )
        if given.dim() < 1:
            raise ValueError(f"`{'logits' if probs is None else 'probs'}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = (given if given.is_floating_point() else given.to(fb.get_default_dtype())).log_softmax(-1)
        else:
            self.probs = given / given.sum(-1, True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Categorical":
        new = self._expanded(Categorical, batch_shape, _instance)
        new._num_events = self._num_events
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Tensor:
        """Return the normalised log probabilities."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """Return the probabilities."""
        return logits_to_probs(self.logits)

    @property
    def _param(self) -> Tensor:
        given: Tensor | None = self.__dict__.get("probs")
        return self.logits if given is None else given

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``: ``batch_shape + (K,)``."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        return fb.full(self._batch_shape, fb.nan, dtype=self._param.dtype, device=self._param.device)

    @property
    def mode(self) -> Tensor:
        return self._param.argmax(-1)

    @property
    def variance(self) -> Tensor:
        return self.mean

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        sample_shape = sample_shape if isinstance(sample_shape, Size) else Size(sample_shape)
        rows, draws = self.probs.detach(), sample_shape.numel()
        if draws == 0:
            return fb.empty(self._extended_shape(sample_shape), dtype=fb.int64, device=rows.device)
        drawn = fb.multinomial(rows.reshape(-1, self._num_events), draws, True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = self.logits, value.long()
        if value.shape != logits.shape[:-1]:
            shape = fb.broadcast_shapes(value.shape, logits.shape[:-1])
            logits, value = logits.expand(shape + (self._num_events,)), value.expand(shape)
        return logits.gather(-1, value.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=fb.finfo(self.logits.dtype).min)  # the product with a probability of 0 is 0
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = fb.arange(self._num_events, dtype=fb.int64, device=self._param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1,) + self._batch_shape) if expand else values
