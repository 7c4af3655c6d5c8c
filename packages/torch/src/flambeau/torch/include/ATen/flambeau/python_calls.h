// Conversion of values between C++ and Python, and calls of operators that flambeau implements in Python. Uses only
// Python's stable ABI (Py_LIMITED_API).
#pragma once

#include <Python.h>

#include <ATen/core/ivalue.h>
#include <flambeau/python.h>

namespace at::detail {

// Holds the GIL for a scope.
class WithPython {
 public:
  WithPython() : state_(PyGILState_Ensure()) {}
  ~WithPython() { PyGILState_Release(state_); }
  WithPython(const WithPython&) = delete;

 private:
  PyGILState_STATE state_;
};

// An owned reference to a Python object.
class Object {
 public:
  Object() = default;
  explicit Object(PyObject* owned) : object_(owned) {
    if (!owned) throw ::flambeau::PythonError();
  }
  Object(Object&& other) noexcept : object_(other.release()) {}
  Object& operator=(Object&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Object() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  Object attribute(const char* name) const { return Object(PyObject_GetAttrString(object_, name)); }

 private:
  PyObject* object_ = nullptr;
};

inline Object module_named(const char* name) { return Object(PyImport_ImportModule(name)); }

inline std::string text_of(PyObject* text) {
  const Object bytes(PyUnicode_AsUTF8String(text));
  return PyBytes_AsString(bytes.get());
}

// Return the Python object for a dtype or a device, which is looked up by its name.
inline Object dtype_object(c10::ScalarType type) {
  return module_named("flambeau").attribute(::flambeau::name(c10::detail::dtype_of(type)));
}
inline Object device_object(c10::Device device) {
  return Object(PyObject_CallFunction(module_named("flambeau").attribute("device").get(), "s", device.str().c_str()));
}

Object to_python(const c10::IValue& value);

template <class Set>
Object sequence_of(PyObject* sequence, const std::vector<c10::IValue>& values, Set set) {
  Object out(sequence);
  for (size_t i = 0; i < values.size(); ++i) set(out.get(), Py_ssize_t(i), to_python(values[i]).release());
  return out;
}

struct ToPython {
  Object operator()(std::monostate) const {
    Py_INCREF(Py_None);
    return Object(Py_None);
  }
  Object operator()(const Tensor& t) const { return Object(::flambeau::wrap(t.native())); }
  Object operator()(bool v) const { return Object(PyBool_FromLong(v)); }
  Object operator()(int64_t v) const { return Object(PyLong_FromLongLong(v)); }
  Object operator()(double v) const { return Object(PyFloat_FromDouble(v)); }
  Object operator()(c10::complex<double> v) const { return Object(PyComplex_FromDoubles(v.real(), v.imag())); }
  Object operator()(const std::string& v) const {
    return Object(PyUnicode_FromStringAndSize(v.data(), Py_ssize_t(v.size())));
  }
  Object operator()(c10::ScalarType v) const { return dtype_object(v); }
  Object operator()(c10::Device v) const { return device_object(v); }
  Object operator()(const std::shared_ptr<c10::IValue::Values>& v) const {
    return sequence_of(PyList_New(Py_ssize_t(v->size())), *v, PyList_SetItem);
  }
  Object operator()(const std::shared_ptr<c10::IValue::Tuple>& v) const {
    return sequence_of(PyTuple_New(Py_ssize_t(v->elements().size())), v->elements(), PyTuple_SetItem);
  }
  Object operator()(const std::shared_ptr<c10::IValue::Keyed>& v) const {
    Object out(PyDict_New());
    for (const auto& [key, value] : v->entries)
      if (PyDict_SetItem(out.get(), to_python(key).get(), to_python(value).get())) throw ::flambeau::PythonError();
    return out;
  }
};
inline Object to_python(const c10::IValue& value) { return value.visit(ToPython()); }

inline c10::ScalarType scalar_type_named(std::string_view name) {
#define FLAMBEAU_NAMED(atens, cpp_type, dtype, number) \
  if (name == ::flambeau::name(::flambeau::Dtype::dtype)) return c10::ScalarType::atens;
  FLAMBEAU_SCALAR_TYPES(FLAMBEAU_NAMED)
#undef FLAMBEAU_NAMED
  ::flambeau::detail::raise<c10::TypeError>("a C++ extension cannot take the dtype ", name);
}

c10::IValue from_python(PyObject* o);

inline bool is_instance(PyObject* o, const char* type) {
  const int found = PyObject_IsInstance(o, module_named("flambeau").attribute(type).get());
  if (found < 0) throw ::flambeau::PythonError();
  return found;
}
inline std::vector<c10::IValue> items_of(PyObject* sequence) {
  std::vector<c10::IValue> out;
  const Py_ssize_t n = PySequence_Size(sequence);
  for (Py_ssize_t i = 0; i < n; ++i) out.push_back(from_python(Object(PySequence_GetItem(sequence, i)).get()));
  return out;
}
inline c10::IValue dict_from_python(PyObject* o) {
  auto out = std::make_shared<c10::IValue::Keyed>();
  PyObject *key, *value;
  for (Py_ssize_t i = 0; PyDict_Next(o, &i, &key, &value);)
    out->entries.emplace_back(from_python(key), from_python(value));
  return out;
}

// Converts a Python object. Throws a TypeError for objects of types that operators do not take.
inline c10::IValue from_python(PyObject* o) {
  if (o == Py_None) return {};
  if (const ::flambeau::Tensor* const t = ::flambeau::python_interface->unwrap(o)) return Tensor(*t);
  if (PyBool_Check(o)) return o == Py_True;
  if (PyLong_Check(o)) {
    const long long v = PyLong_AsLongLong(o);
    if (v == -1 && PyErr_Occurred()) throw ::flambeau::PythonError();
    return int64_t(v);
  }
  if (PyFloat_Check(o)) return PyFloat_AsDouble(o);
  if (PyComplex_Check(o)) return c10::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o));
  if (PyUnicode_Check(o)) return text_of(o);
  if (PyTuple_Check(o)) return c10::IValue::Tuple{items_of(o)};
  if (PyList_Check(o)) return std::make_shared<c10::IValue::Values>(items_of(o));
  if (PyDict_Check(o)) return dict_from_python(o);
  if (is_instance(o, "dtype")) {
    const std::string name = text_of(Object(PyObject_Str(o)).get());
    return scalar_type_named(std::string_view(name).substr(name.rfind('.') + 1));
  }
  if (is_instance(o, "device")) return c10::Device(text_of(Object(PyObject_Str(o)).get()));
  if (PyIndex_Check(o)) return int64_t(PyNumber_AsSsize_t(o, PyExc_OverflowError));
  if (Object number(PyNumber_Float(o)); number.get()) return PyFloat_AsDouble(number.get());
  return {};
}

inline c10::IValue value_of(const Argument& a) {
  switch (a.kind) {
    case Argument::OfTensor:
      return Tensor(a.tensor());
    case Argument::OfNumber:
      return c10::Scalar(a.number);
    case Argument::OfDims:
      return a.single ? c10::IValue(a.dims()[0]) : c10::IValue(a.dims());
    case Argument::OfDtype:
      return c10::detail::scalar_type_of(a.dtype);
    case Argument::OfText:
      return std::string(a.text());
    case Argument::OfTensors:
      return a.tensors();
    case Argument::OfDoubles:
      return a.doubles();
    case Argument::OfDevice:
      return c10::Device(a.device);
    default:
      return {};
  }
}

// Calls a Python function, which is given by its path. Passes the first `positional` arguments by position and the
// others by name. Does not pass missing trailing arguments, so that they have their defaults.
inline c10::IValue call_python_function(std::string_view path, size_t positional, std::string_view keywords,
                                        Arguments arguments) {
  const WithPython held;
  Object function = module_named("flambeau");
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    function = function.attribute(std::string(path.substr(0, dot)).c_str());
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  size_t count = arguments.size();
  while (count && arguments.begin()[count - 1].kind == Argument::None) --count;
  std::vector<c10::IValue> values;
  const Object named(PyDict_New());
  for (size_t i = 0; i < count; ++i) {
    if (i < positional) {
      values.push_back(value_of(arguments.begin()[i]));
      continue;
    }
    const size_t space = std::min(keywords.find(' '), keywords.size());
    const Object value = to_python(value_of(arguments.begin()[i]));
    if (PyDict_SetItemString(named.get(), std::string(keywords.substr(0, space)).c_str(), value.get()))
      throw ::flambeau::PythonError();
    keywords.remove_prefix(std::min(space + 1, keywords.size()));
  }
  const Object packed = sequence_of(PyTuple_New(Py_ssize_t(values.size())), values, PyTuple_SetItem);
  return from_python(Object(PyObject_Call(function.get(), packed.get(), named.get())).get());
}
template <class T>
T call_python(std::string_view path, size_t positional, std::string_view keywords, Arguments arguments) {
  return c10::detail::unpack<T>(call_python_function(path, positional, keywords, arguments));
}

}  // namespace at::detail
