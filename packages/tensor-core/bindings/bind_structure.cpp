// Products.
#include "bind.h"
#include "flambeau/add_product.h"
#include "flambeau/products.h"

namespace flambeau::python {

namespace {
constexpr int kUsual = kFunction | kMethod | kOut;

// The dimensions of both tensors that tensordot sums over: a number of them, or lists.
struct Contracted {
  Shape first, second;
};
Contracted contracted(const Tensor& a, const Tensor& b, PyObject* dims) {
  static const Parameter parameter{PyUnicode_InternFromString("dims")};
  const Call call{"tensordot", &parameter, 2};
  if (is_tensor(dims)) return contracted(a, b, Object(to_list(tensor_of(dims))).get());
  if (!PyIndex_Check(dims)) {
    const Object listed(checked(PySequence_Fast(dims, "tensordot(): dims must be an int or two lists of ints"))),
        pair(checked(PySequence_Tuple(listed.get())));  // which no __index__ can change
    require(PyTuple_GET_SIZE(pair.get()) == 2, "tensordot expects dims to be an int or two lists of ints");
    return {From<Shape>::get(call, PyTuple_GET_ITEM(pair.get(), 0)),
            From<Shape>::get(call, PyTuple_GET_ITEM(pair.get(), 1))};
  }
  const int64_t count = From<int64_t>::get(call, dims);
  require(count >= 0, "tensordot expects dims >= 0, but got dims=", count);
  require(count <= std::min(a.dim(), b.dim()), "tensordot expects dims < ndim_a or ndim_b, but got dims=", count,
          " for shapes ", a.shape(), " and ", b.shape());
  Contracted out;
  for (int64_t d = 0; d < count; ++d) out.first.push_back(a.dim() - count + d), out.second.push_back(d);
  return out;
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
  def("matmul(input, other)", kUsual | kLowerPrecision,
      "The matrix product: vectors, matrices and broadcast batches of matrices. Gradient: both, any order.", matmul);
  def("mm(input, mat2)", kUsual | kLowerPrecision, "The product of two matrices.", mm);
  def("bmm(input, mat2)", kUsual | kLowerPrecision, "The products of two batches of matrices, (b, n, m) and (b, m, p).",
      bmm);
  def("mv(input, vec)", kUsual, "Matrix times vector.", mv);
  def("dot(input, tensor)", kUsual, "The inner product of two vectors.", dot);
  def("inner(input, other)", kUsual,
      "Sums of products over the last dimension of both; a scalar multiplies. Gradient: both.\n\nRaises RuntimeError "
      "where the last sizes differ.\n\n>>> flambeau.inner(flambeau.tensor([1, 2]), flambeau.tensor([[3, 4], [5, 6]]))\n"
      "tensor([11, 17])",
      inner);
  def("outer|ger(input, vec2)", kUsual, "The outer product of two vectors.", outer);
  def("addr(input, vec1, vec2, *, beta=1, alpha=1)", kUsual | kInPlace,
      "``beta * input + alpha * outer(vec1, vec2)``; ``input`` is broadcast, and not read where beta is 0.\n\n"
      "Gradient: input and both vectors.",
      addr);
  def("kron(input, other)", kUsual,
      "The Kronecker product: each element of ``input`` times the whole of ``other``. Gradient: both.\n\n"
      ">>> flambeau.kron(flambeau.tensor([1, 10]), flambeau.tensor([2, 3]))\ntensor([ 2,  3, 20, 30])",
      kron);
  def("tensordot(a, b, dims=2)", kFunction | kOut | kLowerPrecision,
      R"(Sums of products over several dimensions: the last ``dims`` of ``a`` with the first of ``b``, or pairs of lists.

Args:
    dims: a number, or the dimensions of ``a`` and those of ``b`` in the same order; a size of 1 is broadcast.
Raises: RuntimeError where the sizes do not match.
Gradient: both.

>>> flambeau.tensordot(flambeau.ones(2, 3), flambeau.ones(3, 4), 1).shape
flambeau.Size([2, 4]))",
      [](const Tensor& a, const Tensor& b, PyObject* dims) {
        const Contracted c = contracted(a, b, dims);
        return tensordot(a, b, c.first, c.second);
      });
  def("bilinear(input1, input2, weight, bias=None)", kFunction,
      R"(``x1 @ weight[k] @ x2 + bias[k]`` for every k.

Args:
    input1, input2: ``(*, D1)`` and ``(*, D2)``.
    weight: ``(K, D1, D2)``.
    bias: ``(K,)`` or None.
Returns: ``(*, K)``.)",
      bilinear);
  def_linalg("multi_dot(tensors)",
             R"(The product of two matrices or more, multiplied in the order that takes the fewest multiplications.

Args:
    tensors: matrices; the first and the last may be vectors, a row and a column.
Gradient: every one, any order.)",
             multi_dot, kOut | kLowerPrecision);
  def("addmm(input, mat1, mat2, *, beta=1, alpha=1)", kUsual | kInPlace | kLowerPrecision,
      "beta * input + alpha * mat1 @ mat2. Gradient: all three.", addmm);
  def("baddbmm(input, batch1, batch2, *, beta=1, alpha=1)", kUsual | kInPlace | kLowerPrecision,
      "beta * input + alpha * batch1 @ batch2, batched. Gradient: all three.",
      [](const Tensor& i, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
        return add_product("baddbmm", i, a, b, beta, alpha, bmm);
      });
  def("addbmm(input, batch1, batch2, *, beta=1, alpha=1)", kUsual | kInPlace | kLowerPrecision,
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
