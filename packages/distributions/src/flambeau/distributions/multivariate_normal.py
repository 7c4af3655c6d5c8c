"""The multivariate normal distribution."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Distribution, Shape
from .utils import lazy_property

__all__ = ["MultivariateNormal"]


def _batch_mv(bmat: Tensor, bvec: Tensor) -> Tensor:
    """Multiply matrices ``(*, M, N)`` by vectors ``(*, N)``. The batch dimensions are broadcast."""
    return (bmat @ bvec.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(bL: Tensor, bx: Tensor) -> Tensor:
    """Return the squared Mahalanobis distance ``|L**-1 x|**2`` for factors ``(*, N, N)`` and vectors ``(*, N)``."""
    n, batch = bL.shape[-1], bL.shape[:-2]
    if batch.numel() == 1:  # the same factor for all vectors
        solved = fb.linalg.solve_triangular(bL.reshape(n, n), bx.reshape(-1, n).T, upper=False)
        return solved.square().sum(0).reshape(fb.broadcast_shapes(bx.shape[:-1], batch))
    return fb.linalg.solve_triangular(bL, bx.unsqueeze(-1), upper=False).square().sum((-2, -1))


def _precision_to_scale_tril(precision: Tensor) -> Tensor:
    """Return the lower Cholesky factor of ``precision**-1`` without inverting ``precision``.

    The result follows from the Cholesky factor of ``precision`` with rows and columns in reverse order.
    """
    reverse = fb.linalg.cholesky(precision.flip(-2, -1)).flip(-2, -1).mT
    identity = fb.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return fb.linalg.solve_triangular(reverse, identity, upper=False)


class MultivariateNormal(Distribution):
    """Normal distribution in dimension N: ``p(x) = exp(-(x - loc)^T C**-1 (x - loc) / 2) / sqrt(det(2 pi C))``.

    Exactly one of the three matrices must be given. ``scale_tril`` needs the least computation.

    Args:
        loc: mean, ``(*, N)``.
        covariance_matrix: ``C``, ``(*, N, N)``, positive definite.
        precision_matrix: ``C**-1``, positive definite.
        scale_tril: ``L`` with ``C = L L^T``, lower triangular with a positive diagonal.
    Support: vectors ``(N,)``. Gradient: through ``rsample``, ``loc + L epsilon``.

    >>> MultivariateNormal(fb.zeros(2), scale_tril=fb.eye(2)).log_prob(fb.ones(2))
    tensor(-2.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    loc: Tensor
    _unbroadcasted_scale_tril: Tensor

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError(f"loc must be at least one-dimensional, got shape {list(loc.shape)}.")
        name, matrix = _only_matrix(covariance_matrix, precision_matrix, scale_tril)
        batch_shape = fb.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand(batch_shape + matrix.shape[-2:])
        self.loc = loc.expand(batch_shape + loc.shape[-1:])
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = _factor(name, matrix)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "MultivariateNormal":
        new = self._expanded(MultivariateNormal, batch_shape, _instance)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    @property
    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape + self._event_shape

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Return the lower Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Return the covariance."""
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand(self._matrix_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Return the inverse of the covariance."""
        return fb.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._matrix_shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        variance = self._unbroadcasted_scale_tril.square().sum(-1)
        return variance.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        epsilon = fb.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, epsilon)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        n: int = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self) -> Tensor:
        n: int = self._event_shape[0]
        entropy = 0.5 * n * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return entropy.expand(self._batch_shape)

    def _covariance_factor(self) -> Tensor:
        """Return ``F`` with ``C = F F^T``."""
        return self._unbroadcasted_scale_tril

    def _mahalanobis(self, columns: Tensor) -> Tensor:
        """Return the sum of ``c^T C**-1 c`` over columns ``(*, N, K)``."""
        factor = self._unbroadcasted_scale_tril
        batch = fb.broadcast_shapes(factor.shape[:-2], columns.shape[:-2])
        factor, columns = factor.expand(batch + factor.shape[-2:]), columns.expand(batch + columns.shape[-2:])
        return fb.linalg.solve_triangular(factor, columns, upper=False).square().sum((-2, -1))

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _only_matrix(covariance: Tensor | None, precision: Tensor | None, factor: Tensor | None) -> tuple[str, Tensor]:
    """Return the name and value of the argument that is not None. Raises: ValueError if 0, 2 or 3 are not None."""
    matrices = {"scale_tril": factor, "covariance_matrix": covariance, "precision_matrix": precision}
    given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
    if len(given) != 1:
        raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    ((name, matrix),) = given
    if matrix.dim() < 2:
        shown = "scale_tril matrix" if name == "scale_tril" else name
        raise ValueError(
            f"{shown} must be at least two-dimensional, with optional leading batch dimensions, got shape "
            f"{list(matrix.shape)}"
        )
    return name, matrix


def _factor(name: str, matrix: Tensor) -> Tensor:
    """Compute the lower Cholesky factor of the covariance from ``matrix``, the value of the argument ``name``."""
    if name == "scale_tril":
        return matrix
    return fb.linalg.cholesky(matrix) if name == "covariance_matrix" else _precision_to_scale_tril(matrix)
