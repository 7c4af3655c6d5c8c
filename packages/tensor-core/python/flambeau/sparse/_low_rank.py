"""Low-rank factorizations of sparse matrices, which only need products with the matrix."""

from __future__ import annotations

from typing import Any

from flambeau._core import Tensor
from flambeau.sparse._reductions import sum
from flambeau.sparse._tensor import implements


@implements("svd_lowrank")
def svd_lowrank(A: Any, q: int = 6, niter: int = 2, M: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, S, V of rank q for A - M, with a sparse matrix A."""
    from flambeau.linalg import _lowrank

    return _lowrank.svd_lowrank(A, q, niter, M)


@implements("pca_lowrank")
def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Return `svd_lowrank` of a sparse matrix, whose columns are centred if ``center``."""
    q = min(6, *A.shape) if q is None else q
    return svd_lowrank(A, q, niter, sum(A, 0).to_dense() / A.shape[0] if center else None)
