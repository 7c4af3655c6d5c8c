"""Linear algebra: norms, factorizations, equations, eigenvalues, for batches of real and complex matrices.

Matrices lie in the last two dimensions; what is before them is the batch. Factorizations by elimination and reflection
are flambeau's own (float32, float64, complex64, complex128); eigenvalues and singular values come from LAPACK through
NumPy.
"""

from flambeau._core import vecdot, vector_norm
from flambeau.linalg import _iterative, _legacy, _lowrank  # noqa: F401  (what the top level calls)
from flambeau.linalg._checks import LinAlgError
from flambeau.linalg._determinant import det, slogdet
from flambeau.linalg._functions import matrix_exp, matrix_power
from flambeau.linalg._indefinite import ldl_factor, ldl_factor_ex, ldl_solve
from flambeau.linalg._least_squares import lstsq, pinv
from flambeau.linalg._lu import inv, inv_ex, lu, lu_factor, lu_factor_ex, lu_solve, solve, solve_ex
from flambeau.linalg._norms import cond, matrix_norm, matrix_rank, norm
from flambeau.linalg._orthogonal import householder_product, qr
from flambeau.linalg._products import cross, diagonal, matmul, multi_dot, tensorinv, tensorsolve, vander
from flambeau.linalg._spectral import eig, eigh, eigvals, eigvalsh, svd, svdvals
from flambeau.linalg._triangular import cholesky, cholesky_ex, solve_triangular

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
