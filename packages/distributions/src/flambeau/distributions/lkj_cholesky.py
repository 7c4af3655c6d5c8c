"""The LKJ distribution of Cholesky factors of correlation matrices."""

import math
from typing import Any

import flambeau as fb
from flambeau import Size, Tensor, no_grad

from . import constraints
from .beta import Beta
from .distribution import Distribution, Shape
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Distribution of the lower Cholesky factor ``L`` of a correlation matrix.

    The density of the correlation matrix is proportional to ``det(L L^T)**(concentration - 1)``. For a concentration
    of 1, the density is uniform. Larger values favour matrices near the identity.

    Args:
        dim: number ``D`` of rows and columns, at least 2.
        concentration: positive, a tensor or a number.
    Support: ``(D, D)``, lower triangular with a positive diagonal and rows of length 1.
    Source: Lewandowski, Kurowicka, Joe 2009. Samples are drawn with the onion method of this paper.

    >>> LKJCholesky(3, 0.5).sample().shape
    flambeau.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    concentration: Tensor

    def __init__(self, dim: int, concentration: Tensor | float = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, Size((dim, dim)), validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "LKJCholesky":
        new = self._expanded(LKJCholesky, batch_shape, _instance)
        new.dim = self.dim
        return new

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        """Draw samples with the onion method.

        The i elements of row i below the diagonal are a random unit vector times the square root of a beta variable.
        The diagonal element makes the length of each row 1.
        """
        with no_grad():
            shape = self._extended_shape(sample_shape)
            eta = self.concentration.unsqueeze(-1)
            below = fb.arange(1, self.dim, dtype=eta.dtype, device=eta.device)
            square = Beta(below / 2, eta + (self.dim - 1 - below) / 2, validate_args=False).sample(sample_shape)
            normal = fb.randn(shape, dtype=eta.dtype, device=eta.device).tril(-1)[..., 1:, :]
            rows = square.sqrt().unsqueeze(-1) * normal / normal.norm(dim=-1, keepdim=True)
            rows = fb.cat([fb.zeros_like(rows[..., :1, :]), rows], -2)
            rest = (1 - rows.square().sum(-1)).clamp(min=fb.finfo(rows.dtype).tiny)
            return rows + rest.sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        eta, m = self.concentration, self.dim - 1
        rows = fb.arange(2, self.dim + 1, dtype=eta.dtype, device=eta.device)
        order = 2 * (eta - 1).unsqueeze(-1) + self.dim - rows
        density = (order * value.diagonal(dim1=-2, dim2=-1)[..., 1:].log()).sum(-1)
        alpha = eta + 0.5 * m
        return density - (0.5 * m * math.log(math.pi) + (alpha - 0.5).mvlgamma(m) - alpha.lgamma() * m)
