// Conversion of numbers, nested sequences and arrays to tensors.
#include <cmath>

#include "tensor/object.h"

namespace flambeau::python {

namespace {

Complex<double> complex_of(PyObject* o) {
  const Complex<double> out{PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)};
  if (PyErr_Occurred()) throw PythonError();
  return out;
}

Scalar whole_number(PyObject* o) {
  int overflow = 0;
  const int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
  const Scalar out = overflow > 0 ? Scalar(uint64_t(PyLong_AsUnsignedLongLong(o))) : Scalar(v);
  if (overflow < 0) PyErr_SetString(PyExc_OverflowError, "int too small to convert");
  if (PyErr_Occurred()) throw PythonError();
  return out;
}

// Converts NumPy scalars and other objects that have __index__, __complex__ or __float__ but no length. Returns false
// for other objects.
bool number_by_protocol(PyObject* o, Scalar& out) {
  const PyTypeObject* type = Py_TYPE(o);
  if ((type->tp_as_sequence && type->tp_as_sequence->sq_length) ||
      (type->tp_as_mapping && type->tp_as_mapping->mp_length))
    return false;
  if (PyIndex_Check(o)) {
    const Object index(PyNumber_Index(o));
    return to_scalar(checked(index.get()), out);
  }
  const std::string_view name = type->tp_name;
  if (name.find("complex") != name.npos && PyObject_HasAttrString(o, "__complex__")) {
    const Object number(checked(PyObject_CallMethod(o, "__complex__", nullptr)));
    out = Scalar(complex_of(number.get()));
    return true;
  }
  if (!type->tp_as_number || !type->tp_as_number->nb_float) return false;
  const double v = PyFloat_AsDouble(o);
  if (v == -1 && PyErr_Occurred()) throw PythonError();
  out = name.find("bool") != name.npos ? Scalar(v != 0) : Scalar(v);
  return true;
}

}  // namespace

bool to_scalar(PyObject* o, Scalar& out) {
  if (PyLong_CheckExact(o))  // this check is first because it is the fastest
    out = whole_number(o);
  else if (PyFloat_Check(o))
    out = Scalar(PyFloat_AS_DOUBLE(o));
  else if (PyBool_Check(o))
    out = Scalar(o == Py_True);
  else if (PyComplex_Check(o))
    out = Scalar(complex_of(o));
  else if (PyLong_Check(o))
    out = whole_number(o);
  else if (!is_tensor(o))
    return Py_TYPE(o) != placeholder_type && number_by_protocol(o, out);
  else if (const Tensor& t = tensor_of(o); t.numel() == 1 && !(t.requires_grad() && grad_enabled()))
    out = item(t);
  else
    return false;  // a number would not be connected to the graph of the tensor
  return true;
}

bool to_operand(PyObject* o, Operand& out) {
  if (FLAMBEAU_LIKELY(is_tensor(o))) {
    out.tensor = &tensor_of(o);
    return true;
  }
  out.tensor = nullptr;
  try {
    return to_scalar(o, out.scalar);
  } catch (const PythonError&) {
    return false;  // the Python error remains set
  }
}

bool is_sequence(PyObject* o) {
  return PyList_Check(o) || PyTuple_Check(o) || (PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o));
}

// Returns true for array-like objects that have a dtype: tensors, and objects that support the buffer protocol (such as
// NumPy arrays and scalars) or __array__.
bool is_array(PyObject* o) {
  if (PyList_CheckExact(o) || PyTuple_CheckExact(o)) return false;  // the look-up of a missing __array__ is slow
  return is_tensor(o) || (PyObject_CheckBuffer(o) && !PyBytes_Check(o) && !PyByteArray_Check(o)) ||
         PyObject_HasAttrString(o, "__array__");
}

bool is_numpy_array(PyObject* o) {
  return PyObject_CheckBuffer(o) && !is_tensor(o) && PyObject_HasAttrString(o, "__array_interface__");
}

namespace {

Tensor from_array(PyObject* o) {
  if (is_tensor(o)) return alias(tensor_of(o));
  if (PyObject_CheckBuffer(o)) return tensor_from_buffer(o);
  const Object array(checked(PyObject_CallMethod(o, "__array__", nullptr)));
  return tensor_from_buffer(array.get());
}

struct Scan {
  bool typed;  // true if the call specifies the dtype
  Shape shape;
  std::optional<Dtype> dtype;

  void note(Dtype d) { dtype = dtype ? promote(*dtype, d) : d; }
};

[[noreturn]] void reject(PyObject* o, int depth, const Scan& s) {
  const char* type = Py_TYPE(o)->tp_name;
  require<ValueError>(!PyUnicode_Check(o) || depth == 0 || int(s.shape.size()) > depth || s.dtype,
                      "too many dimensions '", type,
                      "': tensors hold numbers, so convert the strings to numbers first");
  require<TypeError>(!PyUnicode_Check(o) && !PyBytes_Check(o), "new(): invalid data type '", type,
                     "'; tensor() takes numbers, nested sequences of them, and arrays");
  require<TypeError>(!s.typed, "'", type, "' object cannot be interpreted as a number");
  detail::raise<Error>("Could not infer dtype of ", type,
                       "; tensor() takes numbers, nested sequences of them, and arrays");
}

void scan(PyObject* o, int depth, Scan& s) {
  require<ValueError>(depth <= kMaxDims, "too many dimensions: nested deeper than ", kMaxDims);
  if (PyFloat_CheckExact(o)) return s.note(default_dtype());  // NumPy's float64, a subclass, keeps its dtype
  if (PyComplex_CheckExact(o)) return s.note(default_dtype(Category::Complex));
  if (PyBool_Check(o)) return s.note(Dtype::bool_);
  if (PyLong_Check(o)) return s.note(Dtype::int64);
  if (is_array(o)) {
    const Tensor t = from_array(o);
    const bool number = depth > 0 && is_tensor(o) && t.numel() == 1;  // as in PyTorch, a number inside a list
    if (depth == int(s.shape.size()) && !number) s.shape.append(t.shape().begin(), t.shape().end());
    return s.note(t.dtype());
  }
  if (!is_sequence(o)) reject(o, depth, s);
  const Py_ssize_t n = PySequence_Size(o);
  if (n < 0) throw PythonError();
  if (int(s.shape.size()) == depth) s.shape.push_back(n);
  for (Py_ssize_t i = 0; i < n; ++i) {
    const Object child(PySequence_GetItem(o, i));
    if (!child && PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      detail::raise<ValueError>("could not determine the shape of object type '", Py_TYPE(o)->tp_name,
                                "': its items cannot be read by index");
    }
    if (!child) throw PythonError();
    require<TypeError>(child.get() != o, "new(): self-referential lists are incompatible");
    const bool scalar = PyFloat_CheckExact(child.get()) || PyLong_Check(child.get());
    if (i > 0 && scalar && !(s.dtype && category(*s.dtype) >= Category::Floating))
      scan(child.get(), depth + 1, s);
    else if (i == 0 || !scalar)
      scan(child.get(), depth + 1, s);
  }
}

[[noreturn]] void ragged(int depth, int64_t expected, int64_t got) {
  detail::raise<ValueError>("expected sequence of length ", expected, " at dim ", depth, " (got ", got, ")");
}

template <class T>
T number(PyObject* o) {
  Scalar s;
  if (std::is_same_v<T, uint64_t> && PyLong_CheckExact(o)) {
    s = Scalar(uint64_t(PyLong_AsUnsignedLongLong(o)));
    if (PyErr_Occurred()) throw PythonError();
  } else if (PyLong_CheckExact(o)) {  // the int may exceed 64 bits if T is a float or bool
    int overflow = 0;
    s = Scalar(int64_t(PyLong_AsLongLongAndOverflow(o, &overflow)));
    if (overflow && std::is_same_v<T, bool>) return convert<T>(true);
    require<ValueError>(!overflow || !std::is_integral_v<T>,
                        "tensor(): Overflow when unpacking long long: the number "
                        "does not fit into 64 bits");
    if (overflow) s = Scalar(PyLong_AsDouble(o));
    if (PyErr_Occurred()) throw PythonError();
  } else
    require<TypeError>(to_scalar(o, s), "tensor(): expected a number, got ", Py_TYPE(o)->tp_name);
  require<TypeError>(s.kind() != Category::Complex || is_complex_type<T> || std::is_same_v<T, bool>,
                     "must be real number, not complex: ", s, " as ", dtype_of<T>());
  require(fits(s, dtype_of<T>()), "value ", s, " cannot be converted to type ", dtype_of<T>(), " without overflow");
  return s.to<T>();
}

template <class T>
T element(PyObject* o, int depth) {
  require<TypeError>(!is_sequence(o) || is_array(o), "expected a number at dim ", depth, ", got a sequence: '",
                     Py_TYPE(o)->tp_name, "' object cannot be interpreted as a number");
  if (PyFloat_CheckExact(o) && !std::is_integral_v<T>) return Scalar(PyFloat_AS_DOUBLE(o)).to<T>();
  if (PyLong_Check(o) || !is_array(o)) return number<T>(o);
  const Tensor t = from_array(o);
  require<ValueError>(t.numel() == 1, "only one element tensors can be converted to Python scalars, got shape ",
                      t.shape());
  return item(t).to<T>();
}

template <class T>
void store_array(PyObject* o, const Scan& s, int depth, T*& to) {
  const Tensor t = contiguous(flambeau::to(from_array(o), dtype_of<T>()));
  require<ValueError>(int(s.shape.size()) - depth == t.dim(), "expected an array of ", s.shape.size() - size_t(depth),
                      " dimensions at dim ", depth, ", got shape ", t.shape());
  for (int i = 0; i < t.dim(); ++i)
    if (t.shape()[i] != s.shape[depth + i]) ragged(depth + i, s.shape[depth + i], t.shape()[i]);
  to = std::copy(t.data<T>(), t.data<T>() + t.numel(), to);
}

PyObject* child_of(PyObject* sequence, Py_ssize_t i) {
  if (!PyList_CheckExact(sequence) && !PyTuple_CheckExact(sequence)) return checked(PySequence_GetItem(sequence, i));
  require<ValueError>(i < PySequence_Fast_GET_SIZE(sequence), "the sequence changed size while it was read");
#ifdef Py_GIL_DISABLED
  if (PyList_CheckExact(sequence)) return checked(PyList_GetItemRef(sequence, i));
#endif
  return Py_NewRef(PySequence_Fast_GET_ITEM(sequence, i));
}

template <class T>
void store(PyObject* o, const Scan& s, int depth, T*& to) {
  if (depth == int(s.shape.size())) {
    *to++ = element<T>(o, depth);
    return;
  }
  if (is_array(o)) return store_array(o, s, depth, to);
  require<TypeError>(is_sequence(o), "expected a sequence at dim ", depth, ", got ", Py_TYPE(o)->tp_name);
  const Py_ssize_t n = PySequence_Size(o);
  if (n < 0) throw PythonError();
  if (n != s.shape[depth]) ragged(depth, s.shape[depth], n);
  for (Py_ssize_t i = 0; i < n; ++i) {
    const Object child(child_of(o, i));
    store(child.get(), s, depth + 1, to);
  }
}

}  // namespace

Tensor tensor_from_data(PyObject* data, std::optional<Dtype> dtype) {
  NoRecording off;
  if (dtype && is_small_float(*dtype)) return to(tensor_from_data(data, Dtype::float32), *dtype);
  if (PyFloat_CheckExact(data) && is_floating(dtype.value_or(default_dtype())))
    return scalar_tensor(Scalar(PyFloat_AS_DOUBLE(data)), dtype.value_or(default_dtype()));
  if (!PyFloat_CheckExact(data) && !PyLong_Check(data) && is_array(data)) {
    const Tensor t = from_array(data);
    const Dtype type = dtype.value_or(t.dtype());
    return type == t.dtype() ? clone(t) : to(t, type);
  }
  Scan s{dtype.has_value(), {}, {}};
  scan(data, 0, s);
  Tensor out = empty(s.shape, dtype.value_or(s.dtype.value_or(default_dtype())));
  dispatch_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data<T>();
    store(data, s, 0, to);
  });
  return out;
}

}  // namespace flambeau::python
