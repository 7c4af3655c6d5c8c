"""Distributions whose parameter is either ``probs`` or ``logits``. The first access to the other one computes it."""

from typing import Any

from flambeau import Size, Tensor

from .distribution import Distribution
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def exactly_one(probs: Any, logits: Any) -> None:
    """Raise ValueError if both ``probs`` and ``logits`` are given, or neither of them."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class Binary(Distribution):
    """Base class of distributions with a probability of success ``probs = sigmoid(logits)``."""

    def _set(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Broadcast ``probs`` or ``logits``, whichever is given, with ``others``. Store it and return ``others``."""
        exactly_one(probs, logits)
        broadcast = broadcast_all(logits if probs is None else probs, *others)
        self.__dict__["logits" if probs is None else "probs"] = broadcast[0]
        return broadcast[1:]

    @property
    def _param(self) -> Tensor:
        """The parameter that was passed to the constructor: ``probs`` or ``logits``."""
        given: Tensor | None = self.__dict__.get("probs")
        return self.logits if given is None else given

    @lazy_property
    def logits(self) -> Tensor:
        """Return the log odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """Return the probabilities."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``."""
        return self._param.shape
