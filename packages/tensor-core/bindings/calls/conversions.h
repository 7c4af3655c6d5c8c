// Conversion of Python arguments to C++ values, and of results to Python objects.
#pragma once

#include "calls/binding.h"

namespace flambeau::python {

[[noreturn]] void wrong_argument(const Call& call, const char* expected, PyObject* got);
[[noreturn]] void wrong_element(const Call& call, const char* expected, Py_ssize_t position, PyObject* got);

// Converts an argument to a T. If the conversion is impossible, throws a TypeError that names the function, the
// argument and the expected type.
template <class T>
struct From;

template <>
struct From<PyObject*> {
  static PyObject* get(const Call&, PyObject* o) { return o; }
};
struct Self {  // a tensor argument whose Python object the function returns
  PyObject* object;
  operator PyObject*() const { return object; }
};
template <>
struct From<Self> {
  static Self get(const Call& call, PyObject* o) {
    if (!is_tensor(o)) wrong_argument(call, "Tensor", o);
    return {o};
  }
};
template <>
struct From<const Tensor&> {
  static const Tensor& get(const Call& call, PyObject* o) {
    static const Tensor undefined;
    if (is_tensor(o)) return tensor_of(o);
    if (o == Py_None && call.parameter->may_be_none()) return undefined;
    wrong_argument(call, "Tensor", o);
  }
};
template <>
struct From<const Operand&> {
  static Operand get(const Call& call, PyObject* o) {
    Operand out(0);
    if (!to_operand(o, out)) wrong_argument(call, "Tensor or Number", o);
    return out;
  }
};
template <>
struct From<Scalar> {
  static Scalar get(const Call& call, PyObject* o) {
    Scalar out;
    if (!to_scalar(o, out)) wrong_argument(call, "Number", o);
    return out;
  }
};
template <>
struct From<int64_t> {
  static int64_t get(const Call& call, PyObject* o) {
    int overflow = 0;
    if (FLAMBEAU_LIKELY(PyLong_CheckExact(o))) {
      const int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
      if (FLAMBEAU_LIKELY(!overflow)) return v;
    }
    const bool whole = is_tensor(o) ? tensor_of(o).numel() == 1 : PyIndex_Check(o) && !PyBool_Check(o);
    if (!whole) wrong_argument(call, "int", o);
    const Object index(checked(PyNumber_Index(o)));
    const int64_t v = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
    if (v == -1 && PyErr_Occurred()) throw PythonError();
    if (overflow)
      detail::raise<ValueError>(call.function, "(): argument '", PyUnicode_AsUTF8(call.parameter->name),
                                "' does not fit into 64 bits: Overflow when unpacking long long");
    return v;
  }
};
template <>
struct From<double> {
  static double get(const Call& call, PyObject* o) {
    Scalar s;
    if (!to_scalar(o, s) || s.kind() == Category::Complex) wrong_argument(call, "float", o);
    return s.real();
  }
};
template <>
struct From<bool> {
  static bool get(const Call& call, PyObject* o) {
    if (o == Py_True || o == Py_False) return o == Py_True;
    if ((o == Py_None && call.parameter->fallback == Py_None) ||
        std::string_view(Py_TYPE(o)->tp_name).find("bool") != std::string_view::npos) {
      const int truth = PyObject_IsTrue(o);
      if (truth < 0) throw PythonError();
      return truth;
    }
    wrong_argument(call, "bool", o);
  }
};
template <>
struct From<const Shape&> {
  static Shape get(const Call& call, PyObject* o) {
    if (FLAMBEAU_LIKELY(PyTuple_Check(o))) return of_tuple(call, o);
    if (PyIndex_Check(o) && !has_items(o)) return {From<int64_t>::get(call, o)};
    if (!PySequence_Check(o) || PyUnicode_Check(o)) wrong_argument(call, "tuple of ints", o);
    const Object items(checked(PySequence_Tuple(o)));  // a copy, because __index__ of an item could change a list
    return of_tuple(call, items.get());
  }

 private:
  // Returns false for tensors and arrays without dimensions.
  static bool has_items(PyObject* o) {
    if (is_tensor(o)) return tensor_of(o).dim() > 0;
    if (!PySequence_Check(o)) return false;
    const bool has_length = PySequence_Size(o) >= 0;
    if (!has_length) PyErr_Clear();
    return has_length;
  }
  static Shape of_tuple(const Call& call, PyObject* items) {
    Shape out;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); ++i) {
      PyObject* const item = PyTuple_GET_ITEM(items, i);
      if (i > 0 && PyBool_Check(item)) {  // like PyTorch, reject a bool only as the first size
        out.push_back(item == Py_True);
        continue;
      }
      if (!PyIndex_Check(item)) wrong_element(call, "tuple of ints", i, item);
      out.push_back(From<int64_t>::get(call, item));
    }
    return out;
  }
};
template <>
struct From<Shape> : From<const Shape&> {};
template <>
struct From<Dtype> {
  static Dtype get(const Call& call, PyObject* o) {
    if (o == Py_None) return default_dtype();
    if (Py_TYPE(o) == dtype_type) return reinterpret_cast<DtypeObject*>(o)->value;
    if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return Dtype::float64;
    if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return Dtype::int64;
    if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) return Dtype::complex128;
    if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return Dtype::bool_;
    wrong_argument(call, "flambeau.dtype", o);
  }
};
template <>
struct From<Reduction> {
  static Reduction get(const Call& call, PyObject* o) {
    if (!PyUnicode_Check(o)) wrong_argument(call, "str", o);
    const std::string_view text = text_of(o);
    if (text == "mean") return Reduction::Mean;
    if (text == "sum") return Reduction::Sum;
    if (text == "none") return Reduction::None;
    detail::raise<ValueError>(text, " is not a valid value for reduction; expected 'none', 'mean' or 'sum'");
  }
};
template <>
struct From<std::string_view> {
  static std::string_view get(const Call& call, PyObject* o) {
    if (!PyUnicode_Check(o)) wrong_argument(call, "str", o);
    return text_of(o);
  }
};
template <>
struct From<const Tensors&> {  // a variadic parameter accepts a single tensor; None means an undefined tensor
  static Tensors get(const Call& call, PyObject* o) {
    if (call.parameter->variadic && is_tensor(o)) return {tensor_of(o)};
    if (!PyList_Check(o) && !PyTuple_Check(o)) wrong_argument(call, "tuple of Tensors", o);
    const Object items = stable_items(o);
    Tensors out;
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.get());
    out.reserve(size_t(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
      const bool none = item == Py_None && call.parameter->may_be_none();
      if (!none && !is_tensor(item)) wrong_element(call, "tuple of Tensors", i, item);
      out.push_back(none ? Tensor() : tensor_of(item));
    }
    return out;
  }
};
template <>
struct From<Tensors> : From<const Tensors&> {};
struct Strided {};  // the checked value of a layout argument: None or flambeau.strided
template <>
struct From<Strided> {
  static Strided get(const Call& call, PyObject* o);
};
struct Pinned {  // the value of a pin_memory argument
  bool wanted;
};
template <>
struct From<Pinned> {
  static Pinned get(const Call& call, PyObject* o) { return {From<bool>::get(call, o)}; }
};
template <>
struct From<MemoryFormat> {
  static MemoryFormat get(const Call& call, PyObject* o) {
    if (Py_TYPE(o) != memory_format_type) wrong_argument(call, "flambeau.memory_format", o);
    return MemoryFormat(reinterpret_cast<ConstantObject*>(o)->value);
  }
};
struct Placement {  // the value of a device argument
  std::optional<Device> given;
  Device of_fresh() const;  // device of a new tensor: the default device unless a device is given
  Device like(const Tensor& t) const { return given.value_or(t.device()); }
};
template <>
struct From<Placement> {
  static Placement get(const Call& call, PyObject* o);
};
// Returns the GPU that an argument names: a device, a string, an index, or None for the current GPU.
Device gpu_of(const char* function, PyObject* o);
template <>
struct From<Generator*> {
  static Generator* get(const Call& call, PyObject* o);
};
template <class T>
struct From<std::optional<T>> {
  static std::optional<T> get(const Call& call, PyObject* o) {
    if (o == Py_None) return std::nullopt;
    return From<T>::get(call, o);
  }
};
template <class T>
struct From<const T&> : From<T> {};
template <>
struct From<Operand> : From<const Operand&> {};
template <>
struct From<Tensor> : From<const Tensor&> {};
template <class T>
struct From<std::vector<T>> {
  static std::vector<T> get(const Call& call, PyObject* o) {
    if (!PySequence_Check(o) || PyUnicode_Check(o)) wrong_argument(call, "tuple", o);
    std::vector<T> out;
    const Object items(checked(PySequence_Tuple(o)));  // a copy, because the conversion of an item could change a list
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
      out.push_back(From<T>::get(call, PyTuple_GET_ITEM(items.get(), i)));
    return out;
  }
};
template <>
struct From<OptionalSizes> {  // converts an int, None, or a sequence of these
  static OptionalSizes get(const Call& call, PyObject* o) {
    if (!PyTuple_Check(o) && !PyList_Check(o)) return {From<std::optional<int64_t>>::get(call, o)};
    OptionalSizes out;
    const Object items(checked(PySequence_Tuple(o)));  // a copy, because __index__ of an item could change a list
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
      out.push_back(From<std::optional<int64_t>>::get(call, PyTuple_GET_ITEM(items.get(), i)));
    return out;
  }
};

// Returns true if an argument has a Python type for which the variant's alternative T is chosen.
template <class T>
bool is_a(PyObject* o) {
  if constexpr (std::is_same_v<T, Tensor>) return is_tensor(o);
  if constexpr (std::is_same_v<T, int64_t>) return PyIndex_Check(o);
  if constexpr (std::is_same_v<T, double>) return !PyTuple_Check(o) && !PyList_Check(o);
  if constexpr (std::is_same_v<T, bool>) return PyBool_Check(o);
  if constexpr (std::is_same_v<T, Dtype>) return Py_TYPE(o) == dtype_type;
  if constexpr (std::is_same_v<T, std::string_view>) return PyUnicode_Check(o);
}
template <class T, class... Others>
// Converts to the first alternative that is_a() accepts for the argument, or else to the last alternative.
struct From<std::variant<T, Others...>> {
  using Variant = std::variant<T, Others...>;
  static Variant get(const Call& call, PyObject* o) { return converted<T, Others...>(call, o); }

 private:
  template <class First, class... Rest>
  static Variant converted(const Call& call, PyObject* o) {
    if constexpr (sizeof...(Rest) > 0)
      if (!is_a<First>(o)) return converted<Rest...>(call, o);
    return From<First>::get(call, o);
  }
};

inline PyObject* to_python(const Tensor& t) { return wrap_tensor(t); }
inline PyObject* to_python(const Tensors& tensors) {
  Object out(checked(PyTuple_New(Py_ssize_t(tensors.size()))));
  for (size_t i = 0; i < tensors.size(); ++i)
    PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(wrap_tensor(tensors[i])));
  return out.release();
}
// Returns a named tuple of the type flambeau.return_types.<name> (return_types.cpp).
PyObject* named_tuple(std::string_view name, std::initializer_list<Tensor> values);
PyObject* named_tuple(std::string_view name, std::initializer_list<PyObject*> values);  // takes over the references
inline PyObject* to_python(const TensorPair& p) { return to_python(Tensors{p.values, p.indices}); }
inline PyObject* to_python(bool v) { return PyBool_FromLong(v); }
inline PyObject* to_python(int64_t v) { return PyLong_FromLongLong(v); }
inline PyObject* to_python(double v) { return PyFloat_FromDouble(v); }
inline PyObject* to_python(const Shape& s) { return wrap_size(s); }
inline PyObject* to_python(const TensorOrTensors& results) {
  return std::visit([](const auto& given) { return to_python(given); }, results);
}
inline PyObject* to_python(Dtype d) { return Py_NewRef(dtype_object(d)); }
inline PyObject* to_python(PyObject* o) { return o; }

}  // namespace flambeau::python
