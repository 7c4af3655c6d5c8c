"""The Wishart distribution of positive definite matrices."""

import math
import warnings
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor

from . import constraints
from .distribution import Shape
from .exp_family import ExponentialFamily
from .multivariate_normal import _factor
from .utils import lazy_property

__all__ = ["Wishart"]


class Wishart(ExponentialFamily):
    """Distribution of the sum of ``df`` matrices ``x x^T``, where ``x`` are normal vectors of covariance ``V``.

    ``p(X) = det(X)**((df - p - 1) / 2) exp(-trace(V**-1 X) / 2) / (2**(df p / 2) det(V)**(df / 2) gamma_p(df / 2))``.

    Args:
        df: degrees of freedom, above ``p - 1``, not necessarily an integer; a tensor or a number.
        covariance_matrix: ``V``, ``(*, p, p)``, positive definite. Exactly one of the three matrices must be given.
        precision_matrix: ``V**-1``, positive definite.
        scale_tril: the lower Cholesky factor of ``V``.
    Support: positive definite matrices ``(p, p)``.
    Gradient: through ``rsample``, which draws normal and gamma variables.
    Source: samples are drawn with Bartlett's decomposition, Smith and Hocking 1972.

    >>> Wishart(3.0, scale_tril=fb.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    df: Tensor
    _unbroadcasted_scale_tril: Tensor

    def __init__(
        self,
        df: Tensor | float,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {
            "scale_tril": scale_tril,
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
        }
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise AssertionError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions, got shape "
                f"{list(matrix.shape)}"
            )
        df = fb.as_tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch_shape = fb.broadcast_shapes(df.shape, matrix.shape[:-2])
        p = matrix.shape[-1]
        self.df = df.expand(batch_shape)
        if (df <= p - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {p - 1}.")
        self.__dict__[name] = matrix.expand(batch_shape + (p, p))
        super().__init__(batch_shape, Size((p, p)), validate_args=validate_args)
        if (df < p).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._unbroadcasted_scale_tril = _factor(name, matrix)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Wishart":
        new = self._expanded(Wishart, batch_shape, _instance)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    @property
    def _shape(self) -> Size:
        return self._batch_shape + self._event_shape

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Return the lower Cholesky factor of ``V``."""
        return self._unbroadcasted_scale_tril.expand(self._shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Return the covariance matrix ``V``."""
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand(self._shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Return the inverse of ``V``."""
        return fb.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._shape)

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """The mode. NaN if ``df <= p + 1``."""
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        return fb.where(factor > 0, factor, fb.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        """The variance of each element: ``df (V_ij**2 + V_ii V_jj)``."""
        covariance = self.covariance_matrix
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df[..., None, None] * (covariance.square() + outer)

    def rsample(self, sample_shape: Shape = Size(), max_try_correction: int | None = None) -> Tensor:
        """Draw samples. Draw singular samples again, at most ``max_try_correction`` times (10 by default).

        Rounding can make a sample singular.
        """
        sample_shape = Size(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        singular = ~self.support.check(sample)
        for _ in range(10 if max_try_correction is None else max_try_correction):
            if not singular.any():
                break
            sample = fb.where(singular[..., None, None], self._bartlett_sampling(sample_shape), sample)
            singular = ~self.support.check(sample)
        return sample

    def _bartlett_sampling(self, sample_shape: Size) -> Tensor:
        """Draw ``L A A^T L^T`` with a lower triangular matrix ``A`` and the Cholesky factor ``L`` of ``V``.

        ``A`` has normal variables below the diagonal and square roots of chi-squared variables on the diagonal.
        """
        shape = self._extended_shape(sample_shape)
        p = shape[-1]
        below = fb.randn(shape, dtype=self.df.dtype, device=self.df.device).tril(-1)
        degrees = self.df.unsqueeze(-1) - fb.arange(p, dtype=self.df.dtype, device=self.df.device)
        chi2 = 2 * fb._standard_gamma((degrees / 2).expand(shape[:-1]))
        factor = self._unbroadcasted_scale_tril @ (below + chi2.sqrt().diag_embed())
        return factor @ factor.mT

    def _half_log_det(self) -> Tensor:
        """Return ``log(det(V)) / 2``."""
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        p, half = value.shape[-1], self.df / 2
        factor = self._unbroadcasted_scale_tril
        trace = fb.cholesky_solve(value, factor.expand(value.shape)).diagonal(dim1=-2, dim2=-1).sum(-1)
        log_det = fb.linalg.slogdet(value).logabsdet
        return (
            -self.df * (0.5 * p * math.log(2) + self._half_log_det())
            - half.mvlgamma(p)
            + (half - (p + 1) / 2) * log_det
            - 0.5 * trace
        )

    def entropy(self) -> Tensor:
        p, half = self.covariance_matrix.shape[-1], self.df / 2
        scale = (p + 1) * (0.5 * p * math.log(2) + self._half_log_det())
        mvdigamma = (half.unsqueeze(-1) - fb.arange(p, dtype=half.dtype, device=half.device) / 2).digamma().sum(-1)
        return scale + half.mvlgamma(p) - (half - (p + 1) / 2) * mvdigamma + p * half

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        """The natural parameters for the statistics ``X`` and ``log(det(X))``."""
        return -0.5 * self.precision_matrix, 0.5 * (self.df - self._event_shape[-1] - 1)

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        p = x.shape[-1]
        half = y + (p + 1) / 2
        return half * (p * math.log(2) - fb.linalg.slogdet(-2 * x).logabsdet) + half.mvlgamma(p)
