"""Divergences between discrete distributions."""

import flambeau as fb
from flambeau import Tensor

from .bernoulli import Bernoulli
from .binomial import Binomial
from .categorical import Categorical
from .geometric import Geometric
from .kl import formula
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson


def _weighted(weight: Tensor, log_ratio: Tensor, other: Tensor) -> Tensor:
    """Return 0 where ``weight`` is 0, else infinity where ``other`` is 0, else ``weight * log_ratio``."""
    term = (weight * log_ratio).masked_fill(other == 0, fb.inf)
    return term.masked_fill((weight == 0).expand(term.shape), 0)


@formula(Bernoulli, Bernoulli)
def _bernoullis(p: Bernoulli, q: Bernoulli) -> Tensor:
    ones = _weighted(p.probs, fb.softplus(-q.logits) - fb.softplus(-p.logits), q.probs)
    zeros = _weighted(1 - p.probs, fb.softplus(q.logits) - fb.softplus(p.logits), 1 - q.probs)
    return ones + zeros


@formula(Binomial, Binomial)
def _binomials(p: Binomial, q: Binomial) -> Tensor:
    """Return the divergence of one trial times the number of trials."""
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return kl.masked_fill(p.total_count > q.total_count, fb.inf)


@formula(Categorical, Categorical)
def _categoricals(p: Categorical, q: Categorical) -> Tensor:
    return _weighted(p.probs, p.logits - q.logits, q.probs).sum(-1)


@formula(OneHotCategorical, OneHotCategorical)
def _one_hots(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categoricals(p._categorical, q._categorical)


@formula(Geometric, Geometric)
def _geometrics(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@formula(Poisson, Poisson)
def _poissons(p: Poisson, q: Poisson) -> Tensor:
    return fb.xlogy(p.rate, p.rate) - fb.xlogy(p.rate, q.rate) - (p.rate - q.rate)


@formula(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    return q.rate - fb.xlogy(p.probs, q.rate) - p.entropy()


@formula(Poisson, Bernoulli)
@formula(Poisson, Binomial)
def _poisson_bounded(p: Poisson, q: Bernoulli | Binomial) -> Tensor:
    """Return infinity, because a Poisson variable can exceed any number of trials."""
    return fb.full(fb.broadcast_shapes(p.rate.shape, q._param.shape), fb.inf, dtype=p.rate.dtype, device=p.rate.device)
