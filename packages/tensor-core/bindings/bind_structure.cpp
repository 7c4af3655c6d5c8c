// Products.
#include "bind.h"
#include "flambeau/add_product.h"

namespace flambeau::python {

namespace {
constexpr int kUsual = kFunction | kMethod | kOut;

Tensor mv(const Tensor& a, const Tensor& b) {
  require(a.dim() == 2 && b.dim() == 1, "vector + matrix @ vector expected, got ", a.dim(), ", ", b.dim());
  return matmul(a, b);
}

// The sum of a batch of products is one product, over the batch and the columns.
Tensor summed_bmm(const Tensor& a, const Tensor& b) {
  require(a.dim() == 3 && b.dim() == 3, "batch1 must be a 3D tensor and batch2 too, got ", a.dim(), "D and ", b.dim(),
          "D");
  require(a.size(0) == b.size(0), "batch1 and batch2 must have same number of batches, got ", a.size(0), " and ",
          b.size(0));
  require(a.size(2) == b.size(1), "Incompatible matrix sizes for bmm (", a.size(1), "x", a.size(2), " and ", b.size(1),
          "x", b.size(2), ")");
  const int64_t count = a.size(0) * a.size(2);
  return mm(reshape(transpose(a, 0, 1), {a.size(1), count}), reshape(b, {count, b.size(2)}));
}
}  // namespace

void bind_structure() {
  def("matmul(input, other)", kUsual,
      "The matrix product: vectors, matrices and broadcast batches of matrices. Gradient: both, any order.", matmul);
  def("mm(input, mat2)", kUsual, "The product of two matrices.", mm);
  def("bmm(input, mat2)", kUsual, "The products of two batches of matrices, (b, n, m) and (b, m, p).", bmm);
  def("mv(input, vec)", kUsual, "Matrix times vector.", mv);
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
        return add_product("baddbmm", i, a, b, beta, alpha, bmm);
      });
  def("addbmm(input, batch1, batch2, *, beta=1, alpha=1)", kUsual | kInPlace,
      "beta * input + alpha * (batch1 @ batch2).sum(0) of batches of matrices. Gradient: all three.",
      [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
        return add_product("addbmm", i, a, b, beta, alpha, summed_bmm);
      });
  def("addmv(input, mat, vec, *, beta=1, alpha=1)", kUsual | kInPlace,
      "beta * input + alpha * mat @ vec. Gradient: all three.",
      [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
        return add_product("addmv", i, a, b, beta, alpha, mv);
      });
}

}  // namespace flambeau::python
