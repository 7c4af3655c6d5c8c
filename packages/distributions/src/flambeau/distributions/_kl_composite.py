"""Divergences of composite distributions, and between two distributions of the same exponential family."""

from flambeau import Tensor

from .exp_family import ExponentialFamily
from .half_normal import HalfNormal
from .independent import Independent
from .kl import formula, kl_divergence
from .transformed_distribution import TransformedDistribution
from .utils import _sum_rightmost


@formula(ExponentialFamily, ExponentialFamily)
def _exponential_families(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """Compute the Bregman divergence ``F(q) - F(p) - <q - p, grad F(p)>`` of the log normaliser ``F``."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            "divergences"
        )
    params, normalizer, expected = p._expected_statistics()
    other = q._natural_params
    result = q._log_normalizer(*other) - normalizer
    for param_p, param_q, statistic in zip(params, other, expected, strict=True):
        term = (param_q - param_p) * statistic
        result = result - _sum_rightmost(term, term.dim() - result.dim())
    return result


@formula(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL between Independents with different reinterpreted_batch_ndims, "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}, is not implemented"
        )
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@formula(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    """Compute the divergence of the base distributions. Equal transforms do not change it."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL between TransformedDistributions with different transforms or event shapes is not implemented"
        )
    return kl_divergence(p.base_dist, q.base_dist)


@formula(HalfNormal, HalfNormal)
def _half_normals(p: HalfNormal, q: HalfNormal) -> Tensor:
    return kl_divergence(p.base_dist, q.base_dist)
