"""Parametrizations of weights: weight normalisation, spectral normalisation and orthogonal matrices."""

from __future__ import annotations

from functools import partial
from typing import Any

import flambeau
from flambeau import Tensor, eye, no_grad
from flambeau.linalg import householder_product, matrix_exp, qr, solve, vector_norm

from .. import functional as F
from ..modules.module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """Return the norms over all dimensions except ``dim``, with reduced dimensions kept as size 1.

    For ``dim=-1``, return the norm over all dimensions, a scalar.
    """
    if dim == -1:
        return vector_norm(v)
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return vector_norm(v, dim=others, keepdim=True) if others else v.abs()


class _WeightNorm(Module):
    """Weight normalisation: ``weight = g * v / |v|`` with trained ``g`` and ``v``."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return values of ``g`` and ``v`` that give this weight: the norm of the weight, and the weight."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a weight with two trained parameters: its norms (``original0``) and its direction (``original1``).

    Args:
        module: the module, which is changed and returned.
        name: name of the weight parameter.
        dim: dimension along which each slice has a separate norm; None for one norm of the whole weight.
    State: ``load_state_dict`` also accepts the keys of `nn.utils.weight_norm`: ``weight_g`` and ``weight_v``.
    Source: Salimans, Kingma 2016, arXiv:1602.07868.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    >>> [tuple(p.shape) for p in layer.parametrizations.weight.originals()]
    [(3, 1), (3, 4)]
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(partial(_rename_norm_and_direction, name))
    return module


def _rename_norm_and_direction(name: str, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename the entries that `nn.utils.weight_norm` saves as ``<name>_g`` and ``<name>_v``."""
    saved = [f"{prefix}{name}_{letter}" for letter in "gv"]
    if all(key in state_dict for key in saved):
        for number, key in enumerate(saved):
            state_dict[f"{prefix}parametrizations.{name}.original{number}"] = state_dict.pop(key)


def matrix_of(weight: Tensor, dim: int) -> Tensor:
    """Return the weight as a matrix with one row for each index along ``dim``."""
    return (weight if dim == 0 else weight.movedim(dim, 0)).flatten(1)


class _SpectralNorm(Module):
    """Spectral normalisation: ``w / sigma``, where power iteration estimates the largest singular value ``sigma``."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        if not -max(weight.ndim, 1) <= dim < max(weight.ndim, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(weight.ndim, 1)}, "
                f"{max(weight.ndim, 1) - 1}], but got {dim})"
            )
        self.dim = dim % max(weight.ndim, 1)
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            with no_grad():
                matrix = matrix_of(weight, self.dim)
                rows, columns = matrix.shape
                for name, size in (("_u", rows), ("_v", columns)):
                    self.register_buffer(name, F.normalize(matrix.new_empty(size).normal_(), dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, count: int) -> None:
        with no_grad():
            for _ in range(count):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.T @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = matrix_of(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        return weight / (self._u.clone() @ (matrix @ self._v.clone()))

    def right_inverse(self, value: Tensor) -> Tensor:
        """Return ``value``. The normalised weight is then ``value`` divided by its largest singular value."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value.

    Args:
        module: the module, which is changed and returned.
        name: name of the weight parameter.
        n_power_iterations: steps of the power iteration in each pass in training mode.
        eps: lower limit of norms, which avoids division by zero.
        dim: dimension of the outputs. The default is 0, or 1 for transposed convolutions.
    Source: Miyato et al. 2018, arXiv:1802.05957.

    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
    >>> nn.utils.parametrize.is_parametrized(layer)
    True
    """
    dim = _output_dim(module) if dim is None else dim
    weight = getattr(module, name)
    return parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def _output_dim(module: Module) -> int:
    return 1 if getattr(module, "transposed", False) else 0


class _Orthogonal(Module):
    """Map from an unconstrained matrix to an orthogonal (or unitary) matrix.

    With ``use_trivialization``, ``base`` is a constant orthogonal factor of the result.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, map_name: str, use_trivialization: bool) -> None:
        super().__init__()
        if weight.is_complex() and map_name == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.map_name = map_name
        self.use_trivialization = use_trivialization
        self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        rows, columns = X.shape[-2:]
        tall = X if rows >= columns else X.mT
        Q = self._householder(tall) if self.map_name == "householder" else self._skew(tall)
        if self.base is not None:
            Q = self.base @ Q
        return Q if rows >= columns else Q.mT

    def _skew(self, X: Tensor) -> Tensor:
        """Apply the exponential or Cayley map to the skew-Hermitian matrix that the lower triangle defines."""
        rows, columns = X.shape[-2:]
        lower = X.tril()
        if rows != columns:
            lower = flambeau.cat([lower, lower.new_zeros(*X.shape[:-2], rows, rows - columns)], -1)
        skew = lower - lower.mH
        if self.map_name == "matrix_exp":
            Q = matrix_exp(skew)
        else:
            one = eye(rows, dtype=X.dtype)
            Q = solve(one - skew / 2, one + skew / 2)
        return Q[..., :columns]

    def _householder(self, X: Tensor) -> Tensor:
        reflections = X.tril(-1)
        tau = 2.0 / (1.0 + (reflections * reflections).sum(-2))
        Q = householder_product(reflections, tau)
        return Q * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    def right_inverse(self, Q: Tensor) -> Tensor:
        """Return a matrix that maps to ``Q``. Raises: NotImplementedError for maps without a unique inverse."""
        if tuple(Q.shape) != tuple(self.shape):
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {list(self.shape)}. Got {list(Q.shape)}."
            )
        if self.use_trivialization:
            self.base = _orthonormal(Q)
            start = flambeau.zeros_like(Q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1)  # every map gives the identity for this matrix
            return start
        if self.map_name != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        tall = Q if Q.shape[-2] >= Q.shape[-1] else Q.mT
        factors: Tensor
        factors, tau = flambeau.geqrf(tall)
        diagonal = factors.diagonal(dim1=-2, dim2=-1)
        # Where tau is 0, LAPACK multiplies by the identity. The map always multiplies by a reflection, which changes
        # the sign of a column, so the diagonal gets the other sign.
        diagonal.copy_(flambeau.where(tau == 0, -diagonal.sign(), diagonal.sign()))
        return factors if Q.shape[-2] >= Q.shape[-1] else factors.mT


def _orthonormal(X: Tensor) -> Tensor:
    """Orthonormalise the columns of X by QR, and add random columns to get a square orthogonal matrix."""
    tall = X if X.shape[-2] >= X.shape[-1] else X.mT
    rows, columns = tall.shape[-2:]
    if rows != columns:
        filling = tall.new_empty(*tall.shape[:-2], rows, rows - columns).normal_()
        tall = flambeau.cat([tall, filling], -1)
    Q: Tensor
    Q, R = qr(tall)
    signs: Tensor = R.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)
    return Q * signs


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Parametrize a weight so that it is always orthogonal.

    The columns of the matrix are orthonormal or, if there are more columns than rows, its rows.

    Args:
        module: the module, which is changed and returned.
        name: name of the weight, which has at least two dimensions. The last two dimensions are the matrix.
        orthogonal_map: ``"matrix_exp"``, ``"cayley"`` or ``"householder"``. The default is ``"matrix_exp"`` for square
            and complex matrices, otherwise ``"householder"``.
        use_trivialization: if True, keep the initial weight as a fixed factor.
    Raises: ValueError for an unknown map or a weight with fewer than two dimensions.
    Source: Lezcano-Casado 2019, arXiv:1909.09501.

    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> fb.allclose(layer.weight @ layer.weight.T, fb.eye(3), atol=1e-5)
    True
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of shape {list(weight.shape)}.")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map!r}'
        )
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, parametrization, unsafe=True)
