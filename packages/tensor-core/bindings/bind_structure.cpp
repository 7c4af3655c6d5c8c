// Products, joining, gathering.
#include "bind.h"

namespace flambeau::python {

namespace {
constexpr int kUsual = kFunction | kMethod | kOut;

Tensor sum_product(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha,
                   Tensor (*product)(const Tensor&, const Tensor&)) {
  Tensor out = product(a, b);
  if (alpha.real() != 1) out = mul(out, alpha);
  if (beta.real() == 0) return out;
  return add(beta.real() == 1 ? input : mul(input, beta), out);
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
  for (const char* signature : {"cat(tensors, dim=0)", "concat(tensors, dim=0)", "concatenate(tensors, dim=0)"})
    def(signature, kFunction | kOut, "Tensors joined along a dimension. Gradient: each its part.", cat);
  def("stack(tensors, dim=0)", kFunction | kOut, "Tensors of one shape joined along a fresh dimension.", stack);
  def("gather(input, dim, index, *, sparse_grad=False)", kUsual,
      "out[i, j] = input[index[i, j], j] for dim 0, and so on. Gradient: scattered back.",
      [](const Tensor& t, int64_t dim, const Tensor& index, bool) { return gather(t, dim, index); });
  def("scatter_add(input, dim, index, src)", kUsual | kInPlace,
      "input with src added at index along a dimension, in index order. Gradient: input and src.", scatter_add);
  def("index_select(input, dim, index)", kUsual, "The slices at `index` along a dimension. Gradient: added back.",
      index_select);
  def("index_add(input, dim, index, source, *, alpha=1)", kUsual | kInPlace,
      "input with source added at the slices `index`. Gradient: input and source.",
      [](const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source, Scalar alpha) {
        return index_add(t, dim, i, alpha.real() == 1 ? source : mul(source, alpha));
      });
  def("index_put_(input, indices, values, accumulate=False)", kMethod,
      "Writes (or adds) values at the given indices, one index tensor a dimension.",
      [](Self self, const Tensors& indices, const Tensor& values, bool accumulate) {
        index_put_(tensor_of(self), indices, values, accumulate);
        return Py_NewRef(self);
      });
  def("take_along_dim(input, indices, dim)", kUsual,
      "gather() with input and indices broadcast against each other outside dim.",
      [](const Tensor& t, const Tensor& index, int64_t dim) {
        dim = t.wrap_dim(dim);
        Shape a = t.shape(), b = index.shape();
        require(a.size() == b.size(),
                "take_along_dim(): input and indices should have the same number of dimensions, but got ", a.size(),
                " dimensions for input, and ", b.size(), " dimensions for indices");
        const int64_t length = a[dim], picked = b[dim];
        a[dim] = b[dim] = 1;
        Shape source = broadcast(a, b), target = source;
        source[dim] = length;
        target[dim] = picked;
        return gather(expand(t, source), dim, expand(index, target));
      });
  def("nonzero(input, *, as_tuple=False)", kFunction | kMethod,
      "The indices of the elements that are not 0, one row each; with as_tuple, one tensor a dimension.",
      [](const Tensor& t, bool as_tuple) {
        return as_tuple ? to_python(unbind(nonzero(t), 1)) : wrap_tensor(nonzero(t));
      });
  def("masked_select(input, mask)", kUsual, "The elements where mask is true, as a vector. Gradient: input.",
      [](const Tensor& t, const Tensor& mask) {
        require(mask.dtype() == Dtype::bool_, "masked_select: expected BoolTensor for mask, got ", mask.dtype());
        const Shape shape = broadcast(t.shape(), mask.shape());
        return index(expand(t, shape), {contiguous(expand(mask, shape))});
      });
  def("one_hot(input, num_classes=-1)", kFunction, "Class indices as 0/1 vectors, int64.",
      [](const Tensor& t, int64_t classes) {
        require(t.dtype() == Dtype::int64, "one_hot is only applicable to index tensor of type LongTensor, got ",
                t.dtype());
        require(t.numel() == 0 || item(min_all(t)).integer() >= 0, "Class values must be non-negative.");
        require(t.numel() == 0 || classes < 0 || item(max_all(t)).integer() < classes,
                "Class values must be smaller than num_classes.");
        if (classes < 0) classes = item(max_all(t)).integer() + 1;
        return to(eq(unsqueeze(t, -1), arange(Scalar(0), Scalar(classes), Scalar(1), Dtype::int64)), Dtype::int64);
      });
}

}  // namespace flambeau::python
