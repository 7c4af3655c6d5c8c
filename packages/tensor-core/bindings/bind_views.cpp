// Views, copies and conversions.
#include "bind.h"

namespace flambeau::python {

namespace {

constexpr int kBoth = kFunction | kMethod;

Tensors split_by(const Tensor& t, PyObject* sizes, int64_t dim) {
  static const Parameter parameter{PyUnicode_InternFromString("split_size_or_sections")};
  if (!PyIndex_Check(sizes)) return split(t, From<const Shape&>::get({"split", &parameter, 1}, sizes), dim);
  const int64_t step = PyNumber_AsSsize_t(sizes, PyExc_OverflowError), total = t.size(dim);
  if (step == -1 && PyErr_Occurred()) throw PythonError();
  require(t.dim() > 0, "split expects at least a 1-dimensional tensor");
  require(step > 0 || (step == 0 && total == 0), "split expects split_size be positive, but got split_size=", step);
  Shape parts;
  for (int64_t at = 0; at < total; at += step) parts.push_back(std::min(step, total - at));
  if (parts.empty()) parts.push_back(0);
  return split(t, parts, dim);
}

Tensors chunk(const Tensor& t, int64_t chunks, int64_t dim) {
  require(t.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  require(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t total = t.size(dim), step = std::max<int64_t>(1, (total + chunks - 1) / chunks);
  Shape parts;
  for (int64_t at = 0; at < total; at += step) parts.push_back(std::min(step, total - at));
  if (parts.empty()) parts.push_back(0);
  return split(t, parts, dim);
}

// t.to(dtype), t.to(device), t.to(other), with copy=
PyObject* convert_to(Self self, PyObject* first, PyObject* second, PyObject* dtype, PyObject* device, bool, bool copy,
                     PyObject*) {
  const Tensor& t = tensor_of(self);
  Dtype type = t.dtype();
  static const Parameter parameter{PyUnicode_InternFromString("dtype")};
  const Call call{"to", &parameter, 1};
  for (PyObject* o : {first, second, dtype, device}) {
    if (o == Py_None) continue;
    if (is_tensor(o))
      type = tensor_of(o).dtype();
    else if (Py_TYPE(o) == dtype_type || PyType_Check(o))
      type = From<Dtype>::get(call, o);
    else if (o == Py_True || o == Py_False)
      continue;
    else
      From<CpuDevice>::get(call, o);
  }
  if (type == t.dtype()) return copy ? wrap_tensor(clone(t)) : Py_NewRef(self);
  return wrap_tensor(to(t, type));
}

template <Dtype d>
void bind_conversion(const char* signature) {
  def(signature, kMethod, "The tensor converted to the dtype; itself if it already has it.",
      [](Self self) -> PyObject* {
        return tensor_of(self).dtype() == d ? Py_NewRef(self) : wrap_tensor(to(tensor_of(self), d));
      });
}

void bind_copies() {
  def("clone(input, *, memory_format=None)", kBoth, "A copy. Gradient: passes through.",
      [](const Tensor& t, PyObject*) { return clone(t); });
  def("contiguous(input, *, memory_format=None)", kMethod,
      "The tensor itself if it is contiguous, else a contiguous copy.", [](Self self, PyObject*) -> PyObject* {
        return tensor_of(self).is_contiguous() ? Py_NewRef(self) : wrap_tensor(contiguous(tensor_of(self)));
      });
  def("detach(input)", kBoth, "The same elements without history.", detach);
  def("copy_(input, src, non_blocking=False)", kMethod, "Writes src, broadcast and converted, into the tensor.",
      [](Self self, const Operand& source, bool) -> PyObject* {
        const Tensor& t = tensor_of(self);
        copy_(t, source.tensor ? *source.tensor : scalar_tensor(source.scalar, t.dtype()));
        return Py_NewRef(self);
      });
  def("fill_(input, value)", kMethod, "Sets every element.", [](Self self, Scalar value) -> PyObject* {
    fill_(tensor_of(self), value);
    return Py_NewRef(self);
  });
  def("zero_(input)", kMethod, "Sets every element to 0.", [](Self self) -> PyObject* {
    fill_(tensor_of(self), Scalar(0));
    return Py_NewRef(self);
  });
  def("to(input, first=None, second=None, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None)",
      kMethod,
      "to(dtype), to(device), to(other): the tensor converted; itself where nothing changes and copy is False.",
      convert_to);
  def("type_as(input, other)", kMethod, "The tensor converted to other's dtype.",
      [](const Tensor& t, const Tensor& other) { return to(t, other.dtype()); });
  def("cpu(input)", kMethod, "The tensor itself: it is on the CPU.", [](Self self) { return Py_NewRef(self); });
  bind_conversion<Dtype::float32>("float(input)");
  bind_conversion<Dtype::float64>("double(input)");
  bind_conversion<Dtype::float16>("half(input)");
  bind_conversion<Dtype::bfloat16>("bfloat16(input)");
  bind_conversion<Dtype::int64>("long(input)");
  bind_conversion<Dtype::int32>("int(input)");
  bind_conversion<Dtype::int16>("short(input)");
  bind_conversion<Dtype::int8>("char(input)");
  bind_conversion<Dtype::uint8>("byte(input)");
  bind_conversion<Dtype::bool_>("bool(input)");
  bind_conversion<Dtype::complex64>("cfloat(input)");
  bind_conversion<Dtype::complex128>("cdouble(input)");
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
        const Object size(checked(wrap_size(t.strides())));
        return PyTuple_GetSlice(size.get(), 0, PyTuple_GET_SIZE(size.get()));  // a plain tuple
      });
  def("dim(input)", kMethod, "The number of dimensions.", [](const Tensor& t) { return int64_t(t.dim()); });
  def("ndimension(input)", kMethod, "The number of dimensions.", [](const Tensor& t) { return int64_t(t.dim()); });
  def("numel(input)", kBoth, "The number of elements.", [](const Tensor& t) { return t.numel(); });
  def("nelement(input)", kMethod, "The number of elements.", [](const Tensor& t) { return t.numel(); });
  def("element_size(input)", kMethod, "Bytes of an element.", [](const Tensor& t) { return item_size(t.dtype()); });
  def("storage_offset(input)", kMethod, "Where the first element lies in the storage, in elements.",
      [](const Tensor& t) { return t.offset(); });
  def("data_ptr(input)", kMethod, "The address of the first element.",
      [](const Tensor& t) { return int64_t(reinterpret_cast<intptr_t>(t.bytes())); });
  def("is_contiguous(input, memory_format=None)", kMethod, "Whether the elements lie in order without gaps.",
      [](const Tensor& t, PyObject*) { return t.is_contiguous(); });
  def("is_floating_point(input)", kBoth, "Whether the dtype is a floating one.",
      [](const Tensor& t) { return is_floating(t.dtype()); });
  def("is_nonzero(input)", kBoth, "Whether the single element is not 0.",
      [](const Tensor& t) { return item(t).truth(); });
  def("is_same_size(input, other)", kMethod, "Whether the shapes are equal.",
      [](const Tensor& t, const Tensor& o) { return t.shape() == o.shape(); });
  def("is_set_to(input, tensor)", kMethod, "Whether both are the same view of the same memory.",
      [](const Tensor& t, const Tensor& o) {
        return t.bytes() == o.bytes() && t.shape() == o.shape() && t.strides() == o.strides();
      });
  def("item(input)", kMethod, "The single element as a Python number.",
      [](const Tensor& t) { return scalar_object(item(t)); });
  def("tolist(input)", kMethod, "The elements as nested lists of Python numbers.",
      [](const Tensor& t) { return to_list(t); });
  def("get_device(input)", kMethod, "-1: the CPU.", [](const Tensor&) { return int64_t(-1); });
}

}  // namespace

void bind_views() {
  bind_copies();
  bind_queries();
  def("view(input, *size)", kMethod,
      "Another shape over the same memory, -1 for one inferred size; with a dtype, the bytes read as that dtype.",
      [](const Tensor& t, PyObject* size) {
        static const Parameter parameter{PyUnicode_InternFromString("size")};
        if (Py_TYPE(size) == dtype_type) return view_dtype(t, reinterpret_cast<DtypeObject*>(size)->value);
        if (PyTuple_Check(size) && PyTuple_GET_SIZE(size) == 1 && Py_TYPE(PyTuple_GET_ITEM(size, 0)) == dtype_type)
          return view_dtype(t, reinterpret_cast<DtypeObject*>(PyTuple_GET_ITEM(size, 0))->value);
        return view(t, From<const Shape&>::get({"view", &parameter, 1}, size));
      });
  def("view_as(input, other)", kMethod, "view(other.shape).",
      [](const Tensor& t, const Tensor& other) { return view(t, other.shape()); });
  def("reshape(input, *shape)", kBoth, "Another shape, a view where possible.", reshape);
  def("reshape_as(input, other)", kMethod, "reshape(other.shape).",
      [](const Tensor& t, const Tensor& other) { return reshape(t, other.shape()); });
  for (const char* signature :
       {"transpose(input, dim0, dim1)", "swapaxes(input, axis0, axis1)", "swapdims(input, dim0, dim1)"})
    def(signature, kBoth, "Two dimensions exchanged; a view.", transpose);
  def("t(input)", kBoth, "The transpose of a matrix; a view.", [](const Tensor& t) {
    require(t.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", t.dim(), "D");
    return t.dim() == 2 ? transpose(t, 0, 1) : expand(t, t.shape());
  });
  def("permute(input, *dims)", kBoth, "The dimensions in another order; a view.", permute);
  def("movedim(input, source, destination)", kBoth, "Dimensions moved to other positions; a view.",
      [](const Tensor& t, const Shape& source, const Shape& destination) {
        require(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", source,
                " dims) should contain the same number of dims as destination (", destination, " dims)");
        Shape order(size_t(t.dim()), -1);
        uint64_t taken = 0;
        for (size_t i = 0; i < source.size(); ++i) {
          require(order[t.wrap_dim(destination[i])] < 0 && !(taken >> t.wrap_dim(source[i]) & 1),
                  "movedim: repeated dim in source or destination");
          order[t.wrap_dim(destination[i])] = t.wrap_dim(source[i]);
          taken |= uint64_t(1) << t.wrap_dim(source[i]);
        }
        int64_t next = 0;
        for (int64_t& o : order) {
          if (o >= 0) continue;
          while (taken >> next & 1) ++next;
          o = next++;
        }
        return permute(t, order);
      });
  def("expand(input, *size)", kMethod, "Dimensions of size 1 repeated without a copy; -1 keeps a size.", expand);
  def("expand_as(input, other)", kMethod, "expand(other.shape).",
      [](const Tensor& t, const Tensor& other) { return expand(t, other.shape()); });
  def("broadcast_to(input, size)", kBoth, "expand(size).", expand);
  def("squeeze(input, dim=None)", kBoth, "Dimensions of size 1 left out; a view.", squeeze);
  def("unsqueeze(input, dim)", kBoth, "A dimension of size 1 inserted; a view.", unsqueeze);
  def("flatten(input, start_dim=0, end_dim=-1)", kBoth, "Dimensions start_dim to end_dim as one.", flatten);
  def("ravel(input)", kBoth, "All dimensions as one.", [](const Tensor& t) { return reshape(t, {-1}); });
  def("unflatten(input, dim, sizes)", kBoth, "One dimension as several; a view.", unflatten);
  def("select(input, dim, index)", kBoth, "One slice along a dimension, which disappears; a view.", select);
  def("narrow(input, dim, start, length)", kBoth, "A range along a dimension; a view.", narrow);
  def("diagonal(input, offset=0, dim1=0, dim2=1)", kBoth, "The diagonal as the last dimension; a view.", diagonal);
  def("as_strided(input, size, stride, storage_offset=None)", kBoth,
      "A view with the given sizes, strides and offset, in elements of the storage.", as_strided);
  def("split(tensor, split_size_or_sections, dim=0)", kBoth,
      "Parts of one size, or of the given sizes, along a dimension; views.", split_by);
  def("chunk(input, chunks, dim=0)", kBoth, "At most `chunks` parts of equal size (the last may be smaller); views.",
      chunk);
  def("unbind(input, dim=0)", kBoth, "The slices along a dimension; views.", unbind);
}

}  // namespace flambeau::python
