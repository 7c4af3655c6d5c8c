"""Linear algebra for batches of real and complex matrices: norms, factorizations, solvers, eigenvalues.

The last two dimensions contain the matrices, the leading dimensions are the batch. flambeau implements factorizations
by elimination and reflection for float32, float64, complex64 and complex128, and eigenvalues and singular values of
small matrices. For larger matrices, eigenvalues and singular values are computed by LAPACK through NumPy.
"""

from flambeau import _suggestions
from flambeau._core import (
    _LinAlgError as LinAlgError,
    linalg_cholesky as cholesky,
    linalg_cholesky_ex as cholesky_ex,
    linalg_cross as cross,
    linalg_diagonal as diagonal,
    linalg_eig as eig,
    linalg_eigh as eigh,
    linalg_eigvals as eigvals,
    linalg_eigvalsh as eigvalsh,
    linalg_householder_product as householder_product,
    linalg_inv as inv,
    linalg_inv_ex as inv_ex,
    linalg_ldl_factor as ldl_factor,
    linalg_ldl_factor_ex as ldl_factor_ex,
    linalg_ldl_solve as ldl_solve,
    linalg_lstsq as lstsq,
    linalg_lu as lu,
    linalg_lu_factor as lu_factor,
    linalg_lu_factor_ex as lu_factor_ex,
    linalg_lu_solve as lu_solve,
    linalg_matmul as matmul,
    linalg_matrix_power as matrix_power,
    linalg_matrix_rank as matrix_rank,
    linalg_multi_dot as multi_dot,
    linalg_pinv as pinv,
    linalg_qr as qr,
    linalg_solve as solve,
    linalg_solve_ex as solve_ex,
    linalg_solve_triangular as solve_triangular,
    linalg_svd as svd,
    linalg_svdvals as svdvals,
    linalg_vander as vander,
    linalg_vecdot as vecdot,
    linalg_vector_norm as vector_norm,
)
from flambeau.linalg import _iterative, _lowrank  # noqa: F401  (called by functions of the top level)
from flambeau.linalg._determinant import det, slogdet
from flambeau.linalg._functions import matrix_exp
from flambeau.linalg._norms import cond, matrix_norm, norm
from flambeau.linalg._products import tensorinv, tensorsolve

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

_suggestions.suggest_names(__name__)
