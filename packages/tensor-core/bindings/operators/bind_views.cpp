// Bindings for copies into a tensor, and for its elements, sizes and strides as Python objects.
#include "calls/bind.h"
#include "flambeau/cuda.h"
#include "flambeau/kept_values.h"

namespace flambeau::python {

namespace {

void bind_copies() {
  def("copy_(input, src|other, non_blocking=False)", kMethod | kAnyDevice,
      "Copy src into the tensor. src is broadcast to the shape of the tensor and converted to its dtype.",
      [](Self self, const Operand& source, bool non_blocking) -> PyObject* {
        const Tensor& t = tensor_of(self);
        const cuda::NonBlocking scope(non_blocking);
        copy_(t, source.tensor ? *source.tensor : scalar_tensor(source.scalar, t.dtype()));
        return Py_NewRef(self);
      });
}

void bind_queries() {
  def("size(input, dim=None)", kMethod, "Return the shape, or the size of a dimension.",
      [](const Tensor& t, std::optional<int64_t> dim) -> PyObject* {
        if (!dim) return wrap_size(t.shape());
        require<IndexError>(t.dim() > 0, "Dimension specified as ", *dim, " but tensor has no dimensions");
        return to_python(t.size(*dim));
      });
  def("stride(input, dim=None)", kMethod, "Return the strides in elements, or the stride of a dimension.",
      [](const Tensor& t, std::optional<int64_t> dim) -> PyObject* {
        if (dim) return to_python(t.stride(*dim));
        PyObject* out = checked(PyTuple_New(t.dim()));
        for (int i = 0; i < t.dim(); ++i) PyTuple_SET_ITEM(out, i, PyLong_FromLongLong(t.strides()[size_t(i)]));
        return out;
      });
  def("data_ptr(input)", kMethod, "Return the address of the first element, or 0 for a tensor without elements.",
      [](const Tensor& t) {
        if (t.is_meta() || t.numel() == 0) return int64_t(0);
        count_uncounted_change();
        return int64_t(reinterpret_cast<intptr_t>(t.is_cuda() ? t.device_bytes() : t.bytes()));
      });
  def("is_nonzero(input)", kFunction | kMethod, "Return True if the single element is not 0.", truth_of);
  def("item(input)", kMethod, "Return the single element as a Python number.",
      [](const Tensor& t) { return scalar_object(read_item(t)); });
  def("__complex__(input)", kMethod, "Return the single element as a Python complex number.", [](const Tensor& t) {
    require<ValueError>(t.numel() == 1, "only one element tensors can be converted to Python scalars (complex), ",
                        "got shape ", t.shape());
    const Complex<double> value = item(t).complex();
    return PyComplex_FromDoubles(value.re, value.im);
  });
  def("tolist(input)", kMethod, "Return the elements as nested lists of Python numbers.", [](const Tensor& t) {
    require<NotImplementedError>(!t.is_meta(), "Cannot copy out of meta tensor; no data!");
    return to_list(t);
  });
}

}  // namespace

void bind_views() {
  bind_copies();
  bind_queries();
}

}  // namespace flambeau::python
