// Products.
#include "calls/bind.h"
#include "flambeau/products.h"

namespace flambeau::python {

namespace {
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
}  // namespace

void bind_structure() {
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
}

}  // namespace flambeau::python
