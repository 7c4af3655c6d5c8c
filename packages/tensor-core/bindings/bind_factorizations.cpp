// Factorizations and the systems they solve: functions of flambeau.linalg, and their older forms at the top level.
#include "bind.h"
#include "flambeau/linalg.h"

namespace flambeau::python {

namespace {

constexpr int kOlder = kFunction | kMethod | kOut;

PyObject* named(const char* name, const CholeskyFactor& f) { return named_tuple(name, {f.factor, f.info}); }
PyObject* named(const char* name, const linalg::Lu& f) { return named_tuple(name, {f.p, f.l, f.u}); }
PyObject* named(const char* name, const linalg::Qr& f) { return named_tuple(name, {f.q, f.r}); }

void bind_triangular() {
  def_linalg("solve_triangular(A, B, *, upper, left=True, unitriangular=False)",
             R"(The solution X of ``A X = B`` (``X A = B`` with ``left=False``) for a triangular A.

Only the triangle that ``upper`` names is read, and not its diagonal where ``unitriangular``: it is taken as 1. A zero
on the diagonal gives infinities, not an error.

Args:
    A: ``(*, n, n)``, real or complex floating.
    B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
Returns: of the shape of B with the batches broadcast.
Raises: RuntimeError where shapes or dtypes do not fit.
Gradient: both, any order.

>>> A = flambeau.tensor([[2.0, 0.0], [1.0, 4.0]])
>>> flambeau.linalg.solve_triangular(A, flambeau.tensor([[2.0], [5.0]]), upper=False)
tensor([[1.],
        [1.]]))",
             linalg::solve_triangular);
  def("triangular_solve(input, A, upper=True, transpose=False, unitriangular=False)", kOlder | kFloat32,
      R"(The solution of ``A X = input`` (``A^T X = input`` with ``transpose``) for a triangular A.

Returns: a named tuple ``(solution, cloned_coefficient)``, the latter a copy of A.
Gradient: both, any order. flambeau.linalg.solve_triangular is the modern form.)",
      [](const Tensor& b, const Tensor& a, bool upper, bool transpose, bool unitriangular) {
        const auto s = linalg::triangular_solve(b, a, upper, transpose, unitriangular);
        return named_tuple("triangular_solve", {s.solution, s.coefficient});
      });
}

void bind_cholesky() {
  def_linalg(
      "cholesky_ex(A, *, upper=False, check_errors=False)",
      R"(The Cholesky factor of a Hermitian positive-definite matrix, and what went wrong instead of an error.

Args:
    A: ``(*, n, n)``; only its lower triangle is read (its upper one with ``upper``).
    upper: give U with ``A = U^H U`` instead of L with ``A = L L^H``.
    check_errors: raise LinAlgError after all.
Returns: a named tuple ``(L, info)``; info, int32, is 0 or the order of the first minor that is not positive definite.
Gradient: A, any order.)",
      [](const Tensor& a, bool upper, bool check_errors) {
        return named("linalg_cholesky_ex", linalg::cholesky_ex(a, upper, check_errors));
      },
      kOut | kFloat32);
  def_linalg("cholesky(A, *, upper=False)",
             R"(The Cholesky factor: lower triangular L with ``A = L L^H``, or U with ``A = U^H U``.

Args:
    A: ``(*, n, n)``, Hermitian positive definite; only its lower triangle is read (its upper one with ``upper``).
Raises: LinAlgError if a matrix is not positive definite.
Gradient: A, any order. Source of the derivative: Murray 2016, arXiv:1602.07527.

>>> flambeau.linalg.cholesky(flambeau.tensor([[4.0, 2.0], [2.0, 10.0]]))
tensor([[2., 0.],
        [1., 3.]]))",
             linalg::cholesky, kOut | kFloat32);
  def("cholesky(input, upper=False)", kOlder | kFloat32,
      "The Cholesky factor of every matrix, as flambeau.linalg.cholesky.", linalg::cholesky);
}

void bind_lu() {
  def_linalg("lu_factor_ex(A, *, pivot=True, check_errors=False)",
             R"(``A = P L U`` by partial pivoting, as lu_factor, and what went wrong.

Args:
    A: ``(*, m, n)``.
    check_errors: raise LinAlgError where U has a zero on its diagonal.
Returns: a named tuple ``(LU, pivots, info)``; info, int32, is 0 or the first zero on the diagonal of U, counted from 1.
Gradient: A, any order.)",
             [](const Tensor& a, bool pivot, bool check_errors) {
               const LuFactors f = linalg::lu_factor_ex(a, pivot, check_errors);
               return named_tuple("linalg_lu_factor_ex", {f.lu, f.pivots, f.info});
             });
  def_linalg("lu_factor(A, *, pivot=True)",
             R"(``A = P L U`` by partial pivoting, for lu_solve.

Args:
    A: ``(*, m, n)``.
    pivot: must be True.
Returns: a named tuple ``(LU, pivots)``: U in and above the diagonal of LU, L below it, its diagonal of ones left out;
    pivots ``(*, min(m, n))``, int32: at step i the rows i and pivots[i] were exchanged, counted from 1.
Raises: LinAlgError where U has a zero on its diagonal.
Gradient: A, any order.)",
             [](const Tensor& a, bool pivot) {
               const LuFactors f = linalg::lu_factor(a, pivot);
               return named_tuple("linalg_lu_factor", {f.lu, f.pivots});
             });
  def_linalg("lu(A, *, pivot=True)",
             R"(``A = P L U``: a permutation, a lower triangular matrix with ones on its diagonal and an upper one.

Args:
    A: ``(*, m, n)``.
    pivot: must be True.
Returns: a named tuple ``(P, L, U)`` of ``(*, m, m)``, ``(*, m, k)``, ``(*, k, n)``, k the smaller of m and n.
Gradient: A, any order.)",
             [](const Tensor& a, bool pivot) { return named("linalg_lu", linalg::lu(a, pivot)); });
  def_linalg("lu_solve(LU, pivots, B, *, left=True, adjoint=False)",
             R"(The solution X of ``A X = B`` from the factors that lu_factor gave.

Args:
    LU, pivots: of A, ``(*, n, n)`` and ``(*, n)``, int32.
    B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
    left: False solves ``X A = B``.
    adjoint: solve with ``A^H`` in place of A.
Gradient: LU and B, any order.)",
             linalg::lu_solve);
  def("lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True)", kFunction | kOut,
      R"(P, L and U of ``A = P L U`` from what lu_factor gives.

Args:
    LU_data: ``(*, m, n)``.
    LU_pivots: ``(*, min(m, n))``, int32.
    unpack_data, unpack_pivots: False gives an empty L and U, or an empty P.
Returns: a named tuple ``(P, L, U)``.
Gradient: LU_data.)",
      [](const Tensor& lu, const Tensor& pivots, bool unpack_data, bool unpack_pivots) {
        return named("lu_unpack", linalg::lu_unpack(lu, pivots, unpack_data, unpack_pivots));
      });
}

void bind_ldl() {
  def_linalg("ldl_factor_ex(A, *, hermitian=False, check_errors=False)",
             R"(``A = L D L^T``, as ldl_factor, and what went wrong.

Returns: a named tuple ``(LD, pivots, info)``; info, int32, is 0 or the first zero block of D, counted from 1.
No gradient.)",
             [](const Tensor& a, bool hermitian, bool check_errors) {
               const LuFactors f = linalg::ldl_factor_ex(a, hermitian, check_errors);
               return named_tuple("linalg_ldl_factor_ex", {f.lu, f.pivots, f.info});
             });
  def_linalg(
      "ldl_factor(A, *, hermitian=False)",
      R"(``A = L D L^T`` (``L D L^H``) of a symmetric (Hermitian) matrix, D with blocks of one and two, for ldl_solve.

Args:
    A: ``(*, n, n)``; only its lower triangle is read.
    hermitian: a complex A is Hermitian, not symmetric.
Returns: a named tuple ``(LD, pivots)``: D on and L below the diagonal of LD, in LAPACK's compact form; pivots
    ``(*, n)``, int32: the rows that were exchanged, counted from 1, negative for a block of two.
Raises: LinAlgError if D has a zero block. No gradient. Source: Bunch, Kaufman 1977.)",
      [](const Tensor& a, bool hermitian) {
        const LuFactors f = linalg::ldl_factor(a, hermitian);
        return named_tuple("linalg_ldl_factor", {f.lu, f.pivots});
      });
  def_linalg("ldl_solve(LD, pivots, B, *, hermitian=False)",
             R"(The solution X of ``A X = B`` from what ldl_factor gave.

Args:
    LD, pivots: ``(*, n, n)`` and ``(*, n)``, int32.
    B: ``(*, n, k)``; the batches broadcast.
    hermitian: as it was given to ldl_factor.
No gradient.)",
             linalg::ldl_solve);
}

void bind_systems() {
  def_linalg("solve_ex(A, B, *, left=True, check_errors=False)",
             R"(The solution of ``A X = B`` as solve gives it, and what went wrong instead of an error.

Returns: a named tuple ``(result, info)``; info, int32, is 0 or the first zero on the diagonal of A's factor U, counted
    from 1: the result is of no use then.
Gradient: A and B, any order.)",
             [](const Tensor& a, const Tensor& b, bool left, bool check_errors) {
               const auto s = linalg::solve_ex(a, b, left, check_errors);
               return named_tuple("linalg_solve_ex", {s.result, s.info});
             });
  def_linalg("solve(A, B, *, left=True)",
             R"(The solution X of ``A X = B``, or of ``X A = B`` with ``left=False``.

Args:
    A: ``(*, n, n)``.
    B: ``(*, n, k)`` (``(*, k, n)`` with ``left=False``); or a vector ``(n,)``, or a batch of them ``(*, n)`` of the
        very batch of A. The batches of matrices broadcast.
Raises: LinAlgError if a matrix is singular; RuntimeError where shapes or dtypes do not fit.
Gradient: A and B, any order. Source of the derivative: Giles 2008, section 2.3.1.

>>> A = flambeau.tensor([[3.0, 1.0], [1.0, 2.0]])
>>> flambeau.linalg.solve(A, flambeau.tensor([9.0, 8.0]))
tensor([2., 3.]))",
             linalg::solve, kOut | kFloat32);
  def_linalg(
      "inv_ex(A, *, check_errors=False)",
      R"(The inverse, and what went wrong instead of an error.

Returns: a named tuple ``(inverse, info)``; info, int32, is 0 or the first zero on the diagonal of A's factor U, counted
    from 1: the inverse is of no use then.
Gradient: A, any order.)",
      [](const Tensor& a, bool check_errors) {
        const Inverse i = linalg::inv_ex(a, check_errors);
        return named_tuple("linalg_inv_ex", {i.inverse, i.info});
      },
      kOut | kFloat32);
  def_linalg("inv(A)",
             R"(The inverse of every matrix ``(*, n, n)``. To solve a system, solve is quicker and more accurate.

Raises: LinAlgError if a matrix is singular.
Gradient: A, any order.

>>> flambeau.linalg.inv(flambeau.tensor([[2.0, 0.0], [0.0, 4.0]]))
tensor([[0.5000, 0.0000],
        [0.0000, 0.2500]]))",
             linalg::inv, kOut | kFloat32);
}

void bind_qr() {
  def_linalg(
      "qr(A, mode='reduced')",
      R"(``A = QR``: orthonormal columns times an upper triangular matrix, by Householder's reflections.

Args:
    A: ``(*, m, n)``; k is the smaller of m and n.
    mode: "reduced" gives Q ``(*, m, k)`` and R ``(*, k, n)``; "complete" gives ``(*, m, m)`` and ``(*, m, n)``; "r"
        gives R alone, and an empty Q.
Returns: a named tuple ``(Q, R)``. The diagonal of R may be negative.
Gradient: A, any order, where the leading k columns of A are independent; not of "r", nor of "complete" with more rows
    than columns. Source: Walter, Lehmann 2010, arXiv:1009.6112; Roberts, Roberts 2020, arXiv:2009.10071.)",
      [](const Tensor& a, std::string_view mode) { return named("linalg_qr", linalg::qr(a, mode)); }, kOut | kFloat32);
  def("qr(input, some=True)", kOlder | kFloat32,
      "``input = QR``, as flambeau.linalg.qr in the mode \"reduced\", or \"complete\" where not ``some``.",
      [](const Tensor& a, bool some) { return named("linalg_qr", linalg::qr(a, some ? "reduced" : "complete")); });
  def("geqrf(input)", kOlder | kFloat32,
      R"(What a QR factorization leaves: R above, Householder's reflectors below the diagonal, and their factors.

Args:
    input: ``(*, m, n)``.
Returns: a named tuple ``(a, tau)`` of ``(*, m, n)`` and ``(*, min(m, n))``, for householder_product and ormqr.
    No gradient.)",
      [](const Tensor& a) {
        const QrFactors f = linalg::geqrf(a);
        return named_tuple("geqrf", {f.reflectors, f.tau});
      });
  def_linalg("householder_product(input, tau)",
             R"(The first n columns of ``H_1 H_2 ... H_k``, ``H_i = 1 - tau_i v_i v_i^H``: Q from what geqrf gives.

Args:
    input: ``(*, m, n)``, m >= n: v_i lies in column i below the diagonal, its leading 1 left out.
    tau: ``(*, k)``, k <= n.
Gradient: both, any order.)",
             linalg::householder_product, kOut | kFloat32);
  def("orgqr(input, input2)", kOlder | kFloat32,
      "The columns of Q from its reflectors, as flambeau.linalg.householder_product.", linalg::householder_product);
}

}  // namespace

void bind_factorizations() {
  bind_triangular();
  bind_cholesky();
  bind_lu();
  bind_ldl();
  bind_systems();
  bind_qr();
}

PyObject* linear_algebra_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.linalg.LinAlgError",
      "A matrix that the algorithm cannot go on with: singular, not positive definite, no convergence.",
      PyExc_RuntimeError, nullptr));
  return type;
}

}  // namespace flambeau::python
