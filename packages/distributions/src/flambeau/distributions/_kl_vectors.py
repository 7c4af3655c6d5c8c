"""Divergences between distributions over vectors."""

from flambeau import Tensor

from .dirichlet import Dirichlet
from .kl import formula
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal

MultivariateNormals = MultivariateNormal | LowRankMultivariateNormal


@formula(Dirichlet, Dirichlet)
def _dirichlets(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalizers = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return normalizers + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@formula(MultivariateNormal, MultivariateNormal)
@formula(MultivariateNormal, LowRankMultivariateNormal)
@formula(LowRankMultivariateNormal, MultivariateNormal)
@formula(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _multivariate_normals(p: MultivariateNormals, q: MultivariateNormals) -> Tensor:
    """Return ``(log(det C_q / det C_p) + trace(C_q**-1 C_p) + m^T C_q**-1 m - N) / 2`` with ``m = loc_q - loc_p``."""
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be computed: "
            f"{list(p.event_shape)} and {list(q.event_shape)}"
        )
    trace = q._mahalanobis(p._covariance_factor())
    distance = q._mahalanobis((q.loc - p.loc).unsqueeze(-1))
    return q._half_log_det() - p._half_log_det() + 0.5 * (trace + distance - p.event_shape[0])
