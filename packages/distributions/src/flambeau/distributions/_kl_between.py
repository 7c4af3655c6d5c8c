"""Divergences between different univariate families: ``-H(p) - E_p[log q(x)]``, where ``H`` is the entropy."""

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor

from .beta import Beta
from .continuous_bernoulli import ContinuousBernoulli
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import formula
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .uniform import Uniform
from .utils import euler_constant

# For each class of p, the classes of q whose support does not contain the support of p: the divergence is infinite.
_OUTSIDE: dict[type[Distribution], tuple[type[Distribution], ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
}


def _infinite_divergence(p: Distribution, q: Distribution) -> Tensor:
    mean = p.mean
    shape = fb.broadcast_shapes(p.batch_shape, q.batch_shape)
    return fb.full(shape, fb.inf, dtype=mean.dtype, device=mean.device)


for _p, _others in _OUTSIDE.items():
    for _q in _others:
        formula(_p, _q)(_infinite_divergence)


def _mean_log(p: Any) -> Tensor:
    """Return ``E[log x]`` for ``x`` distributed as ``p``."""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Exponential):
        return -euler_constant - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    return _uniform_mean_log(p.low, p.high)


def _uniform_mean_log(low: Tensor, high: Tensor) -> Tensor:
    return (fb.xlogy(high, high) - fb.xlogy(low, low)) / (high - low) - 1


def _mean_exp(p: Any, t: Tensor) -> Tensor:
    """Return ``E[exp(-t x)]`` for ``x`` distributed as ``p`` and positive ``t``."""
    if isinstance(p, Exponential):
        return p.rate / (p.rate + t)
    if isinstance(p, Gamma):
        return (p.rate / (p.rate + t)).pow(p.concentration)
    if isinstance(p, Normal):
        return (0.5 * (t * p.scale).square() - t * p.loc).exp()
    return ((-t * p.low).exp() - (-t * p.high).exp()) / (t * (p.high - p.low))


def _infinite_unless(possible: Tensor, kl: Tensor) -> Tensor:
    """Return ``kl`` where ``possible`` is True, else infinity."""
    return fb.where(possible, kl, fb.inf)


def _in_unit_interval(p: Uniform) -> Tensor:
    return (p.low >= 0) & (p.high <= 1)


@formula(Beta, Normal)
@formula(ContinuousBernoulli, Normal)
@formula(Exponential, Normal)
@formula(Gamma, Normal)
@formula(Gumbel, Normal)
@formula(Laplace, Normal)
@formula(Pareto, Normal)
@formula(Uniform, Normal)
def _to_normal(p: Distribution, q: Normal) -> Tensor:
    square = (p.mean - q.loc).square() + p.variance
    kl = square / (2 * q.variance) + q.scale.log() + 0.5 * math.log(2 * math.pi) - p.entropy()
    return _infinite_unless(p.variance < fb.inf, kl)


@formula(Beta, Exponential)
@formula(ContinuousBernoulli, Exponential)
@formula(Gamma, Exponential)
@formula(Pareto, Exponential)
def _to_exponential(p: Distribution, q: Exponential) -> Tensor:
    return q.rate * p.mean - q.rate.log() - p.entropy()


@formula(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    return _infinite_unless(p.low >= 0, _to_exponential(p, q))


@formula(Beta, Gamma)
@formula(Exponential, Gamma)
@formula(Pareto, Gamma)
def _to_gamma(p: Distribution, q: Gamma) -> Tensor:
    a = q.concentration
    return q.rate * p.mean - (a - 1) * _mean_log(p) - a * q.rate.log() + a.lgamma() - p.entropy()


@formula(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> Tensor:
    return _infinite_unless(p.low >= 0, _to_gamma(p, q))


@formula(Exponential, Gumbel)
@formula(Gamma, Gumbel)
@formula(Normal, Gumbel)
@formula(Uniform, Gumbel)
def _to_gumbel(p: Distribution, q: Gumbel) -> Tensor:
    tail = (q.loc / q.scale).exp() * _mean_exp(p, q.scale.reciprocal())
    return (p.mean - q.loc) / q.scale + tail + q.scale.log() - p.entropy()


@formula(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    """Compute the divergence from the mean of ``|x - q.loc|``, which has a folded normal distribution."""
    shift = p.loc - q.loc
    z = shift / (math.sqrt(2) * p.scale)
    distance = p.scale * math.sqrt(2 / math.pi) * (-z.square()).exp() + shift * z.erf()
    return distance / q.scale + (2 * q.scale).log() - p.entropy()


@formula(Beta, ContinuousBernoulli)
def _to_continuous_bernoulli(p: Distribution, q: ContinuousBernoulli) -> Tensor:
    return -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()


@formula(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Uniform, q: ContinuousBernoulli) -> Tensor:
    return _infinite_unless(_in_unit_interval(p), _to_continuous_bernoulli(p, q))


@formula(Beta, Uniform)
@formula(ContinuousBernoulli, Uniform)
def _unit_interval_uniform(p: Distribution, q: Uniform) -> Tensor:
    return _infinite_unless((q.low <= 0) & (q.high >= 1), (q.high - q.low).log() - p.entropy())


@formula(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    mean_log, mean_log_rest = _uniform_mean_log(p.low, p.high), _uniform_mean_log(1 - p.high, 1 - p.low)
    kl = q._log_normalizer(a, b) - (a - 1) * mean_log - (b - 1) * mean_log_rest - p.entropy()
    return _infinite_unless(_in_unit_interval(p), kl)


@formula(Uniform, Pareto)
def _uniform_pareto(p: Uniform, q: Pareto) -> Tensor:
    kl = (q.alpha + 1) * _mean_log(p) - q.alpha.log() - q.alpha * q.scale.log() - p.entropy()
    return _infinite_unless(p.low >= q.scale, kl)
