// Eigenvalues and singular values. Small matrices use Jacobi rotations and shifted QR. Others use LAPACK through NumPy
// (flambeau.linalg._lapack). On a GPU, CuPy is used if it is installed.
#include <algorithm>

#include "calls/bind.h"
#include "flambeau/cuda/array_library.h"
#include "flambeau/operators/linalg.h"
#include "operators/decompositions.h"

namespace flambeau::python {

namespace {

constexpr int64_t kSmall = 10;         // up to this size, Jacobi rotations are faster than LAPACK
constexpr int64_t kSmallGeneral = 24;  // up to this size, shifted QR is faster than LAPACK

constexpr const char kNotConverged[] =
    "The algorithm failed to converge, because the input matrix is ill-conditioned or not finite.";

Tensors by_lapack(const char* function, const Tensor& a, const std::vector<int64_t>& options) {
  constexpr const char* module = "flambeau.linalg._lapack";
  if (!a.is_cuda()) return tensors_of(module, function, nullptr, a, options);
  a.bytes();  // counts this call of a GPU operator that runs on the CPU
  Tensors found;
  {
    const OnDevice cpu(Device{});
    found = tensors_of(module, function, nullptr, to(detach(a), DeviceType::Cpu), options);
  }
  for (Tensor& t : found) t = to(t, a.device());
  return found;
}

bool upper_of(std::string_view triangle) {
  const bool upper = triangle == "U" || triangle == "u";
  require(upper || triangle == "L" || triangle == "l", "Expected UPLO argument to be 'L' or 'U', but got ", triangle);
  return upper;
}

void check_general(const char* name, bool finite, bool converged) {
  require(finite, "linalg.", name, ": input tensor should not contain infs or NaNs.");
  require<linalg::LinAlgError>(converged, "linalg.", name, ": ", kNotConverged);
}

Eigen general(const char* name, const Tensor& a, bool vectors) {
  linalg::check_square(name, a);
  const bool both = vectors || recording(a);
  Eigen out;
  if (const Tensors there = cuda::by_array_library("eig", a, {both}); !there.empty()) {
    const Dtype dtype = to_complex(a.dtype());
    out = {to(there[0], dtype), both ? to(there[1], dtype) : Tensor()};
  } else if (a.size(-1) <= kSmallGeneral) {
    const GeneralEigen found = eigen_general(a, both);
    check_general(name, !found.not_finite, !found.not_converged);
    out = {found.values, found.vectors};
  } else {
    check_general(name, item(all(isfinite(detach(a)), std::nullopt, false)).truth(), true);
    const Tensors found = by_lapack("eig", a, {both});
    out = {found[0], both ? found[1] : Tensor()};
  }
  linalg::record_eig(a, out.values, out.vectors);
  return out;
}

}  // namespace

Eigen hermitian_eigen(const char* name, const Tensor& a, std::string_view triangle, bool vectors) {
  linalg::check_square(name, a);
  const bool upper = upper_of(triangle), both = vectors || recording(a);
  Tensors found = cuda::by_array_library("eigh", a, {upper, both});
  Eigen out;
  if (found.empty() && a.size(-1) <= kSmall) {
    out = eigen_hermitian(a, upper, both);
  } else {
    if (found.empty()) found = by_lapack("eigh", a, {upper, both});
    out = {found[0], both ? found[1] : Tensor()};
  }
  linalg::record_eigh(a, out.values, out.vectors);
  return out;
}

SingularValues singular_decomposition(const char* name, const Tensor& a, bool full, bool vectors) {
  linalg::check_matrix(name, a);
  const bool all = vectors || recording(a);
  Tensors found = cuda::by_array_library("svd", a, {full, all});
  SingularValues out;
  if (found.empty() && std::max(a.size(-1), a.size(-2)) <= kSmall) {
    out = singular_values(a, full, all);
    const int32_t* info = out.info.data<int32_t>();
    require<linalg::LinAlgError>(std::all_of(info, info + out.info.numel(), [](int32_t i) { return i == 0; }),
                                 "linalg.", name, ": ", kNotConverged);
  } else {
    if (found.empty()) found = by_lapack("svd", a, {full, all});
    out.values = found[all];
    if (all) out.u = found[0], out.vh = found[2];
  }
  linalg::record_svd(a, out.u, out.values, out.vh);
  return out;
}

namespace {

void require_no_driver(const char* name, PyObject* driver) {
  require(driver == Py_None, "linalg.", name, ": keyword argument `driver=` is only supported on CUDA inputs");
}

void bind_eigenvalues() {
  def_linalg(
      "eigh(A, UPLO='L')",
      R"(Compute the decomposition ``A = V diag(L) V^H`` of a symmetric or Hermitian matrix.

Args:
    A: ``(*, n, n)``.
    UPLO: "L" or "U": the triangle that is read.
Returns: a named tuple ``(eigenvalues, eigenvectors)``. The eigenvalues are real and ascending, the eigenvectors are
    columns. The sign of an eigenvector (in the complex case, its phase) is arbitrary.
Raises: LinAlgError if the algorithm does not converge.
Gradient: A, any order, where the eigenvalues are distinct; RuntimeError if the loss depends on a phase.
    Source: Giles 2008, section 3.1.)",
      [](const Tensor& a, std::string_view triangle) {
        const Eigen e = hermitian_eigen("eigh", a, triangle, true);
        return named_tuple("linalg_eigh", {e.values, e.vectors});
      },
      kOut | kExactOut | kFloat32);
  def_linalg(
      "eigvalsh(A, UPLO='L')",
      R"(Compute the eigenvalues of a symmetric or Hermitian matrix ``(*, n, n)``, real and ascending.

``UPLO``, "L" or "U", names the triangle that is read. Raises LinAlgError if the algorithm does not converge.
Gradient: A, any order, also for repeated eigenvalues.)",
      [](const Tensor& a, std::string_view triangle) { return hermitian_eigen("eigvalsh", a, triangle, false).values; },
      kOut | kExactOut | kFloat32);
  def_linalg(
      "eig(A)",
      R"(Compute the decomposition ``A = V diag(L) V^-1`` of a general square matrix.

Args:
    A: ``(*, n, n)``, finite.
Returns: a named tuple ``(eigenvalues, eigenvectors)``, complex and in no particular order. The eigenvectors are the
    columns; they have norm 1 and an arbitrary phase.
Raises: RuntimeError for infinities and NaNs; LinAlgError if the algorithm does not converge.
Gradient: A, any order, where the eigenvalues are distinct; RuntimeError if the loss depends on a phase.
    Source: Boeddeker et al. 2017, arXiv:1701.00392.)",
      [](const Tensor& a) {
        const Eigen e = general("eig", a, true);
        return named_tuple("linalg_eig", {e.values, e.vectors});
      },
      kOut | kFloat32);
  def_linalg(
      "eigvals(A)",
      R"(Compute the eigenvalues of a general square matrix ``(*, n, n)``, complex, in no particular order.

Raises: RuntimeError for infinities and NaNs; LinAlgError if the algorithm does not converge.
Gradient: A, any order.)",
      [](const Tensor& a) { return general("eigvals", a, false).values; }, kOut | kFloat32);
}

Tensor square_zeros(const Tensor& a, int64_t n) {  // returns an n x n matrix of zeros for each matrix of `a`
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.push_back(n);
  shape.push_back(n);
  return zeros(shape, a.dtype());
}

void bind_singular_values() {
  def_linalg(
      "svd(A, full_matrices=True, *, driver=None)",
      R"(Compute the decomposition ``A = U diag(S) V^H``: orthonormal columns, singular values, orthonormal rows.

Args:
    A: ``(*, m, n)``; k is the smaller of m and n.
    full_matrices: U ``(*, m, m)`` and Vh ``(*, n, n)``; otherwise ``(*, m, k)`` and ``(*, k, n)``.
    driver: must be None.
Returns: a named tuple ``(U, S, Vh)``, S real, descending. The sign of a pair of singular vectors (in the complex case,
    its phase) is arbitrary.
Raises: LinAlgError if the algorithm does not converge.
Gradient: A, any order, where the singular values are distinct and, with U or Vh, not 0; RuntimeError if the loss
    depends on a phase. The vectors that full_matrices adds have no gradient. Source: Giles 2008, section 3.2; Wan,
    Zhang 2019, arXiv:1909.02659.)",
      [](const Tensor& a, bool full, PyObject* driver) {
        require_no_driver("svd", driver);
        const SingularValues s = singular_decomposition("svd", a, full, true);
        return named_tuple("linalg_svd", {s.u, s.values, s.vh});
      },
      kOut | kExactOut | kFloat32);
  def_linalg(
      "svdvals(A, *, driver=None)",
      R"(Compute the singular values of every matrix ``(*, m, n)``, descending and real.

Raises LinAlgError if the algorithm does not converge. Gradient: A, any order.)",
      [](const Tensor& a, PyObject* driver) {
        require_no_driver("svdvals", driver);
        return singular_decomposition("svdvals", a, false, false).values;
      },
      kOut | kExactOut | kFloat32);
  def("svd(input, some=True, compute_uv=True)", kFunction | kMethod | kOut | kExactOut | kFloat32,
      R"(Compute ``input = U diag(S) V^H`` like flambeau.linalg.svd, but return V instead of its conjugate transpose.

Args:
    some: if True, return U and V without the columns that have no singular value.
    compute_uv: if False, U and V are zeros.
Returns: a named tuple ``(U, S, V)``.
Gradient: input, as flambeau.linalg.svd.)",
      [](const Tensor& a, bool some, bool compute_uv) {
        const SingularValues s = singular_decomposition("svd", a, !some && compute_uv, compute_uv);
        if (compute_uv) return named_tuple("svd", {s.u, s.values, linalg::adjoint(s.vh)});
        return named_tuple("svd", {square_zeros(a, a.size(-2)), s.values, square_zeros(a, a.size(-1))});
      });
}

}  // namespace

void bind_spectra() {
  bind_eigenvalues();
  bind_singular_values();
}

}  // namespace flambeau::python
