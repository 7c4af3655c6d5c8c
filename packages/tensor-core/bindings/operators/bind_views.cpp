// Views, copies and conversions.
#include "calls/bind.h"
#include "flambeau/cuda.h"

namespace flambeau::python {

namespace {

constexpr int kBoth = kFunction | kMethod;

Tensor narrow_from(const Tensor& t, int64_t dim, PyObject* start, int64_t length) {
  static const Parameter parameter{PyUnicode_InternFromString("start")};
  if (is_tensor(start))
    require(tensor_of(start).dim() == 0 && category(tensor_of(start).dtype()) == Category::Integer,
            "start must be an 0-dim integral Tensor, got shape ", tensor_of(start).shape(), " and dtype ",
            tensor_of(start).dtype());
  return narrow(t, dim, From<int64_t>::get({"narrow", &parameter, 2}, start), length);
}

void bind_copies() {
  def("copy_(input, src|other, non_blocking=False)", kMethod | kAnyDevice,
      "Writes src, broadcast and converted, into the tensor.",
      [](Self self, const Operand& source, bool non_blocking) -> PyObject* {
        const Tensor& t = tensor_of(self);
        const cuda::NonBlocking scope(non_blocking);
        copy_(t, source.tensor ? *source.tensor : scalar_tensor(source.scalar, t.dtype()));
        return Py_NewRef(self);
      });
}

void bind_queries() {
  def("size(input, dim=None)", kMethod, "The shape, or one size.",
      [](const Tensor& t, std::optional<int64_t> dim) -> PyObject* {
        if (!dim) return wrap_size(t.shape());
        require<IndexError>(t.dim() > 0, "Dimension specified as ", *dim, " but tensor has no dimensions");
        return to_python(t.size(*dim));
      });
  def("stride(input, dim=None)", kMethod, "The strides in elements, or one.",
      [](const Tensor& t, std::optional<int64_t> dim) -> PyObject* {
        if (dim) return to_python(t.stride(*dim));
        PyObject* out = checked(PyTuple_New(t.dim()));
        for (int i = 0; i < t.dim(); ++i) PyTuple_SET_ITEM(out, i, PyLong_FromLongLong(t.strides()[size_t(i)]));
        return out;
      });
  def("dim(input)", kMethod, "The number of dimensions.", [](const Tensor& t) { return int64_t(t.dim()); });
  def("ndimension(input)", kMethod, "The number of dimensions.", [](const Tensor& t) { return int64_t(t.dim()); });
  def("numel(input)", kBoth, "The number of elements.", [](const Tensor& t) { return t.numel(); });
  def("nelement(input)", kMethod, "The number of elements.", [](const Tensor& t) { return t.numel(); });
  def("element_size(input)", kMethod, "Bytes of an element.", [](const Tensor& t) { return item_size(t.dtype()); });
  def("storage_offset(input)", kMethod, "Where the first element lies in the storage, in elements.",
      [](const Tensor& t) { return t.offset(); });
  def("data_ptr(input)", kMethod, "The address of the first element.", [](const Tensor& t) {
    return t.is_meta() ? 0 : int64_t(reinterpret_cast<intptr_t>(t.is_cuda() ? t.device_bytes() : t.bytes()));
  });
  def("is_floating_point(input)", kBoth, "Whether the dtype is a floating one.",
      [](const Tensor& t) { return is_floating(t.dtype()); });
  def("is_nonzero(input)", kBoth, "Whether the single element is not 0.",
      [](const Tensor& t) { return read_item(t).truth(); });
  def("is_same_size(input, other)", kMethod, "Whether the shapes are equal.",
      [](const Tensor& t, const Tensor& o) { return t.shape() == o.shape(); });
  def("is_set_to(input, tensor)", kMethod, "Whether both are the same view of the same memory.",
      [](const Tensor& t, const Tensor& o) {
        return t.impl()->storage == o.impl()->storage && t.offset() == o.offset() && t.shape() == o.shape() &&
               t.strides() == o.strides();
      });
  def("item(input)", kMethod, "The single element as a Python number.",
      [](const Tensor& t) { return scalar_object(read_item(t)); });
  def("tolist(input)", kMethod, "The elements as nested lists of Python numbers.", [](const Tensor& t) {
    require<NotImplementedError>(!t.is_meta(), "Cannot copy out of meta tensor; no data!");
    return to_list(t);
  });
}

}  // namespace

void bind_views() {
  bind_copies();
  bind_queries();
  def("view(input, *size|dtype)", kMethod | kCopy,
      "Another shape over the same memory, -1 for one inferred size; with a dtype, the bytes read as that dtype.",
      [](const Tensor& t, PyObject* size) {
        static const Parameter parameter{PyUnicode_InternFromString("size")};
        if (Py_TYPE(size) == dtype_type) return view_dtype(t, reinterpret_cast<DtypeObject*>(size)->value);
        if (PyTuple_Check(size) && PyTuple_GET_SIZE(size) == 1 && Py_TYPE(PyTuple_GET_ITEM(size, 0)) == dtype_type)
          return view_dtype(t, reinterpret_cast<DtypeObject*>(PyTuple_GET_ITEM(size, 0))->value);
        return view(t, From<const Shape&>::get({"view", &parameter, 1}, size));
      });
  def("narrow(input, dim, start, length)", kBoth,
      "A range along a dimension; a view. start: an int, or a 0-d tensor of one.", narrow_from);
  def("narrow_copy(input, dim, start, length)", kBoth | kOut, "A copy of a range along a dimension.",
      [](const Tensor& t, int64_t dim, PyObject* start, int64_t length) {
        require<IndexError>(dim >= -t.dim(), "Dimension out of range (expected to be in range of [", -t.dim(), ", ",
                            t.dim() - 1, "], but got ", dim, ")");
        require(dim < t.dim(), "narrow_copy: Expected dim < ", t.dim(), " but got dim = ", dim);
        return clone(narrow_from(t, dim, start, length));
      });
}

}  // namespace flambeau::python
