"""Divergences between two univariate continuous distributions of the same family."""

import flambeau as fb
from flambeau import Tensor

from .beta import Beta
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import formula
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .uniform import Uniform
from .utils import euler_constant


@formula(Normal, Normal)
def _normals(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    shift = ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + shift - 1 - ratio.log())


@formula(Gamma, Gamma)
def _gammas(p: Gamma, q: Gamma) -> Tensor:
    return (
        q.concentration * (p.rate / q.rate).log()
        + q.concentration.lgamma()
        - p.concentration.lgamma()
        + (p.concentration - q.concentration) * p.concentration.digamma()
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@formula(Beta, Beta)
def _betas(p: Beta, q: Beta) -> Tensor:
    a, b = p.concentration1, p.concentration0
    difference_a, difference_b = a - q.concentration1, b - q.concentration0
    return (
        q._log_normalizer(*q._natural_params)
        - p._log_normalizer(a, b)
        + difference_a * a.digamma()
        + difference_b * b.digamma()
        - (difference_a + difference_b) * (a + b).digamma()
    )


@formula(Exponential, Exponential)
def _exponentials(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@formula(Laplace, Laplace)
def _laplaces(p: Laplace, q: Laplace) -> Tensor:
    """Compute the divergence in closed form.

    Source: Gil, Alajaji, Linder 2013, "Renyi divergence measures for commonly used univariate continuous
    distributions".
    """
    distance = (p.loc - q.loc).abs()
    return (q.scale / p.scale).log() + (distance + p.scale * (-distance / p.scale).exp()) / q.scale - 1


@formula(Cauchy, Cauchy)
def _cauchys(p: Cauchy, q: Cauchy) -> Tensor:
    """Compute the divergence in closed form. Source: Chyzak and Nielsen 2019, arXiv:1905.10965."""
    between = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return (between / (4 * p.scale * q.scale)).log()


@formula(Gumbel, Gumbel)
def _gumbels(p: Gumbel, q: Gumbel) -> Tensor:
    ratio = p.scale / q.scale
    shift = (p.loc - q.loc) / q.scale
    return (
        -ratio.log()
        + shift
        + ratio * euler_constant
        + (ratio + 1).lgamma().exp() * (-shift).exp()
        - (1 + euler_constant)
    )


@formula(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoullis(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    log_p = p._cont_bern_log_norm() + (-p.probs).log1p()
    log_q = q._cont_bern_log_norm() + (-q.probs).log1p()
    return p.mean * (p.logits - q.logits) + log_p - log_q


@formula(Pareto, Pareto)
def _paretos(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    kl = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return kl.masked_fill(p.scale < q.scale, fb.inf)


@formula(Uniform, Uniform)
def _uniforms(p: Uniform, q: Uniform) -> Tensor:
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return kl.masked_fill((q.low > p.low) | (q.high < p.high), fb.inf)
