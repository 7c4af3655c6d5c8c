"""Linear algebra for batches of real and complex matrices: norms, factorizations, solvers, eigenvalues.

The last two dimensions contain the matrices, the leading dimensions are the batch. flambeau implements factorizations
by elimination and reflection for float32, float64, complex64 and complex128, and eigenvalues and singular values of
small matrices. For larger matrices, eigenvalues and singular values are computed by LAPACK through NumPy.
"""

from flambeau import _suggestions
from flambeau._core import _LinAlgError as LinAlgError
from flambeau._core import linalg_cholesky as cholesky
from flambeau._core import linalg_cholesky_ex as cholesky_ex
from flambeau._core import linalg_cross as cross
from flambeau._core import linalg_diagonal as diagonal
from flambeau._core import linalg_eig as eig
from flambeau._core import linalg_eigh as eigh
from flambeau._core import linalg_eigvals as eigvals
from flambeau._core import linalg_eigvalsh as eigvalsh
from flambeau._core import linalg_householder_product as householder_product
from flambeau._core import linalg_inv as inv
from flambeau._core import linalg_inv_ex as inv_ex
from flambeau._core import linalg_ldl_factor as ldl_factor
from flambeau._core import linalg_ldl_factor_ex as ldl_factor_ex
from flambeau._core import linalg_ldl_solve as ldl_solve
from flambeau._core import linalg_lstsq as lstsq
from flambeau._core import linalg_lu as lu
from flambeau._core import linalg_lu_factor as lu_factor
from flambeau._core import linalg_lu_factor_ex as lu_factor_ex
from flambeau._core import linalg_lu_solve as lu_solve
from flambeau._core import linalg_matmul as matmul
from flambeau._core import linalg_matrix_power as matrix_power
from flambeau._core import linalg_matrix_rank as matrix_rank
from flambeau._core import linalg_multi_dot as multi_dot
from flambeau._core import linalg_pinv as pinv
from flambeau._core import linalg_qr as qr
from flambeau._core import linalg_solve as solve
from flambeau._core import linalg_solve_ex as solve_ex
from flambeau._core import linalg_solve_triangular as solve_triangular
from flambeau._core import linalg_svd as svd
from flambeau._core import linalg_svdvals as svdvals
from flambeau._core import linalg_vander as vander
from flambeau._core import linalg_vecdot as vecdot
from flambeau._core import linalg_vector_norm as vector_norm
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
