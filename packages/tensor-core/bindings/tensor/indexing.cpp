// tensor[key] and tensor[key] = value: integers, slices, None, Ellipsis, masks and index tensors.
#include <algorithm>

#include "calls/autocast.h"
#include "calls/intercept.h"
#include "calls/warning.h"
#include "calls/watch.h"

namespace flambeau::python {

namespace {

// A resolved key: the view that its basic indices select, and its advanced indices for the dimensions of the view. A
// mask is one entry for all dimensions that it covers, and dimensions without an index have undefined entries.
struct Indexed {
  Tensor view;
  Tensors advanced;
  bool is_advanced = false;
  int64_t masked_dims = 0;  // number of dimensions that masks cover, without the first dimension of each mask
  int64_t used = 0;         // number of dimensions of the indexed tensor that the key has covered so far
};

constexpr const char* kNoDimensions =
    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number";

int64_t as_int(PyObject* o) {
  const int64_t v = PyNumber_AsSsize_t(o, PyExc_IndexError);
  if (v == -1 && PyErr_Occurred()) throw PythonError();
  return v;
}

bool is_plain_int(PyObject* o) {
  if (PyBool_Check(o)) return false;
  if (is_tensor(o)) {
    const Tensor& t = tensor_of(o);
    return t.dim() == 0 && category(t.dtype()) == Category::Integer && t.dtype() != Dtype::uint8;
  }
  return PyIndex_Check(o) && !PySequence_Check(o);
}

// Converts lists and arrays to index tensors. Returns other objects unchanged.
Object normalized(PyObject* o) {
  const bool plain = PyLong_Check(o) || PySlice_Check(o) || o == Py_None || o == Py_Ellipsis || is_tensor(o);
  if (plain || PyUnicode_Check(o) || is_plain_int(o) || PyFloat_Check(o) || !(is_sequence(o) || is_array(o)))
    return Object(Py_NewRef(o));
  const OnDevice cpu(DeviceType::Cpu);
  Tensor index = tensor_from_data(o, std::nullopt);
  if (index.numel() == 0 && is_inexact(index.dtype())) index = to(index, Dtype::int64);
  return Object(checked(wrap_tensor(index)));
}

Tensor slice_view(const Tensor& t, int64_t dim, PyObject* o) {
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(o, &start, &stop, &step) < 0) throw PythonError();
  require<IndexError>(dim < t.dim(), "too many indices for tensor of dimension ", t.dim());
  require<ValueError>(step > 0, "step must be greater than zero, got ", step, "; use flip() to reverse a dimension");
  if (start == 0 && step == 1 && stop >= t.shape()[dim]) return t;
  return slice(t, dim, start, stop, step);
}

// Selects index i along dimension `dim`. `original_dim` is the number of this dimension in the indexed tensor, for the
// error message.
Tensor chosen(const Tensor& t, int64_t dim, int64_t i, int64_t original_dim) {
  const int64_t size = t.shape()[dim];
  require<IndexError>(i >= -size && i < size, "index ", i, " is out of bounds for dimension ", original_dim,
                      " with size ", size);
  return select(t, dim, i);
}

// Converts a uint8 tensor to a boolean mask. In old PyTorch versions, which had no boolean dtype, masks were uint8.
Tensor mask_of(const Tensor& bytes) {
  warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.");
  return to(bytes, Dtype::bool_);
}

// Returns the number of the tensor's dimensions that an item of the key indexes.
int consumed(PyObject* o) {
  if (o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) return 0;
  if (is_tensor(o) && (tensor_of(o).dtype() == Dtype::bool_ || tensor_of(o).dtype() == Dtype::uint8))
    return tensor_of(o).dim();
  return 1;
}

void apply_advanced(Indexed& r, int64_t& dim, const Tensor& index) {
  r.is_advanced = true;
  // A mask with several dimensions stays one entry; index() expands it.
  while (int64_t(r.advanced.size()) + r.masked_dims < dim) r.advanced.emplace_back();
  r.advanced.push_back(index);
  dim += index.dtype() == Dtype::bool_ ? index.dim() : 1;
  r.masked_dims += index.dtype() == Dtype::bool_ ? index.dim() - 1 : 0;
}

void apply(Indexed& r, int64_t& dim, PyObject* o) {
  if (o == Py_None) {
    r.view = unsqueeze(r.view, dim++);
  } else if (PySlice_Check(o)) {
    r.view = slice_view(r.view, dim++, o);
    ++r.used;
  } else if (PyBool_Check(o)) {  // inserts a dimension of size 1 (True) or 0 (False)
    r.view = unsqueeze(r.view, dim);
    apply_advanced(r, dim, full({1}, Scalar(o == Py_True), Dtype::bool_));
  } else if (is_plain_int(o)) {
    require<IndexError>(dim < r.view.dim(), "too many indices for tensor of dimension ", r.view.dim());
    r.view = chosen(r.view, dim, as_int(o), r.used++);
  } else if (is_tensor(o)) {
    const Tensor index = tensor_of(o).dtype() == Dtype::uint8 ? mask_of(tensor_of(o)) : tensor_of(o);
    if (index.dtype() == Dtype::bool_ && index.dim() == 0) {
      r.view = unsqueeze(r.view, dim);
      return apply_advanced(r, dim, reshape(index, {1}));
    }
    r.used += consumed(o);
    apply_advanced(r, dim, index);
  } else {
    detail::raise<IndexError>(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got ",
        Py_TYPE(o)->tp_name, ")");
  }
}

// Converts a list of several indices, such as [[0, 1], [1, 0]], to a tuple, as PyTorch does. Returns null for other
// keys.
Object as_tuple(PyObject* key) {
  constexpr Py_ssize_t kMaxLength = 32;  // longer lists are treated as a single list of numbers
  if (!PyList_Check(key) || PyList_GET_SIZE(key) >= kMaxLength) return {};
  Object items(checked(PyList_AsTuple(key)));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    PyObject* const o = PyTuple_GET_ITEM(items.get(), i);
    const bool sequence = PySequence_Check(o) && !PyUnicode_Check(o);
    if (!sequence && !is_tensor(o) && !PySlice_Check(o) && o != Py_None && o != Py_Ellipsis) continue;
    warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of x[seq], "
        "or x[tensor(seq)] for one index of several dimensions");
    return items;
  }
  return {};
}

Indexed resolve(const Tensor& t, PyObject* given) {
  Indexed r{t, {}};
  const Object several = as_tuple(given);
  PyObject* const key = several ? several.get() : given;
  if (!PyTuple_Check(key)) {
    int64_t dim = 0;
    if (key != Py_Ellipsis) apply(r, dim, normalized(key).get());
    return r;
  }
  const Py_ssize_t n = PyTuple_GET_SIZE(key);
  int used = 0;
  bool seen_ellipsis = false, ends = false;
  std::vector<Object> items;
  for (Py_ssize_t i = 0; i < n; ++i) {
    items.push_back(normalized(PyTuple_GET_ITEM(key, i)));
    used += consumed(items.back().get());
  }
  require<IndexError>(used <= t.dim(), "too many indices for tensor of dimension ", t.dim());
  int64_t dim = 0;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* o = items[size_t(i)].get();
    if (o == Py_Ellipsis && seen_ellipsis) {  // PyTorch accepts more than one ellipsis at the end
      ends = true;
    } else if (o == Py_Ellipsis) {
      seen_ellipsis = true;
      dim += t.dim() - used;
      r.used += t.dim() - used;
    } else {
      require<IndexError>(!ends || used == t.dim(), "an index can only have a single ellipsis ('...') before its end");
      apply(r, dim, o);
    }
  }
  return r;
}

// Removes leading dimensions of size 1 beyond `dims`, as in x[0] = y with y of shape (1, n).
Tensor trim_leading(Tensor source, int dims) {
  while (source.dim() > dims && source.shape()[0] == 1) source = select(source, 0, 0);
  return source;
}

}  // namespace

PyObject* get_item(PyObject* self, PyObject* key) {
  return watched("__getitem__", [&]() -> PyObject* {
    Caller caller;
    if (caller.intercepts("__getitem__", self, key)) return caller.result;
    const Tensor& t = tensor_of(self);
    if (PyLong_CheckExact(key)) {
      require<IndexError>(t.dim() > 0, kNoDimensions);
      return wrap_tensor(select(t, 0, as_int(key)));
    }
    const Indexed r = resolve(t, key);
    if (r.is_advanced) return wrap_tensor(index(r.view, r.advanced));
    return wrap_tensor(r.view.same(t) ? expand(t, t.shape()) : r.view);
  });
}

namespace {

// Converts a value to the dtype of the tensor if the value is a single element and all indices are masks, or if the
// call is in an autocast region. Otherwise index_put() requires equal dtypes.
Tensor value_to_put(const Tensor& value, Dtype dtype, const Tensors& indices) {
  const auto masks = [](const Tensor& i) {
    return !i.defined() || i.dtype() == Dtype::bool_ || i.dtype() == Dtype::uint8;
  };
  const bool converts = in_autocast() || (value.numel() == 1 && std::all_of(indices.begin(), indices.end(), masks));
  return converts ? to(value, dtype) : value;
}

}  // namespace

int set_item(PyObject* self, PyObject* key, PyObject* value) {
  if (!value) {
    PyErr_SetString(PyExc_TypeError, "Tensor does not support deleting items");
    return -1;
  }
  const Object done(watched("__setitem__", [&]() -> PyObject* {
    Caller caller;
    if (caller.intercepts("__setitem__", self, key, value)) return caller.result;
    const Tensor& t = tensor_of(self);
    const Indexed r = resolve(t, key);
    Operand operand(0);
    Tensor held;
    if (!to_operand(value, operand)) {
      if (PyErr_Occurred()) throw PythonError();
      {
        const OnDevice cpu(DeviceType::Cpu);
        held = tensor_from_data(value, t.dtype());
      }
      if (t.is_cuda()) held = to(held, t.device());
      operand.tensor = &held;
    }
    if (!r.is_advanced && !operand.tensor) {
      fill_(r.view, operand.scalar);
      Py_RETURN_NONE;
    }
    const Tensor source = operand.tensor ? *operand.tensor : scalar_tensor(operand.scalar, t.dtype());
    if (r.is_advanced)
      index_put(r.view, r.advanced, value_to_put(trim_leading(source, 0), t.dtype(), r.advanced), false,
                Write::InPlace);
    else
      copy_(r.view, trim_leading(source, r.view.dim()));
    Py_RETURN_NONE;
  }));
  return done ? 0 : -1;
}

}  // namespace flambeau::python
