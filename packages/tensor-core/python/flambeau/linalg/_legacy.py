"""The older form of the singular values, which flambeau's top level has."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint
from flambeau.linalg._spectral import decompose, svdvals

_Svd = _core._return_type("svd", ("U", "S", "V"))


def svd(input: Tensor, some: bool, compute_uv: bool) -> Any:
    """``U, S, V``."""
    _checks.matrix("svd", input)
    if compute_uv:
        U, S, Vh = decompose(input, not some)
        return _Svd((U, S, adjoint(Vh)))
    m, n = input.shape[-2:]
    zeros = (input.new_zeros((*input.shape[:-2], size, size)) for size in (m, n))
    U, V = zeros
    return _Svd((U, svdvals(input), V))
