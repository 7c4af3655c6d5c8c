// Views with at least so many dimensions.
#include "calls/bind.h"

namespace flambeau::python {

Tensors given_tensors(const char* function, PyObject* given) {
  static const Parameter parameter{PyUnicode_InternFromString("tensors")};
  if (is_tensor(given)) return {tensor_of(given)};
  return From<const Tensors&>::get({function, &parameter, 0}, given);
}

namespace {

Tensor raised_to_1(const Tensor& t) { return t.dim() == 0 ? reshape(t, {1}) : t; }
Tensor raised_to_2(const Tensor& t) { return t.dim() < 2 ? reshape(t, {1, t.numel()}) : t; }
Tensor raised_to_3(const Tensor& t) { return t.dim() < 3 ? unsqueeze(raised_to_2(t), -1) : t; }

template <Tensor (*raised)(const Tensor&)>
PyObject* raise_all(PyObject* given) {
  if (is_tensor(given)) return wrap_tensor(raised(tensor_of(given)));
  Tensors tensors = given_tensors("atleast", given);
  for (Tensor& t : tensors) t = raised(t);
  return to_python(tensors);
}

void bind_stacks() {
  def("atleast_1d(*tensors)", kFunction,
      "A view with at least one dimension; of several tensors, a tuple of them. Gradient: input.",
      raise_all<raised_to_1>);
  def("atleast_2d(*tensors)", kFunction,
      "A view with at least two dimensions, a vector as one row; of several tensors, a tuple of them. Gradient: input.",
      raise_all<raised_to_2>);
  def("atleast_3d(*tensors)", kFunction,
      "A view with at least three dimensions, (1, n, 1) of a vector; of several tensors, a tuple of them. Gradient: "
      "input.",
      raise_all<raised_to_3>);
}

}  // namespace

void bind_parts() { bind_stacks(); }

}  // namespace flambeau::python
