// Products.
#include "bind.h"

namespace flambeau::python {

namespace {
constexpr int kUsual = kFunction | kMethod | kOut;

Tensor sum_product(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha,
                   Tensor (*product)(const Tensor&, const Tensor&)) {
  Tensor out = product(a, b);
  if (!alpha.equals(1)) out = mul(out, alpha);
  if (beta.equals(0)) return out;
  return add(beta.equals(1) ? input : mul(input, beta), out);
}
}  // namespace

void bind_structure() {
  def("matmul(input, other)", kUsual,
      "The matrix product: vectors, matrices and broadcast batches of matrices. Gradient: both, any order.", matmul);
  def("mm(input, mat2)", kUsual, "The product of two matrices.", mm);
  def("bmm(input, mat2)", kUsual, "The products of two batches of matrices, (b, n, m) and (b, m, p).", bmm);
  def("mv(input, vec)", kUsual, "Matrix times vector.", [](const Tensor& a, const Tensor& b) {
    require(a.dim() == 2 && b.dim() == 1, "vector + matrix @ vector expected, got ", a.dim(), ", ", b.dim());
    return matmul(a, b);
  });
  def("dot(input, tensor)", kUsual, "The inner product of two vectors.", [](const Tensor& a, const Tensor& b) {
    require(a.dim() == 1 && b.dim() == 1, "1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
    require(a.numel() == b.numel(), "inconsistent tensor size, expected tensor [", a.numel(), "] and src [", b.numel(),
            "] to have the same number of elements");
    return matmul(a, b);
  });
  def("outer(input, vec2)", kUsual, "The outer product of two vectors.", [](const Tensor& a, const Tensor& b) {
    require(a.dim() == 1 && b.dim() == 1, "outer: Expected 1-D arguments, but got ", a.dim(), "-D and ", b.dim(), "-D");
    return mul(unsqueeze(a, 1), b);
  });
  def("addmm(input, mat1, mat2, *, beta=1, alpha=1)", kUsual | kInPlace,
      "beta * input + alpha * mat1 @ mat2. Gradient: all three.", addmm);
  def("baddbmm(input, batch1, batch2, *, beta=1, alpha=1)", kUsual | kInPlace,
      "beta * input + alpha * batch1 @ batch2, batched. Gradient: all three.",
      [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
        return sum_product(i, a, b, beta, alpha, bmm);
      });
  def("addmv(input, mat, vec, *, beta=1, alpha=1)", kUsual | kInPlace,
      "beta * input + alpha * mat @ vec. Gradient: all three.",
      [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
        return sum_product(i, a, b, beta, alpha, matmul);
      });
}

}  // namespace flambeau::python
