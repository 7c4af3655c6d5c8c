// What flambeau.linalg has that is native, and the factorizations that its operators, written in Python, are made of.
#include <cmath>

#include "bind.h"
#include "flambeau/factorization.h"

namespace flambeau::python {

namespace {

Tensor norm_of_vectors(const Tensor& x, Scalar ord, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  require(is_inexact(x.dtype()), "linalg.vector_norm: Expected a floating point or complex tensor as input. Got ",
          x.dtype());
  const double p = ord.real();
  bool nothing = x.numel() == 0 && (!dim || dim->size() == 0);
  for (int64_t d : dim.value_or(Shape{})) nothing |= x.dim() > 0 && x.size(d) == 0;
  require(!nothing || (p >= 0 && !std::isinf(p)), "linalg.vector_norm cannot compute the ", p,
          " norm on an empty tensor because the operation does not have an identity");
  return vector_norm(dtype ? to(x, *dtype) : x, p, dim, keepdim);
}

Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  require(x.dtype() == y.dtype(), "linalg.vecdot: Expected x and y to have the same dtype, but got ", x.dtype(),
          " and ", y.dtype());
  return sum(mul(conj(x), y), Shape{dim}, false, x.dtype());
}

Tensor vdot(const Tensor& x, const Tensor& y) {
  require(x.dim() == 1 && y.dim() == 1, "1D tensors expected, but got ", x.dim(), "D and ", y.dim(), "D tensors");
  require(x.numel() == y.numel(), "inconsistent tensor size, expected tensor [", x.numel(), "] and src [", y.numel(),
          "] to have the same number of elements");
  require(x.dtype() == y.dtype(), "dot : expected both vectors to have same dtype, but found ", x.dtype(), " and ",
          y.dtype());
  return matmul(conj(x), y);
}

}  // namespace

void bind_linear_algebra() {
  def("vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None)", kPrivate | kOut,
      "The norm of vectors: sum(abs(x)**ord)**(1 / ord); the largest and the smallest absolute value for inf and -inf, "
      "the number of elements that are not 0 for 0.\n\nArgs:\n    x: of any shape.\n    dim: the dimensions that make "
      "a vector; all by default.\n    dtype: what x is converted to first.\nReturns: real.\nRaises: RuntimeError for "
      "integers, and for an empty vector where ord is negative or inf.\nGradient: x; 0 where the norm is 0.\n\n"
      ">>> flambeau.linalg.vector_norm(flambeau.tensor([3.0, 4.0]))\ntensor(5.)",
      norm_of_vectors)
      ->module = "flambeau.linalg";
  def("vecdot(x, y, *, dim=-1)", kPrivate | kOut,
      "The inner products sum(conj(x) * y) along a dimension; the others broadcast.\n\nRaises RuntimeError where the "
      "dtypes differ. Gradient: both, any order.\n\n"
      ">>> flambeau.linalg.vecdot(flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, -1.0]))\n"
      "tensor([-1., -1.])",
      vecdot)
      ->module = "flambeau.linalg";
  def("vdot(input, other)", kFunction | kMethod | kOut,
      "The inner product of two vectors, the first conjugated: sum(conj(input) * other). Gradient: both.", vdot);
  def("_cross(input, other, dim)", kPrivate, "The cross products of vectors along a dimension.", cross);
  def("_ldl_factor(input, hermitian)", kPrivate, "LD and pivots of every matrix, and info.",
      [](const Tensor& a, bool hermitian) {
        LuFactors f = ldl_factor(a, hermitian);
        return Tensors{f.lu, f.pivots, f.info};
      });
  def("_ldl_solve(lu, pivots, other, hermitian)", kPrivate, "The solution of A X = B from A's factors.", ldl_solve);
  def("_lu_factor(input)", kPrivate, "LU and pivots of every matrix, and info.", [](const Tensor& a) {
    LuFactors f = lu_factor(a);
    return Tensors{f.lu, f.pivots, f.info};
  });
  def("_lu_solve(lu, pivots, other, adjoint)", kPrivate, "The solution of A X = B, or of A^H X = B, from A's factors.",
      lu_solve);
  def("_lu_permutation(pivots, rows)", kPrivate, "The order that the pivots put so many rows into.", lu_permutation);
  def("_inverse(input)", kPrivate, "The inverse of every matrix, and info.", [](const Tensor& a) {
    Inverse i = inverse(a);
    return Tensors{i.inverse, i.info};
  });
  def("_lu_determinant(lu, pivots)", kPrivate, "The determinant, from the factors.", lu_determinant);
  def("_lu_log_determinant(lu, pivots)", kPrivate, "Sign and logarithm of the absolute value of the determinant.",
      [](const Tensor& lu, const Tensor& pivots) {
        LogDeterminant d = lu_log_determinant(lu, pivots);
        return Tensors{d.sign, d.logarithm};
      });
  def("_cholesky_factor(input, upper)", kPrivate, "The Cholesky factor of every matrix, and info.",
      [](const Tensor& a, bool upper) {
        CholeskyFactor f = cholesky_factor(a, upper);
        return Tensors{f.factor, f.info};
      });
  def("_solve_triangular(input, other, upper, unitriangular)", kPrivate, "A^-1 B for triangular A, batches broadcast.",
      solve_triangular);
  def("_qr_factor(input)", kPrivate, "R above and Householder's reflectors below the diagonal, and their factors tau.",
      [](const Tensor& a) {
        QrFactors f = qr_factor(a);
        return Tensors{f.reflectors, f.tau};
      });
  def("_householder_product(input, tau, columns)", kPrivate, "The first columns of Q, from its reflectors.",
      householder_product);
  def("_eigh(input, upper, vectors)", kPrivate, "Eigenvalues, and eigenvectors, of small Hermitian matrices.",
      [](const Tensor& a, bool upper, bool vectors) {
        Eigen e = eigen_hermitian(a, upper, vectors);
        return vectors ? Tensors{e.values, e.vectors} : Tensors{e.values};
      });
  def("_svd(input, full, vectors)", kPrivate, "U, S, V^H (or S alone) of small matrices, and info.",
      [](const Tensor& a, bool full, bool vectors) {
        SingularValues s = singular_values(a, full, vectors);
        return vectors ? Tensors{s.u, s.values, s.vh, s.info} : Tensors{s.values, s.info};
      });
  def("_apply_reflectors(input, tau, other, adjoint)", kPrivate, "Q C, or Q^H C, from Q's reflectors.",
      apply_reflectors);
}

}  // namespace flambeau::python
