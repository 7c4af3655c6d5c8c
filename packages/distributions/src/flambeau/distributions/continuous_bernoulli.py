"""The continuous Bernoulli distribution on the unit interval."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor
from flambeau._core import _binary_cross_entropy_with_logits

from . import constraints
from ._probs_or_logits import Binary
from .distribution import Shape
from .exp_family import ExponentialFamily
from .utils import clamp_probs, lazy_property, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Binary, ExponentialFamily):
    """Continuous Bernoulli distribution: ``p(x) = C(probs) probs**x (1 - probs)**(1 - x)``.

    The normalising constant is ``C(l) = 2 atanh(1 - 2 l) / (1 - 2 l)`` for ``l != 0.5``, and ``C(0.5) = 2``.

    Args:
        probs: parameter in (0, 1), a tensor or a number. The mean of the distribution is a different number.
        logits: log odds of ``probs``. Exactly one of ``probs`` and ``logits`` must be given.
        lims: for ``probs`` between these limits, Taylor series at 0.5 replace the formulas, which are unstable there.
    Support: ``[0, 1]``. Gradient: ``rsample`` returns ``icdf(u)`` for uniform ``u``.
    Source: Loaiza-Ganem and Cunningham 2019, arXiv:1907.06845.

    >>> ContinuousBernoulli(probs=0.5).log_prob(fb.tensor(0.3))
    tensor(0.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._set(probs, logits)
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)
        if probs is not None:  # 0 and 1 have no density; the check is above, because clamping hides invalid values
            self.probs = clamp_probs(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """Return the probabilities, clamped to (0, 1), because the distribution has no density for 0 and 1."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "ContinuousBernoulli":
        new = self._expanded(ContinuousBernoulli, batch_shape, _instance)
        new._lims = self._lims
        return new

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """Return ``probs``, but ``lims[0]`` for values between the limits, where the formulas are unstable."""
        return fb.where(self._outside_unstable_region(), self.probs, self._lims[0])

    def _cont_bern_log_norm(self) -> Tensor:
        """Return ``log C(probs)``."""
        cut = self._cut_probs()
        log_norm = ((-cut).log1p() - cut.log()).abs().log() - (1 - 2 * cut).abs().log()
        x = (self.probs - 0.5).square()
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return fb.where(self._outside_unstable_region(), log_norm, taylor)

    @property
    def mean(self) -> Tensor:
        cut = self._cut_probs()
        mean = cut / (2 * cut - 1) + 1 / ((-cut).log1p() - cut.log())
        x = self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.square()) * x
        return fb.where(self._outside_unstable_region(), mean, taylor)

    @property
    def variance(self) -> Tensor:
        cut = self._cut_probs()
        variance = cut * (cut - 1) / (1 - 2 * cut).square() + 1 / ((-cut).log1p() - cut.log()).square()
        x = (self.probs - 0.5).square()
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return fb.where(self._outside_unstable_region(), variance, taylor)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        return self.icdf(fb.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = fb.broadcast_tensors(self.logits, value)
        return self._cont_bern_log_norm() - _binary_cross_entropy_with_logits(logits, value)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut_probs()
        cdf = (cut.pow(value) * (1 - cut).pow(1 - value) + cut - 1) / (2 * cut - 1)
        return fb.where(self._outside_unstable_region(), cdf, value).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        cut = self._cut_probs()
        log_0 = (-cut).log1p()
        quantile = ((value * (2 * cut - 1) - cut).log1p() - log_0) / (cut.log() - log_0)
        return fb.where(self._outside_unstable_region(), quantile, value)

    def entropy(self) -> Tensor:
        log_0, log_1 = (-self.probs).log1p(), self.probs.log()
        return self.mean * (log_0 - log_1) - self._cont_bern_log_norm() - log_0

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        """Return ``log((e**x - 1) / x)``. Near 0, a series computes the result."""
        outside = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = fb.where(outside, x, self._lims[0] - 0.5)
        log_norm = cut.expm1().abs().log() - cut.abs().log()
        return fb.where(outside, log_norm, 0.5 * x + x.square() / 24 - x.pow(4) / 2880)
