"""The geometric distribution: the number of failures before the first success."""

from typing import Any

import flambeau as fb
from flambeau import Size, Tensor
from flambeau._core import _binary_cross_entropy_with_logits
from flambeau._operators.queries import _holds

from . import constraints
from ._probs_or_logits import Binary
from .distribution import Shape

__all__ = ["Geometric"]


class Geometric(Binary):
    """Distribution of the number of failures before the first success: ``p(k) = (1 - probs)**k probs``.

    Args:
        probs: probability of success, in (0, 1].
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
    Support: the nonnegative integers, in the parameter's dtype.

    >>> Geometric(probs=0.25).mean
    tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._set(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not _holds(self.probs > 0):
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape {tuple(self.probs.shape)}) of "
                f"distribution {self!r} to be positive but found invalid values:\n{self.probs}"
            )

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Geometric":
        return self._expanded(Geometric, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Tensor:
        return fb.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        probs = self.probs.detach()
        u = probs.new_empty(self._extended_shape(sample_shape)).uniform_(fb.finfo(probs.dtype).tiny, 1)
        return (u.log() / (-probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        # For probs = 1 and value = 0, make 0 * log(0) and its derivative 0.
        probs = self.probs.masked_fill((self.probs == 1) & (value == 0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return _binary_cross_entropy_with_logits(self.logits, self.probs) / self.probs
