"""The multivariate normal distribution with a covariance of low rank plus a diagonal."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Distribution, Shape
from .multivariate_normal import _batch_mahalanobis, _batch_mv
from .utils import lazy_property

__all__ = ["LowRankMultivariateNormal"]


def _batch_capacitance_tril(W: Tensor, D: Tensor) -> Tensor:
    """Return the lower Cholesky factor of the capacitance ``I + W^T diag(D)**-1 W``."""
    identity = fb.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    return fb.linalg.cholesky(identity + W.mT / D.unsqueeze(-2) @ W)


def _batch_lowrank_logdet(W: Tensor, D: Tensor, capacitance_tril: Tensor) -> Tensor:
    """Return the logarithm of the determinant of ``W W^T + diag(D)``."""
    return 2 * capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) + D.log().sum(-1)


def _batch_lowrank_mahalanobis(W: Tensor, D: Tensor, x: Tensor, capacitance_tril: Tensor) -> Tensor:
    """Return the squared Mahalanobis distance ``x^T (W W^T + diag(D))**-1 x`` of vectors ``(*, N)``."""
    weighted = x / D
    return (x * weighted).sum(-1) - _batch_mahalanobis(capacitance_tril, _batch_mv(W.mT, weighted))


class LowRankMultivariateNormal(Distribution):
    """Multivariate normal distribution with covariance ``C = W W^T + diag(d)``.

    The time of ``rsample`` and ``log_prob`` is linear in the dimension N.

    Args:
        loc: mean, ``(*, N)``.
        cov_factor: ``W``, ``(*, N, M)``.
        cov_diag: ``d``, ``(*, N)``, positive.
    Support: vectors ``(N,)``. Gradient: through ``rsample``, ``loc + W epsilon + sqrt(d) epsilon'``.
    Source: Woodbury's identity and the matrix determinant lemma, with the capacitance ``I + W^T diag(d)**-1 W``.

    >>> LowRankMultivariateNormal(fb.zeros(2), fb.ones(2, 1), fb.ones(2)).covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    loc: Tensor
    cov_factor: Tensor
    cov_diag: Tensor

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        batch_shape = _batch_shape(loc, cov_factor, cov_diag)
        event_shape = loc.shape[-1:]
        self.loc = loc.expand(batch_shape + event_shape)
        self.cov_factor = cov_factor.expand(batch_shape + cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(batch_shape + event_shape)
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._capacitance_tril = _batch_capacitance_tril(cov_factor, cov_diag)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "LowRankMultivariateNormal":
        new = self._expanded(LowRankMultivariateNormal, batch_shape, _instance)
        for name in ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril"):
            setattr(new, name, getattr(self, name))
        return new

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        variance = self._unbroadcasted_cov_factor.square().sum(-1) + self._unbroadcasted_cov_diag
        return variance.expand(self.loc.shape)

    @property
    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape + self._event_shape

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Covariance matrix ``W W^T + diag(d)``."""
        factor = self._unbroadcasted_cov_factor
        return (factor @ factor.mT + self._unbroadcasted_cov_diag.diag_embed()).expand(self._matrix_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Return the lower Cholesky factor of the covariance."""
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        identity = fb.eye(self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        return (root * fb.linalg.cholesky(identity + scaled @ scaled.mT)).expand(self._matrix_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Return the inverse of the covariance."""
        solved = self._solve(self._unbroadcasted_cov_diag.reciprocal().diag_embed())
        precision = self._unbroadcasted_cov_diag.reciprocal().diag_embed() - solved.mT @ solved
        return precision.expand(self._matrix_shape)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return W, d and the Cholesky factor of the capacitance."""
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag, self._capacitance_tril

    def _solve(self, weighted: Tensor) -> Tensor:
        """Return ``L**-1 W^T weighted``, for columns ``(*, N, K)`` and the Cholesky factor ``L`` of the capacitance."""
        columns = self._unbroadcasted_cov_factor.mT @ weighted
        factor = self._capacitance_tril.expand(columns.shape[:-2] + self._capacitance_tril.shape[-2:])
        return fb.linalg.solve_triangular(factor, columns, upper=False)

    def _mahalanobis(self, columns: Tensor) -> Tensor:
        """Return the sum of ``c^T C**-1 c`` over columns ``(*, N, K)``."""
        weighted = columns / self._unbroadcasted_cov_diag.unsqueeze(-1)
        return (columns * weighted).sum((-2, -1)) - self._solve(weighted).square().sum((-2, -1))

    def _half_log_det(self) -> Tensor:
        return 0.5 * _batch_lowrank_logdet(*self._parts())

    def _covariance_factor(self) -> Tensor:
        """Return ``F`` with ``C = F F^T``."""
        diagonal = self._unbroadcasted_cov_diag.sqrt().diag_embed()
        batch = fb.broadcast_shapes(diagonal.shape[:-2], self._unbroadcasted_cov_factor.shape[:-2])
        parts = (self._unbroadcasted_cov_factor, diagonal)
        return fb.cat([part.expand(batch + part.shape[-2:]) for part in parts], -1)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        rank = self.cov_factor.shape[-1:]
        options: Any = {"dtype": self.loc.dtype, "device": self.loc.device}
        common = self._unbroadcasted_cov_factor @ fb.randn(shape[:-1] + rank, **options).unsqueeze(-1)
        own = self._unbroadcasted_cov_diag.sqrt() * fb.randn(shape, **options)
        return self.loc + common.squeeze(-1) + own

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        factor, diagonal, capacitance_tril = self._parts()
        distance = _batch_lowrank_mahalanobis(factor, diagonal, value - self.loc, capacitance_tril)
        return -0.5 * (self.loc.shape[-1] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self) -> Tensor:
        entropy = 0.5 * self.loc.shape[-1] * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return entropy.expand(self._batch_shape)


def _batch_shape(loc: Tensor, cov_factor: Tensor, cov_diag: Tensor) -> Size:
    """Return the batch shape of the parameters. Raises: ValueError if their shapes do not match."""
    if loc.dim() < 1:
        raise ValueError(f"loc must be at least one-dimensional, got shape {list(loc.shape)}.")
    n = loc.shape[-1]
    if cov_factor.dim() < 2:
        raise ValueError(
            "cov_factor must be at least two-dimensional, with optional leading batch dimensions, got shape "
            f"{list(cov_factor.shape)}"
        )
    if cov_factor.shape[-2] != n:
        raise ValueError(
            f"cov_factor must be a batch of matrices with shape {n} x m, got shape {list(cov_factor.shape)}"
        )
    if cov_diag.dim() < 1 or cov_diag.shape[-1] != n:
        raise ValueError(f"cov_diag must be a batch of vectors with shape [{n}], got shape {list(cov_diag.shape)}")
    try:
        return fb.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
        ) from None
