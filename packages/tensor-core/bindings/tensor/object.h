// The Python objects of this module, and the conversion of exceptions to Python errors.
#pragma once

#include <Python.h>

#include <string_view>

#include "flambeau/interpreter.h"
#include "flambeau/memory_format.h"
#include "flambeau/operators.h"
#include "flambeau/python.h"

namespace flambeau::python {

struct TensorObject {
  PyObject_HEAD Tensor tensor;
  PyObject* dict;
  PyObject* weak_references;
  bool is_gradient;  // true if Python code has read or assigned the tensor as .grad. Note [Preserved objects]
};

struct DtypeObject {
  PyObject_HEAD Dtype value;
};

struct ConstantObject {  // a layout or a memory format
  PyObject_HEAD const char* name;
  int value;
};

extern PyTypeObject* tensor_type;
extern PyTypeObject* layout_type;
extern PyTypeObject* memory_format_type;
extern PyTypeObject* dtype_type;
extern PyTypeObject* size_type;
extern PyObject* device_cpu;
PyObject* device_object(Device device);  // returns a borrowed reference

extern PyTypeObject* placeholder_type;  // null until vmap is used. Note [Interception]
inline bool is_tensor(PyObject* o) {
  const PyTypeObject* type = Py_TYPE(o);
  return type == tensor_type || (type != placeholder_type && PyType_IsSubtype(Py_TYPE(o), tensor_type));
}
inline const Tensor& tensor_of(PyObject* o) { return reinterpret_cast<TensorObject*>(o)->tensor; }
PyObject* wrap_tensor(const Tensor& t);
// Makes a view independent if nothing else refers to its base. Some operators compute their result as a view of a
// temporary tensor, for example matmul() of batches. Users of such an operator must not see a view.
void release_temporary_base(TensorImpl& view);
PyObject* wrap_size(const Shape& shape);
PyObject* dtype_object(Dtype d);     // returns a borrowed reference
PyObject* strided_layout();          // returns a borrowed reference
bool is_sparse_layout(PyObject* o);  // returns true for layouts other than strided
PyObject* scalar_object(Scalar s);
PyObject* to_list(const Tensor& t);
inline Scalar read_item(const Tensor& t) {  // the implementation of Tensor.item()
  require(!t.is_meta() || t.numel() != 1, "Tensor.item() cannot be called on meta tensors");
  return item(t);
}
bool truth_of(const Tensor& t);  // throws unless the tensor has exactly one element

// Sets the Python error that corresponds to the exception being handled.
void translate_exception();

// Runs body(). If it throws, sets the Python error and returns `failure`.
template <class R, class F>
R guarded(R failure, F&& body) {
  const InterpreterSection section;
  const OperatorCall call;
  try {
    return body();
  } catch (...) {
    translate_exception();
    return failure;
  }
}

class Object {  // an owned reference to a Python object
 public:
  Object() = default;
  explicit Object(PyObject* o) : o_(o) {}
  Object(Object&& other) noexcept : o_(other.release()) {}
  Object& operator=(Object&& other) noexcept {
    PyObject* const former = std::exchange(o_, other.release());
    Py_XDECREF(former);  // after the assignment, because the release may run code that uses this object
    return *this;
  }
  ~Object() { Py_XDECREF(o_); }
  PyObject* get() const { return o_; }
  PyObject* release() { return std::exchange(o_, nullptr); }
  explicit operator bool() const { return o_ != nullptr; }

 private:
  PyObject* o_ = nullptr;
};

inline std::string_view text_of(PyObject* str) {  // throws for strings with lone surrogates
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(str, &size);
  if (!text) throw PythonError();
  return {text, size_t(size)};
}

inline PyObject* checked(PyObject* o) {  // throws if `o` is null, because a call into Python failed
  if (!o) throw PythonError();
  return o;
}

// Returns the list or tuple itself. In a Python without GIL, returns a copy of a list, because other threads may change
// the list. Note [Free threading]
inline Object stable_items(PyObject* sequence) {
#ifdef Py_GIL_DISABLED
  if (PyList_Check(sequence)) return Object(checked(PyList_AsTuple(sequence)));
#endif
  return Object(Py_NewRef(sequence));
}

// Returns the value of a key in a dict, or null if the key is missing.
inline Object value_in(PyObject* dict, PyObject* key) {
  PyObject* value = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
  if (PyDict_GetItemRef(dict, key, &value) < 0) throw PythonError();
#else
  value = Py_XNewRef(PyDict_GetItemWithError(dict, key));
  if (!value && PyErr_Occurred()) throw PythonError();
#endif
  return Object(value);
}

// Convert an object to an operand or a number, and return false if the conversion is impossible. to_operand() also
// accepts tensors. Numbers are Python numbers, NumPy scalars and other objects that have __index__ or __float__ but no
// length.
bool to_operand(PyObject* o, Operand& out);
bool to_scalar(PyObject* o, Scalar& out);

// Conversion from Python objects (data.cpp, interop.cpp).
bool is_sequence(PyObject* o);  // returns false for strings
bool is_array(PyObject* o);
bool is_numpy_array(PyObject* o);
Tensor tensor_from_data(PyObject* data, std::optional<Dtype> dtype);
Tensor tensor_from_buffer(PyObject* exporter);
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);

// Indexing (indexing.cpp).
PyObject* get_item(PyObject* self, PyObject* key);
int set_item(PyObject* self, PyObject* key, PyObject* value);

void ensure_autograd();  // loads flambeau.autograd, or raises an ImportError that names its distribution

}  // namespace flambeau::python
