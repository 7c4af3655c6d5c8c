// Views, copies and conversions.
#include "bind.h"
#include "flambeau/cuda.h"

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

Tensors changeable(Tensors parts) {
  for (const Tensor& part : parts)
    if (part.impl()->view_kind == ViewKind::OneOfSeveral) part.impl()->view_kind = ViewKind::Recorded;
  return parts;
}

Tensors chunk(const Tensor& t, int64_t chunks, int64_t dim) {
  require(t.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  require(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t total = t.size(dim), step = total > chunks ? (total - 1) / chunks + 1 : 1;
  Shape parts;
  for (int64_t at = 0; at < total; at += step) parts.push_back(std::min(step, total - at));
  if (parts.empty()) parts.push_back(0);
  return split(t, parts, dim);
}

Tensor narrow_from(const Tensor& t, int64_t dim, PyObject* start, int64_t length) {
  static const Parameter parameter{PyUnicode_InternFromString("start")};
  if (is_tensor(start))
    require(tensor_of(start).dim() == 0 && category(tensor_of(start).dtype()) == Category::Integer,
            "start must be an 0-dim integral Tensor, got shape ", tensor_of(start).shape(), " and dtype ",
            tensor_of(start).dtype());
  return narrow(t, dim, From<int64_t>::get({"narrow", &parameter, 2}, start), length);
}

const Tensor& one_value(const Tensor& value) {
  require(value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(),
          " dimensions.");
  return value;
}

Tensor filled(const Tensor& t, const Operand& value) {
  Tensor out = empty(t.shape(), t.dtype()), given;
  {
    NoRecording off;
    if (value.tensor)
      copy_(out, given = one_value(*value.tensor));
    else
      fill_(out, value.scalar);
  }
  if (recording(t, given))
    record("Fill", out, {&t, &given}, {}, [from = given.defined() ? given.dtype() : t.dtype()](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, zeros(g.shape(), g.dtype()));
      if (c.needs(1)) c.set(1, to(sum(g, {}, false, {}), from));
    });
  return out;
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
  def("fill(input, value)", kFunction,
      "A tensor like input of one value, a number or a 0-d tensor. Gradient: 0 to input, the sum to value.", filled);
  def("fill_(input, value)", kBoth, "Sets every element to a number or a 0-d tensor. Gradient: value.",
      [](Self self, const Operand& value) -> PyObject* {
        const Tensor& t = tensor_of(self);
        if (value.tensor)
          copy_(t, one_value(*value.tensor));
        else
          fill_(t, value.scalar);
        return Py_NewRef(self);
      });
  def("zero_(input)", kBoth, "Sets every element to 0.", [](Self self) -> PyObject* {
    fill_(tensor_of(self), Scalar(0));
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
  for (const char* signature : {"swapaxes(input, axis0, axis1)", "swapdims(input, dim0, dim1)"})
    def(signature, kBoth | kBecome, "Two dimensions exchanged; a view.", transpose);
  for (const char* signature : {"movedim(input, source, destination)", "moveaxis(input, source, destination)"})
    def(signature, kBoth, "Dimensions moved to other positions; a view.",
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
  def("narrow(input, dim, start, length)", kBoth,
      "A range along a dimension; a view. start: an int, or a 0-d tensor of one.", narrow_from);
  def("narrow_copy(input, dim, start, length)", kBoth | kOut, "A copy of a range along a dimension.",
      [](const Tensor& t, int64_t dim, PyObject* start, int64_t length) {
        require<IndexError>(dim >= -t.dim(), "Dimension out of range (expected to be in range of [", -t.dim(), ", ",
                            t.dim() - 1, "], but got ", dim, ")");
        require(dim < t.dim(), "narrow_copy: Expected dim < ", t.dim(), " but got dim = ", dim);
        return clone(narrow_from(t, dim, start, length));
      });
  def("split(tensor, split_size_or_sections|split_size, dim=0)", kBoth | kCopy,
      "Parts of one size, or of the given sizes, along a dimension; views.", split_by);
  def("unsafe_split(tensor, split_size, dim=0)", kBoth, "split, of which each part may be changed in place.",
      [](const Tensor& t, PyObject* sizes, int64_t dim) { return changeable(split_by(t, sizes, dim)); });
  def("unsafe_split_with_sizes(input, split_sizes, dim=0)", kBoth,
      "split_with_sizes, of which each part may be changed in place.",
      [](const Tensor& t, const Shape& sizes, int64_t dim) { return changeable(split(t, sizes, dim)); });
  def("chunk(input, chunks, dim=0)", kBoth, "At most `chunks` parts of equal size (the last may be smaller); views.",
      chunk);
  def("unsafe_chunk(input, chunks, dim=0)", kBoth, "chunk, of which each part may be changed in place.",
      [](const Tensor& t, int64_t chunks, int64_t dim) { return changeable(chunk(t, chunks, dim)); });
}

}  // namespace flambeau::python
