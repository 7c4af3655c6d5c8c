"""Transforms to triangular and positive definite matrices."""

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import Size, Tensor

from .. import constraints
from ..utils import tril_matrix_to_vec, vec_to_tril_matrix
from ._base import Parameterless


class CorrCholeskyTransform(Parameterless):
    """Transform from ``D (D - 1) / 2`` numbers to the ``(D, D)`` Cholesky factor ``L`` of a correlation matrix.

    The numbers ``tanh(x)`` are the partial correlations ``r_ij`` below the diagonal, row by row. The factor is
    ``L_ij = r_ij sqrt(prod_{k<j} (1 - r_ik**2))`` below the diagonal. The diagonal makes the length of each row 1.

    Source: Lewandowski, Kurowicka, Joe 2009.

    >>> CorrCholeskyTransform()(fb.tensor([0.5]))
    tensor([[1.0000, 0.0000],
            [0.4621, 0.8868]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = fb.finfo(x.dtype).eps
        r = vec_to_tril_matrix(x.tanh().clamp(-1 + eps, 1 - eps), diag=-1)
        rest = (1 - r.square()).sqrt().cumprod(-1)[..., :-1]
        before = fb.cat([fb.ones_like(r[..., :1]), rest], -1)
        return (r + fb.eye(r.shape[-1], dtype=r.dtype, device=r.device)) * before

    def _inverse(self, y: Tensor) -> Tensor:
        used = y.square().cumsum(-1)[..., :-1]
        before = fb.cat([fb.ones_like(y[..., :1]), 1 - used], -1)
        r = tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(before, -1).sqrt()
        return r.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the weighted sum of ``log(1 - r_ik**2)``, the logarithm of the derivative of tanh, over all ``r_ik``.

        The weight is 1, plus 0.5 for each element of row i between column k and the diagonal, because these elements
        have the factor ``sqrt(1 - r_ik**2)``.
        """
        d = y.shape[-1]
        rows, columns = fb.tril_indices(d, d, -1, device=x.device).unbind()
        exponents = 1 + (rows - columns - 1).to(x.dtype) / 2
        log_slopes = 2 * (math.log(2.0) - x - fb.softplus(-2 * x))
        return (log_slopes * exponents).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input: expected at least 1, got shape []")
        n = shape[-1]
        d = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if d * (d - 1) // 2 != n:
            raise ValueError(
                f"Input is not a flattened lower-diagonal number: expected size D * (D - 1) / 2 for an int D, got {n}"
            )
        return Size((*shape[:-1], d, d))

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 2:
            raise ValueError(f"Too few dimensions on input: expected at least 2, got shape {list(shape)}")
        if shape[-2] != shape[-1]:
            raise ValueError(f"Input is not square: {list(shape)}")
        d = shape[-1]
        return Size((*shape[:-2], d * (d - 1) // 2))


class LowerCholeskyTransform(Parameterless):
    """Transform from square to lower triangular matrices. The new diagonal is the exponential of the old diagonal.

    >>> LowerCholeskyTransform()(fb.tensor([[0.0, 5.0], [2.0, 1.0]]))
    tensor([[1.0000, 0.0000],
            [2.0000, 2.7183]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Parameterless):
    """Transform from square matrices to positive definite matrices ``L L^T``.

    ``L`` is the result of `LowerCholeskyTransform`.

    >>> PositiveDefiniteTransform()(fb.tensor([[0.0, 5.0], [2.0, 0.0]]))
    tensor([[1., 2.],
            [2., 5.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(fb.linalg.cholesky(y))
